"""Threads for libraries that block: some for each plugin, so that none starves another.

asyncio's own few threads look up names for every connection of the worker; a slow database must not
hold them.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar, TypeVarTuple

from activities.sdk import Call

THREADS: Final = 16
"""How many of one plugin's calls block at once on a worker; the rest wait for a thread."""

ResultT = TypeVar("ResultT")
Arguments = TypeVarTuple("Arguments")


async def in_thread(
    call: Call[Any], work: Callable[[*Arguments], ResultT], *arguments: *Arguments
) -> ResultT:
    """Return what `work` returns, called in a thread; it cannot be cancelled once it runs."""
    plugin = str(call.place["plugin"])
    pool = call.shelf.shared(
        (ThreadPoolExecutor, plugin), lambda: ThreadPoolExecutor(THREADS, thread_name_prefix=plugin)
    )
    return await asyncio.get_running_loop().run_in_executor(pool, work, *arguments)
