"""What the command line says of a run and does to it: explain, history, printed commands."""

import asyncio
import shlex
import sys
from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from temporalio import workflow
from temporalio.api.workflowservice.v1 import PauseWorkflowExecutionRequest
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

import workers.server
from tests.helpers.build import task
from tests.helpers.flows import (
    WAIT_S,
    Flows,
    open_flows,
    plan,
    result,
    until,
    until_failed,
    until_waiting,
    verb,
)
from workers.cli.explain import explained
from workers.cli.history import action_data, read_record
from workers.cli.temporal_command import query, signal, start, update
from workers.cli.wiring import Connection
from workers.client import Runs, StartRequest, connect
from workers.listing import PAUSED_BY_SERVER
from workers.server import EmbeddedServer, server_binary
from workers.settings import Settings
from workers.store import Store
from workers.store.inbox import Execution

WAITING = plan("start a end", nodes=[task("a", code="wait")])
FAILING = plan("start a end", nodes=[task("a", inputs={"wrong": 1})])


@pytest.fixture(scope="module")
async def flows(client: Client) -> AsyncGenerator[Flows]:
    async with open_flows(client) as opened:
        yield opened


def connection(flows: Flows) -> Connection:
    settings = Settings(task_queue=flows.queue, store_url="sqlite://")
    return Connection(flows.client, Runs(flows.client, settings), settings)


async def temporal(server: EmbeddedServer, words: Any) -> str:
    """Run the plain command and return what it prints."""
    process = await asyncio.create_subprocess_exec(
        str(server_binary() or Path(sys.executable)),
        *shlex.split(shlex.join(words)),
        "--address",
        server.address,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    return output.decode()


# --- explain ------------------------------------------------------------------------------------


async def test_explain_joins_a_node_with_its_activity(flows: Flows) -> None:
    run = await flows.start(plan("start a end", nodes=[task("a", code="hold")]))
    await flows.until_asked(run, "call", "a")

    told = await explained(connection(flows), run.id)

    (held,) = told.holders
    assert (held.node.path, held.node.phase) == ("a", "calling")
    assert held.activity is not None
    assert (held.activity.step, held.activity.state) == ("call", "started")
    assert held.node.commands == (f"stdops force-fail {run.id} a",)
    assert told.problems == ()
    flows.open(run, "a")
    await result(run)


async def test_explain_tells_what_became_of_callbacks_by_http(flows: Flows, tmp_path: Path) -> None:
    store_url = f"sqlite:///{tmp_path / 'store.db'}"
    known = connection(flows)
    site = Connection(
        known.client, known.runs, known.settings.model_copy(update={"store_url": store_url})
    )
    run = await flows.start(WAITING)
    await until_waiting(run, "a")
    now = datetime.now(UTC)
    with Store.open(store_url) as store:
        store.inbox.keep(Execution(run.id, "a", 7), {"ok": True}, b"{}", now)
        store.inbox.keep(Execution("another", "a", 1), {"ok": True}, b"{}", now)

    told = await explained(site, run.id)

    (line,) = told.callbacks
    assert line.startswith("callback 1 for a (attempt 7) came ")
    assert line.endswith(" ago and is kept, and is tried again")
    await verb(run, "callback", node="a", data=1)
    await result(run)


async def test_explain_of_a_failed_run_gives_the_commands(flows: Flows) -> None:
    run = await flows.start(FAILING)
    await until_failed(run, "a")

    told = await explained(connection(flows), run.id)

    assert told.state == "Failed"
    assert told.holders[0].node.commands[0] == f"stdops retry {run.id} a"
    await verb(run, "skip", node="a")
    await result(run)


async def test_explain_without_any_worker_answers_from_the_server(
    client: Client, task_queue: str
) -> None:
    given = {"template": "t", "operator": "ann"}
    run = await client.start_workflow("RunFlow", given, id=task_queue, task_queue=task_queue)
    settings = Settings(task_queue=task_queue)

    told = await explained(Connection(client, Runs(client, settings), settings), run.id)

    (problem,) = told.problems
    assert problem.what == f"no worker polls the run's queue {task_queue!r}"
    assert "it cannot say itself what holds it: no worker polls its queue" in told.text
    await run.terminate()


async def test_explain_of_an_ended_run_says_how_it_ended(flows: Flows) -> None:
    run = await flows.start(WAITING)
    await until_waiting(run, "a")
    await run.terminate(reason="runaway")

    told = await explained(connection(flows), run.id)

    assert told.text.startswith("The run was terminated: by ")
    assert "runaway" in told.text


@pytest.fixture
async def pausing(monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[Client]:
    """The client of a server that may pause runs itself, which ours does not by default."""
    config = (*workers.server._DYNAMIC_CONFIG, "frontend.WorkflowPauseEnabled=true")
    monkeypatch.setattr(workers.server, "_DYNAMIC_CONFIG", config)
    async with EmbeddedServer() as running:
        yield await connect(Settings(), address=running.address, namespace=running.namespace)


async def test_explain_and_list_tell_the_server_s_own_pause(pausing: Client) -> None:
    async with open_flows(pausing) as flows:
        run = await flows.start(WAITING)
        await until_waiting(run, "a")
        request = PauseWorkflowExecutionRequest(
            namespace=pausing.namespace, workflow_id=run.id, identity="bob", reason="incident"
        )
        request.request_id = "once"
        await pausing.workflow_service.pause_workflow_execution(request)

        told = await explained(connection(flows), run.id)
        async with asyncio.timeout(WAIT_S):  # the list learns of it a moment later
            while (listed := await connection(flows).runs.list())[0].state != PAUSED_BY_SERVER:
                pass
        await run.terminate()

    assert [one.workflow_id for one in listed] == [run.id]
    what = "the Temporal server itself has paused the run, asked by bob (incident)"
    assert told.problems[0].what.startswith(what)


@workflow.defn(name="RunFlow")
class Broken:
    """A run that no worker can carry out."""

    @workflow.run
    async def run(self, _arg: Any = None) -> None:
        raise RuntimeError("a release that is wrong")


async def test_explain_tells_of_a_workflow_task_that_fails_again_and_again(
    client: Client, task_queue: str
) -> None:
    settings = Settings(task_queue=task_queue)
    ours = Connection(client, Runs(client, settings), settings)
    runner = UnsandboxedWorkflowRunner()
    async with Worker(client, task_queue=task_queue, workflows=[Broken], workflow_runner=runner):
        run = await client.start_workflow("RunFlow", {}, id=task_queue, task_queue=task_queue)
        told = await explained(ours, run.id)
        while not any("again and again" in problem.what for problem in told.problems):
            told = await explained(ours, run.id)

    (what,) = (problem.what for problem in told.problems if "again and again" in problem.what)
    assert "a release that is wrong" in what
    await run.terminate()


# --- history ------------------------------------------------------------------------------------


async def test_history_follows_a_run_over_all_its_parts(client: Client) -> None:
    names = [f"n{number}" for number in range(12)]
    shape = plan(f"start {' '.join(names)} last end", nodes=[task("last", code="wait")])
    async with open_flows(client, roll_over_events=40) as flows:
        run = await flows.start(shape)
        await until_waiting(run, "last")
        await run.signal("skip", {"node": "nowhere", "operator": "bob"})
        await until(run, lambda told: told["refused"], "history")
        await verb(run, "callback", node="last", data={"ok": 1}, operator="ann", reason="done")
        await result(run)
        record = await read_record(connection(flows), run.id)
        described = await client.get_workflow_handle(run.id).describe()

    tasks = [each for each in record.attempts if each.kind == "task"]
    assert described.run_id != run.first_execution_run_id
    assert [each.node for each in tasks] == [*names, "last"]
    assert {each.outcome for each in tasks} == {"done"}
    assert all(each.started <= each.ended for each in tasks)
    refused, accepted = record.actions
    assert (refused.verb, refused.accepted, refused.channel) == ("skip", False, "signal")
    assert "no node is called 'nowhere'" in refused.refusal
    assert (accepted.verb, accepted.operator, accepted.reason) == ("callback", "ann", "done")
    assert (accepted.node, accepted.accepted, accepted.channel) == ("last", True, "update")
    assert action_data(accepted)["client"]


async def test_history_shows_a_failed_attempt_and_the_one_after_it(flows: Flows) -> None:
    run = await flows.start(FAILING)
    await until_failed(run, "a")
    await verb(run, "retry", node="a", set={"wrong": 0})
    await result(run)

    record = await read_record(connection(flows), run.id)

    first, second = (each for each in record.attempts if each.node == "a")
    assert (first.outcome, first.attempt, first.entry) == ("failed", 1, 1)
    assert (second.outcome, second.attempt, second.inputs["wrong"]) == ("done", 2, 0)
    (action,) = record.actions
    assert (action.verb, action.changed) == ("retry", ("wrong",))


# --- printed commands ---------------------------------------------------------------------------


async def test_a_printed_verb_does_what_ours_does(flows: Flows, server: EmbeddedServer) -> None:
    run = await flows.start(FAILING)
    await until_failed(run, "a")

    answer = await temporal(server, update(run.id, "retry", {"node": "a", "set": {"wrong": 0}}))

    assert "accepted" in answer
    assert (await result(run))["state"] == "finished"


async def test_a_printed_signal_and_a_printed_query_do_too(
    flows: Flows, server: EmbeddedServer
) -> None:
    run = await flows.start(WAITING)
    await until_waiting(run, "a")

    await temporal(server, signal(run.id, "pause", {"operator": "it's ann"}))
    await until(run, lambda told: told["state"] == "Paused")
    answer = await temporal(server, query(run.id, "status"))

    assert "Paused" in answer
    await verb(run, "revoke")
    await result(run)


async def test_a_printed_start_starts_the_run(flows: Flows, server: EmbeddedServer) -> None:
    key = flows.keep(plan("start a end", key="printed"))
    settings = connection(flows).settings
    request = StartRequest(
        key, workflow_id=f"printed-{flows.queue}", memo={"why": "a b"}, summary="it's 发布"
    )

    await temporal(server, start(request, settings, wait=True))

    handle = flows.client.get_workflow_handle(request.workflow_id)
    assert (await handle.result())["state"] == "finished"
    assert (await (await handle.describe()).memo())["why"] == "a b"
