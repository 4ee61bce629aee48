"""Recorded cases of the real engine, played through the product's driver on the real server."""

import signal
from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client

from activities.expressions import Sandbox
from tests.conformance.__main__ import Judged, cases_in, judge_online, sampled
from tests.conformance.online import play_on

CASES = Path(__file__).resolve().parents[1] / "conformance" / "cases"
SAMPLE = 40
OF_VARIABLES = 20
ALL_S = 1200
ROLLING = 20
EVERY = 20
"""How long a history gets before a run goes on in a fresh one."""
EACH_CHANCE = 8
"""Shorter than any: each run rolls over whenever nothing executes."""
ROLLED_LEAST = 5
ROLLED_LEAST_OF_ALL = 90
OPERATED = ("failure", "pause", "schedule")
"""The groups in which people and outside systems act on a run."""
OPERATED_LEAST = 60


@pytest.fixture
async def sandbox() -> AsyncGenerator[Sandbox]:
    async with Sandbox(processes=1) as opened:
        yield opened


async def played(
    client: Client, sandbox: Sandbox, cases: Sequence[dict[str, Any]], roll_over: int = 0
) -> list[Judged]:
    """Play cases; each is judged."""
    playing = play_on(client, sandbox, cases, roll_over)
    judged = [judge_online(case, outcome) async for case, outcome in playing]
    assert len(judged) == len(cases)
    return judged


def differing(judged: Sequence[Judged]) -> dict[str, list[str]]:
    """The differences of the cases that differ, by id."""
    return {one.id: one.differences for one in judged if one.differences}


async def test_a_sample_of_recorded_cases_comes_out_alike(client: Client, sandbox: Sandbox) -> None:
    cases = sampled(cases_in(CASES), SAMPLE, seed=1)

    assert differing(await played(client, sandbox, cases)) == {}


async def test_recorded_cases_of_variables_come_out_alike(client: Client, sandbox: Sandbox) -> None:
    cases = sampled(cases_in(CASES, ["vars"]), OF_VARIABLES, seed=1)

    assert len(cases) == OF_VARIABLES
    assert differing(await played(client, sandbox, cases)) == {}


@pytest.mark.slow
async def test_all_recorded_cases_come_out_alike(
    client: Client, sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    signal.alarm(ALL_S)
    cases = cases_in(CASES)

    judged = await played(client, sandbox, cases)

    operated = {case["id"] for case in cases if case["group"] in OPERATED}
    counts = Counter(one.line for one in judged if one.id in operated)
    with capsys.disabled():
        print(f"on temporal: {len(judged)} cases, of {', '.join(OPERATED)} {dict(counts)}")
    assert counts["pipelines"] >= OPERATED_LEAST
    assert differing(judged) == {}


async def test_fresh_histories_change_no_outcome(client: Client, sandbox: Sandbox) -> None:
    cases = sampled(cases_in(CASES), ROLLING, seed=2)

    judged = await played(client, sandbox, cases, roll_over=EVERY)

    assert differing(judged) == {}
    assert sum(one.outcome["parts"] > 1 for one in judged) >= ROLLED_LEAST


@pytest.mark.slow
@pytest.mark.parametrize("events", [EVERY, EACH_CHANCE], ids=["every 20 events", "each chance"])
async def test_fresh_histories_change_no_outcome_of_any_case(
    client: Client, sandbox: Sandbox, capsys: pytest.CaptureFixture[str], events: int
) -> None:
    signal.alarm(ALL_S)
    cases = cases_in(CASES)

    judged = await played(client, sandbox, cases, roll_over=events)

    parts = Counter(one.outcome["parts"] for one in judged)
    with capsys.disabled():
        print(f"rolling over from {events} events on: {sorted(parts.items())} histories, cases")
    assert differing(judged) == {}
    assert sum(parts[count] for count in parts if count > 1) >= ROLLED_LEAST_OF_ALL
