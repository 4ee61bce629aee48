"""Callbacks by HTTP on the real server: early, doubled, late, and while Temporal is away."""

import secrets
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import JsonValue
from temporalio.client import Client

from activities.expressions import Sandbox
from activities.http_client import HttpClient
from activities.registry import Registry
from activities.sdk import AnyPlugin, Call, Inputs, Outputs, WaitForCallback, plugin
from tests.helpers import build
from tests.helpers.flows import Run, plan, result, told, until_waiting, verb, worker_on
from workers.client import Runs, connect
from workers.plans import PlanLoader
from workers.receiver.courier import Courier, delivery
from workers.receiver.serving import receiving
from workers.receiver.view import inbox_of
from workers.settings import Settings
from workers.store import Store
from workers.worker import http_client, worker_parts

PLAN = plan(
    "start job end",
    nodes=[build.task("job", code="outside_job")],
    variables=[told("answer", "job", "data")],
    outputs=["answer"],
)


class JobInputs(Inputs):
    pass


class JobOutputs(Outputs):
    data: JsonValue = None
    asked: str | None = None


@dataclass
class Outside:
    """An outside system: it keeps the addresses that it is given, and may answer at once."""

    early: JsonValue = None
    urls: list[str] = field(default_factory=list[str])

    def plugin(self) -> AnyPlugin:
        @plugin("outside_job", idempotent=True)
        async def job(call: Call[JobInputs]) -> JobOutputs:
            self.urls.append(call.callback_url)
            if self.early is not None:
                answer = await call.http.post(call.callback_url, json=self.early)
                answer.raise_for_status()
            call.progress(asked=call.callback_url)
            raise WaitForCallback({"url": call.callback_url}, {"asked": call.callback_url})

        @job.callback
        async def _(call: Call[JobInputs], data: JsonValue) -> JobOutputs:
            return JobOutputs(data=data)

        return job


@dataclass
class Site:
    """A worker and what belongs to it."""

    client: Client
    settings: Settings
    store: Store
    loader: PlanLoader
    outside: Outside
    http: HttpClient

    async def start(self) -> Run:
        digest = self.store.save_plan(PLAN)
        given = {"template": PLAN.template_key, "digest": digest, "operator": "tester"}
        name, queue = f"called-{secrets.token_hex(4)}", self.settings.task_queue
        return await self.client.start_workflow("RunFlow", given, id=name, task_queue=queue)

    @asynccontextmanager
    async def receiver(self, client: Client | None = None) -> AsyncGenerator[None]:
        chosen = client or self.client
        async with receiving(chosen, self.settings, self.store, self.loader.keys):
            yield

    async def post(self, data: JsonValue, attempt: int = 1) -> tuple[int, str]:
        """Call back as the outside would; returns the status and the word of the answer."""
        answer = await self.http.post(self.outside.urls[attempt - 1], json=data)
        return answer.status_code, answer.json()["state"]

    def inbox(self, run: Run) -> list[tuple[str, JsonValue, int]]:
        return [(one.state, one.data, one.copies) for one in inbox_of(self.store, run.id)]

    async def settled(self) -> None:
        """Deliver what is left in the inbox, as a receiver does."""
        courier = Courier(self.store.inbox, delivery(Runs(self.client, self.settings)))
        while await courier.deliver_due():
            pass


@pytest.fixture
async def site(client: Client, tmp_path: Path) -> AsyncGenerator[Site]:
    port, queue, outside = free_port(), f"called-{secrets.token_hex(3)}", Outside()
    settings = Settings(
        task_queue=queue,
        store_url=f"sqlite:///{tmp_path / 'store.db'}",
        data_dir=tmp_path,
        callback_url=f"http://127.0.0.1:{port}/stdops",
        receiver_port=port,
        http_allow=("127.0.0.1",),
    )
    registry = Registry([outside.plugin()])
    with Store.open(settings.store_url) as store:
        loader = PlanLoader(store, registry, settings)
        async with Sandbox(processes=1) as sandbox, http_client(settings) as http:
            parts = worker_parts(registry, sandbox, loader, http)
            async with worker_on(client, queue, parts, 100):
                yield Site(client, settings, store, loader, outside, http)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


async def test_a_callback_ends_the_node_that_waits_for_it(site: Site) -> None:
    async with site.receiver():
        run = await site.start()
        await until_waiting(run, "job")
        answer = await site.post({"ok": True})
        ended = await result(run)

    assert answer == (200, "received")
    assert ended["outputs"] == {"answer": {"ok": True}}
    await site.settled()
    assert site.inbox(run) == [("delivered", {"ok": True}, 1)]


async def test_a_callback_that_comes_before_the_call_has_returned_is_kept(site: Site) -> None:
    site.outside.early = "early"
    async with site.receiver():
        ended = await result(await site.start())

    assert ended["outputs"] == {"answer": "early"}


async def test_a_doubled_callback_counts_once_and_a_late_one_is_refused_with_its_reason(
    site: Site,
) -> None:
    async with site.receiver():
        run = await site.start()
        await until_waiting(run, "job")
        answers = [await site.post("first"), await site.post("first")]
        await result(run)
        late = await site.post("second")
    await site.settled()

    assert answers[0] == (200, "received")
    assert answers[1][0] == 200
    assert late == (200, "received")
    assert site.inbox(run) == [("delivered", "first", 2), ("refused", "second", 1)]
    assert "has ended" in inbox_of(site.store, run.id)[1].reason


async def test_a_callback_of_an_earlier_attempt_never_moves_a_later_one(site: Site) -> None:
    run = await site.start()
    await until_waiting(run, "job")
    await verb(run, "force_fail", node="job")
    await verb(run, "retry", node="job")
    await until_waiting(run, "job")
    async with site.receiver():
        await site.post("of the first", attempt=1)
        await site.settled()
        await site.post("of the second", attempt=2)
        ended = await result(run)

    assert ended["outputs"] == {"answer": "of the second"}
    old = inbox_of(site.store, run.id)[0]
    assert (old.state, old.execution.entry) == ("refused", 1)
    assert "the callback is for attempt 1 of 'job', now is 2" in old.reason


async def test_a_callback_is_kept_while_temporal_is_away_and_delivered_when_it_is_back(
    site: Site,
) -> None:
    run = await site.start()
    await until_waiting(run, "job")
    nowhere = await connect(site.settings, address="127.0.0.1:1", lazy=True)
    async with site.receiver(nowhere):
        answer = await site.post("kept")
        kept = site.inbox(run)
    async with site.receiver():
        ended = await result(run)

    assert answer == (200, "received")
    assert kept == [("received", "kept", 1)]
    assert ended["outputs"] == {"answer": "kept"}


async def test_the_address_stands_nowhere_in_the_history(site: Site) -> None:
    async with site.receiver():
        run = await site.start()
        await until_waiting(run, "job")
        await site.post(1)
        await result(run)

    token = site.outside.urls[0].rpartition("/")[2]
    history = await run.fetch_history()
    texts = [history.to_json(), *(str(event) for event in history.events)]
    assert not [text for text in texts if token in text]


async def test_a_body_that_is_too_large_is_refused_on_the_wire(site: Site) -> None:
    async with site.receiver():
        run = await site.start()
        await until_waiting(run, "job")
        large: dict[str, Any] = {"content": b"x" * (site.settings.callback_bytes + 1)}
        try:
            answer = await site.http.post(site.outside.urls[0], **large)
            status = answer.status_code
        except httpx.WriteError:
            status = 413  # it hung up while we were still sending
        await run.terminate()

    assert status == 413
    assert [state for state, *_ in site.inbox(run)] == ["refused"]
