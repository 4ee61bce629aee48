"""How a component starts one job and follows it to its end."""

from collections.abc import Callable
from typing import Final, NoReturn

from pydantic import JsonValue

from activities.blueking.catalogue import blueking
from activities.blueking.client import BlueKing, Json, as_object
from activities.blueking.form import Fields, Form, Written
from activities.blueking.job.instance import (
    FIRST_LOOK_S,
    SUCCEEDED,
    Job,
    Reading,
    called_back,
    handle_of,
    job_log,
    job_of,
    look,
    started,
    status_of,
    stop_job,
)
from activities.blueking.job.logs import log_patterns, log_variables
from activities.calls import Call, PluginError, StillRunning
from activities.sdk import AnyPlugin

_NO_JOB: Final = "JOB has started nothing that can be found again: its answer names no instance"


async def run_job(bk: BlueKing, call: Call[Form], api: str, request: Json) -> NoReturn:
    """Start a job, with our address for its callback where there is one; then wait for its end.

    Raises:
        StillRunning: always, unless JOB refuses.
        PluginError: JOB refuses.
    """
    told = {**request, "callback_url": call.callback_url} if call.can_be_called_back else request
    known = started(bk, await bk.call(api, told))
    number = known["job_inst_id"]
    if not isinstance(number, int):
        raise PluginError(_NO_JOB)
    scope: Json = {key: request[key] for key in ("bk_scope_type", "bk_scope_id", "bk_biz_id")}
    call.note(f"JOB {number}")
    raise StillRunning(handle_of(Job(scope, number)), after_s=FIRST_LOOK_S, outputs=known)


def with_looks(plugin: AnyPlugin, reading_of: Callable[[Fields], Reading]) -> AnyPlugin:
    """Add to a component that starts one job what follows: looks, callback, stop."""

    @plugin.poll
    async def poll(call: Call[Form], handle: JsonValue) -> Written:
        return await look(blueking(call), call, handle, reading_of(call.inputs.fields))

    @plugin.callback
    async def callback(call: Call[Form], data: JsonValue) -> Written:
        reading = reading_of(call.inputs.fields)
        return await called_back(blueking(call), call, call.handle, data, reading)

    @plugin.stop
    async def stop(call: Call[Form], handle: JsonValue) -> None:
        await stop_job(blueking(call), job_of(handle))

    return plugin


async def reuse(bk: BlueKing, scope: Json, number: int) -> Written:
    """Read an earlier job that has ended well, instead of starting one.

    Raises:
        PluginError: it has not ended well, or its log cannot be read.
    """
    try:
        log = await _log_of_good(bk, Job(scope, number))
    except PluginError as error:
        text = f"执行历史请求失败: 任务实例[ID: {number}], 异常信息: {error.what}"
        raise PluginError(f"{text} | get_job_history_result") from error
    found = log_variables(log, log_patterns(bk.settings.log_patterns))
    return Written.model_validate({"log_outputs": found})


async def _log_of_good(bk: BlueKing, job: Job) -> str:
    details = await status_of(bk, job, hosts=True)
    status = as_object(details.get("job_instance")).get("status")
    if status != SUCCEEDED:
        raise PluginError(f"任务实例的状态为 {status}")
    return await job_log(bk, job, details)
