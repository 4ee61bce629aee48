"""Sets made, changed, emptied and deleted.

Source: plugins' reference, section 3.3; differs: `cc_empty_set_hosts` with an unknown way to choose
fails, where v1.0 of the real one says so and succeeds; `cc_batch_update_set` with an unknown name
fails its row, where the real one asks CMDB to change a set 0; what is no set in a tree of the form
is left out everywhere, where the real one does so for `cc_update_set` only.
"""

from typing import Final

from activities.blueking.catalogue import blueking, served
from activities.blueking.client import BlueKing, Json
from activities.blueking.cmdb.attributes import (
    CAPACITY,
    attributes,
    capacity,
    cast_row,
    checked,
    chosen,
)
from activities.blueking.cmdb.series import Change, each_alone, in_turn
from activities.blueking.form import Fields, Form, Written
from activities.blueking.hosts import Scope
from activities.blueking.rows import Row, as_texts, expanded, without_empty
from activities.blueking.scope import scope_of
from activities.blueking.topology import UNKNOWN_METHOD, places, topo_ids
from activities.calls import Call, PluginError
from activities.sdk import AnyPlugin

LABELS: Final = {"bk_service_status": "服务状态", "bk_set_env": "环境类型"}
"""Attributes of a set that are choices, and what error texts call them."""

_NAME: Final = "bk_set_name"
_NEW_NAME: Final = "bk_new_set_name"


async def _parents(bk: BlueKing, scope: Scope, form: Fields) -> list[int]:
    """Return the places below which sets are made."""
    method = "cc_select_set_parent_method"
    return await places(bk, scope, form, "cc_set_parent_select", "parent", method=method)


async def _sets(bk: BlueKing, scope: Scope, form: Fields, version: str) -> list[int]:
    """Return the sets that a form chooses, in the way of its version."""
    if version == "legacy":
        return topo_ids(form.items("cc_set_select"), "set")
    return await places(bk, scope, form, "cc_set_select", "set")


# --- made -------------------------------------------------------------------------------------


def _create(version: str) -> AnyPlugin:
    async def run(call: Call[Form]) -> Written | None:
        """Make sets below each of the chosen places."""
        bk, form = blueking(call), call.inputs.fields
        scope = scope_of(call.context, form)
        if version == "v2.0":
            parents = await _parents(bk, scope, form)
        else:
            parents = topo_ids(form.items("cc_set_parent_select"))
        rows = form.rows("cc_set_info")
        if version != "legacy":
            rows = expanded(as_texts(rows), "\n")
        known = await attributes(bk, scope, "set")
        sets = [_set_data(known, without_empty(row)) for row in rows]
        made = [_made(scope, parent, data) for parent in parents for data in sets]
        await in_turn(bk, "cc.create_set", made)
        return None

    return served("cc_create_set", version, run)


def _made(scope: Scope, parent: int, data: Json) -> Change:
    about = f"set {data.get(_NAME, '')!r} below {parent}"
    return Change(about, {**scope.where, "data": {"bk_parent_id": parent, **data}})


def _set_data(known: list[Json], row: Row) -> Json:
    """Return a new set's attributes; its choices are given by their ids.

    Raises:
        PluginError: a choice is none, or the capacity is no number.
    """
    data: Json = dict(row)
    for attribute, label in LABELS.items():
        if attribute in data:
            data[attribute] = checked(known, attribute, data[attribute], label)
    if CAPACITY in data:
        data[CAPACITY] = capacity(data[CAPACITY])
    return data


async def _create_by_template(call: Call[Form]) -> Written:
    """Make sets by a template of sets; one that cannot be made does not keep the others away."""
    bk, form = blueking(call), call.inputs.fields
    scope = scope_of(call.context, form)
    extra: Json = {
        str(row.get("attr_id")): row.get("attr_value")
        for row in form.rows("cc_set_attr")
        if row.get("attr_id")
    }
    template = form.integer("cc_set_template")
    made = [
        _made(scope, parent, {_NAME: name, "set_template_id": template, **extra})
        for parent in await _parents(bk, scope, form)
        for name in form.items("cc_set_name")
    ]
    settled = await each_alone(
        made, lambda one: bk.call("cc.create_set", one.request), lambda one: one.about
    )
    if settled.failed and settled.done:
        settled.failed.append(f"made: {', '.join(one.about for one in settled.done)}")
    return settled.written({})


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

    made = served("cc_update_set", version, run)
    made.repeatable(lambda form: form.fields.line("cc_set_property") != _NAME)
    return made


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
        attribute = form.line("set_attr_id") or _NAME
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
        "bk_biz_id": scope.business,
        "fields": ["bk_set_id", attribute],
        "condition": {attribute: value},
    }
    rows = await bk.pages("cc.search_set", params)
    found = [row["bk_set_id"] for row in rows if str(row.get(attribute)) == value]
    if not found:
        raise PluginError(f"no set of the business has {attribute} {value!r}: choose another")
    return topo_ids(found)


async def _change(bk: BlueKing, scope: Scope, sets: list[int], data: Json) -> None:
    changes = [
        Change(f"set {each}", {**scope.where, "bk_set_id": each, "data": data}) for each in sets
    ]
    await in_turn(bk, "cc.update_set", changes)


async def _batch_update(call: Call[Form]) -> Written:
    """Change the set that each row names; rows do not depend on each other."""
    bk, form = blueking(call), call.inputs.fields
    scope = scope_of(call.context, form)
    rows = as_texts(form.rows("cc_set_update_data"))
    if form.line("cc_set_select_method") == "auto":
        rows = expanded(rows, form.text("cc_set_template_break_line") or ",")
    known = await attributes(bk, scope, "set")
    settled = await each_alone(
        rows, lambda row: _update_row(bk, scope, known, row), lambda row: f"set {row.get(_NAME)}"
    )
    return settled.written(
        {"set_update_success": [*settled.done], "set_update_failed": [*settled.failed]}
    )


async def _update_row(bk: BlueKing, scope: Scope, known: list[Json], row: Row) -> None:
    data = cast_row(known, without_empty(row))
    if _NAME not in data:
        raise PluginError("目前Set名称未填写: fill in bk_set_name")
    sets = await _sets_with(bk, scope, _NAME, str(data[_NAME]))
    data[_NAME] = data.pop(_NEW_NAME, data[_NAME])
    request: Json = {"bk_biz_id": scope.business, "bk_set_id": sets[0], "data": data}
    await bk.call("cc.update_set", request)


# --- emptied and deleted ----------------------------------------------------------------------


def _empty(version: str) -> AnyPlugin:
    async def run(call: Call[Form]) -> Written | None:
        """Move all hosts of sets to the idle module."""
        bk, form = blueking(call), call.inputs.fields
        scope = scope_of(call.context, form)
        sets = await _sets(bk, scope, form, version)
        changes = [Change(f"set {each}", {**scope.where, "bk_set_id": each}) for each in sets]
        await in_turn(bk, "cc.transfer_sethost_to_idle_module", changes)
        return None

    return served("cc_empty_set_hosts", version, run, idempotent=True)


def _delete(version: str) -> AnyPlugin:
    async def run(call: Call[Form]) -> Written | None:
        """Delete sets."""
        bk, form = blueking(call), call.inputs.fields
        scope = scope_of(call.context, form)
        sets = await _sets(bk, scope, form, version)
        doomed: Json = {**scope.where, "delete": {"inst_ids": [*sets]}}
        await bk.call("cc.batch_delete_set", doomed)
        return None

    return served("cc_batch_delete_set", version, run)


SETS: Final = (
    *map(_create, ("legacy", "v1.0", "v2.0")),
    served("cc_create_set_by_template", "v1.0", _create_by_template),
    *map(_update, ("legacy", "v1.0")),
    *map(_update_status, ("legacy", "v1.0")),
    served("cc_update_set_service_status", "1.1", _update_listed_status, idempotent=True),
    served("cc_batch_update_set", "1.0", _batch_update),
    *map(_empty, ("legacy", "v1.0")),
    *map(_delete, ("legacy", "v1.0")),
)
