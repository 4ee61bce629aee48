"""What is told of fragments that stay as they are written: warnings of a node, or why it fails.

What the workflow resolves is told of here, what the sandbox evaluates by the sandbox, in the same
words.
"""

import difflib
from collections.abc import Collection, Iterable
from typing import Final

from activities.contract import warning_lines
from translator.plan import ROOT, FlowPath, Literal, NodePath, Ref, Variable
from translator.values import check, is_clear, leaves
from workflows.machine.core import Core, is_system
from workflows.machine.state import RunState
from workflows.machine.unfilled import Unfilled

MOST_NODES: Final = 200
"""How many nodes of a run keep their warnings."""
MOST_CHARS: Final = 200_000
"""How long the warnings of a run may be together: they travel with its state and its result."""

_COMPARED: Final = 100
_SHOWN_CHARS: Final = 80
_CORRECT: Final = "correct the name, or declare a variable"


def tell(
    core: Core, path: NodePath, noun: str, left: tuple[Unfilled, ...], secret: Collection[str] = ()
) -> str:
    """Keep what is to be said of a node's values; in a strict run return why the node fails.

    `noun` is what a value of the node is called; of those named in `secret` nothing is shown.
    """
    if not left:
        return ""
    flow_path = core.place(path).flow_path
    if core.state.strict:
        return _text(core, flow_path, noun, left[0], secret, "cannot be evaluated")
    keep(core.state, path, (_text(core, flow_path, noun, one, secret) for one in left))
    return ""


def keep(state: RunState, path: NodePath, texts: Iterable[str]) -> None:
    """Keep the warnings of a node's execution under way, in place of any before."""
    lines = warning_lines(texts)
    if not lines:
        return
    state.warnings.pop(path, None)
    state.warnings[path] = list(lines)  # the newest stand last
    while len(state.warnings) > MOST_NODES or _chars(state) > MOST_CHARS:
        oldest = next(iter(state.warnings))
        state.warnings_dropped += len(state.warnings.pop(oldest))


def tell_clear(core: Core, variables: Iterable[Variable]) -> list[str]:
    """Keep a warning for each secret that came in clear: the history has it; return the lines."""
    lines = [
        f"variable {variable.key!r} was given in clear; seal it with `stdops secret seal`"
        for variable in variables
        if variable.secret and _is_clear(variable)
    ]
    keep(core.state, ROOT, [*core.state.warnings.get(ROOT, ()), *lines] if lines else ())
    return lines


def _is_clear(variable: Variable) -> bool:
    """Say whether there is text in a value that is not sealed; a mere reference is none."""
    plain = (leaf for leaf in leaves(variable.value) if not isinstance(leaf, Ref))
    return any(not isinstance(leaf, Literal) or is_clear(leaf.value) for leaf in plain)


def _chars(state: RunState) -> int:
    return sum(len(line) for lines in state.warnings.values() for line in lines)


def _text(
    core: Core,
    flow_path: FlowPath,
    noun: str,
    left: Unfilled,
    secret: Collection[str],
    what: str = "stays text",
) -> str:
    declared = core.program.flows[flow_path].variables
    place = f"variable {left.name!r}" if left.of_variable else f"{noun} {left.name!r}"
    own = declared.get(left.name) if left.of_variable else None
    if (own is not None and own.secret) or (not left.of_variable and left.name in secret):
        return f"'***' in {place} {what}: it holds a fragment that is not evaluated; {_CORRECT}"
    why, fix = _why(core, flow_path, left.inside)
    whole = f"${{{left.inside}}}"
    shown = whole if len(whole) <= _SHOWN_CHARS else f"{whole[: _SHOWN_CHARS - 3]}..."
    return f"{shown!r} in {place} {what}: it {why}; {fix}"


def _why(core: Core, flow_path: FlowPath, inside: str) -> tuple[str, str]:
    declared = core.program.flows[flow_path].variables
    checked, key = check(inside), inside.rstrip()
    if key in declared and is_system(declared[key]):
        return f"refers to {key!r}, which this run is not given", f"give {key!r} a value"
    if key in declared:
        why = f"refers to {key!r}, which has no value yet: it is the output of a node"
        return f"{why} that has not ended", f"read it later, or give {key!r} a value"
    if checked.problem:
        return checked.problem, checked.fix
    known = [*declared, *core.state.inherited][:_COMPARED]
    near = difflib.get_close_matches(key, known, 1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"refers to {key!r}, which has no value{hint}", _CORRECT
