"""A worker in a process of its own, which tells what it has used so far each time it is asked."""

import asyncio
import json
import os
import sys
import tempfile
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
COMPILED: Final = {
    "PYTHONDONTWRITEBYTECODE": "",
    "PYTHONPYCACHEPREFIX": str(Path(tempfile.gettempdir()) / "stdops-bench"),
}
"""Lets Python keep compiled modules, as an installed package has them: the workflow sandbox loads
the driver once for each run, and would compile it each time."""

Figures = Mapping[str, float]


class Worker:
    """The worker's process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def figures(self) -> Figures:
        """Ask what was used so far."""
        assert self._process.stdin is not None  # noqa: S101  piped; for the type checker
        assert self._process.stdout is not None  # noqa: S101  as above
        self._process.stdin.write(b"\n")
        while True:  # the log goes the same way
            line = (await self._process.stdout.readline()).decode()
            if not line:
                raise RuntimeError("the worker has ended")
            if line.startswith("{"):
                return json.loads(line)


async def answer(figures: Callable[[], Figures]) -> None:
    """Print figures for each line that comes in; the worker's side of `Worker.figures`."""
    while await asyncio.to_thread(sys.stdin.readline):
        print(json.dumps(figures()), flush=True)


@asynccontextmanager
async def worker_process(module: str, address: str, store_url: str) -> AsyncGenerator[Worker]:
    """Run the worker of a module of ours as long as the context lasts."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", module, "--worker", address, store_url),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, **COMPILED, "STDOPS_LOG_LEVEL": "warning"},
        cwd=ROOT,
    )
    try:
        yield Worker(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()
