"""The worker of the hand-written workflows: `python -m bench.hand_worker QUEUE ADDRESS [--bare]`.

What a person would set up: the SDK's own options and pydantic's converter, and nothing of stdops in
its memory. `--bare` does without the SDK's sandbox.
"""

import asyncio
import os
import sys
from collections.abc import Sequence
from typing import Final

from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import UnsandboxedWorkflowRunner, Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from bench.by_hand import ACTIVITIES, WORKFLOWS
from bench.worker_process import answer

BARE: Final = "--bare"


async def serve(address: str, queue: str, *, sandboxed: bool) -> None:
    """Serve the hand-written workflows, and tell what was used so far when asked."""
    client = await Client.connect(address, data_converter=pydantic_data_converter)
    async with Worker(
        client,
        task_queue=queue,
        workflows=WORKFLOWS,
        activities=ACTIVITIES,
        workflow_runner=SandboxedWorkflowRunner() if sandboxed else UnsandboxedWorkflowRunner(),
    ):
        await answer()


def main(argv: Sequence[str]) -> int:
    """Be the worker."""
    queue, address, *options = argv
    asyncio.run(serve(address, queue, sandboxed=BARE not in options))
    os._exit(0)  # the SDK's threads may abort an interpreter that exits by itself


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
