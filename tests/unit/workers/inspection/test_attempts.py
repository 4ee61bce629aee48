from temporalio.api.history.v1 import HistoryEvent

from activities.contract import Done, Failed, Polling, Waiting
from tests.unit.workers.inspection.history_events import (
    at,
    completed,
    completed_batch,
    scheduled,
    scheduled_batch,
)
from workers.inspection.attempts import Attempt, attempts_of


async def one(*events: HistoryEvent) -> Attempt:
    (found,) = await attempts_of(events)
    return found


async def test_an_attempt_is_told_from_its_call_to_its_outcome() -> None:
    done = Done(
        outputs={"text": "x"}, inputs={"a": 1, "key": {"_stdops_sealed": "z"}}, note="JOB 7"
    )

    found = await one(scheduled(1, "sub/a", name="A"), completed(4, 1, done))

    assert (found.node, found.name, found.plugin, found.outcome) == ("sub/a", "A", "echo", "done")
    assert (found.started, found.ended, found.took_s, found.note) == (1, 4, 3, "JOB 7")
    assert found.outputs == {"text": "x"}
    assert found.inputs["a"] == 1


async def test_the_steps_of_one_start_are_one_attempt() -> None:
    found = await one(
        scheduled(1, "a"),
        completed(2, 1, Polling(handle=7, after_s=1)),
        scheduled(3, "a", step="poll"),
        completed(9, 3, Done(outputs={"seen": 2})),
    )

    assert (found.steps, found.outcome, found.ended) == (["call", "poll"], "done", 9)


async def test_each_call_of_a_batch_that_was_started_is_an_attempt() -> None:
    first, second, third = await attempts_of(
        [
            scheduled_batch(1, "a", "b", "c"),
            completed_batch(3, 1, Done(outputs={"n": 1}), Failed(error="no")),
            scheduled(4, "c"),
        ]
    )

    assert (first.node, first.outcome, first.outputs) == ("a", "done", {"n": 1})
    assert (second.node, second.outcome, second.error) == ("b", "failed", "no")
    assert (second.started, second.ended) == (1, 3)
    assert (third.node, third.outcome, third.started) == ("c", "running", 4)


async def test_a_retry_is_another_attempt_with_another_number() -> None:
    first, second = await attempts_of(
        [
            scheduled(1, "a"),
            completed(2, 1, Failed(error="no")),
            scheduled(5, "a", entry=2),
            completed(6, 5, Done()),
        ]
    )

    assert (first.attempt, first.outcome, first.error) == (1, "failed", "no")
    assert (second.attempt, second.entry, second.outcome) == (2, 2, "done")


async def test_another_pass_of_a_loop_is_a_first_attempt_again() -> None:
    found = await attempts_of(
        [scheduled(1, "a"), completed(2, 1, Done()), scheduled(3, "a", entry=2, loop=2)]
    )

    assert [each.attempt for each in found] == [1, 1]


async def test_a_wait_that_a_person_ended_is_left() -> None:
    first, second = await attempts_of(
        [scheduled(1, "a"), completed(2, 1, Waiting()), scheduled(3, "a", entry=2)]
    )

    assert (first.outcome, second.outcome) == ("left", "running")


async def test_what_goes_on_when_a_run_ends_is_left() -> None:
    end = at(5)
    end.workflow_execution_terminated_event_attributes.reason = "x"

    assert (await one(scheduled(1, "a"), end)).outcome == "left"


async def test_a_stop_is_a_step_and_no_outcome() -> None:
    found = await one(
        scheduled(1, "a"),
        completed(2, 1, Failed(error="no")),
        scheduled(3, "a", step="stop"),
        completed(4, 3, Done()),
    )

    assert (found.outcome, found.ended, found.steps) == ("failed", 2, ["call", "stop"])


async def test_an_activity_that_was_cancelled_says_so() -> None:
    cancelled = at(3)
    cancelled.activity_task_canceled_event_attributes.scheduled_event_id = 1

    assert (await one(scheduled(1, "a"), cancelled)).outcome == "cancelled"


async def test_event_ids_count_anew_in_each_part() -> None:
    begins = at(1)
    begins.workflow_execution_started_event_attributes.attempt = 1

    first, second = await attempts_of(
        [scheduled(5, "a"), begins, scheduled(5, "b"), completed(6, 5, Done())]
    )

    assert (first.node, first.outcome) == ("a", "running")
    assert (second.node, second.outcome) == ("b", "done")


async def test_a_payload_of_another_kind_is_passed_over() -> None:
    event = at(1)
    event.activity_task_scheduled_event_attributes.activity_type.name = "echo"

    assert await attempts_of([event, completed(2, 1, Done())]) == []
