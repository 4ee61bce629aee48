"""CMDB's rows. Source of the requests: plugins' reference, section 3.3."""

from collections.abc import Sequence
from typing import Any, Final

from tests.helpers.blueking_families.rows import Json, Row, Sent, post
from tests.helpers.blueking_families.shared import (
    LEVELS,
    PAGE,
    TREE,
    WHERE,
    attributes,
    hosts,
    hosts_topo,
)
from workers.fake_blueking import World

IP, OTHER, IDLE = "10.0.1.1", "10.0.1.2", "10.0.9.1"
EAST, WEST = 11, 12
WEB, DB, MAINTENANCE = 31, 32, 33
EDITABLE: Final = [
    "bk_host_name",
    "bk_comment",
    "bk_cpu",
    "bk_state_name",
    "bk_isp_name",
    "bk_province_name",
]


def _empty_west(world: World) -> None:
    world.hosts[105].modules = [20]


def row_of(code: str, version: str, inputs: Json, *sent: Sent, **more: Any) -> Row:
    """Return the way that ends well; the last request is the change."""
    given: Json = {"outputs": {}, "main": sent[-1].api, "repeats": True, **more}
    return Row(code, version, inputs, sent, **given)


def failing(row: Row, inputs: Json, sent: Sequence[Sent], error: str, **more: Any) -> Row:
    """Return the way on which other inputs fail; nothing is changed."""
    way = row._replace(inputs=row.inputs | inputs, sent=sent, path="failure", error=error)
    return way._replace(**{"outputs": {}, "note": "wrong_input", **more})


# --- hosts moved ------------------------------------------------------------------------------


def moved(api: str, number: int, **more: Any) -> Sent:
    return post(f"/cc/{api}/", WHERE, bk_host_id=[number], **more)


def _to(module: int, **more: Any) -> Sent:
    return moved(
        "transfer_host_module", 101, bk_module_id=[module], **{"is_increment": False, **more}
    )


_TRANSFER: Final = row_of(
    "cc_transfer_host_module",
    "legacy",
    {"cc_host_ip": IP, "cc_module_select": ["module_33"], "cc_is_increment": "false"},
    hosts_topo(IP),
    _to(MAINTENANCE),
)
_TRANSFER_BY_TEXT: Final = row_of(
    "cc_transfer_host_module",
    "v1.0",
    {
        "cc_host_ip": IP,
        "cc_module_select_method": "text",
        "cc_module_select_text": "Shop>East>maintenance",
        "cc_is_increment": "true",
    },
    LEVELS,
    TREE,
    hosts_topo(IP),
    _to(MAINTENANCE, is_increment=True),
)
NOT_THERE: Final = "在本业务下不存在: 请检查配置, 修复后重新执行任务"
_FILLED: Final = {
    "cc_transfer_host_ip": f"{IP},{OTHER}",
    "cc_transfer_host_target_module": "Shop>East>maintenance,Shop>East>db",
}
_EXPANDED: Final = [
    {"cc_transfer_host_ip": IP, "cc_transfer_host_target_module": "Shop>East>maintenance"},
    {"cc_transfer_host_ip": OTHER, "cc_transfer_host_target_module": "Shop>East>db"},
]
_LISTED: Final = {
    "cc_transfer_host_ip": f"{IP},{OTHER}",
    "cc_transfer_host_target_module": "East>maintenance,Shop>East>db",
}
_LOST_WAY: Final = {"cc_transfer_host_ip": IP, "cc_transfer_host_target_module": "Shop>South>web"}


def _moves(code: str, version: str, api: str, ip: str, number: int, **more: Any) -> Row:
    return row_of(code, version, {"cc_host_ip": ip}, hosts(ip), moved(api, number), **more)


_MOVES: Final = (
    _moves("cc_transfer_to_idle", "legacy", "transfer_host_to_idlemodule", IP, 101),
    _moves("cmdb_transfer_fault_host", "legacy", "transfer_host_to_faultmodule", IP, 101),
    _moves("cc_transfer_to_recovery", "1.0", "transfer_host_to_recyclemodule", IP, 101),
    _moves(
        "cmdb_transfer_host_resource",
        "legacy",
        "transfer_host_to_resourcemodule",
        IDLE,
        106,
        repeats=False,
    ),
    *(
        row_of(code, "v1.0", {"cc_host_ip": IP}, hosts(IP), post(f"/cc/{api}/", id_list=[101]))
        for code, api in (
            ("cmdb_add_host_lock", "add_host_lock"),
            ("cmdb_delete_host_lock", "delete_host_lock"),
        )
    ),
)

TRANSFERS: Final = (
    _TRANSFER,
    failing(
        _TRANSFER,
        {"cc_host_ip": "10.9.9.9"},
        [hosts_topo("10.9.9.9")],
        f"IP [10.9.9.9] {NOT_THERE}",
        outputs={"invalid_ip": "10.9.9.9"},
    ),
    _TRANSFER_BY_TEXT,
    failing(
        _TRANSFER_BY_TEXT,
        {"cc_module_select_text": "Shop>East"},
        [LEVELS, TREE],
        "输入文本路径[Shop>East]与业务拓扑层级不匹配",
    ),
    failing(
        _TRANSFER_BY_TEXT, {"cc_module_select_method": "else"}, [], "请选择填参方式", note="method"
    ),
    *_MOVES,
    *(
        failing(row, {"cc_host_ip": "10.9.9.9"}, [hosts("10.9.9.9")], f"IP [10.9.9.9] {NOT_THERE}")
        for row in _MOVES
    ),
    row_of(
        "cc_batch_transfer_host_module",
        "1.0",
        {
            "cc_module_select_method": "auto",
            "cc_host_transfer_detail": [_FILLED],
            "is_append": True,
        },
        LEVELS,
        TREE,
        hosts(IP),
        _to(MAINTENANCE, is_increment=True),
        hosts(OTHER),
        moved("transfer_host_module", 102, bk_module_id=[DB], is_increment=True),
        outputs={
            "transfer_host_module_success": _EXPANDED,
            "transfer_host_module_failed": [],
        },
        main="",
    ),
    row_of(
        "cc_batch_transfer_host_module",
        "1.1",
        {"cc_host_transfer_detail": [_LISTED], "is_append": False},
        LEVELS,
        TREE,
        hosts(IP, OTHER),
        post(
            "/cc/transfer_host_module/",
            WHERE,
            bk_host_id=[101, 102],
            bk_module_id=[MAINTENANCE, DB],
            is_increment=False,
        ),
        outputs={"transfer_host_module_success": [_LISTED], "transfer_host_module_failed": []},
        repeats=False,
    ),
    *(
        Row(
            "cc_batch_transfer_host_module",
            version,
            {"cc_host_transfer_detail": [_LOST_WAY], "is_append": True},
            (LEVELS, TREE, hosts(IP)),
            {
                "transfer_host_module_success": [],
                "transfer_host_module_failed": [
                    f"{IP} -> Shop>South>web: 拓扑路径 [Shop>South>web] {NOT_THERE}"
                ],
            },
            path="failure",
            error=f"拓扑路径 [Shop>South>web] {NOT_THERE}",
        )
        for version in ("1.0", "1.1")
    ),
)

# --- sets -------------------------------------------------------------------------------------

_NORTH: Final[Json] = {
    "bk_set_name": "North",
    "bk_set_env": "3",
    "bk_service_status": "1",
    "bk_capacity": "10",
    "bk_set_desc": "",
}
_BY_TEXT: Final[Json] = {"cc_select_set_parent_method": "text", "cc_set_parent_select_text": "Shop"}


def _made(name: str, **more: Any) -> Sent:
    data = {
        "bk_parent_id": 2,
        "bk_set_name": name,
        "bk_set_env": "3",
        "bk_service_status": "1",
        "bk_capacity": 10,
    }
    return post("/cc/create_set/", WHERE, data=data)


def _templated(name: str) -> Sent:
    data = {"bk_parent_id": 2, "bk_set_name": name, "set_template_id": 5, "bk_set_desc": "new"}
    return post("/cc/create_set/", WHERE, data=data)


def _update(number: int, **data: Any) -> Sent:
    return post("/cc/update_set/", WHERE, bk_set_id=number, data=data)


def _searched(value: str, attribute: str = "bk_set_name") -> Sent:
    return post(
        "/cc/search_set/",
        PAGE,
        bk_biz_id=2,
        fields=["bk_set_id", attribute],
        condition={attribute: value},
    )


_CREATE: Final = row_of(
    "cc_create_set",
    "legacy",
    {"cc_set_parent_select": ["biz_2"], "cc_set_info": [_NORTH]},
    attributes("set"),
    _made("North"),
    repeats=False,
)
_BY_TEMPLATE: Final = row_of(
    "cc_create_set_by_template",
    "v1.0",
    {
        **_BY_TEXT,
        "cc_set_name": "North",
        "cc_set_template": "5",
        "cc_set_attr": [{"attr_id": "bk_set_desc", "attr_value": "new"}],
    },
    LEVELS,
    TREE,
    _templated("North"),
    repeats=False,
)
_UPDATE: Final = row_of(
    "cc_update_set",
    "legacy",
    {
        "cc_set_select": ["set_11", "module_31"],
        "cc_set_property": "bk_service_status",
        "cc_set_prop_value": "关闭",
    },
    attributes("set"),
    _update(EAST, bk_service_status="2"),
)
_UPDATE_BY_TEXT: Final = row_of(
    "cc_update_set",
    "v1.0",
    {
        "cc_set_select_method": "text",
        "cc_set_select_text": "Shop>East",
        "cc_set_property": "bk_capacity",
        "cc_set_prop_value": "5",
    },
    LEVELS,
    TREE,
    _update(EAST, bk_capacity=5),
)
_BATCH: Final = [{"bk_set_name": "East", "bk_new_set_name": "East 2", "bk_capacity": 5}]
_BATCH_TEXT: Final = [{"bk_set_name": "East", "bk_new_set_name": "East 2", "bk_capacity": "5"}]
_DELETE: Final = row_of(
    "cc_batch_delete_set",
    "legacy",
    {"cc_set_select": ["set_12"]},
    post("/cc/batch_delete_set/", WHERE, delete={"inst_ids": [WEST]}),
    arrange=(_empty_west,),
    repeats=False,
)
_DELETE_BY_TEXT: Final = row_of(
    "cc_batch_delete_set",
    "v1.0",
    {"cc_set_select_method": "text", "cc_set_select_text": "Shop>West"},
    LEVELS,
    TREE,
    post("/cc/batch_delete_set/", WHERE, delete={"inst_ids": [WEST]}),
    arrange=(_empty_west,),
    repeats=False,
)
_EMPTY_BY_TOPO: Final = row_of(
    "cc_empty_set_hosts",
    "v1.0",
    {"cc_set_select_method": "topo", "cc_set_select_topo": ["set_11"]},
    post("/cc/transfer_sethost_to_idle_module/", WHERE, bk_set_id=EAST),
)

SETS: Final = (
    _CREATE,
    failing(
        _CREATE,
        {"cc_set_info": [{**_NORTH, "bk_capacity": "many"}]},
        [attributes("set")],
        "集群容量必须为整数",
    ),
    _CREATE._replace(
        version="v1.0",
        inputs={
            "cc_set_parent_select": ["biz_2"],
            "cc_set_info": [{**_NORTH, "bk_set_name": "North\nSouth"}],
        },
        sent=(attributes("set"), _made("North"), _made("South")),
    ),
    _CREATE._replace(
        version="v2.0",
        inputs={**_BY_TEXT, "cc_set_info": [_NORTH]},
        sent=(LEVELS, TREE, attributes("set"), _made("North")),
    ),
    _BY_TEMPLATE,
    failing(
        _BY_TEMPLATE,
        {"cc_set_name": "East,North"},
        [LEVELS, TREE, _templated("East"), _templated("North")],
        "数据唯一性校验失败",
        note="one_of_two",
    ),
    _UPDATE,
    failing(_UPDATE, {"cc_set_prop_value": "半开"}, [attributes("set")], "服务状态校验失败"),
    _UPDATE_BY_TEXT,
    failing(
        _UPDATE_BY_TEXT,
        {"cc_set_select_text": "Shop>South"},
        [LEVELS, TREE],
        f"拓扑路径 [Shop>South] {NOT_THERE}",
    ),
    row_of(
        "cc_update_set_service_status",
        "legacy",
        {"cc_set_select": ["set_11", "set_12"], "cc_set_status": "2"},
        _update(EAST, bk_service_status="2"),
        _update(WEST, bk_service_status="2"),
    ),
    row_of(
        "cc_update_set_service_status",
        "v1.0",
        {
            "cc_set_select_method": "text",
            "cc_set_select_text": "Shop>East",
            "cc_set_status": "2",
        },
        LEVELS,
        TREE,
        _update(EAST, bk_service_status="2"),
    ),
    row_of(
        "cc_update_set_service_status",
        "1.1",
        {"set_select_method": "name", "set_list": "East,West", "set_status": "1"},
        _searched("East"),
        _searched("West"),
        _update(EAST, bk_service_status="1"),
        _update(WEST, bk_service_status="1"),
    ),
    row_of(
        "cc_update_set_service_status",
        "1.1",
        {"set_select_method": "id", "set_list": "12", "set_status": "1"},
        _update(WEST, bk_service_status="1"),
        note="by_id",
        main="",
    ),
    row_of(
        "cc_batch_update_set",
        "1.0",
        {"cc_set_select_method": "manual", "cc_set_update_data": _BATCH},
        attributes("set"),
        _searched("East"),
        post(
            "/cc/update_set/",
            bk_biz_id=2,
            bk_set_id=EAST,
            data={"bk_capacity": 5, "bk_set_name": "East 2"},
        ),
        outputs={"set_update_success": _BATCH_TEXT, "set_update_failed": []},
        repeats=False,
    ),
    row_of(
        "cc_empty_set_hosts",
        "legacy",
        {"cc_set_select": ["set_11"]},
        post("/cc/transfer_sethost_to_idle_module/", WHERE, bk_set_id=EAST),
    ),
    _EMPTY_BY_TOPO,
    failing(_EMPTY_BY_TOPO, {"cc_set_select_method": "else"}, [], "请选择填参方式"),
    _DELETE,
    failing(
        _DELETE,
        {},
        _DELETE.sent,
        "set 12 still has hosts",
        arrange=(),
        note="with_hosts",
    ),
    _DELETE_BY_TEXT,
)

ROWS: Final[Sequence[Row]] = (*TRANSFERS, *SETS)
