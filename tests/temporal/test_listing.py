"""What the Web UI's list of runs can show and find, and what is done to many runs by one query."""

import asyncio
import secrets
from collections.abc import AsyncGenerator
from itertools import chain
from typing import Any

import pytest
from pydantic import JsonValue
from temporalio.client import Client, WorkflowFailureError

from tests.helpers.build import task, variable
from tests.helpers.flows import (
    Flows,
    Run,
    ask,
    histories,
    open_flows,
    plan,
    result,
    until_failed,
    verb,
)
from workers.server import EmbeddedServer, server_binary


@pytest.fixture
async def flows(client: Client) -> AsyncGenerator[Flows]:
    async with open_flows(client) as running:
        yield running


async def found_by(client: Client, query: str, count: int) -> list[str]:
    """Ask the list until it has so many runs; it learns of a change a little later."""
    async with asyncio.timeout(30):
        # the server tells nobody when its list has caught up
        while len(found := [run.id async for run in client.list_workflows(query)]) != count:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    return found


async def kinds(run: Run) -> list[str]:
    return [event.WhichOneof("attributes") or "" async for event in run.fetch_history_events()]


async def test_a_run_of_any_client_tells_what_it_runs(flows: Flows) -> None:
    made = plan("start a end", key="told")

    run = await flows.start(made)
    await result(run)

    memo = await (await run.describe()).memo()
    assert (memo["template"], memo["digest"]) == ("told", made.digest)


async def test_the_memo_goes_with_a_run_that_continues(client: Client) -> None:
    async with open_flows(client, roll_over_events=10) as flows:
        made = plan("start a b c d end", key="told")
        run = await flows.start(made)
        await result(run)

        parts = await histories(run)

    written = [
        event.HasField("workflow_properties_modified_event_attributes") for event in chain(*parts)
    ]
    assert len(parts) > 1
    assert sum(written) == 1
    assert (await (await run.describe()).memo())["digest"] == made.digest


async def test_a_memo_that_came_with_the_start_costs_no_event(flows: Flows) -> None:
    made = plan("start a end")
    given: dict[str, JsonValue] = {"template": "told", "digest": flows.store.save_plan(made)}

    run = await flows.start_type("RunFlow", given, memo={"digest": made.digest})
    await result(run)

    assert "workflow_properties_modified_event_attributes" not in await kinds(run)


async def test_a_run_whose_template_is_not_there_is_found_by_its_template(
    flows: Flows, client: Client
) -> None:
    template = f"gone-{secrets.token_hex(4)}"

    run = await flows.start_type("RunFlow", {"template": template, "operator": "ann"})
    with pytest.raises(WorkflowFailureError):
        await run.result()

    query = f'StdopsTemplate="{template}" AND StdopsState="Failed" AND StdopsOperator="ann"'
    assert await found_by(client, query, 1) == [run.id]


async def test_a_run_with_wrong_inputs_is_found_by_its_template(
    flows: Flows, client: Client
) -> None:
    key = f"typed-{secrets.token_hex(4)}"
    made = plan("start a end", key=key, variables=[variable("n")])

    run = await flows.start(made, inputs={"other": 1})
    with pytest.raises(WorkflowFailureError):
        await run.result()

    query = f'StdopsTemplate="{key}" AND StdopsState="Failed"'
    assert await found_by(client, query, 1) == [run.id]


async def test_a_batch_retries_the_failed_runs_of_a_template(
    flows: Flows, client: Client, server: EmbeddedServer
) -> None:
    key = f"many-{secrets.token_hex(4)}"
    made = plan("start a end", key=key, nodes=[task("a", code="once")])
    runs = [await flows.start(made) for _ in range(3)]
    for run in runs:
        await until_failed(run, "a")
    query = f'StdopsTemplate="{key}" AND StdopsState="Failed"'
    await found_by(client, query, 3)

    await signal_all(server, query, "retry", '{"node": "a", "operator": "ann"}')

    for run in runs:
        await result(run)
        assert flows.asked(run) == [("call", "a"), ("call", "a")]


async def signal_all(server: EmbeddedServer, query: str, name: str, payload: str) -> None:
    """Signal all runs that a query finds, as a person does on the command line."""
    process = await asyncio.create_subprocess_exec(
        *(str(server_binary()), "workflow", "signal", "--address", server.address),
        *("--query", query, "--name", name, "--input", payload, "--reason", "test", "--yes"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()


@pytest.mark.parametrize(("picture", "drawn"), [("svg", "<svg"), ("text", "```"), ("off", "")])
async def test_the_page_draws_as_the_settings_say(client: Client, picture: str, drawn: str) -> None:
    made = plan("start a end", nodes=[task("a", inputs={"wrong": "disk full"})])
    async with open_flows(client, picture=picture) as flows:
        run = await flows.start(made)
        await until_failed(run, "a")
        answer: Any = await ask(run, "__temporal_workflow_metadata")
        await verb(run, "skip", node="a")
        await result(run)

    shown = {mark for mark in ("<svg", "```") if mark in answer.current_details}
    assert shown == ({drawn} if drawn else set())
    assert "Update **retry**" in answer.current_details
