"""Hosts moved between modules, and locked.

Source: plugins' reference, section 3.3.
"""

from typing import Final

from activities.blueking.addresses import read_addresses
from activities.blueking.catalogue import blueking, served
from activities.blueking.client import BlueKing, Json
from activities.blueking.form import Fields, Form, Written
from activities.blueking.hosts import Scope, host_ids, hosts_by_text
from activities.blueking.rows import Row, as_texts, expanded
from activities.blueking.scope import scope_of
from activities.blueking.topology import (
    SEPARATOR,
    depth_of,
    places,
    places_by_names,
    topo_ids,
    topology,
)
from activities.calls import Call, PluginError
from activities.sdk import AnyPlugin

MOVES: Final = (
    ("cc_transfer_to_idle", "legacy", "cc.transfer_host_to_idlemodule"),
    ("cmdb_transfer_fault_host", "legacy", "cc.transfer_host_to_faultmodule"),
    ("cc_transfer_to_recovery", "1.0", "cc.transfer_host_to_recyclemodule"),
    ("cmdb_transfer_host_resource", "legacy", "cc.transfer_host_to_resourcemodule"),
)
"""Components that move hosts to one of the business's own modules: code, version, API."""

LOCKS: Final = (
    ("cmdb_add_host_lock", "v1.0", "cc.add_host_lock"),
    ("cmdb_delete_host_lock", "v1.0", "cc.delete_host_lock"),
)


def _move(code: str, version: str, api: str) -> AnyPlugin:
    async def run(call: Call[Form]) -> Written | None:
        """Move hosts to a module that every business has."""
        bk, form = blueking(call), call.inputs.fields
        scope = scope_of(call.context, form)
        ids = await host_ids(bk, scope, form.text("cc_host_ip"))
        await bk.call(api, {**_where(scope), "bk_host_id": [*ids]})
        return None

    return served(code, version, run, idempotent=True)


def _lock(code: str, version: str, api: str) -> AnyPlugin:
    async def run(call: Call[Form]) -> Written | None:
        """Lock hosts against changes, or free them."""
        bk, form = blueking(call), call.inputs.fields
        ids = await host_ids(bk, scope_of(call.context), form.text("cc_host_ip"))
        await bk.call(api, {"id_list": [*ids]})
        return None

    return served(code, version, run, idempotent=True)


async def _transfer(call: Call[Form]) -> Written | None:
    """Move hosts to modules that a tree of the form names."""
    form = call.inputs.fields
    modules = topo_ids(form.items("cc_module_select"))
    await _to_modules(blueking(call), scope_of(call.context, form), form, modules)
    return None


async def _transfer_chosen(call: Call[Form]) -> Written | None:
    """Move hosts to modules that a tree or lines of names give."""
    bk, form = blueking(call), call.inputs.fields
    scope = scope_of(call.context, form)
    modules = await places(
        bk,
        scope,
        form.line("cc_module_select_method"),
        form.items("cc_module_select_topo"),
        form.text("cc_module_select_text"),
        "module",
    )
    await _to_modules(bk, scope, form, modules)
    return None


async def _to_modules(bk: BlueKing, scope: Scope, form: Fields, modules: list[int]) -> None:
    """Move the hosts of a form, all of which must be in the business."""
    text = form.text("cc_host_ip")
    hosts = await hosts_by_text(bk, scope, text)
    known = {host.ip for host in hosts}
    if missing := [ip for ip in read_addresses(text) if ip not in known]:
        raise PluginError(f"IP {missing} 在本业务下不存在: 请检查配置, 修复后重新执行任务")
    await bk.call(
        "cc.transfer_host_module",
        {
            **_where(scope),
            "bk_host_id": [host.id for host in hosts],
            "bk_module_id": [*modules],
            "is_increment": form.text("cc_is_increment") == "true",
        },
    )


def _batch_transfer(version: str) -> AnyPlugin:
    async def run(call: Call[Form]) -> Written:
        """Move the hosts of each row to the row's modules; rows do not depend on each other."""
        bk, form = blueking(call), call.inputs.fields
        scope = scope_of(call.context, form)
        append = form.flag("is_append", default=True)
        done: list[Row] = []
        failed: list[str] = []
        for row in _transfer_rows(form, version):
            try:
                await _transfer_row(bk, scope, Fields(row), append=append)
                done.append(row)
            except PluginError as error:
                failed.append(error.what)
        outputs: Json = {
            "transfer_host_module_success": [*done],
            "transfer_host_module_failed": [*failed],
        }
        if failed:
            raise PluginError("\n".join(failed), outputs=outputs)
        return Written.model_validate(outputs)

    return served("cc_batch_transfer_host_module", version, run, idempotent=True)


def _transfer_rows(form: Fields, version: str) -> list[Row]:
    rows = as_texts(form.rows("cc_host_transfer_detail"))
    if version == "1.0" and form.line("cc_module_select_method") == "auto":
        return expanded(rows, form.text("cc_transfer_host_template_break_line") or ",")
    return rows


async def _transfer_row(bk: BlueKing, scope: Scope, row: Fields, *, append: bool) -> None:
    """Move one row's hosts; a path may leave out the name of the business."""
    ids = await host_ids(bk, scope, row.text("cc_transfer_host_ip"), with_cloud=True)
    depth = await depth_of(bk, scope, "module")
    paths: list[str] = []
    for path in row.items("cc_transfer_host_target_module"):
        short = len(str(path).split(SEPARATOR)) == depth - 1
        paths.append(f"{await business_name(bk, scope)}{SEPARATOR}{path}" if short else str(path))
    found = await places_by_names(bk, scope, "\n".join(paths), "module")
    await bk.call(
        "cc.transfer_host_module",
        {
            **_where(scope),
            "bk_host_id": [*ids],
            "bk_module_id": [place.id for place in found],
            "is_increment": append,
        },
    )


async def business_name(bk: BlueKing, scope: Scope) -> str:
    """Return the name of the business, which stands at the root of its topology."""
    tree = await topology(bk, scope)
    return str(tree[0].get("bk_inst_name", "")) if tree else ""


def _where(scope: Scope) -> Json:
    return {"bk_biz_id": scope.business, "bk_supplier_account": scope.supplier}


TRANSFERS: Final = (
    *(_move(*row) for row in MOVES),
    *(_lock(*row) for row in LOCKS),
    served("cc_transfer_host_module", "legacy", _transfer, idempotent=True),
    served("cc_transfer_host_module", "v1.0", _transfer_chosen, idempotent=True),
    _batch_transfer("1.0"),
    _batch_transfer("1.1"),
)
