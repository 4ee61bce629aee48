"""Quick tasks in a row travel as one activity, and the run is as if each had been called alone."""

import secrets
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from pydantic import JsonValue
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client
from temporalio.worker import Worker

from activities.dispatch import activities
from activities.expressions import Sandbox
from tests.helpers.build import task
from tests.helpers.flows import (
    Flows,
    Run,
    ask,
    histories,
    open_flows,
    plan,
    result,
    told,
    until,
    until_failed,
    verb,
)
from translator.template import SourceTask
from workers.inspection.attempts import attempts_of
from workers.inspection.parts import text_of

SCHEDULED = EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED


@pytest.fixture(scope="module")
async def flows(client: Client) -> AsyncGenerator[Flows]:
    async with open_flows(client) as opened:
        yield opened


def fast(name: str, **inputs: JsonValue) -> SourceTask:
    return task(name, code="fast", inputs=inputs)


def scheduled(events: Sequence[HistoryEvent]) -> list[Any]:
    """The activities of a history but `load_plan`, in order."""
    found = [
        e.activity_task_scheduled_event_attributes for e in events if e.event_type == SCHEDULED
    ]
    return [each for each in found if each.activity_id != "load_plan"]


@asynccontextmanager
async def plugin_worker(flows: Flows, queue: str) -> AsyncGenerator[None]:
    """Take plugins of another queue."""
    async with Sandbox(processes=1) as sandbox:
        served = activities(flows.registry, sandbox)
        async with Worker(flows.client, task_queue=queue, activities=served):
            yield


async def activities_of(run: Run) -> list[tuple[str, str]]:
    """Type and id of every activity of a run but `load_plan`."""
    [events] = await histories(run)
    return [(each.activity_type.name, each.activity_id) for each in scheduled(events)]


async def test_a_row_of_quick_tasks_is_one_activity_named_after_its_nodes(flows: Flows) -> None:
    names = [f"n{number}" for number in range(5)]
    made = plan(
        f"start {' '.join(names)} end",
        nodes=[
            fast("n0", text=1),
            fast("n1", text="${a}"),
            fast("n2", text="<${b}>"),
            fast("n3", text="${int(c[1:-1]) + 1}"),
            fast("n4", text="${d}"),
        ],
        variables=[told(key, node) for key, node in zip("abcde", names, strict=True)],
        outputs="abcde",
    )
    run = await flows.start(made)

    outputs = (await result(run))["outputs"]

    assert outputs == {"a": 1, "b": 1, "c": "<1>", "d": "2", "e": "2"}
    [events] = await histories(run)
    [batch] = scheduled(events)
    assert (batch.activity_type.name, batch.activity_id) == ("stdops.batch", "n0:1+4")
    [_, asked] = [event for event in events if event.event_type == SCHEDULED]
    assert await text_of(asked.user_metadata.summary) == "n0, n1, n2 and 2 more"
    told_of = await attempts_of(events)
    assert [(each.node, each.entry, each.outcome) for each in told_of] == [
        (name, 1, "done") for name in names
    ]
    assert [each.inputs["text"] for each in told_of] == [1, 1, "<1>", "2", "2"]


async def test_a_failure_ends_the_batch_and_the_rest_goes_on_after_it_is_mended(
    flows: Flows,
) -> None:
    made = plan(
        "start a b c end", nodes=[fast("a", text="x"), fast("b", wrong="disk"), fast("c", text="y")]
    )
    run = await flows.start(made)
    await until_failed(run, "b")
    [failed] = (await ask(run, "status"))["failed"]
    await verb(run, "retry", node="b", set={"wrong": False})
    await result(run)

    assert "wrong input 'disk'" in failed["reason"]
    assert flows.asked(run) == [("call", n) for n in ("a", "b", "b", "c")]
    assert await activities_of(run) == [("stdops.batch", "a:1+2"), ("stdops.batch", "b:2+1")]


async def test_a_pause_holds_what_has_not_started_when_no_worker_has_taken_the_batch(
    client: Client,
) -> None:
    made = plan("start a b c end", nodes=[fast(name, text=name) for name in "abc"])
    nowhere = f"nowhere-{secrets.token_hex(3)}"
    async with open_flows(client, queues={"fast": nowhere}) as flows:
        run = await flows.start(made)
        await until(run, lambda seen: "a" in [node["path"] for node in seen["running"]])
        await verb(run, "pause")
        while await activities_of(run) != [("stdops.batch", "a:1+2"), ("fast", "a:1")]:
            pass  # each answer takes its time
        async with plugin_worker(flows, nowhere):
            await until(run, lambda seen: seen["counts"].get("done") == 1)
            before = flows.asked(run)
            await verb(run, "resume")
            await result(run)

    assert before == [("call", "a")]
    assert flows.asked(run) == [("call", name) for name in "abc"]
    assert await activities_of(run) == [
        ("stdops.batch", "a:1+2"),
        ("fast", "a:1"),
        ("stdops.batch", "b:1+1"),
    ]


async def test_a_pause_while_a_batch_runs_lets_what_it_has_started_land(flows: Flows) -> None:
    made = plan("start a b c end", nodes=[fast("a"), fast("b", hold=True), task("c", code="echo")])
    run = await flows.start(made)
    await flows.until_asked(run, "call", "b")
    await verb(run, "pause")
    flows.open(run, "b")  # before the cancel has come, or in the second that it leaves

    await until(run, lambda seen: seen["counts"].get("done") == 2)
    asked = flows.asked(run)
    await verb(run, "resume")
    await result(run)

    assert asked == [("call", "a"), ("call", "b")]
    assert flows.asked(run) == [*asked, ("call", "c")]


async def test_a_batch_of_a_run_that_is_revoked_ends_with_it(flows: Flows) -> None:
    made = plan("start a b end", nodes=[fast("a", hold=True), fast("b")])
    run = await flows.start(made)
    await flows.until_asked(run, "call", "a")

    await verb(run, "revoke")

    assert (await result(run))["state"] == "revoked"
    assert flows.asked(run) == [("call", "a")]
