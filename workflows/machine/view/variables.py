"""The variables of a run as they stand: value, where it comes from, and who wrote it last."""

from collections.abc import Iterator, Mapping
from typing import Final, Literal, TypeAlias

from pydantic import JsonValue

from translator.plan import (
    ROOT,
    Flow,
    FlowPath,
    Model,
    Subflow,
    Variable,
    VariableKey,
    parent_path,
)
from translator.values import SYSTEM, reads, source, without_sealed
from workflows.machine.core import MASK, Core
from workflows.machine.state import Writer

Source: TypeAlias = Literal[
    "template",
    "given",
    "pre_rendered",
    "output",
    "parameter",
    "operator",
    "project",
    "system",
    "nothing",
]
"""Where a value comes from; "nothing" while an output has none."""

MAX_VALUE: Final = 20_000
"""Longest text, in characters, that an answer carries of one value."""

_UNDER_WAY: Final = ("running", "suspended", "failed")


class VariableView(Model):
    """One variable. `value` is the text of the template where it is rendered at each use.

    secret: it is, or takes in one that is; its value is masked.

    writer: the path of a node, or a person. written_at: seconds since the epoch, 0 for never.
    """

    key: VariableKey
    name: str = ""
    kind: Literal["plain", "splice", "lazy", "output"]
    value: JsonValue = None
    source: Source
    writer: str = ""
    written_at: float = 0
    secret: bool = False


class FlowVariables(Model):
    """The variables of the run (its path is "") or of a subflow."""

    path: FlowPath
    name: str = ""
    variables: tuple[VariableView, ...] = ()


class Variables(Model):
    """The variables of each flow that is under way, the run's first."""

    flows: tuple[FlowVariables, ...] = ()


def variables(core: Core) -> Variables:
    """Return the variables of the run and of each subflow under way; secrets are masked."""
    paths = [path for path in core.program.flows if _is_under_way(core, path)]
    return Variables(flows=tuple(_flow(core, path) for path in paths))


def _is_under_way(core: Core, path: FlowPath) -> bool:
    found = core.state.nodes.get(path)
    if path == ROOT:
        return found is not None
    return path in core.state.rounds and found is not None and found.status in _UNDER_WAY


def _flow(core: Core, path: FlowPath) -> FlowVariables:
    declared = core.program.flows[path].variables
    state = core.state
    keys = dict.fromkeys(
        [*declared, *state.retyped.get(path, ()), *state.written.get(path, ()), *state.inherited]
    )
    secrets = _secrets(core, path)
    listed = (key for key in keys if key in declared or not key.startswith(f"{SYSTEM}."))
    return FlowVariables(
        path=path,
        name=core.place(path).node.name if path else "",
        variables=tuple(_variable(core, path, key, secret=key in secrets) for key in listed),
    )


def _variable(core: Core, path: FlowPath, key: VariableKey, *, secret: bool) -> VariableView:
    declared = core.program.flows[path].variables.get(key)
    found = core.find(path, key)
    came_from, writer = _source(core, path, key, found)
    value = None if found is None else _cut(without_sealed(source(found.value)))
    return VariableView(
        key=key,
        name=declared.name if declared else "",
        kind=found.kind if found else "output",
        value=MASK if secret and found is not None else value,
        source=came_from,
        writer=writer.by if writer else "",
        written_at=writer.at if writer else 0,
        secret=secret,
    )


def _source(
    core: Core, path: FlowPath, key: VariableKey, found: Variable | None
) -> tuple[Source, Writer | None]:
    """Return where a variable's value comes from, and who wrote it."""
    state = core.state
    if key in state.written.get(path, ()) or key in state.retyped.get(path, ()):
        writer = state.writers.get(path, {}).get(key)
        return (writer.origin, writer) if writer else (_given_by(core, key), None)
    if found is None:
        return "nothing", None
    is_own = core.program.flows[path].variables.get(key) is found
    return ("template" if is_own else _given_by(core, key)), None


def _given_by(core: Core, key: VariableKey) -> Source:
    """Return who gave a variable that nobody signed for: the system, the project, or the start."""
    if key not in core.state.inherited:
        return "given"
    return "system" if key == SYSTEM or key.startswith(f"{SYSTEM}.") else "project"


def _secrets(core: Core, path: FlowPath) -> frozenset[VariableKey]:
    """Return the variables of a flow that are secret, or take in one that is."""
    flow = core.program.flows[path]
    found = {v.key for v in _all(core, flow, path) if v.secret}
    if path:
        node = core.place(path).node
        outer = _secrets(core, parent_path(path))
        if isinstance(node, Subflow):
            found |= outer if node.shares_context else set(_passed(node, outer))
    needs = {v.key: reads(v.value) for v in _all(core, flow, path)}
    while more := {key for key, read in needs.items() if key not in found and found & {*read}}:
        found |= more
    return frozenset(found)


def _all(core: Core, flow: Flow, path: FlowPath) -> Iterator[Variable]:
    yield from flow.variables.values()
    yield from core.state.retyped.get(path, {}).values()


def _passed(node: Subflow, outer: frozenset[VariableKey]) -> Iterator[VariableKey]:
    """Yield the parameters of a subflow that hand it a secret of its parent."""
    return (key for key, value in node.params.items() if outer & {*reads(value)})


def _cut(value: JsonValue) -> JsonValue:
    """Return a value short enough for an answer: long texts end in how long they are."""
    match value:
        case str() if len(value) > MAX_VALUE:
            return f"{value[:MAX_VALUE]}… ({len(value)} characters)"
        case list() | dict():
            return _cut(text) if len(text := str(value)) > MAX_VALUE else value
        case _:
            return value


def described(view: VariableView) -> str:
    """Say in a few words where a variable's value comes from."""
    return _WORDS[view.source].format(view.writer or "an operator")


_WORDS: Final[Mapping[Source, str]] = {
    "template": "the template",
    "given": "given at the start by {}",
    "pre_rendered": "rendered once by {}",
    "output": "output of {}",
    "parameter": "parameter from the parent of {}",
    "operator": "set by {}",
    "project": "the project",
    "system": "the system",
    "nothing": "no value yet",
}
