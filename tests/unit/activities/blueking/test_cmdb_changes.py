"""CMDB's components that change hosts and replace machines: what they send, how they fail."""

import httpx
import pytest
from pydantic import JsonValue

from activities.blueking.cmdb.changes import CHANGES
from activities.contract import Done, Failed
from tests.helpers.cmdb_platform import WHERE, Cmdb, changes_of, ended, failure_of, lost
from tests.helpers.job_platform import Asked, Json, Reply, good, host, refusal

PLUGINS = {plugin.ref.code: plugin for plugin in CHANGES}
UPDATE = PLUGINS["cc_update_host"]
BATCH = PLUGINS["cc_batch_update_host"]
BY_RULES = PLUGINS["cc_host_custom_property_change"]
REPLACE = PLUGINS["cc_replace_fault_machine"]


def update(attribute: str, value: JsonValue, hosts: str = "10.0.0.1") -> Json:
    return {"cc_host_ip": hosts, "cc_host_property": attribute, "cc_host_prop_value": value}


def row(ip: str, **cells: JsonValue) -> Json:
    return {"bk_host_innerip": ip, **cells}


def batch(*rows: Json, **more: JsonValue) -> Json:
    return {"cc_host_update_method": "manual", "cc_host_property_custom": [*rows], **more}


def batch_change(*update: tuple[int, Json]) -> Asked:
    rows: list[JsonValue] = [{"bk_host_id": number, "properties": data} for number, data in update]
    return Asked("cc.batch_update_host", {"bk_supplier_account": "0", "update": rows})


# --- one attribute ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("attribute", "value", "sent"),
    [
        ("bk_isp_name", "unicom", "2"),
        ("bk_cpu", "8", 8),
        ("is_spare", "true", True),
        ("is_spare", "false", False),
        ("operator", "ann,bob", "ann,bob"),
    ],
)
async def test_an_attribute_of_hosts_is_sent_as_cmdb_wants_it(
    attribute: str, value: str, sent: JsonValue
) -> None:
    form = update(attribute, value, "0:10.0.0.2\n10.0.0.1")

    changes = await changes_of(UPDATE, form)

    request: Json = {"bk_host_id": "2,1", "bk_supplier_account": "0", "data": {attribute: sent}}
    assert changes == [Asked("cc.update_host", request)]


async def test_an_address_with_its_area_is_one_host() -> None:
    platform = Cmdb()
    platform.hosts.append({**host(1, cloud=3), "bk_host_id": 11})

    changes = await changes_of(UPDATE, update("bk_cpu", 1, "3:10.0.0.1,0:10.0.0.1"), platform)

    assert changes[0].params["bk_host_id"] == "11,1"


@pytest.mark.parametrize(
    ("form", "said"),
    [
        (update("bk_isp_name", "?"), "所属运营商校验失败，请重试并修改为正确的所属运营商"),
        (update("bk_state_name", "?"), "所在国家校验失败，请重试并修改为正确的所在国家"),
        (update("bk_province_name", "?"), "所在省份校验失败，请重试并修改为正确的所在省份"),
        (update("bk_cpu", "many"), "bk_cpu 的值 'many' 必须为整数"),
        (update("bk_cpu", "1", "7:10.0.0.1"), "IP [7:10.0.0.1] 在本业务下不存在"),
        (update("bk_cpu", "1", ""), "no host is named"),
    ],
    ids=["isp", "state", "province", "number", "area", "no host"],
)
async def test_a_wrong_form_changes_no_host(form: Json, said: str) -> None:
    platform = Cmdb()

    error = await failure_of(platform, UPDATE, form)

    assert error.startswith(said)
    assert platform.changes == []


async def test_a_lost_change_of_hosts_is_made_again() -> None:
    platform = Cmdb(cc__update_host=[lost(), {}])

    assert len(await changes_of(UPDATE, update("bk_cpu", "1"), platform)) == 2


# --- row by row -------------------------------------------------------------------------------


async def test_all_rows_of_hosts_are_one_call() -> None:
    form = batch(
        row("10.0.0.1", bk_isp_name="unicom", bk_cpu=8, operator=""),
        row("0:10.0.0.2 10.0.0.3", operator="ann"),
    )

    changes = await changes_of(BATCH, form)

    assert changes == [
        batch_change(
            (1, {"bk_isp_name": "2", "bk_cpu": 8}),
            (2, {"operator": "ann"}),
            (3, {"operator": "ann"}),
        )
    ]


@pytest.mark.parametrize("separator", ["", ";"])
async def test_rows_of_hosts_are_expanded_when_the_form_says_so(separator: str) -> None:
    cut = separator or ","
    form = batch(
        row(f"10.0.0.1{cut}10.0.0.2", operator=f"ann{cut}bob", bk_cpu=4),
        cc_host_update_method="auto",
        cc_auto_separator=separator,
    )

    changes = await changes_of(BATCH, form)

    assert changes == [
        batch_change((1, {"operator": "ann", "bk_cpu": 4}), (2, {"operator": "bob", "bk_cpu": 4}))
    ]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (row("10.0.0.9"), "IP [10.0.0.9] 在本业务下不存在"),
        (row("10.0.0.2", bk_isp_name="?"), "所属运营商校验失败"),
        (row("10.0.0.2", bk_cpu="?"), "bk_cpu 的值 '?' 必须为整数"),
        ({"operator": "ann"}, "no host is named"),
    ],
    ids=["host", "choice", "number", "no address"],
)
async def test_a_wrong_row_of_hosts_changes_none_at_all(wrong: Json, said: str) -> None:
    platform = Cmdb()

    error = await failure_of(platform, BATCH, batch(row("10.0.0.1", operator="ann"), wrong))

    assert error.startswith(said)
    assert platform.changes == []


# --- values made by rules ---------------------------------------------------------------------

FOUND: dict[str, httpx.Response] = {
    "cc__get_host_base_info": good(
        [
            {"bk_property_id": "operator", "bk_property_value": "ann"},
            {"bk_property_id": "bk_os_name", "bk_property_value": None},
        ]
    ),
    "cc__find_set_batch": good(
        [
            {"bk_set_id": 5, "bk_set_name": "east"},
            {"bk_set_id": 6, "bk_set_name": "west"},
        ]
    ),
    "cc__find_module_batch": good(
        [
            {"bk_module_id": 52, "bk_module_name": "db"},
            {"bk_module_id": 61, "bk_module_name": "web"},
        ]
    ),
}


def facts(**replies: Reply | list[Reply]) -> Cmdb:
    return Cmdb(**{**FOUND, **replies})


def rule(code: str, content: str, order: int = 1) -> Json:
    return {"field_rule_code": code, "field_content": content, "field_order": order}


def ruled(*rules: Json, hosts: str = "10.0.0.2", attribute: str = "bk_comment") -> Json:
    own: list[JsonValue] = [each for each in rules if str(each["field_rule_code"]) in "123"]
    custom: list[JsonValue] = [each for each in rules if each not in own]
    return {
        "cc_ip_list": hosts,
        "cc_custom_property": attribute,
        "cc_hostname_rule": own,
        "cc_custom_rule": custom,
    }


@pytest.mark.parametrize(
    ("code", "content", "value"),
    [
        ("1", "operator", "ann"),
        ("1", "bk_os_name", ""),
        ("2", "bk_set_name", "eastwest"),
        ("3", "bk_module_name", "dbweb"),
        ("4", "-", "10-0-0-2"),
        ("5", "07", "7"),
        ("6", "x y", "x y"),
    ],
)
async def test_each_rule_adds_its_part(code: str, content: str, value: str) -> None:
    changes = await changes_of(BY_RULES, ruled(rule(code, content)), facts())

    update: JsonValue = [{"bk_host_id": 2, "properties": {"bk_comment": value}}]
    assert changes == [Asked("cc.batch_update_host", {"update": update})]


async def test_rules_read_only_what_they_need() -> None:
    platform = facts()

    await changes_of(BY_RULES, ruled(rule("2", "bk_set_name"), rule("6", "x")), platform)

    assert platform.params_of("cc.find_set_batch") == [
        {"bk_biz_id": 2, "bk_ids": [5, 6], "fields": ["bk_set_name", "bk_set_id"]}
    ]
    assert not {"cc.get_host_base_info", "cc.find_module_batch"} & {*platform.names()}


async def test_rules_are_in_the_order_of_texts_and_counters_go_up_by_host() -> None:
    rules = [rule("6", "b", 2), rule("5", "8", 3), rule("6", "a", 10), rule("4", "", 4)]

    (change,) = await changes_of(BY_RULES, ruled(*rules, hosts="10.0.0.1 10.0.0.2"), facts())

    assert change.params["update"] == [
        {"bk_host_id": 1, "properties": {"bk_comment": "ab810001"}},
        {"bk_host_id": 2, "properties": {"bk_comment": "ab910002"}},
    ]


async def test_unknown_hosts_of_rules_are_an_output() -> None:
    platform = facts()

    end = await ended(platform, BY_RULES, ruled(rule("6", "x"), hosts="10.0.0.8,10.0.0.2,10.0.0.9"))

    assert isinstance(end, Failed), end
    assert end.error.startswith("IP [10.0.0.8, 10.0.0.9] 在本业务下不存在")
    assert end.outputs == {"invalid_ip": "10.0.0.8,10.0.0.9"}
    assert platform.changes == []


@pytest.mark.parametrize(
    ("form", "said"),
    [
        (ruled(), "请选择至少一种规则"),
        (ruled(rule("7", "x")), "field_rule_code '7' is none of 1 to 6"),
        (ruled(rule("5", "x")), "field_content is 'x'; a whole number is wanted"),
        (ruled(rule("6", "x"), hosts="none"), "no host is named"),
    ],
    ids=["no rule", "unknown rule", "no number", "no host"],
)
async def test_wrong_rules_change_no_host(form: Json, said: str) -> None:
    platform = facts()

    error = await failure_of(platform, BY_RULES, form)

    assert error.startswith(said)
    assert platform.changes == []


async def test_a_refused_look_at_a_host_is_told() -> None:
    platform = facts(cc__get_host_base_info=refusal("no such host"))

    error = await failure_of(platform, BY_RULES, ruled(rule("1", "operator")))

    assert error.startswith("调用配置平台(CMDB)接口cc.get_host_base_info返回失败")


@pytest.mark.parametrize(("attribute", "sent"), [("bk_comment", 2), ("operator", 1)])
async def test_a_value_that_is_made_of_itself_is_sent_once(attribute: str, sent: int) -> None:
    platform = facts(cc__batch_update_host=[lost(), {}])

    end = await ended(platform, BY_RULES, ruled(rule("1", "operator"), attribute=attribute))

    assert len(platform.changes) == sent
    assert isinstance(end, Failed if attribute == "operator" else Done), end


# --- machines replaced ------------------------------------------------------------------------


def replacing(*pairs: tuple[str, str], **more: JsonValue) -> Json:
    rows: list[JsonValue] = [{"cc_fault_ip": old, "cc_new_ip": new} for old, new in pairs]
    return {"cc_host_replace_detail": rows, **more}


def shop() -> Cmdb:
    platform = Cmdb()
    platform.hosts = [
        {**host(1), "operator": "ann", "is_spare": None, "bk_os_name": "x"},
        {**host(2), "operator": "bob"},
        host(3),
        host(4),
    ]
    return platform


def moved(api: str, hosts: list[JsonValue], **more: JsonValue) -> Asked:
    return Asked(api, {**WHERE, "bk_host_id": hosts, **more})


MOVED = [
    moved("cc.transfer_host_to_faultmodule", [1, 2]),
    moved("cc.transfer_host_module", [3], bk_module_id=[51], is_increment=True),
    moved("cc.transfer_host_module", [4], bk_module_id=[52, 61], is_increment=True),
]
BOTH = (("10.0.0.1", "10.0.0.3"), ("10.0.0.2", "10.0.0.4"))


async def test_new_machines_get_the_attributes_and_modules_of_the_broken_ones() -> None:
    changes = await changes_of(REPLACE, replacing(*BOTH), shop())

    update: JsonValue = [
        {"bk_host_id": 3, "properties": {"is_spare": None, "operator": "ann"}},
        {"bk_host_id": 4, "properties": {"operator": "bob"}},
    ]
    copied: Json = {"bk_obj_id": "host", "bk_supplier_account": "0", "update": update}
    assert changes == [Asked("cc.batch_update_host", copied), *MOVED]


async def test_attributes_are_not_copied_when_the_form_says_so() -> None:
    assert await changes_of(REPLACE, replacing(*BOTH, copy_attributes=False), shop()) == MOVED


@pytest.mark.parametrize("pair", [("10.0.0.1", "10.0.0.9"), ("10.0.0.1", ""), ("10.0.0.1", "x")])
async def test_a_machine_that_is_not_there_is_told_by_the_broken_one(
    pair: tuple[str, str],
) -> None:
    platform = shop()

    error = await failure_of(platform, REPLACE, replacing(pair))

    assert error == "无法查询到 10.0.0.1 机器信息，请确认该机器是否在当前业务下"
    assert platform.changes == []


async def test_no_machines_are_no_replacement() -> None:
    error = await failure_of(Cmdb(), REPLACE, replacing())

    assert error.startswith("cc_host_replace_detail is empty")


@pytest.mark.parametrize(
    ("reply", "begins"),
    [
        (refusal("busy"), "调用配置平台(CMDB)接口cc.transfer_host_module返回失败"),
        (lost(), "outcome"),
    ],
    ids=["refused", "lost"],
)
async def test_a_half_done_replacement_tells_what_is_done_and_what_to_do(
    reply: Reply, begins: str
) -> None:
    platform = Cmdb(cc__transfer_host_module=[{}, reply])
    platform.hosts = shop().hosts

    error = await failure_of(platform, REPLACE, replacing(*BOTH))

    assert error.startswith(begins)
    assert "\n成功替换的机器: 3 (modules 51)\n" in error
    assert "move the new ones by hand, then skip" in error


async def test_a_lost_move_to_the_fault_module_is_not_sent_again() -> None:
    platform = Cmdb(cc__transfer_host_to_faultmodule=lost())
    platform.hosts = shop().hosts

    error = await failure_of(platform, REPLACE, replacing(*BOTH, copy_attributes=False))

    assert error.startswith("outcome unknown: ")
    assert [each.name for each in platform.changes] == ["cc.transfer_host_to_faultmodule"]
