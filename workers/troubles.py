"""What the server knows of a run's steps that did not come through yet, and a run itself cannot.

A step that the outside does not take, or that does not reach it, is tried again by the server: how
often that was, what went wrong last and when it is tried next stands in its pending activity.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final, NamedTuple

from temporalio.api.failure.v1 import Failure
from temporalio.api.workflow.v1 import PendingActivityInfo

from workflows.activity_ids import read_activity_id

_GOES_ON: Final = "StillRunning"


class Trouble(NamedTuple):
    """A step whose last try has failed; `next_at` is None while it is being tried again.

    step: `call`, `poll`, `callback`, `stop` or `evaluate`; `attempt` is the next one's number.
    """

    node: str
    step: str
    attempt: int
    reason: str
    next_at: datetime | None


def troubles_of(pending: Iterable[PendingActivityInfo]) -> list[Trouble]:
    """Return the steps among pending activities whose last try has failed."""
    return [found for each in pending if (found := _trouble(each)) is not None]


def told(trouble: Trouble, now: datetime) -> str:
    """Return one line on a step that is tried again."""
    node, step, attempt, reason, next_at = trouble
    left = (next_at - now).total_seconds() if next_at else 0
    when = f"in {left:.0f} s" if left >= 1 else "now"
    return f"{step} of {node} (attempt {attempt}, {when}) has failed before: {reason}"


def _trouble(pending: PendingActivityInfo) -> Trouble | None:
    named = read_activity_id(pending.activity_id)
    reason = _reason(pending.last_failure) if pending.HasField("last_failure") else ""
    if named is None or not reason:
        return None
    waits = pending.HasField("next_attempt_schedule_time")
    next_at = pending.next_attempt_schedule_time.ToDatetime(UTC) if waits else None
    return Trouble(named.path, named.step, pending.attempt, reason, next_at)


def _reason(failure: Failure) -> str:
    """Return why a try failed in one line; "" where it only found the work going on."""
    if failure.application_failure_info.type == _GOES_ON:
        return ""
    text = " ".join(failure.message.split())
    is_lost = failure.HasField("timeout_failure_info")
    return f"nothing was heard of its worker ({text})" if is_lost else text
