"""Several changes by one step: CMDB has no transactions, so what was done before a failure is told.

The rules: a change that CMDB refuses has changed nothing; one whose answer is lost may have been
made, and is looked at by people; one that surely was not taken may be sent again with the whole
step as long as the step has changed nothing.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, Final, Generic, NamedTuple, TypeVar

import httpx

from activities.blueking.client import BlueKing, Json
from activities.blueking.form import Written
from activities.calls import OutcomeUnknown, PluginError
from activities.http_client import BodyTooLargeError, fault_of

T = TypeVar("T")

_LOST: Final = (httpx.HTTPError, BodyTooLargeError)


class Change(NamedTuple):
    """One call that changes CMDB, and what it is about, for people."""

    about: str
    request: Json


class Settled(NamedTuple, Generic[T]):
    """Which of several changes were made, and of the others what went wrong."""

    done: list[T]
    failed: list[str]

    def written(self, outputs: Json) -> Written:
        """Return the outputs.

        Raises:
            PluginError: a change has failed; the outputs are written all the same.
        """
        if self.failed:
            raise PluginError("\n".join(self.failed), outputs=outputs)
        return Written.model_validate(outputs)


async def in_turn(
    bk: BlueKing, api: str, changes: Sequence[Change], done: str = "done before", hint: str = ""
) -> None:
    """Make one change after the other, up to the first that fails.

    Args:
        bk: the platform.
        api: what makes a change.
        changes: what is to be done.
        done: what the text of a failure calls the changes before it.
        hint: what people must know before they go on after a failure.

    Raises:
        PluginError: CMDB refuses a change.
        OutcomeUnknown: the answer to a change was lost.
    """
    for at, change in enumerate(changes):
        try:
            await bk.call(api, change.request)
        except PluginError as error:
            told = _with_rest(error.what, changes, at, done, hint)
            raise PluginError(told, retryable=error.retryable, after_s=error.after_s) from error
        except _LOST as error:
            told = _with_rest(_lost_text(error), changes, at, done, hint)
            raise OutcomeUnknown(told, change.about) from error


async def each_alone(
    items: Iterable[T], change: Callable[[T], Awaitable[Any]], about: Callable[[T], str]
) -> Settled[T]:
    """Make all changes, which do not depend on each other.

    Raises:
        PluginError: the first cannot be made now, and the step may be taken again.
    """
    settled = Settled[T]([], [])
    for item in items:
        try:
            await change(item)
            settled.done.append(item)
        except PluginError as error:
            if error.retryable:
                raise
            settled.failed.append(f"{about(item)}: {error.what}")
        except _LOST as error:
            lost = f"outcome unknown: {_lost_text(error)}; look at it in CMDB before a retry"
            settled.failed.append(f"{about(item)}: {lost}")
    return settled


def _lost_text(error: Exception) -> str:
    """Return what was lost.

    Raises:
        Exception: the error itself, where nothing was: the call was never taken.
    """
    fault = fault_of(error)
    if fault is None or fault.verdict != "unknown":
        raise error
    return fault.what


def _with_rest(what: str, changes: Sequence[Change], at: int, done: str, hint: str) -> str:
    """Say of a failure what was done before it, and what comes after it and was not."""
    before = ", ".join(change.about for change in changes[:at])
    after = ", ".join(change.about for change in changes[at + 1 :])
    told = [f"{done}: {before}" if before else "", f"not done: {after}" if after else "", hint]
    return "\n".join([what, *(line for line in told if line)])
