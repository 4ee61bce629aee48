"""Starts that are not to be left half done: what was started while we were cancelled is undone."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final, TypeVar

PATIENCE_S: Final = 60.0
"""How long a start may go on after a cancel, in seconds."""

StartedT = TypeVar("StartedT")


async def started(
    start: Coroutine[Any, Any, StartedT], undo: Callable[[StartedT], Awaitable[None]]
) -> StartedT:
    """Return what `start` has started; cancelled meanwhile, wait for it and `undo` it."""
    running = asyncio.ensure_future(start)
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait([running], timeout=PATIENCE_S)
        if not running.done():
            running.cancel()
        elif not running.cancelled() and running.exception() is None:
            await undo(running.result())
        raise
