"""`bk_notify`: who is told, by which channel, and what a failed channel means."""

import pytest

from activities.blueking.notices import NOTICES
from activities.contract import Done, Failed
from activities.steps import TryAgain
from tests.helpers.systems_platform import (
    Json,
    Reply,
    Systems,
    Turns,
    denial,
    lost,
    on_stage,
    refusal,
    unreached,
)

LEGACY, NEW = NOTICES
BUSINESS: Json = {
    "count": 1,
    "info": [{"bk_biz_maintainer": "ann,carl", "bk_biz_productor": "", "bk_biz_tester": "tess"}],
}
FORM: Json = {
    "biz_cc_id": "2",
    "bk_notify_type": ["weixin", "email", "sms"],
    "bk_receiver_info": {
        "bk_receiver_group": ["Maintainers", "ProductPm"],
        "bk_more_receiver": "zoe, ann",
    },
    "bk_notify_title": "T",
    "bk_notify_content": "C",
}
ALL = "ann,carl,zoe"


def platform(**replies: Reply | Turns) -> Systems:
    named = {name.replace("__", "."): reply for name, reply in replies.items()}
    return Systems({"cc.search_business": BUSINESS, **named})


async def test_legacy_tells_by_each_channel_in_order() -> None:
    systems = platform()
    async with on_stage(systems) as stage:
        outcome = await stage.run(LEGACY, FORM)

    assert outcome == Done(outputs={"code": 0, "message": "success"})
    assert [tuple(each) for each in systems.asked] == [
        ("cc.search_business", {"bk_supplier_account": "0", "condition": {"bk_biz_id": 2}}),
        (
            "cmsi.send_weixin",
            {"receiver__username": ALL, "data": {"heading": "T", "message": "C"}},
        ),
        (
            "cmsi.send_mail",
            {"receiver__username": ALL, "title": "T", "content": "<pre>C</pre>"},
        ),
        ("cmsi.send_sms", {"receiver__username": ALL, "content": "T\nC"}),
    ]


async def test_legacy_takes_fields_of_the_first_forms() -> None:
    systems = platform()
    form: Json = {
        **FORM,
        "bk_receiver_info": None,
        "bk_receiver_group": ["bk_biz_tester"],
        "bk_more_receiver": "zoe",
        "bk_notify_type": ["sms"],
    }
    async with on_stage(systems) as stage:
        assert isinstance(await stage.run(LEGACY, form), Done)

    assert systems.asked[-1].params["receiver__username"] == "tess,zoe"


async def test_without_groups_cmdb_is_not_asked() -> None:
    systems = platform()
    form: Json = {**FORM, "bk_receiver_info": {"bk_more_receiver": "zoe, ann"}}
    async with on_stage(systems) as stage:
        assert isinstance(await stage.run(LEGACY, form), Done)

    assert systems.asked[0].params["receiver__username"] == "zoe,ann"
    assert "cc.search_business" not in systems.names


async def test_legacy_stops_at_the_first_refusal_and_tells_who_was_told() -> None:
    systems = platform(cmsi__send_mail=refusal("mailbox full"))
    async with on_stage(systems) as stage:
        outcome = await stage.run(LEGACY, FORM)

    assert outcome == Failed(
        error="mailbox full (sent already: weixin)", outputs={"sent": ["weixin"]}
    )
    assert "cmsi.send_sms" not in systems.names


async def test_a_lost_answer_says_that_the_outcome_is_unknown() -> None:
    async with on_stage(platform(cmsi__send_mail=lost())) as stage:
        outcome = await stage.run(LEGACY, FORM)

    assert isinstance(outcome, Failed)
    assert "outcome unknown" in outcome.error
    assert "'email' came; (sent already: weixin)" in outcome.error


async def test_what_reached_nobody_is_sent_again() -> None:
    async with on_stage(platform(cmsi__send_weixin=unreached())) as stage:
        result = await stage.call(LEGACY, FORM)

    assert isinstance(result, TryAgain)
    assert result.kind == "not_taken"


async def test_what_reached_somebody_is_not_sent_again() -> None:
    systems = platform(cmsi__send_mail=unreached())
    async with on_stage(systems) as stage:
        outcome = await stage.run(LEGACY, FORM)

    assert isinstance(outcome, Failed)
    assert outcome.outputs == {"sent": ["weixin"]}
    assert systems.names.count("cmsi.send_weixin") == 1


async def test_an_unknown_channel_fails_before_anything_is_sent() -> None:
    systems = platform()
    async with on_stage(systems) as stage:
        outcome = await stage.run(LEGACY, {**FORM, "bk_notify_type": ["sms", "pigeon"]})

    assert isinstance(outcome, Failed)
    assert "'pigeon'" in outcome.error
    assert systems.names == ["cc.search_business"]


@pytest.mark.parametrize("plugin", NOTICES, ids=str)
async def test_a_business_that_cmdb_does_not_show_fails(plugin: object) -> None:
    version = next(each for each in NOTICES if each is plugin)
    async with on_stage(platform(cc__search_business={"count": 0, "info": []})) as stage:
        outcome = await stage.run(version, FORM)

    assert isinstance(outcome, Failed)
    assert outcome.error.startswith("业务人员信息查询失败: 从[配置平台]中查询业务[ID: 2]")


async def test_nobody_to_tell_is_an_error() -> None:
    form: Json = {**FORM, "bk_receiver_info": {"bk_receiver_group": ["ProductPm"]}}
    async with on_stage(platform()) as stage:
        outcome = await stage.run(NEW, form)

    assert isinstance(outcome, Failed)
    assert outcome.error.startswith("nobody is to be told")


async def test_v1_tells_by_every_channel() -> None:
    systems = platform()
    form: Json = {**FORM, "bk_notify_type": ["mail", "rtx", "voice"], "notify": True}
    async with on_stage(systems) as stage:
        outcome = await stage.run(NEW, form)

    to = f"bob,{ALL}"
    assert outcome == Done()
    assert systems.params_of("cmsi.send_msg") == [
        {"msg_type": "mail", "receiver__username": to, "title": "T", "content": "<pre>C</pre>"},
        {"msg_type": "rtx", "receiver__username": to, "title": "T", "content": "C"},
    ]
    assert systems.params_of("cmsi.send_voice_msg") == [
        {"receiver__username": to, "auto_read_message": "T,C"}
    ]


async def test_v1_puts_the_executor_first_and_each_name_once() -> None:
    systems = platform()
    form: Json = {
        **FORM,
        "bk_notify_type": ["rtx"],
        "bk_receiver_info": {"bk_more_receiver": "zoe,bob", "bk_staff_group": [7]},
    }
    async with on_stage(systems) as stage:
        await stage.run(NEW, form)

    assert systems.asked[-1].params["receiver__username"] == "bob,zoe,dora,ann"


async def test_an_unknown_staff_group_says_where_it_is_set() -> None:
    form: Json = {**FORM, "bk_receiver_info": {"bk_more_receiver": "zoe", "bk_staff_group": [8]}}
    async with on_stage(platform()) as stage:
        outcome = await stage.run(NEW, form)

    assert isinstance(outcome, Failed)
    assert "blueking.staff_groups" in outcome.error


async def test_v1_tries_all_channels_and_joins_what_failed() -> None:
    systems = platform(cmsi__send_msg=Turns([refusal("<b>full</b>"), None]))
    form: Json = {**FORM, "bk_notify_type": ["mail", "rtx"]}
    async with on_stage(systems) as stage:
        outcome = await stage.run(NEW, form)

    assert isinstance(outcome, Failed)
    assert "调用蓝鲸服务(BK)接口cmsi.send_msg返回失败, error=|b|full|/b|" in outcome.error
    assert outcome.error.endswith("; (sent already: rtx)")
    assert outcome.outputs == {"sent": ["rtx"]}


async def test_a_denied_channel_names_the_permission() -> None:
    async with on_stage(platform(cmsi__send_weixin=denial())) as stage:
        outcome = await stage.run(LEGACY, FORM)

    assert isinstance(outcome, Failed)
    assert "无权限 (use x)" in outcome.error
