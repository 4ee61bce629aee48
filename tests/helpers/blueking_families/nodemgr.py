"""The rows of the newer node manager. Source of the requests: plugins' reference, section 3.8."""

from collections.abc import Sequence
from typing import Any, Final

from tests.helpers.blueking_families.nodes import CIPHER, IP, KNOWN, LOST, NEW
from tests.helpers.blueking_families.rows import Json, Row, Sent, post

# --- the newer node manager -------------------------------------------------------------------

_API: Final = "/nodemgr/api/v3"


def _listed(*ips: str) -> Sent:
    return post(
        f"{_API}/topo/host/list",
        exact_include_conditions={"bk_biz_id": [2], "bk_networkarea_id": [0]},
        fuzzy_include_conditions={"bk_host_innerip": [*ips], "bk_host_innerip_v6": []},
        page={"offset": 0, "limit": 1000},
    )


def _watched(kind: str) -> Sent:
    return post(
        f"{_API}/{kind}/workflow/operation/list",
        workflow_id="10001",
        only_count=False,
        page={"offset": 0, "limit": 500},
    )


def _workflow(code: str, info: Json, *sent: Sent, tab: str = "", note: str = "") -> list[Row]:
    """Return the ways of a workflow: it ends well, or badly."""
    page = f"{{bk}}/nodemgr/#/node-manager/history/detail/10001{tab}"
    known = {"workflow_id": "10001", "workflow_url": page}
    row = Row(
        code,
        "v1.0",
        {"nodemgr_biz_id": "2", "nodemgr_op_info": info},
        (*sent, _watched("plugin" if tab else "node")),
        {**known, "success_count": 1, "failed_count": 0},
        main=sent[-1].api,
        path="poll",
        note=note,
    )
    return [
        row,
        row._replace(
            path="failure",
            arrange=LOST,
            outputs={**known, "success_count": 0, "failed_count": 1},
            error="Workflow 执行失败: Operation ",
        ),
    ]


_MANY: Final[Json] = {"bk_networkarea_id": 0, "inner_ip": IP}


def _nodes(kind: str, batch: str, host: Json, api: str, **info: Any) -> list[Row]:
    asked = {
        "nodemgr_operation_type": kind,
        "nodemgr_node_role": "agent",
        "nodemgr_hosts_param_mode": "batch",
        batch: {**_MANY, "upgrade_version": "2.1"},
        **info,
    }
    start = post(f"{_API}/node/agent/{api}", host=[{"bk_host_id": KNOWN, **host}])
    return _workflow("nodemgr_operate_node", asked, _listed(IP), start, note=api)


_CHOSEN: Final[Json] = {"force": True, "graceful_restart_timeout_sec": 60}
_HOW: Final[Json] = {"nodemgr_force_restart": True, "nodemgr_graceful_restart_timeout": "60"}
_INSTALLED: Final[Json] = {
    "bk_networkarea_id": 0,
    "bk_networkunit_id": -1,
    "inner_ip": IP,
    "bk_addressing": "static",
    "os_type": "linux",
    "login_ip": "",
    "login_port": "22",
    "login_user": "root",
    "login_mode": "password",
    "login_password": "secret",
    "re_register": True,
}
_NODE: Final[Json] = {
    "bk_addressing": "static",
    "bk_biz_id": 2,
    "bk_host_innerip": [IP],
    "bk_host_innerip_v6": [],
    "login_ip": IP,
    "login_port": 22,
    "login_user": "root",
    "login_mode": "password",
    "login_password": CIPHER,
    "bk_networkunit_id": 1,
    "os_type": "linux",
    "bk_host_id": KNOWN,
    "re_register": True,
    "install_pre_ordered_plugins": True,
}


def _node_installs(role: str, **more: Any) -> list[Row]:
    info = {
        "nodemgr_operation_type": "install",
        "nodemgr_node_role": role,
        "nodemgr_install_plugin": True,
        "nodemgr_hosts_param_mode": "batch",
        "nodemgr_batch_install": _INSTALLED,
    }
    checked = {
        "bk_biz_id": 2,
        "bk_networkunit_id": 1,
        "bk_host_innerip_list": [IP],
        "bk_host_innerip_v6_list": [],
    }
    return _workflow(
        "nodemgr_operate_node",
        info,
        post(
            f"{_API}/topo/networkunit/recommend_by_network_segment",
            items=[{"bk_networkarea_id": 0, "ip": IP}],
        ),
        post(f"{_API}/node/{role}/install_check", host=[checked]),
        post(f"{_API}/cipher/rsa/get_public_key"),
        post(
            f"{_API}/node/{role}/install",
            host=[{**_NODE, **more}],
            target_version=[],
            is_manual=False,
        ),
        note=f"install_{role}",
    )


def _newer_plugins(kind: str, **fields: str) -> list[Row]:
    batch = {**_MANY, "plugin_name": "bkmonitorbeat", "plugin_version": "3.1"}
    info = {"nodemgr_operation_type": kind, f"nodemgr_batch_{kind}": batch}
    plugin = {"bk_host_id": KNOWN, "plugin_name": "bkmonitorbeat", **fields}
    return _workflow(
        "nodemgr_operate_plugin",
        info,
        _listed(IP),
        post(f"{_API}/plugin/{kind}", plugin=[plugin]),
        tab="?active=plugin",
        note=kind,
    )


NEWER: Final = (
    *_nodes(
        "upgrade",
        "nodemgr_batch_upgrade",
        {**_CHOSEN, "bk_networkunit_id": 1, "cpu_arch": "x86_64", "target_version": "2.1"},
        "upgrade",
        **_HOW,
    ),
    *_nodes("restart", "nodemgr_batch_restart", _CHOSEN, "restart", **_HOW),
    *_nodes(
        "restart",
        "nodemgr_batch_restart",
        _CHOSEN,
        "reconfig",
        **{**_HOW, "nodemgr_reload_config": True},
    ),
    *_nodes("uninstall", "nodemgr_batch_uninstall", {}, "uninstall"),
    *_node_installs("agent"),
    *_node_installs(
        "proxy",
        proxy_install_origin_unit_id=1,
        relay_callback_port=28302,
        relay_download_port=28303,
        proxy_tags=["dedicated_installer", "cluster_tunnel", "file_tunnel", "data_tunnel"],
    ),
    *_newer_plugins("install", version="3.1"),
    *_newer_plugins("uninstall"),
    Row(
        "nodemgr_operate_plugin",
        "v1.0",
        {
            "nodemgr_biz_id": "2",
            "nodemgr_op_info": {
                "nodemgr_operation_type": "install",
                "nodemgr_batch_install": {**_MANY, "inner_ip": NEW, "plugin_name": "x"},
            },
        },
        (_listed(NEW),),
        {},
        path="failure",
        error=f"没有可安装插件的有效节点: {NEW}",
        note="unknown_host",
    ),
)


ROWS: Final[Sequence[Row]] = NEWER
