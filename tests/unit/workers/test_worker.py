import asyncio
import os
import signal
import sys

from temporalio.worker import UnsandboxedWorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from workers.worker import identity, passthrough_modules, stop_on_signals, workflow_runner

TWICE = """
import asyncio, os, signal
from workers.worker import stop_on_signals

async def main():
    stop = asyncio.Event()
    async with stop_on_signals(stop):
        os.kill(os.getpid(), signal.SIGINT)
        await stop.wait()
        os.kill(os.getpid(), signal.SIGINT)
        await asyncio.Event().wait()

asyncio.run(main())
"""


def test_everything_but_the_driver_passes_through_the_sandbox() -> None:
    names = passthrough_modules()

    assert {"stdops", "translator", "activities", "workflows.machine"} <= set(names)
    assert "workflows.run_flow" not in names
    assert "workflows" not in names


def test_the_sandbox_is_a_setting() -> None:
    assert isinstance(workflow_runner(), UnsandboxedWorkflowRunner)
    assert isinstance(workflow_runner(sandboxed=True), SandboxedWorkflowRunner)


def test_a_worker_says_what_and_where_it_is() -> None:
    assert identity().startswith("stdops ")
    assert f" {os.getpid()}@" in identity()


async def test_a_first_signal_asks_to_stop() -> None:
    stop = asyncio.Event()

    async with stop_on_signals(stop):
        os.kill(os.getpid(), signal.SIGTERM)
        async with asyncio.timeout(5):
            await stop.wait()

    assert stop.is_set()


async def test_a_second_ctrl_c_ends_at_once() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        TWICE,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )

    async with asyncio.timeout(30):
        assert await process.wait() == 130
