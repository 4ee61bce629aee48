"""CMDB: hosts, sets and modules as they are changed. Answers as its documents say."""

from collections.abc import Mapping
from typing import Final

from pydantic import JsonValue

from workers.fake_blueking.asked import Asked, Handler, RefusedError
from workers.fake_blueking.cmdb import (
    business_of,
    hosts_by_ids,
    module_row,
    modules_in,
    set_row,
)
from workers.fake_blueking.world import FAULTY, IDLE, RECYCLE, Host, Place, World

_RESOURCE_POOL: Final = 1
"""The business of hosts that belong to none."""


def transfer_host_module(world: World, asked: Asked) -> JsonValue:
    """Move hosts to modules, or add modules to them."""
    number = business_of(world, asked)
    modules = asked.integers("bk_module_id")
    for each in modules:
        place = world.modules.get(each)
        if place is None or place.business != number:
            raise RefusedError(f"there is no module {each} in business {number}")
    hosts, adds = _own_hosts(world, asked, number), asked.flag("is_increment")
    for host in hosts:
        host.modules = list(dict.fromkeys([*host.modules, *modules] if adds else modules))
    return None


def _to_default(default: int) -> Handler:
    def transfer(world: World, asked: Asked) -> JsonValue:
        """Move hosts to a module that every business has."""
        number = business_of(world, asked)
        place = world.default_module(number, default)
        if place is None:
            raise RefusedError(f"business {number} has no such module")
        for host in _own_hosts(world, asked, number):
            host.modules = [place.id]
        return None

    return transfer


def transfer_host_to_resourcemodule(world: World, asked: Asked) -> JsonValue:
    """Give idle hosts back to the pool of all businesses.

    Raises:
        RefusedError: a host is not idle.
    """
    number = business_of(world, asked)
    hosts = _own_hosts(world, asked, number)
    idle = world.default_module(number, IDLE)
    if busy := [host.ip for host in hosts if idle is None or host.modules != [idle.id]]:
        raise RefusedError(f"only idle hosts can be given back; not idle: {', '.join(busy)}")
    for host in hosts:
        host.business, host.modules = _RESOURCE_POOL, []
    return None


def transfer_sethost_to_idle_module(world: World, asked: Asked) -> JsonValue:
    """Move all hosts of a set to the idle module."""
    place = _set(world, asked)
    idle = world.default_module(place.business, IDLE)
    inside = {m.id for m in modules_in(world, place.id)}
    for host in world.hosts.values():
        if idle is not None and inside & {*host.modules}:
            host.modules = [idle.id]
    return None


def create_set(world: World, asked: Asked) -> JsonValue:
    """Make a set.

    Raises:
        RefusedError: there is one of that name.
    """
    number, data = business_of(world, asked), asked.part("data")
    name = data.text("bk_set_name")
    data.integer("bk_parent_id")
    if any(p.name == name and p.business == number for p in world.sets.values()):
        raise RefusedError(f"数据唯一性校验失败, bk_set_name {name!r} 重复")
    place = Place(world.new_id(), name, number, number, fields=dict(data.fields))
    world.sets[place.id] = place
    return set_row(place)


def create_module(world: World, asked: Asked) -> JsonValue:
    """Make a module in a set."""
    place, data = _set(world, asked), asked.part("data")
    name = data.text("bk_module_name", "") if data.has("bk_module_name") else ""
    if data.has("service_template_id"):
        template = world.service_templates.get(data.integer("service_template_id"))
        if template is None:
            raise RefusedError("there is no such service template")
        name = name or str(template["name"])
    if not name:
        data.refuse("bk_module_name", "is required")
    made = Place(world.new_id(), name, place.business, place.id, fields=dict(data.fields))
    world.modules[made.id] = made
    return module_row(made)


def update_set(world: World, asked: Asked) -> JsonValue:
    """Change a set's attributes."""
    _change(_set(world, asked), "set", asked.part("data"), world)
    return None


def update_module(world: World, asked: Asked) -> JsonValue:
    """Change a module's attributes."""
    place, number = _set(world, asked), asked.integer("bk_module_id")
    module = world.modules.get(number)
    if module is None or module.parent != place.id:
        raise RefusedError(f"there is no module {number} in set {place.id}")
    _change(module, "module", asked.part("data"), world)
    return None


def batch_delete_set(world: World, asked: Asked) -> JsonValue:
    """Delete sets that have no hosts.

    Raises:
        RefusedError: one is not there, or has hosts.
    """
    number = business_of(world, asked)
    ids = asked.part("delete").integers("inst_ids")
    for each in ids:
        place = _set(world, Asked({"bk_biz_id": number, "bk_set_id": each}))
        inside = {m.id for m in modules_in(world, place.id)}
        if any(inside & {*host.modules} for host in world.hosts.values()):
            raise RefusedError(f"set {each} still has hosts")
    for each in ids:
        del world.sets[each]
    world.modules = {key: m for key, m in world.modules.items() if m.parent not in ids}
    return None


def update_host(world: World, asked: Asked) -> JsonValue:
    """Change attributes of hosts, whose ids stand in a text with commas between."""
    ids = [int(part) for part in str(asked.fields.get("bk_host_id") or "").split(",") if part]
    if not ids:
        asked.refuse("bk_host_id", "is required")
    data = asked.part("data")
    _check_attributes(world, "host", data)
    for host in hosts_by_ids(world, ids):
        host.fields |= data.fields
    return None


def batch_update_host(world: World, asked: Asked) -> JsonValue:
    """Change attributes of hosts, each to values of its own."""
    rows = asked.rows("update")
    for row in rows:
        hosts_by_ids(world, [row.integer("bk_host_id")])
        _check_attributes(world, "host", row.part("properties"))
    for row in rows:
        world.hosts[row.integer("bk_host_id")].fields |= row.part("properties").fields
    return None


def _lock(*, locks: bool) -> Handler:
    def change(world: World, asked: Asked) -> JsonValue:
        """Lock hosts, or free them."""
        for host in hosts_by_ids(world, asked.integers("id_list")):
            host.is_locked = locks
        return None

    return change


# --- parts ---


def _set(world: World, asked: Asked) -> Place:
    business, number = business_of(world, asked), asked.integer("bk_set_id")
    place = world.sets.get(number)
    if place is None or place.business != business:
        raise RefusedError(f"there is no set {number} in business {business}")
    return place


def _own_hosts(world: World, asked: Asked, business: int) -> list[Host]:
    """Return the hosts that a call moves; a locked one is not moved."""
    hosts = hosts_by_ids(world, asked.integers("bk_host_id"))
    if others := [host.id for host in hosts if host.business != business]:
        raise RefusedError(f"hosts {others} do not belong to business {business}")
    if locked := [host.ip for host in hosts if host.is_locked]:
        raise RefusedError(f"hosts are locked: {', '.join(locked)}")
    return hosts


def _change(place: Place, kind: str, data: Asked, world: World) -> None:
    _check_attributes(world, kind, data)
    place.fields |= data.fields
    place.name = str(data.fields.get(f"bk_{kind}_name", place.name))


def _check_attributes(world: World, kind: str, data: Asked) -> None:
    """Refuse values of another type than their attributes have."""
    known = {str(row["bk_property_id"]): row for row in world.attributes[kind]}
    if not data.fields:
        raise RefusedError("there is nothing to change")
    for key, value in data.fields.items():
        row = known.get(key)
        if row is not None and row["bk_property_type"] == "int" and type(value) is not int:
            data.refuse(key, "must be an integer")


APIS: Final[Mapping[str, Handler]] = {
    "POST /cc/add_host_lock/": _lock(locks=True),
    "POST /cc/batch_delete_set/": batch_delete_set,
    "POST /cc/batch_update_host/": batch_update_host,
    "POST /cc/create_module/": create_module,
    "POST /cc/create_set/": create_set,
    "POST /cc/delete_host_lock/": _lock(locks=False),
    "POST /cc/transfer_host_module/": transfer_host_module,
    "POST /cc/transfer_host_to_faultmodule/": _to_default(FAULTY),
    "POST /cc/transfer_host_to_idlemodule/": _to_default(IDLE),
    "POST /cc/transfer_host_to_recyclemodule/": _to_default(RECYCLE),
    "POST /cc/transfer_host_to_resourcemodule/": transfer_host_to_resourcemodule,
    "POST /cc/transfer_sethost_to_idle_module/": transfer_sethost_to_idle_module,
    "POST /cc/update_host/": update_host,
    "POST /cc/update_module/": update_module,
    "POST /cc/update_set/": update_set,
}
