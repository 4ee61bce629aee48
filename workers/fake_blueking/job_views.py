"""What JOB says of a job instance, and how one is stopped. Answers as its documents say."""

from collections.abc import Mapping
from typing import Final

from pydantic import JsonValue

from workers.fake_blueking.asked import Asked, Handler, Json, RefusedError
from workers.fake_blueking.targets import job_page, scope_of
from workers.fake_blueking.timeline import JobView, StepView, view
from workers.fake_blueking.world import FILES, PASSWORD, SCRIPT, HostRun, Job, World

_LOG_KINDS: Final = {SCRIPT: 1, FILES: 2}
_LONGEST_MS: Final = 30 * 24 * 3600 * 1000


def get_job_instance_status(world: World, asked: Asked) -> JsonValue:
    """Return how a job stands, and each host of it if asked."""
    job = _job(world, asked)
    seen = view(job, world.pace, world.clock())
    return _status(job, seen, hosts=asked.flag("return_ip_result", default=False))


def get_job_instance_ip_log(world: World, asked: Asked) -> JsonValue:
    """Return what a step has printed on a host, as far as it has run."""
    job = _job(world, asked)
    step = _seen_step(view(job, world.pace, world.clock()), asked)
    ip, cloud = asked.text("ip"), asked.integer("bk_cloud_id")
    for host in step.hosts:
        found = host.run.host
        if (found.ip, found.cloud) == (ip, cloud):
            log = host.run.log if host.ended_at else ""
            known: Json = {
                "log_type": _LOG_KINDS[step.step.kind],
                "bk_host_id": found.id,
                "ip": ip,
                "bk_cloud_id": cloud,
            }
            return known | (
                _file_logs(host.run, log) if step.step.kind == FILES else {"log_content": log}
            )
    raise RefusedError(f"主机不存在, the step has no host {cloud}:{ip}")


def get_job_instance_global_var_value(world: World, asked: Asked) -> JsonValue:
    """Return the global variables as each step has left them."""
    job = _job(world, asked)
    values: list[JsonValue] = [
        {"name": v.name, "value": "******" if v.type == PASSWORD else v.value, "type": v.type}
        for v in job.variables
    ]
    steps: list[JsonValue] = [
        {"step_instance_id": step.id, "global_var_list": values} for step in job.steps
    ]
    return {"job_instance_id": job.id, "step_instance_var_list": steps}


def operate_job_instance(world: World, asked: Asked) -> JsonValue:
    """Terminate a job."""
    job = _job(world, asked)
    asked.one_of("operation_code", (1,))
    if view(job, world.pace, world.clock()).is_over:
        raise RefusedError("任务已结束, the job has ended already")
    job.stopped_at = job.stopped_at if job.stopped_at is not None else world.clock()
    return {"job_instance_id": job.id}


def told(world: World, job: Job) -> Json:
    """Return the body of JOB's callback."""
    seen = view(job, world.pace, world.clock())
    steps: list[JsonValue] = [
        {"step_instance_id": each.step.id, "status": each.status} for each in seen.steps
    ]
    return {"job_instance_id": job.id, "status": seen.status, "step_instance_list": steps}


def get_job_instance_list(world: World, asked: Asked) -> JsonValue:
    """Return a page of the jobs of a time, those whose name holds a text; the newest first."""
    scope = scope_of(world, asked)
    begin, end = asked.integer("create_time_start"), asked.integer("create_time_end")
    if not 0 <= end - begin <= _LONGEST_MS:
        asked.refuse("create_time_end", "must be within 30 days after create_time_start")
    name = asked.text("name", "") if asked.has("name") else ""
    now = world.clock()
    rows: list[JsonValue] = [
        _instance(job, view(job, world.pace, now))
        for job in reversed(world.jobs.values())
        if job.scope == scope and name in job.name and begin <= _ms(job.started_at) <= end
    ]
    return job_page(asked, rows)


def _job(world: World, asked: Asked) -> Job:
    scope = scope_of(world, asked)
    number = asked.integer("job_instance_id")
    job = world.jobs.get(number)
    if job is None or job.scope != scope:
        raise RefusedError(f"作业实例不存在, there is no job instance {number}")
    return job


def _seen_step(seen: JobView, asked: Asked) -> StepView:
    number = asked.integer("step_instance_id")
    found = next((step for step in seen.steps if step.step.id == number), None)
    if found is None:
        raise RefusedError(f"步骤实例不存在, the job has no step {number}")
    return found


def _status(job: Job, seen: JobView, *, hosts: bool) -> Json:
    steps: list[JsonValue] = [_step_status(step, hosts=hosts) for step in seen.steps]
    return {
        "finished": seen.is_over,
        "job_instance": _instance(job, seen),
        "step_instance_list": steps,
    }


def _instance(job: Job, seen: JobView) -> Json:
    return {
        "job_instance_id": job.id,
        "name": job.name,
        "status": seen.status,
        "create_time": _ms(job.started_at),
        "start_time": _ms(job.started_at),
        "end_time": _ms(seen.ends_at) if seen.is_over else None,
        "total_time": _ms(seen.ends_at - job.started_at) if seen.is_over else None,
        **job.scope,
    }


def _step_status(seen: StepView, *, hosts: bool) -> Json:
    known: Json = {
        "step_instance_id": seen.step.id,
        "type": seen.step.kind,
        "name": seen.step.name,
        "status": seen.status,
        "execute_count": 0,
    }
    rows: list[JsonValue] = [
        {
            "bk_host_id": each.run.host.id,
            "ip": each.run.host.ip,
            "bk_cloud_id": each.run.host.cloud,
            "status": each.status,
            "tag": each.run.tag if each.ended_at else "",
            "exit_code": each.run.exit_code if each.ended_at else None,
            "error_code": 0,
            "start_time": _ms(each.started_at) or None,
            "end_time": _ms(each.ended_at) or None,
            "total_time": _ms(each.ended_at - each.started_at) if each.ended_at else 0,
        }
        for each in seen.hosts
    ]
    return {**known, "step_ip_result_list": rows} if hosts else known


def _file_logs(run: HostRun, log: str) -> Json:
    rows: list[JsonValue] = [
        {"mode": 1, "dest_path": path, "status": run.status, "log_content": log}
        for path in run.files
    ]
    return {"log_content": None, "file_logs": rows}


def _ms(seconds: float) -> int:
    return int(seconds * 1000)


APIS: Final[Mapping[str, Handler]] = {
    "GET /jobv3/get_job_instance_global_var_value/": get_job_instance_global_var_value,
    "GET /jobv3/get_job_instance_ip_log/": get_job_instance_ip_log,
    "GET /jobv3/get_job_instance_list/": get_job_instance_list,
    "GET /jobv3/get_job_instance_status/": get_job_instance_status,
    "POST /jobv3/operate_job_instance/": operate_job_instance,
}
