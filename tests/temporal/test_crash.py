"""A worker that is killed in the middle of a run, and started again."""

import secrets
from pathlib import Path

from temporalio.client import Client

from tests.helpers.build import task
from tests.helpers.flows import ask, plan, result, until_failed, verb
from tests.helpers.told_worker import told_worker
from workers.server import EmbeddedServer
from workers.store import Store

WORKER = """
import asyncio, sys
from activities.registry import Registry
from activities.sdk import Call, Inputs, Outputs, StillRunning, plugin
from workers.client import connect
from workers.settings import Settings
from workers.store import Store
from workers.worker import serve

life, address, queue, store_url = sys.argv[1:]

class Nothing(Inputs): pass

class Seen(Outputs):
    seen: str = ""

def note(call, step):
    print("step", step, call.node, call.entry, flush=True)

async def stand_still():
    if life == "first":
        await asyncio.Event().wait()

@plugin("mark", idempotent=True)
async def mark(call: Call[Nothing]) -> Seen:
    note(call, "call")
    return Seen(seen=life)

@plugin("sync", idempotent=True, heartbeat_s=1)
async def sync(call: Call[Nothing]) -> Seen:
    note(call, "call")
    await stand_still()
    return Seen(seen=life)

@plugin("deploy", heartbeat_s=1)
async def deploy(call: Call[Nothing]) -> Seen:
    note(call, "call")
    await stand_still()
    return Seen(seen=life)

@plugin("job", heartbeat_s=1)
async def job(call: Call[Nothing]) -> Seen:
    note(call, "call")
    raise StillRunning("job 7", 0.2)

@job.poll
async def look(call: Call[Nothing], handle: str) -> Seen:
    note(call, f"poll-{handle.replace(' ', '-')}")
    if life == "first":
        raise StillRunning(after_s=0.2)
    return Seen(seen=life)

async def main():
    settings = Settings(task_queue=queue, store_url=store_url)
    client = await connect(settings, address=address)
    registry = Registry([mark, sync, deploy, job])
    with Store.open(store_url) as store:
        await serve(client, settings, store, registry, stop=asyncio.Event())

asyncio.run(main())
"""


async def test_a_killed_worker_costs_nothing_that_may_not_be_repeated(
    client: Client, server: EmbeddedServer, tmp_path: Path
) -> None:
    made = plan(
        "start before fork sync join after end",
        "fork deploy join",
        "fork job join",
        nodes=[
            *(task(name, code="mark") for name in ("before", "after")),
            *(task(name, code=name) for name in ("sync", "deploy", "job")),
        ],
    )
    queue, url = f"crash-{secrets.token_hex(3)}", f"sqlite:///{tmp_path / 'store.db'}"
    with Store.open(url) as store:
        digest = store.save_plan(made)
    given = {"template": "flow", "digest": digest}
    where = (server.address, queue, url)

    async with told_worker(WORKER, "first", *where, longest_s=40) as first:
        run = await client.start_workflow("RunFlow", given, id=queue, task_queue=queue)
        await first.until(
            ("call", "sync", "1"), ("call", "deploy", "1"), ("poll-job-7", "job", "1")
        )
        await first.kill()
    async with told_worker(WORKER, "second", *where, longest_s=40) as second:
        await second.until(("call", "sync", "1"), ("poll-job-7", "job", "1"))
        await until_failed(run, "deploy")
        [failed] = (await ask(run, "status"))["failed"]
        await verb(run, "retry", node="deploy")
        ended = await result(run)
        await second.until(("call", "after", "1"))

    assert ended["state"] == "finished"
    assert "outcome unknown" in failed["reason"]
    calls = [line for line in first.steps + second.steps if line[0] == "call"]
    assert calls.count(("call", "before", "1")) == 1
    assert calls.count(("call", "deploy", "1")) == 1  # may not be repeated, and was not
    assert calls.count(("call", "deploy", "2")) == 1  # the operator's decision
    assert calls.count(("call", "job", "1")) == 1  # the work goes on under its handle
    assert calls.count(("call", "sync", "1")) == 2
