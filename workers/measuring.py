"""Counts the steps of plugins as they end: a worker interceptor around every activity.

What a step was is read from its message, how it ended from its result, or from the error by which
the server is asked to repeat it. Nothing is counted where no metrics are offered.
"""

import asyncio
import time
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from temporalio.exceptions import ApplicationError
from temporalio.worker import (
    ActivityInboundInterceptor,
    ExecuteActivityInput,
    Interceptor,
)

from activities.contract import (
    BatchResult,
    Failed,
    Outcome,
    OutcomeMessage,
    PluginBatch,
    PluginCall,
)
from workers.telemetry import meters

UNKNOWN: Final = "outcome unknown"
"""How the error of a node begins of which nobody knows whether its work was done."""

_AGAIN: Final = {
    "StillRunning": "still_running",
    "NotTaken": "not_taken",
    "NoAnswer": "no_answer",
    "WorkerStopped": "interrupted",
}


class Step(NamedTuple):
    """How one step of a plugin ended."""

    plugin: str
    step: str
    outcome: str
    is_unknown: bool = False


class MeasureInterceptor(Interceptor):
    """Counts and times the plugins' steps."""

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002  the base class names it
        """Put ourselves before the activity."""
        return _Measured(next)


class _Measured(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002  as above
        calls = calls_of(input.args)
        if not calls:
            return await self.next.execute_activity(input)
        began = time.monotonic()
        try:
            result = await self.next.execute_activity(input)
        except (ApplicationError, asyncio.CancelledError) as error:
            count([_ended_by(calls[0], error)])
            raise
        finally:
            _time(calls[0], time.monotonic() - began)
        count(steps_of(calls, result))
        return result


def calls_of(args: Iterable[object]) -> list[PluginCall]:
    """Return the steps that an activity is asked for; none for an activity of our own."""
    match next(iter(args), None):
        case PluginCall() as call:
            return [call]
        case PluginBatch(calls=calls):
            return [each.call for each in calls]
        case _:
            return []


def steps_of(calls: list[PluginCall], result: object) -> list[Step]:
    """Return how the steps ended that were taken; of a batch some may not have been."""
    match result:
        case OutcomeMessage(outcome=outcome):
            outcomes: list[Outcome] = [outcome]
        case BatchResult(outcomes=several):
            outcomes = list(several)
        case _:
            outcomes = []
    return [_ended(call, outcome) for call, outcome in zip(calls, outcomes, strict=False)]


def count(steps: Iterable[Step]) -> None:
    """Add steps to the counters."""
    instruments = meters()
    for each in steps:
        labels = {"plugin": each.plugin, "step": each.step, "outcome": each.outcome}
        instruments.steps.add(1, labels)
        if each.is_unknown:
            instruments.outcome_unknown.add(1, {"plugin": each.plugin})


def _ended(call: PluginCall, outcome: Outcome) -> Step:
    is_unknown = isinstance(outcome, Failed) and outcome.error.startswith(UNKNOWN)
    return Step(call.plugin.code, call.step, outcome.kind, is_unknown)


def _ended_by(call: PluginCall, error: BaseException) -> Step:
    kind = error.type if isinstance(error, ApplicationError) else ""
    return Step(call.plugin.code, call.step, _AGAIN.get(kind or "", "interrupted"))


def _time(call: PluginCall, seconds: float) -> None:
    meters().step_seconds.record(seconds, {"plugin": call.plugin.code, "step": call.step})
