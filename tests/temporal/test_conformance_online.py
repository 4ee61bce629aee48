"""Recorded cases of the real engine, played through the product's driver on the real server."""

import re
import signal
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client

from activities.expressions import Sandbox
from tests.conformance.__main__ import cases_in, judge_pipeline, sampled
from tests.conformance.online import play_on

CASES = Path(__file__).resolve().parents[1] / "conformance" / "cases"
SAMPLE = 40
OF_VARIABLES = 20
ALL_S = 1200

FORCED = ("forced_fail", "node_timeout")
PROGRESS_LOST = re.compile(r"data\.(\w+)\.outputs\.polls: \d+ expected, got \d+")
"""A known gap, of nodes that are forced to fail while they poll: what a poll has told since its
call stands in its heartbeat alone, and the server does not hand that over when the poll is
cancelled between two looks (ACTIVITY_ID_NOT_STARTED)."""


@pytest.fixture
async def sandbox() -> AsyncGenerator[Sandbox]:
    async with Sandbox(processes=1) as opened:
        yield opened


async def differing(
    client: Client, sandbox: Sandbox, cases: Sequence[dict[str, Any]]
) -> dict[str, list[str]]:
    """Play cases; returns the differences of those that differ, without the known gap."""
    played = [(case, judge_pipeline(case, o)) async for case, o in play_on(client, sandbox, cases)]
    assert len(played) == len(cases)
    left = {one.id: [d for d in one.differences if not is_gap(case, d)] for case, one in played}
    return {name: found for name, found in left.items() if found}


def is_gap(case: dict[str, Any], difference: str) -> bool:
    """Say whether a difference is the known gap."""
    forced = {step["node"] for step in case["script"] if step["op"] in FORCED}
    lost = PROGRESS_LOST.search(difference)
    return lost is not None and lost[1] in forced


async def test_a_sample_of_recorded_cases_comes_out_alike(client: Client, sandbox: Sandbox) -> None:
    cases = sampled(cases_in(CASES), SAMPLE, seed=1)

    assert await differing(client, sandbox, cases) == {}


async def test_recorded_cases_of_variables_come_out_alike(client: Client, sandbox: Sandbox) -> None:
    cases = sampled(cases_in(CASES, ["vars"]), OF_VARIABLES, seed=1)

    assert len(cases) == OF_VARIABLES
    assert await differing(client, sandbox, cases) == {}


@pytest.mark.slow
async def test_all_recorded_cases_come_out_alike(client: Client, sandbox: Sandbox) -> None:
    signal.alarm(ALL_S)

    assert await differing(client, sandbox, cases_in(CASES)) == {}
