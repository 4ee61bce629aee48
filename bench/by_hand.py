"""The workflows that stdops is measured against: the same shapes, written for Temporal by hand.

A module of its own with nothing else in it, so that the sandbox loads it as cheaply as it can.
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
    return {"name": name}


@activity.defn
async def step(given: dict[str, Any]) -> dict[str, Any]:
    """Do nothing, with an input and an output."""
    return {"text": given["text"]}


async def _step(number: int) -> None:
    await workflow.execute_activity(
        step, {"text": number}, start_to_close_timeout=SHORT, heartbeat_timeout=SHORT
    )


async def _load(name: str) -> None:
    await workflow.execute_activity(load_input, name, start_to_close_timeout=SHORT)


@workflow.defn
class HandChain:
    """Steps in a row, as a person would write them."""

    @workflow.run
    async def run(self, length: int) -> None:
        """Run the steps."""
        await _load("chain")
        for number in range(length):
            await _step(number)


@workflow.defn
class HandForked:
    """The 17-node flow, as a person would write it."""

    @workflow.run
    async def run(self, _length: int) -> None:
        """Run two steps, four branches of two, and three steps."""
        await _load("forked")
        for number in range(2):
            await _step(number)
        await asyncio.gather(*(self.branch(number) for number in range(BRANCHES)))
        for number in range(3):
            await _step(number)

    async def branch(self, number: int) -> None:
        """Run one branch."""
        await _step(number)
        await _step(number)
