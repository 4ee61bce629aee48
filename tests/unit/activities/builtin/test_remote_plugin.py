import json
from collections.abc import Mapping
from typing import Any

import httpx
import pytest
from pydantic import JsonValue

from activities.builtin.remote_plugin import plain, remote_plugin
from activities.contract import Done, Failed, Polling
from activities.registry import discover, facts_of
from activities.steps import StepResult, TryAgain
from activities.testing import Stage
from tests.helpers.fake_plugin_service import (
    CODE,
    TRACE,
    VERSION,
    FakePluginService,
    enveloped,
    progress,
    refusal,
)

URL = "http://plugin.test"
NOTE = f"{CODE} {VERSION}, trace {TRACE}"
CONTEXT: Mapping[str, JsonValue] = {"operator": "ann", "bk_biz_id": 2, "project_name": "shop"}


def inputs(**more: JsonValue) -> dict[str, JsonValue]:
    return {"plugin_code": CODE, "plugin_version": VERSION, "host": "web-1"} | more


def stage(fake: FakePluginService, **settings: JsonValue) -> Stage:
    table: dict[str, JsonValue] = {"services": {CODE: URL}, **settings}
    return Stage(fake.answer, context=CONTEXT, settings={"remote_plugin": table})


def working(*states: Any) -> FakePluginService:
    """A service whose work goes on after the invoke."""
    return FakePluginService([enveloped(progress(2, {"n": 1}))], [*states])


def handle_of(result: StepResult) -> Any:
    assert isinstance(result, Polling | TryAgain)
    return result.handle


# --- the start --------------------------------------------------------------------------------


async def test_what_ends_at_once_ends_the_node_with_its_outputs() -> None:
    fake = FakePluginService()
    async with stage(fake) as world:
        result = await world.call(remote_plugin, inputs())

    assert result == Done(outputs={"n": 1, "trace_id": TRACE}, note=NOTE)
    assert fake.looked == []


async def test_the_service_gets_all_inputs_and_the_context_that_it_asks_for() -> None:
    fake = FakePluginService(wanted=["operator", "bk_biz_id", "nobody_knows"])
    async with stage(fake) as world:
        await world.call(remote_plugin, inputs(rows=[{"a": 1}], _loop=2, _inner_loop=1, empty=""))

    [(body, _)] = fake.invoked
    assert body["context"] == {"operator": "ann", "bk_biz_id": 2}
    assert body["inputs"] == inputs(rows=[{"a": 1}], _loop=2, _inner_loop=1, empty="")


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({"type": "password_value", "value": "p"}, "p"),
        ({"tag": "value", "value": "p"}, "p"),
        ([{"key": {"tag": "value", "value": "p"}}], [{"key": "p"}]),
        ({"tag": "value", "value": "p", "more": 1}, {"tag": "value", "value": "p", "more": 1}),
        ({"type": "list", "value": "p"}, {"type": "list", "value": "p"}),
    ],
)
def test_a_password_is_sent_as_its_text(given: JsonValue, sent: JsonValue) -> None:
    assert plain(given) == sent


async def test_a_failure_at_once_fails_the_node_with_its_reason() -> None:
    fake = FakePluginService([enveloped(progress(5, None, "plugin execute failed: no host"))])
    async with stage(fake) as world:
        result = await world.call(remote_plugin, inputs())

    assert result == Failed(
        error="plugin execute failed: no host", outputs={"trace_id": TRACE}, note=NOTE
    )


async def test_work_that_goes_on_is_looked_at_until_it_ends() -> None:
    looks = [progress(2, {"n": 2}), progress(3, {"n": 2, "url": "u"}), progress(4, {"n": 3})]
    fake = working(*map(enveloped, looks))
    async with stage(fake) as world:
        result = await world.run(remote_plugin, inputs())

    assert result == Done(outputs={"n": 3, "url": "u", "trace_id": TRACE}, note=NOTE)
    assert fake.looked == [TRACE] * 3
    assert world.elapsed_s == 30


async def test_a_node_says_that_its_work_cannot_be_stopped() -> None:
    async with stage(working()) as world:
        result = await world.call(remote_plugin, inputs())

    assert isinstance(result, Polling)
    assert result.note == f"{NOTE}, cannot be stopped from here"
    assert result.outputs == {"n": 1, "trace_id": TRACE}


async def test_stopping_asks_the_service_for_nothing() -> None:
    async with stage(working()) as world:
        handle = handle_of(await world.call(remote_plugin, inputs()))
        before = len(world.requests)
        await world.stop(remote_plugin, inputs(), handle)

    assert len(world.requests) == before


async def test_the_trace_id_stays_ours_where_the_plugin_has_such_an_output() -> None:
    fake = FakePluginService([enveloped(progress(4, {"trace_id": ["theirs"], "log_url": 1}))])
    async with stage(fake) as world:
        result = await world.call(remote_plugin, inputs())

    assert isinstance(result, Done)
    assert result.outputs == {"trace_id": TRACE, "log_url": 1}


async def test_a_failure_later_keeps_the_outputs_and_says_where_the_log_is() -> None:
    fake = working(enveloped(progress(5, {"n": 2}, "")))
    async with stage(fake, log_url="https://paas.test/{plugin_code}/{trace_id}") as world:
        result = await world.run(remote_plugin, inputs())

    link = f"https://paas.test/{CODE}/{TRACE}"
    assert isinstance(result, Failed)
    assert result.error == f"请通过第三方节点日志查看任务失败原因 (log: {link})"
    assert result.outputs == {"n": 2, "trace_id": TRACE, "log_url": link}


# --- where nothing was started ----------------------------------------------------------------


@pytest.mark.parametrize("answer", [429, 503], ids=str)
async def test_an_invoke_that_was_not_taken_is_sent_again(answer: int) -> None:
    fake = FakePluginService([answer, enveloped(progress(4))])
    async with stage(fake) as world:
        result = await world.run(remote_plugin, inputs())

    assert isinstance(result, Done)
    assert len(fake.invoked) == 2


async def test_a_connection_that_is_not_made_is_tried_again() -> None:
    def away(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    settings: dict[str, dict[str, JsonValue]] = {"remote_plugin": {"services": {CODE: URL}}}
    async with Stage(away, settings=settings) as world:
        result = await world.run(remote_plugin, inputs())

    assert isinstance(result, Failed)
    assert result.error.startswith("获取第三方插件详情失败, 错误内容: no connection: ConnectError")
    assert "gave up after 5 attempts" in result.error


@pytest.mark.parametrize("answer", ["drop", "late", "junk", 500, 502, 504], ids=str)
async def test_of_an_invoke_whose_answer_is_lost_nobody_knows(answer: Any) -> None:
    fake = FakePluginService([answer])
    async with stage(fake) as world:
        result = await world.run(remote_plugin, inputs())

    assert isinstance(result, Failed)
    assert result.error.startswith("outcome unknown: ")
    assert f"look at the logs of plugin '{CODE}' {VERSION}, then retry or skip" in result.error
    assert len(fake.invoked) == 1


@pytest.mark.parametrize(
    "answer",
    [enveloped(progress(7)), enveloped(progress(2), trace_id=""), enveloped(None), []],
    ids=["unknown state", "no trace id", "no data", "a list"],
)
async def test_of_an_answer_to_the_invoke_that_cannot_be_read_nobody_knows(answer: Any) -> None:
    async with stage(FakePluginService([answer])) as world:
        result = await world.run(remote_plugin, inputs())

    assert isinstance(result, Failed)
    assert "outcome unknown: the answer is none of the protocol: 200 OK" in result.error


async def test_an_invoke_that_was_interrupted_is_not_sent_again() -> None:
    fake = FakePluginService()
    async with stage(fake) as world:
        result = await world.call(remote_plugin, inputs(), sent_before=True)

    assert isinstance(result, Failed)
    assert result.error.startswith("outcome unknown: an earlier try was interrupted")
    assert fake.invoked == []


async def test_a_service_that_refuses_the_invoke_fails_the_node_in_its_own_words() -> None:
    async with stage(FakePluginService([refusal("输入不合法")])) as world:
        result = await world.run(remote_plugin, inputs())

    assert result == Failed(
        error="调用第三方插件invoke接口错误, 错误内容: 输入不合法, trace_id: of-the-request"
    )


@pytest.mark.parametrize("answer", [400, 401, 403, 404], ids=str)
async def test_an_invoke_that_is_refused_by_its_status_fails_the_node(answer: int) -> None:
    async with stage(FakePluginService([answer])) as world:
        result = await world.run(remote_plugin, inputs())

    assert isinstance(result, Failed)
    assert result.error.startswith(f"调用第三方插件invoke接口错误, 错误内容: {answer} ")


async def test_an_unknown_version_fails_the_node_before_anything_is_started() -> None:
    fake = FakePluginService()
    async with stage(fake) as world:
        result = await world.run(remote_plugin, inputs(plugin_version="9.9.9"))

    assert isinstance(result, Failed)
    assert result.error == (
        f"获取第三方插件详情失败, 错误内容: GET {URL}/bk_plugin/detail/9.9.9 answered 404 Not Found"
    )
    assert fake.invoked == []


@pytest.mark.parametrize("fault", ["drop", "late", "junk", 500, 502], ids=str)
async def test_a_detail_that_is_lost_is_asked_for_again(fault: Any) -> None:
    fake = FakePluginService(details=[fault, None])
    async with stage(fake) as world:
        result = await world.run(remote_plugin, inputs())

    assert isinstance(result, Done)
    assert fake.detailed == 2
    assert len(fake.invoked) == 1


@pytest.mark.parametrize("name", ["../x", "a/b", "", "."])
async def test_a_code_that_is_no_name_is_refused(name: str) -> None:
    async with stage(FakePluginService()) as world:
        result = await world.run(remote_plugin, inputs(plugin_code=name))

    assert isinstance(result, Failed)
    assert "'plugin_code'" in result.error
    assert world.requests == []


# --- looking ----------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["drop", "late", "junk", 500, 429], ids=str)
async def test_a_look_without_an_answer_is_taken_again(fault: Any) -> None:
    fake = working(fault, fault, enveloped(progress(4, {"n": 2})))
    async with stage(fake) as world:
        result = await world.run(remote_plugin, inputs())

    assert isinstance(result, Done)
    assert fake.looked == [TRACE] * 3
    assert len(fake.invoked) == 1


async def test_a_service_that_stays_away_fails_the_node_with_a_warning() -> None:
    fake = working(500)
    async with stage(fake, unreachable_s=60) as world:
        result = await world.run(remote_plugin, inputs())

    assert isinstance(result, Failed)
    assert result.error.startswith("remote plugin service schedule error: GET http://plugin.test/")
    assert f", trace_id: {TRACE}; no answer for 60 s: the work may go on" in result.error
    assert result.outputs == {"n": 1, "trace_id": TRACE}
    assert world.elapsed_s == 70


async def test_a_silence_is_told_and_forgotten_when_it_is_over() -> None:
    fake = working("drop", enveloped(progress(2)), "drop")
    async with stage(fake) as world:
        first = handle_of(await world.call(remote_plugin, inputs()))
        silent = await world.poll(remote_plugin, inputs(), first)
        again = handle_of(await world.poll(remote_plugin, inputs(), handle_of(silent)))

    assert isinstance(silent, TryAgain)
    assert silent.note == f"{NOTE}, no answer since 00:00:00 UTC"
    assert "lost_since" in handle_of(silent)
    assert "lost_since" not in again


async def test_an_execution_that_the_service_does_not_know_fails_the_node() -> None:
    async with stage(working(refusal("can not find schedule"))) as world:
        result = await world.run(remote_plugin, inputs())

    assert isinstance(result, Failed)
    assert result.error == (
        f"remote plugin service schedule error: can not find schedule, trace_id: {TRACE}"
    )


async def test_looks_become_rare() -> None:
    waits: list[float] = []
    async with stage(working(enveloped(progress(2)))) as world:
        result = await world.call(remote_plugin, inputs())
        for _ in range(60):
            assert isinstance(result, Polling | TryAgain)
            waits.append(result.after_s or 0)
            result = await world.poll(remote_plugin, inputs(), handle_of(result))

    assert waits[:29] == [10] * 29
    assert waits[29:33] == [25, 36, 49, 64]
    assert waits[-1] == 600


async def test_an_interval_may_be_fixed_for_a_plugin() -> None:
    fake = working(enveloped(progress(2)), enveloped(progress(4)))
    async with stage(fake, fixed_interval_s={CODE: 60}) as world:
        await world.run(remote_plugin, inputs())

    assert world.elapsed_s == 120


async def test_work_that_takes_longer_than_allowed_fails_the_node() -> None:
    async with stage(working(enveloped(progress(2))), max_days=1) as world:
        result = await world.run(remote_plugin, inputs())

    assert isinstance(result, Failed)
    assert result.error == "第三方插件执行时间超过最大限制时长：1 天"
    assert 86400 < world.elapsed_s < 86400 + 601


# --- callbacks --------------------------------------------------------------------------------


async def test_a_plugin_that_calls_back_is_told_our_address() -> None:
    fake = FakePluginService(calls_back=True)
    async with stage(fake) as world:
        await world.call(remote_plugin, inputs())

    [(body, _)] = fake.invoked
    told = body["context"]["plugin_callback_info"]
    assert told["url"].startswith("https://stdops.test/callback/")
    assert told["data"] == {}


async def test_a_callback_is_a_hint_to_look_at_once() -> None:
    fake = working(enveloped(progress(4, {"n": 2})))
    async with stage(fake) as world:
        result = await world.callback(remote_plugin, inputs(), {}, {"trace_id": TRACE})

    assert isinstance(result, Done)
    assert result.outputs == {"n": 2, "trace_id": TRACE}


@pytest.mark.parametrize("look", [enveloped(progress(3)), "drop", 500], ids=str)
async def test_after_a_callback_that_comes_too_soon_looking_goes_on(look: Any) -> None:
    async with stage(working(look)) as world:
        result = await world.callback(remote_plugin, inputs(), {}, {"trace_id": TRACE})

    assert isinstance(result, Polling)
    assert result.after_s == 10


# --- finding ----------------------------------------------------------------------------------

PLATFORM: dict[str, JsonValue] = {
    "services": {},
    "paas_url": "https://paas.test/",
    "gateway_url": "https://{api_name}.apigw.test/",
    "app_code": "stdops",
    "app_secret": "hush-hush",
    "stage": "stag",
}


def listing(**more: Any) -> dict[str, Any]:
    addresses = [{"type": 1, "address": "http://old.test"}, {"type": 2, "address": f"{URL}/"}]
    stages = {"stag": {"deployed": True, "addresses": addresses}}
    return {"plugin": {}, "profile": {"api_gw_name": "bp-x"}, "deployed_statuses": stages} | more


def platform(fake: FakePluginService, listed: Any) -> Any:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.host == "paas.test":
            return httpx.Response(200, json=listed)
        if request.url.host == "bp-x.apigw.test":
            inside = f"{URL}{request.url.path.replace('/stag/', '/bk_plugin/')}"
            return fake.answer(
                httpx.Request(
                    request.method, inside, headers=request.headers, content=request.read()
                )
            )
        return fake.answer(request)

    return answer


async def test_a_plugin_is_found_by_the_platform_and_invoked_through_its_gateway() -> None:
    fake = working(enveloped(progress(4)))
    settings = {"remote_plugin": PLATFORM}
    async with Stage(platform(fake, listing()), settings=settings) as world:
        result = await world.run(remote_plugin, inputs())

    assert isinstance(result, Done)
    assert [str(request.url) for request in world.requests] == [
        f"https://paas.test/prod/system/bk_plugins/{CODE}",
        f"{URL}/bk_plugin/detail/{VERSION}",
        f"https://bp-x.apigw.test/stag/invoke/{VERSION}",
        f"{URL}/bk_plugin/schedule/{TRACE}",
    ]
    known = [request.headers.get("x-bkapi-authorization") for request in world.requests]
    assert known[1] is None
    assert known[3] is None
    assert json.loads(known[0] or "") == {"bk_app_code": "stdops", "bk_app_secret": "hush-hush"}
    assert known[2] == known[0]


@pytest.mark.parametrize(
    "listed",
    [
        listing(deployed_statuses={}),
        listing(deployed_statuses={"stag": {"deployed": False, "addresses": []}}),
        listing(deployed_statuses={"stag": {"deployed": True, "addresses": []}}),
    ],
    ids=["other stage", "not deployed", "no address"],
)
async def test_a_plugin_that_is_not_deployed_fails_the_node(listed: Any) -> None:
    settings = {"remote_plugin": PLATFORM}
    async with Stage(platform(FakePluginService(), listed), settings=settings) as world:
        result = await world.run(remote_plugin, inputs())

    assert isinstance(result, Failed)
    assert result.error.startswith("第三方插件client初始化失败, 错误内容: plugin 'roll_out' is not")


async def test_a_plugin_that_no_setting_leads_to_fails_the_node_and_says_what_to_set() -> None:
    async with Stage() as world:
        result = await world.run(remote_plugin, inputs())

    assert isinstance(result, Failed)
    assert "give its address as services.roll_out, or paas_url, gateway_url, app_code" in (
        result.error
    )


async def test_what_a_service_says_of_itself_is_remembered_for_a_while() -> None:
    fake = FakePluginService()
    async with stage(fake) as world:
        for wait_s in (0, 59, 2):
            world.wait(wait_s)
            await world.call(remote_plugin, inputs())

    assert len(fake.invoked) == 3
    assert fake.detailed == 2


async def test_a_gateway_may_stand_before_a_service_of_the_settings() -> None:
    fake = FakePluginService()
    service: dict[str, JsonValue] = {"url": f"{URL}/bk_plugin/", "invoke_url": f"{URL}/bk_plugin/"}
    async with stage(fake, services={CODE: service}) as world:
        result = await world.run(remote_plugin, inputs())

    assert isinstance(result, Done)


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"services": {CODE: "plugin.test"}}, "services.roll_out.url"),
        ({"services": 1}, "services"),
        ({"fixed_interval_s": {CODE: 0}}, "fixed_interval_s.roll_out"),
        ({"app_secrets": "x"}, "app_secrets"),
    ],
)
async def test_wrong_settings_are_named(settings: Mapping[str, JsonValue], problem: str) -> None:
    async with Stage(settings={"remote_plugin": settings}) as world:
        result = await world.run(remote_plugin, inputs())

    assert isinstance(result, Failed)
    assert f"settings of plugins 'remote_plugin' are wrong: {problem}" in result.error


# --- as templates see it ----------------------------------------------------------------------


def test_its_inputs_are_open_and_only_its_name_is_required() -> None:
    facts = facts_of(remote_plugin)

    assert [(each.name, each.required) for each in facts.inputs] == [
        ("plugin_code", True),
        ("plugin_version", True),
    ]
    assert facts.open_inputs


def test_workers_have_it() -> None:
    assert discover().plugin("remote_plugin", "1.0.0") is remote_plugin
