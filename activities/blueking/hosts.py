"""From hosts as people write them to hosts as CMDB and JOB know them.

Source: the resolvers of bk-sops's JOB and CMDB plugins (plugins' reference, section 3.1); each
plugin names the one that it uses. Error texts are those that operators know.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple, cast

from pydantic import JsonValue

from activities.blueking.addresses import HostText, read_addresses, read_hosts, read_triples
from activities.blueking.client import BlueKing, Json, as_object, as_rows
from activities.calls import PluginError

_ID: Final = "bk_host_id"
HOST_FIELDS: Final = ("bk_host_id", "bk_host_innerip", "bk_host_innerip_v6", "bk_cloud_id")

_NOT_FOUND: Final = "无法从配置平台(CMDB)查询到对应 IP，请确认输入的 IP 是否合法。查询失败 IP： {}"
_ACROSS_FORM: Final = "允许跨业务时IP格式需满足：【管控区域ID:IP】。失败 IP： {}"
_SEVERAL_CLOUDS: Final = "IP在多个管控区域下重复，建议输入管控区域:ip确定目标主机，详情: {}"
_MIXED: Final = "目标服务器参数不支持同时传入IP和host_id，请只使用其中一种"
_NONE_NAMED: Final = "no host is named: fill in the addresses of the hosts"
_NOT_THERE: Final = "IP [{}] 在本业务下不存在: 请检查配置, 修复后重新执行任务"
_SEVERAL: Final = "IP [{}] 在本业务下重复: 请检查配置, 修复后重新执行任务"
_IPV6_HINT: Final = "ip查询失败，请检查ip配置是否正确，"


class Scope(NamedTuple):
    """Where hosts are looked for: a business, and its supplier account where CMDB wants one."""

    business: int
    supplier: JsonValue = 0

    @property
    def where(self) -> Json:
        """The fields by which CMDB is told where it works."""
        return {"bk_biz_id": self.business, "bk_supplier_account": self.supplier}


class HostInfo(NamedTuple):
    """A host of a business with its place in the topology."""

    id: int
    ip: str
    cloud: int
    sets: tuple[tuple[int, str], ...]
    modules: tuple[tuple[int, str], ...]


# --- what JOB gets ----------------------------------------------------------------------------


async def strict_target(bk: BlueKing, scope: Scope, text: str) -> Json:
    """Return the target server of hosts that all must be in the business; blank text is none.

    Raises:
        PluginError: some are not there.
    """
    if not text.strip():
        return {"ip_list": []}
    if bk.settings.ipv6:
        return await _by_ids(bk, scope, read_hosts(text), elsewhere=False)
    wanted = read_addresses(text)
    found = await hosts_by_text(bk, scope, text)
    if len(found) != len(wanted):
        known = {host.ip for host in found}
        raise PluginError(_NOT_FOUND.format(",".join(ip for ip in wanted if ip not in known)))
    return {"ip_list": [{"ip": host.ip, "bk_cloud_id": host.cloud} for host in found]}


def across_target(text: str) -> Json:
    """Return the target server of hosts of any business, all given with their cloud area.

    The area's id stays text, as the real system sends it.

    Raises:
        PluginError: some have no cloud area.
    """
    areas = read_hosts(text).cloud_v4
    named = {at.ip for at in areas}
    missing = [ip for ip in read_addresses(text) if ip not in named]
    if missing:
        raise PluginError(_ACROSS_FORM.format(",".join(missing)))
    return {"ip_list": [{"ip": at.ip, "bk_cloud_id": at.cloud} for at in areas]}


async def hybrid_target(bk: BlueKing, scope: Scope, text: str) -> Json:
    """Return the target server of hosts with a cloud area (taken as they are) and of others.

    The others must be in the business, each in one cloud area only.

    Raises:
        PluginError: some are not there, or are there several times.
    """
    named = read_hosts(text)
    if bk.settings.ipv6:
        return await _by_ids(bk, scope, named, elsewhere=True)
    given: list[Json] = [{"ip": at.ip, "bk_cloud_id": int(at.cloud)} for at in named.cloud_v4]
    plain = named.v4
    found = await hosts_of(bk, scope, plain) if plain else []
    clouds = Counter(str(host["bk_host_innerip"]) for host in found)
    if several := {ip: count for ip, count in clouds.items() if count > 1}:
        where = {
            ip: [h["bk_cloud_id"] for h in found if h["bk_host_innerip"] == ip] for ip in several
        }
        raise PluginError(_SEVERAL_CLOUDS.format(where))
    if missing := [ip for ip in plain if ip not in clouds]:
        raise PluginError(_NOT_FOUND.format(",".join(missing)))
    looked_up: list[Json] = [
        {"ip": host["bk_host_innerip"], "bk_cloud_id": host["bk_cloud_id"]} for host in found
    ]
    return {"ip_list": [*given, *looked_up]}


async def hybrid_or_ids_target(bk: BlueKing, scope: Scope, text: str) -> Json:
    """Return the target server of hosts that are given all by id, or all by address.

    Raises:
        PluginError: both are mixed, or some are not there.
    """
    named = read_hosts(text)
    if not named.ids:
        return await hybrid_target(bk, scope, text)
    if named.addresses:
        raise PluginError(_MIXED)
    found = await _listed(bk, scope, "bk_host_id", list(named.ids))
    known = [host["bk_host_id"] for host in found]
    if missing := [str(each) for each in named.ids if each not in known]:
        raise PluginError(_NOT_FOUND.format(",".join(missing)))
    return {"host_id_list": list(named.ids)}


def business_set_target(rows: Iterable[Mapping[str, JsonValue]], ip_key: str = "ip") -> Json:
    """Return the target server of a table's rows, each with a cloud area and addresses."""
    return {
        "ip_list": [
            {"ip": ip, "bk_cloud_id": _as_int(row.get("bk_cloud_id"))}
            for row in rows
            for ip in read_addresses(str(row.get(ip_key) or ""))
        ]
    }


# --- what CMDB gets ---------------------------------------------------------------------------


async def host_ids(bk: BlueKing, scope: Scope, text: str, *, with_cloud: bool = False) -> list[int]:
    """Return the ids of hosts that all must be in the business, once each.

    With `with_cloud` an address may have its cloud area in front. Where hosts are named to JOB by
    their ids, they may be so here.

    Raises:
        PluginError: none is named, or some are not there, or are there several times.
    """
    named = read_hosts(text)
    every = [*read_addresses(text), *named.v6, *(at.ip for at in named.cloud_v6)]
    addresses = list(dict.fromkeys(every))
    ids = list(named.ids) if bk.settings.ipv6 else []
    wanted = [*(named.addresses if with_cloud else addresses), *map(str, ids)]
    if not wanted:
        raise PluginError(_NONE_NAMED)
    found = await hosts_of(bk, scope, addresses)
    if ids:
        found += await _listed(bk, scope, "bk_host_id", ids)
    return _one_each(wanted, found)


def _one_each(wanted: Sequence[str], found: Iterable[Json]) -> list[int]:
    """Return the id of the host of each name.

    Raises:
        PluginError: a name has none, or several.
    """
    by_id = {host["bk_host_id"]: host for host in found}
    by_name: defaultdict[str, list[Json]] = defaultdict(list)
    for host in by_id.values():
        for name in _names_of(host):
            by_name[name].append(host)
    if missing := [name for name in wanted if name not in by_name]:
        raise not_there(missing)
    if several := [name for name in wanted if len(by_name[name]) > 1]:
        raise PluginError(_SEVERAL.format(", ".join(several)))
    return list(dict.fromkeys(cast("int", by_name[name][0]["bk_host_id"]) for name in wanted))


def _names_of(host: Json) -> list[str]:
    """Return all by which people may name a host."""
    addresses = _addresses_of(host)
    areas = [f"{host.get('bk_cloud_id')}:{ip}" for ip in addresses]
    return [*addresses, *areas, str(host["bk_host_id"])]


def not_there(names: Iterable[str], outputs: Json | None = None) -> PluginError:
    """Return the error of hosts that are not in the business."""
    return PluginError(_NOT_THERE.format(", ".join(names)), outputs=outputs)


async def placed_hosts(bk: BlueKing, scope: Scope, text: str) -> list[HostInfo]:
    """Return the hosts of `hosts_by_text`, all of which must be in the business.

    Raises:
        PluginError: none is named, or some are not there; output `invalid_ip` has those.
    """
    if bk.settings.ipv6:
        return await host_infos(bk, scope, await host_ids(bk, scope, text, with_cloud=True), _ID)
    wanted = read_hosts(text)
    if not wanted.addresses:
        raise PluginError(_NONE_NAMED)
    hosts = await hosts_by_text(bk, scope, text)
    known = {name for host in hosts for name in (host.ip, f"{host.cloud}:{host.ip}")}
    if missing := [name for name in wanted.addresses if name not in known]:
        raise not_there(missing, {"invalid_ip": ",".join(missing)})
    return hosts


async def hosts_by_text(bk: BlueKing, scope: Scope, text: str) -> list[HostInfo]:
    """Return the hosts of the business that a text names, with their place in the topology.

    The text may name `set|module|address`, `area:address` or addresses alone; unknown ones are
    simply not among the hosts.
    """
    triples, named = read_triples(text), read_hosts(text)
    addresses = read_addresses(text)
    found = await host_infos(bk, scope, addresses)
    if triples:
        kept = {(each.set_name, each.module_name, each.ip) for each in triples}
        return [host for host in found if kept & _places_of(host)]
    areas = {(at.ip, int(at.cloud)) for at in named.cloud_v4}
    plain = set(named.v4)
    return [host for host in found if host.ip in plain or (host.ip, host.cloud) in areas]


async def host_infos(
    bk: BlueKing,
    scope: Scope,
    values: Sequence[JsonValue],
    field: str = "bk_host_innerip",
) -> list[HostInfo]:
    """Return the hosts of the business with these addresses, with sets and modules."""
    if not values:
        return []
    return [host_info(row) for row in await topo_rows(bk, scope, field, values, HOST_FIELDS)]


async def topo_rows(
    bk: BlueKing, scope: Scope, field: str, values: Sequence[JsonValue], fields: Sequence[str]
) -> list[Json]:
    """Return hosts of the business as `{host, topo}`, found by the values of one field."""
    params: Json = {**_asked(scope, fields), **_filter(field, list(values))}
    return await bk.pages("cc.list_biz_hosts_topo", params)


async def hosts_of(
    bk: BlueKing,
    scope: Scope,
    addresses: Sequence[str],
    fields: Sequence[str] = HOST_FIELDS,
) -> list[Json]:
    """Return the hosts of the business with these inner addresses, IPv4 and IPv6."""
    v4 = [ip for ip in addresses if ":" not in ip]
    v6 = [ip for ip in addresses if ":" in ip]
    found = await _listed(bk, scope, "bk_host_innerip", v4, fields) if v4 else []
    return [*found, *(await _listed(bk, scope, "bk_host_innerip_v6", v6, fields) if v6 else [])]


async def _listed(
    bk: BlueKing,
    scope: Scope,
    field: str,
    values: Sequence[JsonValue],
    fields: Sequence[str] = HOST_FIELDS,
) -> list[Json]:
    params: Json = {**_asked(scope, fields), **_filter(field, list(values))}
    return await bk.pages("cc.list_biz_hosts", params)


async def _by_ids(bk: BlueKing, scope: Scope, named: HostText, *, elsewhere: bool) -> Json:
    """Return hosts by id, so that IPv6 works; `elsewhere` looks outside the business too.

    Raises:
        PluginError: some are not there, or are there several times.
    """
    wanted = [*named.v4, *named.v6, *(at.ip for at in (*named.cloud_v4, *named.cloud_v6))]
    found = await hosts_of(bk, scope, wanted)
    if elsewhere and len(found) < len(wanted):
        known = {ip for host in found for ip in _addresses_of(host)}
        left = [ip for ip in wanted if ip not in known]
        found += await _anywhere(bk, left)
    areas = {at.ip: int(at.cloud) for at in (*named.cloud_v4, *named.cloud_v6)}
    chosen = [host for host in found if _fits_area(host, areas)]
    counted = Counter(ip for host in chosen for ip in _addresses_of(host) if ip in wanted)
    if missing := [ip for ip in wanted if not counted[ip]]:
        raise PluginError(f"{_IPV6_HINT}ip not found in business: {','.join(missing)}")
    if several := [ip for ip, count in counted.items() if count > 1]:
        raise PluginError(f"{_IPV6_HINT}mutiple same innerip host found: {','.join(several)}")
    return {"host_id_list": [host["bk_host_id"] for host in chosen]}


async def _anywhere(bk: BlueKing, addresses: Sequence[str]) -> list[Json]:
    """Return hosts of any business with these addresses."""
    found: list[Json] = []
    kinds = {
        "bk_host_innerip": [ip for ip in addresses if ":" not in ip],
        "bk_host_innerip_v6": [ip for ip in addresses if ":" in ip],
    }
    for field, values in kinds.items():
        if values:
            params: Json = {"fields": list(HOST_FIELDS), **_filter(field, list(values))}
            found += await bk.pages("cc.list_hosts_without_biz", params)
    return found


def _asked(scope: Scope, fields: Sequence[str] = HOST_FIELDS) -> Json:
    return {**scope.where, "fields": list(fields)}


def _filter(field: str, values: list[JsonValue]) -> Json:
    rule: Json = {"field": field, "operator": "in", "value": values}
    return {"host_property_filter": {"condition": "AND", "rules": [rule]}}


def host_info(row: Json) -> HostInfo:
    """Return what a row of hosts with their place in the topology tells."""
    host, topo = as_object(row.get("host")), as_rows(row.get("topo"))
    modules = [module for each in topo for module in as_rows(each.get("module"))]
    return HostInfo(
        id=cast("int", host.get("bk_host_id")),
        ip=str(host.get("bk_host_innerip") or ""),
        cloud=_as_int(host.get("bk_cloud_id")),
        sets=tuple(_named(each, "set") for each in topo),
        modules=tuple(_named(each, "module") for each in modules),
    )


def _named(row: Json, kind: str) -> tuple[int, str]:
    return cast("int", row.get(f"bk_{kind}_id")), str(row.get(f"bk_{kind}_name", ""))


def _places_of(host: HostInfo) -> set[tuple[str, str, str]]:
    return {(a, b, host.ip) for _, a in host.sets for _, b in host.modules}


def _addresses_of(host: Json) -> tuple[str, ...]:
    both = (host.get("bk_host_innerip"), host.get("bk_host_innerip_v6"))
    return tuple(str(ip) for ip in both if ip)


def _fits_area(host: Json, areas: Mapping[str, int]) -> bool:
    wanted = [areas[ip] for ip in _addresses_of(host) if ip in areas]
    return not wanted or host.get("bk_cloud_id") in wanted


def _as_int(value: JsonValue) -> int:
    text = str(value if value is not None else "").strip()
    return int(text) if text.lstrip("-").isdigit() else 0
