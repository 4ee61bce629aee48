"""The processes of one scenario: server with a database, workers, receiver, the outside service."""

import asyncio
import contextlib
import json
import os
import secrets
import signal
import socket
import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx
from temporalio.client import Client, WorkflowHandle
from temporalio.service import RPCError

from stdops import StdopsError
from tests.chaos.flows import Mended, mixed
from tests.chaos.proxy import Proxy, proxy_to
from workers.client import Runs, connect
from workers.server import EmbeddedServer
from workers.settings import Settings
from workers.store import Store

ROOT: Final = Path(__file__).resolve().parents[2]
PAUSE_S: Final = 0.2
WORKERS: Final = 2
TRY_S: Final = 10

Process = asyncio.subprocess.Process
Run = WorkflowHandle[Any, Any]


@dataclass
class Site:
    """Everything that can be broken, and the way to it.

    workers: their names; each is a process of `processes`. environment: what a worker gets beside
    ours. ended: set when all runs are over, so that a fault need not be waited for.
    """

    client: Client
    server: EmbeddedServer
    proxy: Proxy
    settings: Settings
    digest: str
    folder: Path
    http: httpx.AsyncClient
    door: str = ""
    back_door: str = ""
    processes: dict[str, Process] = field(default_factory=dict[str, Process])
    environment: dict[str, str] = field(default_factory=dict[str, str])
    mended: list[Mended] = field(default_factory=list[Mended])
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def workers(self) -> list[str]:
        """The names of the workers that are there."""
        return [name for name in self.processes if name.startswith("worker")]

    @property
    def store_file(self) -> Path:
        """The database of the store."""
        return Path(self.settings.store_url.removeprefix("sqlite:///"))

    @property
    def runs(self) -> Runs:
        """The runs, asked on the direct way."""
        return Runs(self.client, self.settings, timeout_s=TRY_S)

    async def start(self, name: str) -> None:
        """Start a worker or the receiver; the workers reach the server over the wire."""
        role = "receiver" if name == "receiver" else "worker"
        given = {
            "task_queue": self.settings.task_queue,
            "store_url": self.settings.store_url,
            "data_dir": str(self.settings.data_dir),
            "callback_url": self.settings.callback_url,
            "receiver_port": self.settings.receiver_port if role == "receiver" else 0,
            "http_allow": "127.0.0.1",
        }
        address = f"127.0.0.1:{self.proxy.port}"
        module = ("tests.chaos.worker", role, json.dumps(given), self.door, address)
        more = self.environment if role == "worker" else {}
        self.processes[name] = await spawned(module, self.folder / f"{name}.log", more)

    async def restart(self, name: str) -> None:
        """Start a process, again and again where what it needs is missing just now."""
        while not self.ended.is_set():
            with suppress(StdopsError):
                await self.start(name)
                return
            await asyncio.sleep(PAUSE_S)

    def signal(self, name: str, number: signal.Signals) -> None:
        """Send a process a signal."""
        if name in self.processes and self.processes[name].returncode is None:
            self.processes[name].send_signal(number)

    async def kill(self, name: str) -> None:
        """End a process by `kill -9`."""
        self.signal(name, signal.SIGKILL)
        await self.processes.pop(name).wait()

    async def ask(self, path: str) -> dict[str, Any]:
        """Ask the service by its back door."""
        return (await self.http.get(f"{self.back_door}{path}")).json()

    async def pause(self, seconds: float) -> None:
        """Wait, no longer than the runs take."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self.ended.wait(), seconds)


async def spawned(module: tuple[str, ...], log: Path, more: Mapping[str, str]) -> Process:
    """Start a module as a process of its own, and wait until it says that it is ready.

    Raises:
        StdopsError: it has ended instead.
    """
    with log.open("ab") as said:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", *module),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=said,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), **more},
        )
    assert process.stdout is not None
    if not await process.stdout.readline():
        await process.wait()
        raise StdopsError("SOP502", "the process ended at once", where=str(log), fix="read its log")
    return process


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


async def start_service(site: Site, seed: int) -> None:
    """Start the outside service, which means well."""
    module = ("tests.helpers.faulty_service", str(seed), "1.0", "calm")
    log = (site.folder / "service.log").open("ab")
    with log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", *module),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
            cwd=ROOT,
        )
    assert process.stdout is not None
    site.door, site.back_door = (await process.stdout.readline()).decode().split()
    site.processes["service"] = process


@asynccontextmanager
async def open_site(folder: Path, seed: int, store: Path | None = None) -> AsyncGenerator[Site]:
    """Open a site in a folder; `store` is where its store lies, if not there."""
    port = free_port()
    url = f"sqlite:///{(store or folder) / 'store.db'}"
    settings = Settings(
        task_queue=f"chaos-{secrets.token_hex(3)}",
        store_url=url,
        data_dir=folder,
        callback_url=f"http://127.0.0.1:{port}",
        receiver_port=port,
    )
    with Store.open(url) as kept:
        digest = kept.save_plan(mixed())
    server = EmbeddedServer(folder / "temporal.db", log_file=folder / "server.log")
    await server.__aenter__()
    async with AsyncExitStack() as stack:
        stack.push_async_callback(server.__aexit__, None, None, None)
        http = await stack.enter_async_context(httpx.AsyncClient(trust_env=False, timeout=30))
        proxy = await stack.enter_async_context(proxy_to(server.port))
        client = await connect(settings, address=server.address)
        site = Site(client, server, proxy, settings, digest, folder, http)
        stack.push_async_callback(end_all, site)
        await start_service(site, seed)
        await asyncio.gather(
            *(site.start(f"worker{n}") for n in range(WORKERS)), site.start("receiver")
        )
        yield site


async def end_all(site: Site) -> None:
    """End every process of a site."""
    for name in list(site.processes):
        await site.kill(name)


# --- runs and their operator --------------------------------------------------------------------


async def start_run(site: Site, number: int) -> Run:
    """Start a run; asked twice it is the same one, so that a lost answer costs nothing."""
    name = f"{site.settings.task_queue}-{number}"
    given = {"template": "flow", "digest": site.digest, "operator": "tester"}
    while True:
        with suppress(RPCError, RuntimeError):
            return await site.client.start_workflow(
                "RunFlow",
                given,
                id=name,
                task_queue=site.settings.task_queue,
                request_eager_start=False,
            )
        if await is_known(site, name):
            return site.client.get_workflow_handle(name)
        await asyncio.sleep(PAUSE_S)


async def is_known(site: Site, name: str) -> bool:
    """Say whether a run was started."""
    with suppress(RPCError, RuntimeError):
        await site.client.get_workflow_handle(name).describe()
        return True
    return False


async def end_of(run: Run) -> dict[str, Any]:
    """Wait for a run's end, however often the server goes away meanwhile."""
    while True:
        with suppress(RPCError, RuntimeError):
            return await run.result()
        await asyncio.sleep(PAUSE_S)


async def operate(site: Site) -> None:
    """Look at what has failed and mend it by what the ledger says; until cancelled."""
    while True:
        await asyncio.sleep(PAUSE_S)
        with suppress(StdopsError, RPCError, RuntimeError, httpx.HTTPError):
            failed = await site.runs.list(state="Failed", limit=1000)
            for found in failed:
                with suppress(StdopsError, RPCError, RuntimeError):
                    await mend(site, found.workflow_id)


async def mend(site: Site, run: str) -> None:
    """Skip what was started outside, retry what was not."""
    status = await site.runs.query(run, "status")
    for node in status.get("failed", ()):
        key = f"{run}:{node['path']}:{node['attempt']}"
        known = next((each for each in site.mended if each.key == key), None)
        if known is None:
            was_done = bool((await site.ask(f"/work?{key}"))["jobs"])
            known = Mended(key, node["reason"], "skip" if was_done else "retry")
            site.mended.append(known)
        # noted before it is sent: an answer that is lost may have been carried out
        given = {"node": node["path"], "request_id": f"{known.verb} {key}"}
        await site.runs.verb(run, known.verb, given)


@asynccontextmanager
async def operated(site: Site) -> AsyncGenerator[None]:
    """Have an operator at the site for as long as the context lasts."""
    work = asyncio.ensure_future(operate(site))
    try:
        yield
    finally:
        work.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await work
