"""The embedded server, and the client's way in to it."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncGenerator, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio import workflow
from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest
from temporalio.client import Client
from temporalio.exceptions import ApplicationError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from stdops import OperationRefused, StdopsError
from workers.client import Runs, RunSummary, StartRequest, connect
from workers.server import SEARCH_ATTRIBUTES, EmbeddedServer
from workers.settings import Settings
from workers.worker import WorkerParts, register_search_attributes, run_worker

OWNER = """
import asyncio, sys
from workers.server import EmbeddedServer

async def main():
    async with EmbeddedServer() as server:
        print(server.pid, flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


@workflow.defn
class ShortTimer:
    @workflow.run
    async def run(self) -> None:
        await workflow.sleep(timedelta(milliseconds=10))


async def test_a_fresh_server_knows_our_search_attributes(client: Client) -> None:
    request = ListSearchAttributesRequest(namespace=client.namespace)

    answer = await client.operator_service.list_search_attributes(request)

    assert answer.custom_attributes.keys() >= SEARCH_ATTRIBUTES.keys()


async def test_registering_known_search_attributes_gives_them_all(client: Client) -> None:
    assert await register_search_attributes(client) == tuple(SEARCH_ATTRIBUTES)


async def test_a_ten_millisecond_timer_fires_far_below_a_second(
    client: Client, task_queue: str
) -> None:
    async def elapsed_s() -> float:
        started = time.monotonic()
        await client.execute_workflow(
            ShortTimer.run, id=f"{task_queue}-{started}", task_queue=task_queue
        )
        return time.monotonic() - started

    worker = Worker(
        client,
        task_queue=task_queue,
        workflows=[ShortTimer],
        workflow_runner=UnsandboxedWorkflowRunner(),
    )
    async with worker:
        fastest = min([await elapsed_s() for _ in range(3)])

    assert fastest < 0.5  # an untuned server takes a second for the timer alone


async def test_leaving_the_context_leaves_no_process() -> None:
    async with EmbeddedServer() as server:
        pid = server.pid
        assert pid is not None
        assert _runs(pid)

    assert not _runs(pid)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a child with its parent")
async def test_a_killed_owner_takes_its_server_along() -> None:
    owner = await asyncio.create_subprocess_exec(
        sys.executable, "-c", OWNER, stdout=asyncio.subprocess.PIPE
    )
    assert owner.stdout is not None
    pid = int(await owner.stdout.readline())
    assert _runs(pid)

    owner.send_signal(signal.SIGKILL)
    await owner.communicate()

    assert await _within(5, lambda: not _runs(pid))


async def test_a_server_on_disk_keeps_its_runs(tmp_path: Path, task_queue: str) -> None:
    file = tmp_path / "folder" / "temporal.db"
    async with EmbeddedServer(db_file=file, log_file=tmp_path / "server.log") as server:
        first = await Client.connect(server.address)
        await first.start_workflow("Anything", id=task_queue, task_queue=task_queue)

    async with EmbeddedServer(db_file=file) as server:
        again = await Client.connect(server.address)
        found = await again.get_workflow_handle(task_queue).describe()

    assert found.workflow_type == "Anything"


async def test_a_page_is_served_when_asked_for() -> None:
    async with EmbeddedServer(ui_port=0) as server:
        port = server.ui_port
        assert port
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.0\r\n\r\n")
        status = await reader.readline()
        writer.close()

    assert b"200" in status


async def test_a_taken_port_is_said_with_its_cure(server: EmbeddedServer) -> None:
    with pytest.raises(StdopsError, match=f"SOP502 port {server.port}") as caught:
        async with EmbeddedServer(port=server.port):
            pass

    assert "another port" in caught.value.fix


# --- the client's way in, on a workflow that stands in for a run --------------------------------


@workflow.defn(name="RunFlow")
class StandIn:
    """Answers like a run: takes `resume`, refuses `skip`, shows `status`, echoes its input."""

    def __init__(self) -> None:
        self.released = False

    @workflow.run
    async def run(self, given: dict[str, Any]) -> dict[str, Any]:
        if given["inputs"].get("fail"):
            raise ApplicationError("disk full")
        await workflow.wait_condition(lambda: self.released)
        return {"state": "finished", "outputs": given["inputs"]}

    @workflow.update
    def resume(self, given: dict[str, Any]) -> dict[str, Any]:
        self.released = True
        return {"accepted": given}

    @workflow.update
    def skip(self, given: dict[str, Any]) -> None: ...

    @skip.validator
    def refuse_skip(self, given: dict[str, Any]) -> None:
        raise ApplicationError(f"node {given['node']!r} is running", type="SOP312")

    @workflow.signal(name="resume_signal")
    def resume_by_signal(self, _given: dict[str, Any]) -> None:
        self.released = True

    @workflow.query
    def status(self, given: Any = None) -> dict[str, Any]:
        return {"released": self.released, "given": given}


@pytest.fixture
async def runs(client: Client, task_queue: str) -> AsyncGenerator[Runs]:
    settings = Settings(task_queue=task_queue, graceful_shutdown_s=0, sandboxed=False)
    stop = asyncio.Event()
    parts = WorkerParts(workflows=[StandIn], activities=[])
    worker = asyncio.create_task(run_worker(client, settings, parts, stop=stop))
    yield Runs(client, settings)
    stop.set()
    await worker


async def test_a_run_is_started_operated_and_read(runs: Runs) -> None:
    started = await runs.start(StartRequest("release", inputs={"biz_id": 2}))

    answer = await runs.verb(started.workflow_id, "resume", {"reason": "go"})

    assert answer == {"accepted": {"reason": "go"}}
    assert await runs.query(started.workflow_id, "status") == {"released": True, "given": None}
    assert await runs.query(started.workflow_id, "status", {"a": 1}) == {
        "released": True,
        "given": {"a": 1},
    }
    assert await runs.result(started.workflow_id) == {"state": "finished", "outputs": {"biz_id": 2}}
    assert started.created
    assert started.run_id in started.url


async def test_a_start_with_the_same_id_joins_the_first(runs: Runs, task_queue: str) -> None:
    request = StartRequest("release", workflow_id=f"{task_queue}-own")

    first = await runs.start(request)
    second = await runs.start(request)

    assert (first.created, second.created) == (True, False)
    assert first.run_id == second.run_id


async def test_a_signal_needs_no_answer(runs: Runs) -> None:
    started = await runs.start(StartRequest("release"))

    await runs.signal(started.workflow_id, "resume_signal", {})

    assert (await runs.result(started.workflow_id))["state"] == "finished"


async def test_a_refused_verb_says_why(runs: Runs) -> None:
    started = await runs.start(StartRequest("release"))

    with pytest.raises(OperationRefused, match="SOP312 node 'n1' is running"):
        await runs.verb(started.workflow_id, "skip", {"node": "n1"})


async def test_a_verb_on_an_ended_run_is_refused(runs: Runs) -> None:
    started = await runs.start(StartRequest("release"))
    await runs.verb(started.workflow_id, "resume", {})
    await runs.result(started.workflow_id)

    with pytest.raises(OperationRefused, match=r"SOP300 run .* has ended"):
        await runs.verb(started.workflow_id, "resume", {})


async def test_an_unknown_run_is_said_with_candidates(runs: Runs) -> None:
    started = await runs.start(StartRequest("release"))
    await _listed(runs, 1)

    with pytest.raises(StdopsError, match="SOP504 unknown run") as caught:
        await runs.verb(started.workflow_id[:-2], "resume", {})

    assert repr(started.workflow_id) in caught.value.fix


async def test_an_unknown_view_is_said(runs: Runs) -> None:
    started = await runs.start(StartRequest("release"))

    with pytest.raises(StdopsError, match="SOP506 the run cannot answer"):
        await runs.query(started.workflow_id, "statsu")


async def test_a_failed_run_is_said(runs: Runs) -> None:
    started = await runs.start(StartRequest("release", inputs={"fail": True}))

    with pytest.raises(StdopsError, match=r"SOP507 run .* failed: disk full"):
        await runs.result(started.workflow_id)


async def test_a_terminated_run_is_said(runs: Runs, client: Client) -> None:
    started = await runs.start(StartRequest("release"))
    await client.get_workflow_handle(started.workflow_id).terminate("wrong host")

    with pytest.raises(StdopsError, match=r"SOP507 run .* was terminated"):
        await runs.result(started.workflow_id)


async def test_without_a_worker_the_cure_is_said(client: Client, task_queue: str) -> None:
    alone = Runs(client, Settings(task_queue=task_queue), timeout_s=0.5)
    started = await alone.start(StartRequest("release"))

    with pytest.raises(StdopsError, match="SOP505 no worker answered") as update:
        await alone.verb(started.workflow_id, "resume", {})
    with pytest.raises(StdopsError, match="SOP505 no worker answered"):
        await alone.query(started.workflow_id, "status")

    assert "stdops worker" in update.value.fix


async def test_the_list_shows_runs_of_the_queue(runs: Runs) -> None:
    started = await runs.start(StartRequest("it's"))

    [listed] = await _listed(runs, 1)

    assert (listed.workflow_id, listed.run_id) == (started.workflow_id, started.run_id)
    assert (listed.template, listed.state) == ("RunFlow", "Running")
    assert await runs.list(state="Failed", template="it's") == []


async def test_an_unknown_namespace_is_said(server: EmbeddedServer, task_queue: str) -> None:
    elsewhere = await connect(Settings(), address=server.address, namespace="elsewhere")
    runs = Runs(elsewhere, Settings(task_queue=task_queue))

    with pytest.raises(StdopsError, match=r"SOP503 .*elsewhere") as caught:
        await runs.start(StartRequest("release"))

    assert "TEMPORAL_NAMESPACE" in caught.value.fix


async def _listed(runs: Runs, count: int) -> list[RunSummary]:
    """The list is written after the run starts: ask until it is there."""
    async with asyncio.timeout(10):
        while len(found := await runs.list()) < count:  # noqa: ASYNC110  nothing else tells us
            await asyncio.sleep(0.02)
    return found


def _runs(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    if Path("/proc").is_dir():
        return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z"
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def _within(seconds: float, holds: Callable[[], bool]) -> bool:
    """Look again and again: nothing tells us when a process that is not our child ends."""
    end = time.monotonic() + seconds
    while not holds() and time.monotonic() < end:  # noqa: ASYNC110  see above
        await asyncio.sleep(0.01)
    return holds()
