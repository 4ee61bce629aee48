"""Runs that no worker has in memory: a verb is carried out in the same place in every replay."""

from collections.abc import AsyncGenerator

import pytest
from temporalio.client import Client

from tests.helpers.build import task
from tests.helpers.flows import Flows, open_flows, plan, result, until, until_failed, verb


@pytest.fixture
async def flows(client: Client) -> AsyncGenerator[Flows]:
    async with open_flows(client, cached=0) as opened:
        yield opened


async def test_a_verb_after_branches_that_ended_quietly_is_replayed_as_it_was_carried_out(
    flows: Flows,
) -> None:
    held = [task(name, code="hold") for name in ("a", "b", "c")]
    others = [task("d", code="wait"), task("e", inputs={"wrong": True})]
    chains = [f"fork {name} join" for name in "abcd"]
    run = await flows.start(plan("start fork e join end", *chains, nodes=[*held, *others]))
    await until_failed(run, "e")
    for done, name in enumerate("abc", 1):
        await flows.until_asked(run, "call", name)
        flows.open(run, name)
        await until(run, lambda seen, done=done: seen["counts"].get("done") == done)

    await verb(run, "callback", node="d", data=1)
    await verb(run, "skip", node="e")
    ended = await result(run)

    assert ended["state"] == "finished"
