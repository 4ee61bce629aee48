"""Hosts as the node manager wants them: by ids, and as rows of what is to be installed.

Source: plugins' reference, section 3.8; differs: a host that is not found fails the node before
anything was sent, where the real system goes on with the others.
"""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from pydantic import JsonValue

from activities.blueking.addresses import every_address, read_hosts
from activities.blueking.ciphers import Cipher
from activities.blueking.client import BlueKing, Json, as_rows
from activities.blueking.form import Fields
from activities.blueking.hosts import Scope
from activities.calls import PluginError

UNENCRYPTED: Final = "TJJ_PASSWORD"
"""A way to log in whose secret is a ticket, which is sent as it is."""

_OTHER_ADDRESSES: Final = ("outer_ip", "login_ip", "data_ip")
_OTHER_V6: Final = ("inner_ipv6", "outer_ipv6")
_NO_ADDRESS: Final = "请确认内网Ip是否合法host_info:{}"
_NO_HOST: Final = "获取bk_host_id失败:{},请确认管控区域是否正确"
_NOT_ONE_EACH: Final = "获取{}的{}失败,请确认是否与inner_ip一一对应"


class Install(NamedTuple):
    """How the rows of an installation become hosts.

    old: the form before v4.0. needs_login, has_options: by what is done. needs_ids: the hosts are
    known already, and named by id too.
    """

    old: bool
    needs_login: bool
    has_options: bool
    needs_ids: bool


async def ids_of(bk: BlueKing, business: int, cloud: JsonValue, text: str) -> list[JsonValue]:
    """Return the ids of hosts that a text names, as the node manager knows them.

    Raises:
        PluginError: the text names no host, or one that is not there.
    """
    named = read_hosts(text)
    wanted = [*named.v6, *named.v4] if bk.settings.ipv6 else [*dict.fromkeys(every_address(text))]
    if not wanted:
        raise PluginError(_NO_ADDRESS.format(text))
    found = await _ids_by_address(bk, business, cloud, wanted)
    if missing := [ip for ip in wanted if ip not in found]:
        raise PluginError(_NO_HOST.format(",".join(missing)))
    return [found[ip] for ip in wanted]


async def installed(
    bk: BlueKing, scope: Scope, row: Fields, rule: Install, cipher: Cipher
) -> list[Json]:
    """Return the hosts of a row, which may name several by their addresses.

    Raises:
        PluginError: an address is missing, or a host that must be known is not.
    """
    by_v6 = bk.settings.ipv6 and "inner_ip" not in row
    key = "inner_ipv6" if by_v6 else "inner_ip"
    addresses = _addresses(bk, row.text(key))
    if not addresses:
        raise PluginError(_NO_ADDRESS.format(row.text(key)))
    ids = await _known(bk, scope, row, addresses, rule)
    others = _others(bk, row, addresses)
    common = {**(_login(row, cipher) if rule.needs_login else {}), **_common(scope, row, rule)}
    return [
        {
            **common,
            **({} if by_v6 else {"inner_ip": ip}),
            **({"bk_host_id": ids[ip]} if rule.needs_ids else {}),
            **others[at],
        }
        for at, ip in enumerate(addresses)
    ]


def _login(row: Fields, cipher: Cipher) -> Json:
    """Return how the node manager logs in to a host; the secret is encrypted for it alone."""
    kind = row.line("auth_type")
    secret = cipher(row.secret("auth_key"))
    return {
        "port": row.raw("port"),
        "account": row.raw("account"),
        "auth_type": kind,
        ("password" if kind == "PASSWORD" else "key"): secret,
    }


def _common(scope: Scope, row: Fields, rule: Install) -> Json:
    """Return what all hosts of a row have in common."""
    found: Json = {
        "bk_biz_id": scope.business,
        "bk_cloud_id": row.raw("nodeman_bk_cloud_id"),
        "ap_id": row.raw("nodeman_ap_id"),
        "os_type": row.raw("os_type"),
        "is_manual": False,
    }
    if rule.old:
        return {**found, "peer_exchange_switch_for_agent": 0}
    if row.line("nodeman_bk_install_channel") not in ("", "-1", "0"):
        found["install_channel_id"] = row.raw("nodeman_bk_install_channel")
    if "bk_addressing" in row:
        found["bk_addressing"] = row.raw("bk_addressing")
    return {**found, **(_options(row) if rule.has_options else {})}


def _options(row: Fields) -> Json:
    """Return how an agent behaves."""
    exchange = row.raw("peer_exchange_switch_for_agent")
    force = row.raw("force_update_agent_id")
    limit = row.number("speed_limit")
    return {
        "peer_exchange_switch_for_agent": 0 if exchange is None else exchange,
        "force_update_agent_id": False if force is None else force,
        **({"bt_speed_limit": limit} if limit else {}),
    }


def _others(bk: BlueKing, row: Fields, addresses: Sequence[str]) -> list[Json]:
    """Return the other addresses of each host of a row.

    Raises:
        PluginError: there are more or fewer of a kind than there are hosts.
    """
    kinds = (*_OTHER_ADDRESSES, *(_OTHER_V6 if bk.settings.ipv6 else ()))
    found = {kind: _addresses(bk, row.text(kind)) for kind in kinds if kind in row}
    for kind, values in found.items():
        if len(values) != len(addresses):
            raise PluginError(_NOT_ONE_EACH.format(addresses[0], kind))
    return [{kind: values[at] for kind, values in found.items()} for at in range(len(addresses))]


async def _known(
    bk: BlueKing, scope: Scope, row: Fields, addresses: Sequence[str], rule: Install
) -> Mapping[str, JsonValue]:
    """Return the ids of the hosts by address, where they must be known.

    Raises:
        PluginError: one is not.
    """
    if not rule.needs_ids:
        return {}
    cloud = row.raw("nodeman_bk_cloud_id")
    if rule.old:
        found = await _ids_by_address(bk, scope.business, cloud, addresses)
    else:
        found = await _ids_in_cmdb(bk, scope, cloud, addresses)
    if missing := [ip for ip in addresses if ip not in found]:
        raise PluginError(_NO_HOST.format(",".join(missing)))
    return found


async def _ids_by_address(
    bk: BlueKing, business: int, cloud: JsonValue, addresses: Sequence[str]
) -> dict[str, JsonValue]:
    """Return the ids of those hosts that the node manager knows, by address."""
    found: dict[str, JsonValue] = {}
    for key, field, ips in _by_kind(addresses, ("inner_ip", "inner_ip"), ("ip", "inner_ipv6")):
        conditions: list[JsonValue] = [
            {"key": key, "value": ips},
            {"key": "bk_cloud_id", "value": [cloud]},
        ]
        asked: Json = {"bk_biz_id": [business], "pagesize": -1, "conditions": conditions}
        data = await bk.object("nodeman.search_host_plugin", asked)
        rows = as_rows(data.get("list"))
        found |= {str(row.get(field)): row.get("bk_host_id") for row in rows}
    return found


async def _ids_in_cmdb(
    bk: BlueKing, scope: Scope, cloud: JsonValue, addresses: Sequence[str]
) -> dict[str, JsonValue]:
    """Return the ids of those hosts that CMDB has in the business and the cloud area."""
    found: dict[str, JsonValue] = {}
    v4, v6 = "bk_host_innerip", "bk_host_innerip_v6"
    for key, field, ips in _by_kind(addresses, (v4, v4), (v6, v6)):
        rules: list[JsonValue] = [
            {"field": key, "operator": "in", "value": ips},
            {"field": "bk_cloud_id", "operator": "equal", "value": _as_number(cloud)},
        ]
        asked: Json = {
            "bk_biz_id": scope.business,
            "bk_supplier_account": scope.supplier,
            "fields": [*dict.fromkeys(("bk_host_id", v4, field))],
            "host_property_filter": {"condition": "AND", "rules": rules},
        }
        rows = await bk.pages("cc.list_biz_hosts", asked)
        found |= {str(row.get(field)): row.get("bk_host_id") for row in rows}
    return found


def _by_kind(
    addresses: Sequence[str], v4: tuple[str, str], v6: tuple[str, str]
) -> list[tuple[str, str, list[JsonValue]]]:
    """Return the addresses by kind, with the names by which they are asked for and answered."""
    kinds: list[tuple[str, str, list[JsonValue]]] = [
        (v6[0], v6[1], [ip for ip in addresses if ":" in ip]),
        (v4[0], v4[1], [ip for ip in addresses if ":" not in ip]),
    ]
    return [each for each in kinds if each[2]]


def _addresses(bk: BlueKing, text: str) -> list[str]:
    """Return the addresses in a field, as often as they are named."""
    if not bk.settings.ipv6:
        return list(every_address(text))
    named = read_hosts(text)
    return [*named.v6, *named.v4]


def _as_number(value: JsonValue) -> JsonValue:
    return int(value) if isinstance(value, str) and value.strip().isdigit() else value
