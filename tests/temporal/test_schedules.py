"""Periodic and planned runs are Temporal's own schedules and delays: what they give a template."""

import asyncio
import secrets
from collections.abc import AsyncGenerator, Callable
from datetime import UTC, timedelta
from typing import Any

import pytest
from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionExecutionStartWorkflow,
    ScheduleActionStartWorkflow,
    ScheduleDescription,
    ScheduleHandle,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
    WorkflowFailureError,
)
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError

from tests.helpers.build import task
from tests.helpers.flows import WAIT_S, Flows, Run, open_flows, plan, result, until_waiting, verb
from translator.plan import Plan

NEVER = ScheduleSpec()


@pytest.fixture(scope="module")
async def flows(client: Client) -> AsyncGenerator[Flows]:
    async with open_flows(client) as opened:
        yield opened


def waiting(name: str = "a", key: str = "nightly") -> Plan:
    """A template that waits at its one node."""
    return plan(f"start {name} end", nodes=[task(name, code="wait")], key=key)


async def scheduled(flows: Flows, spec: ScheduleSpec, template: str = "nightly") -> ScheduleHandle:
    """Make a schedule that starts a template."""
    key = f"{template}-{secrets.token_hex(3)}"
    action = ScheduleActionStartWorkflow(
        "RunFlow", {"template": template}, id=key, task_queue=flows.queue
    )
    policy = SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP)
    return await flows.client.create_schedule(key, Schedule(action, spec=spec, policy=policy))


async def until(
    schedule: ScheduleHandle, holds: Callable[[ScheduleDescription], bool]
) -> ScheduleDescription:
    """Look at a schedule until what it tells fits."""
    async with asyncio.timeout(WAIT_S):
        while not holds(seen := await schedule.describe()):
            pass
    return seen


async def started(flows: Flows, schedule: ScheduleHandle, number: int = 1) -> Run:
    """Have a schedule start now, and return the run that it started."""
    await schedule.trigger()
    seen = await until(schedule, lambda each: len(each.info.recent_actions) >= number)
    action = seen.info.recent_actions[-1].action
    assert isinstance(action, ScheduleActionExecutionStartWorkflow)
    return flows.client.get_workflow_handle(action.workflow_id)


async def finish(run: Run, node: str) -> dict[str, Any]:
    """Answer the node that waits, and wait for the end."""
    await until_waiting(run, node)
    await verb(run, "callback", node=node)
    return await result(run)


@pytest.mark.parametrize("cron", ["0 0 * 13 *", "0 0 32 1 *", "every monday"])
async def test_a_wrong_time_is_refused_when_the_schedule_is_made(flows: Flows, cron: str) -> None:
    with pytest.raises(RPCError, match=r"(?i)cron|invalid"):
        await scheduled(flows, ScheduleSpec(cron_expressions=[cron]))


async def test_a_schedule_counts_by_its_own_time_zone(flows: Flows) -> None:
    spec = ScheduleSpec(cron_expressions=["30 8 * jan *"], time_zone_name="Asia/Shanghai")
    schedule = await scheduled(flows, spec)

    [first, *_] = (await schedule.describe()).info.next_action_times

    at = first.astimezone(UTC)
    assert (at.month, at.hour, at.minute) == (1, 0, 30)
    await schedule.delete()


async def test_no_second_run_starts_while_one_is_under_way(flows: Flows) -> None:
    flows.keep(waiting())
    schedule = await scheduled(flows, NEVER)
    run = await started(flows, schedule)

    await schedule.trigger()

    seen = await until(schedule, lambda each: each.info.num_actions_skipped_overlap == 1)
    assert len(seen.info.recent_actions) == 1
    assert (await finish(run, "a"))["state"] == "finished"
    await schedule.delete()


async def test_each_start_takes_the_newest_version_and_keeps_it(flows: Flows) -> None:
    flows.keep(waiting("old", key="changing"))
    schedule = await scheduled(flows, NEVER, "changing")
    run = await started(flows, schedule)
    await until_waiting(run, "old")

    flows.keep(waiting("new", key="changing"))

    await finish(run, "old")
    await until(schedule, lambda each: not each.info.running_actions)
    await finish(await started(flows, schedule, 2), "new")
    await schedule.delete()


async def test_a_start_that_fails_is_a_run_that_says_so(flows: Flows) -> None:
    schedule = await scheduled(flows, NEVER, "no-such-template")
    run = await started(flows, schedule)

    with pytest.raises(WorkflowFailureError) as caught:
        await result(run)

    assert isinstance(caught.value.cause, ApplicationError)
    assert "no-such-template" in caught.value.cause.message
    await until(schedule, lambda each: not each.info.running_actions)
    await schedule.delete()


async def test_a_planned_run_starts_after_its_delay(flows: Flows) -> None:
    flows.keep(plan("start a end", key="planned"))

    run = await flows.start_type("planned", {}, start_delay=timedelta(milliseconds=200))

    assert (await result(run))["state"] == "finished"
    assert flows.asked(run) == [("call", "a")]
