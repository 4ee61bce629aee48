"""Runs of its own that a run starts, as Temporal child workflows, and what the two tell each other.

A child is known by its workflow id, which follows from the node that started it, so that it is
found again after either of them went on in a fresh history. It reports by signal; what ends it all
the same is heard by its handle, or in a later history by an activity that watches it.
"""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final, Protocol, assert_never
from urllib.parse import quote

from temporalio import workflow
from temporalio.exceptions import (
    ActivityError,
    ApplicationError,
    CancelledError,
    ChildWorkflowError,
    FailureError,
    TemporalError,
    TerminatedError,
    TimeoutError,  # noqa: A004  the SDK's name
    WorkflowAlreadyStartedError,
    is_cancelled_exception,
)

from workflows.run_flow.failures import reason_of
from workflows.run_flow.room import packed

with workflow.unsafe.imports_passed_through():
    from activities.contract import (
        TELL_CHILD,
        WATCH_CHILD,
        ChildAnswer,
        ChildEnd,
        ChildUpdate,
        ChildWatch,
        TooLargeError,
    )
    from translator.plan import Task
    from workflows.calls import SUMMARY_LENGTH
    from workflows.machine.children import Way
    from workflows.machine.events import (
        ChildEnded,
        ChildStarted,
        Event,
        ForChild,
        LeaveChild,
        StartChild,
        TellChild,
        Verb,
        WatchChild,
    )
    from workflows.machine.machine import Machine
    from workflows.messages import (
        REPORT,
        Parent,
        Report,
        RunInput,
        RunResult,
        wire_of,
    )

MOST_ID: Final = 1000
"""How long the server lets a workflow id be."""
TELL_LIMIT: Final = timedelta(seconds=60)


class Entry(Protocol):
    """What names an execution of a node."""

    @property
    def path(self) -> str:
        """The node."""
        ...

    @property
    def entry(self) -> int:
        """Which of its executions."""
        ...


class ChildRuns:
    """The children of one run.

    apply: folds an event. count: is told of +1 and -1 around what must not be cut off by rolling
    over.
    """

    def __init__(self, apply: Callable[[Event], None], count: Callable[[int], None]) -> None:
        self._apply = apply
        self._count = count
        self._starts: dict[str, asyncio.Task[workflow.ChildWorkflowHandle[Any, Any]]] = {}
        self._watches: dict[str, asyncio.Task[None]] = {}

    async def perform(self, command: ForChild, given: RunInput | None, runs_url: str) -> None:
        """Do what the Machine asks for about a child; `given` is what one that starts gets."""
        child = child_id(command)
        match command:
            case StartChild():
                if given is not None:
                    self._watches[child] = asyncio.create_task(
                        self._start(command, child, given, runs_url)
                    )
                    await _ended(self._watches[child])
            case WatchChild():
                self._watches[child] = asyncio.create_task(self._watch(command, child))
                await _ended(self._watches[child])
            case TellChild():
                await self._tell(child, command.verb)
            case LeaveChild():
                if child in self._watches:
                    self._watches[child].cancel()
                await self._tell(child, command.verb)
            case _:
                assert_never(command)

    def stop_watching(self) -> None:
        """Wait for the end of no child any more: this run is over."""
        for watch in self._watches.values():
            watch.cancel()

    async def report(self, parent: Parent, report: Report) -> None:
        """Tell the parent how this run stands; outputs that are too large fail its node there."""
        try:
            packed(report)
        except TooLargeError as error:
            text = f"the outputs of the child are too large: {error}"
            report = report.model_copy(update={"outputs": {}, "error": text})
        await self._signal(
            parent.run, REPORT, report.model_dump(mode="json", exclude_defaults=True)
        )

    async def update(self, command: Entry, way: Way, *, dry_run: bool) -> ChildAnswer:
        """Give a verb to a child as an update; its own answer, or refusal, is the answer."""
        info = workflow.current_update_info()
        message = {**wire_of(way.verb), **({"dry_run": True} if dry_run else {})}
        ask = ChildUpdate(
            child=child_id(command),
            verb=way.verb.name,
            id=info.id if info else workflow.info().run_id,
            message=message,
        )
        self._count(+1)
        try:
            return await workflow.execute_activity(
                TELL_CHILD,
                ask,
                result_type=ChildAnswer,
                summary=f"{way.verb.name} in {way.holder}"[:SUMMARY_LENGTH],
                start_to_close_timeout=TELL_LIMIT,
                schedule_to_close_timeout=TELL_LIMIT * 5,
            )
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            text = f"the child {ask.child} did not answer: {reason_of(error)}"
            return ChildAnswer(refusal=text, code="no_answer")
        finally:
            self._count(-1)

    async def _start(self, command: StartChild, child: str, given: RunInput, runs_url: str) -> None:
        """Start a child and say when it has begun, and how it ended."""
        self._count(+1)
        try:
            handle = await self._begun(command, child, given)
        except WorkflowAlreadyStartedError:
            error = f"another run is open under the id {child}; end it, then retry this node"
            self._end(command, error=error)
            return
        except (TemporalError, TooLargeError) as error:
            self._end(command, error=f"the child {child} could not be started: {error}")
            return
        finally:
            self._count(-1)
        steps = (quote(child, safe=""), handle.first_execution_run_id or "", "user-metadata")
        url = "/".join([runs_url, *steps]) if runs_url else ""
        self._apply(ChildStarted(command.path, command.entry, child, url))
        await self._hear_end(command, child, handle)

    async def _begun(
        self, command: StartChild, child: str, given: RunInput
    ) -> workflow.ChildWorkflowHandle[Any, Any]:
        if len(child.encode()) > MOST_ID:
            raise ApplicationError(f"its id has more than {MOST_ID} bytes; nest fewer children")
        starting = asyncio.create_task(
            workflow.start_child_workflow(
                "RunFlow",
                given.model_dump(mode="json", exclude_defaults=True),
                id=child,
                result_type=RunResult,
                parent_close_policy=workflow.ParentClosePolicy.ABANDON,
                cancellation_type=workflow.ChildWorkflowCancellationType.ABANDON,
                static_summary=command.title[:SUMMARY_LENGTH],
                memo={"template": given.template, "name": command.title, "digest": given.digest},
            )
        )
        self._starts[child] = starting
        return await asyncio.shield(starting)  # told to stop meanwhile, it is revoked, not lost

    async def _hear_end(
        self, command: StartChild, child: str, handle: workflow.ChildWorkflowHandle[Any, Any]
    ) -> None:
        try:
            result = await asyncio.shield(handle)
        except ChildWorkflowError as error:
            self._end(command, error=ended_badly(child, error.cause))
            return
        if result.state == "revoked":
            self._end(command, error=f"the child {child} was revoked")
        else:
            self._apply(ChildEnded(command.path, command.entry, result.outputs))

    async def _watch(self, command: WatchChild, child: str) -> None:
        """Have an activity look after a child that an earlier history has started."""
        try:
            end = await workflow.execute_activity(
                WATCH_CHILD,
                ChildWatch(child=child),
                result_type=ChildEnd,
                activity_id=f"{command.path}:{command.entry}:watch",
                summary=f"watch {child}"[:SUMMARY_LENGTH],
                start_to_close_timeout=TELL_LIMIT,
            )
        except ActivityError as error:
            if is_cancelled_exception(error):
                return
            end = ChildEnd(error=f"the child {child} is lost: {reason_of(error)}")
        self._apply(ChildEnded(command.path, command.entry, end.outputs, end.error))

    def _end(self, command: Entry, error: str) -> None:
        self._apply(ChildEnded(command.path, command.entry, {}, error))

    async def _tell(self, child: str, verb: Verb) -> None:
        """Signal a verb to a child once it has begun; one that has ended needs it no more."""
        starting = self._starts.get(child)
        if starting is not None:
            await workflow.wait([starting])
            if starting.cancelled() or starting.exception() is not None:
                return  # under that id there may be a run of somebody else
        await self._signal(child, verb.name, wire_of(verb))

    async def _signal(self, run: str, name: str, message: object) -> None:
        self._count(+1)
        try:
            await workflow.get_external_workflow_handle(run).signal(name, message)
        except FailureError:
            # who is not there any more has nothing to be told
            workflow.logger.info("workflows.signal_undelivered", extra={"to": run, "signal": name})
        finally:
            self._count(-1)


async def _ended(task: "asyncio.Task[None]") -> None:
    """Wait for a task that may be cancelled by another."""
    await workflow.wait([task])
    if not task.cancelled() and (error := task.exception()) is not None:
        raise error


def child_id(command: Entry) -> str:
    """Return the workflow id of a node's child; each execution has one of its own."""
    name = f"{workflow.info().workflow_id}/{command.path}"
    return name if command.entry == 1 else f"{name}:{command.entry}"


def input_of(command: StartChild, own: RunInput, digest: str, machine: Machine) -> RunInput:
    """Return what a child is started with: its part of this run's plan, and who asks."""
    node, context = machine.core.place(command.path).node, machine.state.context
    child = node.child if isinstance(node, Task) else None
    operator = str(context.get("operator", ""))
    executor = command.executor or context.get("executor") or operator
    project = {**own.project, "executor": executor, "task_name": command.title}
    above = f"{own.parent.part}/" if own.parent else ""
    return RunInput(
        template=(child.template_key if child else "") or machine.plan.template_key,
        digest=digest,
        operator=operator,
        project=project,
        on_failure="fail" if machine.state.fail_fast else "wait",
        strict=machine.state.strict,
        parent=Parent(
            run=workflow.info().workflow_id,
            node=command.path,
            entry=command.entry,
            part=above + command.path,
            values=dict(command.values),
        ),
    )


def ended_badly(child: str, cause: BaseException | None) -> str:
    """Say how a child ended that did not finish."""
    match cause:
        case TerminatedError():
            return f"the child {child} was terminated; look why, then retry or skip this node"
        case TimeoutError():
            return f"the child {child} ran out of the time that the server gives it"
        case CancelledError():
            return f"the child {child} was cancelled"
        case ApplicationError():
            return f"the child {child} failed: {cause.message}"
        case _:
            return f"the child {child} failed: {cause}"
