"""Sets made, changed, emptied and deleted.

Source: plugins' reference, section 3.3; differs: `cc_empty_set_hosts` with an unknown way to choose
fails, where v1.0 of the real one says so and succeeds; `cc_batch_update_set` with an unknown name
fails its row, where the real one asks CMDB to change a set 0.
"""

from typing import Final

from pydantic import JsonValue

from activities.blueking.catalogue import blueking, served
from activities.blueking.client import BlueKing, Json
from activities.blueking.cmdb.attributes import (
    CAPACITY,
    attributes,
    capacity,
    cast_row,
    chosen,
    option_ids,
)
from activities.blueking.form import Fields, Form, Written
from activities.blueking.hosts import Scope
from activities.blueking.rows import Row, as_texts, expanded, without_empty
from activities.blueking.scope import scope_of
from activities.blueking.topology import UNKNOWN_METHOD, Level, places, topo_ids
from activities.calls import Call, PluginError
from activities.sdk import AnyPlugin

LABELS: Final = {"bk_service_status": "集群服务状态", "bk_set_env": "集群环境类型"}
"""Attributes of a set that are choices, and what error texts call them."""


async def _selected(
    bk: BlueKing, scope: Scope, form: Fields, level: Level, prefix: str
) -> list[int]:
    """Return the places that a form chooses by `<prefix>_topo` or `<prefix>_text`."""
    return await places(
        bk,
        scope,
        form.line(f"{'cc_select_set_parent' if level == 'parent' else prefix}_method"),
        form.items(f"{prefix}_topo"),
        form.text(f"{prefix}_text"),
        level,
    )


async def _sets(bk: BlueKing, scope: Scope, form: Fields, version: str) -> list[int]:
    """Return the sets that a form chooses, in the way of its version."""
    if version == "legacy":
        return topo_ids(form.items("cc_set_select"), "set")
    if form.line("cc_set_select_method") == "topo":
        return topo_ids(form.items("cc_set_select_topo"), "set")
    return await _selected(bk, scope, form, "set", "cc_set_select")


# --- made -------------------------------------------------------------------------------------


def _create(version: str) -> AnyPlugin:
    async def run(call: Call[Form]) -> Written | None:
        """Make sets below each of the chosen places."""
        bk, form = blueking(call), call.inputs.fields
        scope = scope_of(call.context, form)
        if version == "v2.0":
            parents = await _selected(bk, scope, form, "parent", "cc_set_parent_select")
        else:
            parents = topo_ids(form.items("cc_set_parent_select"))
        rows = form.rows("cc_set_info")
        if version != "legacy":
            rows = expanded(as_texts(rows), "\n")
        known = await attributes(bk, scope, "set")
        sets = [_set_data(known, without_empty(row)) for row in rows]
        for parent in parents:
            for data in sets:
                where: Json = {**_where(scope), "data": {"bk_parent_id": parent, **data}}
                await bk.call("cc.create_set", where)
        return None

    return served("cc_create_set", version, run)


def _set_data(known: list[Json], row: Row) -> Json:
    """Return a new set's attributes; its choices are given by their ids.

    Raises:
        PluginError: a choice is none, or the capacity is no number.
    """
    data: Json = dict(row)
    for attribute, label in LABELS.items():
        if attribute in data:
            ids = {str(each): each for each in option_ids(known, attribute).values()}
            if str(data[attribute]) not in ids:
                raise PluginError(f"{label}校验失败，请重试并修改为正确的{label}")
            data[attribute] = ids[str(data[attribute])]
    if CAPACITY in data:
        data[CAPACITY] = capacity(data[CAPACITY])
    return data


async def _create_by_template(call: Call[Form]) -> Written | None:
    """Make sets by a template of sets; one that cannot be made does not keep the others away."""
    bk, form = blueking(call), call.inputs.fields
    scope = scope_of(call.context, form)
    parents = await _selected(bk, scope, form, "parent", "cc_set_parent_select")
    extra: Json = {
        str(row.get("attr_id")): row.get("attr_value")
        for row in form.rows("cc_set_attr")
        if row.get("attr_id")
    }
    failed: list[str] = []
    for parent in parents:
        for name in form.items("cc_set_name"):
            data: Json = {
                "bk_parent_id": parent,
                "bk_set_name": name,
                "set_template_id": form.integer("cc_set_template"),
                **extra,
            }
            try:
                await bk.call("cc.create_set", {**_where(scope), "data": data})
            except PluginError as error:
                failed.append(error.what)
    if failed:
        raise PluginError("\n".join(failed))
    return None


# --- changed ----------------------------------------------------------------------------------


def _update(version: str) -> AnyPlugin:
    async def run(call: Call[Form]) -> Written | None:
        """Change one attribute of sets."""
        bk, form = blueking(call), call.inputs.fields
        scope = scope_of(call.context, form)
        sets = await _sets(bk, scope, form, version)
        attribute, value = form.line("cc_set_property"), form.raw("cc_set_prop_value")
        if attribute in LABELS:
            known = await attributes(bk, scope, "set")
            value = chosen(known, attribute, value, LABELS[attribute])
        elif attribute == CAPACITY:
            value = capacity(value)
        await _change(bk, scope, sets, {attribute: value})
        return None

    return served("cc_update_set", version, run, idempotent=True)


def _update_status(version: str) -> AnyPlugin:
    async def run(call: Call[Form]) -> Written | None:
        """Open or close sets for service."""
        bk, form = blueking(call), call.inputs.fields
        scope = scope_of(call.context, form)
        sets = await _sets(bk, scope, form, version)
        await _change(bk, scope, sets, {"bk_service_status": form.raw("cc_set_status")})
        return None

    return served("cc_update_set_service_status", version, run, idempotent=True)


async def _update_listed_status(call: Call[Form]) -> Written | None:
    """Open or close the sets of a list of ids, names, or values of an attribute."""
    bk, form = blueking(call), call.inputs.fields
    scope = scope_of(call.context)
    listed = [str(item) for item in form.items("set_list")]
    method = form.line("set_select_method")
    if method == "id":
        sets = topo_ids(listed)
    elif method in ("name", "custom"):
        attribute = form.line("set_attr_id") if method == "custom" else "bk_set_name"
        found = [await _sets_with(bk, scope, attribute, each) for each in listed]
        sets = [each for group in found for each in group]
    else:
        raise PluginError(UNKNOWN_METHOD)
    await _change(bk, scope, sets, {"bk_service_status": form.raw("set_status")})
    return None


async def _sets_with(bk: BlueKing, scope: Scope, attribute: str, value: str) -> list[int]:
    """Return the sets of which an attribute has exactly that value.

    Raises:
        PluginError: there is none.
    """
    params: Json = {
        **_where(scope),
        "fields": ["bk_set_id", attribute],
        "condition": {attribute: value},
    }
    rows = await bk.pages("cc.search_set", params)
    found = [row["bk_set_id"] for row in rows if str(row.get(attribute)) == value]
    if not found:
        raise PluginError(f"no set of the business has {attribute} {value!r}; check set_list")
    return topo_ids(found)


async def _change(bk: BlueKing, scope: Scope, sets: list[int], data: Json) -> None:
    for each in sets:
        await bk.call("cc.update_set", {**_where(scope), "bk_set_id": each, "data": data})


async def _batch_update(call: Call[Form]) -> Written:
    """Change the set that each row names; rows do not depend on each other."""
    bk, form = blueking(call), call.inputs.fields
    scope = scope_of(call.context, form)
    rows = as_texts(form.rows("cc_set_update_data"))
    if form.line("cc_set_select_method") == "auto":
        rows = expanded(rows, form.text("cc_set_template_break_line") or ",")
    known = await attributes(bk, scope, "set")
    done: list[JsonValue] = []
    failed: list[JsonValue] = []
    for row in rows:
        try:
            await _update_row(bk, scope, known, row)
            done.append(row)
        except PluginError as error:
            failed.append(f"{row.get('bk_set_name')}: {error.what}")
    outputs: Json = {"set_update_success": done, "set_update_failed": failed}
    if failed:
        raise PluginError("\n".join(map(str, failed)), outputs=outputs)
    return Written.model_validate(outputs)


async def _update_row(bk: BlueKing, scope: Scope, known: list[Json], row: Row) -> None:
    data = without_empty({key: cell for key, cell in row.items() if key != "bk_set_name"})
    if (renamed := data.pop("bk_new_set_name", None)) is not None:
        data["bk_set_name"] = renamed
    sets = await _sets_with(bk, scope, "bk_set_name", str(row.get("bk_set_name", "")))
    await _change(bk, scope, sets[:1], cast_row(known, data))


# --- emptied and deleted ----------------------------------------------------------------------


def _empty(version: str) -> AnyPlugin:
    async def run(call: Call[Form]) -> Written | None:
        """Move all hosts of sets to the idle module."""
        bk, form = blueking(call), call.inputs.fields
        scope = scope_of(call.context, form)
        for each in await _sets(bk, scope, form, version):
            where: Json = {**_where(scope), "bk_set_id": each}
            await bk.call("cc.transfer_sethost_to_idle_module", where)
        return None

    return served("cc_empty_set_hosts", version, run, idempotent=True)


def _delete(version: str) -> AnyPlugin:
    async def run(call: Call[Form]) -> Written | None:
        """Delete sets."""
        bk, form = blueking(call), call.inputs.fields
        scope = scope_of(call.context, form)
        sets = await _sets(bk, scope, form, version)
        where: Json = {**_where(scope), "delete": {"inst_ids": [*sets]}}
        await bk.call("cc.batch_delete_set", where)
        return None

    return served("cc_batch_delete_set", version, run)


def _where(scope: Scope) -> Json:
    return {"bk_biz_id": scope.business, "bk_supplier_account": scope.supplier}


SETS: Final = (
    *map(_create, ("legacy", "v1.0", "v2.0")),
    served("cc_create_set_by_template", "v1.0", _create_by_template),
    *map(_update, ("legacy", "v1.0")),
    *map(_update_status, ("legacy", "v1.0")),
    served("cc_update_set_service_status", "1.1", _update_listed_status, idempotent=True),
    served("cc_batch_update_set", "1.0", _batch_update, idempotent=True),
    *map(_empty, ("legacy", "v1.0")),
    *map(_delete, ("legacy", "v1.0")),
)
