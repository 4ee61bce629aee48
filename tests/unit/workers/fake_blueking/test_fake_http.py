"""The fake platform behind a socket: broken lines, control, callbacks as JOB and ITSM send them."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from tests.fake_bk import CREDENTIALS, SCOPE
from tests.helpers.faulty import Exchange, serving
from workers.fake_blueking import Platform, Served, shop
from workers.fake_blueking import serving as serving_platform

Json = dict[str, Any]


@dataclass
class Receiver:
    """Takes callbacks, answers each with the next status, and lets a test wait for them."""

    statuses: list[str] = field(default_factory=list[str])
    got: asyncio.Queue[tuple[str, bytes]] = field(default_factory=asyncio.Queue[tuple[str, bytes]])

    async def serve(self, exchange: Exchange) -> None:
        kind = {k.lower(): v for k, v in exchange.headers.items()}["content-type"]
        await exchange.answer(self.statuses.pop(0) if self.statuses else "200 OK")
        self.got.put_nowait((kind, exchange.body))


@dataclass
class Outside:
    """A platform, a receiver of its callbacks, and a client."""

    served: Served
    receiver: Receiver
    url: str
    http: httpx.AsyncClient

    async def post(self, path: str, body: Json) -> httpx.Response:
        headers = {"X-Bkapi-Authorization": json.dumps(CREDENTIALS)}
        address = f"{self.served.url}/api/c/compapi/v2{path}"
        return await self.http.post(address, json=body, headers=headers)

    async def control(self, name: str, body: Json) -> Json:
        answer = await self.http.post(f"{self.served.url}/_fake/{name}", json=body)
        answer.raise_for_status()
        return answer.json()

    async def start(self) -> int:
        cron = {**SCOPE, "job_plan_id": 1000, "callback_url": self.url}
        answer = await self.post("/jobv3/execute_job_plan/", cron)
        return answer.json()["data"]["job_instance_id"]

    async def callback(self) -> tuple[str, bytes]:
        async with asyncio.timeout(10):
            return await self.receiver.got.get()


@asynccontextmanager
async def _outside() -> AsyncGenerator[Outside]:
    world = shop()
    world.pace.pending_s = world.pace.running_s = 0.02
    receiver = Receiver()
    async with (
        serving(receiver.serve) as back,
        serving_platform(Platform(world)) as served,
        httpx.AsyncClient(trust_env=False) as http,
    ):
        yield Outside(served, receiver, f"{back.url}/back", http)


@pytest.fixture
async def outside() -> AsyncGenerator[Outside]:
    async with _outside() as found:
        yield found


async def test_job_calls_back_as_json_once_when_it_is_taken(outside: Outside) -> None:
    job = await outside.start()

    kind, body = await outside.callback()

    assert kind == "application/json"
    assert (json.loads(body)["job_instance_id"], json.loads(body)["status"]) == (job, 3)
    assert outside.receiver.got.empty()


async def test_job_calls_back_once_more_as_a_form_when_it_is_not_taken(outside: Outside) -> None:
    outside.receiver.statuses = ["503 Later"]
    job = await outside.start()

    kinds = [await outside.callback() for _ in range(2)]

    assert [kind for kind, _ in kinds] == ["application/json", "application/x-www-form-urlencoded"]
    assert f"job_instance_id={job}&status=3".encode() in kinds[1][1]


async def test_a_callback_may_come_early_and_twice(outside: Outside) -> None:
    faults = [{"api": "callback.job", "kind": kind, "times": 1} for kind in ("early", "twice")]
    await outside.control("faults", {"faults": faults})
    await outside.start()
    await outside.start()

    statuses = sorted([json.loads((await outside.callback())[1])["status"] for _ in range(4)])

    assert statuses == [2, 3, 3, 3]


async def test_a_lost_callback_never_comes(outside: Outside) -> None:
    lost = [{"api": "callback.job", "kind": "lost", "times": 1}]
    await outside.control("faults", {"faults": lost})
    await outside.start()
    second = await outside.start()

    _, body = await outside.callback()

    assert json.loads(body)["job_instance_id"] == second


async def test_itsm_calls_back_once_with_the_decision(outside: Outside) -> None:
    fields = [
        {"key": "title", "value": "web"},
        {"key": "APPROVER", "value": "wang,li"},
        {"key": "APPROVAL_CONTENT", "value": "may it?"},
    ]
    ticket = {"creator": "admin", "fields": fields, "fast_approval": True}
    answer = await outside.post(
        "/itsm/create_ticket/", {**ticket, "meta": {"callback_url": outside.url}}
    )
    sn = answer.json()["data"]["sn"]

    await outside.control("tickets", {"sn": sn, "approve": False, "by": "li"})
    told = json.loads((await outside.callback())[1])

    assert (told["sn"], told["approve_result"], told["last_approver"]) == (sn, False, "li")
    assert set(told) >= {"title", "ticket_url", "current_status", "updated_by", "update_at"}


async def test_a_broken_line_is_one_for_the_client_too(outside: Outside) -> None:
    lost = [{"api": "cmsi.send_sms", "kind": "lost", "times": 1}]
    await outside.control("faults", {"faults": lost})
    message = {"receiver__username": "wang", "content": "hello"}

    with pytest.raises(httpx.RemoteProtocolError):
        await outside.post("/cmsi/send_sms/", message)

    assert len(outside.served.platform.world.messages) == 1


async def test_control_tells_what_it_knows(outside: Outside) -> None:
    unknown = await outside.http.get(f"{outside.served.url}/_fake/nothing")
    wrong = await outside.http.post(f"{outside.served.url}/_fake/hosts", json={"ip": "1.2.3.4"})

    assert (unknown.status_code, wrong.status_code) == (404, 400)
    assert "GET ledger" in unknown.json()["error"]
    assert "no host 1.2.3.4" in wrong.json()["error"]


async def test_a_plan_and_a_host_that_are_seeded_can_be_used(outside: Outside) -> None:
    steps = [{"name": "greet", "content": "echo hi", "hosts": "where"}]
    variables = [{"name": "where", "type": 3, "value": "0:10.7.0.1"}]
    plan = {"name": "greet", "business": 2, "steps": steps, "variables": variables}
    hosts = [{"ip": "10.7.0.1", "modules": [31]}]
    made = await outside.control("seed", {"hosts": hosts, "plans": [plan]})

    answer = await outside.post(
        "/jobv3/execute_job_plan/", {**SCOPE, "job_plan_id": made["plans"][0]}
    )

    assert answer.json()["result"] is True
    state = (await outside.http.get(f"{outside.served.url}/_fake/state")).json()
    assert state["hosts"]["10.7.0.1"]["modules"] == ["web"]


async def test_the_link_of_a_job_leads_to_a_page_of_it(outside: Outside) -> None:
    job = await outside.start()

    page = await outside.http.get(f"{outside.served.settings['job_url']}/api_execute/{job}")

    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert f"JOB {job}: restart a service" in page.text
    assert "10.0.1.1" in page.text


async def test_the_link_of_a_ticket_leads_to_a_page_that_shows_text_as_text(
    outside: Outside,
) -> None:
    fields = [
        {"key": "title", "value": "<b>web</b>"},
        {"key": "APPROVER", "value": "wang"},
        {"key": "APPROVAL_CONTENT", "value": "may it?"},
    ]
    ticket: Json = {"creator": "admin", "fields": fields, "fast_approval": True, "meta": {}}
    sn = (await outside.post("/itsm/create_ticket/", ticket)).json()["data"]["sn"]

    page = await outside.http.get(f"{outside.served.url}/itsm/ticket/{sn}")

    assert f"Ticket {sn}: &lt;b&gt;web&lt;/b&gt;" in page.text
    assert "<b>" not in page.text
    assert "may it?" in page.text


@pytest.mark.parametrize("path", ["/job/api_execute/7", "/job/api_execute/x", "/itsm/ticket/REQ1"])
async def test_what_is_not_there_has_no_page(outside: Outside, path: str) -> None:
    assert (await outside.http.get(f"{outside.served.url}{path}")).status_code == 404


async def test_the_web_hook_of_a_chat_needs_no_credentials_and_names_a_chat_that_is_gone(
    outside: Outside,
) -> None:
    outside.served.platform.world.gone_chats.add("old")
    body = {"chatid": "new", "msgtype": "text", "text": {"content": "done"}}
    hook = f"{outside.served.url}/wecom/send"

    good = (await outside.http.post(hook, json=body)).json()
    bad = (await outside.http.post(hook, json={**body, "chatid": "new|old"})).json()

    assert good == {"errcode": 0, "errmsg": "ok"}
    assert bad == {"errcode": 86003, "errmsg": "chatid not exist: old"}
    assert [each["to"] for each in outside.served.platform.world.messages] == [["new"]]


async def test_a_build_of_a_pipeline_can_be_stopped(outside: Outside) -> None:
    builds = f"{outside.served.url}/gateway/devops/prod/v4/apigw-app/projects/shop"
    headers = {"X-Bkapi-Authorization": json.dumps(CREDENTIALS)}
    begun = await outside.http.post(
        f"{builds}/build_start?pipelineId=p-1", json={"version": "1"}, headers=headers
    )
    build = begun.json()["data"]["id"]
    place = {"pipelineId": "p-1", "buildId": build}

    stopped = await outside.http.post(
        f"{builds}/build_stop", params=place, json={}, headers=headers
    )
    seen = await outside.http.get(f"{builds}/build_status", params=place, headers=headers)
    other = await outside.http.get(
        f"{builds}/build_status", params={**place, "pipelineId": "p-2"}, headers=headers
    )

    assert stopped.json() == {"status": 0, "message": "", "data": True}
    assert seen.json()["data"]["variables"] == {"version": "1"}
    assert (other.json()["status"], other.json()["message"]) == (
        1199000,
        f"there is no build {build!r}",
    )
