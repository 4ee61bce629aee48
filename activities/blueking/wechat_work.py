"""`wechat_work_send_message`: messages to groups of WeCom, through a robot's web hook.

Source: plugins' reference, section 3.4; differs: an answer that names an error is a failure, where
the real system looks at the HTTP status alone and the message is lost unseen.
"""

from typing import Final

import httpx

from activities.blueking.catalogue import SETTINGS, served
from activities.blueking.client import Json, as_object
from activities.blueking.config import BlueKingSettings
from activities.blueking.form import Fields, Form, json_of
from activities.blueking.outcomes import looked_up_at
from activities.calls import Call, PluginError
from activities.http_client import fault_of

CHAT_ID_CHARS: Final = 32
TIMEOUT_S: Final = 5.0

_MARKDOWN: Final = frozenset({"markdown", "markdown_v2"})
_SHOWN: Final = 500
_NO_HOOK: Final = (
    "no web hook of WeCom is set: set blueking.wechat_work_hook on the workers, then retry"
)
_FAILED: Final = "企业微信发送消息请求失败，状态码: {}, 响应: {}"


async def _send(call: Call[Form]) -> None:
    """Send a message to groups of WeCom."""
    form = call.inputs.fields
    hook = call.shelf.settings(SETTINGS, BlueKingSettings).wechat_work_hook.get_secret_value()
    if not hook:
        raise PluginError(_NO_HOOK)
    body = _body(form, _chat_ids(form))
    try:
        with looked_up_at("the groups in WeCom"):
            response = await call.http.request("POST", hook, json=body, timeout=TIMEOUT_S)
            response.raise_for_status()
    except httpx.HTTPStatusError as error:
        fault = fault_of(error)
        if fault is not None and fault.verdict == "not_taken":
            raise
        raise _failure(error.response) from error
    if as_object(json_of(response.text)).get("errcode"):
        raise _failure(response)


def _chat_ids(form: Fields) -> list[str]:
    """Return the ids of the groups, one a line.

    Raises:
        PluginError: there is none, or one is of another length.
    """
    lines = [line.strip() for line in form.secret("wechat_work_chat_id").splitlines()]
    if not any(lines):
        raise PluginError("会话 ID 不能为空")
    for number, line in enumerate(lines, 1):
        if len(line) != CHAT_ID_CHARS:
            text = f"第{number}行的会话 ID 格式不正确（长度需为 {CHAT_ID_CHARS}）"
            raise PluginError(text)
    return lines


def _body(form: Fields, chats: list[str]) -> Json:
    """Return the message as the web hook takes it.

    Raises:
        PluginError: its type is unknown.
    """
    kind = form.line("msgtype", "text")
    content = form.text("message_content")
    named = [str(each) for each in form.items("wechat_work_mentioned_members")]
    where: Json = {"chatid": "|".join(chats), "msgtype": kind}
    if kind == "text":
        return {**where, "text": {"content": content, "mentioned_list": [*named]}}
    if kind in _MARKDOWN:
        mentioned = " ".join(f"<@{each}>" for each in named)
        shown: Json = {"content": f"{content}\n{mentioned}\n"}
        return {**where, kind: shown, "at_short_name": True}
    raise PluginError(f"msgtype 不存在: {kind!r}; use text, {', '.join(sorted(_MARKDOWN))}")


def _failure(response: httpx.Response) -> PluginError:
    return PluginError(_FAILED.format(response.status_code, response.text[:_SHOWN]))


MESSAGES: Final = tuple(
    served("wechat_work_send_message", version, _send) for version in ("1.0", "1.1", "2.0", "2.1")
)
