"""Jobs of the node manager: started once, looked at until they end.

Source: plugins' reference, section 3.8; differs: the logs of failed hosts become plain text, and
those of the first hosts only, so that the error stays readable.
"""

import json
from collections.abc import Sequence
from typing import Final, NoReturn

from pydantic import JsonValue

from activities.blueking.catalogue import blueking
from activities.blueking.client import BlueKing, Json, as_object, as_rows
from activities.blueking.form import Form, Written
from activities.calls import Call, PluginError, StillRunning
from activities.sdk import AnyPlugin

HISTORY: Final = "the task history of the node manager"
LOOK_S: Final = 5.0
SUCCEEDED: Final = "SUCCESS"
FAILED: Final = frozenset({"FAILED", "PART_FAILED"})
MOST_LOGS: Final = 20
LOG_CHARS: Final = 2000


def job_id_of(data: Json, *keys: str) -> JsonValue:
    """Return the id of a job that was started, under the first of `keys` that has one.

    Raises:
        PluginError: the node manager names no job.
    """
    found = next((data[key] for key in keys if data.get(key)), None)
    if found is None:
        raise PluginError(f"获取任务job_id失败，result:{json.dumps(data, ensure_ascii=False)}")
    return found


def follow(call: Call[Form], job_id: JsonValue, outputs: Json) -> NoReturn:
    """Wait for the end of a job.

    Raises:
        StillRunning: always.
    """
    call.note(f"NodeMan {job_id}")
    raise StillRunning(job_id, after_s=LOOK_S, outputs={"job_id": job_id, **outputs})


def with_looks(plugin: AnyPlugin) -> AnyPlugin:
    """Add to a component that starts a job the looks at it."""

    @plugin.poll
    async def poll(call: Call[Form], handle: JsonValue) -> Written:
        return await _look(blueking(call), call, handle)

    return plugin


async def _look(bk: BlueKing, call: Call[Form], job_id: JsonValue) -> Written:
    """Look at a job.

    Raises:
        StillRunning: it goes on.
        PluginError: it has failed on some host.
    """
    data = await bk.object("nodeman.job_details", {"job_id": job_id})
    counts = as_object(data.get("statistics"))
    known: Json = {
        "success_num": counts.get("success_count"),
        "fail_num": counts.get("failed_count"),
    }
    if data.get("status") == SUCCEEDED:
        return Written.model_validate({**call.outputs, **known})
    if data.get("status") in FAILED:
        failed = [host for host in as_rows(data.get("list")) if host.get("status") == "FAILED"]
        raise PluginError(await _logs(bk, job_id, failed), outputs=known)
    call.progress(**known)
    raise StillRunning(after_s=LOOK_S, outputs=known)


async def _logs(bk: BlueKing, job_id: JsonValue, failed: Sequence[Json]) -> str:
    """Return what the logs of failed hosts say; a log that cannot be read says why."""
    shown = failed[:MOST_LOGS]
    logs = await bk.at_once(lambda host: _log(bk, job_id, host.get("instance_id")), shown)
    told = [
        f"主机：{host.get('inner_ip')}\n错误日志：{log}"
        for host, log in zip(shown, logs, strict=True)
    ]
    left = len(failed) - len(shown)
    more = [f"… {left} more"] if left else []
    return "\n".join(["操作失败主机日志信息：", *told, *more])


async def _log(bk: BlueKing, job_id: JsonValue, instance: JsonValue) -> str:
    """Return the step of a host that has failed, and the end of its log."""
    asked: Json = {"job_id": job_id, "instance_id": instance}
    steps = await bk.rows("nodeman.get_job_log", asked)
    failed = next((step for step in steps if step.get("status") == "FAILED"), None)
    if failed is None:
        return "-"
    return f"{failed.get('step')}\n{str(failed.get('log') or '')[-LOG_CHARS:]}"
