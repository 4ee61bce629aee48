"""How much room a run's history has left, and what of the run can still be sent."""

from typing import Final

from temporalio import workflow
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from activities.contract import RunSettings, TooLargeError
    from workflows.messages import RunResult

DRAIN_EVENTS: Final = 20_000
"""History length from which no new call starts until the run has rolled over."""
DRAIN_FACTOR: Final = 5
"""The same, as a multiple of the length that the settings give for rolling over."""
DRAIN_BYTES: Final = 30_000_000
"""The same, as the size of the history; the server ends a run at 50 MB."""
STAY_EVENTS: Final = 1000
"""After how many events a run whose values could not be carried tries again to roll over."""


class Room:
    """Judges the length of this history; `stay` puts rolling over off for a while."""

    def __init__(self) -> None:
        self._stays_until = 0

    def is_long(self, settings: RunSettings) -> bool:
        """Say whether the history is long enough to go on in a fresh one."""
        info = workflow.info()
        if info.get_current_history_length() < self._stays_until:
            return self.is_full(settings)
        if settings.roll_over_events:
            return info.get_current_history_length() >= settings.roll_over_events
        return info.is_continue_as_new_suggested()

    def is_full(self, settings: RunSettings) -> bool:
        """Say whether the history comes near to where the server ends the run."""
        info = workflow.info()
        limit = settings.roll_over_events * DRAIN_FACTOR or DRAIN_EVENTS
        is_large = info.get_current_history_size() > DRAIN_BYTES
        return is_large or info.get_current_history_length() > limit

    def stay(self, settings: RunSettings) -> None:
        """Take the history for short until it has grown by some events more."""
        step = settings.roll_over_events or STAY_EVENTS
        self._stays_until = workflow.info().get_current_history_length() + step


def packed(value: object) -> RawValue:
    """Return a value in the form in which it is sent.

    Raises:
        TooLargeError: it cannot be sent.
    """
    return RawValue(workflow.payload_converter().to_payload(value))


def sendable(result: RunResult) -> RunResult:
    """Return a result, or fail the run where it can be sent to nobody."""
    try:
        packed(result)
    except TooLargeError as error:
        text = f"the run has finished, but its outputs are too large: {error}"
        raise ApplicationError(text, type="SOP532", non_retryable=True) from None
    return result
