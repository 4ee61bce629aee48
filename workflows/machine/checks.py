"""When a verb applies: one precondition each, answered with a refusal that says why not."""

import typing
from collections.abc import Mapping
from typing import NamedTuple

from pydantic import JsonValue

from translator.plan import (
    Branch,
    ConditionalParallel,
    End,
    Exclusive,
    NodePath,
    Parallel,
    Start,
    Subflow,
    Task,
    join_path,
    parent_path,
    targets_of,
)
from translator.values import shown, unholdable
from workflows.machine.core import Core
from workflows.machine.events import Verb
from workflows.machine.timing import deadline_of

RefusalCode = typing.Literal[
    "unknown_node",
    "not_reached",
    "wrong_kind",
    "wrong_state",
    "not_allowed",
    "no_branch",
    "stale",
    "not_waiting",
    "wrong_value",
    "ended",
]


class Refusal(NamedTuple):
    """Why a verb does not apply: a code for programs, a sentence for people."""

    code: RefusalCode
    text: str


def status_of(core: Core, path: NodePath) -> str:
    """Return a node's status, or that it was not reached."""
    found = core.state.nodes.get(path)
    return found.status if found else "not reached"


def need(core: Core, verb: Verb, *wanted: str) -> Refusal | None:
    """Refuse unless the node has one of the statuses."""
    have = status_of(core, verb.node)
    if have in wanted:
        return None
    code: RefusalCode = "not_reached" if have == "not reached" else "wrong_state"
    what = f"node {verb.node!r}" if verb.node else "the run"
    return Refusal(code, f"{verb.name} needs it to be {' or '.join(wanted)}, {what} is {have}")


def kind_of(core: Core, path: NodePath) -> str:
    """Return a node's kind in words; "run" for the whole run."""
    return core.place(path).node.kind.replace("_", " ") if path else "run"


def refuse_kind(core: Core, verb: Verb, wanted: str) -> Refusal:
    """Refuse a verb that is for another kind of node."""
    kind = kind_of(core, verb.node)
    return Refusal("wrong_kind", f"{verb.name} is for {wanted}, {verb.node!r} is a {kind}")


def check_pause(core: Core, verb: Verb) -> Refusal | None:
    """Require a flow that is under way."""
    if verb.node not in core.program.flows:
        return refuse_kind(core, verb, "the run or a subflow (pause_node holds a single node)")
    return need(core, verb, "running")


def check_resume(core: Core, verb: Verb) -> Refusal | None:
    """Require a paused flow."""
    if verb.node not in core.program.flows:
        return refuse_kind(core, verb, "the run or a subflow (resume_node frees a single node)")
    return need(core, verb, "suspended")


def check_revoke(core: Core, verb: Verb) -> Refusal | None:
    """Require the run, or a subflow that is under way."""
    if verb.node not in core.program.flows:
        return refuse_kind(core, verb, "the run or a subflow (force_fail stops a single node)")
    return need(core, verb, "running", "suspended")


def failed_inside(core: Core, path: NodePath) -> bool:
    """Say whether a node of the subflow at `path` waits for an operator."""
    prefix = f"{path}/"
    return any(failed.startswith(prefix) for failed in core.state.failed)


def need_failed(core: Core, verb: Verb) -> Refusal | None:
    """Refuse unless the node has failed; a subflow also when a node in it has."""
    is_subflow = isinstance(core.place(verb.node).node, Subflow)
    if is_subflow and status_of(core, verb.node) in ("running", "suspended"):
        if failed_inside(core, verb.node):
            return None
        return Refusal("wrong_state", f"no node inside subflow {verb.node!r} has failed")
    return need(core, verb, "failed")


def check_retry(core: Core, verb: Verb) -> Refusal | None:
    """Require a failed node that may be retried, and inputs that make sense."""
    if not verb.node:
        return refuse_kind(core, verb, "a failed node")
    node = core.place(verb.node).node
    if isinstance(node, Task):
        if not node.retryable:
            return Refusal("not_allowed", f"can not retry node {verb.node!r}: not retryable")
        if verb.this_pass and not (node.loop and node.loop.retryable):
            return Refusal("not_allowed", f"node {verb.node!r} can not retry a single pass")
    elif verb.inputs is not None or verb.set_inputs:
        return Refusal("wrong_value", f"a {kind_of(core, verb.node)} has no inputs to change")
    given = {**(verb.inputs or {}), **(verb.set_inputs or {})}
    return refuse_broken(given) or need_failed(core, verb)


def check_skip(core: Core, verb: Verb) -> Refusal | None:
    """Require a failed task, start event or subflow that may be skipped."""
    if not verb.node:
        return refuse_kind(core, verb, "a failed node")
    node = core.place(verb.node).node
    if isinstance(node, Task):
        if not node.skippable:
            return Refusal("not_allowed", f"can not skip node {verb.node!r}: not skippable")
        if verb.this_pass and not (node.loop and node.loop.skippable):
            return Refusal("not_allowed", f"node {verb.node!r} can not skip a single pass")
    elif not isinstance(node, Start | Subflow):
        hint = "choose" if isinstance(node, Exclusive | ConditionalParallel) else "retry"
        wanted = f"a task, a subflow or a start event (use {hint})"
        return refuse_kind(core, verb, wanted)
    return need_failed(core, verb)


def check_choose(core: Core, verb: Verb) -> Refusal | None:
    """Require a failed gateway with conditions, and branches that it has."""
    node = core.place(verb.node).node if verb.node else None
    if not isinstance(node, Exclusive | ConditionalParallel):
        return refuse_kind(core, verb, "a failed exclusive or conditional gateway")
    return need(core, verb, "failed") or check_branches(node, verb)


def check_branches(node: Exclusive | ConditionalParallel, verb: Verb) -> Refusal | None:
    """Require branches that the gateway has, one of them where it is exclusive."""
    known = ways_of(node)
    if not verb.branches:
        return Refusal("no_branch", f"choose at least one branch of {verb.node!r}: {list(known)}")
    if isinstance(node, Exclusive) and len(verb.branches) > 1:
        return Refusal("no_branch", f"exclusive gateway {verb.node!r} takes one branch")
    strange = [branch for branch in verb.branches if branch not in known]
    if strange:
        text = f"gateway {verb.node!r} has no branch {strange[0]!r}; it has {list(known)}"
        return Refusal("no_branch", text)
    return None


def ways_of(node: Exclusive | ConditionalParallel) -> dict[str, Branch]:
    """Return a gateway's branches by edge id, the default included."""
    ways = {branch.edge: branch for branch in node.branches}
    if node.default is not None:
        ways[node.default.edge] = node.default
    return ways


def check_force_fail(core: Core, verb: Verb) -> Refusal | None:
    """Require a task that is running."""
    if not verb.node or not isinstance(core.place(verb.node).node, Task):
        return refuse_kind(core, verb, "a running task")
    return need(core, verb, "running")


def check_callback(core: Core, verb: Verb) -> Refusal | None:
    """Require a task that waits, or may still wait, for a callback of this attempt."""
    if not verb.node or not isinstance(core.place(verb.node).node, Task):
        return refuse_kind(core, verb, "a task that waits for a callback")
    found = core.state.nodes.get(verb.node)
    if verb.token is not None and verb.token > (found.entry if found else 0):
        text = f"attempt {verb.token} of {verb.node!r}, which the callback is for, has not begun"
        return Refusal("not_reached", text)
    if found is None or verb.node not in core.state.live:
        have = status_of(core, verb.node)
        return Refusal("not_waiting", f"node {verb.node!r} waits for no callback, it is {have}")
    if verb.token not in (None, found.entry):
        text = f"the callback is for attempt {verb.token} of {verb.node!r}, now is {found.entry}"
        return Refusal("stale", text)
    if found.status != "running":
        return Refusal("wrong_state", f"node {verb.node!r} is {found.status}, not waiting")
    return check_inbox(core, verb)


def check_inbox(core: Core, verb: Verb) -> Refusal | None:
    """Refuse a callback that the plugin will not take: a second one, or one to a timer."""
    task = core.place(verb.node).node
    live = core.state.live[verb.node]
    traits = core.traits(task.plugin) if isinstance(task, Task) else None
    if traits is not None and traits.inline in ("timer", "display"):
        return Refusal("wrong_state", f"node {verb.node!r} takes no callback")
    several = traits is not None and traits.multiple_callbacks
    if live.early and not several:
        return Refusal("wrong_state", f"node {verb.node!r} already has its callback")
    answering = live.phase == "calling" and live.answering
    if answering and not several:
        return Refusal("wrong_state", f"node {verb.node!r} is already working on its callback")
    return None


def check_pause_node(core: Core, verb: Verb) -> Refusal | None:
    """Require a node that has not started."""
    if not verb.node or isinstance(core.place(verb.node).node, Subflow):
        return refuse_kind(core, verb, "a single node (pause takes a subflow)")
    have = status_of(core, verb.node)
    if have in ("not reached", "ready"):
        return None
    text = f"node {verb.node!r} is {have}; only a node that has not started can be held"
    return Refusal("wrong_state", text)


def check_resume_node(core: Core, verb: Verb) -> Refusal | None:
    """Require a node that is held; one that was never reached is free anyway."""
    if not verb.node or isinstance(core.place(verb.node).node, Subflow):
        return refuse_kind(core, verb, "a single node (resume takes a subflow)")
    have = status_of(core, verb.node)
    if have in ("not reached", "suspended"):
        return None
    return Refusal("wrong_state", f"node {verb.node!r} is {have}, not held")


def check_set_timer(core: Core, verb: Verb) -> Refusal | None:
    """Require a node that waits for a time, and a time."""
    live = core.state.live.get(verb.node)
    if not verb.node or live is None or live.phase not in ("sleeping", "retrying"):
        return Refusal("wrong_state", f"node {verb.node!r} does not wait for a time")
    try:
        deadline_of(verb.data, core.now, core.settings.timezone, allow_past=True)
    except ValueError as wrong:
        return Refusal("wrong_value", str(wrong))
    return None


def check_set_variables(core: Core, verb: Verb) -> Refusal | None:
    """Require the run or a subflow, and something to set."""
    if verb.node not in core.program.flows:
        return refuse_kind(core, verb, "the run or a subflow")
    if not verb.values and not verb.variables:
        return Refusal("wrong_value", "set_variables needs values: {name: value, ...}")
    return refuse_broken(verb.values)


def refuse_broken(values: Mapping[str, JsonValue]) -> Refusal | None:
    """Refuse values that no run can hold."""
    for name, value in values.items():
        if broken := unholdable(value):
            return Refusal("wrong_value", f"{shown(name)} is {broken}; give it something else")
    return None


def check_rerun(core: Core, verb: Verb) -> Refusal | None:
    """Require a node that was reached, in a flow under way, outside of any fork."""
    if not verb.node or isinstance(core.place(verb.node).node, End):
        return refuse_kind(core, verb, "a node before the end")
    if core.state.nodes.get(verb.node) is None or core.state.nodes[verb.node].entry == 0:
        return Refusal("not_reached", f"node {verb.node!r} was not reached yet")
    flow_path = parent_path(verb.node)
    if status_of(core, flow_path) not in ("running", "suspended"):
        return Refusal("wrong_state", f"subflow {flow_path!r} is not under way; rerun from it")
    if flow_path and core.state.live[flow_path].phase != "inside":
        return Refusal("wrong_state", f"subflow {flow_path!r} is just being entered; wait")
    around = fork_around(core, verb.node)
    if around is not None:
        text = f"node {verb.node!r} stands inside fork {around!r}; rerun from the fork"
        return Refusal("wrong_kind", text)
    return None


def fork_around(core: Core, path: NodePath) -> NodePath | None:
    """Return a fork between whose branches and converge a node stands, or None."""
    place = core.place(path)
    for node in place.flow.nodes.values():
        if isinstance(node, Parallel | ConditionalParallel):
            seen = dict.fromkeys(target for target in targets_of(node) if target != node.converge)
            todo = list(seen)
            while todo:
                for target in targets_of(place.flow.nodes[todo.pop()]):
                    if target != node.converge and target not in seen:
                        seen[target] = None
                        todo.append(target)
            if place.node.id in seen:
                return join_path(place.flow_path, node.id)
    return None
