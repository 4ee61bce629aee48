"""The driver: carries out the Machine's commands with Temporal's primitives, and nothing else.

What happens becomes an event for the Machine; what the Machine answers becomes an activity, a timer
or the end. No rule of the engine stands here.
"""

import asyncio
from collections.abc import Coroutine, Sequence
from datetime import timedelta
from typing import Any, Final, assert_never, cast

from temporalio import workflow
from temporalio.common import RetryPolicy, SearchAttributeKey, SearchAttributeUpdate
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from activities.contract import (
        EVALUATE,
        LOAD_PLAN,
        EvaluateCall,
        EvaluateResult,
        Failed,
        LoadedPlan,
        LoadPlan,
        OutcomeMessage,
        PluginCall,
    )
    from translator.plan import NodePath
    from workflows.inputs import read_inputs
    from workflows.machine.core import Observer
    from workflows.machine.events import (
        CancelNode,
        Command,
        Evaluate,
        Evaluated,
        Event,
        Finish,
        RunTask,
        SetTimer,
        TaskEnded,
        TimerFired,
        Verb,
    )
    from workflows.machine.machine import Given, Machine
    from workflows.machine.state import dump_state, load_state
    from workflows.machine.view import stdops_state
    from workflows.messages import Carried, RunInput, RunResult
    from workflows.system import RunFacts, system_of

DRAIN_EVENTS: Final = 20_000
"""History length from which no new call starts until the run has rolled over."""
DRAIN_FACTOR: Final = 5
"""The same, as a multiple of the length that the settings give for rolling over."""
SHORT: Final = timedelta(seconds=60)
STOP_LIMIT: Final = timedelta(minutes=15)
"""A stop that no worker takes must not keep a revoked run open."""
MARGIN_S: Final = 30
"""A plugin's own limit ends first, inside the activity, and says more."""
SUMMARY_LENGTH: Final = 200


class Driver:
    """What both workflow types share: one Machine, and the handles of what it asked for."""

    def __init__(self) -> None:
        self._machine: Machine | None = None
        self.observer: Observer | None = None
        self._digest = ""
        self._handles: dict[NodePath, list[tuple[int, asyncio.Task[None]]]] = {}
        self._opening = False
        self._executing = 0
        self._steps = 0
        self._finish: Finish | None = None
        self._broken: BaseException | None = None
        self._published: tuple[str, int] = ("", 0)

    # --- the run ---

    async def drive(self, given: RunInput) -> RunResult:
        """Run a template to its end, in one part or several."""
        loaded = await self._load(given)
        self._digest = loaded.digest
        commands = self._open(given, loaded)
        try:
            self._perform(commands)
            await self._go_on(given)
        except asyncio.CancelledError:
            self.apply(Verb("revoke", operator="Temporal", reason="workflow cancelled"))
            await self._quiet()
            self._publish()
            raise
        return self._result()

    async def _load(self, given: RunInput) -> LoadedPlan:
        version = None if given.version is None else str(given.version)
        digest = given.carried.digest if given.carried else given.digest
        ask = LoadPlan(template=given.template, version=version, digest=digest)
        try:
            return await workflow.execute_activity(
                LOAD_PLAN,
                ask,
                result_type=LoadedPlan,
                activity_id="load_plan",
                summary="load the plan and the settings",
                start_to_close_timeout=SHORT,
            )
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            raise _reworded(error) from error

    def _open(self, given: RunInput, loaded: LoadedPlan) -> list[Command]:
        """Make the Machine, fresh or from the state handed over; early signals come first."""
        now, carried = workflow.time(), given.carried
        state = load_state(cast("dict[str, Any]", carried.state)) if carried else None
        start = None if carried else self.start_of(given, loaded)
        machine = Machine(loaded.plan, loaded.settings, state, observer=self.observer)
        commands = machine.reissue(now) if start is None else []
        if start is not None:
            machine.begin(now, start)
        self._machine = machine
        self._opening = True
        self.take_early()
        self._opening = False
        return commands + machine.go(now)

    def start_of(self, given: RunInput, loaded: LoadedPlan) -> Given:
        """Return what the Machine is started with; wrong inputs fail the run, all named."""
        inputs = read_inputs(loaded.plan.flow, given.inputs)
        facts = RunFacts(workflow.info().workflow_id, given.operator, workflow.time())
        system = system_of(loaded.plan, loaded.settings, given.project, facts)
        problems = [*inputs.problems, *system.problems]
        if problems:
            raise ApplicationError("; ".join(problems), type="SOP220", non_retryable=True)
        return Given(
            variables=system.root,
            replaced=inputs.variables,
            inherited=system.inherited,
            context=system.context,
            fail_fast=given.on_failure == "fail",
            strict=given.strict,
        )

    def take_early(self) -> None:
        """Carry out what came before the plan was there."""

    async def _go_on(self, given: RunInput) -> None:
        """Publish changes until the run ends, or goes on in a fresh history."""
        while self._finish is None:
            self._publish()
            seen = self._steps
            await workflow.wait_condition(
                lambda seen=seen: self._finish is not None or self._steps != seen
            )
            if self._broken is not None:  # a bug of ours: shown by the workflow task, never hidden
                raise self._broken
            if self._finish is None and self._executing == 0 and self._is_long():
                await self._roll_over(given)
        await self._quiet()
        self._publish()

    async def _quiet(self) -> None:
        """Wait until what was told to stop has stopped, and every verb has its answer."""
        while running := [task for handles in self._handles.values() for _, task in handles]:
            await workflow.wait(running)  # a call's late answer may ask for a stop
        await workflow.wait_condition(workflow.all_handlers_finished)

    # --- rolling over ---

    def _is_long(self) -> bool:
        """Say whether the history is long enough to go on in a fresh one."""
        limit = self.machine().core.settings.roll_over_events
        info = workflow.info()
        if limit:
            return info.get_current_history_length() >= limit
        return info.is_continue_as_new_suggested()

    def _hold_back(self) -> None:
        """Start no new call where the run could roll over now, or must soon.

        Without it a chain would never have a moment at which nothing executes.
        """
        machine = self.machine()
        limit = machine.core.settings.roll_over_events * DRAIN_FACTOR or DRAIN_EVENTS
        must = workflow.info().get_current_history_length() > limit
        machine.drain(draining=self._is_long() and (must or self._executing == 0))

    async def _roll_over(self, given: RunInput) -> None:
        """Go on in a fresh history; polls and timers are begun again there from the state."""
        await workflow.wait_condition(workflow.all_handlers_finished)
        if self._executing or self._finish is not None:
            return
        carried = Carried(digest=self._digest, state=dump_state(self.machine().state))
        onward = given.model_copy(update={"carried": carried, "inputs": {}})
        workflow.continue_as_new(onward.model_dump(mode="json", exclude_defaults=True))

    # --- events and commands ---

    def apply(self, event: Event) -> None:
        """Fold an event into the Machine and carry out what it asks for.

        While the run is being opened no token moves, so that all that came early counts first.
        """
        if self._opening:
            self.machine().fold(event, workflow.time())
            return
        self._hold_back()
        self._perform(self.machine().handle(event, workflow.time()))

    def _perform(self, commands: Sequence[Command]) -> None:
        for command in commands:
            match command:
                case RunTask():
                    self._spawn(command, self._step(command))
                case Evaluate():
                    self._spawn(command, self._evaluate(command))
                case SetTimer():
                    self._spawn(command, self._timer(command))
                case CancelNode(path, entry):
                    self._cancel(path, entry)
                case Finish():
                    self._finish = command
                case _:
                    assert_never(command)
        self._steps += 1

    def _spawn(
        self, command: RunTask | Evaluate | SetTimer, work: Coroutine[Any, Any, None]
    ) -> None:
        """Start work for a command; a stop is not cancelled with what it stops."""
        stops = isinstance(command, RunTask) and command.step == "stop"
        task = asyncio.create_task(work)
        handles = self._handles.setdefault(command.path, [])
        handles.append((-command.entry if stops else command.entry, task))
        task.add_done_callback(lambda done, path=command.path: self._forget(path, done))

    def _forget(self, path: NodePath, done: "asyncio.Task[None]") -> None:
        if not done.cancelled() and (error := done.exception()) is not None:
            self._broken = error
            self._steps += 1
        left = [pair for pair in self._handles.get(path, []) if pair[1] is not done]
        if left:
            self._handles[path] = left
        else:
            self._handles.pop(path, None)

    def _cancel(self, path: NodePath, entry: int) -> None:
        for number, task in self._handles.get(path, []):
            if number == entry:
                task.cancel()

    async def _step(self, command: RunTask) -> None:
        """Carry out one step of a plugin by an activity whose type is the plugin's code."""
        counts = command.step != "poll"
        self._executing += counts
        try:
            outcome = (await self._execute(command)).outcome
        except ActivityError as error:
            if is_cancelled_exception(error):
                return
            outcome = Failed(error=_reason(error))
        finally:
            self._executing -= counts
            self._steps += 1
        if command.step != "stop":
            self.apply(TaskEnded(command.path, command.entry, outcome, command))

    async def _execute(self, command: RunTask) -> OutcomeMessage:
        traits = command.traits
        return await workflow.execute_activity(
            command.plugin.code,
            self._call(command),
            result_type=OutcomeMessage,
            activity_id=self._activity_id(command),
            summary=_summary(command),
            task_queue=traits.queue or None,
            schedule_to_close_timeout=STOP_LIMIT if command.step == "stop" else None,
            start_to_close_timeout=timedelta(seconds=traits.call_timeout_s + MARGIN_S),
            heartbeat_timeout=timedelta(seconds=traits.heartbeat_s),
            retry_policy=RetryPolicy(),
            cancellation_type=_cancellation(command),
        )

    def _call(self, command: RunTask) -> PluginCall:
        """Return what the activity gets."""
        context = self.machine().state.context
        executor = command.executor or context.get("executor") or context.get("operator", "")
        return PluginCall(
            step=command.step,
            plugin=command.plugin,
            run=workflow.info().workflow_id,
            node=command.path,
            entry=command.entry,
            name=command.name,
            inputs=dict(command.inputs),
            unresolved=command.unresolved,
            raw=command.raw,
            loop=command.loop,
            inner_loop=command.inner_loop,
            context={**context, "executor": executor},
            handle=command.handle,
            outputs=dict(command.outputs),
            data=command.data,
            strict=self.machine().state.strict,
        )

    def _activity_id(self, command: RunTask) -> str:
        """Return node path and entry; later steps of one execution are told apart by a number."""
        name = f"{command.path}:{command.entry}"
        return name if command.step == "call" else f"{name}:{command.step}{self._steps}"

    async def _evaluate(self, command: Evaluate) -> None:
        """Have values evaluated in the sandbox by a short activity."""
        path, entry = command.path, command.entry
        self._executing += 1
        try:
            result = await workflow.execute_activity(
                EVALUATE,
                EvaluateCall(
                    run=workflow.info().workflow_id,
                    node=path,
                    entry=entry,
                    unresolved=command.unresolved,
                    context=self.machine().state.context,
                    noun=command.noun,
                    strict=self.machine().state.strict,
                ),
                result_type=EvaluateResult,
                activity_id=f"{path}:{entry}:evaluate{self._steps}",
                summary=f"evaluate for {command.name or path}",
                start_to_close_timeout=SHORT,
            )
            event = Evaluated(path, entry, result.values, result.error, result.warnings)
        except ActivityError as error:
            if is_cancelled_exception(error):
                return
            event = Evaluated(path, entry, {}, _reason(error))
        finally:
            self._executing -= 1
            self._steps += 1
        self.apply(event)

    async def _timer(self, command: SetTimer) -> None:
        """Wait for a time, then say so."""
        seconds = max(0.0, command.at - workflow.time())
        try:
            await workflow.sleep(seconds, summary=_timer_summary(command))
        except asyncio.CancelledError:
            return
        self.apply(TimerFired(command.path, command.entry, command.kind))

    def _result(self) -> RunResult:
        state, finish = self.machine().state, self._finish
        if finish is None or finish.state == "failed":
            text = finish.error if finish else "the run ended without a result"
            raise ApplicationError(text, type="SOP320", non_retryable=True)
        return RunResult(
            state=finish.state,
            outputs=dict(finish.outputs),
            skipped=[path for path, node in state.nodes.items() if node.status == "skipped"],
            ignored=[path for path, node in state.nodes.items() if node.error_ignored],
            warnings=state.warnings,
        )

    def machine(self) -> Machine:
        """Return the run's Machine; an error before the plan is loaded."""
        if self._machine is None:
            raise ApplicationError("the plan is not loaded yet", non_retryable=True)
        return self._machine

    # --- the list page ---

    def _publish(self) -> None:
        """Write the run's search attributes, together, when they change."""
        machine = self.machine()
        known = machine.core.settings.search_attributes
        shown = (stdops_state(machine.state), len(machine.state.failed))
        if shown == self._published or not known:
            return
        first = not self._published[0]
        self._published = shown
        texts = {"StdopsState": shown[0], **(self._constant_texts() if first else {})}
        updates: list[SearchAttributeUpdate[Any]] = [
            SearchAttributeKey.for_keyword(key).value_set(text)
            for key, text in texts.items()
            if text and key in known
        ]
        if "StdopsFailedNodes" in known:
            key = SearchAttributeKey.for_int("StdopsFailedNodes")
            updates.append(key.value_set(shown[1]))
        # the SDK's own signature leaves the value's type open
        workflow.upsert_search_attributes(updates)  # pyright: ignore[reportUnknownMemberType]

    def _constant_texts(self) -> dict[str, str]:
        """Return the search attributes that stay as they are for the whole run."""
        machine = self.machine()
        return {
            "StdopsTemplate": machine.plan.template_key,
            "StdopsOperator": str(machine.state.context.get("operator", "")),
            "StdopsProject": str(machine.state.context.get("project_name", "")),
        }


def _cancellation(command: RunTask) -> workflow.ActivityCancellationType:
    """Return how a step is cancelled: of a call it is awaited what it has started meanwhile."""
    if command.step == "call":
        return workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED
    return workflow.ActivityCancellationType.TRY_CANCEL


def _reason(error: ActivityError) -> str:
    """Return what an activity failed with, in one line."""
    cause = error.cause
    return str(cause.message if isinstance(cause, ApplicationError) else cause or error)


def _reworded(error: ActivityError) -> ApplicationError:
    """Return an activity's failure as the run's own."""
    cause = error.cause
    kind = cause.type if isinstance(cause, ApplicationError) else "SOP508"
    return ApplicationError(_reason(error), type=kind, non_retryable=True)


def _summary(command: RunTask) -> str:
    """Return what the timeline shows for a step."""
    name = command.name or command.path
    return (name if command.step == "call" else f"{name} · {command.step}")[:SUMMARY_LENGTH]


def _timer_summary(command: SetTimer) -> str:
    """Return what the timeline shows for a timer."""
    what = {"timeout": "time limit", "retry": "automatic retry", "wait": "wait"}[command.kind]
    return f"{command.name or command.path} · {what}"[:SUMMARY_LENGTH]
