from datetime import UTC, datetime, timedelta

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.failure.v1 import ApplicationFailureInfo, Failure, TimeoutFailureInfo
from temporalio.api.workflow.v1 import PendingActivityInfo

from workers.cli.follow import trouble_lines
from workers.troubles import Trouble, told, troubles_of

NOW = datetime(2026, 1, 31, 3, 0, tzinfo=UTC)
LATER = NOW + timedelta(seconds=30)


def failed(text: str, kind: str = "NoAnswer") -> Failure:
    return Failure(message=text, application_failure_info=ApplicationFailureInfo(type=kind))


def pending(
    name: str, failure: Failure | None, next_at: datetime | None = None
) -> PendingActivityInfo:
    found = PendingActivityInfo(activity_id=name, attempt=3, last_failure=failure)
    if next_at is not None:
        moment = Timestamp()
        moment.FromDatetime(next_at)
        found.next_attempt_schedule_time.CopyFrom(moment)
    return found


@pytest.mark.parametrize(
    ("name", "node", "step"),
    [
        ("deploy:1", "deploy", "call"),
        ("canary/observe:2:poll17", "canary/observe", "poll"),
        ("a:b:1:stop3", "a:b", "stop"),
        ("a:1+7", "a", "call"),
    ],
)
def test_a_step_that_is_tried_again_is_named_by_its_node(name: str, node: str, step: str) -> None:
    found = troubles_of([pending(name, failed("no connection"), LATER)])

    assert found == [Trouble(node, step, 3, "no connection", LATER)]


@pytest.mark.parametrize(
    ("name", "failure"),
    [
        ("a:1", None),
        ("a:1:poll2", failed("still running, next look in 5 s", "StillRunning")),
        ("load_plan", failed("the store is away")),
    ],
    ids=["first try", "work goes on", "no node's"],
)
def test_what_goes_as_it_should_is_no_trouble(name: str, failure: Failure | None) -> None:
    assert troubles_of([pending(name, failure)]) == []


def test_a_lost_worker_is_said_in_words() -> None:
    lost = Failure(message="activity Heartbeat timeout", timeout_failure_info=TimeoutFailureInfo())

    [found] = troubles_of([pending("a:1", lost)])

    assert found.reason == "nothing was heard of its worker (activity Heartbeat timeout)"


@pytest.mark.parametrize(("next_at", "when"), [(LATER, "in 30 s"), (None, "now"), (NOW, "now")])
def test_a_line_says_when_it_is_tried_next(next_at: datetime | None, when: str) -> None:
    line = told(Trouble("deploy", "poll", 3, "no connection", next_at), NOW)

    assert line == f"poll of deploy (attempt 3, {when}) has failed before: no connection"


def test_many_steps_in_trouble_are_counted_after_the_first_ones() -> None:
    lines = trouble_lines([Trouble(f"n{n}", "call", 2, "busy", None) for n in range(12)])

    assert len(lines) == 11
    assert "call of n9 (attempt 2, now) has failed before: busy" in lines[9]
    assert lines[10].endswith("and 2 more steps that are tried again")
