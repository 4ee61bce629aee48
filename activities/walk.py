"""All steps of a plugin, one after the other, outside of Temporal.

What follows a step is the same everywhere: a poll after its delay, a callback when it comes, the
same step again when the outside has not taken it, as often as a run would. How the time passes and
where callbacks come from is for the caller: a test's clock and list, or a person at a terminal.
"""

from typing import NamedTuple, Protocol

from pydantic import JsonValue

from activities.contract import Done, Failed, PluginCall, Polling, Waiting
from activities.steps import StepResult, TryAgain, delay_s, given_up, most_failures


class Answered(NamedTuple):
    """What the outside has called back with."""

    data: JsonValue


class Guide(Protocol):
    """Who takes the steps, waits, and hears the outside."""

    async def take(self, message: PluginCall) -> StepResult:
        """Take one step."""
        ...

    async def pause(self, result: Polling | TryAgain, seconds: float) -> None:
        """Let the time pass until the next step."""
        ...

    async def answer(self, waiting: Waiting) -> Answered | None:
        """Return what comes back from outside; None when nothing does."""
        ...


async def walk(message: PluginCall, guide: Guide) -> Done | Failed | Waiting:
    """Take steps until the plugin has ended, or waits for a callback that does not come.

    `message` is the first step. A step is given up after as many failures in a row as in a run.
    """
    failures, is_unsure = 0, False
    while True:
        result = await guide.take(message)
        failures = failures + 1 if _has_failed(result) else 0
        is_unsure |= isinstance(result, TryAgain) and result.kind == "no_answer"
        match result:
            case Done() | Failed():
                return result
            case Waiting():
                found = await guide.answer(result)
                if found is None:
                    return result
                message = message.model_copy(update=_called_back(result, found))
            case TryAgain() if failures >= most_failures(message):
                told = given_up(message, result, failures, is_unsure=is_unsure)
                return Failed(error=told, outputs=dict(result.outputs))
            case Polling() | TryAgain():
                await guide.pause(result, _pause_s(result, failures))
                message = message.model_copy(update=_next_look(result))


def _has_failed(result: StepResult) -> bool:
    return isinstance(result, TryAgain) and result.kind != "still_running"


def _pause_s(result: Polling | TryAgain, failures: int) -> float:
    return result.after_s if isinstance(result, Polling) else delay_s(result, failures)


def _called_back(waiting: Waiting, answered: Answered) -> dict[str, object]:
    known = {"handle": waiting.handle, "outputs": waiting.outputs}
    return {"step": "callback", "data": answered.data, **known}


def _next_look(result: Polling | TryAgain) -> dict[str, object]:
    """Return what is new in the message of the step that follows `result`."""
    if isinstance(result, Polling):
        return {"step": "poll", "handle": result.handle, "outputs": result.outputs}
    if result.kind == "still_running":
        return {"handle": result.handle, "outputs": dict(result.outputs)}
    return {}
