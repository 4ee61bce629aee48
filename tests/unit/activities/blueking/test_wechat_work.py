"""`wechat_work_send_message`: its body in every version, and what counts as a failure."""

import httpx
import pytest
from pydantic import JsonValue

from activities.blueking.wechat_work import MESSAGES, TIMEOUT_S
from activities.contract import Done, Failed
from activities.sdk import AnyPlugin
from activities.steps import TryAgain
from tests.helpers.systems_platform import Json, Reply, Systems, lost, on_stage, unreached

ONE, TWO = "a" * 32, "b" * 32
FORM: Json = {
    "wechat_work_chat_id": f"{ONE}\n{TWO}",
    "message_content": "disk full",
    "wechat_work_mentioned_members": "ann, bob",
    "msgtype": "text",
}


def ids(plugin: AnyPlugin) -> str:
    return plugin.ref.version


@pytest.mark.parametrize("plugin", MESSAGES, ids=ids)
@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("text", {"text": {"content": "disk full", "mentioned_list": ["ann", "bob"]}}),
        ("markdown", {"markdown": {"content": "disk full\n<@ann> <@bob>\n"}}),
        ("markdown_v2", {"markdown_v2": {"content": "disk full\n<@ann> <@bob>\n"}}),
    ],
)
async def test_a_message_is_sent_to_the_hook(plugin: AnyPlugin, kind: str, body: Json) -> None:
    systems = Systems({})
    async with on_stage(systems) as stage:
        outcome = await stage.run(plugin, {**FORM, "msgtype": kind})

    extra: Json = {} if kind == "text" else {"at_short_name": True}
    assert outcome == Done()
    assert systems.asked[0].params == {
        "chatid": f"{ONE}|{TWO}",
        "msgtype": kind,
        **body,
        **extra,
    }
    assert stage.requests[0].extensions["timeout"]["read"] == TIMEOUT_S


@pytest.mark.parametrize("plugin", MESSAGES, ids=ids)
async def test_the_ids_may_be_a_password_of_bk_sops(plugin: AnyPlugin) -> None:
    systems = Systems({})
    secret: JsonValue = {"type": "password_value", "value": ONE}
    async with on_stage(systems) as stage:
        await stage.run(plugin, {**FORM, "wechat_work_chat_id": secret})

    assert systems.asked[0].params["chatid"] == ONE


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({"wechat_work_chat_id": ""}, "会话 ID 不能为空"),
        (
            {"wechat_work_chat_id": f"{ONE}\nshort"},
            "第2行的会话 ID 格式不正确（长度需为 32）",
        ),
        ({"msgtype": "card"}, "msgtype 不存在: 'card'; use text, markdown, markdown_v2"),
    ],
)
async def test_a_wrong_form_sends_nothing(form: Json, error: str) -> None:
    systems = Systems({})
    async with on_stage(systems) as stage:
        outcome = await stage.run(MESSAGES[0], FORM | form)

    assert outcome == Failed(error=error)
    assert systems.asked == []


async def test_without_a_hook_the_node_says_what_to_set() -> None:
    async with on_stage(Systems({}), wechat_work_hook="") as stage:
        outcome = await stage.run(MESSAGES[0], FORM)

    assert isinstance(outcome, Failed)
    assert "blueking.wechat_work_hook" in outcome.error


@pytest.mark.parametrize(
    ("reply", "status"),
    [
        (httpx.Response(404, text="gone"), 404),
        (httpx.Response(200, json={"errcode": 93000, "errmsg": "invalid"}), 200),
    ],
)
async def test_a_refused_message_fails_the_node(reply: Reply, status: int) -> None:
    async with on_stage(Systems({"hook": reply})) as stage:
        outcome = await stage.run(MESSAGES[0], FORM)

    assert isinstance(outcome, Failed)
    assert outcome.error.startswith(f"企业微信发送消息请求失败，状态码: {status}, 响应: ")


async def test_a_lost_answer_is_an_unknown_outcome() -> None:
    async with on_stage(Systems({"hook": lost()})) as stage:
        outcome = await stage.run(MESSAGES[0], FORM)

    assert isinstance(outcome, Failed)
    assert outcome.error.startswith("outcome unknown")
    assert "look at the groups in WeCom" in outcome.error
    assert "hush" not in outcome.error


async def test_what_was_not_sent_is_sent_again() -> None:
    async with on_stage(Systems({"hook": unreached()})) as stage:
        result = await stage.call(MESSAGES[0], FORM)

    assert isinstance(result, TryAgain)
