"""Plays a shape on a server: starts its runs, awaits them, and asks what they took.

For contestants that run on Temporal; others make a `Played` in their own way.
"""

import asyncio
import secrets
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import Any, Final, NamedTuple

from temporalio.client import (
    Client,
    WorkflowHandle,
    WorkflowHistory,
    WorkflowHistoryEventFilterType,
)

from bench.shapes import Shape
from bench.worker_process import Worker

LONGEST_S: Final = 600
ASK_AGAIN_S: Final = 0.25
SAMPLE: Final = 20
"""Of how many runs, at most, the histories are looked at."""

Handle = WorkflowHandle[Any, Any]
Start = Callable[[str], Awaitable[Handle]]
"""Starts a run under a workflow id."""


class Played(NamedTuple):
    """What one round of a shape took.

    cpu_s: CPU seconds of the worker. latencies_ms: of each run from its start to its result as the
    client sees it. events, bytes: history a node. parts: histories that one run went through.
    rss_mb: the worker's memory before, at most, and after; of runs that wait, after is with all
    alive. None where a contestant cannot tell.
    """

    seconds: float
    cpu_s: float | None = None
    latencies_ms: Sequence[float] = ()
    events: float | None = None
    bytes: float | None = None
    parts: int = 1
    rss_mb: tuple[float, float, float] | None = None


class Part(NamedTuple):
    """One history of a run, which goes on in the next."""

    handle: Handle
    events: int
    bytes: int


async def play(client: Client, worker: Worker, shape: Shape, start: Start) -> Played:
    """Run a shape once."""
    before, begun = await worker.figures(reset=True), time.perf_counter()
    handles, latencies = await _run(shape, start)
    seconds = time.perf_counter() - begun
    after = await worker.figures()
    parts = [each for handle in handles[:SAMPLE] async for each in parts_of(client, handle)]
    if shape.form == "wait":
        await asyncio.gather(*(handle.terminate() for handle in handles))
    runs = len(handles[:SAMPLE])
    nodes = runs * shape.nodes
    return Played(
        seconds,
        after["cpu_s"] - before["cpu_s"],
        latencies,
        sum(each.events for each in parts) / nodes,
        sum(each.bytes for each in parts) / nodes,
        len(parts) // runs,
        (before["rss_mb"], after["peak_mb"], after["rss_mb"]),
    )


async def _run(shape: Shape, start: Start) -> tuple[list[Handle], list[float]]:
    """Start the runs of a shape and await them; returns how long each took, too."""
    ids = [f"{shape.key}-{secrets.token_hex(6)}" for _ in range(shape.runs)]
    end = _all_wait if shape.form == "wait" else _result

    async def one(name: str) -> tuple[Handle, float]:
        begun = time.perf_counter()
        handle = await start(name)
        await end(handle)
        return handle, 1000 * (time.perf_counter() - begun)

    async with asyncio.timeout(LONGEST_S):
        if shape.at_once:
            pairs = await asyncio.gather(*map(one, ids))
        else:
            pairs = [await one(name) for name in ids]
    return [handle for handle, _ in pairs], [took for _, took in pairs]


async def _result(handle: Handle) -> None:
    await handle.result()


async def _all_wait(handle: Handle) -> None:
    """Wait until a run has nothing to do but wait for a person."""
    while True:
        seen: Any = (await handle.describe()).raw_description  # protobuf's own type
        has_begun = seen.workflow_execution_info.history_length > 3  # noqa: PLR2004  as started
        if has_begun and not seen.HasField("pending_workflow_task") and not seen.pending_activities:
            return
        await asyncio.sleep(ASK_AGAIN_S)


async def parts_of(client: Client, handle: Handle) -> AsyncGenerator[Part]:
    """Yield each history of a run, first to last."""
    run_id = handle.first_execution_run_id or ""
    while run_id:
        part: Handle = client.get_workflow_handle(handle.id, run_id=run_id)
        seen: Any = (await part.describe()).raw_description  # protobuf's own type
        info = seen.workflow_execution_info
        yield Part(part, info.history_length, info.history_size_bytes)
        run_id = await _next_part(part) if info.close_time.seconds else ""


async def _next_part(part: Handle) -> str:
    """Return the run id under which a closed part went on, "" for the last."""
    last = WorkflowHistoryEventFilterType.CLOSE_EVENT
    async for event in part.fetch_history_events(event_filter_type=last):
        return event.workflow_execution_continued_as_new_event_attributes.new_execution_run_id
    return ""


async def histories(client: Client, handle: Handle) -> list[WorkflowHistory]:
    """Return all histories of a run, first to last."""
    return [await part.handle.fetch_history() async for part in parts_of(client, handle)]
