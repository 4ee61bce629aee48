"""Finding the node that a person means: by path, id, unique beginning or unique name."""

import difflib
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from translator.plan import NodePath, Task
from workflows.machine.program import Program

SHOWN = 5


class Unclear(NamedTuple):
    """Why a name fits no node, or too many, with the candidates."""

    text: str
    candidates: tuple[str, ...]


def find_node(program: Program, named: str) -> NodePath | Unclear:
    """Return the path of the node that `named` means; "" is the run itself."""
    if named in program.places or named in program.inner or not named:
        return named
    paths = [*program.places, *program.inner]
    tries = (
        [p for p in paths if p.rpartition("/")[2] == named],
        [p for p in paths if _name(program, p) == named],
        [p for p in paths if p.startswith(named) or p.rpartition("/")[2].startswith(named)],
    )
    for found in tries:
        if len(found) == 1:
            return found[0]
        if found:
            return Unclear(
                f"{named!r} fits {len(found)} nodes: {_shown(program, found)}", tuple(found)
            )
    near = _near(program, paths, named)
    hint = f"; did you mean {_shown(program, near)}?" if near else ""
    return Unclear(f"no node is called {named!r}{hint}", tuple(near))


def find_failed(program: Program, failed: Iterable[NodePath]) -> NodePath | Unclear:
    """Return the one node of `failed`, for a verb that names none.

    A child is never taken so: what failed is a node in it, and to retry the child starts it anew.
    """
    paths = list(failed)
    if not paths:
        return Unclear("no node has failed; name the node that is meant", ())
    if len(paths) > 1:
        text = f"{len(paths)} nodes have failed, name one: {_shown(program, paths)}"
        return Unclear(text, tuple(paths))
    node = program.places[paths[0]].node
    if isinstance(node, Task) and node.child is not None:
        text = f"a node in child {_shown(program, paths)} has failed; name it, or the child"
        return Unclear(text, tuple(paths))
    return paths[0]


def _name(program: Program, path: NodePath) -> str:
    """Return the name of a node of the run, or of a child of it."""
    found = program.places.get(path)
    return found.node.name if found else program.inner[path].name


def _near(program: Program, paths: Sequence[NodePath], named: str) -> list[NodePath]:
    """Return the paths whose id or name is spelt much like `named`."""
    spelt: dict[str, NodePath] = {}
    for path in paths:
        spelt.setdefault(path.rpartition("/")[2], path)
        spelt.setdefault(_name(program, path), path)
    return list(dict.fromkeys(spelt[n] for n in difflib.get_close_matches(named, spelt, SHOWN)))


def _shown(program: Program, paths: Sequence[NodePath]) -> str:
    """List paths with their names, the first few."""
    names = [f"{path} ({_name(program, path)})" for path in paths[:SHOWN]]
    more = f" and {len(paths) - SHOWN} more" if len(paths) > SHOWN else ""
    return ", ".join(names) + more
