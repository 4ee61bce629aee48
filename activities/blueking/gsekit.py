"""`gsekit_flush_process` and `gsekit_job_exec`: processes that GSEKit manages.

Source: plugins' reference, section 3.10.
"""

from typing import Final

from pydantic import JsonValue

from activities.blueking.catalogue import blueking, served
from activities.blueking.client import Json, as_object
from activities.blueking.form import Form, Written
from activities.blueking.outcomes import looked_up_at
from activities.blueking.scope import scope_of
from activities.calls import Call, PluginError, StillRunning

LOOK_S: Final = 5.0
UNDER_WAY: Final = frozenset({"pending", "running"})
SUCCEEDED: Final = "succeeded"
_ON_FILES: Final = frozenset({"generate", "release", "diff"})
"""Actions on configuration files; all others are on processes."""

_SCOPE: Final = {
    "bk_set_env": "gsekit_bk_env",
    "bk_set_name": "gsekit_set",
    "bk_module_name": "gsekit_module",
    "service_instance_name": "gsekit_service_id",
    "bk_process_name": "gsekit_process_name",
    "bk_process_id": "gsekit_process_id",
}
"""What GSEKit calls the fields that say which processes are meant."""

_NO_JOB: Final = "GSEKit has started nothing that can be found again: its answer names no job"


async def _flush(call: Call[Form]) -> None:
    """Make GSEKit read the business's processes anew."""
    business = scope_of(call.context).business
    await blueking(call).call("gsekit.process/flush_process", {"bk_biz_id": business})


async def _run(call: Call[Form]) -> Written:
    """Run a command on processes, or on their configuration files."""
    bk, form = blueking(call), call.inputs.fields
    business, action = scope_of(call.context, form).business, form.line("gsekit_job_action_choices")
    request: Json = {
        "bk_biz_id": business,
        "job_object": "configfile" if action in _ON_FILES else "process",
        "job_action": action,
        "expression_scope": {key: form.text(field) for key, field in _SCOPE.items()},
    }
    if action in _ON_FILES:
        request["extra_data"] = {"config_template_ids": form.raw("gsekit_config_template")}
    with looked_up_at(f"the task history of business {business} in GSEKit"):
        number = (await bk.object("gsekit.job/create_job", request)).get("job_id")
    if not number:
        raise PluginError(_NO_JOB)
    page = f"{bk.settings.gsekit_url.rstrip('/')}/task-history/detail/{number}?biz={business}"
    outputs: Json = {"gsekit_task_id": number, "gsekit_task_page_url": page}
    call.note(f"GSEKit {number}")
    raise StillRunning(number, after_s=LOOK_S, outputs=outputs)


FLUSH: Final = served("gsekit_flush_process", "1.0", _flush, idempotent=True)
COMMAND: Final = served("gsekit_job_exec", "1.0", _run)


@COMMAND.poll
async def _(call: Call[Form], handle: JsonValue) -> Written:
    """Look at the command's job."""
    business = scope_of(call.context, call.inputs.fields).business
    asked: Json = {"bk_biz_id": business, "job_id": handle}
    data = await blueking(call).object("gsekit.job/job_status", asked)
    status = as_object(data.get("job_info")).get("status")
    if status in UNDER_WAY:
        raise StillRunning(after_s=LOOK_S)
    if status != SUCCEEDED:
        raise PluginError(f"Gsekit任务执行异常, 任务状态为 {status}")
    return Written.model_validate(dict(call.outputs))
