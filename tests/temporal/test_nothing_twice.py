"""Many runs against a faulty service while their worker is killed: nothing is started twice.

The service keeps a ledger, an operator mends what stands with "outcome unknown" by looking there,
and in the end the ledger is compared with what the runs say.
"""

import asyncio
import json
import os
import secrets
import signal
import socket
import sys
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias

import httpx
import pytest
from temporalio.client import Client

from stdops import StdopsError
from tests.helpers.faulty_service import UNKNOWABLE, result_of
from tests.helpers.faulty_worker import CODES, ONCE, flow
from tests.helpers.flows import Run
from workers.client import Runs
from workers.server import EmbeddedServer
from workers.settings import Settings
from workers.store import Store

ROOT: Final = Path(__file__).resolve().parents[2]
PAUSE_S: Final = 0.2

Process: TypeAlias = asyncio.subprocess.Process
Ledger: TypeAlias = Mapping[str, Mapping[str, Any]]


class Mended(NamedTuple):
    """A failed node that the operator has moved: the execution, why it had failed, the verb."""

    key: str
    reason: str
    verb: str


@dataclass
class Site:
    """The processes under test and the way to them."""

    client: Client
    address: str
    settings: Settings
    digest: str
    door: str
    back_door: str
    http: httpx.AsyncClient
    log_file: Path
    processes: dict[str, Process] = field(default_factory=dict[str, Process])
    kills: int = 0

    @property
    def runs(self) -> Runs:
        return Runs(self.client, self.settings, timeout_s=10)

    async def start(self, role: str, *, receives: bool = False) -> None:
        """Start a worker, or a receiver alone."""
        port = self.settings.receiver_port if receives or role == "receiver" else 0
        given = {
            "task_queue": self.settings.task_queue,
            "store_url": self.settings.store_url,
            "data_dir": str(self.settings.data_dir),
            "callback_url": self.settings.callback_url,
            "receiver_port": port,
            "http_allow": "127.0.0.1",
        }
        module = ("tests.helpers.faulty_worker", role, json.dumps(given), self.door, self.address)
        self.processes[role] = await spawned(*module, log_file=self.log_file)

    async def kill(self, role: str) -> None:
        """End a process by `kill -9`."""
        process = self.processes.pop(role)
        process.kill()
        await process.wait()
        self.kills += role == "worker"

    async def ask(self, path: str) -> dict[str, Any]:
        """Ask the service by its back door."""
        return (await self.http.get(f"{self.back_door}{path}")).json()

    async def until(self, works: int) -> None:
        """Wait until the service has started so much work."""
        while (await self.ask("/progress"))["started"] < works:  # noqa: ASYNC110  another process
            await asyncio.sleep(PAUSE_S)


async def spawned(*module: str, log_file: Path, said: list[str] | None = None) -> Process:
    """Start a module as a process of its own, and wait for its first line."""
    with log_file.open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", *module),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
    assert process.stdout is not None
    line = await process.stdout.readline()
    assert line, f"it ended at once: {log_file}"
    if said is not None:
        said += line.decode().split()
    return process


@asynccontextmanager
async def open_site(
    client: Client, server: EmbeddedServer, folder: Path, *, seed: int, longest_s: float = 1.0
) -> AsyncGenerator[Site]:
    """Open a service, a store with the flow, and whatever is started on it."""
    port, log_file, doors = free_port(), folder / "processes.log", list[str]()
    settings = Settings(
        task_queue=f"twice-{secrets.token_hex(3)}",
        store_url=f"sqlite:///{folder / 'store.db'}",
        data_dir=folder,
        callback_url=f"http://127.0.0.1:{port}",
        receiver_port=port,
    )
    with Store.open(settings.store_url) as store:
        digest = store.save_plan(flow())
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(httpx.AsyncClient(trust_env=False, timeout=30))
        module = ("tests.helpers.faulty_service", str(seed), str(longest_s))
        service = await spawned(*module, log_file=log_file, said=doors)
        door, back_door = doors
        site = Site(client, server.address, settings, digest, door, back_door, http, log_file)
        site.processes["service"] = service
        try:
            yield site
        finally:
            for role in list(site.processes):
                await site.kill(role)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


# --- what people and the machine room do -------------------------------------------------------


async def run_all(site: Site, number: int, at_once: int) -> dict[str, dict[str, Any]]:
    """Start runs, so many at once, and return how each ended."""
    room, ended = asyncio.Semaphore(at_once), dict[str, dict[str, Any]]()

    async def one(name: str) -> None:
        async with room:
            ended[name] = await (await start_run(site, name)).result()

    await asyncio.gather(*map(one, names_of(site, number)))
    return ended


def names_of(site: Site, number: int) -> list[str]:
    return [f"{site.settings.task_queue}-{n}" for n in range(number)]


async def start_run(site: Site, name: str) -> Run:
    given = {"template": "flow", "digest": site.digest, "operator": "tester"}
    queue = site.settings.task_queue
    return await site.client.start_workflow("RunFlow", given, id=name, task_queue=queue)


async def mend_all(site: Site, mended: list[Mended]) -> None:
    """Look at what stands failed, and move it by what the ledger says; until cancelled."""
    while True:
        await asyncio.sleep(PAUSE_S)
        for run in await failed_runs(site):
            try:
                await mend(site, run, mended)
            except StdopsError:
                continue  # its worker is dead just now, or it has ended


async def failed_runs(site: Site) -> list[str]:
    return [found.workflow_id for found in await site.runs.list(state="Failed", limit=1000)]


async def mend(site: Site, run: str, mended: list[Mended]) -> None:
    """Skip what was started outside, retry what was not."""
    status = await site.runs.query(run, "status")
    for node in status.get("failed", ()):
        key = f"{run}:{node['path']}:{node['attempt']}"
        verb = "skip" if (await site.ask(f"/work?{key}"))["jobs"] else "retry"
        # noted first: a verb whose answer is lost may have been carried out all the same
        if key not in {each.key for each in mended}:
            mended.append(Mended(key, node["reason"], verb))
        await site.runs.verb(run, verb, {"node": node["path"], "request_id": f"{verb} {key}"})


async def kill_twice(site: Site, works: int) -> None:
    """Kill the worker when a third and two thirds of the work were started.

    Its second life has no receiver, which then is a process of its own, and dies with it.
    """
    await site.until(works // 3)
    await site.kill("worker")
    await site.start("receiver")
    await site.start("worker")
    await site.until(2 * works // 3)
    await site.kill("receiver")
    await site.kill("worker")
    await site.start("worker", receives=True)


async def kill_once(site: Site, works: int) -> None:
    """Kill the worker, and the receiver in it, when half of the work was started."""
    await site.until(works // 2)
    await site.kill("worker")
    await site.start("worker", receives=True)


# --- what is compared --------------------------------------------------------------------------


def started_twice(ledger: Ledger) -> list[str]:
    """Return the executions whose work was started more than once."""
    return [key for key, entry in ledger.items() if len(entry["jobs"]) > 1]


def unsanctioned(ledger: Ledger, mended: list[Mended]) -> list[str]:
    """Return the executions after the first that nobody asked for."""
    asked = {retried(each.key) for each in mended if each.verb == "retry"}
    return [key for key in ledger if not key.endswith(":1") and key not in asked]


def retried(key: str) -> str:
    """Return the execution that a retry of `key` begins."""
    place, _, entry = key.rpartition(":")
    return f"{place}:{int(entry) + 1}"


def wrong_ends(ended: Mapping[str, Mapping[str, Any]], mended: list[Mended]) -> list[str]:
    """Return the nodes whose run has not finished, or that came to another's result."""
    retries = {each.key for each in mended if each.verb == "retry"}
    found: list[str] = []
    for run, outcome in ended.items():
        if outcome["state"] != "finished":
            found.append(f"{run} is {outcome['state']}")
        for code in CODES:
            key = f"{run}:{code}:1"
            while key in retries:
                key = retried(key)
            name = f"{code}_result"
            wanted = f"${{{name}}}" if code in outcome["skipped"] else result_of(key)
            if outcome["outputs"][name] != wanted:
                found.append(f"{key}: {outcome['outputs'][name]} instead of {wanted}")
    return found


def wrongly_unknown(ledger: Ledger, mended: list[Mended]) -> list[str]:
    """Return the failures that do not say "outcome unknown", or although it was known."""
    found: list[str] = []
    for key, reason, _ in mended:
        entry = ledger.get(key, {"answered": 0, "faults": []})
        is_known = entry["answered"] > 0 and not UNKNOWABLE & {*entry["faults"]}
        if not reason.startswith("outcome unknown") or (is_known and "interrupted" not in reason):
            found.append(f"{key} {entry}: {reason}")
    return found


def wrongly_known(ledger: Ledger, mended: list[Mended]) -> list[str]:
    """Return the executions that may not be repeated, lost their answer, and went on."""
    failed = {each.key for each in mended}
    return [
        f"{key} {entry['faults']}"
        for key, entry in ledger.items()
        if key.split(":")[1] in ONCE and UNKNOWABLE & {*entry["faults"]} and key not in failed
    ]


def knowably_going_on(seen: Mapping[str, Any]) -> list[str]:
    """Return the executions whose work goes on although its start was answered well."""
    ledger: Ledger = seen["ledger"]
    return [key for key in seen["goes_on"] if not UNKNOWABLE & {*ledger[key]["faults"]}]


def table(seen: Mapping[str, Any], mended: list[Mended], **more: object) -> str:
    """Return the figures of a proof as lines of text."""
    counts = seen["counts"]
    names = ("unread", "drop_before", "drop_after", "5xx_before", "5xx_after", "gateway_after")
    figures = {
        **more,
        "connections": counts["connections"],
        "dropped": sum(counts.get(name, 0) for name in names[:3]),
        "5xx": sum(counts.get(name, 0) for name in names[3:]),
        "503 with Retry-After": counts.get("busy", 0),
        "slow": counts.get("slow", 0),
        **{name: number for name, number in sorted(counts.items()) if name.startswith("callback")},
        "outcome unknown": len(mended),
        "of them interrupted": sum("interrupted" in each.reason for each in mended),
        "mended by retry": sum(each.verb == "retry" for each in mended),
        "mended by skip": sum(each.verb == "skip" for each in mended),
    }
    return "\n".join(f"{name:>28}  {figure}" for name, figure in figures.items())


async def prove(site: Site, number: int, at_once: int, disturb: Any) -> str:
    """Run, kill and mend; assert that nothing is wrong, and return the figures."""
    began, mended = time.monotonic(), list[Mended]()
    await site.start("worker", receives=True)
    disturbing = asyncio.ensure_future(disturb(site, number * len(CODES)))
    mending = asyncio.ensure_future(mend_all(site, mended))
    try:
        ended = await run_all(site, number, at_once)
        await disturbing
    finally:
        mending.cancel()
        disturbing.cancel()
    seen = await site.ask("/ledger")
    ledger: Ledger = seen["ledger"]
    wrong = {
        "started twice": started_twice(ledger),
        "started unasked": unsanctioned(ledger, mended),
        "wrong ends": wrong_ends(ended, mended),
        "wrongly unknown": wrongly_unknown(ledger, mended),
        "wrongly known": wrongly_known(ledger, mended),
    }
    figures = table(
        seen,
        mended,
        runs=len(ended),
        nodes=len(ended) * len(CODES),
        kills=site.kills,
        seconds=round(time.monotonic() - began),
        **{name: len(found) for name, found in wrong.items()},
    )
    assert not any(wrong.values()), f"{figures}\n{json.dumps(wrong, indent=1)}"
    return figures


async def test_nothing_is_started_twice_though_a_worker_dies(
    client: Client, server: EmbeddedServer, tmp_path: Path
) -> None:
    async with open_site(client, server, tmp_path, seed=1) as site:
        await prove(site, 30, 30, kill_once)


async def test_runs_that_are_revoked_while_they_are_busy_leave_nothing_behind(
    client: Client, server: EmbeddedServer, tmp_path: Path
) -> None:
    async with open_site(client, server, tmp_path, seed=3, longest_s=3600) as site:
        await site.start("worker", receives=True)
        runs = [await start_run(site, name) for name in names_of(site, 30)]
        await site.until(60)
        await asyncio.gather(*(site.runs.verb(run.id, "revoke", {}) for run in runs))
        ended = await asyncio.gather(*(run.result() for run in runs))
        seen = await site.ask("/ledger")

    ledger: Ledger = seen["ledger"]
    assert {outcome["state"] for outcome in ended} == {"revoked"}
    told = {
        f"{run.id}:{node}:1"
        for run, end in zip(runs, ended, strict=True)
        for node in end["warnings"]
    }
    assert {key: ledger[key] for key in knowably_going_on(seen) if key not in told} == {}
    assert sum(entry["stops"] for entry in ledger.values()) > 0


@pytest.mark.slow
async def test_nothing_is_started_twice_in_a_thousand_runs(
    client: Client, server: EmbeddedServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    signal.alarm(1200)  # 5 minutes where two processors are free
    number = int(os.environ.get("PROOF_RUNS", "1000"))
    async with open_site(client, server, tmp_path, seed=2) as site:
        figures = await prove(site, number, 100, kill_twice)

    with capsys.disabled():
        print(f"\n{figures}")
