"""SIGTERM under load: a worker ends within its bound, and nothing is lost or done twice."""

import asyncio
import json
import os
import secrets
import signal
import sys
from collections import Counter
from pathlib import Path

import pytest
from temporalio.client import Client

from tests.helpers.build import task
from tests.helpers.flows import plan, result
from tests.helpers.told_worker import ROOT, told_worker
from workers.server import EmbeddedServer
from workers.store import Store

GRACE_S = 2

WORKER = """
import asyncio, sys
from activities.registry import Registry
from activities.sdk import Call, Inputs, Outputs, StillRunning, plugin
from workers.client import connect
from workers.logs import configure_logs
from workers.settings import Settings
from workers.store import Store
from workers.worker import serve, stop_on_signals

life, grace, address, queue, url = sys.argv[1:]

class Nothing(Inputs): pass
class Seen(Outputs):
    seen: str = ""

@plugin("short")
async def short(call: Call[Nothing]) -> Seen:
    print("step short", call.run, life, "begun", flush=True)
    await asyncio.sleep(0.5)
    print("step short", call.run, life, "done", flush=True)
    return Seen(seen=life)

@plugin("job")
async def job(call: Call[Nothing]) -> Seen:
    print("step job", call.run, life, "begun", flush=True)
    raise StillRunning("job 7", 0.2)

@job.poll
async def look(call: Call[Nothing], handle: str) -> Seen:
    print("step look", call.run, life, flush=True)
    if life == "first":
        raise StillRunning(after_s=0.2)
    return Seen(seen=life)

@plugin("endless", idempotent=True)
async def endless(call: Call[Nothing]) -> Seen:
    print("step endless", call.run, life, flush=True)
    if life == "first":
        await asyncio.Event().wait()
    return Seen(seen=life)

async def main():
    configure_logs("error", as_json=True)
    given = {"task_queue": queue, "store_url": url, "graceful_shutdown_s": int(grace)}
    settings = Settings(**given, batch_tasks=1)
    stop = asyncio.Event()
    async with stop_on_signals(stop):
        client = await connect(settings, address=address)
        with Store.open(url) as store:
            registry = Registry([short, job, endless])
            await serve(client, settings, store, registry, stop=stop)

asyncio.run(main())
print("step ended", life, flush=True)
"""


@pytest.mark.parametrize("count", [3, pytest.param(40, marks=pytest.mark.slow)])
async def test_a_worker_that_is_told_to_stop_under_load_ends_in_time_and_loses_nothing(
    client: Client, server: EmbeddedServer, tmp_path: Path, count: int
) -> None:
    made = plan(
        "start fork short join end",
        "fork job join",
        "fork endless join",
        nodes=[task(name, code=name) for name in ("short", "job", "endless")],
    )
    queue, url = f"drain-{secrets.token_hex(3)}", f"sqlite:///{tmp_path / 'store.db'}"
    with Store.open(url) as store:
        digest = store.save_plan(made)
    where = (str(GRACE_S), server.address, queue, url)

    async with told_worker(WORKER, "first", *where, longest_s=40) as first:
        runs = [
            await client.start_workflow(
                "RunFlow",
                {"template": "flow", "digest": digest},
                id=f"{queue}-{number}",
                task_queue=queue,
            )
            for number in range(count)
        ]
        # every run has work under way that never ends by itself
        await first.until(*(("endless", run.id, "first") for run in runs))
        first.signal(signal.SIGTERM)
        async with asyncio.timeout(GRACE_S + 15):  # the bound: the grace, and the rest of a stop
            code = await first.ended()
        async with told_worker(WORKER, "second", *where, longest_s=40) as second:
            ended = [await result(run) for run in runs]
            second.signal(signal.SIGTERM)
            await second.ended()

    assert code == 0
    assert first.steps[-1] == ("ended", "first")
    assert {one["state"] for one in ended} == {"finished"}
    told = first.steps + second.steps
    begun = Counter(step for step in told if step[0] in ("short", "job") and step[-1] == "begun")
    done = Counter(step[1] for step in told if step[0] == "short" and step[-1] == "done")
    # what may not be repeated was begun once, and ended where it was begun
    assert Counter((name, run) for name, run, *_ in begun.elements()) == Counter(
        (name, run.id) for name in ("short", "job") for run in runs
    )
    assert done == Counter(run.id for run in runs)
    # polls and what may be repeated went on elsewhere
    assert {step[1] for step in second.steps if step[0] == "look"} == {run.id for run in runs}
    assert {step[1] for step in second.steps if step[0] == "endless"} == {run.id for run in runs}


@pytest.mark.slow
async def test_every_line_of_a_worker_is_json_if_that_is_asked_for(
    server: EmbeddedServer, tmp_path: Path
) -> None:
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "TEMPORAL_ADDRESS": server.address,
        "STDOPS_DATA_DIR": str(tmp_path),
        "STDOPS_TASK_QUEUE": f"json-{secrets.token_hex(3)}",
        "STDOPS_LOG_JSON": "true",
        "STDOPS_RECEIVER_PORT": "0",
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "stdops", "worker"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment,
        cwd=tmp_path,
    )
    assert process.stderr is not None
    lines: list[bytes] = []
    async with asyncio.timeout(40):
        while not any(b"workers.worker_started" in line for line in lines):
            lines.append(await process.stderr.readline())
            assert lines[-1], lines
        process.send_signal(signal.SIGTERM)
        out, rest = await process.communicate()
    lines += rest.splitlines()

    events = [json.loads(line)["event"] for line in lines]
    assert process.returncode == 0
    assert out == b""
    assert events[-1] == "workers.worker_stopped"
