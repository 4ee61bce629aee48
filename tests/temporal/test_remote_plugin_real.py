"""Remote plugins on the real server, with a real service of bk-plugin-framework beside it."""

import re
from collections.abc import AsyncGenerator, Generator
from pathlib import Path
from typing import Final

import httpx
import pytest
from pydantic import JsonValue
from temporalio.client import Client

from tests.helpers.flows import Run, ask, result, until, until_failed
from tests.helpers.real_plugin_service import APP, NoServiceError, RealService, real_service
from tests.helpers.remote_site import Site, flow, open_site
from workers.receiver.view import inbox_of

pytestmark = pytest.mark.slow

TRACE: Final = re.compile(r"\b[0-9a-f]{32}\b")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Generator[RealService]:
    try:
        with real_service(tmp_path_factory.mktemp("service")) as running:
            yield running
    except NoServiceError as error:
        pytest.skip(str(error))


@pytest.fixture
async def site(client: Client, tmp_path: Path, service: RealService) -> AsyncGenerator[Site]:
    async with open_site(client, tmp_path, table(service)) as running:
        yield running


def table(service: RealService, **more: JsonValue) -> dict[str, JsonValue]:
    return {"services": {APP: service.url}, "fixed_interval_s": {APP: 1}, **more}


def inputs(version: str, **more: JsonValue) -> dict[str, JsonValue]:
    return {"plugin_code": APP, "plugin_version": f"1.0.0{version}", **more}


async def reason_of(run: Run) -> str:
    """Wait until the node has failed, and return what it failed with."""
    await until_failed(run, "call")
    seen = await ask(run, "status")
    return seen["failed"][0]["reason"]


async def test_a_plugin_that_ends_at_once(site: Site) -> None:
    made = flow(inputs("sync", host="web-1"), "greeting", "_result")
    ended = await result(await site.start(made))

    assert ended["outputs"] == {"seen_greeting": "ann greets web-1", "seen__result": True}


async def test_a_plugin_that_looks_at_its_work_three_times(site: Site) -> None:
    ended = await result(await site.start(flow(inputs("poll"), "n", "trace_id")))

    assert ended["outputs"]["seen_n"] == 4
    assert len(ended["outputs"]["seen_trace_id"]) == 32


async def test_a_plugin_that_waits_for_another_system(site: Site, service: RealService) -> None:
    run = await site.start(flow(inputs("callback"), "said"))
    seen = await until(run, lambda seen: TRACE.search(str(seen)) is not None, "explain")
    (trace_id,) = {*TRACE.findall(str(seen))}
    api = f"{service.url}/bk_plugin"
    async with httpx.AsyncClient(trust_env=False) as http:
        looked = await http.get(f"{api}/schedule/{trace_id}")
        # the address leads through a gateway, which stands in front of the service elsewhere
        token = looked.json()["data"]["outputs"]["url"].rpartition("/callback/")[2]
        answer = await http.post(f"{api}/callback/{token}", json={"ticket": 7})
    ended = await result(run)

    assert answer.json()["result"] is True
    assert ended["outputs"]["seen_said"] == {"ticket": 7}


async def test_a_plugin_with_a_bug_fails_the_node(site: Site) -> None:
    run = await site.start(flow(inputs("broken")))
    reason = await reason_of(run)
    await run.terminate()

    assert reason == "plugin execute raise unexpected error: nobody saw that coming"


@pytest.mark.parametrize(
    ("later", "reason"),
    [
        (False, "plugin execute failed: no such host"),
        (True, "plugin schedule failed: no such host"),
    ],
    ids=["at once", "later"],
)
async def test_a_plugin_that_says_no_fails_the_node(site: Site, later: bool, reason: str) -> None:
    run = await site.start(flow(inputs("refuses", later=later)))
    found = await reason_of(run)
    await run.terminate()

    assert found == reason


async def test_what_a_plugin_told_before_it_said_no_is_kept(site: Site) -> None:
    made = flow(inputs("refuses", later=True), "n", "_result", error_ignorable=True)
    ended = await result(await site.start(made))

    assert ended["outputs"] == {"seen_n": 2, "seen__result": False}


async def test_inputs_that_a_plugin_refuses_fail_the_node(site: Site) -> None:
    run = await site.start(flow(inputs("sync")))
    reason = await reason_of(run)
    await run.terminate()

    assert reason.startswith("inputs validation error: 1 validation error for Inputs")


async def test_a_version_that_is_not_there_fails_the_node(site: Site) -> None:
    run = await site.start(flow(inputs("nowhere")))
    reason = await reason_of(run)
    await run.terminate()

    assert reason.startswith("获取第三方插件详情失败, 错误内容: GET ")
    assert reason.endswith("answered 404 Not Found")


async def test_of_a_plugin_that_answers_too_late_nobody_knows(
    client: Client, tmp_path: Path, service: RealService
) -> None:
    async with open_site(client, tmp_path, table(service, timeout_s=1)) as site:
        run = await site.start(flow(inputs("slow")))
        reason = await reason_of(run)
        await run.terminate()

    assert reason.startswith("outcome unknown: no answer: ReadTimeout")


async def test_the_end_that_a_plugin_tells_ends_the_node_long_before_the_next_look(
    client: Client, tmp_path: Path, service: RealService
) -> None:
    rarely: dict[str, JsonValue] = {"fixed_interval_s": {APP: 3600}}
    async with open_site(client, tmp_path, table(service, **rarely)) as site:
        run = await site.start(flow(inputs("notifies"), "_result"))
        ended = await result(run)
        inbox = inbox_of(site.store, run.id)

    assert ended["outputs"] == {"seen__result": True}
    assert [one.data for one in inbox] == [{}]


async def test_a_plugin_that_insists_on_telling_its_end_works_where_nobody_listens(
    client: Client, tmp_path: Path, service: RealService
) -> None:
    async with open_site(client, tmp_path, table(service), is_called=False) as site:
        ended = await result(await site.start(flow(inputs("notifies"), "_result")))

    assert ended["outputs"] == {"seen__result": True}
