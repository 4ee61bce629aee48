"""Measures: every contestant in turn, round by round, on one server; what is alone, alone."""

import asyncio
import json
import os
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from bench import compile as compiling
from bench import machine
from bench.contestants import Contestant, OwnWorker, contestants
from bench.results import Pace, Results, Round, row_of
from bench.shapes import Shape
from bench.worker_process import COMPILED, ROOT
from workers.server import EmbeddedServer

COMPILED_TASKS: Final = 1_000
REPLAYED: Final = ("line", "activity")
"""The shape whose histories are replayed."""

Say = Callable[[str], None]


def measure_alone(names: Sequence[str], results: Results, say: Say) -> None:
    """Measure what needs no server; of these, the named ones, all for no name."""
    if not names or "machine" in names:
        say("the Machine alone")
        results.paces += [Pace(*row) for row in machine.rows()]
    if not names or "compile" in names:
        say("the translator alone")
        _, times = compiling.row(COMPILED_TASKS)
        results.compile_ms = sum(times)


class Contest:
    """The contestants on one server, and what they took so far."""

    def __init__(
        self, server: EmbeddedServer, players: Mapping[str, Contestant], results: Results, say: Say
    ) -> None:
        self._server = server
        self._players = players
        self._results = results
        self._say = say

    async def play(self, shape: Shape, rounds: int) -> None:
        """Have each run a shape in turn; what is cut short counts as far as it came."""
        told: dict[str, list[Round]] = {}
        names = [name for name in self._players if await self._round(name, shape.warm())]
        try:
            for number in range(min(rounds, shape.rounds)):
                for name in names if number % 2 == 0 else reversed(names):
                    if one := await self._round(name, shape):
                        told.setdefault(name, []).append(one)
        finally:
            for name, found in told.items():
                row = row_of(shape, name, found)
                self._results.rows.append(row)
                rate = f"{row.nodes_s:,.1f} nodes/s"
                self._say(f"{shape.title}, {shape.kind}: {name} {rate}")

    async def replay(self, rounds: int) -> None:
        """Replay the histories of what each has run last."""
        own = {name: p for name, p in self._players.items() if isinstance(p, OwnWorker)}
        with tempfile.TemporaryDirectory() as folder:
            for name, player in own.items():
                for number, history in enumerate(await player.histories()):
                    file = Path(folder) / f"{name}.{number}.json"
                    file.write_text(history.to_json(), "utf-8")
            self._results.replay_ms.update(await _replayed(folder, rounds))

    async def _round(self, name: str, shape: Shape) -> Round | None:
        """Run a shape once; a contestant that fails is told of, and the others go on."""
        before = cpu_of(self._server.pid)
        try:
            played = await self._players[name](self._server.address, shape)
        except Exception as error:  # noqa: BLE001  other people's code: no kind of error is known
            text = f"{shape.title}, {shape.kind}: {name} failed: {error!r}"
            self._say(text)
            self._results.failures.append(text)
            return None
        return Round(played, cpu_of(self._server.pid) - before) if played else None


async def measure_shapes(
    wanted: Sequence[Shape], others: Sequence[str], rounds: int, results: Results, say: Say
) -> None:
    """Run the shapes on a server of their own, and replay the line where it is among them."""
    async with EmbeddedServer() as server, contestants(others) as players:
        contest = Contest(server, players, results, say)
        for shape in wanted:
            await contest.play(shape, rounds)
            if (shape.key, shape.kind) == REPLAYED:
                say("replaying the line")
                await contest.replay(rounds)


async def _replayed(folder: str, rounds: int) -> dict[str, float]:
    """Replay in a process of its own, which keeps compiled modules as a worker does."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.replay", folder, str(rounds)),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, **COMPILED, "STDOPS_LOG_LEVEL": "warning"},
        cwd=ROOT,
        start_new_session=True,  # a Ctrl-C in our terminal is ours to handle
    )
    try:
        told, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise RuntimeError(f"replaying ended with code {process.returncode}")
    return json.loads(told.splitlines()[-1])


def cpu_of(pid: int | None) -> float:
    """Return the CPU seconds of a process so far; 0 where they cannot be read."""
    file = Path(f"/proc/{pid}/stat")
    if pid is None or not file.exists():
        return 0.0
    fields = file.read_text("utf-8").rpartition(")")[2].split()
    user, system = fields[11:13]  # utime and stime, the 14th and 15th of all
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")
