"""Job instances: started once, watched by callback and by looks, read when they end.

Source: plugins' reference, section 3.2; differs: a component that JOB calls back is looked at too,
so that a lost callback is no loss, and an intermediate callback (pending, running) is taken as a
hint to look, where the real one fails the node.
"""

import asyncio
from collections.abc import Mapping
from typing import Any, Final, Literal, NamedTuple, cast

from pydantic import JsonValue

from activities.blueking.client import BlueKing, Json, as_object, as_rows
from activities.blueking.form import Form, Written
from activities.blueking.job.logs import hosts_by_end, hosts_by_tag, log_variables
from activities.calls import Call, PluginError, StillRunning

SUCCEEDED: Final = 3
UNDER_WAY: Final = frozenset({1, 2, 7, 10})
"""Pending, running, waiting for a person in JOB, being terminated: none of them is an end."""

TERMINATE: Final = 1
FIRST_LOOK_S: Final = 5.0
LATEST_LOOK_S: Final = 30.0
_GROWING_LOOKS: Final = 20
_IP_TYPE: Final = 2
"""The type of a global variable that holds hosts, as the real components take it."""

Tags = Literal["no", "simple", "by_end"]


class Reading(NamedTuple):
    """What is read of a job when it has ended.

    variables: its global variables become outputs. log: variables in its log become `log_outputs`;
    a log that cannot be read fails the node if `log_must_be`. tags: its hosts by tag. even_failed:
    also when the job has failed.
    """

    variables: bool = True
    log: bool = True
    log_must_be: bool = True
    tags: Tags = "no"
    even_failed: bool = False


class Job(NamedTuple):
    """A job instance: where JOB keeps it, and its id."""

    scope: Json
    id: int


def started(bk: BlueKing, data: object) -> Json:
    """Return the outputs that are known once a job was started."""
    found = as_object(data)
    number = found.get("job_instance_id")
    return {
        "job_inst_id": number,
        "job_inst_name": found.get("job_instance_name"),
        "job_inst_url": page_of(bk, number),
    }


def page_of(bk: BlueKing, number: JsonValue) -> str:
    """Return the page of a job instance."""
    return f"{bk.settings.job_url.rstrip('/')}/api_execute/{number}"


def handle_of(job: Job) -> Json:
    """Return what finds a job again: for looks, callbacks and the stop."""
    return {"scope": job.scope, "job_instance_id": job.id, "looks": 0}


def job_of(handle: JsonValue) -> Job:
    """Return the job that a handle names."""
    fields = cast("dict[str, Any]", handle)
    return Job(fields["scope"], fields["job_instance_id"])


def pause_s(looks: int) -> float:
    """Return how long to wait after so many looks: ever longer, because most jobs are short."""
    return min(FIRST_LOOK_S * 1.2 ** min(looks, _GROWING_LOOKS), LATEST_LOOK_S)


async def look(bk: BlueKing, call: Call[Form], handle: JsonValue, reading: Reading) -> Written:
    """Look at a job: its outputs once it has ended well.

    Raises:
        StillRunning: it goes on.
        PluginError: it has failed.
    """
    job = job_of(handle)
    status = await state_of(bk, job)
    if status in UNDER_WAY:
        looks = cast("dict[str, Any]", handle).get("looks", 0) + 1
        raise StillRunning({**cast("Json", handle), "looks": looks}, after_s=pause_s(looks))
    return await ended(bk, call, job, succeeded=status == SUCCEEDED, reading=reading)


async def called_back(
    bk: BlueKing, call: Call[Form], handle: JsonValue, data: JsonValue, reading: Reading
) -> Written:
    """Take JOB's callback; what does not tell that our job has ended makes us look.

    Raises:
        StillRunning: the job goes on.
        PluginError: the job has failed.
    """
    told = data if isinstance(data, dict) else {}
    number, status = _whole(told.get("job_instance_id")), _whole(told.get("status"))
    job = job_of(handle)
    if number != job.id or status is None:
        call.log.warning("blueking.callback_ignored", job=job.id, told_job=number, status=status)
        return await look(bk, call, handle, reading)
    if status in UNDER_WAY:
        return await look(bk, call, handle, reading)
    return await ended(bk, call, job, succeeded=status == SUCCEEDED, reading=reading)


async def ended(
    bk: BlueKing, call: Call[Form], job: Job, *, succeeded: bool, reading: Reading
) -> Written:
    """Read what an ended job leaves.

    Raises:
        PluginError: the job has failed, or what it leaves cannot be read.
    """
    found, trouble = dict(call.outputs), ""
    if succeeded or reading.even_failed or reading.tags != "no":
        read, trouble = await _left(bk, job, reading)
        found |= read
    if not succeeded:
        text = failed_text(bk, job.id)
        raise PluginError(f"{text}\n{trouble}" if trouble else text, outputs=found)
    if trouble:
        raise PluginError(trouble, outputs=found)
    return Written.model_validate(found)


def failed_text(bk: BlueKing, number: int) -> str:
    """Return what an operator reads of a failed job."""
    return f"任务执行失败，前往作业平台(JOB)查看详情: {page_of(bk, number)}"


async def state_of(bk: BlueKing, job: Job) -> int:
    """Return the state of a job.

    Raises:
        PluginError: JOB's answer tells none.
    """
    state = as_object((await status_of(bk, job)).get("job_instance")).get("status")
    if not isinstance(state, int):
        raise PluginError(
            f"JOB tells no state of job instance {job.id}; look at {page_of(bk, job.id)}"
        )
    return state


async def status_of(bk: BlueKing, job: Job, *, hosts: bool = False) -> Json:
    """Return the state of a job, with each host's if asked."""
    params: Json = {**job.scope, "job_instance_id": job.id}
    asked: Json = {**params, "return_ip_result": True} if hosts else params
    return await bk.object("jobv3.get_job_instance_status", asked)


async def stop_job(bk: BlueKing, job: Job) -> None:
    """Ask JOB to terminate a job."""
    params: Json = {**job.scope, "job_instance_id": job.id, "operation_code": TERMINATE}
    await bk.call("jobv3.operate_job_instance", params)


async def job_log(bk: BlueKing, job: Job, details: Json, address: str = "") -> str:
    """Return the log of a job: of each step that of its first host, or of the host `address`.

    Raises:
        PluginError: the host is in no step.
    """
    chosen = [_host_of(step, address) for step in _steps(details) if _hosts(step)]

    async def read(each: tuple[Json, Json]) -> str:
        step, host = each
        params: Json = {
            **job.scope,
            "job_instance_id": job.id,
            "step_instance_id": step.get("step_instance_id"),
            **_place(host),
        }
        found = await bk.object("jobv3.get_job_instance_ip_log", params)
        return str(found.get("log_content") or "")

    return "\n".join(await asyncio.gather(*map(read, chosen)))


async def _left(bk: BlueKing, job: Job, reading: Reading) -> tuple[Json, str]:
    """Return the outputs that an ended job leaves, and what of them was refused to us."""
    found: Json = {"log_outputs": {}} if reading.log else {}
    if not (reading.log or reading.variables):
        return found, ""
    try:
        details = await status_of(bk, job, hosts=True) if _needs_hosts(reading) else {}
        found |= await _variables(bk, job, details, reading)
    except PluginError as error:
        return found, _refused(error)
    if not reading.log:
        return found, ""
    try:
        log = await job_log(bk, job, details)
    except PluginError as error:
        refused = _refused(error)
        return found, refused if reading.log_must_be else ""
    return {**found, "log_outputs": log_variables(log, bk.settings.log_patterns)}, ""


def _needs_hosts(reading: Reading) -> bool:
    return reading.log or reading.tags != "no"


def _refused(error: PluginError) -> str:
    """Return the text of a refusal; what may be asked again is none.

    Raises:
        PluginError: it may be asked again.
    """
    if error.retryable:
        raise error
    return error.what


async def _variables(bk: BlueKing, job: Job, details: Json, reading: Reading) -> Json:
    """Return hosts by tag, and a job's global variables by name."""
    if not reading.variables:
        return {}
    steps = _steps(details)
    hosts = _hosts(steps[-1]) if steps else []
    grouped: Json = {}
    if reading.tags != "no":
        group = hosts_by_tag if reading.tags == "simple" else hosts_by_end
        grouped = {"job_tagged_ip_dict": group(hosts)}
    params: Json = {**job.scope, "job_instance_id": job.id}
    data = await bk.object("jobv3.get_job_instance_global_var_value", params)
    by_step = as_rows(data.get("step_instance_var_list"))
    rows = as_rows(by_step[-1].get("global_var_list")) if by_step else []
    reserved = ("job_inst_id", "job_inst_name", "job_inst_url", "log_outputs", "job_tagged_ip_dict")
    named = {str(row.get("name")): row.get("value") for row in rows if row.get("type") != _IP_TYPE}
    return {**grouped, **{name: value for name, value in named.items() if name not in reserved}}


def _place(host: Json) -> Json:
    """Return by what JOB finds a host again; one without an IPv4 address has only its id."""
    if host.get("ip"):
        return {"bk_cloud_id": host.get("bk_cloud_id"), "ip": host["ip"]}
    return {"bk_host_id": host.get("bk_host_id")}


def _whole(value: JsonValue) -> int | None:
    """Return a number of a callback, which is text where it was sent as a form."""
    text = "" if isinstance(value, bool) else str(value).strip()
    return int(text) if text.isdecimal() else None


def _host_of(step: Json, address: str) -> tuple[Json, Json]:
    hosts = _hosts(step)
    if not address:
        return step, hosts[0]
    found = next((host for host in hosts if address in (host.get("ip"), host.get("ipv6"))), None)
    if found is None:
        known = [host.get("ip") for host in hosts]
        raise PluginError(f"执行历史请求失败: IP:[{address}], 不属于IP列表: {known}")
    return step, found


def _steps(details: Mapping[str, JsonValue]) -> list[Json]:
    return as_rows(details.get("step_instance_list"))


def _hosts(step: Mapping[str, JsonValue]) -> list[Json]:
    return as_rows(step.get("step_ip_result_list"))
