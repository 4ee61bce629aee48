from typing import Any

from temporalio.api.enums.v1 import EventType, PendingActivityState, WorkflowExecutionStatus
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.workflow.v1 import PendingActivityInfo
from temporalio.api.workflowservice.v1 import DescribeWorkflowExecutionResponse

from workers.inspection.facts import ending_of, facts_of, pending_of, task_failure_of

TRAIL: dict[str, Any] = {
    "looks": 3,
    "handle": {"id": 7},
    "outputs": {"job_inst_url": "https://job/7"},
    "progress": {"done": 3, "key": {"_stdops_sealed": "x"}},
}


def activity(name: str = "sub/a:2:poll17", **fields: Any) -> PendingActivityInfo:
    info = PendingActivityInfo(
        activity_id=name,
        attempt=4,
        state=PendingActivityState.PENDING_ACTIVITY_STATE_SCHEDULED,
        **fields,
    )
    info.activity_type.name = "job_execute"
    info.next_attempt_schedule_time.FromSeconds(50)
    return info


def described(status: str = "RUNNING") -> DescribeWorkflowExecutionResponse:
    answer = DescribeWorkflowExecutionResponse()
    info = answer.workflow_execution_info
    info.execution.workflow_id, info.task_queue = "r-1", "stdops"
    info.status = WorkflowExecutionStatus.Value(f"WORKFLOW_EXECUTION_STATUS_{status}")
    return answer


def test_an_activity_id_names_path_entry_and_step() -> None:
    found = pending_of(activity(), [TRAIL], "stdops")

    assert (found.path, found.entry, found.step) == ("sub/a", 2, "poll")
    assert (found.next_at, found.looks) == (50, 3)
    assert (found.url, found.work) == ("https://job/7", "7")


def test_an_id_without_a_step_is_a_call() -> None:
    found = pending_of(activity("a:b:12"), [], "stdops")

    assert (found.path, found.entry, found.step) == ("a:b", 12, "call")
    assert found.queue == "stdops"


def test_the_id_of_a_batch_says_how_many_travel_with_the_first() -> None:
    found = pending_of(activity("sub/a:2+15"), [], "stdops")

    assert (found.path, found.entry, found.step, found.more) == ("sub/a", 2, "call", 15)


def test_an_activity_of_no_node_has_no_path() -> None:
    assert pending_of(activity("load_plan"), [], "stdops").path == ""


def test_a_heartbeat_that_cannot_be_read_tells_nothing() -> None:
    assert pending_of(activity(), ["x"], "stdops").looks == 0


def test_an_activity_of_another_queue_names_it() -> None:
    info = activity()
    info.activity_options.task_queue.name = "zone-b"

    assert pending_of(info, [], "stdops").queue == "zone-b"


def test_a_description_becomes_facts() -> None:
    answer = described("PAUSED")
    answer.pending_workflow_task.attempt = 3
    answer.workflow_extended_info.pause_info.identity = "ann"
    answer.workflow_extended_info.pause_info.paused_time.FromSeconds(7)

    facts = facts_of(answer)

    assert (facts.status, facts.is_open, facts.task_attempt) == ("paused", True, 3)
    assert facts.pause is not None
    assert (facts.pause.identity, facts.pause.at) == ("ann", 7)


def test_a_workflow_task_fails_with_the_worker_s_words() -> None:
    event = HistoryEvent(event_type=EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED)
    event.workflow_task_failed_event_attributes.failure.message = "[TMPRL1100] no match"

    assert task_failure_of(event) == "[TMPRL1100] no match"
    assert task_failure_of(HistoryEvent()) == ""


async def test_a_terminated_run_says_by_whom_and_why() -> None:
    event = HistoryEvent()
    told = event.workflow_execution_terminated_event_attributes
    told.identity, told.reason = "bob@host", "runaway"

    ending = await ending_of(event, facts_of(described("TERMINATED")))

    assert (ending.word, ending.text) == ("terminated", "by bob@host: runaway")
