"""`nodemgr_operate_node`: agents and proxies upgraded, restarted, removed; installed by `install`.

Source: plugins' reference, section 3.8; differs: as in `nodemgr.hosts`.
"""

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from pydantic import JsonValue

from activities.blueking.catalogue import blueking, served
from activities.blueking.client import BlueKing, Json, as_object
from activities.blueking.form import Fields, Form, Written
from activities.blueking.nodemgr.answers import ask
from activities.blueking.nodemgr.hosts import Found, look_up, rows_of
from activities.blueking.nodemgr.install import install
from activities.blueking.nodemgr.workflows import follow, with_looks
from activities.calls import Call, PluginError

ROLES: Final = ("agent", "proxy")
RESTART_TIMEOUT_S: Final = 120


class Operation(NamedTuple):
    """An operation on nodes that are there: its part of the form, what it sends, its API."""

    batch: str
    keys: tuple[str, ...]
    host: Callable[[Fields, Found], Json]
    api: Callable[[Fields], str]
    none: str


def _upgraded(info: Fields, found: Found) -> Json:
    about = as_object(found.known.get("info"))
    return {
        **_restarted(info, found),
        "bk_networkunit_id": about.get("bk_networkunit_id", -1),
        "cpu_arch": about.get("cpu_arch", ""),
        "target_version": found.row.raw("upgrade_version"),
    }


def _restarted(info: Fields, found: Found) -> Json:
    limit = info.number("nodemgr_graceful_restart_timeout")
    return {
        **_removed(info, found),
        "force": info.flag("nodemgr_force_restart"),
        "graceful_restart_timeout_sec": RESTART_TIMEOUT_S if limit is None else limit,
    }


def _removed(_: Fields, found: Found) -> Json:
    return {"bk_host_id": found.known.get("bk_host_id", -1)}


def _upgrade_api(_: Fields) -> str:
    return "nodemgr.node_upgrade"


def _uninstall_api(_: Fields) -> str:
    return "nodemgr.node_uninstall"


def _restart_api(info: Fields) -> str:
    reloads = info.flag("nodemgr_reload_config")
    return "nodemgr.node_reconfig" if reloads else "nodemgr.node_restart"


OPERATIONS: Final[Mapping[str, Operation]] = {
    "upgrade": Operation(
        "nodemgr_batch_upgrade",
        ("upgrade_version",),
        _upgraded,
        _upgrade_api,
        "没有可升级的有效节点",
    ),
    "restart": Operation(
        "nodemgr_batch_restart", (), _restarted, _restart_api, "没有可重启的有效节点"
    ),
    "uninstall": Operation(
        "nodemgr_batch_uninstall",
        (),
        _removed,
        _uninstall_api,
        "没有可卸载的有效节点",
    ),
}


async def _run(call: Call[Form]) -> Written:
    """Install, upgrade, restart or remove agents and proxies."""
    bk, form = blueking(call), call.inputs.fields
    info, business = form.part("nodemgr_op_info"), form.integer("nodemgr_biz_id")
    kind, role = info.line("nodemgr_operation_type"), info.line("nodemgr_node_role")
    if role not in ROLES:
        raise PluginError(f"[节点管理器]操作异常: Invalid nodemgr_node_role: {role}")
    if kind == "install":
        data, unknown = await install(bk, business, role, info)
    elif kind in OPERATIONS:
        data, unknown = await _operate(bk, business, role, info, OPERATIONS[kind])
    else:
        raise PluginError(f"不支持的操作类型: {kind}")
    follow(bk, call, data, unknown)


async def _operate(
    bk: BlueKing, business: int, role: str, info: Fields, operation: Operation
) -> tuple[Json, list[str]]:
    """Start an operation on the nodes of a form; return its answer, and who was left out.

    Raises:
        PluginError: the node manager knows none of them, or refuses.
    """
    found, unknown = await look_up(bk, business, _rows(info, operation))
    hosts: list[JsonValue] = [operation.host(info, each) for each in found]
    if not hosts:
        raise PluginError(f"{operation.none}: {', '.join(unknown)}")
    return await ask(bk, operation.api(info), {"host": hosts}, role=role), unknown


def _rows(info: Fields, operation: Operation) -> list[Fields]:
    """Return the nodes of a form, which lists them one by one or names many at once."""
    match info.line("nodemgr_hosts_param_mode"):
        case "batch":
            return rows_of(info.part(operation.batch), *operation.keys)
        case "list":
            return [Fields(row) for row in info.rows("nodemgr_hosts")]
        case _:
            raise PluginError("[节点管理器]操作异常: Invalid nodemgr_hosts_param_mode")


NODES: Final = with_looks(
    served("nodemgr_operate_node", "v1.0", _run), "nodemgr.node_workflow_operation_list"
)
