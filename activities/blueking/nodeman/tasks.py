"""`nodeman_create_task` from v2.0 on: agents and proxies installed, operated and removed.

The versions differ in where their forms have the same things, and in what v4.0 changed: other
jobs, options of agents, and hosts that are looked up in CMDB.

Source: plugins' reference, section 3.8; differs: the public key is fetched once a node.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

from pydantic import JsonValue

from activities.blueking.catalogue import blueking, served
from activities.blueking.client import ApiError, BlueKing, Json
from activities.blueking.form import Fields, Form, Written
from activities.blueking.hosts import Scope
from activities.blueking.nodeman.credentials import login_cipher, without
from activities.blueking.nodeman.hosts import UNENCRYPTED, Install, ids_of, installed
from activities.blueking.nodeman.jobs import HISTORY, follow, job_id_of, with_looks
from activities.blueking.outcomes import looked_up_at
from activities.calls import Call, PluginError
from activities.sdk import AnyPlugin

CLOUD: Final = "nodeman_bk_cloud_id"
ACCESS_POINT: Final = "nodeman_ap_id"


class Order(NamedTuple):
    """What a form asks for: the job, the hosts to install, and others as cloud area and text."""

    job: str
    rows: list[Fields]
    others: list[tuple[JsonValue, str]]
    latest_plugins: bool = True


class Jobs(NamedTuple):
    """The jobs of a group of versions; `old` ones are those before v4.0."""

    old: bool
    install: frozenset[str]
    operate: frozenset[str]
    remove: frozenset[str] = frozenset()


def _read_v2(form: Fields) -> Order:
    target, info = form.part("nodeman_op_target"), form.part("nodeman_op_info")
    place: Json = {CLOUD: target.raw(CLOUD), ACCESS_POINT: info.raw(ACCESS_POINT)}
    rows = [Fields({**row, **place}) for row in info.rows("nodeman_hosts")]
    others = [(target.raw(CLOUD), info.text("nodeman_ip_str"))]
    return Order(_job(info, target), rows, others)


def _read_v3(form: Fields) -> Order:
    return _by_rows(form.part("nodeman_op_info"), form)


def _read_v4(form: Fields) -> Order:
    info = form.part("nodeman_op_info")
    latest = info.flag("nodeman_install_latest_plugins", default=True)
    return _by_rows(info, info)._replace(latest_plugins=latest)


def _by_rows(info: Fields, typed: Fields) -> Order:
    others = [Fields(row) for row in info.rows("nodeman_other_hosts")]
    return Order(
        _job(info, typed),
        [Fields(row) for row in info.rows("nodeman_hosts")],
        [(row.raw(CLOUD), row.text("nodeman_ip_str")) for row in others],
    )


def _job(info: Fields, typed: Fields) -> str:
    return f"{info.line('nodeman_op_type')}_{typed.line('nodeman_node_type')}"


def _both(*operations: str) -> frozenset[str]:
    return frozenset(f"{each}_{node}" for each in operations for node in ("AGENT", "PROXY"))


_RELOAD: Final = _both("RELOAD")
_UNINSTALL: Final = frozenset({"UNINSTALL_AGENT"})
_FRESH: Final = _both("INSTALL")
_WITH_PLUGINS: Final = _both("INSTALL", "REINSTALL")

_OLD: Final = Jobs(
    old=True,
    install=_WITH_PLUGINS,
    operate=_both("UPGRADE", "UNINSTALL"),
    remove=_both("REMOVE"),
)
_NEW: Final = Jobs(
    old=False,
    install=_WITH_PLUGINS | _RELOAD | _UNINSTALL,
    operate=_both("UPGRADE", "RESTART") | {"UNINSTALL_PROXY"},
)

VERSIONS: Final[dict[str, tuple[Jobs, Callable[[Fields], Order]]]] = {
    "v2.0": (_OLD, _read_v2),
    "v3.0": (_OLD, _read_v3),
    "v4.0": (_NEW, _read_v4),
    "v5.0": (_NEW, _read_v4),
    "v6.0": (_NEW, _read_v4),
    "v7.0": (_NEW, _read_v4),
}


def _task(version: str) -> AnyPlugin:
    jobs, read = VERSIONS[version]

    async def run(call: Call[Form]) -> Written:
        """Install, operate or remove agents and proxies on hosts."""
        bk, form = blueking(call), call.inputs.fields
        order, supplier = read(form), call.context.get("biz_supplier_account") or "0"
        scope = Scope(form.integer("bk_biz_id"), supplier)
        with looked_up_at(HISTORY):
            if order.job in jobs.install:
                data = await _install(bk, scope, order, jobs)
            elif order.job in jobs.operate:
                data = await _operate(bk, scope, order)
            elif order.job in jobs.remove:
                return await _remove(bk, scope, order)
            else:
                raise PluginError(f"无效的操作请求:{order.job}")
        page = data.get("job_url")
        return follow(call, job_id_of(data, "job_id"), {"job_url": page} if page else {})

    return with_looks(served("nodeman_create_task", version, run))


async def _install(bk: BlueKing, scope: Scope, order: Order, jobs: Jobs) -> Json:
    """Start what works on hosts by their rows."""
    rule = Install(
        old=jobs.old,
        needs_login=order.job not in _RELOAD,
        has_options=order.job not in _UNINSTALL,
        needs_ids=order.job not in _FRESH,
    )
    plain = [row for row in order.rows if not jobs.old and row.line("auth_type") == UNENCRYPTED]
    encrypts = rule.needs_login and len(plain) < len(order.rows)
    cipher = await login_cipher(bk) if encrypts else str
    hosts: list[JsonValue] = []
    for row in order.rows:
        hosts += await installed(bk, scope, row, rule, str if row in plain else cipher)
    request: Json = {"job_type": order.job, "hosts": hosts}
    if not jobs.old and order.job in _WITH_PLUGINS:
        request["is_install_latest_plugins"] = order.latest_plugins
    try:
        return await bk.object("nodeman.job_install", request)
    except ApiError as error:
        # the error shows the request, with the tickets that are sent as they are
        tickets = [row.secret("auth_key") for row in plain]
        raise PluginError(without(error.what, tickets)) from error


async def _operate(bk: BlueKing, scope: Scope, order: Order) -> Json:
    request: Json = {
        "job_type": order.job,
        "bk_biz_id": [scope.business],
        "bk_host_id": await _ids(bk, scope, order),
    }
    return await bk.object("nodeman.job_operate", request)


async def _remove(bk: BlueKing, scope: Scope, order: Order) -> Written:
    """Remove hosts from the node manager, which makes no job of it."""
    request: Json = {
        "bk_biz_id": [scope.business],
        "bk_host_id": await _ids(bk, scope, order),
        "is_proxy": order.job.endswith("PROXY"),
    }
    await bk.call("nodeman.remove_host", request)
    return Written.model_validate({"job_id": ""})


async def _ids(bk: BlueKing, scope: Scope, order: Order) -> list[JsonValue]:
    """Return the ids of the other hosts.

    Raises:
        PluginError: there is none, or one is not found.
    """
    found: list[JsonValue] = []
    for cloud, text in order.others:
        found += await ids_of(bk, scope.business, cloud, text)
    if not found:
        raise PluginError(f"{order.job}: no host is given; fill in nodeman_other_hosts")
    return found


TASKS: Final = tuple(map(_task, VERSIONS))
