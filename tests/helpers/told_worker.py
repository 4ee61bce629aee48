"""A worker in a process of its own whose plugins tell, line by line, which steps they take.

A plugin tells by `print("step", ...)`; what stands behind `step` are the words of the line.
"""

import asyncio
import os
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


class ToldWorker:
    """The process, and the steps that its plugins told of so far."""

    def __init__(self, process: asyncio.subprocess.Process, longest_s: float) -> None:
        self._process = process
        self._longest_s = longest_s
        self.steps: list[tuple[str, ...]] = []

    async def until(self, *wanted: tuple[str, ...]) -> None:
        """Read until these steps were told of."""
        assert self._process.stdout is not None
        async with asyncio.timeout(self._longest_s):
            while not set(wanted) <= set(self.steps):
                line = await self._process.stdout.readline()
                assert line, "the worker has ended"
                self._read(line)

    def signal(self, number: int) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    async def ended(self) -> int:
        """Read until it has ended by itself, and return its exit code."""
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            self._read(line)
        return await self._process.wait()

    async def kill(self) -> None:
        """End it by force, and keep what it said last."""
        if self._process.returncode is None:
            self._process.kill()
            rest, _ = await self._process.communicate()
            for line in rest.splitlines():
                self._read(line)

    def _read(self, line: bytes) -> None:
        match line.decode().split():
            case ["step", *words]:
                self.steps.append(tuple(words))
            case _:
                pass  # the log goes the same way


@asynccontextmanager
async def told_worker(
    program: str, *arguments: str, longest_s: float
) -> AsyncGenerator[ToldWorker]:
    """Run a program that is a worker; it is killed at the end at the latest.

    `longest_s` bounds each wait for a step.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", program, *arguments),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    worker = ToldWorker(process, longest_s)
    try:
        yield worker
    finally:
        await worker.kill()
