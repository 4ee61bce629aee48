"""A worker of a new version takes over, or not, while runs stand at every kind of point."""

import asyncio
import secrets
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import pytest
from temporalio.api.workflowservice.v1 import SetWorkerDeploymentCurrentVersionRequest
from temporalio.client import Client
from temporalio.service import RPCError

from tests.helpers.build import task
from tests.helpers.flows import Run, plan, result, until_failed, until_waiting, verb
from tests.helpers.told_worker import ToldWorker, told_worker
from workers.server import EmbeddedServer
from workers.store import Store

LONGEST_S: Final = 60

WORKER = """
import asyncio, sys
from activities.registry import Registry
from activities.sdk import (
    Call, Inputs, Outputs, PluginError, StillRunning, WaitForCallback, plugin
)
from workers.client import connect
from workers.logs import configure_logs
from workers.settings import Settings
from workers.store import Store
from workers.worker import serve, stop_on_signals

build, deployment, versioning, address, queue, url = sys.argv[1:]

class Nothing(Inputs): pass
class Seen(Outputs):
    seen: str = ""

@plugin("say")
async def say(call: Call[Nothing]) -> Seen:
    print("step say", call.run, call.node, build, flush=True)
    return Seen(seen=build)

@plugin("ask")
async def ask(call: Call[Nothing]) -> Seen:
    raise WaitForCallback("ticket")

@ask.callback
async def answered(call: Call[Nothing], data: str) -> Seen:
    return Seen(seen=data)

@plugin("job")
async def job(call: Call[Nothing]) -> Seen:
    raise StillRunning("job 7", 0.3)

@job.poll
async def look(call: Call[Nothing], handle: str) -> Seen:
    print("step look", call.run, build, flush=True)
    if build == "a":
        raise StillRunning(after_s=0.3)
    return Seen(seen=build)

@plugin("brittle", idempotent=True)
async def brittle(call: Call[Nothing]) -> Seen:
    if call.entry == 1:
        raise PluginError("it is full")
    return Seen(seen=build)

@plugin("newer")
async def newer(call: Call[Nothing]) -> Seen:
    return Seen(seen=build)

async def main():
    configure_logs("error", as_json=True)
    settings = Settings(
        task_queue=queue, store_url=url, graceful_shutdown_s=2, deployment_name=deployment,
        build_id=build, versioning=versioning,
    )
    stop = asyncio.Event()
    async with stop_on_signals(stop):
        client = await connect(settings, address=address)
        with Store.open(url) as store:
            plugins = [say, ask, job, brittle] + [newer] * (build == "b")
            print("step serves", build, flush=True)
            await serve(client, settings, store, Registry(plugins), stop=stop)

asyncio.run(main())
"""

STANDING: Final = ("ask", "job", "brittle", "paused")


class Site:
    """Runs of one queue and what moves them."""

    def __init__(self, client: Client, folder: Path) -> None:
        self.client = client
        self.queue = f"upgrade-{secrets.token_hex(3)}"
        self.url = f"sqlite:///{folder / 'store.db'}"
        self.runs: dict[str, Run] = {}

    async def start(self, name: str) -> Run:
        """Start a run that will stand at the plugin that it is named after."""
        code = "ask" if name == "paused" else name
        made = plan(
            "start before stands after end",
            nodes=[
                task("before", code="say"),
                task("stands", code=code),
                task("after", code="say"),
            ],
        )
        with Store.open(self.url) as store:
            digest = store.save_plan(made)
        self.runs[name] = await self.client.start_workflow(
            "RunFlow",
            {"template": "flow", "digest": digest},
            id=f"{self.queue}-{name}",
            task_queue=self.queue,
        )
        return self.runs[name]

    async def make_current(self, build: str) -> None:
        """Make a version current as soon as the server knows it."""
        request = SetWorkerDeploymentCurrentVersionRequest(
            namespace=self.client.namespace, deployment_name=self.queue, build_id=build
        )
        async with asyncio.timeout(LONGEST_S):
            while True:
                try:
                    await self.client.workflow_service.set_worker_deployment_current_version(
                        request
                    )
                except RPCError:
                    await asyncio.sleep(0.2)  # another process: its first poll makes it known
                else:
                    return

    async def stand(self, worker: ToldWorker) -> None:
        """Wait until each run stands where it is to stand."""
        await until_waiting(self.runs["ask"], "stands")
        await until_waiting(self.runs["paused"], "stands")
        await verb(self.runs["paused"], "pause")
        await verb(self.runs["paused"], "callback", node="stands", data="yes")
        await until_failed(self.runs["brittle"], "stands")
        await worker.until(("look", self.runs["job"].id, "a"))

    async def move(self) -> None:
        """Do what sends the runs on."""
        await verb(self.runs["ask"], "callback", node="stands", data="yes")
        await verb(self.runs["paused"], "resume")
        await verb(self.runs["brittle"], "retry", node="stands")

    async def end(self, *names: str) -> set[str]:
        """Return the states in which runs ended."""
        return {(await result(self.runs[name]))["state"] for name in names}

    def where(self, server: EmbeddedServer, deployment: str, versioning: str) -> Sequence[str]:
        """Return what a worker is told."""
        return (deployment, versioning, server.address, self.queue, self.url)


def said_after(worker: ToldWorker, runs: Mapping[str, Run]) -> set[str]:
    """Return the runs whose last node this worker has called."""
    names = {run.id: name for name, run in runs.items()}
    return {names[step[1]] for step in worker.steps if step[0] == "say" and step[2] == "after"}


@pytest.mark.parametrize("deployment", [pytest.param("", marks=pytest.mark.slow), "versioned"])
async def test_runs_go_on_with_the_next_worker_wherever_they_stand(
    client: Client, server: EmbeddedServer, tmp_path: Path, deployment: str
) -> None:
    site = Site(client, tmp_path)
    where = site.where(server, deployment and site.queue, "auto_upgrade")

    async with (
        told_worker(WORKER, "a", *where, longest_s=LONGEST_S) as old,
        told_worker(WORKER, "b", *where, longest_s=LONGEST_S) as new,
    ):
        if not deployment:  # only the old one, until the runs stand
            new.signal(signal.SIGSTOP)
        if deployment:
            await site.make_current("a")
        for name in STANDING:
            await site.start(name)
        await site.stand(old)
        new.signal(signal.SIGCONT)
        if deployment:
            await site.make_current("b")
        old.signal(signal.SIGTERM)
        code = await old.ended()
        await site.move()
        await site.start("newer")
        ended = await site.end(*STANDING, "newer")
        await new.kill()

    assert (code, ended) == (0, {"finished"})
    assert said_after(new, site.runs) == {*STANDING, "newer"}
    assert said_after(old, site.runs) == set()


async def test_pinned_runs_end_on_their_version_and_new_ones_begin_on_the_next(
    client: Client, server: EmbeddedServer, tmp_path: Path
) -> None:
    site = Site(client, tmp_path)
    where = site.where(server, site.queue, "pinned")
    standing = ("ask", "brittle", "paused")

    async with (
        told_worker(WORKER, "a", *where, longest_s=LONGEST_S) as old,
        told_worker(WORKER, "b", *where, longest_s=LONGEST_S) as new,
    ):
        await site.make_current("a")
        for name in STANDING:
            await site.start(name)
        await site.stand(old)
        await site.make_current("b")
        await site.move()
        await site.start("newer")
        ended = await site.end(*standing, "newer")
        await verb(site.runs["job"], "revoke")
        revoked = await site.end("job")
        await old.kill()
        await new.kill()

    assert (ended, revoked) == ({"finished"}, {"revoked"})
    assert said_after(old, site.runs) == set(standing)
    assert said_after(new, site.runs) == {"newer"}
