"""The rows of NodeMan. Source of the requests: plugins' reference, 3.8."""

from collections.abc import Sequence
from typing import Any, Final

from tests.helpers.blueking_families.rows import Json, Like, Row, Sent, broken, get, post
from tests.helpers.blueking_families.services import ME
from tests.helpers.blueking_families.shared import PAGE, WHERE

IP, NEW, KNOWN = "10.0.1.1", "10.0.9.9", 101
CIPHER: Final = Like(r"[A-Za-z0-9+/=]{100,}")
"""A secret, encrypted for the node manager alone."""

_FIRST: Final = 10001
_GOOD: Final[Json] = {"job_id": _FIRST, "success_num": 1, "fail_num": 0}
_BAD: Final[Json] = {"job_id": _FIRST, "success_num": 0, "fail_num": 1}
LOST: Final = (broken(IP),)
_KEYS: Final = post("/nodeman/core/api/encrypt_rsa/fetch_public_keys/", names=["DEFAULT"])
_LOOK: Final = post("/nodeman/api/job/details/", job_id=_FIRST)
_FAILED: Final = f"操作失败主机日志信息：\n主机：{IP}\n错误日志：install\nagent does not answer"


def _log(name: str = f"host|{KNOWN}") -> Sent:
    return post("/nodeman/api/job/log/", job_id=_FIRST, instance_id=f"host|instance|{name}")


def _found(ip: str = IP) -> Sent:
    conditions = [{"key": "inner_ip", "value": [ip]}, {"key": "bk_cloud_id", "value": [0]}]
    return post("/nodeman/api/plugin/search/", bk_biz_id=[2], pagesize=-1, conditions=conditions)


def _found_in_cmdb(ip: str = IP) -> Sent:
    rules = [
        {"field": "bk_host_innerip", "operator": "in", "value": [ip]},
        {"field": "bk_cloud_id", "operator": "equal", "value": 0},
    ]
    where = {"host_property_filter": {"condition": "AND", "rules": rules}}
    fields = ["bk_host_id", "bk_host_innerip"]
    return post("/cc/list_biz_hosts/", WHERE, PAGE, where, fields=fields)


def _job(row: Row, *, log: Sent | None = None) -> list[Row]:
    """Return the ways of a component that starts a job: it ends well, or badly."""
    way = row._replace(path="poll", sent=(*row.sent, _LOOK))
    bad = way._replace(path="failure", arrange=LOST, error=_FAILED, sent=(*way.sent, log or _log()))
    pages = {"job_url": row.outputs["job_url"]} if "job_url" in row.outputs else {}
    return [way, bad._replace(outputs={**_BAD, **pages}, note=row.note)]


# --- NodeMan ----------------------------------------------------------------------------------

_ROW: Final[Json] = {
    "inner_ip": IP,
    "os_type": "LINUX",
    "port": "22",
    "account": "root",
    "auth_type": "PASSWORD",
    "auth_key": "secret",
    "outer_ip": "",
    "login_ip": "10.0.8.1",
    "data_ip": "",
}
_PLACE: Final[Json] = {"nodeman_bk_cloud_id": 0, "nodeman_ap_id": 1}
_LOGIN: Final[Json] = {"port": "22", "account": "root", "auth_type": "PASSWORD", "password": CIPHER}
_HOST: Final[Json] = {
    "bk_biz_id": 2,
    "bk_cloud_id": 0,
    "ap_id": 1,
    "os_type": "LINUX",
    "is_manual": False,
    "inner_ip": IP,
    "login_ip": "10.0.8.1",
    "peer_exchange_switch_for_agent": 0,
}


def _install(job: str, host: Json, **more: Any) -> Sent:
    return post("/nodeman/api/job/install/", job_type=job, hosts=[host], **more)


def _operate(job: str) -> Sent:
    return post("/nodeman/api/job/operate/", job_type=job, bk_biz_id=[2], bk_host_id=[KNOWN])


def _task(version: str, inputs: Json, *sent: Sent, note: str = "") -> Row:
    given = {"bk_biz_id": "2", **inputs}
    main = sent[-1].api
    return Row("nodeman_create_task", version, given, sent, _GOOD, main=main, note=note)


def _v2(operation: str, **info: Any) -> Json:
    target = {"nodeman_bk_cloud_id": 0, "nodeman_node_type": "AGENT"}
    return {
        "nodeman_op_target": target,
        "nodeman_op_info": {"nodeman_op_type": operation, "nodeman_ap_id": 1, **info},
    }


def _newer(operation: str, **info: Any) -> Json:
    kind = {"nodeman_op_type": operation, "nodeman_node_type": "AGENT"}
    return {"nodeman_op_info": {**kind, **info}}


_OTHERS: Final = [{"nodeman_bk_cloud_id": 0, "nodeman_ip_str": IP}]
_AGENT: Final[Json] = {
    **_ROW,
    **_PLACE,
    "peer_exchange_switch_for_agent": 1,
    "speed_limit": "30",
    "force_update_agent_id": True,
}
_AGENT_SENT: Final[Json] = {
    **_HOST,
    **_LOGIN,
    "peer_exchange_switch_for_agent": 1,
    "force_update_agent_id": True,
    "bt_speed_limit": 30,
}


def _installs(version: str, row: Json, sent: Json) -> list[Row]:
    inputs = _newer("INSTALL", nodeman_hosts=[row], nodeman_install_latest_plugins=False)
    start = _install("INSTALL_AGENT", sent, is_install_latest_plugins=False)
    return _job(_task(version, inputs, _KEYS, start))


_REMOVE: Final = post(
    "/nodeman/api/remove_host/", bk_biz_id=[2], bk_host_id=[KNOWN], is_proxy=False
)
_RELOADED: Final[Json] = {
    **_HOST,
    "bk_host_id": KNOWN,
    "peer_exchange_switch_for_agent": 1,
    "force_update_agent_id": True,
    "bt_speed_limit": 30,
}

TASKS: Final = (
    *_job(
        _task(
            "v2.0",
            _v2("INSTALL", nodeman_hosts=[_ROW]),
            _KEYS,
            _install("INSTALL_AGENT", {**_HOST, **_LOGIN}),
        )
    ),
    *_job(
        _task(
            "v2.0",
            _v2("UPGRADE", nodeman_ip_str=IP),
            _found(),
            _operate("UPGRADE_AGENT"),
            note="operate",
        )
    ),
    _task("v2.0", _v2("REMOVE", nodeman_ip_str=IP), _found(), _REMOVE, note="remove")._replace(
        outputs={"job_id": ""}
    ),
    _task("v2.0", _v2("PAINT", nodeman_ip_str=IP), _REMOVE, note="no_such")._replace(
        sent=(), outputs={}, path="failure", error="无效的操作请求:PAINT_AGENT", main=""
    ),
    *_job(
        _task(
            "v3.0",
            {
                "nodeman_node_type": "AGENT",
                "nodeman_op_info": {
                    "nodeman_op_type": "REINSTALL",
                    "nodeman_hosts": [{**_ROW, **_PLACE}],
                },
            },
            _KEYS,
            _found(),
            _install("REINSTALL_AGENT", {**_HOST, **_LOGIN, "bk_host_id": KNOWN}),
        )
    ),
    *_installs("v4.0", _AGENT, _AGENT_SENT),
    *_job(
        _task(
            "v4.0",
            _newer("RELOAD", nodeman_hosts=[_AGENT]),
            _found_in_cmdb(),
            _install("RELOAD_AGENT", _RELOADED),
            note="reload",
        )
    ),
    *_installs("v5.0", _AGENT, _AGENT_SENT),
    *_job(
        _task(
            "v5.0",
            _newer("RESTART", nodeman_other_hosts=_OTHERS),
            _found(),
            _operate("RESTART_AGENT"),
            note="operate",
        )
    ),
    *_installs(
        "v6.0",
        {**_AGENT, "nodeman_bk_install_channel": 3},
        {**_AGENT_SENT, "install_channel_id": 3},
    ),
    *_installs(
        "v7.0",
        {**_AGENT, "nodeman_bk_install_channel": -1, "bk_addressing": "dynamic"},
        {**_AGENT_SENT, "bk_addressing": "dynamic"},
    ),
    _task("v7.0", _newer("UPGRADE", nodeman_other_hosts=[]), _REMOVE, note="no_host")._replace(
        sent=(), outputs={}, path="failure", error="UPGRADE_AGENT: no host is given", main=""
    ),
)

_OLD_ROW: Final[Json] = {
    "conn_ips": IP,
    "os_type": "LINUX",
    "has_cygwin": False,
    "port": "22",
    "account": "root",
    "auth_type": "PASSWORD",
    "auth_key": "secret",
}
_OLD_LOOK: Final = get("/nodeman/get_task_info/", bk_biz_id=2, job_id=_FIRST)
_OLD: Final = Row(
    "nodeman_create_task",
    "legacy",
    {
        "biz_cc_id": "2",
        "nodeman_bk_cloud_id": "0",
        "nodeman_node_type": "AGENT",
        "nodeman_op_type": "INSTALL",
        "nodeman_hosts": [_OLD_ROW],
    },
    (
        post(
            "/nodeman/create_task/",
            bk_biz_id=2,
            bk_cloud_id="0",
            node_type="AGENT",
            op_type="INSTALL",
            creator=ME,
            hosts=[
                {
                    "conn_ips": IP,
                    "os_type": "LINUX",
                    "has_cygwin": False,
                    "port": "22",
                    "account": "root",
                    "auth_type": "PASSWORD",
                    "password": CIPHER,
                }
            ],
        ),
        _OLD_LOOK,
    ),
    _GOOD,
    main="nodeman.create_task",
    path="poll",
)

LEGACY: Final = (
    _OLD,
    _OLD._replace(
        sent=(*_OLD.sent, get("/nodeman/get_log/", host_id=0, bk_biz_id=2)),
        outputs=_BAD,
        path="failure",
        arrange=LOST,
        error=f"日志信息为：\n主机：{IP}\n日志：agent does not answer",
    ),
)


def _plugins(of: str, inputs: Json, kind: str, *lookup: Sent, **params: Any) -> list[Row]:
    hosts = ["101"] if not lookup else [KNOWN]
    pages = [f"{{bk}}/nodeman/#/task-history/{_FIRST}/log/host|instance|host|{KNOWN}"]
    asked = {
        "nodeman_op_type": kind,
        "nodeman_plugin": "basereport",
        "nodeman_plugin_version": "10.8.40",
        "install_config": ["keep_config", "no_restart"],
    }
    start = post(
        "/nodeman/api/plugin/operate/",
        job_type=kind,
        bk_biz_id=[2],
        bk_host_id=hosts,
        plugin_params={"name": "basereport", **params},
    )
    row = Row(
        "nodeman_plugin_operate",
        of,
        {"nodeman_plugin_operate": asked, **inputs},
        (*lookup, start),
        {**_GOOD, "job_url": pages},
        main="nodeman.api/plugin/operate",
    )
    return _job(row)


PLUGINS: Final = (
    *_plugins(
        "v1.0",
        {"nodeman_host_info": {"nodeman_host_input_type": "host_id", "nodeman_host_id": "101"}},
        "MAIN_INSTALL_PLUGIN",
        version="10.8.40",
        keep_config=1,
    ),
    *_plugins(
        "v2.0",
        {"nodeman_bk_cloud_id": 0, "nodeman_host_ip": IP},
        "MAIN_STOP_PLUGIN",
        _found(),
        version="latest",
    ),
)

ROWS: Final[Sequence[Row]] = (*TASKS, *LEGACY, *PLUGINS)
