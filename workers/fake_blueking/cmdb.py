"""CMDB: businesses, sets, modules and hosts as they are read. Answers as its documents say."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from pydantic import JsonValue

from workers.fake_blueking.asked import Asked, Handler, Json, RefusedError
from workers.fake_blueking.world import Host, Place, World

_PAGE: Final = 500
_GROUP_PAGE: Final = 200
_LEVELS: Final = ("biz", "set", "module", "host")


# --- what is read -----------------------------------------------------------------------------


def search_business(world: World, asked: Asked) -> JsonValue:
    """Return the businesses that a condition names."""
    condition = asked.part("condition", {"": None}).fields
    found = [row for row in world.businesses.values() if _holds(row, condition)]
    return {"count": len(found), "info": [*found]}


def list_business_set(world: World, asked: Asked) -> JsonValue:
    """Return the business sets that a filter names."""
    rows: list[Json] = [
        {"bk_biz_set_id": number, "bk_biz_set_name": name}
        for number, name in world.business_sets.items()
    ]
    fits = _filter(asked, "bk_biz_set_filter")
    return {"info": [row for row in rows if fits(row)]}


def list_biz_hosts(world: World, asked: Asked) -> JsonValue:
    """Return a page of a business's hosts."""
    return _page(asked, [_row(host) for host in _asked_hosts(world, asked)])


def list_hosts_without_biz(world: World, asked: Asked) -> JsonValue:
    """Return a page of hosts of any business."""
    fits = _filter(asked, "host_property_filter")
    return _page(asked, [row for row in map(_row, world.hosts.values()) if fits(row)])


def list_biz_hosts_topo(world: World, asked: Asked) -> JsonValue:
    """Return a page of a business's hosts, each with its sets and modules."""
    rows: list[Json] = [
        {"host": _row(host), "topo": _topo(world, host)} for host in _asked_hosts(world, asked)
    ]
    return _page(asked, rows)


def search_biz_inst_topo(world: World, asked: Asked) -> JsonValue:
    """Return a business's tree; the sets of idle hosts are not in it."""
    number = business_of(world, asked)
    sets: list[JsonValue] = [
        _node("set", place, [_node("module", m, []) for m in modules_in(world, place.id)])
        for place in world.sets.values()
        if place.business == number and not place.default
    ]
    business = Place(number, str(world.businesses[number]["bk_biz_name"]), number, 0)
    return [_node("biz", business, sets)]


def get_mainline_object_topo(_world: World, _asked: Asked) -> JsonValue:
    """Return the levels of a topology, from the business down to the host."""
    around = ("", *_LEVELS, "")
    return [
        {"bk_obj_id": level, "bk_pre_obj_id": around[at], "bk_next_obj": around[at + 2]}
        for at, level in enumerate(_LEVELS)
    ]


def get_biz_internal_module(world: World, asked: Asked) -> JsonValue:
    """Return the set of idle hosts and its modules."""
    number = business_of(world, asked)
    pool = next(p for p in world.sets.values() if p.business == number and p.default)
    modules: list[JsonValue] = [
        {"bk_module_id": m.id, "bk_module_name": m.name, "default": m.default}
        for m in modules_in(world, pool.id)
    ]
    return {"bk_set_id": pool.id, "bk_set_name": pool.name, "module": modules}


def search_set(world: World, asked: Asked) -> JsonValue:
    """Return a page of a business's sets that fit a condition."""
    number = business_of(world, asked)
    condition = asked.part("condition", {"": None}).fields
    rows = [set_row(place) for place in world.sets.values() if place.business == number]
    return _page(asked, [row for row in rows if _holds(row, condition)])


def search_module(world: World, asked: Asked) -> JsonValue:
    """Return a page of a set's modules that fit a condition; without a set, of all."""
    number = business_of(world, asked)
    condition = asked.part("condition", {"": None}).fields
    rows = [module_row(place) for place in world.modules.values() if place.business == number]
    if asked.has("bk_set_id"):
        rows = [row for row in rows if row["bk_set_id"] == asked.integer("bk_set_id")]
    return _page(asked, [row for row in rows if _holds(row, condition)])


def find_set_batch(world: World, asked: Asked) -> JsonValue:
    """Return sets by their ids."""
    number, ids = business_of(world, asked), asked.integers("bk_ids")
    found = [p for p in world.sets.values() if p.id in ids and p.business == number]
    return [_only(set_row(place), asked) for place in found]


def find_module_batch(world: World, asked: Asked) -> JsonValue:
    """Return modules by their ids."""
    number, ids = business_of(world, asked), asked.integers("bk_ids")
    found = [p for p in world.modules.values() if p.id in ids and p.business == number]
    return [_only(module_row(place), asked) for place in found]


def find_module_with_relation(world: World, asked: Asked) -> JsonValue:
    """Return a page of modules that stand in some sets and were made of some templates."""
    number = business_of(world, asked)
    sets, templates = asked.integers("bk_set_ids"), asked.integers("bk_service_template_ids")
    if len(sets) > _GROUP_PAGE:
        asked.refuse("bk_set_ids", f"has more than {_GROUP_PAGE} items")
    rows = [module_row(p) for p in world.modules.values() if p.business == number]
    fitting = [
        row
        for row in rows
        if row["bk_set_id"] in sets and row.get("service_template_id") in templates
    ]
    return _page(asked, fitting)


def list_service_template(world: World, asked: Asked) -> JsonValue:
    """Return a page of a business's service templates."""
    number = business_of(world, asked)
    rows = [row for row in world.service_templates.values() if row["bk_biz_id"] == number]
    return _page(asked, rows)


def search_object_attribute(world: World, asked: Asked) -> JsonValue:
    """Return the attributes of a kind of object."""
    return [*world.attributes.get(asked.text("bk_obj_id"), [])]


def get_host_base_info(world: World, asked: Asked) -> JsonValue:
    """Return a host's attributes, one by one."""
    host = hosts_by_ids(world, [asked.integer("bk_host_id")])[0]
    return [
        {"bk_property_id": key, "bk_property_name": key, "bk_property_value": value}
        for key, value in _row(host).items()
    ]


def search_dynamic_group(world: World, asked: Asked) -> JsonValue:
    """Return a page of a business's dynamic groups."""
    number = business_of(world, asked)
    return _page(asked, [row for row in world.groups.values() if row["bk_biz_id"] == number])


def execute_dynamic_group(world: World, asked: Asked) -> JsonValue:
    """Return a page of what is in a dynamic group: hosts, or sets."""
    group = world.groups.get(asked.text("id"))
    if group is None:
        raise RefusedError(f"there is no dynamic group {asked.text('id')!r}")
    ids = Asked(group).integers("members")
    rows = [_row(h) for h in world.hosts.values() if h.id in ids]
    rows += [set_row(place) for place in world.sets.values() if place.id in ids]
    return _page(asked, rows, _GROUP_PAGE)


# --- parts ------------------------------------------------------------------------------------


def business_of(world: World, asked: Asked) -> int:
    """Return the business that a call names.

    Raises:
        RefusedError: there is none.
    """
    number = asked.integer("bk_biz_id")
    if number not in world.businesses:
        raise RefusedError(f"there is no business {number}")
    return number


def hosts_by_ids(world: World, ids: Sequence[int]) -> list[Host]:
    """Return hosts by their ids.

    Raises:
        RefusedError: one is not there.
    """
    if missing := [number for number in ids if number not in world.hosts]:
        raise RefusedError(f"there are no hosts {missing}")
    return [world.hosts[number] for number in ids]


def _asked_hosts(world: World, asked: Asked) -> Iterable[Host]:
    number = business_of(world, asked)
    fits = _filter(asked, "host_property_filter")
    modules = asked.integers("bk_module_ids") if asked.has("bk_module_ids") else []
    sets = asked.integers("bk_set_ids") if asked.has("bk_set_ids") else []
    for host in world.hosts.values():
        inside = {world.modules[m].parent for m in host.modules}
        placed = (not modules or {*modules} & {*host.modules}) and (not sets or {*sets} & inside)
        if host.business == number and placed and fits(_row(host)):
            yield host


def _filter(asked: Asked, key: str) -> Callable[[Json], bool]:
    """Return what a property filter lets through."""
    if not asked.has(key):
        return lambda _row: True
    part = asked.part(key)
    together = all if part.one_of("condition", ("AND", "OR")) == "AND" else any
    rules = part.rows("rules")
    for rule in rules:
        rule.one_of("operator", ("equal", "in", "not_in"))
    return lambda row: together(_rule_fits(rule, row) for rule in rules)


def _rule_fits(rule: Asked, row: Json) -> bool:
    value = row.get(rule.text("field"))
    match rule.text("operator"):
        case "equal":
            return value == rule.fields.get("value")
        case "in":
            return value in rule.items("value")
        case _:
            return value not in rule.items("value")


def _holds(row: Json, condition: Mapping[str, JsonValue]) -> bool:
    return all(row.get(key) == value for key, value in condition.items() if key)


def _page(asked: Asked, rows: Sequence[Json], most: int = _PAGE) -> JsonValue:
    """Return a page; one that is not asked for as the documents say is refused."""
    page = asked.part("page")
    start, limit = page.integer("start", 0), page.integer("limit")
    if not 1 <= limit <= most:
        page.refuse("limit", f"must be between 1 and {most}")
    shown: list[JsonValue] = [_only(row, asked) for row in rows[start : start + limit]]
    return {"count": len(rows), "info": shown}


def _only(row: Json, asked: Asked) -> Json:
    """Return the fields of a row that were asked for; beside a host's place, those of the host."""
    wanted = asked.items("fields", []) if asked.has("fields") else []
    if not wanted:
        return row
    if isinstance(host := row.get("host"), dict):
        return {**row, "host": {key: host[key] for key in host if key in wanted}}
    return {key: row[key] for key in row if key in wanted}


def _row(host: Host) -> Json:
    return {
        "bk_host_id": host.id,
        "bk_host_innerip": host.ip,
        "bk_host_innerip_v6": "",
        "bk_cloud_id": host.cloud,
        **host.fields,
    }


def _topo(world: World, host: Host) -> list[JsonValue]:
    modules = [world.modules[number] for number in host.modules]
    sets = {m.parent: world.sets[m.parent] for m in modules}
    return [
        {
            "bk_set_id": place.id,
            "bk_set_name": place.name,
            "module": [
                {"bk_module_id": m.id, "bk_module_name": m.name}
                for m in modules
                if m.parent == place.id
            ],
        }
        for place in sets.values()
    ]


def _node(kind: str, place: Place, child: list[JsonValue]) -> JsonValue:
    return {
        "bk_obj_id": kind,
        "bk_inst_id": place.id,
        "bk_inst_name": place.name,
        "default": place.default,
        "child": child,
    }


def modules_in(world: World, set_id: int) -> list[Place]:
    """Return the modules of a set."""
    return [place for place in world.modules.values() if place.parent == set_id]


def set_row(place: Place) -> Json:
    """Return a set as CMDB shows it."""
    known: Json = {"bk_set_id": place.id, "bk_biz_id": place.business, "default": place.default}
    return {**place.fields, **known, "bk_set_name": place.name, "bk_parent_id": place.parent}


def module_row(place: Place) -> Json:
    """Return a module as CMDB shows it."""
    known: Json = {"bk_module_id": place.id, "bk_biz_id": place.business, "default": place.default}
    return {**place.fields, **known, "bk_module_name": place.name, "bk_set_id": place.parent}


APIS: Final[Mapping[str, Handler]] = {
    "POST /cc/execute_dynamic_group/": execute_dynamic_group,
    "POST /cc/find_module_batch/": find_module_batch,
    "POST /cc/find_module_with_relation/": find_module_with_relation,
    "POST /cc/find_set_batch/": find_set_batch,
    "GET /cc/get_biz_internal_module/": get_biz_internal_module,
    "GET /cc/get_host_base_info/": get_host_base_info,
    "GET /cc/get_mainline_object_topo/": get_mainline_object_topo,
    "POST /cc/list_biz_hosts/": list_biz_hosts,
    "POST /cc/list_biz_hosts_topo/": list_biz_hosts_topo,
    "POST /cc/list_business_set/": list_business_set,
    "POST /cc/list_hosts_without_biz/": list_hosts_without_biz,
    "POST /cc/list_service_template/": list_service_template,
    "GET /cc/search_biz_inst_topo/": search_biz_inst_topo,
    "POST /cc/search_business/": search_business,
    "POST /cc/search_dynamic_group/": search_dynamic_group,
    "POST /cc/search_module/": search_module,
    "POST /cc/search_object_attribute/": search_object_attribute,
    "POST /cc/search_set/": search_set,
}
