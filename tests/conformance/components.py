"""The test components of the recorded cases, as functions from a step to an outcome."""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from activities.contract import (
    Done,
    Failed,
    Outcome,
    PluginTraits,
    Polling,
    RunSettings,
    Waiting,
)
from translator.plan import Plan, PluginRef, Subflow, Task
from workflows.machine.events import RunTask

COUNTERS = ("_loop", "_inner_loop")
POLL_S = 5

TYPES: Mapping[str, Any] = {
    "v_int": 7,
    "v_float": 1.5,
    "v_true": True,
    "v_false": False,
    "v_none": None,
    "v_str": "text",
    "v_empty": "",
    "v_list": [1, "b", None],
    "v_dict": {"k": 1, "n": {"m": [2]}},
    "v_cn": "中文",
    "v_numstr": "42",
}


class Components:
    """The components of one case; counts calls by node, as the recorder did."""

    def __init__(self, root_data: Mapping[str, Any]) -> None:
        self.root_data = dict(root_data)
        self.executed: Counter[str] = Counter()
        self.scheduled: Counter[str] = Counter()
        self.lazy_counts: Counter[str] = Counter()

    def perform(self, node: str, step: RunTask, inputs: Mapping[str, Any]) -> Outcome:
        """Do one step of a component."""
        if step.step == "stop":
            return Done()
        if step.step == "call":
            self.executed[node] += 1
        else:
            self.scheduled[node] += 1
        try:
            return COMPONENTS[step.plugin.code](self, node, step, inputs)
        except ValueError as raised:
            kept = {} if step.step == "call" else dict(step.outputs)
            echo = echoed(inputs) if step.step == "call" else {}
            text = f"Traceback\n{type(raised).__name__}: {raised}"
            attempt = {"attempt": self.executed[node]} if step.plugin.code == "raise" else {}
            return Failed(error=text, outputs={**echo, **attempt, **kept}, inputs=dict(inputs))

    async def lazy(self, code: str, value: Any) -> Any:
        """Compute a lazy variable."""
        match code:
            case "lazy_upper":
                return str(value).upper()
            case "lazy_box":
                return {"v": value, "type": type(value).__name__}
            case "lazy_root":
                return self.root_data.get(value)
            case "lazy_count":
                self.lazy_counts[str(value)] += 1
                return self.lazy_counts[str(value)]
            case "lazy_raise":
                raise LookupError(f"lazy boom: {value}")
            case _:
                raise LookupError(f"unknown lazy variable type {code!r}")


def echoed(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the inputs without the loop counters."""
    return {key: value for key, value in inputs.items() if key not in COUNTERS}


def echo(_: Components, node: str, step: RunTask, inputs: Mapping[str, Any]) -> Outcome:
    extra = {"component_version": "v2"} if step.plugin.version == "v2" else {}
    return Done(outputs={**echoed(inputs), **extra}, inputs=dict(inputs))


def fail(box: Components, node: str, step: RunTask, inputs: Mapping[str, Any]) -> Outcome:
    attempt = box.executed[node]
    outputs = {**echoed(inputs), "attempt": attempt}
    if attempt <= int(inputs.get("fail_times", 1)):
        error = f"planned failure {attempt}"
        return Failed(error=error, outputs=outputs, inputs=dict(inputs))
    return Done(outputs=outputs, inputs=dict(inputs))


def raises(box: Components, node: str, step: RunTask, inputs: Mapping[str, Any]) -> Outcome:
    times = inputs.get("raise_times")
    if times is None or box.executed[node] <= int(times):
        raise ValueError(inputs.get("message") or "boom")
    outputs = {**echoed(inputs), "attempt": box.executed[node]}
    return Done(outputs=outputs, inputs=dict(inputs))


def ret(_: Components, node: str, step: RunTask, inputs: Mapping[str, Any]) -> Outcome:
    value = inputs.get("ret")
    if value or value is None:
        result = True if value is None else value
        return Done(outputs=echoed(inputs), result=result, inputs=dict(inputs))
    return Failed(error="", outputs=echoed(inputs), result=value, inputs=dict(inputs))


def types(_: Components, node: str, step: RunTask, inputs: Mapping[str, Any]) -> Outcome:
    return Done(outputs=dict(TYPES), inputs=dict(inputs))


def root(box: Components, node: str, step: RunTask, inputs: Mapping[str, Any]) -> Outcome:
    return Done(outputs={"root": box.root_data}, inputs=dict(inputs))


def loopinfo(box: Components, node: str, step: RunTask, inputs: Mapping[str, Any]) -> Outcome:
    seen = {"seen_loop": inputs.get("_loop"), "seen_inner_loop": inputs.get("_inner_loop")}
    outputs = {**echoed(inputs), **seen, "calls": box.executed[node]}
    return Done(outputs=outputs, inputs=dict(inputs))


def sched(box: Components, node: str, step: RunTask, inputs: Mapping[str, Any]) -> Outcome:
    if step.step == "call":
        failing = box.executed[node] <= int(inputs.get("fail_execute_times", 0))
        outputs = {**echoed(inputs), "polls": 0}
        if failing:
            return Failed(error="planned execute failure", outputs=outputs, inputs=dict(inputs))
        return Polling(handle="h", after_s=0, outputs=outputs, inputs=dict(inputs))
    polls = int(step.outputs["polls"]) + 1  # pyright: ignore[reportArgumentType]
    total = box.scheduled[node]
    told: dict[str, Any] = {"polls": polls}
    if total == int(inputs.get("raise_at_total", -1)):
        text = "Traceback\nRuntimeError: planned schedule exception"
        return Failed(error=text, outputs=told)
    if total == int(inputs.get("fail_at_total", -1)) or polls == int(inputs.get("fail_at", -1)):
        return Failed(error="planned schedule failure", outputs=told)
    if polls >= int(inputs.get("times", 1)):
        return Done(outputs=told)
    return Polling(handle="h", after_s=POLL_S, outputs=told)


def callback(_: Components, node: str, step: RunTask, inputs: Mapping[str, Any]) -> Outcome:
    if step.step == "call":
        return Waiting(outputs=echoed(inputs), inputs=dict(inputs))
    told = {"callback": step.data}
    if isinstance(step.data, dict) and step.data.get("raise"):
        return Failed(error="Traceback\nRuntimeError: planned callback exception", outputs=told)
    if isinstance(step.data, dict) and step.data.get("fail"):
        return Failed(error="planned callback failure", outputs=told)
    return Done(outputs=told)


def multi_callback(_: Components, node: str, step: RunTask, inputs: Mapping[str, Any]) -> Outcome:
    if step.step == "call":
        return Waiting(outputs={**echoed(inputs), "received": []}, inputs=dict(inputs))
    earlier: Any = step.outputs["received"]
    received = [*earlier, step.data]
    told: dict[str, Any] = {"received": received}
    if isinstance(step.data, dict) and step.data.get("raise"):
        return Failed(error="Traceback\nRuntimeError: planned callback exception", outputs=told)
    if isinstance(step.data, dict) and step.data.get("fail"):
        return Failed(error="planned callback failure", outputs=told)
    if len(received) >= int(inputs.get("need", 2)):
        return Done(outputs=told)
    return Waiting(outputs=told)


Component = Callable[[Components, str, RunTask, Mapping[str, Any]], Outcome]
COMPONENTS: Mapping[str, Component] = {
    "echo": echo,
    "sleep": echo,
    "fail": fail,
    "raise": raises,
    "ret": ret,
    "types": types,
    "root": root,
    "loopinfo": loopinfo,
    "sched": sched,
    "callback": callback,
    "multi_callback": multi_callback,
}


def settings_for(plan: Plan, config: Mapping[str, Any]) -> RunSettings:
    """Return the settings of a case: the components that it names, and the engine's own."""
    traits: dict[str, PluginTraits] = {}
    todo = [plan.flow]
    while todo:
        for node in todo.pop().nodes.values():
            if isinstance(node, Subflow):
                todo.append(node.flow)
            elif isinstance(node, Task) and node.plugin.code in COMPONENTS:
                add_traits(traits, node.plugin)
    return RunSettings(
        traits=traits,
        rerun_limit=config.get("rerun_limit", 100),
        loop_offset=config.get("rerun_index_offset", 0),
        first_hit=config.get("exclusive_strategy", 1) == 2,
    )


def add_traits(traits: dict[str, PluginTraits], plugin: PluginRef) -> None:
    """Note the traits of a component."""
    several = plugin.code == "multi_callback"
    traits[f"{plugin.code}/{plugin.version}"] = PluginTraits(
        plugin=plugin, multiple_callbacks=several, idempotent=True
    )
