"""The newer node manager: nodes and their plugins, changed by workflows.

The answers are those that the components read; what else the real system says is not documented.
"""

from collections.abc import Mapping
from typing import Final

from pydantic import JsonValue

from workers.fake_blueking.asked import Asked, Handler, Json, RefusedError
from workers.fake_blueking.nodes import hosts_of, public_key, started
from workers.fake_blueking.services import status_of, work_of
from workers.fake_blueking.world import Host, World

_UNIT: Final = 1
"""The one network unit that there is."""

_V4, _V6 = "bk_host_innerip", "bk_host_innerip_v6"
_MODES: Final = ("password", "keyfile", "password_vault")
_SECRETS: Final = {"password": "login_password", "keyfile": "login_key_file"}


def host_list(world: World, asked: Asked) -> JsonValue:
    """Return a page of the nodes of some businesses and areas at some addresses."""
    exact = asked.part("exact_include_conditions")
    businesses, areas = exact.integers("bk_biz_id"), exact.integers("bk_networkarea_id")
    fuzzy = asked.part("fuzzy_include_conditions")
    addresses = [*fuzzy.items(_V4, []), *fuzzy.items(_V6, [])]
    found: list[JsonValue] = [
        _node(host)
        for host in world.hosts.values()
        if host.business in businesses and host.cloud in areas and host.ip in addresses
    ]
    return _page(asked, "items", found)


def recommend(_world: World, asked: Asked) -> JsonValue:
    """Return a network unit for each address."""
    return {
        "items": [
            {
                "bk_networkarea_id": row.integer("bk_networkarea_id"),
                "ip": row.text("ip"),
                "bk_networkunit_id": _UNIT,
            }
            for row in asked.rows("items")
        ]
    }


def install_check(world: World, asked: Asked) -> JsonValue:
    """Say of each host whether it may be installed, and which known one it is."""
    return {"results": [_checked(world, row) for row in asked.rows("host")]}


def install(world: World, asked: Asked) -> JsonValue:
    """Install nodes."""
    rows = asked.rows("host")
    for row in rows:
        row.integer("bk_biz_id")
        row.integer("bk_networkunit_id")
        row.text("login_ip")
        mode = str(row.one_of("login_mode", _MODES))
        if mode in _SECRETS:
            row.text(_SECRETS[mode])
    return _workflow(world, [str(row.items(_V4, [])[0]) for row in rows if row.items(_V4, [])])


def operate(world: World, asked: Asked) -> JsonValue:
    """Change nodes by the ids of their hosts."""
    return _workflow(world, _ips(world, asked.rows("host")))


def operate_plugin(world: World, asked: Asked) -> JsonValue:
    """Install a plugin on hosts, or remove it."""
    rows = asked.rows("plugin")
    for row in rows:
        row.text("plugin_name")
    return _workflow(world, _ips(world, rows))


def operations(world: World, asked: Asked) -> JsonValue:
    """Return a page of a workflow's operations, one a host."""
    work = work_of(world, asked.integer("workflow_id"), "nodemgr")
    rows: list[JsonValue] = [
        {
            "operation_id": host["instance_id"],
            "latest_oper_inst_brief_data": {"life_cycle": {"state": host["status"]}},
        }
        for host in hosts_of(work, status_of(world, work))
    ]
    return _page(asked, "operations", rows)


def get_public_key(_world: World, _asked: Asked) -> JsonValue:
    """Return the public key by which secrets are encrypted."""
    return {"public_key": public_key()}


def _checked(world: World, row: Asked) -> Json:
    row.integer("bk_biz_id")
    row.integer("bk_networkunit_id")
    addresses = row.items(f"{_V4}_list", [])
    if not addresses and not row.items(f"{_V6}_list", []):
        return {"status": "error", "matched": None}
    known = next((host for host in world.hosts.values() if host.ip in addresses), None)
    return {"status": "success", "matched": {"bk_host_id": known.id} if known else None}


def _ips(world: World, rows: list[Asked]) -> list[str]:
    """Return the addresses of hosts by their ids."""
    ids = [row.integer("bk_host_id") for row in rows]
    if missing := [number for number in ids if number not in world.hosts]:
        raise RefusedError(f"there are no hosts {missing}")
    return [world.hosts[number].ip for number in ids]


def _workflow(world: World, ips: list[str]) -> JsonValue:
    return {"workflow_id": str(started(world, ips, "nodemgr").id)}


def _node(host: Host) -> Json:
    about: Json = {
        "bk_host_innerip_list": [host.ip],
        "bk_host_innerip_v6_list": [],
        "bk_networkunit_id": _UNIT,
        "cpu_arch": "x86_64",
    }
    return {"bk_host_id": host.id, "info": about}


def _page(asked: Asked, name: str, rows: list[JsonValue]) -> Json:
    page = asked.part("page")
    start, limit = page.integer("offset"), page.integer("limit")
    return {"count": len(rows), name: rows[start : start + limit]}


_WORKS: Final = ("reconfig", "restart", "uninstall", "upgrade")
_ROLES: Final = ("agent", "proxy")
_BASE: Final = "POST /nodemgr/api/v3"

APIS: Final[Mapping[str, Handler]] = {
    f"{_BASE}/topo/host/list": host_list,
    f"{_BASE}/topo/networkunit/recommend_by_network_segment": recommend,
    f"{_BASE}/cipher/rsa/get_public_key": get_public_key,
    f"{_BASE}/node/workflow/operation/list": operations,
    f"{_BASE}/plugin/workflow/operation/list": operations,
    f"{_BASE}/plugin/install": operate_plugin,
    f"{_BASE}/plugin/uninstall": operate_plugin,
    **{f"{_BASE}/node/{role}/{work}": operate for role in _ROLES for work in _WORKS},
    **{f"{_BASE}/node/{role}/install": install for role in _ROLES},
    **{f"{_BASE}/node/{role}/install_check": install_check for role in _ROLES},
}
