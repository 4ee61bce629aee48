"""A task from start to end: inputs, the plugin's answers, timers, callbacks, its own loop."""

from collections.abc import Mapping
from typing import Final, assert_never

from pydantic import JsonValue

from activities.contract import (
    NOTE_CHARS,
    Done,
    Failed,
    Outcome,
    PluginTraits,
    Polling,
    Unresolved,
    Waiting,
)
from translator.plan import LoopConfig, NodePath, Task
from translator.values import ReferenceCycle, source
from workflows.machine import batches, children, telling
from workflows.machine.calls import NOTHING_LEFT, gather_inputs, pass_of, put_step, seen_counters
from workflows.machine.core import Brought, Core, Resolved
from workflows.machine.events import CancelNode, SetTimer
from workflows.machine.flow import fail, send
from workflows.machine.state import Live
from workflows.machine.timing import deadline_of

TIMED_OUT: Final = (
    "The node has been terminated by the system due to exceeding the 'Timeout Setting'."
)

ENDED_WELL: Final = Done()
"""Made once: a model made for every node would cost as much as the rest of its step."""


# --- start ------------------------------------------------------------------------------------


def enter_task(core: Core, path: NodePath, task: Task) -> None:
    """Start a task; its time limit, if any, counts from here."""
    limit(core, path, task)
    call(core, path, task)


def limit(core: Core, path: NodePath, task: Task) -> None:
    """Let a task's time limit, if it has one, count from now."""
    if task.timeout is not None:
        core.state.live[path].timeout_at = core.now + task.timeout.after_s
        rearm_timeout(core, path, task)


def call(core: Core, path: NodePath, task: Task) -> None:
    """Find a task's inputs, then call its plugin or do what it does inline."""
    brought = core.brought_to(path, core.state.nodes[path].entry)
    if brought is not None:
        land(core, path, task, brought)
        return
    traits = core.traits_of(task)
    if traits is None:
        end_failed(core, path, task, Failed(error=unknown_plugin(task)))
        return
    if traits.inline in ("", "child") and not core.has_slot():
        core.set_phase(path, "queued")
        core.state.queued.append(path)
        return
    try:
        gathered = gather_inputs(core, path, task)
    except ReferenceCycle as cycle:
        end_failed(core, path, task, rendering_failed(str(cycle)))
        return
    if isinstance(gathered, Resolved):
        take_resolved(core, path, task, traits, gathered)
    elif traits.inline:
        core.ask(path, gathered)
    else:
        request(core, path, task, traits, gathered)


def land(core: Core, path: NodePath, task: Task, brought: Brought) -> None:
    """Take the outcome of a task that has run already, with the call of one before it."""
    live = core.set_phase(path, "calling")
    live.rendered = dict(brought.step.inputs)
    take_outcome(core, path, task, brought.outcome)


def call_again(core: Core, path: NodePath, task: Task) -> None:
    """Call a task anew whose call was cut short before anybody had begun it."""
    core.set_phase(path, "inside")
    call(core, path, task)


def take_resolved(
    core: Core, path: NodePath, task: Task, traits: PluginTraits, gathered: Resolved
) -> None:
    """Go on with inputs that the workflow has resolved, and tell of what stays unfilled in them."""
    reason = ""
    if gathered.left:
        reason = telling.tell(core, path, "input", gathered.left, traits.secrets)
    if reason:
        end_failed(core, path, task, rendering_failed(reason))
    else:
        supply(core, path, task, traits, gathered.values)


def unknown_plugin(task: Task) -> str:
    """Say that the workers do not have a task's plugin."""
    plugin = task.plugin
    return (
        f"unknown plugin {plugin.code!r} version {plugin.version!r}: no worker has it; "
        "install it on the workers and start the run anew, or skip this node"
    )


def rendering_failed(reason: str) -> Failed:
    """Word the failure of a node whose inputs cannot be rendered, as the real engine does."""
    error = f"inputs hydrate failed({reason}), check node log for details"
    return Failed(error=error, rendering=True)


def supply(
    core: Core,
    path: NodePath,
    task: Task,
    traits: PluginTraits,
    rendered: Mapping[str, JsonValue],
) -> None:
    """Go on with rendered inputs: the counters win over them, the raw inputs over both."""
    live = core.state.live[path]
    seen = seen_counters(core, pass_of(core, path))
    live.rendered = {**rendered, **seen, **core.inputs_of(path, task).raw}
    if traits.inline:
        start_inline(core, path, task, traits)
    else:
        request(core, path, task, traits, NOTHING_LEFT)


def request(
    core: Core, path: NodePath, task: Task, traits: PluginTraits, unresolved: Unresolved
) -> None:
    """Ask for the plugin's call; the activity renders what the workflow could not."""
    live = core.set_phase(path, "calling")
    if unresolved.values:
        live.rendered = core.inputs_of(path, task).raw
    step = put_step(core, path, task, traits, "call", unresolved=unresolved)
    core.commands.append(batches.with_followers(core, step, task))


def start_inline(core: Core, path: NodePath, task: Task, traits: PluginTraits) -> None:
    """Do what a plugin without an activity does: nothing, wait for a person, wait for a time."""
    live = core.state.live[path]
    match traits.inline:
        case "pause":
            wait(core, path, task, Waiting(inputs=live.rendered))
        case "timer":
            sleep(core, path, task, traits)
        case "child":
            children.begin(core, path, task)
        case "display" | "":
            end_well(core, path, task, ENDED_WELL)
        case _:
            assert_never(traits.inline)


def sleep(core: Core, path: NodePath, task: Task, traits: PluginTraits) -> None:
    """Arm the timer of a node that waits for a time."""
    live = core.state.live[path]
    timing = live.rendered.get(traits.inline_input)
    allow_past = not live.rendered.get("force_check", True)
    try:
        live.deadline = deadline_of(timing, core.now, core.settings.timezone, allow_past=allow_past)
    except ValueError as wrong:
        end_failed(core, path, task, Failed(error=f"{traits.inline_input}: {wrong}"))
        return
    core.set_phase(path, "sleeping")
    show_progress(core, path, live, None)
    entry = core.state.nodes[path].entry
    core.commands.append(SetTimer(path, entry, "wait", live.deadline, task.name))


# --- answers ----------------------------------------------------------------------------------


def take_outcome(core: Core, path: NodePath, task: Task, outcome: Outcome) -> None:
    """Go on from what a step of the plugin answered."""
    live = core.state.live[path]
    live.answering = False
    if outcome.inputs is not None:
        live.rendered = dict(outcome.inputs)
    telling.keep(core.state, path, outcome.warnings)
    if outcome.note:
        core.state.nodes[path].note = outcome.note[:NOTE_CHARS]
    match outcome:
        case Done():
            end_well(core, path, task, outcome)
        case Failed():
            end_failed(core, path, task, outcome)
        case Polling():
            poll(core, path, task, outcome)
        case Waiting():
            wait(core, path, task, outcome)
        case _:
            assert_never(outcome)


def release(core: Core) -> None:
    """Give a free slot to the tasks that wait for one, first come first served."""
    while core.state.queued and core.has_slot():
        path = core.state.queued.pop(0)
        node = core.place(path).node
        core.state.live[path].phase = "inside"  # it has left the queue
        if isinstance(node, Task):
            call(core, path, node)


def show_progress(
    core: Core, path: NodePath, live: Live, outputs: Mapping[str, JsonValue] | None
) -> None:
    """Keep what the plugin has told so far; it reaches no variable before the node ends."""
    if outputs:
        live.outputs = {**live.outputs, **outputs}
    core.record(path, live.rendered, {**live.outputs, "_result": True, **core.counters(path)})


def poll(core: Core, path: NodePath, task: Task, outcome: Polling) -> None:
    """Look at the outside work again, later."""
    live = core.set_phase(path, "polling")
    live.handle, live.after_s = outcome.handle, outcome.after_s
    show_progress(core, path, live, outcome.outputs)
    if live.early:
        answer_callback(core, path, task, live.early.pop(0))
        return
    poll_again(core, path, task)


def poll_again(core: Core, path: NodePath, task: Task) -> None:
    """Ask for a poll by the handle at hand."""
    traits = core.traits(task.plugin) or PluginTraits(plugin=task.plugin)
    core.commands.append(put_step(core, path, task, traits, "poll"))


def wait(core: Core, path: NodePath, task: Task, outcome: Waiting) -> None:
    """Wait for a callback, or take one that came early."""
    live = core.set_phase(path, "waiting")
    live.handle = outcome.handle
    show_progress(core, path, live, outcome.outputs)
    if live.early:
        answer_callback(core, path, task, live.early.pop(0))


def answer_callback(core: Core, path: NodePath, task: Task, data: JsonValue) -> None:
    """Hand a callback to a node that waits for it (or polls)."""
    traits = core.traits(task.plugin) or PluginTraits(plugin=task.plugin)
    if traits.inline:
        end_well(core, path, task, Done(outputs={"callback_data": data}))
        return
    if core.state.live[path].phase == "polling":
        core.commands.append(CancelNode(path, core.state.nodes[path].entry))
        rearm_timeout(core, path, task)
    core.set_phase(path, "calling").answering = True
    core.commands.append(put_step(core, path, task, traits, "callback", data=data))


def rearm_timeout(core: Core, path: NodePath, task: Task) -> None:
    """Set the time limit's timer again after everything of the node was cancelled."""
    live = core.state.live[path]
    if live.timeout_at:
        entry = core.state.nodes[path].entry
        core.commands.append(SetTimer(path, entry, "timeout", live.timeout_at, task.name))


# --- end --------------------------------------------------------------------------------------


def end_well(core: Core, path: NodePath, task: Task, outcome: Done) -> None:
    """Finish a node: its outputs reach the variables, its token goes on."""
    live = core.state.live[path]
    outputs = {
        **live.outputs,
        **outcome.outputs,
        "_result": outcome.result,
        **core.counters(path),
    }
    core.record(path, live.rendered, outputs)
    finish(core, path, task, outputs)


def end_failed(core: Core, path: NodePath, task: Task, outcome: Failed) -> None:
    """Fail a node, or go on where its failure is ignorable; both export its outputs.

    A failure to render is not ignorable and exports nothing.
    Source: bamboo-engine ServiceActivityHandler.
    """
    live = core.state.live[path]
    outputs = {
        **live.outputs,
        **outcome.outputs,
        "_result": outcome.result,
        **core.counters(path),
        "ex_data": outcome.error,
    }
    if outcome.rendering:
        inputs = core.inputs_of(path, task)
        shown = {key: source(value) for key, value in inputs.rendered.items()}
        core.record(path, {**shown, **inputs.raw}, outputs)
        give_up(core, path, task, outcome.error)
        return
    core.record(path, live.rendered, outputs)
    if task.error_ignorable or (task.loop is not None and task.loop.fail_skip):
        core.state.nodes[path].error_ignored = True
        finish(core, path, task, outputs)
        return
    if task.loop is None:
        core.export(path, task.writes, outputs)
    else:
        collect(core, path, task, task.loop, outputs)
    live.outputs = {**live.outputs, **outcome.outputs}
    give_up(core, path, task, outcome.error)


def give_up(core: Core, path: NodePath, task: Task, error: str) -> None:
    """Let a failed node wait for its automatic retry, or for a person."""
    stop_clocks(core, path)
    found = core.state.nodes[path]
    retries = task.auto_retry
    if retries is None or found.auto_retries >= retries.times:
        fail(core, path, error)
        return
    found.auto_retries += 1
    live = core.set_phase(path, "retrying")
    live.error = error
    live.deadline = core.now + retries.interval_s
    core.change(path, "failed")
    core.commands.append(SetTimer(path, found.entry, "retry", live.deadline, task.name))


def stop_clocks(core: Core, path: NodePath) -> None:
    """Cancel the time limit of a node that has come to an end."""
    live = core.state.live[path]
    if live.timeout_at:
        live.timeout_at = 0
        core.commands.append(CancelNode(path, core.state.nodes[path].entry))


def finish(core: Core, path: NodePath, task: Task, outputs: Mapping[str, JsonValue]) -> None:
    """Export the outputs, then go on: to the next node, or to the next pass of the own loop."""
    stop_clocks(core, path)
    if task.loop is None:
        core.export(path, task.writes, outputs)
    else:
        collect(core, path, task, task.loop, outputs)
    core.change(path, "finished")
    move_on(core, path, task)


def move_on(core: Core, path: NodePath, task: Task, *, end_loop: bool = False) -> None:
    """Send the token of a task that has ended to where it goes next."""
    live = core.close(path)
    again = (
        not end_loop
        and task.loop is not None
        and core.state.nodes[path].inner_loop < task.loop.times
    )
    target = path if again else core.place(path).next
    if live is not None:
        send(core, live.token, target)


def collect(
    core: Core,
    path: NodePath,
    task: Task,
    loop: LoopConfig,
    outputs: Mapping[str, JsonValue],
) -> None:
    """Append a pass of a node's own loop to the list that it collects.

    Source: bamboo-engine 3 loop_config: ordinary output mapping is off for such nodes.
    """
    wanted = {write.variable for write in task.writes}
    if loop.outputs_key is None or loop.outputs_key not in wanted:
        return
    flow_path = core.place(path).flow_path
    passes = collected(core, path, loop)
    own = outputs.get("outputs")
    item: dict[str, JsonValue] = dict(own) if isinstance(own, dict) else {}
    item["result"] = outputs["_result"]
    item["inner_loop"] = core.state.nodes[path].inner_loop
    core.write(flow_path, loop.outputs_key, [*passes, item], "output", path)


def collected(core: Core, path: NodePath, loop: LoopConfig) -> list[JsonValue]:
    """Return the passes that a node's own loop has collected so far."""
    if loop.outputs_key is None:
        return []
    passes = core.state.written.get(core.place(path).flow_path, {}).get(loop.outputs_key)
    return passes if isinstance(passes, list) else []


def take_back_pass(core: Core, path: NodePath, task: Task) -> None:
    """Take back the last pass that a node's own loop has collected: it is done again."""
    passes = collected(core, path, task.loop) if task.loop else []
    if passes and task.loop and task.loop.outputs_key is not None:
        flow_path = core.place(path).flow_path
        core.write(flow_path, task.loop.outputs_key, passes[:-1], "output", path)


# --- timers -----------------------------------------------------------------------------------


def wake(core: Core, path: NodePath, task: Task) -> None:
    """End a node that waited for a time."""
    end_well(core, path, task, Done())


def run_out(core: Core, path: NodePath, task: Task) -> None:
    """End a node whose time limit is over: it fails, or fails and is skipped."""
    if task.timeout is None or not core.state.live[path].timeout_at:
        return
    if task.timeout.then == "fail":
        force_fail(core, path, task, TIMED_OUT)
        return
    cut_short(core, path, task, TIMED_OUT)
    core.change(path, "failed")
    skip_task(core, path, task)


def force_fail(core: Core, path: NodePath, task: Task, error: str) -> None:
    """Stop a running node and fail it; what it has told so far is kept, variables are not written.

    Source: bamboo-engine Engine.forced_fail_activity; differs: the plugin is told to stop.
    """
    cut_short(core, path, task, error)
    fail(core, path, error)


def cut_short(core: Core, path: NodePath, task: Task, error: str) -> None:
    """Stop what a running node does, here and outside, and note why."""
    live = core.state.live[path]
    core.cancel(path)
    stop_outside(core, path, task, live)
    live.timeout_at = 0
    core.record(path, None, {"ex_data": error, "_forced_failed": True}, merge=True)
    core.set_phase(path, "inside")


def stop_outside(core: Core, path: NodePath, task: Task, live: Live) -> None:
    """Have a plugin stop the work that it started outside."""
    core.leave_child(path, live)
    traits = core.traits(task.plugin)
    if traits is not None and not traits.inline and live.handle is not None:
        core.commands.append(put_step(core, path, task, traits, "stop"))


def skip_task(core: Core, path: NodePath, task: Task, *, end_loop: bool = True) -> None:
    """Pass over a failed task; its outputs stay as they are."""
    core.cancel(path)
    core.change(path, "skipped")
    move_on(core, path, task, end_loop=end_loop)
