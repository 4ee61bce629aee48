"""What the server knows of a run: its pollers, activities under way, pauses, failures, its end.

All of it can be had without a worker, and nothing here asks one.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, Final, cast

from pydantic import JsonValue, ValidationError
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import (
    EventType,
    HistoryEventFilterType,
    PendingActivityState,
    WorkflowExecutionStatus,
)
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.workflow.v1 import PendingActivityInfo
from temporalio.api.workflowservice.v1 import (
    DescribeWorkflowExecutionRequest,
    DescribeWorkflowExecutionResponse,
    GetWorkflowExecutionHistoryRequest,
    GetWorkflowExecutionHistoryReverseRequest,
)
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from activities.trail import Trail
from translator.plan import NodePath
from translator.values import without_sealed
from workers.client import Runs
from workers.opening import open_messages
from workers.payloads import DATA_CONVERTER
from workers.pollers import Kind, pollers
from workflows.activity_ids import ActivityName, read_activity_id
from workflows.machine.view.outside import outside_of

FRESH_S: Final = 75.0
"""A worker that lives asks for work at least once a minute; the server lists one that has gone for
minutes more."""

_LOOK_BACK: Final = 30
_STATES: Final[Mapping[int, str]] = {
    PendingActivityState.PENDING_ACTIVITY_STATE_SCHEDULED: "scheduled",
    PendingActivityState.PENDING_ACTIVITY_STATE_STARTED: "started",
    PendingActivityState.PENDING_ACTIVITY_STATE_CANCEL_REQUESTED: "cancelling",
    PendingActivityState.PENDING_ACTIVITY_STATE_PAUSED: "paused",
    PendingActivityState.PENDING_ACTIVITY_STATE_PAUSE_REQUESTED: "pausing",
}
_OPEN: Final = ("running", "paused")
_ASK_S: Final = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class Pollers:
    """Who asks a queue for work: how many did lately, and when one last did (0 for never)."""

    count: int = 0
    last_seen: float = 0


@dataclass(frozen=True, slots=True)
class Pending:
    """An activity under way; times are seconds since the epoch, 0 for none.

    path, entry, step: the node that it works for, and how. more: how many nodes after that one
    travel with it. state: `scheduled` until a worker has
    it, `started`, `cancelling`, `paused` by the server's own pause. failure: why the last attempt
    ended; for a poll that is no failure but what it waits for. progress: what the plugin reports.
    """

    id: str
    type: str
    path: NodePath
    entry: int
    step: str
    queue: str
    state: str
    attempt: int
    scheduled: float
    started: float = 0
    next_at: float = 0
    beat_at: float = 0
    failure: str = ""
    worker: str = ""
    looks: int = 0
    progress: Mapping[str, JsonValue] = field(default_factory=dict[str, JsonValue])
    url: str = ""
    work: str = ""
    more: int = 0


@dataclass(frozen=True, slots=True)
class ServerPause:
    """The server's own pause of a run."""

    identity: str
    reason: str
    at: float


@dataclass(frozen=True, slots=True)
class Ending:
    """How a run ended: a word (`completed`, `failed`, `canceled`, `terminated`, `timed_out`)."""

    word: str
    at: float
    text: str = ""
    result: Mapping[str, JsonValue] = field(default_factory=dict[str, JsonValue])


@dataclass(frozen=True, slots=True)
class Facts:
    """What the server says of a run.

    workflow_pollers: those of its own queue. activity_pollers: by task queue. task_attempt: which
    attempt of a workflow task is on, 0 for none; from the second on, `task_failure` is why the one
    before failed.
    """

    workflow_id: str
    run_id: str
    status: str
    queue: str
    started: float
    workflow_pollers: Pollers = Pollers()
    activity_pollers: Mapping[str, Pollers] = field(default_factory=dict[str, Pollers])
    pending: tuple[Pending, ...] = ()
    pause: ServerPause | None = None
    cancel_requested: bool = False
    task_attempt: int = 0
    task_failure: str = ""
    ending: Ending | None = None

    @property
    def is_open(self) -> bool:
        """Whether the run has not ended."""
        return self.status in _OPEN


async def read_facts(client: Client, runs: Runs, run: str, now: float) -> Facts:
    """Ask the server all that it knows of a run.

    Raises:
        StdopsError: the run is unknown, or the server is away.
    """
    request = DescribeWorkflowExecutionRequest(
        namespace=client.namespace, execution=WorkflowExecution(workflow_id=run)
    )
    described = await runs.ask(run, client.workflow_service.describe_workflow_execution(request))
    await open_messages(client, described.pending_activities)
    details = [await _details(each) for each in described.pending_activities]
    facts = facts_of(described, details)
    if not facts.is_open:
        return replace(facts, ending=await _ending(client, runs, facts))
    failure = await _task_failure(client, runs, facts) if facts.task_attempt > 1 else ""
    own, of_activities = await read_pollers(client, facts, (), now)
    return replace(
        facts, task_failure=failure, workflow_pollers=own, activity_pollers=of_activities
    )


async def read_pollers(
    client: Client, facts: Facts, queues: Iterable[str], now: float
) -> tuple[Pollers, dict[str, Pollers]]:
    """Return who polls the run's queue for workflow tasks, and who which queue for activities."""
    wanted = dict.fromkeys([facts.queue, *(p.queue for p in facts.pending), *queues])
    own = await _pollers(client, facts.queue, "workflow", now)
    return own, {name: await _pollers(client, name, "activity", now) for name in wanted if name}


# --- pure ---------------------------------------------------------------------------------------


def facts_of(
    described: DescribeWorkflowExecutionResponse, details: Iterable[list[Any]] = ()
) -> Facts:
    """Return what a description says; `details` are the decoded heartbeats of its activities."""
    info, extended = described.workflow_execution_info, described.workflow_extended_info
    queue = info.task_queue or described.execution_config.task_queue.name
    pairs = zip(described.pending_activities, details, strict=False)
    return Facts(
        workflow_id=info.execution.workflow_id,
        run_id=info.execution.run_id,
        status=_word(WorkflowExecutionStatus.Name(info.status), "WORKFLOW_EXECUTION_STATUS_"),
        queue=queue,
        started=_seconds(info, "start_time"),
        pending=tuple(pending_of(each, told, queue) for each, told in pairs),
        pause=_pause_of(extended),
        cancel_requested=extended.cancel_requested,
        task_attempt=described.pending_workflow_task.attempt,
    )


def pending_of(info: PendingActivityInfo, details: list[Any], queue: str) -> Pending:
    """Return an activity under way; `details` is its decoded heartbeat."""
    named = read_activity_id(info.activity_id) or ActivityName("", 0, "")
    trail = _trail(details)
    outside = outside_of(trail.handle, trail.outputs)
    waits = info.state == PendingActivityState.PENDING_ACTIVITY_STATE_SCHEDULED
    return Pending(
        id=info.activity_id,
        type=info.activity_type.name,
        path=named.path,
        entry=named.entry,
        step=named.step,
        queue=info.activity_options.task_queue.name or queue,
        state="paused" if info.paused else _STATES.get(info.state, ""),
        attempt=info.attempt,
        scheduled=_seconds(info, "scheduled_time"),
        started=_seconds(info, "last_started_time"),
        next_at=_seconds(info, "next_attempt_schedule_time") if waits else 0,
        beat_at=_seconds(info, "last_heartbeat_time"),
        failure=info.last_failure.message,
        worker=info.last_worker_identity,
        looks=trail.looks,
        progress=_shown(trail.progress),
        url=outside.url,
        work=outside.id,
        more=named.more,
    )


def _pause_of(extended: Any) -> ServerPause | None:
    if not extended.HasField("pause_info"):
        return None
    info = extended.pause_info
    return ServerPause(info.identity, info.reason, _seconds(info, "paused_time"))


def _trail(details: list[Any]) -> Trail:
    try:
        return Trail.model_validate(details[0]) if details else Trail()
    except ValidationError:
        return Trail()  # left by another release


def _shown(progress: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    shown = without_sealed(dict(progress))
    return shown if isinstance(shown, dict) else {}


def _seconds(message: Any, name: str) -> float:
    """Return a time of a protobuf message in seconds since the epoch, 0 where it is not set."""
    if not message.HasField(name):
        return 0
    at = getattr(message, name)
    return at.seconds + at.nanos / 1e9


def _word(name: str, prefix: str) -> str:
    return name.removeprefix(prefix).lower()


# --- asking -------------------------------------------------------------------------------------


async def _details(info: PendingActivityInfo) -> list[Any]:
    """Return the decoded heartbeat of an activity; one that cannot be read tells nothing."""
    try:
        return await DATA_CONVERTER.decode(info.heartbeat_details.payloads)
    except (ValueError, RuntimeError, KeyError):
        return []


async def _pollers(client: Client, queue: str, kind: Kind, now: float) -> Pollers:
    try:
        found = await pollers(client, queue, kind)
    except RPCError as error:
        if error.status is not RPCStatusCode.PERMISSION_DENIED:
            raise
        return Pollers(1, now)  # a server that does not let us look is no news
    seen = [_seconds(poller, "last_access_time") for poller in found]
    return Pollers(sum(now - at < FRESH_S for at in seen), max(seen, default=0))


async def _task_failure(client: Client, runs: Runs, facts: Facts) -> str:
    """Return why the last workflow task failed, "" where the history does not say."""
    request = GetWorkflowExecutionHistoryReverseRequest(
        namespace=client.namespace,
        execution=WorkflowExecution(workflow_id=facts.workflow_id, run_id=facts.run_id),
        maximum_page_size=_LOOK_BACK,
    )
    service = client.workflow_service
    answer = await runs.ask(
        facts.workflow_id, service.get_workflow_execution_history_reverse(request)
    )
    return next((text for event in answer.history.events if (text := task_failure_of(event))), "")


def task_failure_of(event: HistoryEvent) -> str:
    """Return why a workflow task failed, "" for any other event."""
    if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT:
        return "the worker did not answer in time"
    if event.event_type != EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED:
        return ""
    failed = event.workflow_task_failed_event_attributes
    return failed.failure.message or "the worker gave no reason"


async def _ending(client: Client, runs: Runs, facts: Facts) -> Ending | None:
    request = GetWorkflowExecutionHistoryRequest(
        namespace=client.namespace,
        execution=WorkflowExecution(workflow_id=facts.workflow_id, run_id=facts.run_id),
        history_event_filter_type=HistoryEventFilterType.HISTORY_EVENT_FILTER_TYPE_CLOSE_EVENT,
    )
    service = client.workflow_service
    answer = await runs.ask(facts.workflow_id, service.get_workflow_execution_history(request))
    await open_messages(client, answer.history.events)
    return await ending_of(answer.history.events[-1], facts) if answer.history.events else None


async def ending_of(event: HistoryEvent, facts: Facts) -> Ending:
    """Return how a run ended, by its last event."""
    at, word = _seconds(event, "event_time"), facts.status
    if event.HasField("workflow_execution_completed_event_attributes"):
        completed = event.workflow_execution_completed_event_attributes
        values = await DATA_CONVERTER.decode(completed.result.payloads)
        given: Any = values[0] if values else None
        result = cast("dict[str, JsonValue]", given) if isinstance(given, dict) else {}
        return Ending(word, at, result=result)
    if event.HasField("workflow_execution_failed_event_attributes"):
        failed = event.workflow_execution_failed_event_attributes.failure
        return Ending(word, at, failed.message)
    if event.HasField("workflow_execution_terminated_event_attributes"):
        ended = event.workflow_execution_terminated_event_attributes
        reason = f": {ended.reason}" if ended.reason else ""
        return Ending(word, at, f"by {ended.identity or 'somebody'}{reason}")
    return Ending(word, at)
