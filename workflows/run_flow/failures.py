"""What an activity failed with, in words."""

from temporalio.exceptions import ActivityError, ApplicationError, CancelledError


def reason_of(error: ActivityError) -> str:
    """Return what an activity failed with, in one line."""
    cause = error.cause
    if isinstance(cause, CancelledError):
        return "cancelled before it had answered; look whether it has begun something outside"
    return str(cause.message if isinstance(cause, ApplicationError) else cause or error)


def reworded(error: ActivityError) -> ApplicationError:
    """Return an activity's failure as the run's own."""
    cause = error.cause
    kind = cause.type if isinstance(cause, ApplicationError) else "SOP508"
    return ApplicationError(reason_of(error), type=kind, non_retryable=True)
