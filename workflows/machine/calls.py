"""A step of a plugin, put together from what is known of its node."""

from typing import Final

from pydantic import JsonValue

from activities.contract import PluginTraits, Unresolved
from translator.plan import NodePath, Task
from workflows.machine.core import Core, Resolved
from workflows.machine.events import RunTask, Step
from workflows.machine.flow import Pass

NOTHING_LEFT: Final = Unresolved()
"""Made once: a model made for every node would cost as much as the rest of its step."""


def gather_inputs(core: Core, path: NodePath, task: Task) -> Resolved | Unresolved:
    """Resolve the rendered inputs; loop counters that the node maps already have their new value.

    Source: bamboo-engine ServiceActivityHandler.
    """
    inputs = core.inputs_of(path, task)
    seen = seen_counters(core, pass_of(core, path)) if inputs.counted else {}
    also: dict[str, JsonValue] = {w.variable: seen[w.output] for w in inputs.counted}
    return core.gather(core.place(path).flow_path, inputs.rendered, also)


def pass_of(core: Core, path: NodePath) -> Pass:
    """Return which execution of a node is under way."""
    found = core.state.nodes[path]
    return Pass(found.entry, found.loop, found.inner_loop)


def seen_counters(core: Core, which: Pass) -> dict[str, int]:
    """Return the loop counters as a plugin sees them in its inputs, the offset applied."""
    offset = core.settings.loop_offset
    return {"_loop": which.loop + offset, "_inner_loop": which.inner_loop + offset}


def put_step(  # noqa: PLR0913  the one place that puts a step together
    core: Core,
    path: NodePath,
    task: Task,
    traits: PluginTraits,
    step: Step,
    *,
    unresolved: Unresolved = NOTHING_LEFT,
    data: JsonValue = None,
) -> RunTask:
    """Put one step of a plugin together from what is known of the node."""
    live = core.state.live[path]
    seen = seen_counters(core, pass_of(core, path))
    return RunTask(
        path=path,
        entry=core.state.nodes[path].entry,
        name=task.name,
        plugin=task.plugin,
        traits=traits,
        step=step,
        inputs=live.rendered,
        unresolved=unresolved,
        raw=tuple(core.inputs_of(path, task).raw),
        loop=seen["_loop"],
        inner_loop=seen["_inner_loop"],
        executor=task.executor,
        handle=live.handle,
        outputs=live.outputs,
        data=data,
        after_s=live.after_s if step == "poll" else 0,
    )
