"""`bk_approve`: one ticket, ended by ITSM's callback or by a look at it, whichever comes first."""

import pytest
from pydantic import JsonValue

from activities.blueking.approval import APPROVAL, FIRST_LOOK_S, LATEST_LOOK_S
from activities.contract import Done, Failed, Polling
from activities.steps import StepResult, TryAgain
from tests.helpers.systems_platform import (
    Json,
    Reply,
    Systems,
    Turns,
    begun,
    denial,
    lost,
    on_stage,
    refusal,
)

FORM: Json = {
    "bk_verifier": "ann, carl",
    "bk_approve_title": "release",
    "bk_approve_content": "version 2",
}
SN = "NO2024"


def ticket(state: str, **more: JsonValue) -> Json:
    return {"sn": SN, "current_status": state, "approve_result": False, **more}


def itsm(*looks: Reply) -> Systems:
    replies = Turns(looks or [[ticket("RUNNING")]])
    return Systems({"itsm.create_ticket": {"sn": SN}, "itsm.ticket_approval_result": replies})


async def called_back(data: JsonValue, **form: JsonValue) -> StepResult:
    async with on_stage(itsm()) as stage:
        started = await begun(stage, APPROVAL, FORM | form)
        return await stage.callback(
            APPROVAL, FORM | form, data, outputs=started.outputs, handle=started.handle
        )


async def test_a_ticket_is_made_with_our_address_for_its_end() -> None:
    systems = itsm()
    async with on_stage(systems) as stage:
        started = await begun(stage, APPROVAL, FORM)

    [sent] = systems.params_of("itsm.create_ticket")
    url = sent.pop("meta")
    assert sent == {
        "creator": "bob",
        "fields": [
            {"key": "title", "value": "release"},
            {"key": "APPROVER", "value": "ann,carl"},
            {"key": "APPROVAL_CONTENT", "value": "version 2"},
        ],
        "fast_approval": True,
    }
    assert isinstance(url, dict)
    assert str(url["callback_url"]).startswith("https://stdops.test/callback/")
    assert started.outputs == {"sn": SN}
    assert (started.note, started.after_s) == (f"ITSM {SN}", FIRST_LOOK_S)


async def test_the_declared_name_of_the_content_is_read_too() -> None:
    systems = itsm()
    form: Json = {"bk_verifier": "ann", "bk_approve_title": "t", "bk_approve_message": "m"}
    async with on_stage(systems) as stage:
        await begun(stage, APPROVAL, form)

    fields = systems.asked[0].params["fields"]
    assert isinstance(fields, list)
    assert fields[2] == {"key": "APPROVAL_CONTENT", "value": "m"}


async def test_an_approval_ends_the_node() -> None:
    outcome = await called_back(ticket("FINISHED", approve_result=True))

    assert outcome == Done(outputs={"sn": SN, "approve_result": "通过"})


@pytest.mark.parametrize("told", [False, "false"])
async def test_a_rejection_fails_the_node_and_says_so(told: JsonValue) -> None:
    outcome = await called_back(
        ticket("FINISHED", approve_result=told, updated_by="carl", ticket_url="https://itsm.test/1")
    )

    assert outcome == Failed(
        error=f"审批拒绝: ITSM {SN} (by carl, FINISHED, https://itsm.test/1)",
        outputs={"sn": SN, "approve_result": "拒绝"},
    )


async def test_a_rejection_that_does_not_block_ends_well() -> None:
    outcome = await called_back(ticket("FINISHED"), rejected_block=False)

    assert outcome == Done(outputs={"sn": SN, "approve_result": "拒绝"})


@pytest.mark.parametrize("data", [{"sn": SN}, None, "x", {"sn": "another", "approve_result": True}])
async def test_a_callback_that_tells_no_result_makes_us_look(data: JsonValue) -> None:
    outcome = await called_back(data)

    assert isinstance(outcome, Polling)
    assert outcome.after_s == 0
    text = str(outcome.outputs["callback_ignored"])
    assert text.startswith("get Approve Component result failed: ")


async def test_looks_end_the_node_when_no_callback_comes() -> None:
    systems = itsm(
        [ticket("RUNNING")], [ticket("SUSPENDED")], [ticket("FINISHED", approve_result=True)]
    )
    async with on_stage(systems) as stage:
        outcome = await stage.run(APPROVAL, FORM)

    assert outcome == Done(outputs={"sn": SN, "approve_result": "通过"})
    assert systems.params_of("itsm.ticket_approval_result") == [{"sn": [SN]}] * 3


async def test_a_withdrawn_ticket_is_a_rejection() -> None:
    async with on_stage(itsm([ticket("REVOKED")])) as stage:
        outcome = await stage.run(APPROVAL, FORM)

    assert isinstance(outcome, Failed)
    assert outcome.error == f"审批拒绝: ITSM {SN} (REVOKED)"


async def test_looks_come_less_often_with_time() -> None:
    async with on_stage(itsm()) as stage:
        started = await begun(stage, APPROVAL, FORM)
        first = await stage.poll(APPROVAL, FORM, started.handle)
        late = await stage.poll(APPROVAL, FORM, {"sn": SN, "looks": 50})

    assert isinstance(first, TryAgain)
    assert isinstance(late, TryAgain)
    assert (first.after_s, late.after_s) == (FIRST_LOOK_S * 1.2, LATEST_LOOK_S)


@pytest.mark.parametrize("reply", [refusal("no such API"), []], ids=["refused", "unknown"])
async def test_a_look_that_shows_nothing_waits_for_the_callback(reply: Reply) -> None:
    async with on_stage(itsm(reply)) as stage:
        started = await begun(stage, APPROVAL, FORM)
        result = await stage.poll(APPROVAL, FORM, started.handle)

    assert isinstance(result, TryAgain)
    assert result.kind == "still_running"


@pytest.mark.parametrize("reply", [refusal("no such API"), []], ids=["refused", "unknown"])
async def test_a_look_that_shows_nothing_fails_where_nobody_can_call_back(reply: Reply) -> None:
    systems = itsm(reply)
    async with on_stage(systems) as stage:
        stage.nobody_listens()
        outcome = await stage.run(APPROVAL, FORM)

    assert isinstance(outcome, Failed)
    assert systems.params_of("itsm.create_ticket")[0]["meta"] == {}


async def test_a_lost_look_is_repeated() -> None:
    async with on_stage(itsm(lost())) as stage:
        result = await stage.poll(APPROVAL, FORM, {"sn": SN, "looks": 0})

    assert isinstance(result, TryAgain)
    assert result.kind == "not_taken"


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (refusal("nope"), "调用流程服务(ITSM)接口itsm.create_ticket返回失败, error=nope"),
        (denial(), "调用流程服务(ITSM)接口itsm.create_ticket无权限 (use x)"),
        (lost(), "outcome unknown"),
        ({}, "ITSM has made no ticket"),
    ],
    ids=["refused", "denied", "lost", "no ticket"],
)
async def test_a_ticket_that_is_not_made_fails_the_node(reply: Reply, error: str) -> None:
    async with on_stage(Systems({"itsm.create_ticket": reply})) as stage:
        outcome = await stage.run(APPROVAL, FORM)

    assert isinstance(outcome, Failed)
    assert outcome.error.startswith(error)


async def test_a_stopped_node_withdraws_its_ticket() -> None:
    systems = itsm()
    async with on_stage(systems) as stage:
        await stage.stop(APPROVAL, FORM, {"sn": SN, "looks": 0})

    [sent] = systems.params_of("itsm.operate_ticket")
    assert (sent["sn"], sent["operator"], sent["action_type"]) == (SN, "bob", "WITHDRAW")
