"""`ip`, `attribute_query` and `ip_filter`: hosts by their addresses.

Source: plugins' reference, section 3.13; differs: hosts come in the order in which they are named.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from pydantic import JsonValue

from activities.blueking.addresses import At, HostText, read_addresses, read_hosts
from activities.blueking.catalogue import blueking
from activities.blueking.client import BlueKing, Json, as_object, as_rows
from activities.blueking.form import Fields
from activities.blueking.hosts import Scope, host_ids, hosts_by_text, hosts_of
from activities.blueking.scope import scope_of
from activities.blueking.topology import topo_ids
from activities.blueking.variables.common import (
    SEPARATOR,
    all_of,
    asked,
    form_of,
    portions,
    rule,
    with_area,
)
from activities.calls import Lookup
from activities.sdk import lazy_variable

ATTRIBUTES: Final = (
    "bk_cpu",
    "bk_isp_name",
    "bk_os_name",
    "bk_province_name",
    "bk_host_id",
    "import_from",
    "bk_os_version",
    "bk_disk",
    "operator",
    "bk_mem",
    "bk_host_name",
    "bk_host_innerip",
    "bk_comment",
    "bk_os_bit",
    "bk_outer_mac",
    "bk_asset_id",
    "bk_service_term",
    "bk_sla",
    "bk_cpu_mhz",
    "bk_host_outerip",
    "bk_state_name",
    "bk_os_type",
    "bk_mac",
    "bk_bak_operator",
    "bk_supplier_account",
    "bk_sn",
    "bk_cpu_module",
)
"""What `attribute_query` tells of a host."""

_WITH_AGENT: Final = (
    "bk_host_id",
    "bk_cloud_id",
    "bk_host_innerip",
    "bk_host_innerip_v6",
    "bk_agent_id",
)
_AT_ONCE: Final = 1000
_RUNNING: Final = 2
_UNKNOWN: Final = -1
_OFFLINE: Final = 0
_ONLINE: Final = 1


class Seen(NamedTuple):
    """A host with what is known of its agent: 1 online, 0 offline, -1 unknown."""

    at: At
    state: int


@lazy_variable("ip")
async def ip(lookup: Lookup) -> JsonValue:
    """Compute the addresses that the old picker names, as text or in its tree."""
    bk, scope, form = blueking(lookup), scope_of(lookup.context), form_of(lookup)
    if form.line("var_ip_method") == "custom":
        found = await hosts_by_text(bk, scope, form.text("var_ip_custom_value"))
        return SEPARATOR.join(host.ip for host in found)
    return SEPARATOR.join(await _of_tree(bk, scope, form.items("var_ip_tree")))


async def _of_tree(bk: BlueKing, scope: Scope, chosen: Sequence[JsonValue]) -> list[str]:
    """Return the addresses behind ticks such as `module_5` and `module_5_10.0.0.1`."""
    ticks = [str(each) for each in chosen]
    addresses = {tick: read_addresses(tick.rsplit("_", 1)[-1]) for tick in ticks}
    modules = topo_ids([tick for tick in ticks if not addresses[tick]], "module")
    found: list[str] = []
    if modules:
        where = {"module_property_filter": all_of([rule("bk_module_id", modules)])}
        params = {**asked(scope, ("bk_host_id", "bk_host_innerip")), **where}
        rows = await bk.pages("cc.list_biz_hosts_topo", params)
        found += [str(as_object(row.get("host")).get("bk_host_innerip") or "") for row in rows]
    named = SEPARATOR.join(ip for each in addresses.values() for ip in each)
    found += [host.ip for host in await hosts_by_text(bk, scope, named)]
    return [ip for ip in dict.fromkeys(found) if ip]


@lazy_variable("attribute_query")
async def attribute_query(lookup: Lookup) -> JsonValue:
    """Compute the attributes of hosts, an object by address; unknown hosts are not in it."""
    bk, scope = blueking(lookup), scope_of(lookup.context)
    text = str(lookup.value or "")
    named = read_hosts(text)
    v6 = {*named.v6, *(at.ip for at in named.cloud_v6)} if bk.settings.ipv6 else set[str]()
    found: Json = {}
    for host in await _with_attributes(bk, scope, text):
        in_v6 = host.get("bk_host_innerip_v6")
        address = in_v6 if in_v6 in v6 else host.get("bk_host_innerip")
        found[str(address)] = {key: host[key] for key in host if key != "bk_cloud_id"}
    return found


async def _with_attributes(bk: BlueKing, scope: Scope, text: str) -> list[Json]:
    if not bk.settings.ipv6:
        addresses = read_addresses(text)
        return await hosts_of(bk, scope, addresses, ATTRIBUTES) if addresses else []
    if not text.strip():
        return []
    ids = await host_ids(bk, scope, text, with_cloud=True)
    where = {"host_property_filter": all_of([rule("bk_host_id", ids)])}
    fields = (*ATTRIBUTES, "bk_host_innerip_v6")
    return await bk.pages("cc.list_biz_hosts", {**asked(scope, fields), **where})


@lazy_variable("ip_filter")
async def ip_filter(lookup: Lookup) -> JsonValue:
    """Compute those of some hosts whose agent is online, or offline."""
    form = form_of(lookup)
    found = await _filtered(blueking(lookup), scope_of(lookup.context), form)
    has_area = form.flag("ip_cloud", default=True)
    shown = [with_area(at.cloud, at.ip) if has_area else at.ip for at in found]
    return form.text("ip_separator", SEPARATOR).join(shown)


async def _filtered(bk: BlueKing, scope: Scope, form: Fields) -> list[At]:
    text, wanted = form.text("origin_ips"), form.line("gse_agent_status")
    named = read_hosts(text)
    given = [*named.cloud_v4, *(At("0", ip) for ip in named.v4)]
    if not given and not named.addresses:
        return []
    if wanted not in (str(_ONLINE), str(_OFFLINE)):
        return given
    if "gse" in bk.settings.entries:
        seen = await _seen_by_gse(bk, scope, named)
    else:
        seen = await _seen_by_nodeman(bk, scope, given)
    return [each.at for each in seen if str(max(each.state, _OFFLINE)) == wanted]


async def _seen_by_nodeman(bk: BlueKing, scope: Scope, hosts: Sequence[At]) -> list[Seen]:
    """Return what the node manager tells of the hosts' agents."""
    here: Json = {
        "bk_biz_id": scope.business,
        "scope_type": "biz",
        "scope_id": scope.business,
    }
    seen: list[Seen] = []
    for part in portions(hosts, _AT_ONCE):
        rows: list[JsonValue] = [
            {"cloud_id": int(at.cloud), "ip": at.ip, "meta": here} for at in part
        ]
        told = await bk.rows("nodeman.host_details", {"all_scope": True, "host_list": rows})
        seen += [_as_nodeman_sees(row) for row in told]
    return list(dict.fromkeys(seen))


def _as_nodeman_sees(row: Json) -> Seen:
    cloud = as_object(row.get("cloud_area")).get("id")
    is_online = row.get("alive") == _ONLINE
    return Seen(At(str(cloud), str(row.get("ip"))), _ONLINE if is_online else _OFFLINE)


async def _seen_by_gse(bk: BlueKing, scope: Scope, named: HostText) -> list[Seen]:
    """Return what GSE 2.0 tells of the agents of those hosts that CMDB knows."""
    areas = {at.ip: at.cloud for at in (*named.cloud_v4, *named.cloud_v6)}
    wanted = [*areas, *named.v4, *named.v6]
    found = await hosts_of(bk, scope, wanted, _WITH_AGENT)
    hosts = {_agent_of(host): _named_at(host, wanted) for host in found}
    kept = {agent: at for agent, at in hosts.items() if areas.get(at.ip, at.cloud) == at.cloud}
    states: dict[str, int] = {}
    for part in portions(list(kept), _AT_ONCE):
        rows = as_rows(await bk.call("gse.list_agent_state", {"agent_id_list": [*part]}))
        states |= {str(row.get("bk_agent_id")): _state(row) for row in rows}
    return [Seen(at, states.get(agent, _UNKNOWN)) for agent, at in kept.items()]


def _agent_of(host: Json) -> str:
    """Return the id of a host's agent; one without an own id goes by its address."""
    own = host.get("bk_agent_id")
    return str(own) if own else f"{host.get('bk_cloud_id')}:{host.get('bk_host_innerip')}"


def _named_at(host: Json, wanted: Sequence[str]) -> At:
    """Return a host by the address by which it was named, IPv4 first."""
    both = (host.get("bk_host_innerip"), host.get("bk_host_innerip_v6"))
    ip = next((str(each) for each in both if each in wanted), "")
    return At(str(host.get("bk_cloud_id")), ip)


def _state(row: Json) -> int:
    code = row.get("status_code")
    if code == _UNKNOWN:
        return _UNKNOWN
    return _ONLINE if code == _RUNNING else _OFFLINE
