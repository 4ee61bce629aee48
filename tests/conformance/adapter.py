"""The engine's vocabulary over ours: trees to plans, operations to verbs, refusals to classes."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from activities.contract import Unresolved
from translator.plan import ROOT, NodePath, Plan, Task, Variable
from translator.values import classify, source
from workflows.machine.calls import gather_inputs
from workflows.machine.checks import Refusal
from workflows.machine.core import Resolved
from workflows.machine.events import Changed, Entered, Recorded, Trace, Verb, VerbName
from workflows.machine.machine import Machine

ENGINE_STATES = {
    "ready": "READY",
    "running": "RUNNING",
    "suspended": "SUSPENDED",
    "finished": "FINISHED",
    "skipped": "FINISHED",
    "failed": "FAILED",
    "revoked": "REVOKED",
}
INVALID, MISSING, ILLEGAL = "InvalidOperationError", "DoesNotExist", "RuntimeError"

# What the engine answers for each of our refusals: by operation, then by code; "" is the rest.
CLASSES: Mapping[str, Mapping[str, str]] = {
    "pause_pipeline": {
        "unknown_node": "NotFoundError",
        "not_reached": "NotFoundError",
        "": ILLEGAL,
    },
    "resume_pipeline": {"unknown_node": MISSING, "not_reached": MISSING, "": INVALID},
    "revoke_pipeline": {
        "unknown_node": "NotFoundError",
        "not_reached": "NotFoundError",
        "": ILLEGAL,
    },
    "pause_node": {"unknown_node": MISSING, "wrong_kind": INVALID, "": ILLEGAL},
    "resume_node": {"unknown_node": MISSING, "wrong_kind": INVALID, "": ILLEGAL},
    "retry_node": {"unknown_node": MISSING, "not_reached": MISSING, "": INVALID},
    "retry_subprocess": {"unknown_node": MISSING, "": INVALID},
    "skip_node": {"unknown_node": MISSING, "not_reached": MISSING, "": INVALID},
    "skip_exclusive_gateway": {"no_branch": "KeyError", "unknown_node": MISSING, "": INVALID},
    "skip_conditional_parallel_gateway": {
        "no_branch": "KeyError",
        "unknown_node": MISSING,
        "": INVALID,
    },
    "forced_fail": {"unknown_node": MISSING, "not_reached": MISSING, "": INVALID},
    "node_timeout": {"": INVALID},
    "callback": {"": INVALID},
    "update_context": {"": MISSING},
}


class Ended(NamedTuple):
    """What a node's execution was when it ended or was given up, for the engine's history."""

    loop: int
    retry: int
    skip: bool


class Recorder:
    """Watches a Machine and keeps what an outcome needs beyond the state."""

    def __init__(self) -> None:
        self.order: list[list[str]] = []
        self.data: dict[NodePath, dict[str, Any]] = {}
        self.transitions: dict[NodePath, list[str]] = {}
        self.history: dict[NodePath, list[dict[str, Any]]] = {}
        self.last: dict[NodePath, Ended] = {}
        self.machine: Machine | None = None

    def dump(self) -> dict[str, Any]:
        """Return what was kept as plain values."""
        kept = ("order", "data", "transitions", "history", "last")
        return {name: getattr(self, name) for name in kept}

    def load(self, kept: Mapping[str, Any]) -> None:
        """Take over what a recorder of an earlier part of the run has kept, if there is one."""
        for name, value in kept.items():
            if name in self.dump():
                setattr(self, name, value)
        self.last = {path: Ended(*ended) for path, ended in self.last.items()}

    def __call__(self, trace: Trace) -> None:
        match trace:
            case Entered(path, _, token):
                self.order.append([path, token])
            case Changed(path, status):
                self._changed(path, status)
            case Recorded(path, inputs, outputs, merge):
                self._recorded(path, inputs, outputs, merge=merge)

    def _changed(self, path: NodePath, status: str) -> None:
        self.transitions.setdefault(path, []).append(ENGINE_STATES[status])
        if self.machine is None:
            return
        found = self.machine.state.nodes[path]
        if status == "running" and path in self.last:
            self.archive(path, self.last.pop(path))
        elif status in ("finished", "skipped"):
            self.last[path] = Ended(found.loop, found.retry, status == "skipped")

    def archive(self, path: NodePath, ended: Ended) -> None:
        """Write an execution into the history."""
        kept = self.data.get(path, {"inputs": {}, "outputs": {}})
        self.history.setdefault(path, []).append(
            {"loop": ended.loop, "retry": ended.retry, "skip": ended.skip, **kept}
        )

    def _recorded(
        self,
        path: NodePath,
        inputs: Mapping[str, Any] | None,
        outputs: Mapping[str, Any] | None,
        *,
        merge: bool,
    ) -> None:
        kept: dict[str, dict[str, Any]] = self.data.get(path, {"inputs": {}, "outputs": {}})
        new_inputs = kept["inputs"] if inputs is None else dict(inputs)
        new_outputs = {**(kept["outputs"] if merge or outputs is None else {}), **(outputs or {})}
        self.data[path] = {"inputs": new_inputs, "outputs": new_outputs}


class Names:
    """Between the engine's ids, unique in a run, and our paths."""

    def __init__(self, plan: Plan, machine: Machine, root: str) -> None:
        self.root = root
        self.paths = {path.rpartition("/")[2]: path for path in machine.core.program.places}
        self.paths[root] = ROOT

    def path(self, node: str) -> NodePath:
        """Return the path of an id; an unknown id stays as it is."""
        return self.paths.get(node, f"?{node}")

    def id(self, path: NodePath) -> str:
        """Return the id of a path."""
        return path.rpartition("/")[2] if path else self.root


def to_verb(step: Mapping[str, Any], names: Names, machine: Machine) -> Verb:
    """Return the verb that an operation of the engine is."""
    path = names.path(step.get("node", step.get("pipeline", "")))
    name, fields = VERBS[step["op"]]
    verb = Verb(name, path, **fields(step))
    if step["op"] == "update_context":
        flow = machine.core.program.flows[path].variables
        given = {k[2:-1]: typed(k[2:-1], v, flow) for k, v in step["values"].items()}
        verb = dataclasses.replace(verb, variables=given)
    return verb


Fields = Callable[[Mapping[str, Any]], dict[str, Any]]
TOKENS: Mapping[str, int | None] = {"current": None, "first": 1}


def nothing(_: Mapping[str, Any]) -> dict[str, Any]:
    """Return no field beyond the node."""
    return {}


def option(step: Mapping[str, Any], name: str) -> bool:
    """Return one of an operation's options."""
    return bool(step.get("options", {}).get(name))


def retrying(step: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a retry."""
    return {"inputs": step.get("inputs"), "this_pass": option(step, "loop_retry")}


def calling_back(step: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a callback; a version that is no attempt's is a stale token."""
    return {"data": step["data"], "token": TOKENS.get(step.get("version", "current"), -1)}


VERBS: Mapping[str, tuple[VerbName, Fields]] = {
    "pause_pipeline": ("pause", nothing),
    "resume_pipeline": ("resume", nothing),
    "revoke_pipeline": ("revoke", nothing),
    "pause_node": ("pause_node", nothing),
    "resume_node": ("resume_node", nothing),
    "retry_node": ("retry", retrying),
    "retry_subprocess": ("retry", nothing),
    "skip_node": ("skip", lambda step: {"this_pass": option(step, "loop_skip")}),
    "skip_exclusive_gateway": ("choose", lambda step: {"branches": (step["flow"],)}),
    "skip_conditional_parallel_gateway": (
        "choose",
        lambda step: {"branches": tuple(step["flows"])},
    ),
    "forced_fail": ("force_fail", lambda step: {"reason": step.get("ex_data", "forced")}),
    "callback": ("callback", calling_back),
    "update_context": ("set_variables", nothing),
}


def typed(key: str, given: Mapping[str, Any], declared: Mapping[str, Variable]) -> Variable:
    """Return a context value of the engine as a variable."""
    value = given["value"]
    shown = {"kind": "literal", "value": value}
    form = shown if given["type"] == "plain" else classify(value, declared)
    return Variable.model_validate(
        {"key": key, "kind": given["type"], "value": form, "code": given.get("custom_type", "")}
    )


def strange_operation(step: Mapping[str, Any], names: Names, machine: Machine) -> str | None:
    """Return the engine's class for what its operations refuse and our verbs do not ask."""
    op = step["op"]
    node = machine.core.program.places.get(names.path(step.get("node", "")))
    kind = node.node.kind if node else ""
    if op == "retry_subprocess" and node and kind != "subflow":
        return INVALID
    wanted = {
        "skip_exclusive_gateway": "exclusive",
        "skip_conditional_parallel_gateway": "conditional_parallel",
    }.get(op)
    return INVALID if wanted and node and kind != wanted else None


def class_of(step: Mapping[str, Any], refused: Refusal, names: Names, machine: Machine) -> str:
    """Return the engine's class for one of our refusals."""
    op = step["op"]
    if op == "callback" and refused.code == "stale" and step.get("version") != "first":
        return MISSING
    if (
        op == "callback"
        and step.get("when") == {"start": True}
        and was_skipped(step, names, machine)
    ):
        return MISSING  # the engine's process still stands at the node, with a newer version
    if op == "callback" and refused.code == "wrong_state":
        path = names.path(step["node"])
        live = machine.state.live.get(path)
        return INVALID if live and live.handle is not None else MISSING
    table = CLASSES[op]
    return table.get(refused.code, table[""])


def was_skipped(step: Mapping[str, Any], names: Names, machine: Machine) -> bool:
    """Say whether the node of a step was skipped."""
    found = machine.state.nodes.get(names.path(step["node"]))
    return found is not None and found.status == "skipped"


def states_of(machine: Machine, names: Names) -> dict[str, Any]:
    """Return every node that has a state, as the engine keeps it."""
    found: dict[str, Any] = {}
    for path, node in machine.state.nodes.items():
        inner = machine.core.inner_loop_of(path) if path and node.entry else node.inner_loop
        found[names.id(path)] = {
            "state": ENGINE_STATES[node.status],
            "loop": node.loop,
            "inner_loop": inner,
            "retry": node.retry,
            "skip": node.status == "skipped",
            "error_ignored": node.error_ignored,
        }
    return found


def query_states(machine: Machine, names: Names, *, flat: bool) -> dict[str, Any]:
    """Return what the engine's get_pipeline_states answers."""
    made: dict[NodePath, dict[str, Any]] = {}
    for path, node in machine.state.nodes.items():
        task = machine.core.program.places[path].node if path else None
        made[path] = {
            "id": names.id(path),
            "state": ENGINE_STATES[node.status],
            "loop": node.loop,
            "retry": node.retry,
            "skip": node.status == "skipped",
            "error_ignored": node.error_ignored,
            "error_ignorable": isinstance(task, Task) and task.error_ignorable,
            "children": {},
        }
    for path, row in made.items():
        if path:
            parent = ROOT if flat else path.rpartition("/")[0]
            made[parent]["children"][row["id"]] = row
    return {names.root: made[ROOT]}


def context_of(machine: Machine, names: Names) -> dict[str, Any]:
    """Return every stored variable of every flow, as the engine keeps it."""
    found: dict[str, Any] = {}
    for flow_path, flow in machine.core.program.flows.items():
        keys = dict.fromkeys(flow.variables)
        keys.update(dict.fromkeys(machine.state.written.get(flow_path, {})))
        keys.update(dict.fromkeys(machine.state.retyped.get(flow_path, {})))
        if flow_path:
            keys.update(dict.fromkeys(machine.state.inherited))
        rows = {key: machine.core.find(flow_path, key) for key in keys}
        stored = {
            f"${{{key}}}": {"type": row.kind, "value": source(row.value)}
            for key, row in rows.items()
            if row is not None
        }
        if stored:
            found[names.id(flow_path)] = stored
    return found


def preview(machine: Machine, path: NodePath) -> Resolved | Unresolved:
    """Return the inputs that a task would get now."""
    node = machine.core.place(path).node
    if not isinstance(node, Task):
        raise TypeError(f"{path} is no task")
    machine.core.node_state(path)
    return gather_inputs(machine.core, path, node)
