"""What a real worker offers to Prometheus, against what the alerts and the dashboard ask for."""

import asyncio
import json
import re
import secrets
import socket
from pathlib import Path

import httpx
from temporalio.client import Client

from tests.helpers.build import task
from tests.helpers.flows import plan, until_failed
from tests.helpers.monitoring import expressions
from tests.helpers.promql import asked
from tests.helpers.told_worker import told_worker
from workers.server import EmbeddedServer
from workers.settings import Settings
from workers.store import Store
from workers.telemetry import METRICS

# a worker as `stdops worker` has it, but with plugins that end in every way, and beside it what
# makes the SDK count failures: a workflow that cannot be carried out, and a refused request
WORKER = """
import asyncio, json, sys
from temporalio import workflow
from temporalio.service import RPCError
from temporalio.worker import Worker
from activities.registry import Registry
from activities.sdk import Call, Inputs, OutcomeUnknown, Outputs, StillRunning, plugin
from workers.cli.wiring import instrumented
from workers.client import connect
from workers.logs import configure_logs
from workers.settings import Settings
from workers.store import Store
from workers.worker import serve, workflow_runner

settings, address = Settings(**json.loads(sys.argv[1])), sys.argv[2]

class Nothing(Inputs): pass
class Seen(Outputs): pass

@plugin("fine", idempotent=True)
async def fine(call: Call[Nothing]) -> Seen:
    return Seen()

@plugin("unknown")
async def unknown(call: Call[Nothing]) -> Seen:
    raise OutcomeUnknown("the line was cut")

@plugin("job")
async def job(call: Call[Nothing]) -> Seen:
    raise StillRunning("job 7", 0.1)

looks = []

@job.poll
async def look(call: Call[Nothing], handle: str) -> Seen:
    looks.append(handle)
    print("step look", len(looks), flush=True)
    if len(looks) < 3:
        raise StillRunning(after_s=0.1)
    return Seen()

@workflow.defn(name="Broken", sandboxed=False)
class Broken:
    @workflow.run
    async def run(self) -> None:
        raise ValueError("a bug in workflow code")

async def main():
    configure_logs(settings.log_level, as_json=settings.log_json)
    async with instrumented(settings):
        client = await connect(settings, address=address)
        other = settings.task_queue + "-broken"
        async with Worker(client, task_queue=other, workflows=[Broken]):
            await client.start_workflow("Broken", id=other, task_queue=other)
            try:
                await client.get_workflow_handle("nobody").terminate()
            except RPCError:
                pass
            with Store.open(settings.store_url) as store:
                registry = Registry([fine, unknown, job])
                await serve(client, settings, store, registry, stop=asyncio.Event())

asyncio.run(main())
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def exported(text: str) -> dict[str, set[str]]:
    """The metrics of an answer to a scrape, each with its labels."""
    found: dict[str, set[str]] = {}
    for name, labels in re.findall(r"^(\w+)(?:\{(.*)\})? \S+$", text, re.MULTILINE):
        found.setdefault(name, set()).update(re.findall(r"(\w+)=\"", labels))
    return found


async def test_no_alert_and_no_panel_asks_for_what_a_worker_does_not_offer(
    client: Client, server: EmbeddedServer, tmp_path: Path
) -> None:
    queue = f"metrics-{secrets.token_hex(3)}"
    settings = Settings(
        task_queue=queue,
        store_url=f"sqlite:///{tmp_path / 'store.db'}",
        data_dir=tmp_path,
        metrics_address=f"127.0.0.1:{free_port()}",
        health_address=f"127.0.0.1:{free_port()}",
        receiver_port=free_port(),
        count_runs_s=5,
        log_json=True,
    )

    text = await offered_after_troubles(client, server.address, settings)

    found = exported(text)
    for place, expression in expressions():
        for metric in asked(expression):
            assert metric.name in found, (place, metric.name)
            assert metric.labels <= found[metric.name], (place, metric)
    for metric in METRICS:
        name = f"{metric.name}_bucket" if metric.kind == "histogram" else metric.name
        assert set(metric.labels) <= found[name]
    assert 'stdops_outcome_unknown_total{plugin="unknown"} 1' in text
    assert 'stdops_callbacks_total{result="forged"} 1' in text
    assert 'stdops_steps_total{outcome="still_running",plugin="job",step="poll"} 2' in text
    assert 'stdops_steps_total{outcome="done",plugin="job",step="poll"} 1' in text
    assert "stdops_failed_nodes 1" in text


async def offered_after_troubles(client: Client, address: str, settings: Settings) -> str:
    """Let a worker meet every kind of trouble; return what it offers then."""
    made = plan(
        "start fine fork unknown join end",
        "fork job join",
        nodes=[task(name, code=name) for name in ("fine", "unknown", "job")],
    )
    queue, changed = settings.task_queue, settings.model_dump(mode="json", exclude_defaults=True)
    with Store.open(settings.store_url) as store:
        digest = store.save_plan(made)
    async with told_worker(WORKER, json.dumps(changed), address, longest_s=40) as worker:
        given = {"template": "flow", "digest": digest}
        run = await client.start_workflow("RunFlow", given, id=queue, task_queue=queue)
        await worker.until(("look", "3"))
        await until_failed(run, "unknown")
        async with httpx.AsyncClient() as http:
            ready = await http.get(f"http://{settings.health_address}/readyz")
            forged = await http.post(
                f"http://127.0.0.1:{settings.receiver_port}/callback/{'x' * 40}"
            )
        assert (ready.status_code, forged.status_code) == (200, 400)
        text = await until_offered(settings.metrics_address)
    await run.terminate()
    await client.get_workflow_handle(f"{queue}-broken").terminate()
    return text


async def until_offered(address: str) -> str:
    """Scrape until the runs were counted, and the broken workflow has failed."""
    wanted = ('stdops_runs{state="Failed"} 1', "temporal_workflow_task_execution_failed_total{")
    async with httpx.AsyncClient() as http, asyncio.timeout(40):
        while True:
            text = (await http.get(f"http://{address}/metrics")).text
            if all(each in text for each in wanted):
                return text
            await asyncio.sleep(0.2)  # as Prometheus does: nothing tells when a count is made
