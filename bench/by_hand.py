"""The workflows that stdops is measured against: the same shapes, written for Temporal by hand.

A module of its own with nothing else in it, so that the sandbox loads it as cheaply as it can. They
are what a person would write who knows Temporal: the input comes from an activity, each step is an
activity with an input and an output, and a long line goes on in a fresh history when the server
suggests it.
"""

import asyncio
from datetime import timedelta
from typing import Any, Final

from temporalio import activity, workflow

BRANCHES: Final = 4
SHORT: Final = timedelta(seconds=60)


@activity.defn
async def load_input(name: str) -> dict[str, str]:
    """Stand in for what a real workflow reads first."""
    return {"text": name}


@activity.defn
async def step(given: dict[str, Any]) -> dict[str, Any]:
    """Do nothing, with an input and an output."""
    return {"text": given["text"]}


async def _step(text: str) -> None:
    await workflow.execute_activity(
        step, {"text": text}, start_to_close_timeout=SHORT, heartbeat_timeout=SHORT
    )


async def _steps(count: int, text: str) -> None:
    for _ in range(count):
        await _step(text)


async def _load(name: str) -> str:
    loaded = await workflow.execute_activity(load_input, name, start_to_close_timeout=SHORT)
    return loaded["text"]


@workflow.defn
class HandLine:
    """Steps in a row."""

    @workflow.run
    async def run(self, length: int, text: str = "") -> None:
        """Run the steps; `text` is there where an earlier history has loaded it."""
        text = text or await _load("line")
        for done in range(length):
            if workflow.info().is_continue_as_new_suggested():
                workflow.continue_as_new(args=[length - done, text])
            await _step(text)


@workflow.defn
class HandFork:
    """The 17-node flow."""

    @workflow.run
    async def run(self, _size: int) -> None:
        """Run two steps, four branches of two, and three steps."""
        text = await _load("fork")
        await _steps(2, text)
        await asyncio.gather(*(_steps(2, text) for _ in range(BRANCHES)))
        await _steps(3, text)


@workflow.defn
class HandFan:
    """Steps side by side."""

    @workflow.run
    async def run(self, width: int) -> None:
        """Run all steps at once."""
        text = await _load("fan")
        await asyncio.gather(*(_step(text) for _ in range(width)))


@workflow.defn
class HandNested:
    """Flows within flows."""

    @workflow.run
    async def run(self, depth: int) -> None:
        """Run a step, the flow within, and a step, so many deep."""
        await self.level(depth, await _load("nested"))

    async def level(self, depth: int, text: str) -> None:
        """Run one flow and those within."""
        await _step(text)
        if depth > 1:
            await self.level(depth - 1, text)
        await _step(text)


@workflow.defn
class HandLoop:
    """One step again and again."""

    @workflow.run
    async def run(self, times: int) -> None:
        """Run the step until it was run often enough."""
        text, turn = await _load("loop"), 0
        while turn < times:
            await _step(text)
            turn += 1


@workflow.defn
class HandWait:
    """A run that waits for a person."""

    def __init__(self) -> None:
        self.is_answered = False

    @workflow.signal
    def answer(self) -> None:
        """End the wait."""
        self.is_answered = True

    @workflow.run
    async def run(self, _size: int) -> None:
        """Wait for the answer."""
        await _load("wait")
        await workflow.wait_condition(lambda: self.is_answered)


WORKFLOWS: Final = (HandLine, HandFork, HandFan, HandNested, HandLoop, HandWait)
ACTIVITIES: Final = (load_input, step)
