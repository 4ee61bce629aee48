"""`nodeman_create_task` in its oldest version, for a node manager that platforms no longer have.

Source: plugins' reference, section 3.8; differs: the public key that the real system has compiled
in is a setting, and without it the node says what to use instead.
"""

from typing import Final

from pydantic import JsonValue

from activities.blueking.addresses import every_address
from activities.blueking.catalogue import blueking, served
from activities.blueking.ciphers import Cipher, in_blocks
from activities.blueking.client import ApiError, BlueKing, Json, as_object, as_rows
from activities.blueking.form import Fields, Form, Written
from activities.blueking.nodeman.jobs import (
    HISTORY,
    LOG_CHARS,
    LOOK_S,
    MOST_LOGS,
    follow,
    job_id_of,
)
from activities.blueking.outcomes import looked_up_at
from activities.calls import Call, PluginError, StillRunning

_NO_KEY: Final = (
    "nodeman_create_task in its oldest version is for a node manager that current platforms no "
    "longer have: use version v7.0 in the template; where the old one still runs, set its public "
    "key as blueking.nodeman_legacy_key on the workers"
)
_AS_GIVEN: Final = ("os_type", "has_cygwin", "port", "account", "auth_type")
_OTHER_ADDRESSES: Final = ("login_ip", "data_ip", "cascade_ip")


async def _run(call: Call[Form]) -> Written:
    """Install, operate or remove agents and proxies through the old node manager."""
    bk, form = blueking(call), call.inputs.fields
    if not bk.settings.nodeman_legacy_key:
        raise PluginError(_NO_KEY)
    cipher = in_blocks(bk.settings.nodeman_legacy_key)
    hosts: list[JsonValue] = []
    for row in form.rows("nodeman_hosts"):
        hosts += _hosts(Fields(row), cipher)
    request: Json = {
        "bk_biz_id": form.integer("biz_cc_id"),
        "bk_cloud_id": form.raw("nodeman_bk_cloud_id"),
        "node_type": form.line("nodeman_node_type"),
        "op_type": form.line("nodeman_op_type"),
        "creator": call.executor,
        "hosts": hosts,
    }
    try:
        with looked_up_at(HISTORY):
            data = await bk.object("nodeman.create_task", request)
    except ApiError as error:
        text = "[节点管理]任务创建失败: 创建[节点管理]任务发生异常:"
        raise PluginError(f"{text} {error.message}") from error
    follow(call, job_id_of(data, "id"), {})


def _hosts(row: Fields, cipher: Cipher) -> list[JsonValue]:
    """Return the hosts of a row.

    Raises:
        PluginError: it names none.
    """
    addresses = every_address(row.text("conn_ips"))
    if not addresses:
        raise PluginError("conn_ips 为空或输入格式错误")
    others = {key: every_address(row.text(key)) for key in _OTHER_ADDRESSES}
    common: Json = {
        **{key: row.raw(key) for key in _AS_GIVEN},
        **{key: found[0] for key, found in others.items() if found},
        row.line("auth_type").lower(): cipher(row.secret("auth_key")),
    }
    return [{"conn_ips": address, **common} for address in addresses]


TASK: Final = served("nodeman_create_task", "legacy", _run)


@TASK.poll
async def _(call: Call[Form], handle: JsonValue) -> Written:
    """Look at the job; all its hosts are counted when it has ended."""
    bk, business = blueking(call), call.inputs.fields.integer("biz_cc_id")
    try:
        asked: Json = {"bk_biz_id": business, "job_id": handle}
        data = await bk.object("nodeman.get_task_info", asked)
    except ApiError as error:
        raise PluginError(f"查询失败，未能获得任务执行结果: {error.what}") from error
    counts = Fields(as_object(data.get("status_count")))
    good, bad = counts.number("success_count") or 0, counts.number("failed_count") or 0
    if good + bad != data.get("host_count"):
        call.progress(success_num=good, fail_num=bad)
        raise StillRunning(after_s=LOOK_S)
    known: Json = {"success_num": good, "fail_num": bad}
    if bad:
        failed = [each for each in as_rows(data.get("hosts")) if each.get("status") == "FAILED"]
        raise PluginError(await _logs(bk, business, failed[:MOST_LOGS]), outputs=known)
    return Written.model_validate({**call.outputs, **known})


async def _logs(bk: BlueKing, business: int, failed: list[Json]) -> str:
    """Return what the logs of failed hosts say; a log that cannot be read says why."""
    hosts = [as_object(each.get("host")) for each in failed]
    logs = await bk.at_once(
        lambda host: bk.object(
            "nodeman.get_log", {"host_id": host.get("id"), "bk_biz_id": business}
        ),
        hosts,
    )
    told = [
        f"主机：{host.get('inner_ip')}\n日志：{_end(log)}"
        for host, log in zip(hosts, logs, strict=True)
    ]
    return "\n".join(["日志信息为：", *told])


def _end(log: object) -> str:
    found = str(log) if isinstance(log, Exception) else str(as_object(log).get("logs") or "")
    return found[-LOG_CHARS:]
