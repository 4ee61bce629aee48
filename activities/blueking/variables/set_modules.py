"""`set_module_ip_selector`: hosts by the names of sets and of the service templates of modules.

Source: plugins' reference, section 3.13; differs: idle modules are not asked for as if their ids
were those of service templates, and an unknown way of choosing is an error, not an empty text.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import Final, NamedTuple

from pydantic import JsonValue

from activities.blueking.catalogue import blueking
from activities.blueking.client import BlueKing, Json, as_rows
from activities.blueking.form import Fields
from activities.blueking.hosts import Scope, hosts_by_text
from activities.blueking.scope import scope_of
from activities.blueking.topology import UNKNOWN_METHOD
from activities.blueking.variables.common import (
    SEPARATOR,
    address_of,
    asked,
    form_of,
    hosts_of_modules,
    portions,
)
from activities.calls import Lookup, PluginError
from activities.sdk import lazy_variable

ALL: Final = "all"
IDLE_POOL: Final = "空闲机池"
"""Name of the set that CMDB gives every business."""

_SETS_AT_ONCE: Final = 200
_PARTS: Final = {
    "select": ("var_ip_select_value", "var_set", "var_module"),
    "manual": ("var_ip_manual_value", "var_manual_set", "var_manual_module"),
}
"""Per way of choosing the part of the form, and its fields of sets and modules."""


class Named(NamedTuple):
    """A set, a service template or an idle module."""

    id: int
    name: str


class Choice(NamedTuple):
    """What is chosen: sets, service templates, and modules of the idle pool."""

    sets: list[Named]
    templates: list[Named]
    idle: list[Named]


@lazy_variable("set_module_ip_selector")
async def set_module_ip_selector(lookup: Lookup) -> JsonValue:
    """Compute the addresses of the hosts in the modules that are chosen, joined by commas.

    Raises:
        PluginError: the way of choosing is unknown.
    """
    bk, scope, form = blueking(lookup), scope_of(lookup.context), form_of(lookup)
    method = form.line("var_ip_method")
    if method != "custom" and method not in _PARTS:
        raise PluginError(UNKNOWN_METHOD)
    modules = await _modules(bk, scope, form, method)
    if method == "custom":
        return SEPARATOR.join(await _typed(bk, scope, form, modules))
    fields = ("bk_host_innerip", "bk_host_innerip_v6") if bk.settings.ipv6 else ("bk_host_innerip",)
    hosts = await hosts_of_modules(bk, scope, modules, fields)
    return SEPARATOR.join(map(address_of, hosts))


async def _typed(bk: BlueKing, scope: Scope, form: Fields, modules: Sequence[int]) -> list[str]:
    """Return those of the hosts that are typed in that stand in one of the modules."""
    named = await hosts_by_text(bk, scope, form.text("var_ip_custom_value"))
    fields = ("bk_host_id",) if bk.settings.ipv6 else ("bk_host_innerip",)
    hosts = await hosts_of_modules(bk, scope, modules, fields)
    inside = {str(host.get(fields[0])) for host in hosts}
    kept = [host.ip for host in named if not inside.isdisjoint((str(host.id), host.ip))]
    return list(dict.fromkeys(kept))


async def _modules(bk: BlueKing, scope: Scope, form: Fields, method: str) -> list[int]:
    """Return the ids of the modules that the form chooses and its filters let through."""
    pool = await bk.object("cc.get_biz_internal_module", scope.where)
    idle = _named(as_rows(pool.get("module")), "bk_module_id", "bk_module_name")
    sets = _named(await bk.pages("cc.search_set", _all_sets(scope)), "bk_set_id", "bk_set_name")
    listed = await bk.pages("cc.list_service_template", scope.where)
    every = Choice(sets, _named(listed, "id", "name"), idle)
    choice = every if method == "custom" else _chosen(every, form, method)
    names = (_names(form.text("var_filter_set")), _names(form.text("var_filter_module")))
    kept = filtered(choice, every.idle, *names)
    return [*await _of_templates(bk, scope, kept), *(each.id for each in kept.idle)]


def _all_sets(scope: Scope) -> Json:
    return asked(scope, ("bk_set_name", "bk_set_id"))


def _named(rows: Iterable[Json], number: str, name: str) -> list[Named]:
    return [Named(Fields(row).integer(number), Fields(row).text(name)) for row in rows]


def _chosen(every: Choice, form: Fields, method: str) -> Choice:
    """Return what the form chooses; `all` stands for everything."""
    key, set_key, module_key = _PARTS[method]
    part = form.part(key)
    sets = [name.strip() for name in _listed(part.raw(set_key))]
    modules = _listed(part.raw(module_key))
    is_whole_pool = not modules and not {IDLE_POOL, ALL}.isdisjoint(sets)
    return Choice(
        _among(every.sets, sets),
        _among(every.templates, modules),
        every.idle if is_whole_pool else _among(every.idle, modules),
    )


def _among(every: list[Named], names: Collection[str]) -> list[Named]:
    return every if ALL in names else [each for each in every if each.name in names]


def filtered(
    choice: Choice, pool: list[Named], sets: Collection[str], modules: Collection[str]
) -> Choice:
    """Return what of a choice the filters by name let through; an empty filter lets all through.

    The idle pool counts where it is chosen and not filtered out; where a filter asks for it and no
    idle module is chosen, all of its modules count.
    """
    is_pool_wanted = any(each.name == IDLE_POOL for each in choice.sets) and (
        not sets or IDLE_POOL in sets
    )
    idle = choice.idle or (pool if sets and not modules else [])
    if not (choice.templates or choice.idle):
        return Choice([], [], [])
    return Choice(
        [each for each in _let_through(choice.sets, sets) if each.name != IDLE_POOL],
        _let_through(choice.templates, modules),
        _let_through(idle, modules) if is_pool_wanted else [],
    )


def _let_through(items: list[Named], names: Collection[str]) -> list[Named]:
    return [each for each in items if not names or each.name in names]


async def _of_templates(bk: BlueKing, scope: Scope, kept: Choice) -> list[int]:
    """Return the modules in the sets that were made by the service templates."""
    templates: list[JsonValue] = [each.id for each in kept.templates]
    if not templates:
        return []
    found: list[int] = []
    for part in portions([each.id for each in kept.sets], _SETS_AT_ONCE):
        params: Json = {
            "bk_biz_id": scope.business,
            "bk_service_template_ids": templates,
            "fields": ["bk_module_id"],
            "bk_set_ids": [*part],
        }
        rows = await bk.pages("cc.find_module_with_relation", params)
        found += [Fields(row).integer("bk_module_id") for row in rows]
    return found


def _listed(value: JsonValue) -> list[str]:
    """Return names, as a list or as text with commas; empty text is one empty name."""
    return value.split(SEPARATOR) if isinstance(value, str) else list(map(str, _items(value)))


def _items(value: JsonValue) -> list[JsonValue]:
    return value if isinstance(value, list) else []


def _names(text: str) -> list[str]:
    return text.split(SEPARATOR) if text else []
