"""`job_fetch_task_log`, `job_cron_task` and `job_local_content_upload`.

Source: plugins' reference, section 3.2.
"""

from typing import Final

import httpx
from pydantic import JsonValue

from activities.blueking.catalogue import blueking, served
from activities.blueking.client import BlueKing, Json, lost, texts_of
from activities.blueking.form import Form, Written
from activities.blueking.job.instance import Job, Reading, job_log, status_of
from activities.blueking.job.scripts import in_base64
from activities.blueking.job.starting import run_job, with_looks
from activities.blueking.job.targets import Resolver, checked_target, rolling
from activities.blueking.scope import job_scope, scope_of
from activities.calls import Call, PluginError
from activities.http_client import fault_of
from activities.sdk import AnyPlugin

STARTED: Final = 1
_PAUSED: Final = "暂停"
_RUNNING: Final = "启动"


async def _fetch_log(call: Call[Form]) -> Written:
    """Read the log of a job that was run earlier."""
    bk, form = blueking(call), call.inputs.fields
    job = Job(job_scope(scope_of(call.context).business), form.integer("job_task_id"))
    details = await status_of(bk, job, hosts=True)
    return _written({"job_task_log": await job_log(bk, job, details, form.line("job_target_ip"))})


async def _cron(call: Call[Form]) -> Written:
    """Make a plan of JOB run at fixed times, and start it where the form says so."""
    bk, form = blueking(call), call.inputs.fields
    where = job_scope(scope_of(call.context).business)
    wanted: Json = {
        **where,
        "job_plan_id": form.integer("job_cron_job_id"),
        "name": form.text("job_cron_name"),
        "expression": form.text("job_cron_expression"),
    }
    saved = await _saved(bk, wanted)
    known: Json = {"cron_id": saved.get("id"), "status": _PAUSED}
    if form.number("job_cron_status") != STARTED:
        return _written(known)
    try:
        await bk.call(
            "jobv3.update_cron_status", {**where, "status": STARTED, "id": saved.get("id")}
        )
    except (PluginError, httpx.HTTPError) as error:
        raise PluginError(_not_started(error, saved.get("id")), outputs=known) from error
    return _written({**known, "status": _RUNNING})


async def _saved(bk: BlueKing, wanted: Json) -> Json:
    """Save a cron job.

    Raises:
        PluginError: JOB refuses.
        OutcomeUnknown: JOB's answer was lost.
    """
    try:
        return await bk.object("jobv3.save_cron", wanted)
    except httpx.HTTPError as error:
        unknown = lost(error, f"the cron jobs of business {wanted['bk_scope_id']} in JOB")
        if unknown is None:
            raise
        raise unknown from error


def _not_started(error: PluginError | httpx.HTTPError, number: JsonValue) -> str:
    """Say that a cron job is there but may not run; a second start of the node makes another."""
    fault = fault_of(error)
    what = fault.what if fault is not None else texts_of([error])[0]
    is_unknown = fault is not None and fault.verdict == "unknown"
    told = f"outcome unknown: {what}" if is_unknown else what
    known = f"cron job {number} is saved: start it in JOB, then skip; a retry saves another"
    return f"定时任务启动失败: [作业平台]定时任务启动发生异常：{told}; {known}"


def _upload(version: str, resolver: Resolver, *, is_rolling: bool) -> AnyPlugin:
    async def run(call: Call[Form]) -> Written:
        """Write a text into a file on hosts through JOB."""
        bk, form = blueking(call), call.inputs.fields
        scope = scope_of(call.context)
        content: JsonValue = in_base64(form.text("local_content"))
        request: Json = {
            **job_scope(scope.business),
            "account_alias": form.line("file_account"),
            "file_target_path": form.line("file_path"),
            "file_list": [{"file_name": form.text("local_name"), "content": content}],
            "target_server": await checked_target(
                bk,
                scope,
                form.text("job_ip_list"),
                resolver,
                across=resolver == "strict" and form.flag("job_across_biz"),
            ),
            **(rolling(form) if is_rolling else {}),
        }
        return await run_job(bk, call, "jobv3.push_config_file", request)

    return with_looks(
        served("job_local_content_upload", version, run),
        lambda _form: Reading(variables=False, log=False),
    )


def _written(values: Json) -> Written:
    return Written.model_validate(values)


FETCH_LOG: Final = served("job_fetch_task_log", "v1.0", _fetch_log, idempotent=True)
CRON: Final = served("job_cron_task", "legacy", _cron)
UPLOADS: Final = (
    _upload("1.0.0", "strict", is_rolling=False),
    _upload("v1.1", "hybrid", is_rolling=True),
)
