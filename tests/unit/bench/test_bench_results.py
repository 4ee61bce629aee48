"""Rounds become rows: medians, all latencies together, nothing invented."""

import pytest

from bench.results import Round, row_of, share
from bench.runs import Played
from bench.shapes import Shape

SHAPE = Shape("many", "fork", 17, runs=10)


def test_the_median_of_the_rounds_counts() -> None:
    rounds = [Round(Played(seconds, cpu_s=seconds / 2), 0.17) for seconds in (1.0, 9.0, 2.0)]

    row = row_of(SHAPE, "stdops", rounds)

    assert (row.nodes, row.rounds) == (170, 3)
    assert row.nodes_s == pytest.approx(85)
    assert row.cpu_ms == pytest.approx(1000 / 170)
    assert row.server_ms == pytest.approx(1)


def test_what_a_contestant_does_not_tell_stays_open() -> None:
    row = row_of(SHAPE, "guest", [Round(Played(1.0), 0.0)])

    assert row[7] is None
    assert (row.cpu_ms, row.p50_ms, row.events, row.bytes, row.rss_peak_mb) == (None,) * 5


def test_latencies_of_all_rounds_are_taken_together() -> None:
    rounds = [Round(Played(1.0, latencies_ms=ms), 0.0) for ms in ([1.0, 9.0], [2.0, 8.0])]

    row = row_of(SHAPE, "stdops", rounds)

    assert (row.p50_ms, row.p99_ms) == (8.0, 9.0)


def test_memory_is_that_before_the_first_round_the_most_and_that_after_the_last() -> None:
    memory = [(70.0, 90.0, 80.0), (80.0, 85.0, 82.0)]
    rounds = [Round(Played(1.0, rss_mb=each), 0.0) for each in memory]

    row = row_of(SHAPE, "stdops", rounds)

    assert (row.rss_before_mb, row.rss_peak_mb, row.rss_after_mb) == (70.0, 90.0, 82.0)


@pytest.mark.parametrize(
    ("values", "part", "found"),
    [([], 0.5, None), ([3.0], 0.99, 3.0), (list(map(float, range(200))), 0.99, 198.0)],
)
def test_a_share_is_one_of_the_values(
    values: list[float], part: float, found: float | None
) -> None:
    assert share(values, part) == found
