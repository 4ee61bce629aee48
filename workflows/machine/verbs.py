"""What a person can do to a run: one row of `VERBS` each, with its precondition and its effect.

`refusal` says why a verb does not apply now; it changes nothing, and is what the update validator,
the signal journal and the Machine itself ask.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace as replaced
from typing import Final, NamedTuple

from pydantic import JsonValue

from translator.plan import (
    ROOT,
    ConditionalParallel,
    Exclusive,
    FlowPath,
    Literal,
    NodePath,
    Start,
    Subflow,
    Task,
    Value,
    Variable,
    join_path,
    parent_path,
)
from translator.values import classify, shown, source
from workflows.machine import batches, checks, children, journal, tasks, telling
from workflows.machine.checks import Refusal
from workflows.machine.core import Core
from workflows.machine.events import CancelNode, Finish, SetTimer, Verb, VerbName
from workflows.machine.flow import fork, send
from workflows.machine.state import Origin
from workflows.machine.timing import deadline_of

ESCAPED: Final = "_escape_render_keys"
EXECUTOR: Final = "__executor_proxy"


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
    way = children.way_of(core, verb)
    if way is None and verb.node != ROOT and verb.node not in core.program.places:
        return Refusal("unknown_node", f"there is no node {shown(verb.node)} in this run")
    if used := journal.other_use(core.state, verb):
        text = f"request id {shown(verb.request_id)} was used before, for {used}; take a fresh one"
        return Refusal("used_before", text)
    if way is not None:
        return checks.check_child(core, way)
    return VERBS[verb.name].check(core, verb)


def carry_out(core: Core, verb: Verb) -> None:
    """Do what a verb asks for: here, or in the child that it is meant for."""
    if (way := children.way_of(core, verb)) is not None:
        children.tell(core, way.holder, way.verb)
    else:
        VERBS[verb.name].apply(core, verb)


# --- effects ----------------------------------------------------------------------------------


def pause(core: Core, verb: Verb) -> None:
    """Let nothing new start in a flow; what runs goes on, and its results land."""
    core.change(verb.node, "suspended")
    core.paused[verb.node] = None
    batches.cut_below(core, verb.node)
    children.tell_all(core, verb)


def resume(core: Core, verb: Verb) -> None:
    """Let a paused flow go on."""
    core.change(verb.node, "running")
    free(core, verb.node)
    children.tell_all(core, verb)


def free(core: Core, holder: str) -> None:
    """Send on the tokens that something held; another pause may hold them again."""
    for token_id in core.held.pop(holder, []):
        core.state.tokens[token_id].held_by = None
        core.ready.append(token_id)


def revoke(core: Core, verb: Verb) -> None:
    """End the run for good, or stop a subflow or a child and leave its node failed."""
    for path in children.below(core, verb.node):
        core.leave_child(path, core.state.live[path], replaced(verb, node=ROOT, request_id=""))
    node = core.place(verb.node).node if verb.node else None
    if isinstance(node, Task):
        tasks.force_fail(core, verb.node, node, f"stopped by {verb.who or 'an operator'}")
        return
    if verb.node:
        core.cancel(verb.node)
        token = clear_flow(core, verb.node)
        core.state.tokens[token].node = verb.node
        live = core.set_phase(verb.node, "inside")
        live.error = f"stopped by {verb.who or 'an operator'}"
        core.change(verb.node, "failed")
        core.state.failed[verb.node] = live.error
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
        take_back(core, token_id)
        del core.state.tokens[token_id]
    take_back(core, owner)
    core.state.tokens[owner].pending = 0
    return owner


def stop_node(core: Core, path: NodePath) -> None:
    """Stop a live node and mark it so."""
    node, live = core.place(path).node, core.state.live[path]
    core.cancel(path)
    if isinstance(node, Task) and core.state.nodes[path].status == "running":
        tasks.stop_outside(core, path, node, live)
    core.close(path)
    core.change(path, "revoked").auto_retries = 0


def take_back(core: Core, token_id: str) -> None:
    """Take a token away from what holds it, and out of the line of those that move."""
    token = core.state.tokens[token_id]
    line = core.ready if token.held_by is None else core.held[token.held_by]
    if token_id in line:
        line.remove(token_id)
    token.held_by = None


def retry(core: Core, verb: Verb) -> None:
    """Run a failed node again, with other inputs where some are given."""
    node = core.place(verb.node).node
    core.cancel(verb.node)
    if isinstance(node, Subflow) and core.state.nodes[verb.node].status != "failed":
        clear_flow(core, verb.node)
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
            core.write(flow_path, key, passes[:-1], "operator", verb.who)
        return
    found = core.state.nodes[verb.node]
    found.loop = found.inner_loop = 1
    if key is not None and passes:
        core.write(flow_path, key, [], "operator", verb.who)


def change_inputs(core: Core, verb: Verb, task: Task) -> None:
    """Replace a task's inputs for good, or some of them.

    Source: bamboo-engine retry_node with data: new values are rendered, except those named in
    `_escape_render_keys`; differs: what was never rendered stays so, as bk-sops arranges it.
    """
    if verb.inputs is None and not verb.set_inputs:
        return
    old = core.inputs_of(verb.node, task)
    new = {**(verb.inputs or {}), **(verb.set_inputs or {})}
    escaped = new.pop(ESCAPED, [])
    names = escaped if isinstance(escaped, list) else []
    kept: dict[str, Value] = {
        **old.rendered,
        **{key: Literal(value=value) for key, value in old.raw.items()},
    }
    if verb.inputs is not None:
        kept = {key: value for key, value in kept.items() if key == EXECUTOR}
    raw = [key for key in new if key in names or key in task.verbatim]
    declared = core.program.flows[parent_path(verb.node)].variables
    fresh: dict[str, Value] = {
        key: Literal(value=value) if key in raw else classify(value, declared)
        for key, value in new.items()
    }
    core.state.overrides[verb.node] = {**kept, **fresh}
    still_raw = [key for key in kept if key in old.raw and key not in fresh]
    core.state.raw_overrides[verb.node] = still_raw + raw


def skip(core: Core, verb: Verb) -> None:
    """Pass over a failed node; a subflow as a whole."""
    node = core.place(verb.node).node
    if isinstance(node, Task):
        allowed = node.loop is not None and node.loop.skippable
        this_pass = allowed if verb.this_pass is None else verb.this_pass
        tasks.skip_task(core, verb.node, node, end_loop=not this_pass)
        return
    if isinstance(node, Subflow) and core.state.nodes[verb.node].status != "failed":
        clear_flow(core, verb.node)
    live = core.close(verb.node)
    core.change(verb.node, "skipped")
    if live is not None and isinstance(node, Start | Subflow):
        send(core, live.token, core.place(verb.node).next)


def choose(core: Core, verb: Verb) -> None:
    """Send a failed gateway's token along the branches that a person chose."""
    node = core.place(verb.node).node
    if not isinstance(node, Exclusive | ConditionalParallel):
        return  # refused before
    ways = checks.ways_of(node)
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
    who = verb.who or "an operator"
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
    batches.cut_before(core, verb.node)


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
    changed: list[Variable] = []
    for key, value in verb.values.items():
        variable = core.find(flow_path, key) or known.get(key)
        if variable is not None:
            changed.append(retype(variable, value, known))
            replace(core, flow_path, changed[-1], "operator", verb.who)
    telling.tell_clear(core, changed)
    for key, variable in verb.variables.items():
        if core.find(flow_path, key) is not None:
            replace(core, flow_path, variable, "operator", verb.who)
    batches.cut_below(core, flow_path)


def retype(variable: Variable, value: JsonValue, declared: Mapping[str, Variable]) -> Variable:
    """Return a variable with another value, read as the variable's own kind reads it.

    A plain variable whose new value refers to others becomes one that is rendered.
    """
    read = classify(rewrapped(variable, value), declared)
    kind = variable.kind
    if kind != "lazy":
        kind = "plain" if isinstance(read, Literal) else "splice"
    return variable.model_copy(update={"kind": kind, "value": read})


def rewrapped(variable: Variable, value: JsonValue) -> JsonValue:
    """Return a choice from options in the form of its variable: the options stay with it.

    Source: bk-sops process_meta_value.
    """
    known = source(variable.value) if variable.code == "text_value_select" else None
    if not isinstance(known, dict) or "meta_data" not in known:
        return value
    is_wrapped = isinstance(value, dict) and "info_value" in value
    return value if is_wrapped else {**known, "info_value": value}


def replace(
    core: Core, flow_path: FlowPath, variable: Variable, origin: Origin, by: str = ""
) -> None:
    """Put another definition in place of a flow's variable."""
    if variable.kind == "plain" and isinstance(variable.value, Literal):
        core.write(flow_path, variable.key, variable.value.value, origin, by)
        return
    core.sign(flow_path, variable.key, origin, by)
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


VERBS: Final[Mapping[VerbName, VerbRule]] = {
    "pause": VerbRule(checks.check_pause, pause, "let nothing new start, in the run or a subflow"),
    "resume": VerbRule(checks.check_resume, resume, "let a paused run or subflow go on"),
    "revoke": VerbRule(checks.check_revoke, revoke, "stop the run for good, or fail a subflow"),
    "retry": VerbRule(checks.check_retry, retry, "run a failed node again"),
    "skip": VerbRule(checks.check_skip, skip, "pass over a failed node"),
    "choose": VerbRule(checks.check_choose, choose, "send a failed gateway along chosen branches"),
    "force_fail": VerbRule(checks.check_force_fail, force_fail, "stop a running node and fail it"),
    "callback": VerbRule(checks.check_callback, callback, "hand a waiting node its callback"),
    "pause_node": VerbRule(checks.check_pause_node, pause_node, "hold a node before it starts"),
    "resume_node": VerbRule(checks.check_resume_node, resume_node, "free a node that is held"),
    "set_timer": VerbRule(checks.check_set_timer, set_timer, "give a waiting node another time"),
    "set_variables": VerbRule(checks.check_set_variables, set_variables, "change variables"),
    "rerun_from": VerbRule(checks.check_rerun, rerun_from, "start again from an earlier node"),
}


OFFERED: Final[tuple[VerbName, ...]] = (
    "retry",
    "skip",
    "force_fail",
    "callback",
    "pause_node",
    "resume_node",
    "set_timer",
    "pause",
    "resume",
    "revoke",
    "rerun_from",
)
"""The verbs that can be asked about without more than a node."""


def allowed_on(core: Core, path: NodePath) -> list[VerbName]:
    """Return the verbs that would be accepted on a node now, as far as the node alone decides."""
    fitting: list[VerbName] = [
        name for name in OFFERED if refusal(core, Verb(name, path, data=0)) is None
    ]
    place = core.program.places.get(path)
    node = place.node if place else None
    is_gateway = isinstance(node, Exclusive | ConditionalParallel)
    if is_gateway and checks.status_of(core, path) == "failed":
        fitting.append("choose")
    return fitting
