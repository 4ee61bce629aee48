"""The rows of CMDB's modules and hosts. Source of the requests: plugins' reference, 3.3."""

from collections.abc import Sequence
from typing import Any, Final

from tests.helpers.blueking_families.cmdb import (
    DB,
    EAST,
    EDITABLE,
    IDLE,
    IP,
    NOT_THERE,
    OTHER,
    WEB,
    failing,
    moved,
    row_of,
)
from tests.helpers.blueking_families.rows import Json, Row, Sent, get, post
from tests.helpers.blueking_families.shared import (
    HOST_FIELDS,
    LEVELS,
    TREE,
    WHERE,
    attributes,
    hosts,
    hosts_topo,
)

# --- modules ----------------------------------------------------------------------------------


def _module(number: int, where: Json = WHERE, **data: Any) -> Sent:
    return post("/cc/update_module/", where, bk_set_id=EAST, bk_module_id=number, data=data)


_CREATE_MODULE: Final = row_of(
    "cc_create_module",
    "legacy",
    {
        "cc_set_select_method": "topo",
        "cc_set_select_topo": ["set_11"],
        "cc_create_method": "template",
        "cc_module_infos_template": [{"cc_service_template": "web_51", "bk_module_type": "普通"}],
    },
    attributes("module"),
    post(
        "/cc/create_module/",
        bk_biz_id=2,
        bk_set_id=EAST,
        data={
            "bk_parent_id": EAST,
            "bk_module_type": "1",
            "service_template_id": 51,
            "bk_module_name": "web",
        },
    ),
    repeats=False,
)
_PATH_ROW: Final[Json] = {"cc_module_select_text": "East>web", "bk_module_name": "web 2"}

MODULES: Final = (
    _CREATE_MODULE,
    _CREATE_MODULE._replace(
        inputs={
            "cc_set_select_method": "text",
            "cc_set_select_text": "Shop>East",
            "cc_create_method": "category",
            "cc_module_infos_category": [
                {"cc_service_category": ["1", "2"], "bk_module_name": "cache"}
            ],
        },
        sent=(
            LEVELS,
            TREE,
            post(
                "/cc/create_module/",
                bk_biz_id=2,
                bk_set_id=EAST,
                data={
                    "bk_parent_id": EAST,
                    "bk_module_name": "cache",
                    "service_category_id": 2,
                },
            ),
        ),
        note="by_category",
        main="",
    ),
    failing(
        _CREATE_MODULE,
        {"cc_module_infos_template": [{"cc_service_template": "web_51", "bk_module_type": "大"}]},
        [attributes("module")],
        "模块类型校验失败",
    ),
    row_of(
        "cc_update_module",
        "legacy",
        {
            "cc_module_select": ["module_31"],
            "cc_module_property": "bk_module_type",
            "cc_module_prop_value": "数据库",
        },
        attributes("module"),
        TREE,
        _module(WEB, bk_module_type="2"),
    ),
    row_of(
        "cc_update_module",
        "v1.0",
        {
            "cc_module_select_method": "text",
            "cc_module_select_text": "Shop>East>web",
            "cc_module_property": "operator",
            "cc_module_prop_value": "wang",
        },
        LEVELS,
        TREE,
        TREE,
        _module(WEB, operator="wang"),
    ),
    row_of(
        "cc_batch_module_update",
        "1.0",
        {"cc_tag_method": "manual", "cc_module_update_data": [_PATH_ROW]},
        attributes("module"),
        LEVELS,
        TREE,
        _module(WEB, {"bk_biz_id": 2}, bk_module_name="web 2"),
        outputs={"module_update_success": [_PATH_ROW], "module_update_failed": []},
        repeats=False,
    ),
)

# --- hosts changed ----------------------------------------------------------------------------


def _changed(where: Json, *rows: tuple[int, Json]) -> Sent:
    update = [{"bk_host_id": number, "properties": data} for number, data in rows]
    return post("/cc/batch_update_host/", where, update=update)


def _rule(order: str, code: str, content: str) -> Json:
    return {"field_order": order, "field_rule_code": code, "field_content": content}


_UPDATE_HOST: Final = row_of(
    "cc_update_host",
    "legacy",
    {"cc_host_ip": f"0:{IP}", "cc_host_property": "bk_state_name", "cc_host_prop_value": "故障"},
    hosts(IP),
    attributes("host"),
    post(
        "/cc/update_host/", bk_host_id="101", bk_supplier_account="0", data={"bk_state_name": "2"}
    ),
)
_BY_RULES: Final = row_of(
    "cc_host_custom_property_change",
    "v1.0",
    {
        "cc_ip_list": f"{IP},10.0.2.1",
        "cc_custom_property": "bk_comment",
        "cc_hostname_rule": [
            _rule("2", "1", "bk_host_name"),
            _rule("1", "6", "x-"),
            _rule("3", "2", "bk_set_name"),
            _rule("4", "3", "bk_module_name"),
        ],
        "cc_custom_rule": [_rule("5", "4", "_"), _rule("6", "5", "7")],
    },
    hosts_topo(IP, "10.0.2.1"),
    get("/cc/get_host_base_info/", bk_host_id=101),
    get("/cc/get_host_base_info/", bk_host_id=104),
    post("/cc/find_set_batch/", bk_biz_id=2, bk_ids=[EAST], fields=["bk_set_name", "bk_set_id"]),
    post(
        "/cc/find_module_batch/",
        bk_biz_id=2,
        bk_ids=[WEB, DB],
        fields=["bk_module_name", "bk_module_id"],
    ),
    _changed(
        {},
        (101, {"bk_comment": "x-host-101Eastweb10_0_1_17"}),
        (104, {"bk_comment": "x-host-104Eastdb10_0_2_18"}),
    ),
    unordered=True,
)
_REPLACE: Final = row_of(
    "cc_replace_fault_machine",
    "legacy",
    {"cc_host_replace_detail": [{"cc_fault_ip": IP, "cc_new_ip": IDLE}], "copy_attributes": True},
    attributes("host"),
    hosts_topo(IP, fields=[*HOST_FIELDS, *EDITABLE]),
    hosts_topo(IDLE, fields=[*HOST_FIELDS, *EDITABLE]),
    _changed(
        {"bk_obj_id": "host", "bk_supplier_account": "0"}, (106, {"bk_host_name": "host-101"})
    ),
    moved("transfer_host_to_faultmodule", 101),
    moved("transfer_host_module", 106, bk_module_id=[WEB], is_increment=True),
    repeats=False,
)

HOSTS: Final = (
    _UPDATE_HOST,
    failing(
        _UPDATE_HOST,
        {"cc_host_prop_value": "睡眠"},
        [hosts(IP), attributes("host")],
        "所在国家校验失败",
    ),
    row_of(
        "cc_batch_update_host",
        "1.0",
        {
            "cc_host_update_method": "auto",
            "cc_auto_separator": ";",
            "cc_host_property_custom": [{"bk_host_innerip": f"{IP};{OTHER}", "bk_cpu": "4;8"}],
        },
        attributes("host"),
        hosts(IP),
        hosts(OTHER),
        _changed({"bk_supplier_account": "0"}, (101, {"bk_cpu": 4}), (102, {"bk_cpu": 8})),
    ),
    _BY_RULES,
    failing(
        _BY_RULES,
        {"cc_ip_list": "10.9.9.9"},
        [hosts_topo("10.9.9.9")],
        f"IP [10.9.9.9] {NOT_THERE}",
        outputs={"invalid_ip": "10.9.9.9"},
    ),
    _REPLACE,
    failing(
        _REPLACE,
        {"cc_host_replace_detail": [{"cc_fault_ip": IP, "cc_new_ip": "10.9.9.9"}]},
        [
            attributes("host"),
            hosts_topo(IP, fields=[*HOST_FIELDS, *EDITABLE]),
            hosts_topo("10.9.9.9", fields=[*HOST_FIELDS, *EDITABLE]),
        ],
        f"无法查询到 {IP} 机器信息，请确认该机器是否在当前业务下",
    ),
)


ROWS: Final[Sequence[Row]] = (*MODULES, *HOSTS)
