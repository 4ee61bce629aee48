"""Finding the node that a person means: by path, id, unique beginning or unique name."""

import difflib
from collections.abc import Sequence
from typing import NamedTuple

from translator.plan import NodePath
from workflows.machine.program import Program

SHOWN = 5


class Unclear(NamedTuple):
    """Why a name fits no node, or too many, with the candidates."""

    text: str
    candidates: tuple[str, ...]


def find_node(program: Program, named: str) -> NodePath | Unclear:
    """Return the path of the node that `named` means; "" is the run itself."""
    if named in program.places or not named:
        return named
    paths = list(program.places)
    tries = (
        [p for p in paths if p.rpartition("/")[2] == named],
        [p for p in paths if program.places[p].node.name == named],
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


def _near(program: Program, paths: Sequence[NodePath], named: str) -> list[NodePath]:
    """Return the paths whose id or name is spelt much like `named`."""
    spelt: dict[str, NodePath] = {}
    for path in paths:
        spelt.setdefault(path.rpartition("/")[2], path)
        spelt.setdefault(program.places[path].node.name, path)
    return list(dict.fromkeys(spelt[n] for n in difflib.get_close_matches(named, spelt, SHOWN)))


def _shown(program: Program, paths: Sequence[NodePath]) -> str:
    """List paths with their names, the first few."""
    names = [f"{path} ({program.places[path].node.name})" for path in paths[:SHOWN]]
    more = f" and {len(paths) - SHOWN} more" if len(paths) > SHOWN else ""
    return ", ".join(names) + more
