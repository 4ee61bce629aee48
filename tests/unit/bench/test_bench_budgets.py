"""A budget is met or missed by what both sides took in the same run."""

from typing import Any

import pytest

from bench.budgets import Budget, budgets
from bench.results import Pace, Results, Row

OURS = Row("line", "activity", "a line", "stdops", 100, 95.0, cpu_ms=4.4, events=6.04)
HAND = OURS._replace(contestant="by hand", nodes_s=100.0, cpu_ms=4.0, events=6.0)


def marked(*rows: Row, **found: Any) -> dict[str, tuple[float, bool]]:
    made = budgets(Results(rows=list(rows), **found))
    return {each.name: (round(each.measured, 3), each.is_met) for each in made}


def test_what_lies_exactly_on_its_bound_is_met() -> None:
    assert Budget("speed", 0.95, 0.95).is_met
    assert Budget("cost", 1.1, 1.1, at_most=True).is_met


def test_a_program_reads_name_goal_measured_and_met() -> None:
    told = Budget("cost", 1.1, 1.23456, at_most=True).as_json()

    assert told == {"name": "cost", "goal": "<= 1.1", "measured": 1.2346, "met": False}


def test_speed_cost_and_events_are_held_against_by_hand() -> None:
    assert marked(OURS, HAND) == {
        "a line: speed over by hand": (0.95, True),
        "a line: worker CPU over by hand": (1.1, True),
        "a line: events a node beyond by hand": (0.04, True),
    }


def test_a_slower_dearer_and_longer_run_misses_all_three() -> None:
    worse = OURS._replace(nodes_s=94.0, cpu_ms=4.5, events=7.0)

    assert [met for _, met in marked(worse, HAND).values()] == [False, False, False]


def test_without_the_other_side_there_is_nothing_to_hold_against() -> None:
    assert marked(OURS) == {}


def test_the_latency_of_one_node_counts_in_place_of_its_speed() -> None:
    ours = OURS._replace(key="one", p50_ms=33.0, p99_ms=70.0)
    hand = HAND._replace(key="one", p50_ms=30.0, p99_ms=50.0)

    assert marked(ours, hand) == {
        "a line: worker CPU over by hand": (1.1, True),
        "one node: p50 over by hand": (1.1, True),
        "one node: p99 over by hand": (1.4, False),
    }


@pytest.mark.parametrize(
    ("key", "kind", "least"),
    [("line", "quick", 4 * 308), ("many", "quick", 1.5 * 348), ("line", "inline", 20 * 308)],
)
def test_speed_is_held_against_what_was_recorded_elsewhere(
    key: str, kind: Any, least: float
) -> None:
    just, less = (OURS._replace(key=key, kind=kind, nodes_s=least - by) for by in (0, 1))

    assert [met for _, met in marked(just).values()] == [True]
    assert [met for _, met in marked(less).values()] == [False]


def test_the_machine_is_fast_at_every_size_and_not_slower_at_the_largest() -> None:
    paces = [Pace("steps", 1_000, 60_000), Pace("steps", 10_000, 40_000)]

    assert marked(paces=paces) == {
        "Machine, steps, 1,000 nodes: steps/s": (60_000, True),
        "Machine, steps, 10,000 nodes: steps/s": (40_000, False),
        "Machine, steps: speed at 10,000 nodes over that at 1,000": (0.667, False),
    }


def test_replay_and_compilation_have_a_most() -> None:
    told = marked(replay_ms={"stdops": 120.0, "by hand": 100.0}, compile_ms=149.0)

    assert told == {
        "replay of the line: time over by hand": (1.2, False),
        "parse, check and compile 1,000 tasks: ms": (149.0, True),
    }


@pytest.mark.parametrize(("parts", "met"), [(1, False), (2, True)])
def test_the_largest_flow_counts_only_where_it_went_on_in_a_fresh_history(
    parts: int, met: bool
) -> None:
    long = OURS._replace(key="long", nodes=10_000, parts=parts)

    ((name, (_, is_met)),) = marked(long).items()

    assert (name, is_met) == ("nodes in one line to their end, through continue-as-new", met)
