"""What an activity failed with, in words."""

from typing import Final

from temporalio.exceptions import ActivityError, ApplicationError

NO_ANSWER: Final = "cancelled before it had answered; look whether it has begun something outside"
"""What is told of a call that was stopped and gave no handle."""


def reason_of(error: ActivityError) -> str:
    """Return what an activity failed with, in one line."""
    cause = error.cause
    return str(cause.message if isinstance(cause, ApplicationError) else cause or error)


def reworded(error: ActivityError) -> ApplicationError:
    """Return an activity's failure as the run's own."""
    cause = error.cause
    kind = cause.type if isinstance(cause, ApplicationError) else "SOP508"
    return ApplicationError(reason_of(error), type=kind, non_retryable=True)
