"""Runs whose payloads are encrypted: nothing readable at the server, all of it for who has keys."""

import asyncio
import base64
import secrets
from typing import Any, Final

import pytest
from pydantic import SecretStr
from temporalio.client import Client, WorkflowUpdateFailedError

from stdops import StdopsError
from tests.helpers.build import task, variable
from tests.helpers.flows import (
    WAIT_S,
    ask,
    open_flows,
    plan,
    result,
    told,
    until_failed,
    until_waiting,
    verb,
)
from tests.helpers.flows import Run as Handle
from translator.plan import Plan
from workers.client import Runs, StartRequest, connect
from workers.codec import Codec
from workers.inspection.attempts import attempts_of
from workers.inspection.facts import read_facts
from workers.inspection.parts import read_parts
from workers.opening import open_messages
from workers.server import EmbeddedServer
from workers.settings import Settings

WORDS: Final = "canary-6d2e-words"
NAME: Final = "canary-name-of-a-node"
OLD, NEW = b"o" * 32, b"n" * 32


def settings_of(*keys: bytes, queue: str = "stdops") -> Settings:
    text = ",".join(base64.b64encode(key).decode() for key in keys)
    return Settings(codec_keys=SecretStr(text), task_queue=queue)


async def client_of(server: EmbeddedServer, *keys: bytes) -> Client:
    settings = settings_of(*keys)
    return await connect(settings, address=server.address, namespace=server.namespace)


def a_plan() -> Plan:
    """A node that gives words, one that fails with them, one that waits to be called back."""
    return plan(
        "start give bad wait end",
        nodes=[
            task("give", code="echo", inputs={"text": "${given}"})._replace(name=NAME),
            task("bad", code="echo", inputs={"wrong": "${given}"}),
            task("wait", code="wait"),
        ],
        variables=[variable("given", ""), told("kept", "give"), told("brought", "wait", "data")],
        outputs=["given", "kept", "brought"],
    )


async def raw_of(run: Handle, plain: Client) -> str:
    """Everything that the server gives to a client without keys."""
    handle = plain.get_workflow_handle(run.id)
    history = await handle.fetch_history()
    described = await handle.describe()
    parts: list[Any] = [*history.events, described.raw_description]
    raw = b"".join(part.SerializeToString() for part in parts)
    return raw.decode("utf-8", "replace") + history.to_json()


async def test_a_run_is_read_by_who_has_the_key_and_by_nobody_else(
    server: EmbeddedServer, client: Client
) -> None:
    keyed = await client_of(server, NEW)
    async with open_flows(keyed) as flows:
        made = a_plan()
        flows.keep(made)
        runs = Runs(keyed, settings_of(NEW, queue=flows.queue))
        request = StartRequest(
            made.template_key,
            inputs={"given": WORDS},
            memo={"note": WORDS},
            summary=WORDS,
            details=WORDS,
        )
        run: Handle = keyed.get_workflow_handle((await runs.start(request)).workflow_id)
        await until_failed(run, "bad")
        with pytest.raises(WorkflowUpdateFailedError):
            await verb(run, "skip", node="give", reason=WORDS)
        await verb(run, "skip", node="bad", reason=WORDS)
        await until_waiting(run, "wait")
        waiting = await raw_of(run, client)
        await verb(run, "callback", node="wait", data={"words": WORDS})
        ended = await result(run)
        raw = waiting + await raw_of(run, client)
        described = await run.describe()
        attempts = await attempts_of((await read_parts(keyed, runs, run.id)).events)
        facts = await read_facts(keyed, runs, run.id, 0)

    inner = base64.b64encode(WORDS.encode()).decode()[:-4]
    assert {each for each in (WORDS, NAME, inner) if each in raw} == set()
    assert ended["outputs"]["brought"] == {"words": WORDS}
    assert await described.memo_value("note") == WORDS
    assert await described.static_summary() == WORDS
    assert any(WORDS in (attempt.error or "") for attempt in attempts)
    assert facts.ending is not None
    assert facts.ending.result["outputs"] == ended["outputs"]


async def test_a_client_without_keys_starts_a_run_and_is_told_what_it_needs_to_read_it(
    server: EmbeddedServer, client: Client
) -> None:
    keyed = await client_of(server, NEW)
    async with open_flows(keyed) as flows:
        made = plan("start a end", nodes=[task("a", code="echo", inputs={"text": "x"})])
        flows.keep(made)
        plain = Runs(client, Settings(task_queue=flows.queue))
        started = await plain.start(StartRequest(made.template_key))

        with pytest.raises(StdopsError, match=Codec([NEW]).key_ids[0]) as error:
            await plain.result(started.workflow_id)
        ended = await result(keyed.get_workflow_handle(started.workflow_id))

    assert error.value.code == "SOP518"
    assert "STDOPS_CODEC_KEYS" in str(error.value)
    assert ended["state"] == "finished"


async def test_a_run_goes_on_over_a_change_of_the_key(server: EmbeddedServer) -> None:
    queue = f"rotation-{secrets.token_hex(3)}"
    old, both = await client_of(server, OLD), await client_of(server, NEW, OLD)
    made = a_plan()
    async with open_flows(old, queue=queue) as flows:
        flows.keep(made)
        run = await flows.start(made, inputs={"given": WORDS})
        await until_failed(run, "bad")

    async with open_flows(both, queue=queue, cached=0) as flows:
        flows.keep(made)
        run = both.get_workflow_handle(run.id)
        await verb(run, "skip", node="bad")
        await until_waiting(run, "wait")
        await verb(run, "callback", node="wait", data=1)
        ended = await result(run)

    assert ended["outputs"]["kept"] == WORDS


async def test_a_worker_without_the_key_says_which_one_until_it_has_it(
    server: EmbeddedServer, client: Client
) -> None:
    queue = f"keyless-{secrets.token_hex(3)}"
    keyed = await client_of(server, NEW)
    made = plan("start a end", nodes=[task("a", code="echo", inputs={"text": "x"})])
    async with open_flows(client, queue=queue) as flows:
        flows.keep(made)
        given = {"template": made.template_key}
        run: Handle = await keyed.start_workflow(
            "RunFlow", given, id=f"{queue}-run", task_queue=queue
        )
        reason = await task_failure(run, client)

    async with open_flows(keyed, queue=queue) as flows:
        flows.keep(made)
        ended = await asyncio.wait_for(result(run), WAIT_S)

    assert Codec([NEW]).key_ids[0] in reason
    assert "STDOPS_CODEC_KEYS" in reason
    assert ended["state"] == "finished"


async def task_failure(run: Handle, client: Client) -> str:
    """Return why the first workflow task failed, once it has."""
    handle = client.get_workflow_handle(run.id)
    async with asyncio.timeout(WAIT_S):
        async for event in handle.fetch_history_events(wait_new_event=True):
            if event.HasField("workflow_task_failed_event_attributes"):
                return event.workflow_task_failed_event_attributes.failure.message
    raise AssertionError("the run ended")


async def test_a_history_is_opened_as_it_was_before_it_was_encrypted(
    server: EmbeddedServer,
) -> None:
    keyed = await client_of(server, NEW)
    async with open_flows(keyed) as flows:
        made = plan("start a end", nodes=[task("a", code="wait")])
        flows.keep(made)
        run = await flows.start(made)
        await until_waiting(run, "a")
        status = await ask(run, "status")
        events = (await run.fetch_history()).events
        await open_messages(keyed, events)
        await verb(run, "revoke")

    given = events[0].workflow_execution_started_event_attributes.input.payloads[0]
    assert status["state"] == "Waiting"
    assert made.template_key.encode() in given.data
