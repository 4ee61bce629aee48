"""Several operators at several runs: no verb lost, none done twice, and every run ends."""

import signal
from collections import Counter

import pytest
from temporalio.client import Client

from tests.helpers.flows import open_flows
from tests.helpers.soak import check, soak
from workers.server import EmbeddedServer

EVENTS = 50
LONG_S = 600


async def soaked(
    client: Client, server: EmbeddedServer, *, operators: int, runs: int, rounds: int
) -> tuple[list[int], Counter[str]]:
    """Soak and check every run; returns the histories of each, and the answers by kind."""
    async with open_flows(client, roll_over_events=EVENTS) as flows:
        done = await soak(flows, server, operators=operators, runs=runs, rounds=rounds)
        parts = [await check(flows, run, done.books) for run in done.runs]
    return parts, Counter(sent.answer for sent in done.books)


async def test_three_operators_at_two_runs_lose_nothing(
    client: Client, server: EmbeddedServer
) -> None:
    parts, answers = await soaked(client, server, operators=3, runs=2, rounds=12)

    assert min(parts) > 1
    assert min(answers[each] for each in ("accepted", "refused", "sent")) > 0


@pytest.mark.slow
async def test_eight_operators_at_twenty_runs_lose_nothing(
    client: Client, server: EmbeddedServer, capsys: pytest.CaptureFixture[str]
) -> None:
    signal.alarm(LONG_S)

    parts, answers = await soaked(client, server, operators=8, runs=20, rounds=120)

    with capsys.disabled():
        print(f"soak: {sum(answers.values())} verbs {dict(answers)}, {sum(parts)} histories")
    assert min(parts) > 1
    assert sum(answers.values()) > 960
