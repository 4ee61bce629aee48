"""Runs a recorded pipeline case on the Machine, in virtual time."""

import json
from collections.abc import Mapping
from typing import Any

from activities.contract import Failed, Outcome
from activities.expressions import EvaluationError, Sandbox
from tests.conformance import adapter
from tests.conformance.components import Components, settings_for
from tests.conformance.trees import plan_of, refusal_of
from translator.plan import ROOT, Subflow, Task
from workers.simulate import VirtualRun
from workflows.machine.events import Evaluate, Evaluated, RunTask, TimerFired, Verb
from workflows.machine.machine import Given, Machine

TIMEOUT_TEXT = "forced fail by bamboo_engine"
NOT_STARTED: Mapping[str, Any] = {
    "pipeline_state": None,
    "states": {},
    "order": [],
    "data": {},
    "history": {},
    "context": {},
    "pipeline_outputs": None,
    "ops": [],
}


async def run_case(case: Mapping[str, Any], sandbox: Sandbox) -> dict[str, Any]:
    """Return the outcome of a case, in the shape of its `expect`."""
    refused = refusal_of(case)
    if refused is not None:
        return {**NOT_STARTED, "run": {"ok": False, "error": refused}}
    return await CaseRun(case, sandbox).outcome()


class CaseRun:
    """One case under way: a virtual run, and the script that acts on it."""

    def __init__(self, case: Mapping[str, Any], sandbox: Sandbox) -> None:
        self.case = case
        self.plan = plan_of(case["tree"])
        self.recorder = adapter.Recorder()
        settings = settings_for(self.plan, case.get("config") or {})
        self.machine = Machine(self.plan, settings, observer=self.recorder)
        self.recorder.machine = self.machine
        self.names = adapter.Names(self.plan, self.machine, case["tree"]["id"])
        self.components = Components(case.get("root_data") or {})
        self.sandbox = sandbox
        self.virtual = VirtualRun(self.machine, self.perform, self.resolve)
        self.script = list(case["script"])
        self.ops: list[dict[str, Any]] = []
        self.started = False

    async def perform(self, step: RunTask) -> Outcome:
        """Render what is left to render, then do the component's step."""
        node = self.names.id(step.path)
        inputs = dict(step.inputs)
        if step.step == "call" and step.unresolved.values:
            try:
                rendered = await self.sandbox.evaluate(step.unresolved, self.components.lazy)
            except EvaluationError as error:
                text = f"inputs hydrate failed({error}), check node log for details"
                return Failed(error=text, rendering=True)
            seen = {"_loop": step.loop, "_inner_loop": step.inner_loop}
            inputs = {**rendered, **seen, **inputs}
        return self.components.perform(node, step, inputs)

    async def resolve(self, asked: Evaluate) -> Evaluated:
        """Evaluate values for the Machine."""
        try:
            values = await self.sandbox.evaluate(asked.unresolved, self.components.lazy)
        except EvaluationError as error:
            return Evaluated(asked.path, asked.entry, {}, str(error))
        return Evaluated(asked.path, asked.entry, values)

    async def outcome(self) -> dict[str, Any]:
        """Play the whole case."""
        self.virtual.begin(self.given())
        await self.play_script()
        self.started = True
        self.virtual.go()
        await self.play_script()
        while await self.advance():
            await self.play_script()
        state = self.machine.state
        root = state.nodes[ROOT]
        finished = root.status == "finished"
        wrapped = {f"${{{k}}}": v for k, v in (state.outputs or {}).items()}
        return {
            "run": {"ok": True},
            "pipeline_state": adapter.ENGINE_STATES[root.status],
            "states": adapter.states_of(self.machine, self.names),
            "order": [[self.names.id(path), token] for path, token in self.recorder.order],
            "data": {self.names.id(p): d for p, d in self.recorder.data.items()},
            "history": {self.names.id(p): h for p, h in self.recorder.history.items()},
            "context": adapter.context_of(self.machine, self.names),
            "pipeline_outputs": wrapped if finished else None,
            "ops": self.ops,
        }

    def given(self) -> Given:
        """Return what the case starts its run with."""

        def bare(values: Mapping[str, Any] | None) -> dict[str, Any]:
            return {key[2:-1]: value for key, value in (values or {}).items()}

        options = self.case.get("run_options") or {}
        return Given(
            variables=bare(self.case.get("root_context")),
            inherited=bare(self.case.get("subprocess_context")),
            start_at=options.get("start_node_id") or "",
        )

    # --- the script ---

    async def advance(self) -> bool:
        """Let the next thing happen, or act on a script that waits for nothing to happen."""
        pending = self.script[0].get("when", {}) if self.script else {}
        due = self.virtual.next_due
        elapsed = pending.get("elapsed")
        if elapsed is not None and (due is None or due > elapsed):
            if self.virtual.now >= elapsed:
                return False
            self.virtual.now = float(elapsed)
            return True
        if due is None:
            return False
        await self.virtual.step(self.during)
        return True

    def during(self, step: RunTask) -> None:
        """Act while a component is working, where the script says so."""
        kind = "executing" if step.step == "call" else "scheduling"
        node = self.names.id(step.path)
        counts = self.components.executed if kind == "executing" else self.components.scheduled
        while self.script:
            when = self.script[0].get("when", {})
            due = when.get(kind) == node and when.get("nth", 1) == counts[node]
            follows = bool(self.ops) and when in ({}, {"start": True}) and self._acted == step
            if not (due or follows):
                return
            self._acted = step
            self.act(self.script.pop(0))

    _acted: RunTask | None = None

    async def play_script(self) -> None:
        """Perform the steps whose time has come, strictly in order."""
        while (
            self.script
            and not self.virtual.in_step
            and self.holds(self.script[0].get("when") or {})
        ):
            step = self.script.pop(0)
            if not self.if_state(step):
                self.ops.append({**self.subject(step), "ok": True, "not_performed": True})
            elif step["op"] == "preview":
                self.ops.append(await self.preview(step))
            else:
                self.act(step)

    def holds(self, when: Mapping[str, Any]) -> bool:
        """Say whether all of a step's conditions hold."""
        return all(
            self.condition(name, wanted) for name, wanted in when.items() if name != "if_state"
        )

    def condition(self, name: str, wanted: Any) -> bool:
        """Say whether one condition holds."""
        if name in ("executing", "scheduling", "nth"):
            return False
        if name == "state":
            return self.in_states(wanted)
        if name in ("scheduled", "executed"):
            counts = getattr(self.components, name)
            return all(counts[node] >= times for node, times in wanted.items())
        if name == "retry":
            nodes = self.machine.state.nodes
            return all(
                (found := nodes.get(self.names.path(n))) is not None and found.retry == k
                for n, k in wanted.items()
            )
        if name == "elapsed":
            return self.virtual.now >= wanted
        if name == "idle":
            return self.started and self.virtual.next_due is None
        return name == "start"

    def in_states(self, wanted: Mapping[str, str]) -> bool:
        """Say whether all nodes named are in the engine states named."""
        nodes = self.machine.state.nodes
        return all(
            (found := nodes.get(self.names.path(node))) is not None
            and adapter.ENGINE_STATES[found.status] == state
            for node, state in wanted.items()
        )

    def if_state(self, step: Mapping[str, Any]) -> bool:
        """Say whether a conditional step is to be performed."""
        wanted = (step.get("when") or {}).get("if_state") or step.get("if_state")
        return self.in_states(wanted) if wanted else True

    def subject(self, step: Mapping[str, Any]) -> dict[str, Any]:
        """Return the part of an answer that says what was operated on."""
        return {key: step[key] for key in ("op", "node", "pipeline") if key in step}

    def act(self, step: Mapping[str, Any]) -> None:
        """Perform an operation and keep the answer."""
        answer = self.subject(step)
        match step["op"]:
            case "wait":
                pass
            case "get_states":
                flat = bool(step.get("flat"))
                answer["data"] = adapter.query_states(self.machine, self.names, flat=flat)
            case "node_timeout":
                self.time_out(step)
            case _:
                error = self.operate(step)
                if error:
                    self.ops.append({**answer, "ok": False, "error": error})
                    return
        self.ops.append({**answer, "ok": True})

    def operate(self, step: Mapping[str, Any]) -> dict[str, str] | None:
        """Carry out a verb; returns the engine's error where it is refused."""
        strange = adapter.strange_operation(step, self.names, self.machine)
        if strange:
            return {"class": strange, "text": "not for this kind of node"}
        verb = adapter.to_verb(step, self.names, self.machine)
        refused = self.machine.refusal(verb, self.virtual.now)
        if refused:
            kind = adapter.class_of(step, refused, self.names, self.machine)
            return {"class": kind, "text": refused.text}
        self.archive(verb)
        self.virtual.operate(verb)
        return None

    def archive(self, verb: Verb) -> None:
        """Write the history that the engine writes before a retry or skip."""
        found = self.machine.state.nodes.get(verb.node)
        if verb.name in ("retry", "skip", "choose") and found is not None:
            self.recorder.archive(verb.node, adapter.Ended(found.loop, found.retry, skip=False))

    def time_out(self, step: Mapping[str, Any]) -> None:
        """Fire a node's time limit as bamboo-pipeline's handler does."""
        path = self.names.path(step["node"])
        skip = step["action"] == "forced_fail_and_skip"
        self.virtual.operate(Verb("force_fail", path, reason=TIMEOUT_TEXT))
        if skip:
            self.virtual.operate(Verb("skip", path))

    async def preview(self, step: Mapping[str, Any]) -> dict[str, Any]:
        """Return the inputs that a node would get."""
        gathered = adapter.preview(self.machine, self.names.path(step["node"]))
        if hasattr(gathered, "variables"):
            values = await self.sandbox.evaluate(gathered, self.components.lazy)
        else:
            values = dict(gathered.values)
        return {**self.subject(step), "ok": True, "data": values}


def cases_in(folder: Any) -> list[dict[str, Any]]:
    """Return the pipeline cases of a folder, by id."""
    files = sorted((folder / "pipelines").glob("*.json"))
    return [json.loads(file.read_text("utf-8")) for file in files]


__all__ = ["ROOT", "Subflow", "Task", "TimerFired", "cases_in", "run_case"]
