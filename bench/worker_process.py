"""A worker in a process of its own, which tells what it has used so far each time it is asked."""

import asyncio
import json
import os
import resource
import sys
import tempfile
import time
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

_RESET: Final = "reset"
_MB: Final = 1e6
_PROCESS: Final = Path("/proc/self")

Figures = Mapping[str, float]


class Worker:
    """The worker's process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def figures(self, *, reset: bool = False) -> Figures:
        """Ask what was used so far; `reset` has the peak of the memory begin anew."""
        assert self._process.stdin is not None  # noqa: S101  piped; for the type checker
        assert self._process.stdout is not None  # noqa: S101  as above
        self._process.stdin.write(f"{_RESET if reset else ''}\n".encode())
        while True:  # the log goes the same way
            line = (await self._process.stdout.readline()).decode()
            if not line:
                raise RuntimeError("the worker has ended")
            if line.startswith("{"):
                return json.loads(line)


async def answer(more: Callable[[], Figures] = dict) -> None:
    """Print figures for each line that comes in, until the other end is gone.

    The worker's side of `Worker.figures`; `more` are figures of its own.
    """
    while line := await asyncio.to_thread(sys.stdin.readline):
        if line.strip() == _RESET:
            _forget_peak()
        print(json.dumps({**usage(), **more()}), flush=True)


def usage() -> dict[str, float]:
    """Return the CPU seconds of this process, and its resident memory now and at most, in MB."""
    status = _PROCESS / "status"
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = {"VmRSS": most * 1024, "VmHWM": most * 1024}
    if status.exists():
        pairs = (line.partition(":") for line in status.read_text("ascii").splitlines())
        found |= {key: int(rest.split()[0]) * 1024 for key, _, rest in pairs if key in found}
    return {
        "cpu_s": time.process_time(),
        "rss_mb": found["VmRSS"] / _MB,
        "peak_mb": found["VmHWM"] / _MB,
    }


def _forget_peak() -> None:
    """Have the kernel count the peak of our memory anew; elsewhere than on Linux it stays."""
    file = _PROCESS / "clear_refs"
    if file.exists():
        file.write_text("5", "ascii")


@asynccontextmanager
async def worker_process(module: str, *arguments: str) -> AsyncGenerator[Worker]:
    """Run the worker of a module of ours as long as the context lasts.

    It ends by itself when we die, because its input ends then.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", module, *arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, **COMPILED, "STDOPS_LOG_LEVEL": "warning"},
        cwd=ROOT,
        start_new_session=True,  # a Ctrl-C in our terminal is ours to handle
    )
    try:
        yield Worker(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()
