"""Hosts moved between modules, and locked.

Source: plugins' reference, section 3.3; differs: `cc_transfer_host_module` fails when a host is not
in the business, where the real one moves the others and says nothing; a path without the name of
the business gets CMDB's name of it, where the real one takes the project's.
"""

from typing import Final, NamedTuple

from activities.blueking.catalogue import blueking, served
from activities.blueking.client import BlueKing, Json
from activities.blueking.cmdb.series import each_alone
from activities.blueking.form import Fields, Form, Written
from activities.blueking.hosts import Scope, host_ids, placed_hosts
from activities.blueking.rows import Row, as_texts, expanded
from activities.blueking.scope import scope_of
from activities.blueking.topology import Topology, path_lines, places, topo_ids, topology_of
from activities.calls import Call, PluginError
from activities.sdk import AnyPlugin


class Move(NamedTuple):
    """A component that moves hosts to a module that CMDB itself has."""

    code: str
    version: str
    api: str
    repeatable: bool = True


MOVES: Final = (
    Move("cc_transfer_to_idle", "legacy", "cc.transfer_host_to_idlemodule"),
    Move("cmdb_transfer_fault_host", "legacy", "cc.transfer_host_to_faultmodule"),
    Move("cc_transfer_to_recovery", "1.0", "cc.transfer_host_to_recyclemodule"),
    # takes hosts out of the business, where a repeat would not find them
    Move(
        "cmdb_transfer_host_resource",
        "legacy",
        "cc.transfer_host_to_resourcemodule",
        repeatable=False,
    ),
)

LOCKS: Final = (
    ("cmdb_add_host_lock", "v1.0", "cc.add_host_lock"),
    ("cmdb_delete_host_lock", "v1.0", "cc.delete_host_lock"),
)


def _move(move: Move) -> AnyPlugin:
    async def run(call: Call[Form]) -> Written | None:
        """Move hosts to a module that every business has."""
        bk, form = blueking(call), call.inputs.fields
        scope = scope_of(call.context, form)
        ids = await host_ids(bk, scope, form.text("cc_host_ip"))
        await bk.call(move.api, {**scope.where, "bk_host_id": [*ids]})
        return None

    return served(move.code, move.version, run, idempotent=move.repeatable)


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
    modules = topo_ids(form.items("cc_module_select"), "module")
    await _to_modules(blueking(call), scope_of(call.context, form), form, modules)
    return None


async def _transfer_chosen(call: Call[Form]) -> Written | None:
    """Move hosts to modules that a tree or lines of names give."""
    bk, form = blueking(call), call.inputs.fields
    scope = scope_of(call.context, form)
    modules = await places(bk, scope, form, "cc_module_select", "module")
    await _to_modules(bk, scope, form, modules)
    return None


async def _to_modules(bk: BlueKing, scope: Scope, form: Fields, modules: list[int]) -> None:
    """Move the hosts of a form, all of which must be in the business."""
    hosts = await placed_hosts(bk, scope, form.text("cc_host_ip"))
    append = form.line("cc_is_increment") == "true"
    await _place(bk, scope, [host.id for host in hosts], modules, append=append)


async def _place(
    bk: BlueKing, scope: Scope, hosts: list[int], modules: list[int], *, append: bool
) -> None:
    """Move hosts to modules, or with `append` add the modules to theirs.

    Raises:
        PluginError: there is no module, or CMDB refuses.
    """
    if not modules:
        raise PluginError("no module is named: choose where the hosts are to stand")
    request: Json = {
        **scope.where,
        "bk_host_id": [*hosts],
        "bk_module_id": [*modules],
        "is_increment": append,
    }
    await bk.call("cc.transfer_host_module", request)


def _batch_transfer(version: str) -> AnyPlugin:
    async def run(call: Call[Form]) -> Written:
        """Move the hosts of each row to the row's modules; rows do not depend on each other."""
        bk, form = blueking(call), call.inputs.fields
        scope = scope_of(call.context, form)
        append = form.flag("is_append", default=True)
        rows = _transfer_rows(form, version)
        found = await topology_of(bk, scope, "module")
        settled = await each_alone(
            rows, lambda row: _transfer_row(bk, scope, found, Fields(row), append=append), _about
        )
        return settled.written(
            {
                "transfer_host_module_success": [*settled.done],
                "transfer_host_module_failed": [*settled.failed],
            }
        )

    return served("cc_batch_transfer_host_module", version, run, idempotent=True)


def _transfer_rows(form: Fields, version: str) -> list[Row]:
    rows = as_texts(form.rows("cc_host_transfer_detail"))
    if version == "1.0" and form.line("cc_module_select_method") == "auto":
        return expanded(rows, form.text("cc_transfer_host_template_break_line") or ",")
    return rows


async def _transfer_row(
    bk: BlueKing, scope: Scope, found: Topology, row: Fields, *, append: bool
) -> None:
    """Move one row's hosts; a path may leave out the name of the business."""
    ids = await host_ids(bk, scope, row.text("cc_transfer_host_ip"), with_cloud=True)
    paths = path_lines(row.text("cc_transfer_host_target_module").replace(",", "\n"))
    full = [(found.business, *path) if len(path) == found.depth - 1 else path for path in paths]
    modules = list(dict.fromkeys(found.place(path).id for path in full))
    await _place(bk, scope, ids, modules, append=append)


def _about(row: Row) -> str:
    return f"{row.get('cc_transfer_host_ip')} -> {row.get('cc_transfer_host_target_module')}"


TRANSFERS: Final = (
    *map(_move, MOVES),
    *(_lock(*row) for row in LOCKS),
    served("cc_transfer_host_module", "legacy", _transfer, idempotent=True),
    served("cc_transfer_host_module", "v1.0", _transfer_chosen, idempotent=True),
    _batch_transfer("1.0"),
    _batch_transfer("1.1"),
)
