"""Values near and over what Temporal takes: a clear word each time, and no run that hangs."""

import asyncio
from collections.abc import AsyncGenerator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from temporalio.api.common.v1 import Payloads, WorkflowExecution
from temporalio.api.update.v1 import Input, Meta, Request
from temporalio.api.workflowservice.v1 import UpdateWorkflowExecutionRequest
from temporalio.client import Client, WorkflowFailureError
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from stdops import OperationRefused, StdopsError
from tests.helpers.build import task, variable
from tests.helpers.flows import (
    WAIT_S,
    Flows,
    ask,
    open_flows,
    plan,
    random_hex,
    result,
    told,
    until_failed,
    until_waiting,
    verb,
)
from translator.plan import Plan
from translator.template import SourceTask, SourceVariable
from workers.client import Runs, StartRequest, connect
from workers.inspection.facts import read_facts
from workers.server import EmbeddedServer
from workers.settings import Settings

MB = 1_000_000


@pytest.fixture(scope="module")
async def flows(client: Client) -> AsyncGenerator[Flows]:
    async with open_flows(client) as opened:
        yield opened


def large(*names: str) -> list[SourceTask]:
    """Build tasks each of which gives as much as an outcome may hold."""
    return [task(name, code="noise", inputs={"text": 3 * MB // 2}) for name in names]


def kept(*names: str) -> list[SourceVariable]:
    """Build the variables in which those outputs are kept."""
    return [told(name, name) for name in names]


def files(folder: Path) -> list[Path]:
    """Return the values that a folder keeps."""
    return list(folder.glob("*/*/*"))


def passed_on(names: str, value: str, **more: Any) -> Plan:
    """Build a chain in which each node hands on what the one before it gave."""
    ids = names.split()
    nodes = [task(ids[0], inputs={"text": "${x}"})]
    nodes += [task(n, inputs={"text": f"${{{before}}}"}) for before, n in pairwise(ids)]
    variables = [variable("x", value), *kept(*ids)]
    return plan(f"start {names} end", nodes=nodes, variables=variables, **more)


# --- without a payload store ----------------------------------------------------------------------


async def test_inputs_that_cannot_be_sent_fail_their_node(flows: Flows) -> None:
    made = plan(
        "start a b d c end",
        nodes=[
            *large("a", "b", "d"),
            task("c", inputs={"text": "${big_a}", "more": "${big_b}", "last": "${big_d}"}),
        ],
        variables=[told(f"big_{name}", name) for name in "abd"],
    )
    run = await flows.start(made)

    await until_failed(run, "c")
    failed = (await ask(run, "status"))["failed"][0]
    await verb(run, "retry", node="c", inputs={"text": "small"})

    assert "the inputs are too large" in str(failed)
    assert "payload_store" in str(failed)
    assert (await result(run))["state"] == "finished"


async def test_outputs_that_cannot_be_sent_together_fail_the_run(flows: Flows) -> None:
    names = ("a", "b", "c")
    made = plan("start a b c end", nodes=large(*names), variables=kept(*names), outputs=names)
    run = await flows.start(made)

    with pytest.raises(WorkflowFailureError) as caught:
        await result(run)

    assert isinstance(caught.value.cause, ApplicationError)
    assert caught.value.cause.type == "SOP532"
    assert "outputs are too large" in caught.value.cause.message


async def test_a_run_that_cannot_be_carried_on_ends_before_its_history_is_full(
    client: Client,
) -> None:
    made = plan(
        "start a b c d e f g h i j k l m n o p q r s t u v end",
        nodes=large("a", "b", "c"),
        variables=[told(f"big_{name}", name) for name in "abc"],
    )
    async with open_flows(client, roll_over_events=20) as flows:
        run = await flows.start(made)
        with pytest.raises(WorkflowFailureError) as caught:
            await result(run)

        assert isinstance(caught.value.cause, ApplicationError)
        assert caught.value.cause.type == "SOP532"
        assert "'big_a'" in caught.value.cause.message
        assert "set_variables" in caught.value.cause.message


async def test_values_made_smaller_let_a_run_roll_over(client: Client) -> None:
    made = plan(
        "start a b c d e f g h w i j k l m n o p end",
        nodes=[
            *large("a", "b", "c"),
            task("w", code="wait"),
        ],
        variables=[told(f"big_{name}", name) for name in "abc"],
    )
    async with open_flows(client, roll_over_events=20) as flows:
        run = await flows.start(made)
        await until_waiting(run, "w")
        warned = (await ask(run, "status"))["warnings"]
        await verb(run, "set_variables", values={f"big_{name}": "" for name in "abc"})
        await verb(run, "callback", node="w", data=1)

        ended = await result(run)

        assert "too large to go on" in str(warned)
        assert ended["state"] == "finished"
        assert (await run.describe()).run_id != run.first_execution_run_id


async def test_an_input_over_the_limit_is_refused_before_it_is_sent(client: Client) -> None:
    runs = Runs(client, Settings())
    request = StartRequest("flow", inputs={"x": random_hex(5 * MB)}, workflow_id="too-large")

    with pytest.raises(StdopsError, match="SOP532 the input is too large"):
        await runs.start(request)


async def test_the_server_refuses_too_large_an_input_of_any_client(
    server: EmbeddedServer, flows: Flows
) -> None:
    plain = await Client.connect(server.address, namespace=server.namespace)

    with pytest.raises(RPCError) as caught:
        await plain.start_workflow(
            "RunFlow", {"inputs": {"x": random_hex(3 * MB)}}, id="plain", task_queue=flows.queue
        )

    assert caught.value.status is RPCStatusCode.INVALID_ARGUMENT


@pytest.mark.slow
async def test_too_large_a_verb_of_any_client_does_the_run_no_harm(
    server: EmbeddedServer, flows: Flows
) -> None:
    plain = await Client.connect(server.address, namespace=server.namespace)
    run = await flows.start(plan("start w end", nodes=[task("w", code="wait")]))
    await until_waiting(run, "w")
    values = await plain.data_converter.encode([{"values": {"x": random_hex(3 * MB)}}])
    given = Input(name="set_variables", args=Payloads(payloads=values))
    update = Request(meta=Meta(update_id="large"), input=given)
    request = UpdateWorkflowExecutionRequest(
        namespace=plain.namespace,
        workflow_execution=WorkflowExecution(workflow_id=run.id),
        request=update,
    )

    with pytest.raises(RPCError) as caught:
        await plain.workflow_service.update_workflow_execution(request, retry=False)
    await verb(run, "callback", node="w", data=1)

    assert caught.value.status is RPCStatusCode.RESOURCE_EXHAUSTED
    assert (await result(run))["state"] == "finished"


async def test_a_verb_over_the_limit_is_refused_before_it_is_sent(client: Client) -> None:
    runs = Runs(client, Settings())

    with pytest.raises(OperationRefused, match=r"at most 524288 are taken"):
        await runs.verb("any", "set_variables", {"values": {"x": "y" * MB}})
    with pytest.raises(OperationRefused, match=r"at most 524288 are taken"):
        await runs.signal("any", "callback", {"node": "w", "data": "y" * MB})


# --- with one -------------------------------------------------------------------------------------


@pytest.fixture
async def roomy(server: EmbeddedServer, tmp_path: Path) -> AsyncGenerator[Flows]:
    """A worker and a client that keep large values in a folder."""
    place = tmp_path.as_uri()
    settings = Settings(payload_store=place)
    client = await connect(settings, address=server.address, namespace=server.namespace)
    async with open_flows(client, payload_store=place, roll_over_events=20) as opened:
        yield opened


async def test_ten_megabytes_pass_through_three_nodes(roomy: Flows, tmp_path: Path) -> None:
    made = passed_on("a b c", random_hex(10 * MB), outputs=["c"])

    ended = await result(await roomy.start(made))

    assert ended["outputs"]["c"] == random_hex(10 * MB)
    assert files(tmp_path)


@pytest.mark.slow
async def test_a_loop_hands_five_megabytes_on_through_fresh_histories(roomy: Flows) -> None:
    made = plan(
        "start a b xor a",
        "xor end",
        nodes=[task("a", inputs={"text": "${x}"})],
        conditions={"xor-a": "${n} < 6", "xor-end": "${n} >= 6"},
        variables=[told("n", "a", "_loop"), told("y", "a"), variable("x", random_hex(5 * MB))],
        outputs=["y"],
    )
    run = await roomy.start(made)

    ended = await result(run)

    assert ended["outputs"]["y"] == random_hex(5 * MB)
    assert (await run.describe()).run_id != run.first_execution_run_id


async def test_a_client_without_the_store_is_told_what_it_lacks(
    roomy: Flows, client: Client
) -> None:
    run = await roomy.start(passed_on("a", random_hex(3 * MB), outputs=["a"]))
    await result(run)

    with pytest.raises(StdopsError, match="SOP531"):
        await Runs(client, Settings()).result(run.id)


@pytest.mark.slow
async def test_a_lost_value_holds_the_run_until_it_is_back(
    server: EmbeddedServer, tmp_path: Path
) -> None:
    place, hidden = tmp_path / "values", tmp_path / "hidden"
    settings = Settings(payload_store=place.as_uri())
    client = await connect(settings, address=server.address, namespace=server.namespace)
    made = plan("start a w end", nodes=[*large("a"), task("w", code="wait")], variables=kept("a"))
    async with open_flows(client, cached=0, payload_store=place.as_uri()) as flows:
        run = await flows.start(made)
        await until_waiting(run, "w")
        await asyncio.to_thread(place.rename, hidden)
        await run.signal("callback", {"node": "w", "data": 1})

        async with asyncio.timeout(WAIT_S):
            while "SOP531" not in await trouble_of(client, run.id):
                pass
        await asyncio.to_thread(hidden.rename, place)
        ended = await result(run)

    assert ended["state"] == "finished"


async def trouble_of(client: Client, run: str) -> str:
    """Return why the last workflow task of a run has failed, "" while none has."""
    facts = await read_facts(client, Runs(client, Settings()), run, 0)
    return facts.task_failure
