"""The rows of alarm shields. Source of the requests: plugins' reference, section 3.9."""

from collections.abc import Sequence
from typing import Any, Final

from tests.helpers.blueking_families.rows import (
    Json,
    Like,
    Row,
    Sent,
    post,
)
from tests.helpers.blueking_families.shared import PAGE, WHERE
from workers.fake_blueking import World

# --- shields ----------------------------------------------------------------------------------

_BEGIN, _END = "2030-01-31 08:00:00", "2030-01-31 09:00:00"
_TIME: Final = Like(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")
_HOST_FIELDS: Final = ["bk_host_id", "bk_host_innerip", "bk_cloud_id"]
_FIRST: Final = 10001


def _hosts(*ips: str) -> Sent:
    rules = [{"field": "bk_host_innerip", "operator": "in", "value": [*ips]}]
    where = {"host_property_filter": {"condition": "AND", "rules": rules}}
    return post("/cc/list_biz_hosts/", WHERE, PAGE, where, fields=_HOST_FIELDS)


def _shield(category: str, dimensions: Json, **more: Any) -> Sent:
    cycle: Json = {"begin_time": "", "end_time": "", "day_list": [], "week_list": [], "type": 1}
    body: Json = {
        "bk_biz_id": 2,
        "category": category,
        "description": "shield by bk_sops",
        "begin_time": _BEGIN,
        "end_time": _END,
        "cycle_config": cycle,
        "shield_notice": False,
        "dimension_config": dimensions,
        "notice_config": {},
    }
    return post("/monitor_v3/add_shield/", body, more)


def _shielding(code: str, version: str, inputs: Json, *sent: Sent, **more: Any) -> Row:
    told = {"shield_id": _FIRST, "message": "success"}
    main = "monitor_v3.add_shield"
    return Row(code, version, inputs, sent, told, main=main)._replace(**more)


_FROM_TO: Final[Json] = {
    "bk_alarm_time_type": "0",
    "bk_alarm_shield_begin_time": _BEGIN,
    "bk_alarm_shield_end_time": _END,
}
_FROM_NOW: Final[Json] = {"bk_alarm_time_type": "1", "bk_alarm_shield_duration": "30"}
_FROM_THEN: Final[Json] = {
    "bk_alarm_time_type": "2",
    "bk_alarm_shield_begin_time": _BEGIN,
    "bk_alarm_shield_duration": "60",
}
_METRICS: Final = {"bk_alarm_shield_target": ["bk_monitor.system.load"]}
_NODE: Final[Json] = {
    "bk_set_method": "select",
    "bk_set_select": ["East"],
    "bk_module_method": "text",
    "bk_module_text": "web",
}
_IP_SCOPE: Final[Json] = {"scope_type": "ip", "target": [{"ip": "10.0.1.1", "bk_cloud_id": 0}]}
_DIMENSIONS: Final[Json] = {
    "bk_dimension_select_type": "and",
    "bk_dimension_list": [{"dimension_name": "device", "dimension_value": "sda,sdb"}],
}
_CONDITIONS: Final = [
    {
        "condition": "and",
        "key": "device",
        "method": "eq",
        "value": ["sda", "sdb"],
        "name": "device",
    }
]


def _made_of_template(world: World) -> None:
    world.modules[31].fields["service_template_id"] = 51


def _kept(world: World) -> None:
    world.shields[_FIRST] = {"id": _FIRST, "is_enabled": True}


_BY_BUSINESS: Final = _shielding(
    "monitor_alarm_shield",
    "1.0",
    {
        "bk_alarm_shield_info": {"bk_alarm_shield_scope": "business"},
        **_METRICS,
        "bk_alarm_shield_begin_time": _BEGIN,
        "bk_alarm_shield_end_time": _END,
    },
    _shield("scope", {"scope_type": "biz", "metric_id": ["bk_monitor.system.load"]}),
)
_DISABLE: Final = Row(
    "monitor_alarm_shield_disable",
    "1.0",
    {"bk_alarm_shield_id_input": "10001"},
    (post("/monitor_v3/disable_shield/", id=["10001"]),),
    {"data": {"result": {"id": [_FIRST]}}, "status_code": 0},
    main="monitor_v3.disable_shield",
    repeats=True,
    arrange=(_kept,),
)
_BY_STRATEGY: Final = _shielding(
    "monitor_alarm_shield_strategy",
    "1.0",
    {
        "bk_alarm_shield_strategy": "5",
        "bk_alarm_shield_strategy_begin_time": _BEGIN,
        "bk_alarm_shield_strategy_end_time": _END,
    },
    _shield("strategy", {"id": "5"}),
)

SHIELDS: Final = (
    _BY_BUSINESS,
    _BY_BUSINESS._replace(
        version="1.1",
        inputs={**_BY_BUSINESS.inputs, **_FROM_TO, "bk_alarm_shield_begin_time": "soon"},
        sent=(),
        outputs={},
        path="failure",
        error="bk_alarm_shield_begin_time is 'soon'",
    ),
    _shielding(
        "monitor_alarm_shield",
        "1.1",
        {
            "bk_alarm_shield_info": {
                "bk_alarm_shield_scope": "IP",
                "bk_alarm_shield_IP": "10.0.1.1",
            },
            "bk_alarm_shield_target": ["all"],
            **_FROM_TO,
        },
        _hosts("10.0.1.1"),
        _shield("scope", _IP_SCOPE),
    ),
    _shielding(
        "monitor_alarm_shield",
        "1.2",
        {
            "bk_alarm_shield_info": {
                "bk_alarm_shield_scope": "node",
                "bk_alarm_shield_node": _NODE,
            },
            "bk_alarm_shield_target": ["all"],
            **_FROM_NOW,
        },
        post("/cc/search_set/", WHERE, PAGE, fields=["bk_set_name", "bk_set_id"]),
        post("/cc/list_service_template/", WHERE, PAGE),
        post(
            "/cc/find_module_with_relation/",
            PAGE,
            bk_biz_id=2,
            bk_set_ids=[11],
            bk_service_template_ids=[51],
            fields=["bk_module_id"],
        ),
        _shield(
            "scope",
            {"scope_type": "node", "target": [{"bk_obj_id": "module", "bk_inst_id": 31}]},
            begin_time=_TIME,
            end_time=_TIME,
        ),
        arrange=(_made_of_template,),
    ),
    _shielding(
        "monitor_alarm_shield",
        "2.0",
        {
            "bk_alarm_shield_info": {"bk_alarm_shield_scope": "business"},
            "bk_alarm_shield_target": ["all"],
            "bk_alarm_shield_reason": "release",
            **_FROM_THEN,
        },
        _shield("scope", {"scope_type": "biz"}, description="release"),
    ),
    _BY_STRATEGY,
    _shielding(
        "monitor_alarm_shield_strategy",
        "1.1",
        {"bk_alarm_shield_strategy": "5", "bk_alarm_shield_IP": "10.0.1.1", **_FROM_TO},
        _hosts("10.0.1.1"),
        _shield("strategy", {"id": "5", **_IP_SCOPE}),
    ),
    _shielding(
        "monitor_alarm_shield_strategy",
        "1.2",
        {"bk_alarm_shield_strategy": "5", **_DIMENSIONS, **_FROM_TO},
        _shield("strategy", {"id": "5", "dimension_conditions": _CONDITIONS}),
    ),
    _shielding(
        "monitor_alarm_shield_strategy",
        "2.0",
        {
            "bk_alarm_shield_strategy": "5",
            "bk_alarm_shield_reason": "release",
            **_DIMENSIONS,
            **_FROM_THEN,
        },
        _shield(
            "strategy",
            {"id": "5", "dimension_conditions": _CONDITIONS},
            description="release",
        ),
    ),
    _DISABLE,
    _DISABLE._replace(
        inputs={"bk_alarm_shield_id_input": "7,8"},
        sent=(post("/monitor_v3/disable_shield/", id=["7", "8"]),),
        outputs={
            "data": {"result": Like(r".+there are no shields \[7, 8\].+")},
            "status_code": 1199000,
        },
        path="failure",
        error="there are no shields [7, 8]",
    ),
)


ROWS: Final[Sequence[Row]] = SHIELDS
