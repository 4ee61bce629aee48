"""`ip_selector`: the addresses of hosts that are picked one by one, by topology or by group.

Source: plugins' reference, section 3.13; differs: a condition that fits no module means no host
where it chooses, and nothing where it excludes; hosts come in the order in which CMDB lists them.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Literal, NamedTuple

from pydantic import JsonValue

from activities.blueking.addresses import read_hosts
from activities.blueking.catalogue import blueking
from activities.blueking.client import GROUP_PAGE, ApiError, BlueKing, Json, as_object, as_rows
from activities.blueking.form import Fields
from activities.blueking.hosts import Scope, host_ids, placed_hosts
from activities.blueking.scope import scope_of
from activities.blueking.topology import SEPARATOR as STEP
from activities.blueking.topology import path_lines, topology
from activities.blueking.variables.common import (
    SEPARATOR,
    address_of,
    all_of,
    asked,
    form_of,
    rule,
    with_area,
)
from activities.calls import Lookup, PluginError
from activities.sdk import lazy_variable

Conditions = Mapping[str, Sequence[JsonValue]]
Compared = Literal["bk_inst_id", "bk_inst_name"]

HOSTS: Final = ("bk_host_id", "bk_host_innerip", "bk_host_outerip", "bk_host_name", "bk_cloud_id")
MEMBERS: Final = ("bk_host_innerip", "bk_cloud_id", "bk_host_id")
_V6: Final = "bk_host_innerip_v6"
_LINES: Final = re.compile(r"\n|\\n")
_WAYS: Final = ("ip", "topo", "group")
_NO_WAY: Final = "no way of picking hosts is chosen: selectors holds {!r}, one of {} is wanted"
_NO_PATH: Final = "path: {} not found in topo_tree"


class Wanted(NamedTuple):
    """Rules that hosts must obey; `nothing` where one can never be obeyed."""

    hosts: tuple[Json, ...] = ()
    modules: tuple[Json, ...] = ()
    nothing: bool = False

    def __add__(self, other: object) -> "Wanted":
        """Return the rules of both."""
        if not isinstance(other, Wanted):
            return NotImplemented
        nothing = self.nothing or other.nothing
        return Wanted(self.hosts + other.hosts, self.modules + other.modules, nothing)


class Picked(NamedTuple):
    """How the hosts are picked, and what is picked in that way."""

    way: str
    items: list[Json]


@lazy_variable("ip_selector")
async def ip_selector(lookup: Lookup) -> JsonValue:
    """Compute the addresses of the hosts that are picked, joined by the form's separator."""
    bk, scope, form = blueking(lookup), scope_of(lookup.context), form_of(lookup)
    hosts = await _picked_hosts(bk, scope, form)
    separator = form.text("separator", SEPARATOR)
    if not form.flag("with_cloud_id"):
        return separator.join(_address(bk, host) for host in hosts)
    return separator.join(with_area(h.get("bk_cloud_id"), _address(bk, h)) for h in hosts)


def _address(bk: BlueKing, host: Json) -> str:
    return address_of(host if bk.settings.ipv6 else {**host, _V6: ""})


async def _picked_hosts(bk: BlueKing, scope: Scope, form: Fields) -> list[Json]:
    filters, excludes = (conditions(form.rows(key)) for key in ("filters", "excludes"))
    way, is_manual = _way(form)
    needs_tree = way == "topo" or filters or excludes
    tree = await _whole_tree(bk, scope) if needs_tree else []
    typed = form.part("manual_input").text("value").strip()
    items = await _typed(bk, scope, way, typed, tree) if is_manual else form.rows(way)
    wanted = _chosen_by(bk, tree, filters, "in") + _chosen_by(bk, tree, excludes, "not_in")
    if way == "group":
        return await _of_groups(bk, scope, items, wanted)
    return await _obeying(bk, scope, wanted + _picked(tree, Picked(way, items)))


def _way(form: Fields) -> tuple[str, bool]:
    """Return how hosts are picked, and whether they are typed in; only the first way counts.

    Raises:
        PluginError: no way is chosen, or an unknown one.
    """
    first = next(iter(form.items("selectors")), "")
    way = form.part("manual_input").line("type") if first == "manual" else str(first)
    if way not in _WAYS:
        raise PluginError(_NO_WAY.format(way, ", ".join((*_WAYS, "manual"))))
    return way, first == "manual"


def conditions(rows: Iterable[Json]) -> dict[str, list[JsonValue]]:
    """Return the values of each field in a form's conditions, each once; a line is a value."""
    found: dict[str, list[JsonValue]] = {}
    for row in rows:
        known = found.setdefault(str(row.get("field")), [])
        for value in (part for each in Fields(row).items("value") for part in _split(each)):
            known += [] if value in known else [value]
    return found


def _split(value: JsonValue) -> list[JsonValue]:
    if isinstance(value, str):
        return [line.strip() for line in _LINES.split(value.strip())]
    return [value]


# --- rules ------------------------------------------------------------------------------------


def _chosen_by(
    bk: BlueKing, tree: Sequence[Json], given: Conditions, operator: Literal["in", "not_in"]
) -> Wanted:
    """Return the rules of conditions on hosts and on places in the topology."""
    hosts = given.get("host", [])
    wanted = Wanted((_host_rule(bk, hosts, operator),) if hosts else ())
    places = {field: values for field, values in given.items() if field != "host"}
    if not places:
        return wanted
    modules = modules_at(tree, places, "bk_inst_name")
    if not modules:
        return wanted._replace(nothing=operator == "in")
    return wanted + Wanted(modules=(rule("bk_module_id", modules, operator),))


def _host_rule(bk: BlueKing, hosts: Sequence[JsonValue], operator: Literal["in", "not_in"]) -> Json:
    if not bk.settings.ipv6:
        return rule("bk_host_innerip", hosts, operator)
    named = read_hosts(SEPARATOR.join(map(str, hosts)))
    kinds: dict[str, Sequence[JsonValue]] = {
        "bk_host_innerip": named.v4,
        _V6: named.v6,
        "bk_host_id": named.ids,
    }
    rules: list[JsonValue] = [
        rule(field, values, operator) for field, values in kinds.items() if values
    ]
    return {"condition": "OR" if operator == "in" else "AND", "rules": rules}


def _picked(tree: Sequence[Json], picked: Picked) -> Wanted:
    """Return the rule that only what is picked is wanted."""
    if picked.way == "ip":
        ids = [host.get("bk_host_id") for host in picked.items]
        return Wanted((rule("bk_host_id", ids),), nothing=not ids)
    modules = dict.fromkeys(
        module
        for place in picked.items
        for module in modules_at(
            tree, {str(place.get("bk_obj_id")): [place.get("bk_inst_id")]}, "bk_inst_id"
        )
    )
    return Wanted(modules=(rule("bk_module_id", [*modules]),), nothing=not modules)


def modules_at(
    tree: Sequence[Json], given: Conditions, compared: Compared, *, is_below: bool = False
) -> list[JsonValue]:
    """Return the ids of the modules under places that fit all conditions on their level."""
    found: list[JsonValue] = []
    for place in tree:
        level = str(place.get("bk_obj_id"))
        fits = place.get(compared) in given.get(level, ())
        if level == "module":
            is_wanted = fits or ("module" not in given and is_below)
            found += [place.get("bk_inst_id")] if is_wanted else []
        elif fits or level not in given:
            inner = as_rows(place.get("child"))
            found += modules_at(inner, given, compared, is_below=is_below or fits)
    return found


# --- CMDB -------------------------------------------------------------------------------------


async def _obeying(bk: BlueKing, scope: Scope, wanted: Wanted) -> list[Json]:
    """Return the hosts of the business that obey all rules."""
    if wanted.nothing:
        return []
    rules = {"module": wanted.modules, "host": wanted.hosts}
    filters = {f"{kind}_property_filter": all_of(each) for kind, each in rules.items() if each}
    params = {**asked(scope, _fields(bk, HOSTS)), **filters}
    rows = await bk.pages("cc.list_biz_hosts_topo", params)
    return [as_object(row.get("host")) for row in rows]


async def _of_groups(
    bk: BlueKing, scope: Scope, groups: Iterable[Json], wanted: Wanted
) -> list[Json]:
    """Return the members of dynamic groups, of those that obey the rules where there are any."""
    found: dict[str, Json] = {}
    for group in await _still_there(bk, scope, [each.get("id") for each in groups]):
        params = asked(scope, _fields(bk, MEMBERS), id=group)
        members = await bk.pages("cc.execute_dynamic_group", params, size=GROUP_PAGE)
        found |= {str(host.get("bk_host_id")): host for host in members}
    if wanted == Wanted():
        return list(found.values())
    kept = {str(host.get("bk_host_id")) for host in await _obeying(bk, scope, wanted)}
    return [host for number, host in found.items() if number in kept]


async def _still_there(bk: BlueKing, scope: Scope, groups: Sequence[JsonValue]) -> list[JsonValue]:
    """Leave out the groups that have been deleted, where CMDB lets us see which there are."""
    try:
        known = [group.get("id") for group in await _host_groups(bk, scope)]
    except ApiError:
        return list(groups)
    return [group for group in groups if group in known]


async def _host_groups(bk: BlueKing, scope: Scope) -> list[Json]:
    rows = await bk.pages("cc.search_dynamic_group", scope.where, size=GROUP_PAGE)
    return [row for row in rows if row.get("bk_obj_id") == "host"]


async def _whole_tree(bk: BlueKing, scope: Scope) -> list[Json]:
    """Return the business's topology with the pool of idle hosts, which CMDB keeps apart."""
    tree = await topology(bk, scope)
    pool = await bk.object("cc.get_biz_internal_module", scope.where)
    if "bk_set_id" not in pool or not tree:
        return tree
    idle: Json = {
        "bk_obj_id": "set",
        "bk_inst_id": pool["bk_set_id"],
        "bk_inst_name": pool.get("bk_set_name"),
        "child": [
            {
                "bk_obj_id": "module",
                "bk_inst_id": module.get("bk_module_id"),
                "bk_inst_name": module.get("bk_module_name"),
            }
            for module in as_rows(pool.get("module"))
        ],
    }
    root = tree[0]
    return [{**root, "child": [idle, *as_rows(root.get("child"))]}]


def _fields(bk: BlueKing, fields: Sequence[str]) -> tuple[str, ...]:
    return (*fields, _V6) if bk.settings.ipv6 else tuple(fields)


# --- what is typed in -------------------------------------------------------------------------


async def _typed(
    bk: BlueKing, scope: Scope, way: str, text: str, tree: Sequence[Json]
) -> list[Json]:
    """Return what a text picks, in the form in which people pick it by clicks.

    Raises:
        PluginError: the text names hosts or places that are not there.
    """
    match way:
        case "ip":
            return [{"bk_host_id": number} for number in await _ids(bk, scope, text)]
        case "topo":
            lines = _highest(path_lines(text.replace(SEPARATOR, "\n")))
            return [_place(tree, line) for line in lines]
        case _:
            names = set(re.split(r"[,\n]", text))
            return [each for each in await _host_groups(bk, scope) if each.get("name") in names]


async def _ids(bk: BlueKing, scope: Scope, text: str) -> list[int]:
    if bk.settings.ipv6:
        return await host_ids(bk, scope, text, with_cloud=True)
    return [host.id for host in await placed_hosts(bk, scope, text)]


def _highest(paths: Iterable[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Leave out the paths that lead below another one."""
    kept: list[tuple[str, ...]] = []
    for path in sorted(paths, key=len):
        if not any(path[: len(each)] == each for each in kept):
            kept.append(path)
    return kept


def _place(tree: Sequence[Json], path: tuple[str, ...]) -> Json:
    """Return the place that names lead to.

    Raises:
        PluginError: they lead nowhere.
    """
    level: Sequence[Json] = tree
    found: Json = {}
    for name in path:
        found = next((place for place in level if place.get("bk_inst_name") == name), Json())
        if not found:
            raise PluginError(_NO_PATH.format(STEP.join(path)))
        level = as_rows(found.get("child"))
    return found
