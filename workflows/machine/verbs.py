"""What a person can do to a run: one row of `VERBS` each, with its precondition and its effect.

`refusal` says why a verb does not apply now; it changes nothing, and is what the update validator,
the signal journal and the Machine itself ask.
"""

import typing
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from pydantic import JsonValue

from translator.plan import (
    ROOT,
    Branch,
    ConditionalParallel,
    End,
    Exclusive,
    FlowPath,
    Literal,
    NodePath,
    Parallel,
    Start,
    Subflow,
    Task,
    Value,
    Variable,
    join_path,
    parent_path,
    targets_of,
)
from translator.values import classify
from workflows.machine import tasks
from workflows.machine.core import Core
from workflows.machine.events import CancelNode, Finish, SetTimer, Verb, VerbName
from workflows.machine.flow import fork, send
from workflows.machine.timing import deadline_of

ESCAPED: Final = "_escape_render_keys"
EXECUTOR: Final = "__executor_proxy"

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


class VerbRule(NamedTuple):
    """A row of the table: what must hold, and what is done."""

    check: Callable[[Core, Verb], Refusal | None]
    apply: Callable[[Core, Verb], None]
    about: str


def refusal(core: Core, verb: Verb) -> Refusal | None:
    """Say why `verb` does not apply now, or None when it does."""
    root = core.state.nodes.get(ROOT)
    status = root.status if root else "ready"
    if status in ("finished", "failed", "revoked"):
        return Refusal("ended", f"the run is {status}; nothing can be done to it any more")
    if verb.node != ROOT and verb.node not in core.program.places:
        return Refusal("unknown_node", f"there is no node {verb.node!r} in this run")
    return VERBS[verb.name].check(core, verb)


# --- checks -----------------------------------------------------------------------------------


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
    return need_failed(core, verb)


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
    if not verb.node:
        return refuse_kind(core, verb, "a failed exclusive or conditional gateway")
    node = core.place(verb.node).node
    if not isinstance(node, Exclusive | ConditionalParallel):
        return refuse_kind(core, verb, "a failed exclusive or conditional gateway")
    if refused := need(core, verb, "failed"):
        return refused
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
    live = core.state.live.get(verb.node)
    if found is None or live is None:
        have = status_of(core, verb.node)
        return Refusal("not_waiting", f"node {verb.node!r} waits for no callback, it is {have}")
    if verb.token is not None and verb.token != found.entry:
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
    if live.phase == "sleeping":
        return Refusal("wrong_state", f"node {verb.node!r} waits for a time, not for a callback")
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


# --- effects ----------------------------------------------------------------------------------


def pause(core: Core, verb: Verb) -> None:
    """Let nothing new start in a flow; what runs goes on, and its results land."""
    core.change(verb.node, "suspended")
    core.paused[verb.node] = None


def resume(core: Core, verb: Verb) -> None:
    """Let a paused flow go on."""
    core.change(verb.node, "running")
    core.paused.pop(verb.node, None)
    free(core, verb.node)


def free(core: Core, holder: str) -> None:
    """Send on the tokens that something held; another pause may hold them again."""
    core.ready.extend(core.held.pop(holder, []))


def revoke(core: Core, verb: Verb) -> None:
    """End the run for good, or stop a subflow and leave its node failed."""
    if verb.node:
        token = clear_flow(core, verb.node)
        core.paused.pop(verb.node, None)
        live = core.set_phase(verb.node, "inside")
        live.token = token
        live.error = f"stopped by {verb.operator or 'an operator'}"
        core.change(verb.node, "failed")
        core.state.failed[verb.node] = live.error
        tasks.release(core)
        return
    stop_all(core)
    core.end_run(Finish("revoked", {}))


def stop_all(core: Core) -> None:
    """Tell the outside systems to stop what the run started there."""
    for path, live in core.state.live.items():
        node = core.place(path).node
        if isinstance(node, Task) and core.state.nodes[path].status == "running":
            tasks.stop_outside(core, path, node, live)


def clear_flow(core: Core, flow_path: FlowPath) -> str:
    """Stop everything inside a flow; returns the token that entered it, which is left standing."""
    prefix = f"{flow_path}/" if flow_path else ""
    owner = core.state.live[flow_path].token if flow_path else "0"
    for path in [p for p in core.state.live if p.startswith(prefix) and p != flow_path]:
        stop_node(core, path)
    for token_id in [t for t in core.state.tokens if t.startswith(f"{owner}.")]:
        drop_token(core, token_id)
    token = core.state.tokens[owner]
    if token.held_by is not None:
        core.held.get(token.held_by, []).remove(owner)
    token.held_by, token.pending = None, 0
    for path in [p for p in core.paused if p.startswith(prefix) and p != flow_path]:
        core.paused.pop(path)
    return owner


def stop_node(core: Core, path: NodePath) -> None:
    """Stop a live node and mark it so."""
    node, live = core.place(path).node, core.state.live[path]
    if core.state.nodes[path].status == "running":
        core.cancel(path)
        if isinstance(node, Task):
            tasks.stop_outside(core, path, node, live)
    elif live.phase == "retrying":
        core.cancel(path)
    core.close(path)
    core.change(path, "revoked")


def drop_token(core: Core, token_id: str) -> None:
    """Take a token off the board."""
    token = core.state.tokens.pop(token_id)
    if token.held_by is not None:
        core.held.get(token.held_by, []).remove(token_id)


def retry(core: Core, verb: Verb) -> None:
    """Run a failed node again, with other inputs where some are given."""
    node = core.place(verb.node).node
    core.cancel(verb.node)
    if isinstance(node, Subflow) and core.state.nodes[verb.node].status != "failed":
        clear_flow(core, verb.node)
        core.paused.pop(verb.node, None)
    if isinstance(node, Task):
        prepare_task(core, verb, node)
    live = core.close(verb.node)
    found = core.change(verb.node, "ready")
    if not verb.this_pass:
        found.retry += 1
    if live is not None:
        send(core, live.token, verb.node)


def prepare_task(core: Core, verb: Verb, task: Task) -> None:
    """Change the inputs that a retry changes, and wind back the node's own loop."""
    change_inputs(core, verb, task)
    if task.loop is None:
        return
    flow_path = core.place(verb.node).flow_path
    key = task.loop.outputs_key
    passes = tasks.collected(core, verb.node, task.loop)
    if verb.this_pass:
        if key is not None and passes:
            core.write(flow_path, key, passes[:-1])
        return
    found = core.state.nodes[verb.node]
    found.loop = found.inner_loop = 1
    if key is not None and passes:
        core.write(flow_path, key, [])


def change_inputs(core: Core, verb: Verb, task: Task) -> None:
    """Replace a task's inputs for good, or some of them.

    Source: bamboo-engine retry_node with data: new values are rendered, except those named in
    `_escape_render_keys`; differs: what was never rendered stays so, as bk-sops arranges it.
    """
    if verb.inputs is None and not verb.set_inputs:
        return
    values, raw = core.inputs_of(verb.node, task)
    new = {**(verb.inputs or {}), **(verb.set_inputs or {})}
    escaped = new.pop(ESCAPED, [])
    names = escaped if isinstance(escaped, list) else []
    kept = values if verb.inputs is None else only(values, EXECUTOR)
    still_raw = [key for key in kept if key in raw]
    fresh_raw = [key for key in new if key in names or key in task.verbatim]
    declared = core.program.flows[parent_path(verb.node)].variables
    fresh: dict[str, Value] = {
        key: Literal(value=value) if key in fresh_raw else classify(value, declared)
        for key, value in new.items()
    }
    core.state.overrides[verb.node] = {**kept, **fresh}
    core.state.raw_overrides[verb.node] = [key for key in still_raw if key not in fresh] + fresh_raw


def only(values: Mapping[str, Value], key: str) -> dict[str, Value]:
    """Return the one entry of a mapping, if it is there."""
    return {key: values[key]} if key in values else {}


def skip(core: Core, verb: Verb) -> None:
    """Pass over a failed node; a subflow as a whole."""
    node = core.place(verb.node).node
    if isinstance(node, Task):
        tasks.skip_task(core, verb.node, node, end_loop=not verb.this_pass)
        return
    if isinstance(node, Subflow) and core.state.nodes[verb.node].status != "failed":
        clear_flow(core, verb.node)
        core.paused.pop(verb.node, None)
    live = core.close(verb.node)
    core.change(verb.node, "skipped")
    if live is not None and isinstance(node, Start | Subflow):
        send(core, live.token, join_path(core.place(verb.node).flow_path, node.next))


def choose(core: Core, verb: Verb) -> None:
    """Send a failed gateway's token along the branches that a person chose."""
    node = core.place(verb.node).node
    if not isinstance(node, Exclusive | ConditionalParallel):
        return  # refused before
    ways = ways_of(node)
    chosen = [ways[edge].target for edge in verb.branches]
    core.change(verb.node, "skipped")
    if isinstance(node, ConditionalParallel):
        fork(core, verb.node, chosen, node.converge)
        return
    live = core.close(verb.node)
    if live is not None:
        send(core, live.token, join_path(core.place(verb.node).flow_path, chosen[0]))


def force_fail(core: Core, verb: Verb) -> None:
    """Stop a running task and fail it."""
    node = core.place(verb.node).node
    who = verb.operator or "an operator"
    text = verb.reason or f"The node has been terminated by {who}."
    if isinstance(node, Task):
        tasks.force_fail(core, verb.node, node, text)


def callback(core: Core, verb: Verb) -> None:
    """Hand a callback to the node, or keep it until the node can take it."""
    node = core.place(verb.node).node
    live = core.state.live[verb.node]
    if live.phase in ("waiting", "polling") and isinstance(node, Task):
        tasks.answer_callback(core, verb.node, node, verb.data)
    else:
        live.early.append(verb.data)


def pause_node(core: Core, verb: Verb) -> None:
    """Hold a node before it starts."""
    core.change(verb.node, "suspended")


def resume_node(core: Core, verb: Verb) -> None:
    """Free a node that was held."""
    core.change(verb.node, "ready")
    free(core, verb.node)


def set_timer(core: Core, verb: Verb) -> None:
    """Give a waiting node another time."""
    path, live = verb.node, core.state.live[verb.node]
    timezone = core.settings.timezone
    live.deadline = deadline_of(verb.data, core.now, timezone, allow_past=True)
    node, entry = core.place(path).node, core.state.nodes[path].entry
    core.commands.append(CancelNode(path, entry))
    kind = "wait" if live.phase == "sleeping" else "retry"
    core.commands.append(SetTimer(path, entry, kind, live.deadline, node.name))
    if isinstance(node, Task):
        tasks.rearm_timeout(core, path, node)


def set_variables(core: Core, verb: Verb) -> None:
    """Give variables of a flow other values; names that the flow does not have are passed over.

    Source: bamboo-engine update_context_values.
    """
    flow_path = verb.node
    known = core.program.flows[flow_path].variables
    for key, value in verb.values.items():
        variable = core.find(flow_path, key) or known.get(key)
        if variable is not None:
            replace(core, flow_path, retype(variable, value, known))
    for key, variable in verb.variables.items():
        if core.find(flow_path, key) is not None:
            replace(core, flow_path, variable)


def retype(variable: Variable, value: JsonValue, declared: Mapping[str, Variable]) -> Variable:
    """Return a variable with another value, read as the variable's own kind reads it.

    A plain variable whose new value refers to others becomes one that is rendered.
    """
    read = classify(value, declared)
    kind = variable.kind
    if kind != "lazy":
        kind = "plain" if isinstance(read, Literal) else "splice"
    return variable.model_copy(update={"kind": kind, "value": read})


def replace(core: Core, flow_path: FlowPath, variable: Variable) -> None:
    """Put another definition in place of a flow's variable."""
    if variable.kind == "plain" and isinstance(variable.value, Literal):
        core.write(flow_path, variable.key, variable.value.value)
        return
    core.state.written.get(flow_path, {}).pop(variable.key, None)
    core.state.retyped.setdefault(flow_path, {})[variable.key] = variable


def rerun_from(core: Core, verb: Verb) -> None:
    """Stop everything in the node's flow and start again at the node."""
    flow_path = parent_path(verb.node)
    owner = clear_flow(core, flow_path)
    found = core.state.nodes[verb.node]
    if found.status not in ("finished", "skipped"):
        core.change(verb.node, "ready")
    send(core, owner, verb.node)
    tasks.release(core)


VERBS: Final[Mapping[VerbName, VerbRule]] = {
    "pause": VerbRule(check_pause, pause, "let nothing new start, in the run or a subflow"),
    "resume": VerbRule(check_resume, resume, "let a paused run or subflow go on"),
    "revoke": VerbRule(check_revoke, revoke, "stop the run for good, or fail a subflow"),
    "retry": VerbRule(check_retry, retry, "run a failed node again, with other inputs if given"),
    "skip": VerbRule(check_skip, skip, "pass over a failed node"),
    "choose": VerbRule(check_choose, choose, "send a failed gateway along chosen branches"),
    "force_fail": VerbRule(check_force_fail, force_fail, "stop a running node and fail it"),
    "callback": VerbRule(check_callback, callback, "hand a waiting node its callback"),
    "pause_node": VerbRule(check_pause_node, pause_node, "hold a node before it starts"),
    "resume_node": VerbRule(check_resume_node, resume_node, "free a node that is held"),
    "set_timer": VerbRule(check_set_timer, set_timer, "give a waiting node another time"),
    "set_variables": VerbRule(check_set_variables, set_variables, "change variables"),
    "rerun_from": VerbRule(check_rerun, rerun_from, "start again from an earlier node"),
}


def allowed_on(core: Core, path: NodePath) -> list[VerbName]:
    """Return the verbs that would be accepted on a node now, as far as the node alone decides."""
    names: list[VerbName] = ["retry", "skip", "force_fail", "callback", "pause_node"]
    names += ["resume_node", "set_timer", "pause", "resume", "revoke", "rerun_from"]
    fitting = [n for n in names if refusal(core, Verb(n, path, data=0)) is None]
    node = core.place(path).node if path else None
    if isinstance(node, Exclusive | ConditionalParallel) and status_of(core, path) == "failed":
        fitting.append("choose")
    return fitting
