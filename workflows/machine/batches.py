"""Quick tasks in a row travel as one call: which ones, with what, and how that is cut short.

Nothing of them is entered before its turn. With the call of the first go those of the tasks after
it, put together as they will be once the ones before have ended well; what one of them reads of an
earlier one's outputs is filled in where they run. Their outcomes come back together and are folded
one after the other, each when its node is entered, so that the state is that of single calls.

A task travels only where nothing has to be decided before it: its plugin is quick and of the same
queue, it has no time limit and no loop of its own (a timer, or a count, would have to run between),
nobody holds it, and nothing has to be told of its inputs. What an automatic retry or an ignorable
error does is decided when a task has failed, and a failure ends the batch: such tasks may travel.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Final, NamedTuple, cast

from pydantic import JsonValue

from activities.contract import PluginTraits, Unresolved
from translator.plan import FlowPath, Literal, NodePath, Task, Value, VariableKey
from translator.values import ReferenceCycle, leaves
from workflows.machine.calls import NOTHING_LEFT, seen_counters
from workflows.machine.core import ENDED, Core, Resolved, read_in
from workflows.machine.events import Ahead, CutShort, RunTask
from workflows.machine.flow import Pass, holder, next_pass, over_limit
from workflows.machine.program import Place
from workflows.machine.state import NodeState

MOST_CHARS: Final = 200_000
"""How long the values of the calls that travel with one may be together."""


def with_followers(core: Core, first: RunTask, task: Task) -> RunTask:
    """Return the call of a task with those that may travel with it; as it is where none may."""
    if not first.traits.quick or core.settings.batch_tasks <= 1 or needs_machine(task):
        return first
    ahead = list(_followers(core, first, task))
    if not ahead:
        return first
    core.state.live[first.path].ahead = len(ahead)
    taken = frozenset(key for one in ahead for key in one.takes)
    then = tuple(
        one._replace(step=_telling(one.step, core.program.places[one.step.path], taken))
        for one in ahead
    )
    return _telling(first, core.program.places[first.path], taken)._replace(then=then)


def needs_machine(task: Task) -> bool:
    """Say whether something has to be decided while a task runs, or right after it."""
    return task.timeout is not None or task.loop is not None or task.child is not None


def cut_below(core: Core, flow_path: FlowPath) -> None:
    """Let nothing start any more that travels in a flow or in one inside it."""
    inside = f"{flow_path}/" if flow_path else ""
    for path, live in core.state.live.items():
        if live.ahead and path.startswith(inside):
            _cut(core, path)


def cut_before(core: Core, path: NodePath) -> None:
    """Let a node not start that travels with the call of one before it."""
    for first, live in core.state.live.items():
        if live.ahead and path in _travelling(core, first, live.ahead):
            _cut(core, first)


def _cut(core: Core, path: NodePath) -> None:
    core.state.live[path].ahead = 0
    core.commands.append(CutShort(path, core.state.nodes[path].entry))


def _travelling(core: Core, first: NodePath, ahead: int) -> Iterator[NodePath]:
    at = first
    for _ in range(ahead):
        at = core.program.places[at].next
        yield at


def _telling(step: RunTask, place: Place, taken: frozenset[VariableKey]) -> RunTask:
    """Return a call that says which of its outputs the others take."""
    if not taken or not isinstance(place.node, Task):
        return step
    return step._replace(writes=tuple(w for w in place.node.writes if w.variable in taken))


def _followers(core: Core, first: RunTask, task: Task) -> Iterator[Ahead]:
    """Yield the calls of the tasks after `first`, as long as one may travel with those before."""
    written = {write.variable for write in task.writes}
    room = MOST_CHARS
    at, seen = core.program.places[first.path].next, {first.path}
    while len(seen) < core.settings.batch_tasks and at not in seen:
        place = core.program.places.get(at)
        if place is None or not isinstance(place.node, Task):
            return
        node, traits = place.node, core.traits(place.node.plugin)
        if traits is None or not _may_follow(core, at, node, traits, first.traits):
            return
        ahead = _ahead(core, _Next(at, node, traits, place.flow_path), written)
        room -= 0 if ahead is None else _weight(ahead.step)
        if ahead is None or room < 0:
            return
        yield ahead
        seen.add(at)
        written.update(write.variable for write in node.writes)
        at = place.next


def _may_follow(
    core: Core, path: NodePath, task: Task, traits: PluginTraits, first: PluginTraits
) -> bool:
    if not traits.quick or traits.inline or traits.queue != first.queue or needs_machine(task):
        return False
    found = core.state.nodes.get(path)
    if holder(core, path, found) is not None:
        return False
    return found is None or found.status not in ENDED or not over_limit(core, path, found)


class _Next(NamedTuple):
    """A task that may travel."""

    path: NodePath
    task: Task
    traits: PluginTraits
    flow_path: FlowPath


def _ahead(core: Core, which: _Next, written: Collection[VariableKey]) -> Ahead | None:
    """Return the call of a task that is not entered yet; None where it must wait for its turn."""
    inputs = core.inputs_of(which.path, which.task)
    coming = next_pass(core, which.path, core.state.nodes.get(which.path) or NodeState())
    seen = seen_counters(core, coming)
    also: dict[str, JsonValue] = {w.variable: seen[w.output] for w in inputs.counted}
    try:
        takes = _takes(core, which.flow_path, inputs.rendered, also, written) if written else ()
        gathered = _gather(core, which.flow_path, inputs.rendered, also, takes)
    except ReferenceCycle:
        return None  # it fails in its turn, unless what comes before it breaks the circle
    if not isinstance(gathered, Resolved):
        if takes and _holds_secrets(which, gathered):
            return None
        return Ahead(_call(which, coming, seen, inputs.raw, inputs.raw, gathered), takes)
    if gathered.left:
        return None  # that is told of in its turn
    rendered = {**gathered.values, **seen, **inputs.raw}
    return Ahead(_call(which, coming, seen, inputs.raw, rendered, NOTHING_LEFT))


def _holds_secrets(which: _Next, gathered: Unresolved) -> bool:
    """Say whether a secret may be among values that the workflow could resolve in their turn.

    It would hand on a reference to one as it is, which nothing that is rendered may be.
    """
    return bool(which.traits.secrets) or any(v.secret for v in gathered.variables.values())


def _takes(
    core: Core,
    flow_path: FlowPath,
    values: Mapping[str, Value],
    also: Mapping[VariableKey, JsonValue],
    written: Collection[VariableKey],
) -> tuple[VariableKey, ...]:
    """Return the variables that values need and that a task before may write."""
    names = read_in(values, core.needed(flow_path, values, also))
    return tuple(key for key in dict.fromkeys(names) if key in written and key not in also)


def _gather(
    core: Core,
    flow_path: FlowPath,
    values: Mapping[str, Value],
    also: Mapping[VariableKey, JsonValue],
    takes: Collection[VariableKey],
) -> Resolved | Unresolved:
    """Resolve values; those that take something can only be resolved where they run."""
    if not takes:
        return core.gather(flow_path, values, also)
    return core.left_open(flow_path, values, core.needed(flow_path, values, also))


def _call(
    which: _Next,
    coming: Pass,
    seen: Mapping[str, int],
    raw: Collection[str],
    rendered: Mapping[str, JsonValue],
    unresolved: Unresolved,
) -> RunTask:
    return RunTask(
        path=which.path,
        entry=coming.entry,
        name=which.task.name,
        plugin=which.task.plugin,
        traits=which.traits,
        step="call",
        inputs=rendered,
        unresolved=unresolved,
        raw=tuple(raw),
        loop=seen["_loop"],
        inner_loop=seen["_inner_loop"],
        executor=which.task.executor,
    )


def _weight(step: RunTask) -> int:
    """Return about how long the values of a call are; exact enough for a bound."""
    plain = _length(step.inputs)
    if not step.unresolved.values:
        return plain
    values, variables = step.unresolved.values.values(), step.unresolved.variables.values()
    every = (*values, *(variable.value for variable in variables))
    literal = (leaf.value for value in every for leaf in leaves(value) if isinstance(leaf, Literal))
    return plain + sum(map(_length, literal))


def _length(value: object) -> int:
    """Return the length of the texts in a JSON value, and its number of parts."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, Mapping):
        fields = cast("Mapping[str, object]", value)
        return sum(len(key) + _length(field) for key, field in fields.items())
    if isinstance(value, list):
        return sum(map(_length, cast("list[object]", value)))
    return 1
