"""`nodeman_plugin_operate`: plugins of agents, installed and stopped on hosts.

Source: plugins' reference, section 3.8; differs: as in `nodeman.hosts`.
"""

from typing import Final

from pydantic import JsonValue

from activities.blueking.addresses import read_hosts
from activities.blueking.catalogue import blueking, served
from activities.blueking.client import BlueKing, Json
from activities.blueking.form import Fields, Form, Written
from activities.blueking.hosts import host_ids
from activities.blueking.nodeman.hosts import ids_of
from activities.blueking.nodeman.jobs import HISTORY, follow, job_id_of, with_looks
from activities.blueking.outcomes import looked_up_at
from activities.blueking.scope import scope_of
from activities.calls import Call, PluginError
from activities.sdk import AnyPlugin

INSTALL: Final = "MAIN_INSTALL_PLUGIN"
STOP: Final = "MAIN_STOP_PLUGIN"


def _operate(version: str) -> AnyPlugin:
    async def run(call: Call[Form]) -> Written:
        """Install or stop a plugin of the agents on hosts."""
        bk, form = blueking(call), call.inputs.fields
        business = scope_of(call.context, form).business
        hosts = await _hosts(bk, call, form, version)
        asked = form.part("nodeman_plugin_operate")
        plugin = asked.line("nodeman_plugin")
        request: Json = {
            "job_type": asked.line("nodeman_op_type"),
            "bk_biz_id": [business],
            "bk_host_id": hosts,
            "plugin_params": _params(asked, plugin),
        }
        with looked_up_at(HISTORY):
            data = await bk.object("nodeman.plugin_operate", request)
        job_id = job_id_of(data, plugin, "job_id")
        pages: list[JsonValue] = [_page(bk, job_id, host) for host in hosts]
        follow(call, job_id, {"job_url": data.get("job_url") or pages})

    return with_looks(served("nodeman_plugin_operate", version, run))


def _params(asked: Fields, plugin: str) -> Json:
    """Return how the plugin is installed; to keep its configuration wins over not to restart."""
    kind = asked.line("nodeman_op_type")
    version = "latest" if kind == STOP else asked.line("nodeman_plugin_version")
    chosen = asked.items("install_config") if kind == INSTALL else []
    option = next((each for each in ("keep_config", "no_restart") if each in chosen), "")
    return {
        "name": plugin,
        **({"version": version} if version else {}),
        **({option: 1} if option else {}),
    }


async def _hosts(bk: BlueKing, call: Call[Form], form: Fields, version: str) -> list[JsonValue]:
    """Return the ids of the hosts that a form names, by addresses or by ids.

    Raises:
        PluginError: the form says neither, or a host is not found.
    """
    where = form.part("nodeman_host_info") if version == "v1.0" else form
    how = where.line("nodeman_host_input_type") if version == "v1.0" else "host_ip"
    if not how:
        raise PluginError("请选择填写方式")
    if how != "host_ip":
        return [part.strip() for part in where.text("nodeman_host_id").split(",") if part.strip()]
    scope, text = scope_of(call.context, form), where.text("nodeman_host_ip")
    cloud = where.raw("nodeman_bk_cloud_id")
    if not bk.settings.ipv6:
        return await ids_of(bk, scope.business, cloud, text)
    named = read_hosts(text)
    placed = ",".join([*named.v6, *(f"{cloud}:{ip}" for ip in named.v4)])
    return [*await host_ids(bk, scope, placed, with_cloud=True)]


def _page(bk: BlueKing, job_id: JsonValue, host: JsonValue) -> str:
    base = bk.settings.nodeman_url.rstrip("/")
    return f"{base}/#/task-history/{job_id}/log/host|instance|host|{host}"


PLUGINS: Final = tuple(map(_operate, ("v1.0", "v2.0")))
