"""Runs a recorded pipeline case on the Machine, in virtual time."""

from collections.abc import Mapping
from typing import Any

from activities.contract import Failed, Outcome, Unresolved
from activities.expressions import EvaluationError, Sandbox
from tests.conformance import adapter
from tests.conformance.components import Components, settings_for
from tests.conformance.script import Script, given_of, part, subject
from tests.conformance.trees import plan_of, refusal_of
from translator.values import MODULES
from workers.simulate import VirtualRun
from workflows.machine.events import Evaluate, Evaluated, RunTask
from workflows.machine.machine import Machine

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


def sandbox_settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a case's engine settings mean to the sandbox."""
    modules = MODULES if config.get("modules") == "sops" else ()
    return {"modules": modules, "render_obj": bool(config.get("render_obj"))}


def not_started(case: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the outcome of a case whose run is refused, None where it is accepted."""
    refused = refusal_of(case)
    return {**NOT_STARTED, "run": {"ok": False, "error": refused}} if refused else None


async def run_case(case: Mapping[str, Any], sandbox: Sandbox) -> dict[str, Any]:
    """Return the outcome of a case, in the shape of its `expect`."""
    return not_started(case) or await CaseRun(case, sandbox).outcome()


class CaseRun:
    """One case under way: a virtual run, and the script that acts on it."""

    def __init__(self, case: Mapping[str, Any], sandbox: Sandbox) -> None:
        plan = plan_of(case["tree"])
        recorder = adapter.Recorder()
        settings = settings_for(plan, part(case, "config"))
        machine = Machine(plan, settings, observer=recorder)
        self.components = Components(part(case, "root_data"))
        self.sandbox = sandbox
        self.virtual = VirtualRun(machine, self.perform, self.resolve)
        self.script = Script(case, plan, machine, recorder, self.virtual.operate)
        self.script.now = lambda: self.virtual.now
        self.script.counts = {
            "executed": self.components.executed,
            "scheduled": self.components.scheduled,
        }
        self.script.is_idle = lambda: self.virtual.next_due is None
        self.acted: RunTask | None = None

    async def perform(self, step: RunTask) -> Outcome:
        """Render what is left to render, then do the component's step."""
        inputs = dict(step.inputs)
        if step.step == "call" and step.unresolved.values:
            try:
                rendered = await self.evaluate(step.unresolved)
            except EvaluationError as error:
                text = f"inputs hydrate failed({error}), check node log for details"
                return Failed(error=text, rendering=True)
            inputs = {**rendered, "_loop": step.loop, "_inner_loop": step.inner_loop, **inputs}
        return self.components.perform(self.script.names.id(step.path), step, inputs)

    async def evaluate(self, unresolved: Unresolved) -> dict[str, Any]:
        """Evaluate values as the engine is set to in this case."""
        lazy, config = self.components.lazy, part(self.script.case, "config")
        return await self.sandbox.evaluate(unresolved, lazy, **sandbox_settings(config))

    async def resolve(self, asked: Evaluate) -> Evaluated:
        """Evaluate values for the Machine."""
        try:
            values = await self.evaluate(asked.unresolved)
        except EvaluationError as error:
            return Evaluated(asked.path, asked.entry, {}, str(error))
        return Evaluated(asked.path, asked.entry, values)

    async def outcome(self) -> dict[str, Any]:
        """Play the whole case."""
        self.virtual.begin(given_of(self.script.case))
        await self.play_script()
        self.script.started = True
        self.virtual.go()
        await self.play_script()
        while await self.advance():
            await self.play_script()
        return self.script.outcome()

    async def advance(self) -> bool:
        """Let the next thing happen, or move the clock to where the script waits."""
        due, elapsed = self.virtual.next_due, (self.script.next_when() or {}).get("elapsed")
        if elapsed is not None and self.virtual.now < elapsed and (due is None or due > elapsed):
            self.virtual.now = float(elapsed)
            return True
        return due is not None and await self.virtual.step(self.during)

    def during(self, step: RunTask) -> None:
        """Act while a component is working, where the script says so."""
        script = self.script
        kind = "executing" if step.step == "call" else "scheduling"
        node = script.names.id(step.path)
        counts = script.counts["executed" if kind == "executing" else "scheduled"]
        while (when := script.next_when()) is not None:
            is_due = when.get(kind) == node and when.get("nth", 1) == counts[node]
            follows = when in ({}, {"start": True}) and self.acted is step
            if not (is_due or follows):
                return
            self.acted = step
            script.play_next()

    async def play_script(self) -> None:
        """Perform the steps whose time has come, strictly in order."""
        while not self.virtual.in_step and self.script.is_due():
            if self.script.steps[0]["op"] == "preview":
                await self.preview(self.script.steps.pop(0))
            else:
                self.script.play_next()

    async def preview(self, step: Mapping[str, Any]) -> None:
        """Answer with the inputs that a node would get."""
        machine, names = self.script.machine, self.script.names
        gathered = adapter.preview(machine, names.path(step["node"]))
        if isinstance(gathered, Unresolved):
            values = await self.evaluate(gathered)
        else:
            values = gathered.values
        self.script.ops.append({**subject(step), "ok": True, "data": values})
