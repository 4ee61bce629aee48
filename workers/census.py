"""Counts the open runs at a slow pace, for the metrics: by state, and what waits for a person.

The server's list of runs is asked, so that every worker tells the same numbers; the view of a run
itself is asked only once for each failed run, to learn since when it has been waiting.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Final, NamedTuple, Protocol, get_args

import structlog
from structlog.typing import FilteringBoundLogger
from temporalio.client import Client
from temporalio.service import RPCError

from stdops import StdopsError
from workers.client import Runs, RunSummary
from workers.listing import open_query
from workers.settings import Settings
from workers.telemetry import Meters, meters
from workflows.machine.view.status import StateWord

MOST_LISTED: Final = 1000
"""How many failed runs are looked at; with more, the numbers of failed nodes are at least so."""

MOST_ASKED: Final = 20
"""How many of them are asked in one round since when they wait."""

UNKNOWN_STATE: Final = "Unknown"
"""State of an open run that has none yet: its first step waits, or no worker takes it."""

_OVER: Final = frozenset({"Finished", "Revoked"})
STATES: Final = (*(word for word in get_args(StateWord) if word not in _OVER), UNKNOWN_STATE)

_log: FilteringBoundLogger = structlog.get_logger(__name__)


class Census(NamedTuple):
    """The runs at one moment; `oldest_failed_at` is None where none waits."""

    by_state: Mapping[str, int]
    failed_nodes: int
    oldest_failed_at: float | None


class Counted(Protocol):
    """What a census asks."""

    async def count(self, query: str) -> int:
        """Return how many runs a visibility query finds."""
        ...

    async def failed(self) -> list[RunSummary]:
        """Return the open runs with failed nodes."""
        ...

    async def failed_at(self, run: str) -> float:
        """Return since when the oldest failed node of a run waits, in seconds since the epoch.

        Raises:
            StdopsError: it cannot be had now.
        """
        ...


class OnServer:
    """Asks a Temporal server about the runs of the settings' task queue."""

    def __init__(self, client: Client, settings: Settings) -> None:
        self._client = client
        self._runs = Runs(client, settings, timeout_s=5)

    async def count(self, query: str) -> int:
        """Return how many runs a visibility query finds."""
        return (await self._client.count_workflows(query)).count

    async def failed(self) -> list[RunSummary]:
        """Return the newest open runs that have failed."""
        return [
            run
            for run in await self._runs.list(state="Failed", limit=MOST_LISTED)
            if run.closed_at is None
        ]

    async def failed_at(self, run: str) -> float:
        """Return since when the oldest failed node of a run waits, in seconds since the epoch."""
        status = await self._runs.query(run, "status")
        return min((node["since"] for node in status["failed"]), default=time.time())


class Counter:
    """Makes one census after the other; remembers since when each failed run waits."""

    def __init__(
        self, server: Counted, task_queue: str, now: Callable[[], float] = time.time
    ) -> None:
        self._server = server
        self._queue = task_queue
        self._now = now
        self._since: dict[str, float] = {}
        self._exact: set[str] = set()

    async def take(self) -> Census:
        """Count once.

        Raises:
            StdopsError, RPCError: the server cannot be asked.
        """
        queries = queries_of(self._queue)
        counts = {state: await self._server.count(query) for state, query in queries.items()}
        total = await self._server.count(open_query(self._queue))
        counts[UNKNOWN_STATE] = max(0, total - sum(counts.values()))
        failed = await self._server.failed() if counts["Failed"] else []
        await self._date(failed)
        oldest = min(self._since.values(), default=None)
        return Census(counts, sum(run.failed_nodes for run in failed), oldest)

    async def _date(self, failed: Iterable[RunSummary]) -> None:
        """Learn since when runs wait; one that cannot say so counts from when it was seen."""
        there = [run.workflow_id for run in failed]
        self._since = {run: self._since.get(run, self._now()) for run in there}
        self._exact &= set(there)
        for run in [run for run in there if run not in self._exact][:MOST_ASKED]:
            try:
                self._since[run] = await self._server.failed_at(run)
            except (StdopsError, RPCError):
                continue
            self._exact.add(run)


def queries_of(task_queue: str) -> dict[str, str]:
    """Return the visibility query of each state that an open run says of itself."""
    return {
        state: open_query(task_queue, state=state) for state in STATES if state != UNKNOWN_STATE
    }


def publish(census: Census, now: float, instruments: Meters) -> None:
    """Set the gauges."""
    for state in STATES:
        instruments.runs.set(census.by_state.get(state, 0), {"state": state})
    instruments.failed_nodes.set(census.failed_nodes)
    since = census.oldest_failed_at
    instruments.failed_oldest.set(0.0 if since is None else max(0.0, now - since))
    instruments.runs_counted.set(now)


async def keep_counting(client: Client, settings: Settings) -> None:
    """Count the runs every `count_runs_s` seconds, until it is cancelled."""
    counter = Counter(OnServer(client, settings), settings.task_queue)
    told = ""
    while True:
        try:
            publish(await counter.take(), time.time(), meters())
            told = ""
        except (StdopsError, RPCError) as error:
            if str(error) != told:  # once, not every half minute of an outage
                _log.warning("workers.runs_not_counted", reason=str(error))
            told = str(error)
        await asyncio.sleep(settings.count_runs_s)
