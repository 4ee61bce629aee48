"""Who did what, under which name, and what would be: seen on the real server."""

from collections.abc import AsyncGenerator
from typing import Any

import pytest
from pydantic import JsonValue
from temporalio.api.common.v1 import Payload
from temporalio.client import Client, WorkflowUpdateFailedError
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError
from temporalio.worker import Replayer

from tests.helpers.build import task
from tests.helpers.flows import (
    Flows,
    Run,
    ask,
    open_flows,
    plan,
    result,
    send,
    until,
    until_failed,
    until_waiting,
    verb,
)
from workers.payloads import DATA_CONVERTER
from workers.worker import workflow_runner
from workflows.run_flow import PageInterceptor, RunFlow, TemplateFlow

WAITING = plan("start a end", nodes=[task("a", code="wait")])
FAILING = plan("start a end", nodes=[task("a", inputs={"wrong": 1})])
DEEP = b'{"node": ' + b"[" * 1000 + b"]" * 1000 + b"}"
UNREADABLE = [
    ("json/plain", b"{"),
    ("json/plain", DEEP),
    ("json/plain", b'"\\ud800"'),
    ("json/plain", b'{"node": NaN}'),
    ("json/zlib", b"no zlib at all"),
    ("binary/plain", b"\xff\xfe"),
    ("binary/encrypted", b"x"),
]


@pytest.fixture(scope="module")
async def flows(client: Client) -> AsyncGenerator[Flows]:
    async with open_flows(client) as opened:
        yield opened


async def entries(run: Run, length: int) -> list[dict[str, Any]]:
    """Wait until the journal has so many entries, and return them."""
    told = await until(run, lambda found: found["count"] >= length, "history")
    return told["entries"]


async def refused(run: Run, name: str, *args: Any) -> str:
    """Send an update that is refused and return the reason."""
    with pytest.raises(WorkflowUpdateFailedError) as caught:
        await send(run, name, args)
    assert isinstance(caught.value.cause, ApplicationError)
    return caught.value.cause.message


async def finish(run: Run) -> None:
    """Answer the node that waits, and wait for the end."""
    await until_waiting(run, "a")
    await verb(run, "callback", node="a", data="done")
    await result(run)


def raw(encoding: str, data: bytes) -> RawValue:
    """A payload as another client might send it."""
    return RawValue(Payload(metadata={"encoding": encoding.encode()}, data=data))


# --- who ----------------------------------------------------------------------------------------


async def test_the_client_stands_in_the_journal_also_after_rolling_over_and_in_replay(
    client: Client,
) -> None:
    who = client.identity
    node = task("a", code="poll", inputs={"looks": 0})
    async with open_flows(client, roll_over_events=12) as flows:
        run = await flows.start(plan("start a end", nodes=[node]))
        await flows.until_asked(run, "poll", "a")
        for number in range(4):
            await verb(run, "pause", request_id=f"p{number}")
            await run.signal("resume", {"operator": "ann"})
        noted = await entries(run, 8)
        flows.open(run, "a")
        await result(run)

    first = client.get_workflow_handle(run.id, run_id=run.first_execution_run_id)
    last = client.get_workflow_handle(run.id)
    assert (await last.describe()).run_id != run.first_execution_run_id
    assert [(e["operator"], e["client"]) for e in noted] == [("", who), ("ann", who)] * 4
    for part in (first, last):
        await replayer().replay_workflow(await part.fetch_history())


def replayer() -> Replayer:
    """The product's workflows, converter, interceptors and runner."""
    return Replayer(
        workflows=[RunFlow, TemplateFlow],
        data_converter=DATA_CONVERTER,
        interceptors=[PageInterceptor()],
        workflow_runner=workflow_runner(),
    )


# --- other names --------------------------------------------------------------------------------


async def test_names_of_bksops_are_taken_as_update_and_as_signal(flows: Flows) -> None:
    made = plan("start xor a end", "xor b end", conditions={"xor-a": "1 == 2", "xor-b": "1 == 3"})
    for as_update in (True, False):
        run = await flows.start(made)
        await until_failed(run, "xor")
        given: dict[str, JsonValue] = {"node_id": "xor", "flow_id": "xor-b"}

        if as_update:
            assert (await send(run, "skip_exg", [given]))["accepted"]
        else:
            await run.signal("skip_exg", given)
        [noted] = await entries(run, 1)
        await result(run)

        assert (noted["verb"], noted["alias"], noted["node"]) == ("choose", "skip_exg", "xor")
        assert noted["changed"] == ["xor-b"]
        assert flows.asked(run) == [("call", "b")]


async def test_other_names_are_refused_like_the_verbs_and_stay_off_the_page(flows: Flows) -> None:
    run = await flows.start(WAITING)
    await until_waiting(run, "a")

    assert "field 'node' is missing" in await refused(run, "pause_subproc", {})
    assert "did you mean 'skip_exg'" in await refused(run, "skip_exgs", {})
    await run.signal("forced_fail", {"node": "zzz", "operator": "ann"})
    [noted] = await entries(run, 1)
    shown = (await ask(run, "__temporal_workflow_metadata")).definition.update_definitions

    assert (noted["alias"], noted["operator"], noted["accepted"]) == ("forced_fail", "ann", False)
    assert "skip_exg" not in {each.name for each in shown}
    await finish(run)


# --- what would be ------------------------------------------------------------------------------


async def test_a_dry_run_tells_what_would_be_and_leaves_no_trace(flows: Flows) -> None:
    run = await flows.start(FAILING)
    await until_failed(run, "a")

    answer = await verb(run, "retry", node="a", set={"wrong": 0}, dry_run=True)
    await run.signal("skip", {"node": "a", "dry_run": True})
    after = await verb(run, "skip", node="a", dry_run=True)

    assert answer["would"] == ["changes input 'wrong' of 'a'", "starts 'a' again, attempt 2"]
    assert (answer["dry_run"], answer["state"]) == (True, "Running")
    assert after["would"] == ["ends the run: finished", "passes over 'a'", "finishes 'end'"]
    assert (await ask(run, "history"))["count"] == 0
    await verb(run, "skip", node="a")
    await result(run)


async def test_a_request_id_is_good_for_one_thing(flows: Flows) -> None:
    run = await flows.start(WAITING)
    await until_waiting(run, "a")
    await verb(run, "pause", request_id="r1")

    assert "used before, for pause" in await refused(run, "resume", {"request_id": "r1"})
    assert (await verb(run, "pause", request_id="r1"))["repeated"]

    await verb(run, "resume")
    await finish(run)


# --- what no run may be harmed by ---------------------------------------------------------------


@pytest.mark.parametrize(("encoding", "data"), UNREADABLE)
async def test_a_payload_that_cannot_be_read_is_a_refusal(
    flows: Flows, encoding: str, data: bytes
) -> None:
    run = await flows.start(WAITING)
    await until_waiting(run, "a")

    for name in ("retry", "skip_exg", "nonsense"):
        assert await refused(run, name, raw(encoding, data))
        await run.signal(name, raw(encoding, data))
    noted = await entries(run, 3)

    assert all(entry["refusal"] for entry in noted)
    await finish(run)


async def test_more_than_one_argument_is_a_refusal(flows: Flows) -> None:
    run = await flows.start(WAITING)
    await until_waiting(run, "a")

    assert "got list" in await refused(run, "skip", {"node": "a"}, 2)
    await run.signal("pause", args=[{}, {}])
    [noted] = await entries(run, 1)

    assert "got list" in noted["refusal"]
    await finish(run)


async def test_two_megabytes_leave_a_short_entry(flows: Flows) -> None:
    run = await flows.start(WAITING)
    await until_waiting(run, "a")
    large = {"node": "a", "data": "x" * 1_900_000, "operator": "ann"}

    await run.signal("callback", large)
    [noted] = await entries(run, 1)

    assert "at most" in noted["refusal"]
    assert (noted["node"], noted["operator"]) == ("a", "ann")
    assert len(str(noted)) < 1000
    await finish(run)


async def test_a_retry_with_inputs_that_the_plugin_does_not_take_is_refused(flows: Flows) -> None:
    run = await flows.start(FAILING)
    await until_failed(run, "a")

    assert "needs a whole number" in await refused(
        run, "retry", {"node": "a", "set": {"looks": "soon"}}
    )

    await verb(run, "retry", node="a", set={"looks": "3", "wrong": "${nobody}"}, dry_run=True)
    await verb(run, "skip", node="a")
    await result(run)


# --- work outside -------------------------------------------------------------------------------


async def test_what_a_call_begins_while_the_run_is_revoked_is_stopped(flows: Flows) -> None:
    run = await flows.start(plan("start a end", nodes=[task("a", code="stubborn")]))
    await flows.until_asked(run, "call", "a")

    await verb(run, "revoke")
    flows.open(run, "a")
    await flows.until_asked(run, "stop", "a")

    assert flows.stage.stopped[run.id] == ["job of a"]
    assert (await result(run))["state"] == "revoked"


async def test_one_object_mends_runs_of_any_template_in_which_one_node_failed(
    flows: Flows,
) -> None:
    run = await flows.start(FAILING)
    await until_failed(run, "a")

    answer = await verb(run, "skip", operator="ann")

    assert answer["accepted"] is True
    assert (await result(run))["skipped"] == ["a"]
