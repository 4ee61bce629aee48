"""Modules made and changed.

Source: plugins' reference, section 3.3.
"""

from typing import Final

from pydantic import JsonValue

from activities.blueking.catalogue import blueking, served
from activities.blueking.client import BlueKing, Json
from activities.blueking.cmdb.attributes import attributes, chosen
from activities.blueking.cmdb.transfer import business_name
from activities.blueking.form import Fields, Form, Written
from activities.blueking.hosts import Scope
from activities.blueking.rows import Row, as_texts, expanded, without_empty
from activities.blueking.scope import scope_of
from activities.blueking.topology import (
    SEPARATOR,
    UNKNOWN_METHOD,
    places,
    places_by_names,
    set_of_module,
    topo_ids,
    topology,
)
from activities.calls import Call, PluginError
from activities.sdk import AnyPlugin

KIND: Final = "bk_module_type"
_KIND_LABEL: Final = "模块类型"
_PATH: Final = "cc_module_select_text"


async def _create(call: Call[Form]) -> Written | None:
    """Make modules in each of the chosen sets."""
    bk, form = blueking(call), call.inputs.fields
    scope = scope_of(call.context, form)
    sets = await places(
        bk,
        scope,
        form.line("cc_set_select_method"),
        form.items("cc_set_select_topo"),
        form.text("cc_set_select_text"),
        "set",
    )
    known = await attributes(bk, scope, "module")
    modules = [_module(known, Fields(without_empty(row)), form) for row in _rows(form)]
    for parent in sets:
        for data in modules:
            where: Json = {
                "bk_biz_id": scope.business,
                "bk_set_id": parent,
                "data": {"bk_parent_id": parent, **data},
            }
            await bk.call("cc.create_module", where)
    return None


def _rows(form: Fields) -> list[Row]:
    match form.line("cc_create_method"):
        case "template":
            return form.rows("cc_module_infos_template")
        case "category":
            return form.rows("cc_module_infos_category")
        case _:
            raise PluginError(UNKNOWN_METHOD)


def _module(known: list[Json], row: Fields, form: Fields) -> Json:
    """Return a new module's attributes.

    Raises:
        PluginError: its name, template or category is missing or wrong.
    """
    data: Json = {}
    if form.line("cc_create_method") == "template":
        name, _, number = row.line("cc_service_template").rpartition("_")
        if not number.isdigit():
            raise PluginError("cc_service_template: a template as name_id is wanted")
        data |= {"service_template_id": int(number), "bk_module_name": name}
    else:
        category = row.items("cc_service_category")
        if not row.line("bk_module_name"):
            raise PluginError("模块名称不能为空")
        if not category:
            raise PluginError("cc_service_category: choose a category")
        data |= {
            "service_category_id": topo_ids(category)[-1],
            "bk_module_name": row.line("bk_module_name"),
        }
    if KIND in row:
        data[KIND] = chosen(known, KIND, row.raw(KIND), _KIND_LABEL)
    return data


def _update(version: str) -> AnyPlugin:
    async def run(call: Call[Form]) -> Written | None:
        """Change one attribute of modules."""
        bk, form = blueking(call), call.inputs.fields
        scope = scope_of(call.context, form)
        modules = await _modules(bk, scope, form, version)
        attribute, value = form.line("cc_module_property"), form.raw("cc_module_prop_value")
        if attribute == KIND:
            known = await attributes(bk, scope, "module")
            value = chosen(known, attribute, value, _KIND_LABEL)
        tree = await topology(bk, scope)
        for module in modules:
            await _change(bk, scope, set_of_module(tree, module), module, {attribute: value})
        return None

    return served("cc_update_module", version, run, idempotent=True)


async def _modules(bk: BlueKing, scope: Scope, form: Fields, version: str) -> list[int]:
    if version == "legacy":
        return topo_ids(form.items("cc_module_select"), "module")
    return await places(
        bk,
        scope,
        form.line("cc_module_select_method"),
        form.items("cc_module_select_topo"),
        form.text(_PATH),
        "module",
    )


async def _batch_update(call: Call[Form]) -> Written:
    """Change the module that each row names; rows do not depend on each other."""
    bk, form = blueking(call), call.inputs.fields
    scope = scope_of(call.context, form)
    rows = as_texts(form.rows("cc_module_update_data"))
    if form.line("cc_tag_method") == "template":
        rows = expanded(rows, form.text("cc_template_break_line") or ",")
    known = await attributes(bk, scope, "module")
    done: list[JsonValue] = []
    failed: list[JsonValue] = []
    for row in rows:
        try:
            await _update_row(bk, scope, known, row)
            done.append(row)
        except PluginError as error:
            failed.append(f"{row.get(_PATH)}: {error.what}")
    outputs: Json = {"module_update_success": done, "module_update_failed": failed}
    if failed:
        raise PluginError("\n".join(map(str, failed)), outputs=outputs)
    return Written.model_validate(outputs)


async def _update_row(bk: BlueKing, scope: Scope, known: list[Json], row: Row) -> None:
    """Change one row's module; its path leaves out the name of the business."""
    path = f"{await business_name(bk, scope)}{SEPARATOR}{row.get(_PATH, '')}"
    place = (await places_by_names(bk, scope, path, "module"))[0]
    data: Json = without_empty({key: cell for key, cell in row.items() if key != _PATH})
    if KIND in data:
        data[KIND] = chosen(known, KIND, data[KIND], _KIND_LABEL)
    await _change(bk, scope, place.above[-1], place.id, data)


async def _change(bk: BlueKing, scope: Scope, parent: int, module: int, data: Json) -> None:
    await bk.call(
        "cc.update_module",
        {
            "bk_biz_id": scope.business,
            "bk_set_id": parent,
            "bk_module_id": module,
            "data": data,
        },
    )


MODULES: Final = (
    served("cc_create_module", "legacy", _create),
    *map(_update, ("legacy", "v1.0")),
    served("cc_batch_module_update", "1.0", _batch_update, idempotent=True),
)
