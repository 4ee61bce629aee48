"""How a component starts one job and follows it to its end."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final, NoReturn

import httpx
from pydantic import JsonValue

from activities.blueking.catalogue import blueking
from activities.blueking.client import BlueKing, Json, as_object, lost
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
from activities.blueking.job.logs import log_variables
from activities.calls import Call, PluginError, StillRunning
from activities.http_client import BodyTooLargeError
from activities.sdk import AnyPlugin

CALLING_BACK: Final = frozenset(
    {"jobv3.execute_job_plan", "jobv3.fast_execute_script", "jobv3.fast_transfer_file"}
)
"""What calls back when a job has ended; of a pushed text JOB tells nothing."""

NO_JOB: Final = "JOB has started nothing that can be found again: its answer names no instance"
_SOUGHT: Final = timedelta(days=1)
"""How far around now a job is looked for by its name: JOB's clock need not be ours."""


async def run_job(
    bk: BlueKing, call: Call[Form], api: str, request: Json, *, findable: bool = False
) -> NoReturn:
    """Start a job, with our address for its callback where there is one; then wait for its end.

    `findable`: the job's name is its alone.

    Raises:
        StillRunning: always, unless JOB refuses.
        PluginError: JOB refuses.
        OutcomeUnknown: JOB's answer was lost.
    """
    takes = call.can_be_called_back and api in CALLING_BACK
    told = {**request, "callback_url": call.callback_url} if takes else request
    known = started(bk, await start(bk, call, api, told, findable=findable))
    number = known["job_inst_id"]
    if not isinstance(number, int):
        raise PluginError(NO_JOB)
    call.note(f"JOB {number}")
    handle = handle_of(Job(scope_fields(request), number))
    raise StillRunning(handle, after_s=FIRST_LOOK_S, outputs=known)


async def start(
    bk: BlueKing, call: Call[Form], api: str, request: Json, *, findable: bool = False
) -> Json:
    """Start a job and return what JOB tells of it: its id and name.

    A job whose start was taken although JOB's answer was lost is found again by its name, where
    that is its alone.

    Raises:
        PluginError: JOB refuses.
        OutcomeUnknown: JOB's answer was lost, and the job is not found.
    """
    try:
        return await bk.object(api, request)
    except (httpx.HTTPError, BodyTooLargeError) as error:
        unknown = lost(error, _where(bk, request))
        if unknown is None:
            raise
        found = await _found_again(bk, call.now(), request) if findable else None
        if found is None:
            raise unknown from error
        return found


async def _found_again(bk: BlueKing, now: datetime, request: Json) -> Json | None:
    """Return the job of a request by its name, None where JOB shows none.

    Source: JOB's API documents, `get_job_instance_list`, whose name matches parts of names too.
    """
    name = request.get("task_name")
    if not name:
        return None
    asked: Json = {
        **scope_fields(request),
        "name": name,
        "create_time_start": _ms(now - _SOUGHT),
        "create_time_end": _ms(now + _SOUGHT),
    }
    try:
        rows = await bk.job_pages("jobv3.get_job_instance_list", asked)
    except (PluginError, httpx.HTTPError):
        return None  # then nobody knows, which is what the caller tells
    ids = [row.get("job_instance_id", row.get("id")) for row in rows if row.get("name") == name]
    return {"job_instance_id": ids[0], "job_instance_name": name} if len(ids) == 1 else None


def _where(bk: BlueKing, request: Json) -> str:
    """Say where to look for a job that may have been started."""
    address = f" ({bk.settings.job_url})" if bk.settings.job_url else ""
    kind = "business set" if request["bk_scope_type"] == "biz_set" else "business"
    name = f" for a job named {request['task_name']!r}" if "task_name" in request else ""
    return f"the executions of {kind} {request['bk_scope_id']} in JOB{address}{name}"


def scope_fields(request: Json) -> Json:
    """Return of a request where JOB keeps what it starts."""
    return {key: request[key] for key in ("bk_scope_type", "bk_scope_id", "bk_biz_id")}


def _ms(at: datetime) -> int:
    return int(at.timestamp() * 1000)


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
        if error.retryable:
            raise
        text = f"执行历史请求失败: 任务实例[ID: {number}], 异常信息: {error.what}"
        raise PluginError(f"{text} | get_job_history_result") from error
    found = log_variables(log, bk.settings.log_patterns)
    return Written.model_validate({"log_outputs": found})


async def _log_of_good(bk: BlueKing, job: Job) -> str:
    details = await status_of(bk, job, hosts=True)
    status = as_object(details.get("job_instance")).get("status")
    if status != SUCCEEDED:
        raise PluginError(f"任务实例的状态为 {status}")
    return await job_log(bk, job, details)
