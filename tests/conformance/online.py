"""Runs recorded pipeline cases on a real Temporal server, through the product's own driver.

The workflow under test is `RunFlow` with one addition: it plays the case's script on itself, and
answers with the outcome. Components are activities; where a script acts while a component works,
the activity holds until the workflow has acted. A run may go on in fresh histories: what is left of
the script, and what was seen so far, then travels with it.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from activities.contract import (
    EVALUATE,
    LOAD_PLAN,
    Done,
    EvaluateCall,
    EvaluateResult,
    Failed,
    LoadedPlan,
    LoadPlan,
    Outcome,
    OutcomeMessage,
    PluginCall,
    PluginTraits,
    Polling,
    Unresolved,
)
from activities.expressions import EvaluationError, Sandbox
from tests.conformance import adapter
from tests.conformance.components import COMPONENTS, Components, settings_for
from tests.conformance.offline import NOT_STARTED, not_started, sandbox_settings
from tests.conformance.script import Script, given_of, part
from tests.conformance.trees import plan_of
from workers.payloads import DATA_CONVERTER
from workers.server import EmbeddedServer
from workflows.machine.events import RunTask
from workflows.machine.machine import Given
from workflows.messages import RunInput
from workflows.run_flow.handlers import Operated

QUEUE = "conformance"
POLL = timedelta(milliseconds=50)
LONGEST_S = 60
AT_ONCE = 8


@workflow.defn(name="ObservedFlow")
class ObservedFlow(Operated):
    """A run that plays a recorded script on itself."""

    def __init__(self) -> None:
        super().__init__()
        self.recorder = self.observer = adapter.Recorder()
        self.case: dict[str, Any] = {}
        self.script: Script | None = None
        self.counts: dict[str, dict[str, int]] = {"executed": {}, "scheduled": {}}
        self.played: dict[str, Any] = {}
        self.rolling = False

    @workflow.run
    async def run(self, begun: dict[str, Any]) -> dict[str, Any]:
        """Play a case, or the next part of one; returns its outcome."""
        self.case = begun["case"]
        self.played = part(begun, "played")
        self.recorder.load(self.played)
        self.counts = self.played.get("counts", self.counts)
        given = RunInput.model_validate(begun.get("given", {"template": self.case["id"]}))
        playing = asyncio.create_task(self.play())
        try:
            await self.drive(given)
        except ApplicationError:
            await playing
            raise
        await playing
        return self.ready().outcome()

    def start_of(self, given: RunInput, loaded: LoadedPlan) -> Given:
        """Start as the case says."""
        return given_of(self.case)

    def take_early(self) -> None:
        """Act before the first node, where the script does."""
        machine = self.machine()
        self.script = Script(self.case, machine.plan, machine, self.recorder, self.apply)
        self.script.counts = dict(self.counts)
        self.script.load(self.played)
        while not self.script.started and self.script.is_due():
            self.script.play_next()
        self.script.started = True

    async def _roll_over(self, given: RunInput) -> None:
        """Let those who wait for the outcome know that they must ask the next part."""
        self.rolling = True
        try:
            await super()._roll_over(given)
        finally:
            self.rolling = False

    def onward(self, given: RunInput) -> Any:
        """Return what the next part is started with, the script and the record included."""
        played = {**self.ready().dump(), **self.recorder.dump(), "counts": self.counts}
        return {"case": self.case, "given": super().onward(given), "played": played}

    async def play(self) -> None:
        """Perform each step when it is due."""
        await workflow.wait_condition(lambda: self.script is not None)
        script = self.ready()
        while script.steps:
            await workflow.wait_condition(
                lambda: self.held or (self._executing == 0 and script.is_due())
            )
            self.held = False
            script.play_next()

    held = False

    def ready(self) -> Script:
        """Return the script, once the plan is loaded."""
        if self.script is None:
            raise ApplicationError("the plan is not loaded", non_retryable=True)
        return self.script

    @workflow.update
    async def reached(self, kind: str, node: str, count: int) -> bool:
        """Take note of a component's call; act on it where the script does, then answer."""
        await workflow.wait_condition(lambda: self.script is not None)
        script = self.ready()
        self.counts["executed" if kind == "executing" else "scheduled"][node] = count
        when = script.next_when() or {}
        if when.get(kind) == node and when.get("nth", 1) == count:
            left = len(script.steps)
            self.held = True
            await workflow.wait_condition(lambda: len(script.steps) < left)
        return True

    @workflow.update
    async def settled(self) -> dict[str, Any] | None:
        """Wait until nothing can happen any more; returns the outcome, None where it goes on."""
        await workflow.wait_condition(lambda: self.rolling or self.is_settled())
        return self.ready().outcome() if self.is_settled() else None

    def is_settled(self) -> bool:
        """Say whether nothing can happen any more."""
        return (
            self.script is not None
            and not self.script.steps
            and self._executing == 0
            and (self.script.is_idle() or self._finish is not None)
        )


@dataclass
class Cases:
    """The cases under way in this process, with what their components keep.

    parts: in how many histories each case has run. roll_over: the length of a history from which it
    goes on in a fresh one, 0 for the usual.
    """

    sandbox: Sandbox
    client: Client
    roll_over: int = 0
    parts: Counter[str] = field(default_factory=Counter[str])
    by_id: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    components: dict[str, Components] = field(default_factory=dict[str, Components])

    def activities(self) -> Iterator[Callable[..., Any]]:
        """Return the activities: `load_plan`, `evaluate`, and one for each component."""
        yield self.load_plan
        yield self.evaluate
        for code in COMPONENTS:
            yield activity.defn(name=code)(self._component())

    @activity.defn(name=LOAD_PLAN)
    async def load_plan(self, request: LoadPlan) -> LoadedPlan:
        """Return the plan of a case."""
        case = self.by_id[request.template]
        plan = plan_of(case["tree"])
        settings = settings_for(plan, part(case, "config"))
        bent = settings.model_copy(update={"roll_over_events": self.roll_over})
        self.parts[case["id"]] += 1
        return LoadedPlan(plan=plan, digest=plan.digest, settings=bent)

    @activity.defn(name=EVALUATE)
    async def evaluate(self, call: EvaluateCall) -> EvaluateResult:
        """Evaluate values with the case's lazy variables."""
        try:
            return EvaluateResult(values=await self.rendered(call.run, call.unresolved))
        except EvaluationError as error:
            return EvaluateResult(error=str(error))

    async def rendered(self, run: str, unresolved: Unresolved) -> dict[str, Any]:
        """Evaluate values with the case's lazy variables, as the engine is set to in the case."""
        settings = sandbox_settings(part(self.by_id[run], "config"))
        return await self.sandbox.evaluate(unresolved, self.components[run].lazy, **settings)

    def _component(self) -> Callable[[PluginCall], Any]:
        async def component(call: PluginCall) -> OutcomeMessage:
            outcome = await self.perform(call)
            if call.step == "poll" and isinstance(outcome, Polling):
                raise ApplicationError(
                    "still running",
                    outcome.model_dump(mode="json"),
                    type="StillRunning",
                    next_retry_delay=POLL,
                    category=ApplicationErrorCategory.BENIGN,
                )
            return OutcomeMessage(outcome=outcome)

        return component

    async def perform(self, call: PluginCall) -> Outcome:
        """Do a component's step, then hold until the script has acted on it."""
        components = self.components[call.run]
        node = call.node.rpartition("/")[2]
        outputs = call.outputs
        if call.step == "poll" and (earlier := activity.info().heartbeat_details):
            outputs = earlier[0]
        inputs = dict(call.inputs)
        if call.step == "call" and call.unresolved.values:
            try:
                rendered = await self.rendered(call.run, call.unresolved)
            except EvaluationError as error:
                text = f"inputs hydrate failed({error}), check node log for details"
                return Failed(error=text, rendering=True)
            inputs = {**rendered, "_loop": call.loop, "_inner_loop": call.inner_loop, **inputs}
        outcome = components.perform(node, as_command(call, outputs), inputs)
        if call.step == "stop":
            return Done()
        await self.tell(call, node, components)
        if isinstance(outcome, Polling):
            activity.heartbeat({**outputs, **outcome.outputs})
        return outcome

    async def tell(self, call: PluginCall, node: str, components: Components) -> None:
        """Tell the run of a call, if its script watches for calls."""
        script: list[dict[str, Any]] = self.by_id[call.run]["script"]
        names = {name for step in script for name in part(step, "when")}
        if not names & {"executing", "scheduling", "executed", "scheduled"}:
            return
        kind = "executing" if call.step == "call" else "scheduling"
        counts = components.executed if kind == "executing" else components.scheduled
        handle: Any = self.client.get_workflow_handle(call.run)
        await handle.execute_update("reached", args=[kind, node, counts[node]])


def as_command(call: PluginCall, outputs: Mapping[str, Any]) -> RunTask:
    """Return a plugin's call as the command that it was made from."""
    return RunTask(
        path=call.node,
        entry=call.entry,
        name=call.name,
        plugin=call.plugin,
        traits=PluginTraits(plugin=call.plugin),
        step=call.step,
        inputs=call.inputs,
        unresolved=Unresolved(),
        raw=call.raw,
        loop=call.loop,
        inner_loop=call.inner_loop,
        executor="",
        handle=call.handle,
        outputs=outputs,
        data=call.data,
    )


async def run_cases(
    cases: Sequence[dict[str, Any]], roll_over: int = 0
) -> AsyncIterator[tuple[dict[str, Any], Mapping[str, Any]]]:
    """Run cases on an embedded server; yields each with its outcome, in their order."""
    async with EmbeddedServer() as server, Sandbox() as sandbox:
        client = await Client.connect(server.address, data_converter=DATA_CONVERTER)
        async for pair in play_on(client, sandbox, cases, roll_over):
            yield pair


async def play_on(
    client: Client, sandbox: Sandbox, cases: Sequence[dict[str, Any]], roll_over: int = 0
) -> AsyncIterator[tuple[dict[str, Any], Mapping[str, Any]]]:
    """Run cases on a server that is there already.

    Each outcome has, beside what a case expects, its `parts`: in how many histories it ran.
    """
    kept = Cases(sandbox, client, roll_over)
    worker = Worker(
        client,
        task_queue=QUEUE,
        workflows=[ObservedFlow],
        activities=list(kept.activities()),
        workflow_runner=UnsandboxedWorkflowRunner(),
        max_heartbeat_throttle_interval=timedelta(milliseconds=10),
    )
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(case: dict[str, Any]) -> Mapping[str, Any]:
        async with gate:
            outcome = not_started(case) or await play(client, kept, case)
            return {**outcome, "parts": kept.parts[case["id"]]}

    async with worker:
        tasks = [asyncio.create_task(one(case)) for case in cases]
        for case, task in zip(cases, tasks, strict=True):
            yield case, await task


async def play(client: Client, kept: Cases, case: dict[str, Any]) -> Mapping[str, Any]:
    """Play one case to where it stands or ends."""
    kept.by_id[case["id"]] = case
    kept.components[case["id"]] = Components(part(case, "root_data"))
    handle: Any = await client.start_workflow(
        "ObservedFlow", {"case": case}, id=case["id"], task_queue=QUEUE, result_type=dict
    )
    update = asyncio.create_task(settled(handle))
    result = asyncio.create_task(handle.result())
    waiting = (update, result)
    done, _ = await asyncio.wait(waiting, timeout=LONGEST_S, return_when=asyncio.FIRST_COMPLETED)
    outcome: Mapping[str, Any]
    if result in done or (update in done and update.exception() is not None):
        outcome = await asyncio.wait_for(result, LONGEST_S)
    elif update in done:
        outcome = update.result()
    else:
        late = {"run": {"ok": True}, "pipeline_state": "no outcome in time"}
        outcome = {**NOT_STARTED, **late}
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    await terminate(handle)
    return outcome


async def settled(handle: Any) -> dict[str, Any]:
    """Wait until a run is settled; one that rolls over is asked again in its next part."""
    while True:
        try:
            outcome = await handle.execute_update("settled")
        except RPCError as error:
            if error.status is not RPCStatusCode.FAILED_PRECONDITION:
                raise
            continue  # the run has rolled over meanwhile
        if outcome is not None:
            return outcome


async def terminate(handle: Any) -> None:
    """End a run that waits for an operator; one that has ended stays as it is."""
    try:
        await handle.terminate("the case is over")
    except RPCError:
        return
