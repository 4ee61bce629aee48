"""Remote plugins on the real server, with a small service of the protocol on this machine."""

from pathlib import Path
from typing import Any

import httpx
from pydantic import JsonValue
from temporalio.client import Client

from tests.helpers.fake_plugin_service import (
    CODE,
    TRACE,
    VERSION,
    FakePluginService,
    enveloped,
    progress,
    served,
)
from tests.helpers.flows import ask, result, until, until_failed, verb
from tests.helpers.remote_site import flow, open_site

SECRET = "an-app-secret"
INPUTS: dict[str, JsonValue] = {
    "plugin_code": CODE,
    "plugin_version": VERSION,
    "host": "web-1",
}


def table(url: str, **more: JsonValue) -> dict[str, JsonValue]:
    app: dict[str, JsonValue] = {"app_code": "stdops", "app_secret": SECRET}
    return {"services": {CODE: url}, "fixed_interval_s": {CODE: 1}, **app, **more}


async def test_a_flow_calls_a_plugin_and_looks_at_it_until_it_ends(
    client: Client, tmp_path: Path
) -> None:
    looks = [enveloped(progress(2, {"n": 2})), "drop", 500, enveloped(progress(4, {"n": 3}))]
    fake = FakePluginService([503, enveloped(progress(2, {"n": 1}))], looks, wanted=["operator"])
    async with served(fake) as url, open_site(client, tmp_path, table(url)) as site:
        run = await site.start(flow(INPUTS, "_result", "trace_id", "n"))
        ended = await result(run)
        history = await run.fetch_history()

    assert ended["outputs"] == {"seen__result": True, "seen_trace_id": TRACE, "seen_n": 3}
    assert len(fake.invoked) == 2
    body, headers = fake.invoked[-1]
    assert body["context"] == {"operator": "ann"}
    assert body["inputs"] == {**INPUTS, "_loop": 1, "_inner_loop": 1}
    assert SECRET in headers["x-bkapi-authorization"]
    assert SECRET not in history.to_json()


async def test_the_end_that_a_service_tells_is_seen_at_once(client: Client, tmp_path: Path) -> None:
    fake = FakePluginService(
        [enveloped(progress(2))], [enveloped(progress(4, {"n": 2}))], calls_back=True
    )
    slow: dict[str, JsonValue] = {"fixed_interval_s": {CODE: 3600}}
    async with served(fake) as url, open_site(client, tmp_path, table(url, **slow)) as site:
        run = await site.start(flow(INPUTS, "n"))
        seen: Any = await until(run, lambda found: TRACE in str(found), "explain")
        told = fake.invoked[0][0]["context"]["plugin_callback_info"]
        async with httpx.AsyncClient() as http:
            answer = await http.post(told["url"], json=told["data"])
        ended = await result(run)

    assert "outside work" in str(seen)
    assert answer.json()["result"] is True
    assert ended["outputs"]["seen_n"] == 2
    assert fake.looked == [TRACE]


async def test_a_lost_start_fails_the_node_and_is_not_sent_again(
    client: Client, tmp_path: Path
) -> None:
    fake = FakePluginService(["drop", enveloped(progress(4))])
    async with served(fake) as url, open_site(client, tmp_path, table(url)) as site:
        run = await site.start(flow(INPUTS))
        await until_failed(run, "call")
        seen = await ask(run, "status")
        sent = len(fake.invoked)
        await verb(run, "retry", node="call")
        ended = await result(run)

    assert "outcome unknown" in seen["failed"][0]["reason"]
    assert sent == 1
    assert ended["state"] == "finished"
