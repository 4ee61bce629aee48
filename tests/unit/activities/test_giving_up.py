"""How a step ends that is tried in vain, or cancelled: what an operator must know to go on."""

import asyncio
from typing import Literal

import pytest

from activities.contract import Done, PluginCall, Polling
from activities.steps import StepResult, TryAgain, finishing, given_up
from activities.trail import Trail
from translator.plan import PluginRef

BUSY, SILENT = TryAgain("not_taken", "busy"), TryAgain("no_answer", "no answer: ReadTimeout")


def told(step: Literal["call", "poll", "callback"], again: TryAgain, **more: bool) -> str:
    ref = PluginRef(code="job", version="v1")
    message = PluginCall(step=step, plugin=ref, run="r", node="n", entry=2)
    return given_up(message, again, 5, **more)


def test_what_was_surely_never_taken_can_be_retried() -> None:
    assert told("call", BUSY) == "busy; gave up after 5 attempts: mend the cause, then retry"


@pytest.mark.parametrize(
    ("again", "is_unsure"), [(SILENT, False), (BUSY, True)], ids=["silent", "busy, silent before"]
)
def test_a_call_that_may_have_been_taken_is_an_unknown_outcome(
    again: TryAgain, is_unsure: bool
) -> None:
    found = told("call", again, is_unsure=is_unsure)

    assert found.startswith("outcome unknown: ")
    assert "gave up after 5 attempts" in found
    assert "look at what 'job' does for key 'r:n:2', then retry or skip" in found


@pytest.mark.parametrize("step", ["poll", "callback"])
def test_work_that_is_looked_at_in_vain_may_go_on(step: Literal["poll", "callback"]) -> None:
    found = told(step, BUSY)

    assert found.startswith("outcome unknown: busy; gave up after 5 attempts")
    assert "retry, which starts it anew" in found


def test_a_trail_stays_unsure_once_an_attempt_may_have_been_taken() -> None:
    first = Trail().failed(BUSY, 1)
    second = first.failed(SILENT, 2)
    third = second.failed(BUSY, 3)

    assert [each.unsure for each in (first, second, third)] == [False, True, True]
    assert (third.failures, third.not_taken) == (3, 3)


def test_an_attempt_that_left_nothing_makes_the_next_one_unsure() -> None:
    assert Trail().failed(BUSY, 1).failed(BUSY, 3).unsure


# --- cancelled --------------------------------------------------------------------------------


async def test_a_cancelled_call_still_tells_what_it_has_started() -> None:
    asked, answered = asyncio.Event(), asyncio.Event()

    async def call() -> StepResult:
        asked.set()
        await answered.wait()
        return Polling(handle="job-7", after_s=1)

    step = asyncio.create_task(finishing(call()))
    await asked.wait()
    step.cancel()
    answered.set()

    assert await step == Polling(handle="job-7", after_s=1)


async def test_a_cancelled_call_that_goes_on_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("activities.steps.CANCEL_GRACE_S", 0)
    asked, cut_off = asyncio.Event(), asyncio.Event()

    async def call() -> StepResult:
        asked.set()
        try:
            await asyncio.Event().wait()
        finally:
            cut_off.set()
        return Done()

    step = asyncio.create_task(finishing(call()))
    await asked.wait()
    step.cancel()

    with pytest.raises(asyncio.CancelledError):
        await step
    await cut_off.wait()
