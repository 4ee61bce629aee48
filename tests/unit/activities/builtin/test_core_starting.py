import asyncio

import pytest

from activities.builtin.starting import started


class Start:
    """A start that ends when the test says so, and what was undone of it."""

    def __init__(self) -> None:
        self.begun, self.may_end = asyncio.Event(), asyncio.Event()
        self.undone: list[str] = []

    async def start(self) -> str:
        self.begun.set()
        await self.may_end.wait()
        return "program"

    async def undo(self, what: str) -> None:
        self.undone.append(what)


async def test_what_was_started_is_returned_and_not_undone() -> None:
    begin = Start()
    begin.may_end.set()

    assert await started(begin.start(), begin.undo) == "program"
    assert begin.undone == []


async def test_what_starts_while_we_are_cancelled_is_undone() -> None:
    begin = Start()
    running = asyncio.ensure_future(started(begin.start(), begin.undo))
    await begin.begun.wait()

    running.cancel()
    await asyncio.sleep(0)
    begin.may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await running

    assert begin.undone == ["program"]


async def test_a_start_that_fails_is_its_failure() -> None:
    async def fail() -> str:
        msg = "no such program"
        raise OSError(msg)

    with pytest.raises(OSError, match="no such program"):
        await started(fail(), Start().undo)
