from datetime import UTC, datetime

import pytest

from stdops import StdopsError
from workers.census import MOST_ASKED, STATES, UNKNOWN_STATE, Counter, queries_of
from workers.client import RunSummary

NOW = 1000.0


def a_run(name: str, failed: int = 1) -> RunSummary:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    return RunSummary(name, "r", "release", "Failed", failed, "ann", at, None, "")


class Server:
    """A server whose runs are what a test says."""

    def __init__(self, failed: list[RunSummary], since: dict[str, float], others: int = 0) -> None:
        self.runs = failed
        self.since = since
        self.others = others
        self.asked: list[str] = []

    async def count(self, query: str) -> int:
        if "'Failed'" in query:
            return len(self.runs)
        return 0 if "StdopsState" in query else len(self.runs) + self.others

    async def failed(self) -> list[RunSummary]:
        return self.runs

    async def failed_at(self, run: str) -> float:
        self.asked.append(run)
        if run not in self.since:
            raise StdopsError("SOP505", "no worker answered in time")
        return self.since[run]


def counter(server: Server) -> Counter:
    return Counter(server, "stdops", lambda: NOW)


async def test_failed_nodes_are_added_up_and_the_oldest_is_dated() -> None:
    server = Server([a_run("a", 2), a_run("b")], {"a": 900.0, "b": 400.0})

    census = await counter(server).take()

    assert (census.failed_nodes, census.oldest_failed_at) == (3, 400.0)
    assert census.by_state["Failed"] == 2


async def test_an_open_run_without_a_state_is_told_apart() -> None:
    census = await counter(Server([], {}, others=4)).take()

    assert census.by_state[UNKNOWN_STATE] == 4
    assert {*census.by_state} == {*STATES}
    assert census.oldest_failed_at is None


async def test_a_run_is_asked_once_since_when_it_waits() -> None:
    server = Server([a_run("a")], {"a": 900.0})
    counting = counter(server)

    await counting.take()
    await counting.take()

    assert server.asked == ["a"]


async def test_a_run_that_cannot_answer_counts_from_when_it_was_seen_and_is_asked_again() -> None:
    server = Server([a_run("a")], {})
    counting = counter(server)

    first = await counting.take()
    server.since["a"] = 10.0
    second = await counting.take()

    assert (first.oldest_failed_at, second.oldest_failed_at) == (NOW, 10.0)


async def test_a_run_that_was_mended_is_forgotten() -> None:
    server = Server([a_run("a")], {"a": 1.0})
    counting = counter(server)
    await counting.take()

    server.runs = []

    assert (await counting.take()).oldest_failed_at is None


async def test_not_all_of_many_runs_are_asked_at_once() -> None:
    names = [f"r{n}" for n in range(MOST_ASKED + 5)]
    server = Server([a_run(name) for name in names], dict.fromkeys(names, 5.0))
    counting = counter(server)

    await counting.take()
    asked = len(server.asked)
    await counting.take()

    assert (asked, len(server.asked)) == (MOST_ASKED, MOST_ASKED + 5)


@pytest.mark.parametrize("state", [s for s in STATES if s != UNKNOWN_STATE])
def test_only_open_runs_of_the_queue_are_counted(state: str) -> None:
    query = queries_of("zone-b")[state]

    assert "TaskQueue = 'zone-b'" in query
    assert f"StdopsState = '{state}'" in query
    assert "ExecutionStatus = 'Running'" in query
