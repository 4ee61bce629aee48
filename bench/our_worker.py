"""The worker of stdops in the bench: `python -m bench.our_worker QUEUE ADDRESS STORE_URL`.

A process of its own, so that its CPU time and its memory are its own.
"""

import asyncio
import os
import sys
from collections.abc import Callable, Sequence
from typing import Final

from activities.expressions import Sandbox
from activities.registry import Registry, discover
from activities.sdk import AnyPlugin
from bench.plugins import PLUGINS
from bench.worker_process import Figures, answer
from workers.client import connect
from workers.plans import PlanLoader
from workers.server import SEARCH_ATTRIBUTES
from workers.settings import Settings
from workers.store import Store
from workers.worker import build_worker, worker_parts

MOST_TURNS: Final = 100_000
"""How often a run may pass through one node; the loop of the bench does so on purpose."""


async def serve(
    address: str,
    store_url: str,
    queue: str,
    plugins: Sequence[AnyPlugin] = PLUGINS,
    more: Callable[[], Figures] = dict,
) -> None:
    """Serve runs of stdops, and tell what was used so far when asked."""
    client = await connect(Settings(), address=address)
    settings = Settings(
        task_queue=queue, store_url=store_url, graceful_shutdown_s=0, rerun_limit=MOST_TURNS
    )
    registry = Registry([*plugins, *discover().plugins()])
    with Store.open(store_url) as store:
        loader = PlanLoader(store, registry, settings, tuple(SEARCH_ATTRIBUTES))
        async with (
            Sandbox(processes=1) as sandbox,
            build_worker(client, settings, worker_parts(registry, sandbox, loader)),
        ):
            await answer(more)


def main(argv: Sequence[str]) -> int:
    """Be the worker."""
    queue, address, store_url = argv
    asyncio.run(serve(address, store_url, queue))
    os._exit(0)  # the SDK's threads may abort an interpreter that exits by itself


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
