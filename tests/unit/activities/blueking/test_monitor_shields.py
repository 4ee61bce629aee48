"""Alarm shields: what is sent for each scope, strategy and time, and what a refusal leaves."""

import pytest
from pydantic import JsonValue

from activities.blueking.monitor.shields import SHIELDS
from activities.contract import Done, Failed
from activities.sdk import AnyPlugin
from activities.steps import TryAgain
from tests.helpers.systems_platform import (
    Json,
    Reply,
    Systems,
    denial,
    lost,
    on_stage,
    refusal,
    unreached,
)

PLUGINS: dict[tuple[str, str], AnyPlugin] = {
    (each.ref.code, each.ref.version): each for each in SHIELDS
}
SCOPE, STRATEGY = "monitor_alarm_shield", "monitor_alarm_shield_strategy"
DISABLE = PLUGINS["monitor_alarm_shield_disable", "1.0"]
BEGIN, END = "2024-02-01 08:00:00", "2024-02-01 09:30:00"
TIMES: Json = {
    "bk_alarm_time_type": "0",
    "bk_alarm_shield_begin_time": BEGIN,
    "bk_alarm_shield_end_time": END,
}
BIZ: Json = {
    **TIMES,
    "bk_alarm_shield_info": {"bk_alarm_shield_scope": "business"},
    "bk_alarm_shield_target": ["cpu.usage"],
}
BY_STRATEGY: Json = {
    **TIMES,
    "bk_alarm_shield_strategy": "31",
    "bk_alarm_shield_strategy_begin_time": BEGIN,
    "bk_alarm_shield_strategy_end_time": END,
}
VERSIONS = ("1.0", "1.1", "1.2", "2.0")
LATER = ("1.1", "1.2", "2.0")


def shield(category: str, dimensions: Json, **more: JsonValue) -> Json:
    return {
        "begin_time": BEGIN,
        "bk_biz_id": 2,
        "category": category,
        "cycle_config": {
            "begin_time": "",
            "end_time": "",
            "day_list": [],
            "week_list": [],
            "type": 1,
        },
        "description": "shield by bk_sops",
        "dimension_config": dimensions,
        "end_time": END,
        "notice_config": {},
        "shield_notice": False,
        **more,
    }


def monitor(**replies: Reply) -> Systems:
    hosts: list[JsonValue] = [
        {"bk_host_id": 1, "bk_host_innerip": "10.0.0.1", "bk_cloud_id": 0},
        {"bk_host_id": 2, "bk_host_innerip": "10.0.0.2", "bk_cloud_id": 3},
    ]
    named = {name.replace("__", "."): reply for name, reply in replies.items()}
    return Systems(
        {
            "monitor_v3.add_shield": {"id": 55},
            "cc.list_biz_hosts": {"count": 2, "info": hosts},
            **named,
        }
    )


async def sent(systems: Systems, plugin: AnyPlugin, form: Json) -> Json:
    """Return the shield that a form leads to."""
    async with on_stage(systems) as stage:
        outcome = await stage.run(plugin, form)
    assert outcome == Done(outputs={"shield_id": 55, "message": "success"}, note="shield 55"), (
        outcome
    )
    return systems.params_of("monitor_v3.add_shield")[0]


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_business_is_shielded(version: str) -> None:
    found = await sent(monitor(), PLUGINS[SCOPE, version], BIZ)

    assert found == shield("scope", {"scope_type": "biz", "metric_id": ["cpu.usage"]})


@pytest.mark.parametrize("version", VERSIONS)
async def test_hosts_are_shielded_by_address_and_area(version: str) -> None:
    systems = monitor()
    info: Json = {"bk_alarm_shield_scope": "IP", "bk_alarm_shield_IP": "10.0.0.1,10.0.0.2"}
    form: Json = {**BIZ, "bk_alarm_shield_info": info, "bk_alarm_shield_target": ["all", "x"]}
    found = await sent(systems, PLUGINS[SCOPE, version], form)

    target: list[JsonValue] = [
        {"ip": "10.0.0.1", "bk_cloud_id": 0},
        {"ip": "10.0.0.2", "bk_cloud_id": 3},
    ]
    assert found == shield("scope", {"scope_type": "ip", "target": target})
    rule: Json = {"field": "bk_host_innerip", "operator": "in", "value": ["10.0.0.1", "10.0.0.2"]}
    asked = systems.params_of("cc.list_biz_hosts")[0]
    assert asked["host_property_filter"] == {"condition": "AND", "rules": [rule]}
    assert asked["fields"] == ["bk_host_id", "bk_host_innerip", "bk_cloud_id"]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("node", "sets", "templates"),
    [
        (
            {
                "bk_set_method": "select",
                "bk_set_select": ["all"],
                "bk_module_method": "text",
                "bk_module_text": "small,db",
            },
            [11, 12],
            [22],
        ),
        (
            {
                "bk_set_method": "text",
                "bk_set_text": "north",
                "bk_module_method": "select",
                "bk_module_select": ["all"],
            },
            [11],
            [21, 22],
        ),
    ],
    ids=["all sets", "all templates"],
)
async def test_modules_are_shielded(
    version: str, node: Json, sets: JsonValue, templates: JsonValue
) -> None:
    rows: Json = {
        "cc.search_set": [
            {"bk_set_id": 11, "bk_set_name": "north"},
            {"bk_set_id": 12, "bk_set_name": "south"},
        ],
        "cc.list_service_template": [{"id": 21, "name": "web"}, {"id": 22, "name": "db"}],
        "cc.find_module_with_relation": [{"bk_module_id": 41}],
    }
    systems = monitor(**{name: {"count": 1, "info": info} for name, info in rows.items()})
    info: Json = {"bk_alarm_shield_scope": "node", "bk_alarm_shield_node": node}
    found = await sent(
        systems,
        PLUGINS[SCOPE, version],
        {**BIZ, "bk_alarm_shield_info": info, "bk_alarm_shield_target": "all"},
    )

    target: list[JsonValue] = [{"bk_obj_id": "module", "bk_inst_id": 41}]
    assert found == shield("scope", {"scope_type": "node", "target": target})
    page: Json = {"start": 0, "limit": 500}
    assert systems.params_of("cc.find_module_with_relation") == [
        {
            "bk_biz_id": 2,
            "bk_service_template_ids": templates,
            "fields": ["bk_module_id"],
            "bk_set_ids": sets,
            "page": page,
        }
    ]
    whose: Json = {"bk_biz_id": 2, "bk_supplier_account": "0"}
    assert systems.params_of("cc.search_set") == [
        {**whose, "fields": ["bk_set_name", "bk_set_id"], "page": page}
    ]
    assert systems.params_of("cc.list_service_template") == [{**whose, "page": page}]


async def test_modules_of_many_sets_are_asked_for_in_parts() -> None:
    many: list[JsonValue] = [{"bk_set_id": n, "bk_set_name": "north"} for n in range(201)]
    systems = monitor(
        cc__search_set={"count": 201, "info": many},
        cc__list_service_template={"count": 1, "info": [{"id": 21, "name": "web"}]},
        cc__find_module_with_relation={"count": 1, "info": [{"bk_module_id": 41}]},
    )
    node: Json = {
        "bk_set_method": "select",
        "bk_set_select": ["all"],
        "bk_module_method": "select",
        "bk_module_select": ["all"],
    }
    info: Json = {"bk_alarm_shield_scope": "node", "bk_alarm_shield_node": node}
    await sent(systems, PLUGINS[SCOPE, "2.0"], {**BIZ, "bk_alarm_shield_info": info})

    parts = [each["bk_set_ids"] for each in systems.params_of("cc.find_module_with_relation")]
    assert [len(part) for part in parts if isinstance(part, list)] == [200, 1]


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_strategy_is_shielded(version: str) -> None:
    found = await sent(monitor(), PLUGINS[STRATEGY, version], BY_STRATEGY)

    assert found == shield("strategy", {"id": "31"})


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_strategy_is_shielded_on_hosts(version: str) -> None:
    form: Json = {**BY_STRATEGY, "bk_alarm_shield_IP": "10.0.0.1"}
    found = await sent(monitor(), PLUGINS[STRATEGY, version], form)

    dimensions = found["dimension_config"]
    assert isinstance(dimensions, dict)
    assert (dimensions["id"], dimensions["scope_type"]) == ("31", "ip")


@pytest.mark.parametrize("version", ["1.2", "2.0"])
async def test_a_strategy_is_narrowed_to_values_of_dimensions(version: str) -> None:
    form: Json = {
        **BY_STRATEGY,
        "bk_dimension_select_type": "or",
        "bk_dimension_list": [{"dimension_name": "device", "dimension_value": "sda,sdb"}],
    }
    found = await sent(monitor(), PLUGINS[STRATEGY, version], form)

    condition: Json = {
        "condition": "or",
        "key": "device",
        "method": "eq",
        "value": ["sda", "sdb"],
        "name": "device",
    }
    assert found == shield("strategy", {"id": "31", "dimension_conditions": [condition]})


@pytest.mark.parametrize(("code", "form"), [(SCOPE, BIZ), (STRATEGY, BY_STRATEGY)])
async def test_a_reason_is_the_description(code: str, form: Json) -> None:
    found = await sent(monitor(), PLUGINS[code, "2.0"], {**form, "bk_alarm_shield_reason": "why"})

    assert found["description"] == "why"


@pytest.mark.parametrize("version", LATER)
@pytest.mark.parametrize(("code", "form"), [(SCOPE, BIZ), (STRATEGY, BY_STRATEGY)])
@pytest.mark.parametrize(
    ("kind", "begin", "end"),
    [
        ("1", "2024-01-01 08:00:00", "2024-01-01 09:30:00"),
        ("2", BEGIN, END),
    ],
    ids=["from now", "from begin"],
)
async def test_a_shield_may_have_a_duration(
    version: str, code: str, form: Json, kind: str, begin: str, end: str
) -> None:
    more: Json = {
        "bk_alarm_time_type": kind,
        "bk_alarm_shield_duration": "90",
        "bk_alarm_shield_end_time": "",
    }
    found = await sent(monitor(), PLUGINS[code, version], form | more)

    assert (found["begin_time"], found["end_time"]) == (begin, end)


@pytest.mark.parametrize(
    ("more", "error"),
    [
        ({"bk_alarm_shield_begin_time": "soon"}, "bk_alarm_shield_begin_time is 'soon'; a time"),
        ({"bk_alarm_time_type": "7"}, "bk_alarm_time_type is 7; 0 (begin and end)"),
        ({"bk_alarm_time_type": "1"}, "bk_alarm_shield_duration is empty"),
        (
            {
                "bk_alarm_time_type": "2",
                "bk_alarm_shield_duration": "1",
                "bk_alarm_shield_begin_time": "2024-99-01 08:00:00",
            },
            "1 minutes from '2024-99-01 08:00:00' is no time",
        ),
    ],
)
@pytest.mark.parametrize("version", LATER)
@pytest.mark.parametrize(("code", "form"), [(SCOPE, BIZ), (STRATEGY, BY_STRATEGY)])
async def test_what_is_no_time_says_so(
    version: str, code: str, form: Json, more: Json, error: str
) -> None:
    systems = monitor()
    async with on_stage(systems) as stage:
        outcome = await stage.run(PLUGINS[code, version], form | more)

    assert isinstance(outcome, Failed)
    assert outcome.error.startswith(error)
    assert systems.asked == []


@pytest.mark.parametrize(
    ("hosts", "error"),
    [
        ([], "当前业务下未查询到ip信息, 请检查ip地址是否填写正确:10.0.0.9"),
        (
            [{"bk_host_id": 8, "bk_host_innerip": "", "bk_cloud_id": 0}],
            "主机[8]innerip字段为空，蓝鲸监控接口仅支持通过该字段进行ip传参",
        ),
    ],
)
async def test_hosts_that_cannot_be_shielded_fail(hosts: JsonValue, error: str) -> None:
    systems = monitor(cc__list_biz_hosts={"count": 1, "info": hosts})
    form: Json = {**BY_STRATEGY, "bk_alarm_shield_IP": "10.0.0.9"}
    async with on_stage(systems) as stage:
        outcome = await stage.run(PLUGINS[STRATEGY, "2.0"], form)

    assert outcome == Failed(error=error)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(("code", "form"), [(SCOPE, BIZ), (STRATEGY, BY_STRATEGY)])
@pytest.mark.parametrize("reply", [refusal("too long"), denial()], ids=["refused", "denied"])
async def test_a_refused_shield_fails_with_its_text(
    version: str, code: str, form: Json, reply: Reply
) -> None:
    async with on_stage(monitor(monitor_v3__add_shield=reply)) as stage:
        outcome = await stage.run(PLUGINS[code, version], form)

    assert isinstance(outcome, Failed)
    assert outcome.error.startswith("调用监控平台(Monitor)接口monitor_v3.add_shield")
    assert outcome.outputs == {"shield_id": "", "message": outcome.error}


async def test_a_lost_answer_is_an_unknown_outcome_and_a_lost_look_up_is_repeated() -> None:
    async with on_stage(monitor(monitor_v3__add_shield=lost())) as stage:
        shielded = await stage.call(PLUGINS[SCOPE, "2.0"], BIZ)
    form: Json = {**BY_STRATEGY, "bk_alarm_shield_IP": "10.0.0.1"}
    async with on_stage(monitor(cc__list_biz_hosts=lost())) as stage:
        looked_up = await stage.call(PLUGINS[STRATEGY, "2.0"], form)
    async with on_stage(monitor(monitor_v3__add_shield=unreached())) as stage:
        unsent = await stage.call(PLUGINS[SCOPE, "2.0"], BIZ)

    assert isinstance(shielded, Failed)
    assert shielded.error.startswith("outcome unknown")
    assert "look at the alarm shields of business 2, then retry or skip" in shielded.error
    assert isinstance(looked_up, TryAgain)
    assert isinstance(unsent, TryAgain)


@pytest.mark.parametrize("ids", ["5, 6", ["5", "6"]])
async def test_shields_are_lifted_by_their_ids(ids: JsonValue) -> None:
    systems = Systems({"monitor_v3.disable_shield": "done"})
    async with on_stage(systems) as stage:
        outcome = await stage.run(DISABLE, {"bk_alarm_shield_id_input": ids})

    assert outcome == Done(outputs={"data": {"result": "done"}, "status_code": 0})
    assert systems.asked[0].params == {"id": ["5", "6"]}


async def test_a_refused_lift_fails_with_its_text() -> None:
    async with on_stage(Systems({"monitor_v3.disable_shield": refusal("gone", 3301)})) as stage:
        outcome = await stage.run(DISABLE, {"bk_alarm_shield_id_input": "5"})

    assert isinstance(outcome, Failed)
    assert outcome.outputs == {"data": {"result": outcome.error}, "status_code": 3301}


async def test_a_lift_whose_answer_is_lost_is_repeated() -> None:
    async with on_stage(Systems({"monitor_v3.disable_shield": lost()})) as stage:
        result = await stage.call(DISABLE, {"bk_alarm_shield_id_input": "5"})

    assert isinstance(result, TryAgain)
