"""Modules made and changed.

Source: plugins' reference, section 3.3; differs: `cc_batch_module_update` begins its paths with
CMDB's name of the business, where the real one takes the project's.
"""

from typing import Final

from activities.blueking.catalogue import blueking, served
from activities.blueking.client import BlueKing, Json
from activities.blueking.cmdb.attributes import attributes, cast_row, chosen
from activities.blueking.cmdb.series import Change, each_alone, in_turn
from activities.blueking.form import Fields, Form, Written
from activities.blueking.hosts import Scope
from activities.blueking.rows import Row, as_texts, expanded, without_empty
from activities.blueking.scope import scope_of
from activities.blueking.topology import (
    Topology,
    path_lines,
    places,
    set_of_module,
    topo_ids,
    topology,
    topology_of,
)
from activities.calls import Call, PluginError
from activities.sdk import AnyPlugin

KIND: Final = "bk_module_type"
_KIND_LABEL: Final = "模块类型"
_NAME: Final = "bk_module_name"
_PATH: Final = "cc_module_select_text"
_TEMPLATE: Final = "cc_service_template"
_CATEGORY: Final = "cc_service_category"
_PAIR: Final = 2


async def _create(call: Call[Form]) -> Written | None:
    """Make modules in each of the chosen sets."""
    bk, form = blueking(call), call.inputs.fields
    scope = scope_of(call.context, form)
    rows = _rows(form)
    sets = await places(bk, scope, form, "cc_set_select", "set")
    typed = any(KIND in row for row in rows)
    known = await attributes(bk, scope, "module") if typed else []
    modules = [_module(known, row) for row in rows]
    made = [_made(scope, parent, data) for parent in sets for data in modules]
    await in_turn(bk, "cc.create_module", made)
    return None


def _rows(form: Fields) -> list[Row]:
    """Return the rows of the way in which modules are made, each with what names its origin.

    Raises:
        PluginError: no way is chosen, or there is no row.
    """
    match method := form.line("cc_create_method"):
        case "template" | "category":
            rows = form.rows(f"cc_module_infos_{method}")
        case _:
            raise PluginError("请选择创建方式")
    if not rows:
        raise PluginError("模块信息不能为空")
    origin = _from_template if method == "template" else _from_category
    return [{**_others(row), **origin(Fields(row))} for row in rows]


def _others(row: Row) -> Row:
    return without_empty({k: cell for k, cell in row.items() if k not in (_TEMPLATE, _CATEGORY)})


def _from_template(row: Fields) -> Json:
    """Return a module's template and name, which is the template's."""
    name, _, number = row.line(_TEMPLATE).rpartition("_")
    if not number.isdecimal():
        raise PluginError(
            f"请选择正确的服务模板: {_TEMPLATE} is {row.line(_TEMPLATE)!r}, not name_id"
        )
    return {"service_template_id": int(number), _NAME: name}


def _from_category(row: Fields) -> Json:
    """Return a module's category, the second of a pair; it must have a name of its own."""
    pair = row.items(_CATEGORY)
    if len(pair) != _PAIR:
        raise PluginError(f"请选择正确的服务类型: {_CATEGORY} is {pair!r}, not a pair")
    if _NAME not in row:
        raise PluginError("模块名称不能为空")
    return {"service_category_id": topo_ids(pair)[-1]}


def _module(known: list[Json], row: Row) -> Json:
    """Return a new module's attributes, its type by its id.

    Raises:
        PluginError: there is no such type.
    """
    if KIND not in row:
        return row
    return {**row, KIND: chosen(known, KIND, row[KIND], _KIND_LABEL)}


def _made(scope: Scope, parent: int, data: Json) -> Change:
    request: Json = {
        "bk_biz_id": scope.business,
        "bk_set_id": parent,
        "data": {"bk_parent_id": parent, **data},
    }
    return Change(f"module {data.get(_NAME)!r} in set {parent}", request)


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
        changes = [
            Change(f"module {module}", {**scope.where, **_change(tree, module, {attribute: value})})
            for module in modules
        ]
        await in_turn(bk, "cc.update_module", changes)
        return None

    made = served("cc_update_module", version, run)
    made.repeatable(lambda form: form.fields.line("cc_module_property") != _NAME)
    return made


def _change(tree: list[Json], module: int, data: Json) -> Json:
    return {"bk_set_id": set_of_module(tree, module), "bk_module_id": module, "data": data}


async def _modules(bk: BlueKing, scope: Scope, form: Fields, version: str) -> list[int]:
    if version == "legacy":
        return topo_ids(form.items("cc_module_select"), "module")
    return await places(bk, scope, form, "cc_module_select", "module")


async def _batch_update(call: Call[Form]) -> Written:
    """Change the module that each row names; rows do not depend on each other."""
    bk, form = blueking(call), call.inputs.fields
    scope = scope_of(call.context, form)
    rows = as_texts(form.rows("cc_module_update_data"))
    if form.line("cc_tag_method") == "template":
        rows = expanded(rows, form.text("cc_template_break_line") or ",")
    known, found = await attributes(bk, scope, "module"), await topology_of(bk, scope, "module")
    settled = await each_alone(
        rows,
        lambda row: _update_row(bk, scope, known, found, row),
        lambda row: f"module {row.get(_PATH)}",
    )
    return settled.written(
        {"module_update_success": [*settled.done], "module_update_failed": [*settled.failed]}
    )


async def _update_row(
    bk: BlueKing, scope: Scope, known: list[Json], found: Topology, row: Row
) -> None:
    """Change one row's module; its path leaves out the name of the business."""
    lines = path_lines(str(row.get(_PATH) or ""))
    if not lines:
        raise PluginError(f"没有提供待更新的模块: fill in {_PATH}")
    module = found.place((found.business, *lines[0])).id
    data = cast_row(known, without_empty({k: cell for k, cell in row.items() if k != _PATH}))
    request: Json = {"bk_biz_id": scope.business, **_change(found.tree, module, data)}
    await bk.call("cc.update_module", request)


MODULES: Final = (
    served("cc_create_module", "legacy", _create),
    *map(_update, ("legacy", "v1.0")),
    served("cc_batch_module_update", "1.0", _batch_update),
)
