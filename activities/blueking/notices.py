"""`bk_notify`: messages to people through the platform's channels.

Source: plugins' reference, section 3.4; differs: a message that went out is told in the error of
the next one that did not (output `sent`), and nobody to tell is an error of its own. Staff groups
are bk-sops's own; here they are a setting of the workers.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

import httpx
from pydantic import JsonValue

from activities.blueking.catalogue import blueking, served
from activities.blueking.client import DENIED, ApiError, BlueKing, Json, as_rows
from activities.blueking.config import BlueKingSettings
from activities.blueking.form import Fields, Form, Written
from activities.blueking.hosts import Scope
from activities.blueking.scope import scope_of
from activities.calls import Call, PluginError
from activities.http_client import fault_of

Lost = PluginError | httpx.HTTPError

ROLES: Final[Mapping[str, str]] = {
    "Maintainers": "bk_biz_maintainer",
    "ProductPm": "bk_biz_productor",
    "Developer": "bk_biz_developer",
    "Tester": "bk_biz_tester",
}
"""What CMDB calls the groups of people that a form offers."""

_NO_BUSINESS: Final = (
    "业务人员信息查询失败: 从[配置平台]中查询业务[ID: {}] 人员信息失败, "
    "请检查业务存在以及拥有访问权限 | get_notify_receivers"
)
_NOBODY: Final = "nobody is to be told: choose a group that has members, or name receivers"


class Message(NamedTuple):
    """A message as a channel takes it."""

    channel: str
    api: str
    body: Json


def _mail(to: str, title: str, content: str) -> Json:
    return {"receiver__username": to, "title": title, "content": f"<pre>{content}</pre>"}


def _weixin(to: str, title: str, content: str) -> Json:
    return {"receiver__username": to, "data": {"heading": title, "message": content}}


def _sms(to: str, title: str, content: str) -> Json:
    return {"receiver__username": to, "content": f"{title}\n{content}"}


_LEGACY: Final[Mapping[str, tuple[str, Callable[[str, str, str], Json]]]] = {
    "weixin": ("cmsi.send_weixin", _weixin),
    "email": ("cmsi.send_mail", _mail),
    "sms": ("cmsi.send_sms", _sms),
}
"""The channels of the oldest version: API, and body of receivers, title and content."""


async def _notify_legacy(call: Call[Form]) -> Written:
    """Send a notice by WeChat, mail or SMS; what comes after a failed channel is not sent."""
    bk, form = blueking(call), call.inputs.fields
    part = form.part("bk_receiver_info") if form.raw("bk_receiver_info") else form
    to = ",".join(_somebody(await receivers(bk, scope_of(call.context, form), part)))
    told: Json = {"code": "", "message": ""}
    sent: list[str] = []
    for message in [_legacy_message(each, to, form) for each in form.items("bk_notify_type")]:
        [answer] = await bk.at_once(lambda each: bk.answer(each.api, each.body), [message])
        if isinstance(answer, Exception):
            raise _failure(sent, {message.channel: answer}, _short)
        told = {key: answer.get(key) for key in told}
        sent.append(message.channel)
    return Written.model_validate(told)


async def _notify(call: Call[Form]) -> None:
    """Send a notice through every chosen channel; one that fails does not keep the others."""
    bk, form = blueking(call), call.inputs.fields
    part = form.part("bk_receiver_info")
    found = await receivers(bk, scope_of(call.context, form), part)
    staff = (staff_members(bk.settings, each) for each in part.items("bk_staff_group"))
    names = [*found, *(name for group in staff for name in group)]
    if form.flag("notify") or call.executor in names:
        names.insert(0, call.executor)
    to = ",".join(_somebody(dict.fromkeys(names)))
    messages = [_message(str(each), to, form) for each in form.items("bk_notify_type")]
    answers = await bk.at_once(lambda each: bk.answer(each.api, each.body), messages)
    told = {each.channel: answer for each, answer in zip(messages, answers, strict=True)}
    failed = {channel: a for channel, a in told.items() if isinstance(a, Exception)}
    if failed:
        raise _failure([channel for channel in told if channel not in failed], failed, _long)


def _legacy_message(channel: JsonValue, to: str, form: Fields) -> Message:
    """Return a message of the oldest version.

    Raises:
        PluginError: there is no such channel.
    """
    if channel not in _LEGACY:
        known = ", ".join(_LEGACY)
        raise PluginError(f"bk_notify_type has {channel!r}, which is no channel; use {known}")
    api, body = _LEGACY[str(channel)]
    title, content = form.text("bk_notify_title"), form.text("bk_notify_content")
    return Message(str(channel), api, body(to, title, content))


def _message(channel: str, to: str, form: Fields) -> Message:
    title, content = form.text("bk_notify_title"), form.text("bk_notify_content")
    if channel == "voice":
        spoken: Json = {"receiver__username": to, "auto_read_message": f"{title},{content}"}
        return Message(channel, "cmsi.send_voice_msg", spoken)
    shown = f"<pre>{content}</pre>" if channel == "mail" else content
    body: Json = {
        "msg_type": channel,
        "receiver__username": to,
        "title": title,
        "content": shown,
    }
    return Message(channel, "cmsi.send_msg", body)


async def receivers(bk: BlueKing, scope: Scope, part: Fields) -> list[str]:
    """Return those whom a form names: the members of its groups in CMDB, and others by name.

    Raises:
        PluginError: CMDB does not show the business, or a group is unknown.
    """
    groups = [str(each) for each in part.items("bk_receiver_group")]
    others = _names(part.text("bk_more_receiver"))
    if not groups:
        return others
    params: Json = {
        "bk_supplier_account": scope.supplier,
        "condition": {"bk_biz_id": scope.business},
    }
    found = await bk.object("cc.search_business", params)
    rows = as_rows(found.get("info"))
    if found.get("count") != 1 or not rows:
        raise PluginError(_NO_BUSINESS.format(scope.business))
    members = (_members(bk.settings, rows[0], group) for group in groups)
    return sorted({*(name for each in members for name in each), *others})


def _members(settings: BlueKingSettings, business: Json, group: str) -> list[str]:
    role = ROLES.get(group, group)
    if role in business or role in ROLES.values():
        return _names(str(business.get(role) or ""))
    return staff_members(settings, group)


def staff_members(settings: BlueKingSettings, group: JsonValue) -> list[str]:
    """Return the members of a staff group.

    Raises:
        PluginError: the workers do not know it.
    """
    known = settings.staff_groups
    if str(group) not in known:
        raise PluginError(
            f"staff group {group!r} is unknown here: add its members to blueking.staff_groups "
            f"on the workers (they know: {', '.join(known) or 'none'})"
        )
    return list(known[str(group)])


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _somebody(names: Iterable[str]) -> list[str]:
    found = [name for name in names if name]
    if not found:
        raise PluginError(_NOBODY)
    return found


def _failure(
    sent: Sequence[str], failed: Mapping[str, Lost], told: Callable[[PluginError], str]
) -> PluginError:
    """Return what became of a notice: sent again is only what has reached nobody."""
    text = "".join(_told(channel, error, told) for channel, error in failed.items())
    already = f" (sent already: {', '.join(sent)})" if sent else ""
    return PluginError(
        f"{text}{already}",
        retryable=not sent and all(map(_not_taken, failed.values())),
        outputs={"sent": [*sent]} if sent else None,
    )


def _told(channel: str, error: Lost, told: Callable[[PluginError], str]) -> str:
    if isinstance(error, PluginError):
        return told(error)
    fault = fault_of(error)
    if fault is not None and fault.verdict == "unknown":
        return f"outcome unknown: {fault.what}; ask a receiver whether {channel!r} came;"
    return f"{channel}: {fault.what if fault else error};"


def _short(error: PluginError) -> str:
    """Return what the oldest version tells of a refusal: the platform's own words."""
    return error.message if isinstance(error, ApiError) and error.code != DENIED else error.what


def _long(error: PluginError) -> str:
    return f"{error.what};".replace("<", "|").replace(">", "|")


def _not_taken(error: Lost) -> bool:
    fault = fault_of(error)
    return fault is not None and fault.verdict == "not_taken"


NOTICES: Final = (
    served("bk_notify", "legacy", _notify_legacy),
    served("bk_notify", "v1.0", _notify),
)
