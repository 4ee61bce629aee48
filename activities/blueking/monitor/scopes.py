"""What a shield covers: a business, hosts, or modules.

Source: plugins' reference, section 3.9; differs: `all` is a choice of its own and not any text that
contains it, and a shield that would cover nothing is an error.
"""

from collections.abc import Sequence
from typing import Final

from pydantic import JsonValue

from activities.blueking.client import BlueKing, Json
from activities.blueking.form import Fields
from activities.blueking.hosts import HOST_FIELDS, Scope, hosts_of
from activities.calls import PluginError

ALL: Final = "all"
SETS_AT_ONCE: Final = 200

_NO_HOSTS: Final = "当前业务下未查询到ip信息, 请检查ip地址是否填写正确:{}"
_NO_ADDRESS: Final = "主机[{}]innerip字段为空，蓝鲸监控接口仅支持通过该字段进行ip传参"
_NO_MODULES: Final = "no module of the chosen sets is made of the chosen service templates"


async def covered(bk: BlueKing, scope: Scope, info: Fields) -> Json:
    """Return the dimensions of the scope that a form chooses.

    Raises:
        PluginError: the choice is unknown, or covers nothing.
    """
    match info.line("bk_alarm_shield_scope"):
        case "business":
            return {"scope_type": "biz"}
        case "IP":
            return await covered_hosts(bk, scope, info.text("bk_alarm_shield_IP"))
        case "node":
            return await _covered_modules(bk, scope, info.part("bk_alarm_shield_node"))
        case other:
            raise PluginError(f"bk_alarm_shield_scope is {other!r}; use business, IP or node")


async def covered_hosts(bk: BlueKing, scope: Scope, text: str) -> Json:
    """Return the dimensions of hosts that a text names; those not in the business are left out.

    Raises:
        PluginError: none is in the business, or one has no IPv4 address.
    """
    addresses = [part.strip() for part in text.split(",") if part.strip()]
    fields = HOST_FIELDS if bk.settings.ipv6 else tuple(f for f in HOST_FIELDS if "v6" not in f)
    hosts = await hosts_of(bk, scope, addresses, fields)
    if not hosts:
        raise PluginError(_NO_HOSTS.format(text))
    if nameless := [str(host["bk_host_id"]) for host in hosts if not host.get("bk_host_innerip")]:
        raise PluginError(_NO_ADDRESS.format(",".join(nameless)))
    target: list[JsonValue] = [
        {"ip": host["bk_host_innerip"], "bk_cloud_id": host["bk_cloud_id"]} for host in hosts
    ]
    return {"scope_type": "ip", "target": target}


async def _covered_modules(bk: BlueKing, scope: Scope, node: Fields) -> Json:
    """Return the dimensions of the modules in chosen sets, made of chosen service templates."""
    whose: Json = {"bk_biz_id": scope.business, "bk_supplier_account": scope.supplier}
    asked: Json = {**whose, "fields": ["bk_set_name", "bk_set_id"]}
    sets = _chosen(await bk.pages("cc.search_set", asked), "bk_set_name", node, "set")
    templates = _chosen(await bk.pages("cc.list_service_template", whose), "name", node, "module")
    found = await _modules(
        bk, scope, [each["bk_set_id"] for each in sets], [each["id"] for each in templates]
    )
    if not found:
        raise PluginError(_NO_MODULES)
    return {"scope_type": "node", "target": [*found]}


def _chosen(rows: Sequence[Json], name: str, node: Fields, kind: str) -> list[Json]:
    method = node.line(f"bk_{kind}_method")
    wanted = node.items(f"bk_{kind}_{'select' if method == 'select' else 'text'}")
    return [row for row in rows if ALL in wanted or row.get(name) in wanted]


async def _modules(
    bk: BlueKing, scope: Scope, sets: list[JsonValue], templates: list[JsonValue]
) -> list[Json]:
    """Return modules as the monitoring platform names them."""
    found: list[Json] = []
    for at in range(0, len(sets), SETS_AT_ONCE):
        asked: Json = {
            "bk_biz_id": scope.business,
            "bk_service_template_ids": templates,
            "fields": ["bk_module_id"],
            "bk_set_ids": sets[at : at + SETS_AT_ONCE],
        }
        found += await bk.pages("cc.find_module_with_relation", asked)
    return [{"bk_obj_id": "module", "bk_inst_id": row["bk_module_id"]} for row in found]
