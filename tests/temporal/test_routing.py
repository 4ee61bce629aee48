"""A plugin that is routed to another queue runs on the worker of that queue, in all its steps."""

import secrets
from pathlib import Path

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client

from tests.helpers.build import task
from tests.helpers.flows import plan, result, until, until_failed, verb
from tests.helpers.told_worker import told_worker
from workers.cli.explain import explained
from workers.cli.wiring import Connection
from workers.client import Runs
from workers.server import EmbeddedServer
from workers.settings import Settings
from workers.store import Store

WORKER = """
import asyncio, sys
from activities.registry import Registry
from activities.sdk import Call, Inputs, Outputs, StillRunning, plugin
from workers.client import connect
from workers.settings import Settings
from workers.store import Store
from workers.worker import serve, serve_plugins

place, address, queue, store_url = sys.argv[1:]

class Nothing(Inputs): pass

class Where(Outputs):
    where: str = ""

def note(call, step):
    print("step", step, call.node, flush=True)

@plugin("near", idempotent=True)
async def near(call: Call[Nothing]) -> Where:
    note(call, "call")
    return Where(where=place)

@plugin("far_quick", quick=True)
async def far_quick(call: Call[Nothing]) -> Where:
    note(call, "call")
    return Where(where=place)

@plugin("far_job", idempotent=True)
async def far_job(call: Call[Nothing]) -> Where:
    note(call, "call")
    raise StillRunning("job 7", 0.2)

@far_job.poll
async def look(call: Call[Nothing], handle: str) -> Where:
    note(call, "poll")
    if call.node == "endless":
        raise StillRunning(after_s=0.2)
    return Where(where=place)

@far_job.stop
async def stop(call: Call[Nothing], handle: str) -> None:
    note(call, "stop")

async def main():
    settings = Settings(
        task_queue=queue, store_url=store_url, plugin_queues={"far_*": queue + "-far"}
    )
    client = await connect(settings, address=address)
    registry = Registry([near, far_quick, far_job])
    if place == "far":
        there = settings.model_copy(update={"task_queue": queue + "-far"})
        await serve_plugins(client, there, registry, stop=asyncio.Event())
    with Store.open(store_url) as store:
        await serve(client, settings, store, registry, stop=asyncio.Event())

asyncio.run(main())
"""


async def workflow_pollers(client: Client, queue: str) -> int:
    request = DescribeTaskQueueRequest(
        namespace=client.namespace,
        task_queue=TaskQueue(name=queue),
        task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
    )
    return len((await client.workflow_service.describe_task_queue(request)).pollers)


async def test_a_routed_plugin_runs_on_the_worker_of_its_queue_alone(
    client: Client, server: EmbeddedServer, tmp_path: Path
) -> None:
    made = plan(
        "start here q1 q2 looks fork join back end",
        "fork endless join",
        nodes=[
            *(task(name, code="near") for name in ("here", "back")),
            *(task(name, code="far_quick") for name in ("q1", "q2")),
            *(task(name, code="far_job") for name in ("looks", "endless")),
        ],
    )
    queue, url = f"routing-{secrets.token_hex(3)}", f"sqlite:///{tmp_path / 'store.db'}"
    with Store.open(url) as store:
        digest = store.save_plan(made)
    settings = Settings(task_queue=queue, store_url="sqlite://")
    where = (server.address, queue, url)
    connection = Connection(client, Runs(client, settings), settings)

    async with told_worker(WORKER, "near", *where, longest_s=60) as near:
        given = {"template": "flow", "digest": digest}
        run = await client.start_workflow("RunFlow", given, id=queue, task_queue=queue)
        await until(run, lambda seen: "q1" in [node["path"] for node in seen.get("running", ())])
        told = await explained(connection, run.id)
        async with told_worker(WORKER, "far", *where, longest_s=60) as far:
            await far.until(("poll", "looks"), ("poll", "endless"))
            await verb(run, "force_fail", node="endless")
            await far.until(("stop", "endless"))
            served = await workflow_pollers(client, f"{queue}-far")
            await until_failed(run, "endless")
            await verb(run, "skip", node="endless")
            ended = await result(run)

    [problem] = told.problems
    assert f"no worker polls the plugins' queue '{queue}-far'" in problem.what
    assert "q1" in problem.what
    assert f"stdops worker --queue {queue}-far" in problem.fix
    assert ended["state"] == "finished"
    assert served == 0
    assert {node for _, node in near.steps} == {"here", "back"}
    assert {node for _, node in far.steps} == {"q1", "q2", "looks", "endless"}
    assert {step for step, _ in far.steps} == {"call", "poll", "stop"}
