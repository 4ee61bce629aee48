"""The page of a run: how long it takes to draw, and what asking for it every second costs a run.

`python -m bench.page [--quick]` prints both. A page is drawn on request only, so a run that nobody
looks at pays nothing; the same chain is run with and without somebody who looks, in turn.
"""

import asyncio
import contextlib
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from temporalio.service import RPCError

from activities.contract import RunSettings
from bench.server import CALLED, QUEUE, Handle, Row, Shape, Side, chain, measure
from bench.worker_process import worker_process
from tests.helpers.pictures import NOW, half_way, large
from workers.client import connect
from workers.server import EmbeddedServer
from workers.settings import Settings
from workers.store import Store
from workflows.machine.view import page
from workflows.run_flow import METADATA_QUERY

SIZES: Final = (15, 300, 10_000)
ROUNDS: Final = 5
EVERY_S: Final = 1.0
MOST_LOST: Final = 0.05
"""The share of the nodes a second that somebody who looks may cost."""


def drawing_ms(tasks: int) -> float:
    """Return how long the page of a run in the middle of so many tasks takes, the median."""
    plan = large(tasks)
    state, times = half_way(plan), list[float]()
    for _ in range(ROUNDS):
        started = time.perf_counter()
        page(plan, state, RunSettings(), NOW, run_id="large-7f3c")
        times.append(time.perf_counter() - started)
    return 1000 * statistics.median(times)


async def look(handle: Handle) -> None:
    """Ask for the page every second, as long as the run answers."""
    while True:
        with contextlib.suppress(RPCError):
            await handle.query(METADATA_QUERY)
        await asyncio.sleep(EVERY_S)


@asynccontextmanager
async def watched(side: Side) -> AsyncGenerator[Side]:
    """Give a side whose runs somebody looks at, as long as the context lasts."""
    lookers: list[asyncio.Task[None]] = []

    async def start(name: str) -> Handle:
        handle = await side.start(name)
        lookers.append(asyncio.create_task(look(handle)))
        return handle

    yield Side("watched", start)
    for looker in lookers:
        looker.cancel()
    await asyncio.gather(*lookers, return_exceptions=True)


async def rows(*, quick: bool) -> list[Row]:
    """Run a chain with nobody and with somebody who looks."""
    length = 200 if quick else 1_000
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder) / 'store.db'}"
        async with EmbeddedServer() as server:
            client = await connect(Settings(), address=server.address)
            with Store.open(url) as store:
                made = chain(length, CALLED)
                given = {"template": made.template_key, "digest": store.save_plan(made)}

            def start(name: str) -> Any:
                return client.start_workflow("RunFlow", given, id=name, task_queue=QUEUE)

            plain = Side("alone", start)
            async with (
                worker_process("bench.server", server.address, url) as worker,
                watched(plain) as seen,
            ):
                shape = Shape(f"chain of {length}", 1, length, (plain, seen))
                await measure(client, worker, shape, 1)  # warms caches and imports
                return await measure(client, worker, shape, 1 if quick else 3)


def main(argv: Sequence[str]) -> int:
    """Measure and print; ends with 1 when looking costs too much."""
    for size in SIZES:
        print(f"page of {size:6,} tasks: {drawing_ms(size):8.1f} ms")
    alone, seen = asyncio.run(rows(quick="--quick" in argv))
    print(f"{alone.shape}, alone:   {alone.nodes_s:6.1f} nodes/s, {alone.cpu_ms:.2f} ms CPU a node")
    print(f"{seen.shape}, watched: {seen.nodes_s:6.1f} nodes/s, {seen.cpu_ms:.2f} ms CPU a node")
    lost = 1 - seen.nodes_s / alone.nodes_s
    print(f"asking every second costs {lost:.1%} (at most {MOST_LOST:.0%})")
    return 0 if lost <= MOST_LOST else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
