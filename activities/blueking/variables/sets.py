"""`set_module_selector`, `set_group_selector` and `set_filter_selector`: sets and their modules.

Each is an object with attributes. Source: plugins' reference, section 3.13; differs: all sets that
fit are read, not the first page of them.
"""

from typing import Final

from pydantic import JsonValue

from activities.blueking.catalogue import blueking
from activities.blueking.client import GROUP_PAGE, as_rows
from activities.blueking.form import Json
from activities.blueking.scope import scope_of
from activities.blueking.variables.common import (
    SEPARATOR,
    as_object_text,
    columns,
    form_of,
    with_flat,
)
from activities.calls import Lookup, PluginError
from activities.sdk import lazy_variable

_NO_SET: Final = "set {} is not in business {}; choose another one in the variable"


@lazy_variable("set_module_selector")
async def set_module_selector(lookup: Lookup) -> JsonValue:
    """Compute the names of a set and of those of its modules that are chosen.

    Raises:
        PluginError: the set is not there.
    """
    bk, form = blueking(lookup), form_of(lookup)
    business = scope_of(lookup.context).business
    number, modules = form.integer("bk_set_id"), form.items("bk_module_id")
    the_set: Json = {
        "bk_biz_id": business,
        "fields": ["bk_set_name"],
        "condition": {"bk_set_id": number},
        "page": {"start": 0, "limit": 1},
    }
    sets = as_rows((await bk.object("cc.search_set", the_set)).get("info"))
    if not sets:
        raise PluginError(_NO_SET.format(number, business))
    its: Json = {
        "bk_biz_id": business,
        "bk_set_id": number,
        "fields": ["bk_module_id", "bk_module_name"],
    }
    wanted = {str(each) for each in modules}
    rows = [
        row
        for row in await bk.pages("cc.search_module", its)
        if str(row.get("bk_module_id")) in wanted
    ]
    names = [row.get("bk_module_name") for row in rows]
    name = sets[0].get("bk_set_name")
    found: Json = {
        "set_name": name,
        "set_id": number,
        **with_flat({"module_name": names, "module_id": modules}),
    }
    return as_object_text(found, f"set: {name}, modules: {SEPARATOR.join(map(str, names))}")


@lazy_variable("set_group_selector")
async def set_group_selector(lookup: Lookup) -> JsonValue:
    """Compute the attributes of the sets of a dynamic group, a list an attribute."""
    bk, business = blueking(lookup), scope_of(lookup.context).business
    known = await bk.rows("cc.search_object_attribute", {"bk_obj_id": "set"})
    names = dict.fromkeys(["bk_set_id", *(str(row.get("bk_property_id")) for row in known)])
    group: Json = {"bk_biz_id": business, "id": lookup.value, "fields": [*names]}
    rows = await bk.pages("cc.execute_dynamic_group", group, size=GROUP_PAGE)
    cells = {name: [str(cell) for cell in cells] for name, cells in columns(rows, names).items()}
    found = with_flat(cells)
    return as_object_text(found, f"set_field_data: {found}")


@lazy_variable("set_filter_selector")
async def set_filter_selector(lookup: Lookup) -> JsonValue:
    """Compute the sets with one of some values of an attribute, and their common attributes."""
    bk, form = blueking(lookup), form_of(lookup)
    business, attribute = scope_of(lookup.context).business, form.line("bk_obj_id")
    rows: list[Json] = []
    for value in form.text("bk_obj_value").split(SEPARATOR):
        params: Json = {"bk_biz_id": business, "condition": {attribute: value}}
        rows += await bk.pages("cc.search_set", params)
    common = [key for key in rows[0] if all(key in row for row in rows)] if rows else []
    found: Json = {"bk_sets": [*rows], **with_flat(columns(rows, common))}
    return as_object_text(found, f"sets: {rows}")
