"""Calls that are given up while they are under way: what they start all the same is stopped."""

from collections.abc import AsyncGenerator

import pytest
from temporalio.client import Client, WorkflowFailureError

from tests.helpers.build import task
from tests.helpers.flows import Flows, open_flows, plan, result, until_failed, verb

PLAN = plan("start a end", nodes=[task("a", code="launch")])


@pytest.fixture
async def flows(client: Client) -> AsyncGenerator[Flows]:
    async with open_flows(client) as opened:
        yield opened


async def test_a_revoked_run_is_closed_when_what_its_call_started_has_stopped(flows: Flows) -> None:
    run = await flows.start(PLAN)
    await flows.until_asked(run, "call", "a")
    await verb(run, "revoke")
    flows.open(run, "a")
    ended = await result(run)

    assert ended["state"] == "revoked"
    assert flows.stage.stopped[run.id] == ["job of a"]


async def test_a_cancelled_run_too(flows: Flows) -> None:
    run = await flows.start(PLAN)
    await flows.until_asked(run, "call", "a")
    await run.cancel()
    flows.open(run, "a")
    with pytest.raises(WorkflowFailureError):
        await result(run)

    assert flows.stage.stopped[run.id] == ["job of a"]


async def test_a_node_that_is_forced_to_fail_can_be_retried_beside_its_earlier_call(
    flows: Flows,
) -> None:
    run = await flows.start(PLAN)
    await flows.until_asked(run, "call", "a")
    await verb(run, "force_fail", node="a")
    await until_failed(run, "a")
    await verb(run, "retry", node="a")
    flows.open(run, "a")
    await flows.until_asked(run, "stop", "a")
    await flows.until_asked(run, "poll", "a")
    await run.terminate()

    asked = [(each.step, each.entry) for each in flows.stage.asked[run.id]]
    assert ("stop", 1) in asked
    assert ("stop", 2) not in asked
    assert asked.count(("call", 2)) == 1


async def test_a_call_that_tells_nothing_is_cut_off(flows: Flows) -> None:
    run = await flows.start(PLAN)
    await flows.until_asked(run, "call", "a")
    await verb(run, "revoke")
    ended = await result(run)

    assert ended["state"] == "revoked"
    assert flows.asked(run) == [("call", "a")]
