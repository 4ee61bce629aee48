"""Too much, too large, at the wrong moment, of a server that lacks things: no run is harmed."""

import asyncio
import secrets
from collections import Counter
from collections.abc import AsyncGenerator

import pytest
from google.protobuf.duration_pb2 import Duration
from pydantic import JsonValue
from structlog.testing import capture_logs
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.api.workflowservice.v1 import RegisterNamespaceRequest
from temporalio.client import Client, WorkflowUpdateFailedError
from temporalio.service import RPCError, RPCStatusCode

from tests.helpers.build import task, variable
from tests.helpers.flows import (
    WAIT_S,
    Flows,
    Run,
    ask,
    histories,
    open_flows,
    plan,
    result,
    send,
    until,
    until_waiting,
    verb,
)
from workers.client import connect
from workers.server import EmbeddedServer
from workers.settings import Settings
from workers.worker import register_search_attributes

THOUSAND = 1_000
ROLL_OVER = 300
KEYWORDS = 10
"""How many attributes of our kind a namespace of the embedded server takes."""
WAITING = plan("start a end", nodes=[task("a", code="wait")], variables=[variable("x", "")])


@pytest.fixture(scope="module")
async def flows(client: Client) -> AsyncGenerator[Flows]:
    async with open_flows(client) as opened:
        yield opened


@pytest.fixture(scope="module")
async def rolling(client: Client) -> AsyncGenerator[Flows]:
    async with open_flows(client, roll_over_events=ROLL_OVER) as opened:
        yield opened


@pytest.fixture(scope="module")
async def plain(server: EmbeddedServer) -> Client:
    """A client like any other: it does not compress what it sends."""
    return await Client.connect(server.address, namespace=server.namespace)


async def finish(run: Run) -> None:
    """Answer the node that waits; the run ends well."""
    await until_waiting(run, "a")
    await verb(run, "callback", node="a")
    assert (await result(run))["state"] == "finished"


# --- too much -----------------------------------------------------------------------------------


async def send_thousand(run: Run) -> None:
    """Send a thousand signals at once: every tenth is accepted, the others are not."""

    def given(number: int) -> tuple[str, dict[str, JsonValue]]:
        if number % 10 == 0:
            return "set_variables", {"values": {"x": number}}
        return "skip", {"node": "a", "reason": str(number)}

    await asyncio.gather(*(run.signal(*given(number)) for number in range(THOUSAND)))


async def all_counted(run: Run) -> None:
    """Wait until the run has counted them all, each as what it is."""
    told = await until(run, lambda found: found["count"] >= THOUSAND, "history")
    assert told["accepted"] == {"set_variables": THOUSAND // 10}
    assert told["refused"] == {"skip": THOUSAND - THOUSAND // 10}
    assert len(told["entries"]) + told["dropped"] == THOUSAND


async def test_a_thousand_signals_at_once_are_each_counted(flows: Flows) -> None:
    run = await flows.start(WAITING)
    await until_waiting(run, "a")

    await send_thousand(run)

    await all_counted(run)
    await finish(run)


async def test_a_thousand_signals_while_a_run_rolls_over_are_each_counted(rolling: Flows) -> None:
    run = await rolling.start(WAITING)

    await send_thousand(run)

    await all_counted(run)
    await finish(run)
    assert len(await histories(run)) > 1


# --- at the wrong moment ------------------------------------------------------------------------


async def answer_of(run: Run, number: int) -> str:
    """Give a verb around the end of a run; returns what became of it."""
    try:
        await verb(run, "set_variables", values={"x": number}, request_id=str(number))
    except WorkflowUpdateFailedError:
        return "refused"
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        return "gone"
    return "accepted"


async def test_verbs_that_meet_the_end_of_a_run_are_done_or_answered_with_a_no(
    flows: Flows,
) -> None:
    run = await flows.start(WAITING)
    await until_waiting(run, "a")

    answers = await asyncio.gather(
        *(answer_of(run, number) for number in range(15)),
        verb(run, "callback", node="a"),
        *(answer_of(run, number) for number in range(15, 30)),
    )

    ended = await result(run)
    told = await ask(run, "history")
    assert ended["state"] == "finished"
    assert told["accepted"].get("set_variables", 0) == Counter(map(str, answers))["accepted"]


# --- too large ----------------------------------------------------------------------------------


async def test_nearly_two_megabytes_are_refused_with_the_bound(flows: Flows, plain: Client) -> None:
    run = await flows.start(WAITING)
    await until_waiting(run, "a")
    large: JsonValue = {"node": "a", "data": secrets.token_hex(950_000)}

    with pytest.raises(WorkflowUpdateFailedError) as caught:
        await send(plain.get_workflow_handle(run.id), "callback", [large])

    assert "at most" in str(caught.value.cause)
    assert (await ask(run, "history"))["count"] == 0
    await finish(run)


async def patient_count(run: Run) -> int:
    """Ask how many verbs were noted, also while the run's workflow task is being tried again."""
    async with asyncio.timeout(WAIT_S):
        while True:
            try:
                return (await ask(run, "history"))["count"]
            except RPCError as error:
                if error.status is not RPCStatusCode.FAILED_PRECONDITION:
                    raise


@pytest.mark.slow
async def test_three_megabytes_are_refused_by_the_server_and_the_run_goes_on(
    flows: Flows, plain: Client
) -> None:
    run = await flows.start(WAITING)
    await until_waiting(run, "a")
    large: JsonValue = {"node": "a", "data": secrets.token_hex(1_500_000)}
    handle = plain.get_workflow_handle(run.id)

    with pytest.raises(RPCError, match="exceeds limit"):
        await handle.signal("callback", large)
    with pytest.raises(RPCError):  # the server takes it, and the answer to it cannot be sent
        await send(handle, "callback", [large])

    assert await patient_count(run) == 0
    await finish(run)


# --- a server that lacks things -----------------------------------------------------------------


async def full_namespace(client: Client, server: EmbeddedServer) -> Client:
    """Make a namespace that has no room for our search attributes, and a client of it."""
    name = f"full-{secrets.token_hex(3)}"
    day = Duration(seconds=24 * 3600)
    await client.workflow_service.register_namespace(
        RegisterNamespaceRequest(namespace=name, workflow_execution_retention_period=day)
    )
    kinds = {
        f"Other{number}": IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD for number in range(KEYWORDS)
    }
    request = AddSearchAttributesRequest(namespace=name, search_attributes=kinds)
    async with asyncio.timeout(WAIT_S):
        while True:
            try:
                await client.operator_service.add_search_attributes(request)
            except RPCError as error:
                # the server learns of a namespace a little later
                if error.status is not RPCStatusCode.NOT_FOUND:
                    raise
            else:
                break
    return await connect(Settings(), address=server.address, namespace=name)


async def test_a_server_without_room_for_our_attributes_costs_one_warning(
    client: Client, server: EmbeddedServer
) -> None:
    other = await full_namespace(client, server)

    with capture_logs() as logs:
        known = await register_search_attributes(other)
    async with open_flows(other, search_attributes=known) as flows:
        run = await flows.start(WAITING)
        await finish(run)

    warned = [each for each in logs if each["event"] == "workers.search_attributes_missing"]
    assert [each["log_level"] for each in warned] == ["warning"]
    assert warned[0]["reason"]
    found = (await run.describe()).search_attributes
    assert [name for name in found if name.startswith("Stdops")] == []
