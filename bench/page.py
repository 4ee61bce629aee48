"""The page of a run: how long it takes to draw, and what asking for it every second costs a run.

`python -m bench.page [--quick]` prints both. A page is drawn on request only, so a run that nobody
looks at pays nothing; the same line is run with and without somebody who looks, in turn.
"""

import asyncio
import contextlib
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from temporalio.service import RPCError

from activities.contract import RunSettings
from bench.contestants import OURS
from bench.results import Round, Row, row_of
from bench.runs import Handle, play
from bench.shapes import Shape, plan_of
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
    """Ask for the page every second until the run has ended.

    Not longer: of a run that has ended the page takes a replay of its whole history, which the next
    run would pay for.
    """
    ended = asyncio.create_task(handle.result())
    while not ended.done():
        with contextlib.suppress(RPCError):
            await handle.query(METADATA_QUERY)
        await asyncio.wait([ended], timeout=EVERY_S)
    await ended


async def rows(*, quick: bool) -> tuple[Row, Row]:
    """Run a line with nobody and with somebody who looks, in turn."""
    shape = Shape("line", "line", 200 if quick else 1_000)
    plan = plan_of(shape)
    rounds: dict[str, list[Round]] = {"alone": [], "watched": []}
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder) / 'store.db'}"
        async with EmbeddedServer() as server:
            client = await connect(Settings(), address=server.address)
            with Store.open(url) as store:
                given = {"template": plan.template_key, "digest": store.save_plan(plan)}

            async def alone(name: str) -> Handle:
                return await client.start_workflow("RunFlow", given, id=name, task_queue=OURS)

            async def watched(name: str) -> Handle:
                handle = await alone(name)
                await look(handle)
                return handle

            async with worker_process("bench.our_worker", OURS, server.address, url) as worker:
                await play(client, worker, shape, alone)  # warms caches and imports
                for _ in range(1 if quick else 3):
                    for name, start in (("alone", alone), ("watched", watched)):
                        rounds[name].append(Round(await play(client, worker, shape, start), 0))
    return row_of(shape, "alone", rounds["alone"]), row_of(shape, "watched", rounds["watched"])


def main(argv: Sequence[str]) -> int:
    """Measure and print; ends with 1 when looking costs too much."""
    for size in SIZES:
        print(f"page of {size:6,} tasks: {drawing_ms(size):8.1f} ms")
    alone, seen = asyncio.run(rows(quick="--quick" in argv))
    for row in (alone, seen):
        told = f"{row.nodes_s:6.1f} nodes/s, {row.cpu_ms:.2f} ms CPU a node"
        print(f"{row.title}, {row.contestant + ':':8} {told}")
    lost = 1 - seen.nodes_s / alone.nodes_s
    print(f"asking every second costs {lost:.1%} (at most {MOST_LOST:.0%})")
    return 0 if lost <= MOST_LOST else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
