"""`nodemgr_operate_plugin`: plugins of agents, installed and removed.

Source: plugins' reference, section 3.8; differs: as in `nodemgr.hosts`.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

from pydantic import JsonValue

from activities.blueking.catalogue import blueking, served
from activities.blueking.client import Json
from activities.blueking.form import Fields, Form, Written
from activities.blueking.nodemgr.answers import ask
from activities.blueking.nodemgr.hosts import look_up, rows_of
from activities.blueking.nodemgr.workflows import follow, with_looks
from activities.calls import Call, PluginError


class Operation(NamedTuple):
    """An operation on plugins: its part of the form, the fields that it sends, its API."""

    batch: str
    fields: Mapping[str, str]
    api: str
    none: str


OPERATIONS: Final[Mapping[str, Operation]] = {
    "install": Operation(
        "nodemgr_batch_install",
        {"plugin_name": "plugin_name", "version": "plugin_version"},
        "nodemgr.plugin_install",
        "没有可安装插件的有效节点",
    ),
    "uninstall": Operation(
        "nodemgr_batch_uninstall",
        {"plugin_name": "plugin_name"},
        "nodemgr.plugin_uninstall",
        "没有可卸载插件的有效节点",
    ),
}


async def _run(call: Call[Form]) -> Written:
    """Install a plugin on hosts, or remove it."""
    bk, form = blueking(call), call.inputs.fields
    info, business = form.part("nodemgr_op_info"), form.integer("nodemgr_biz_id")
    kind = info.line("nodemgr_operation_type")
    if kind not in OPERATIONS:
        raise PluginError(f"不支持的操作类型: {kind}")
    operation = OPERATIONS[kind]
    batch = info.part(operation.batch)
    found, unknown = await look_up(bk, business, rows_of(batch))
    if not found:
        raise PluginError(f"{operation.none}: {', '.join(unknown)}")
    plugins: list[JsonValue] = [
        {"bk_host_id": each.known.get("bk_host_id"), **_plugin(batch, operation)} for each in found
    ]
    data = await ask(bk, operation.api, {"plugin": plugins})
    follow(bk, call, data, unknown, tab="plugin")


def _plugin(batch: Fields, operation: Operation) -> Json:
    return {key: batch.raw(field) for key, field in operation.fields.items()}


PLUGINS: Final = with_looks(
    served("nodemgr_operate_plugin", "v1.0", _run), "nodemgr.plugin_workflow_operation_list"
)
