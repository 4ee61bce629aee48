"""The driver: carries out the Machine's commands with Temporal's primitives, and nothing else.

What happens becomes an event for the Machine; what the Machine answers becomes an activity, a timer
or the end. No rule of the engine stands here.
"""

import asyncio
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any, Final, TypeVar, assert_never, cast

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception

from workflows.run_flow import listing
from workflows.run_flow.children import ChildRuns, input_of
from workflows.run_flow.failures import NO_ANSWER, reason_of, reworded
from workflows.run_flow.room import Room, packed, sendable

with workflow.unsafe.imports_passed_through():
    from activities.contract import (
        BATCH,
        EVALUATE,
        LOAD_PLAN,
        BatchResult,
        EvaluateCall,
        EvaluateResult,
        Failed,
        LoadedPlan,
        LoadPlan,
        Outcome,
        OutcomeMessage,
        TooLargeError,
    )
    from translator.plan import ROOT, NodePath
    from workflows.activity_ids import activity_id, step_id
    from workflows.calls import batch_of, call_of, summary_of, timer_summary
    from workflows.inputs import handed_down, read_inputs
    from workflows.machine.core import Observer
    from workflows.machine.events import (
        CancelNode,
        Command,
        CutShort,
        Evaluate,
        Evaluated,
        Event,
        Finish,
        ForChild,
        LeaveChild,
        RunTask,
        SetTimer,
        StartChild,
        TaskEnded,
        TellChild,
        TimerFired,
        Unstarted,
        Verb,
        WatchChild,
    )
    from workflows.machine.machine import Given, Machine
    from workflows.machine.state import dump_state, load_state
    from workflows.machine.view import stdops_state
    from workflows.messages import Carried, RunInput, RunResult
    from workflows.reporting import report_of, too_large_to_carry
    from workflows.system import RunFacts, system_of

SHORT: Final = timedelta(seconds=60)
STOP_LIMIT: Final = timedelta(minutes=15)
"""A stop that no worker takes must not keep a revoked run open."""
MARGIN_S: Final = 30
"""A plugin's own limit ends first, inside the activity, and says more."""


AnswerT = TypeVar("AnswerT")


class Driver:
    """What both workflow types share: one Machine, and the handles of what it asked for."""

    def __init__(self) -> None:
        self._machine: Machine | None = None
        self.observer: Observer | None = None
        self._digest = ""
        self._handles: dict[NodePath, list[tuple[int, asyncio.Task[None]]]] = {}
        self._cut: set[tuple[NodePath, int]] = set()
        self._late: list[Unstarted] = []
        self._opening = False
        self._executing = 0
        self._steps = 0
        self._asked = 0
        self._room = Room()
        self._finish: Finish | None = None
        self._broken: BaseException | None = None
        self._published: tuple[str, int] = ("", 0)
        self._given = RunInput()
        self._reported = ("Running", False, "")
        self.children = ChildRuns(self.apply, self._count)

    # --- the run ---

    async def drive(self, given: RunInput) -> RunResult:
        """Run a template to its end, in one part or several."""
        self._given = given
        loaded = await self._load(given)
        self._digest = loaded.digest
        commands = self._open(given, loaded)
        try:
            self._perform(commands)
            await self._go_on(given)
        except asyncio.CancelledError:
            self.apply(Verb("revoke", operator="Temporal", reason="workflow cancelled"))
            self._publish()
            await self._quiet()
            raise
        return sendable(self._result())

    async def _load(self, given: RunInput) -> LoadedPlan:
        version = None if given.version is None else str(given.version)
        digest = given.carried.digest if given.carried else given.digest
        part = given.parent.part if given.parent else ""
        ask = LoadPlan(template=given.template, version=version, digest=digest, part=part)
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
            listing.write_refused(given, listing.told_attributes(error))
            raise reworded(error) from error

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
            listing.write_refused(given, loaded.settings.search_attributes)
            raise ApplicationError("; ".join(problems), type="SOP220", non_retryable=True)
        return Given(
            variables=system.root,
            replaced={**inputs.variables, **handed_down(given, loaded.plan)},
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
            self._leave_trace()
            seen = self._steps
            await workflow.wait_condition(
                lambda seen=seen: self._finish is not None or self._steps != seen
            )
            if self._broken is not None:  # a bug of ours: shown by the workflow task, never hidden
                raise self._broken
            late, self._late = self._late, []
            for event in late:
                self.apply(event)
            if self._finish is None and self._executing == 0:
                await self._roll_over(given)
        self._publish()
        await self._quiet()

    async def _quiet(self) -> None:
        """Wait until what was told to stop has stopped, and every verb has its answer.

        A call that ends late may have something stopped in its turn. A child that has told its end
        may still be watched.
        """
        self.children.stop_watching()
        await workflow.wait_condition(
            lambda: not self._handles and workflow.all_handlers_finished()
        )

    def _leave_trace(self) -> None:
        """Write something into the history after what has led to no command.

        Else a worker without the run in memory may take it together with the verb that comes next,
        in another order than the replays after it: the run would be lost (decision 10).
        """
        if not self._asked:
            listing.leave_trace(self._steps)
        self._asked = 0

    # --- rolling over ---

    def _hold_back(self) -> None:
        """Start no new call where the run could roll over now, or must soon.

        Without it a chain would never have a moment at which nothing executes.
        """
        settings = self.machine().core.settings
        drains = self._room.is_long(settings) and (
            self._executing == 0 or self._room.is_full(settings)
        )
        self.machine().drain(draining=drains)

    async def _roll_over(self, given: RunInput) -> None:
        """Go on in a fresh history, if this one is long; polls and timers are begun again there."""
        if not self._room.is_long(self.machine().core.settings):
            return
        await workflow.wait_condition(workflow.all_handlers_finished)
        if self._executing or self._finish is not None:
            return
        try:
            onward = packed(self.onward(given))
        except TooLargeError:
            await self._stay()
        else:
            workflow.continue_as_new(onward, memo=workflow.memo())

    async def _stay(self) -> None:
        """Go on in this history with what is too large to be carried; before it is full, end.

        Until then an operator, who is told by a warning, may make the values smaller.
        """
        machine = self.machine()
        text = too_large_to_carry(machine.state)
        if self._room.is_full(machine.core.settings):
            self.apply(Verb("revoke", operator="stdops", reason=text))
            self._publish()
            await self._quiet()
            raise ApplicationError(text, type="SOP532", non_retryable=True)
        machine.warn(text)
        self._room.stay(machine.core.settings)
        self._hold_back()
        self._perform(machine.go(workflow.time()))  # what was held back

    def onward(self, given: RunInput) -> dict[str, Any]:
        """Return the input by which the run goes on in a fresh history."""
        carried = Carried(digest=self._digest, state=dump_state(self.machine().state))
        parent = given.parent.model_copy(update={"values": {}}) if given.parent else None
        onward = given.model_copy(update={"carried": carried, "inputs": {}, "parent": parent})
        return onward.model_dump(mode="json", exclude_defaults=True)

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
                case StartChild() | WatchChild() | TellChild() | LeaveChild():
                    self._do_for_child(command)
                case CancelNode() | CutShort():
                    self._cancel(command)
                case Finish():
                    self._finish = command
                case _:
                    assert_never(command)
        self._steps += 1

    def _do_for_child(self, command: ForChild) -> None:
        """Start, watch, tell or leave a child; none of it is cancelled with the node."""
        machine = self.machine()
        given = None
        if isinstance(command, StartChild):
            given = input_of(command, self._given, self._digest, machine)
        work = self.children.perform(command, given, machine.core.settings.runs_url)
        self._keep(command.path, -command.entry, work)

    def _spawn(
        self, command: RunTask | Evaluate | SetTimer, work: Coroutine[Any, Any, None]
    ) -> None:
        """Start work for a command; a stop is not cancelled with what it stops."""
        stops = isinstance(command, RunTask) and command.step == "stop"
        self._keep(command.path, -command.entry if stops else command.entry, work)

    def _keep(self, path: NodePath, number: int, work: Coroutine[Any, Any, None]) -> None:
        """Start work and hold it until it is done."""
        self._asked += 1
        task = asyncio.create_task(work)
        self._handles.setdefault(path, []).append((number, task))
        task.add_done_callback(lambda done: self._forget(path, number, done))

    def _count(self, change: int) -> None:
        """Count what must not be cut off by rolling over."""
        self._executing += change
        self._steps += 1

    def _forget(self, path: NodePath, number: int, done: "asyncio.Task[None]") -> None:
        if (path, number) in self._cut:  # it was cut short, and gave no answer
            self._cut.discard((path, number))
            self._late.append(Unstarted(path, number))
            self._steps += 1
        if not done.cancelled() and (error := done.exception()) is not None:
            self._broken = error
            self._steps += 1
        left = [pair for pair in self._handles.get(path, []) if pair[1] is not done]
        if left:
            self._handles[path] = left
        else:
            self._handles.pop(path, None)

    def _cancel(self, command: CancelNode | CutShort) -> None:
        if isinstance(command, CutShort):
            self._cut.add((command.path, command.entry))
        for number, task in self._handles.get(command.path, []):
            if number == command.entry:
                task.cancel()

    async def _step(self, command: RunTask) -> None:
        """Carry out one step of a plugin, and the calls that travel with it, by one activity."""
        counts = command.step != "poll"
        self._executing += counts
        try:
            outcome, *then = await self._execute(command)
        except ActivityError as error:
            is_cancelled = is_cancelled_exception(error)
            if is_cancelled and not _may_have_begun(command):
                return
            outcome, then = Failed(error=NO_ANSWER if is_cancelled else reason_of(error)), []
        except TooLargeError as error:
            outcome, then = Failed(error=f"the inputs are too large: {error}"), []
        finally:
            self._executing -= counts
            self._steps += 1
        self._cut.discard((command.path, command.entry))
        if command.step != "stop":
            self.apply(TaskEnded(command.path, command.entry, outcome, command, then))

    async def _execute(self, command: RunTask) -> Sequence[Outcome]:
        """Run the activity of a step, whose type is the plugin's code, or that of a batch."""
        machine, run = self.machine(), workflow.info().workflow_id
        if command.then:
            batch = batch_of(command, machine, run)
            with suppress(TooLargeError):  # together; the first one travels alone
                result = await self._activity(command, BATCH, batch, BatchResult)
                return result.outcomes
            command = command._replace(then=())
        call = call_of(command, machine, run)
        message = await self._activity(command, command.plugin.code, call, OutcomeMessage)
        return [message.outcome]

    async def _activity(
        self, command: RunTask, kind: str, given: object, answer: type[AnswerT]
    ) -> AnswerT:
        traits = [command.traits, *(each.step.traits for each in command.then)]
        # what a call began while it was cancelled must be known, so that it can be stopped
        may_begin = _may_have_begun(command) or bool(command.then)
        manner = workflow.ActivityCancellationType
        return await workflow.execute_activity(
            kind,
            given,
            result_type=answer,
            activity_id=activity_id(command, self._steps),
            summary=summary_of(command),
            task_queue=command.traits.queue or None,
            schedule_to_close_timeout=STOP_LIMIT if command.step == "stop" else None,
            start_to_close_timeout=timedelta(
                seconds=max(each.call_timeout_s for each in traits) + MARGIN_S
            ),
            heartbeat_timeout=timedelta(seconds=min(each.heartbeat_s for each in traits)),
            retry_policy=RetryPolicy(),
            cancellation_type=(
                manner.WAIT_CANCELLATION_COMPLETED if may_begin else manner.TRY_CANCEL
            ),
        )

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
                activity_id=step_id(command, "evaluate", self._steps),
                summary=f"evaluate for {command.name or path}",
                start_to_close_timeout=SHORT,
            )
            event = Evaluated(path, entry, result.values, result.error, result.warnings)
        except ActivityError as error:
            if is_cancelled_exception(error):
                return
            event = Evaluated(path, entry, {}, reason_of(error))
        except TooLargeError as error:
            event = Evaluated(path, entry, {}, f"what it reads is too large: {error}")
        finally:
            self._executing -= 1
            self._steps += 1
        self.apply(event)

    async def _timer(self, command: SetTimer) -> None:
        """Wait for a time, then say so."""
        seconds = max(0.0, command.at - workflow.time())
        try:
            await workflow.sleep(seconds, summary=timer_summary(command))
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
        """Write the run's search attributes, together, when they change; the memo once."""
        machine = self.machine()
        self._report()
        shown = (stdops_state(machine.state), len(machine.state.failed))
        if shown == self._published:
            return
        first = not self._published[0]
        self._published = shown
        if first:
            listing.keep_memo(machine.plan, self._digest)
        constant = listing.constant_texts(machine) if first else {}
        texts = {"StdopsState": shown[0], **constant}
        self._asked += listing.write(machine.core.settings.search_attributes, texts, shown[1])

    def _report(self) -> None:
        """Tell the parent, if there is one, how the run stands, when that changes."""
        parent = self._given.parent
        if parent is None:
            return
        report = report_of(parent, self.machine(), self._finish, workflow.info().workflow_id)
        told = (report.state, report.over, report.error)
        if told != self._reported:
            self._reported = told
            self._keep(ROOT, -1, self.children.report(parent, report))


def _may_have_begun(command: RunTask) -> bool:
    """Say whether a call that was cancelled without an answer may have begun something outside.

    The server says alike of a call that no worker has taken, and of one whose worker was lost.
    """
    return command.step == "call" and not command.then and not command.traits.quick
