"""`bk_approve`: a ticket in ITSM that people approve or reject.

ITSM calls back once, when the ticket ends, and never again. So the ticket is looked at too: what
ends first, callback or look, ends the node.

Source: plugins' reference, sections 3.7 and 4.6; differs: the looks, a rejection says so in the
node's error, and a callback that tells no result makes us look instead of failing the node.
"""

from collections.abc import Mapping
from typing import Any, Final, cast

from pydantic import JsonValue

from activities.blueking.catalogue import blueking, served
from activities.blueking.client import ApiError, BlueKing, Json, as_object
from activities.blueking.form import Fields, Form, Written
from activities.blueking.outcomes import looked_up_at
from activities.calls import Call, PluginError, StillRunning

FIRST_LOOK_S: Final = 10.0
LATEST_LOOK_S: Final = 60.0

UNDER_WAY: Final = frozenset({"RUNNING", "SUSPENDED"})
"""States of a ticket that has not ended."""

APPROVED: Final = "通过"
REJECTED: Final = "拒绝"
_NO_TICKET: Final = "ITSM has made no ticket that can be found again: its answer names no sn"


async def _approve(call: Call[Form]) -> Written:
    """Ask people for their approval by a ticket in ITSM."""
    form = call.inputs.fields
    request: Json = {
        "creator": call.executor,
        "fields": [
            {"key": "title", "value": form.text("bk_approve_title")},
            {"key": "APPROVER", "value": form.text("bk_verifier").replace(" ", "")},
            {"key": "APPROVAL_CONTENT", "value": _content(form)},
        ],
        "fast_approval": True,
        "meta": {"callback_url": call.callback_url} if call.can_be_called_back else {},
    }
    with looked_up_at(f"the tickets that {call.executor} has made in ITSM"):
        sn = (await blueking(call).object("itsm.create_ticket", request)).get("sn")
    if not isinstance(sn, str) or not sn:
        raise PluginError(_NO_TICKET)
    call.note(f"ITSM {sn}")
    raise StillRunning({"sn": sn, "looks": 0}, after_s=FIRST_LOOK_S, outputs={"sn": sn})


APPROVAL: Final = served("bk_approve", "v1.0", _approve)


@APPROVAL.poll
async def _(call: Call[Form], handle: JsonValue) -> Written:
    return await _look(blueking(call), call, handle)


@APPROVAL.callback
async def _(call: Call[Form], data: JsonValue) -> Written:
    """Take ITSM's callback; what tells no result of our ticket makes us look."""
    told = as_object(data)
    sn = _sn_of(call.handle)
    if "approve_result" in told and told.get("sn", sn) == sn:
        return _decided(call, told)
    wrong = "another ticket's sn" if "approve_result" in told else "no approve_result"
    text = f"get Approve Component result failed: {data}, err: {wrong}"
    raise StillRunning(call.handle, after_s=0, outputs={"callback_ignored": text})


@APPROVAL.stop
async def _(call: Call[Form], handle: JsonValue) -> None:
    """Withdraw the ticket, so that nobody decides what nobody waits for."""
    request: Json = {
        "sn": _sn_of(handle),
        "operator": call.executor,
        "action_type": "WITHDRAW",
        "action_message": f"{call.name}: the node has been stopped",
    }
    await blueking(call).call("itsm.operate_ticket", request)


async def _look(bk: BlueKing, call: Call[Form], handle: JsonValue) -> Written:
    """Look at the ticket.

    Raises:
        StillRunning: it is open.
        PluginError: it was rejected, or ITSM does not show it and nobody can call back.
    """
    sn = _sn_of(handle)
    try:
        found = await bk.rows("itsm.ticket_approval_result", {"sn": [sn]})
    except ApiError as refused:
        # an ITSM without this API still calls back
        if not call.can_be_called_back:
            raise
        call.progress(look=refused.what)
        found = []
    told = next((row for row in found if row.get("sn", sn) == sn), None)
    if told is not None and str(told.get("current_status")) not in UNDER_WAY:
        return _decided(call, told)
    if told is None and not call.can_be_called_back:
        raise PluginError(f"ITSM shows no ticket {sn}: look for it there, then retry or skip")
    looks = cast("dict[str, Any]", handle).get("looks", 0) + 1
    after_s = min(FIRST_LOOK_S * 1.2**looks, LATEST_LOOK_S)
    raise StillRunning({"sn": sn, "looks": looks}, after_s=after_s)


def _decided(call: Call[Form], told: Mapping[str, JsonValue]) -> Written:
    """Return what was decided.

    Raises:
        PluginError: it was rejected, and the form lets a rejection fail the node.
    """
    approved = Fields(told).flag("approve_result")
    outputs: Json = {**call.outputs, "approve_result": APPROVED if approved else REJECTED}
    if not approved and call.inputs.fields.flag("rejected_block", default=True):
        raise PluginError(_rejection(call, told), outputs=outputs)
    return Written.model_validate(outputs)


def _rejection(call: Call[Form], told: Mapping[str, JsonValue]) -> str:
    fields = Fields(told)
    who = fields.line("last_approver") or fields.line("updated_by")
    state, page = fields.line("current_status"), fields.line("ticket_url")
    known = [f"by {who}" if who else "", state, page]
    more = ", ".join(each for each in known if each)
    return f"审批{REJECTED}: ITSM {_sn_of(call.handle)}{f' ({more})' if more else ''}"


def _content(form: Fields) -> str:
    """Return what is to be approved; older templates have it under the declared name."""
    return form.text("bk_approve_content") or form.text("bk_approve_message")


def _sn_of(handle: JsonValue) -> str:
    return str(as_object(handle).get("sn"))
