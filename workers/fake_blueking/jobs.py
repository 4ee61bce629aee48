"""JOB: scripts, plans and files started as job instances. Answers as its documents say."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from pydantic import JsonValue

from workers.fake_blueking import shell
from workers.fake_blueking.asked import Asked, Handler, Json, RefusedError
from workers.fake_blueking.targets import plan_of, scope_of, target_hosts
from workers.fake_blueking.world import (
    FILES,
    HOSTS,
    SCRIPT,
    Host,
    HostRun,
    Job,
    JobPlan,
    Script,
    Step,
    Variable,
    World,
)

FROM_HOST, FROM_HERE, FROM_FILE_SOURCE = 1, 2, 3
AGENT_ERROR, COPY_FAILED, TIMED_OUT = 310, 202, 102
_LONGEST_SCRIPT_S: Final = 259200
_LONGEST_FILES_S: Final = 86400
_DEFAULT_TIMEOUT_S: Final = 7200
_LANGUAGES: Final = (1, 2, 3, 4, 5)

Run = Callable[[Host], HostRun]


# --- what starts a job ------------------------------------------------------------------------


def fast_execute_script(world: World, asked: Asked) -> JsonValue:
    """Run a script on hosts."""
    scope = scope_of(world, asked)
    content = _content(world, asked, scope)
    arguments = asked.base64("script_param") if asked.has("script_param") else ""
    timeout = _timeout(asked, _LONGEST_SCRIPT_S)
    _account(world, asked)
    _rolling(asked)
    hosts = target_hosts(world, asked.part("target_server"))
    name = asked.text("task_name", "API execute script")
    step = _step(
        world, SCRIPT, name, hosts, lambda host: _script(host, content, arguments, timeout)
    )
    return _start(world, asked, scope, name, (step,))


def execute_job_plan(world: World, asked: Asked) -> JsonValue:
    """Run a plan with other values of its variables."""
    scope = scope_of(world, asked)
    plan = plan_of(world, asked, scope)
    variables = _variables(world, plan, asked)
    values = {variable.name: variable.value for variable in variables}
    steps = tuple(
        _step(
            world,
            SCRIPT,
            each.name,
            _hosts_in(world, values.get(each.hosts, "")),
            lambda host, text=each.content: _script(host, _filled(text, values)),
        )
        for each in plan.steps
    )
    name = asked.text("task_name", plan.name)
    return _start(world, asked, scope, name, steps, variables)


def fast_transfer_file(world: World, asked: Asked) -> JsonValue:
    """Push files from hosts or a file source to hosts."""
    scope = scope_of(world, asked)
    sources = asked.rows("file_source_list")
    if not sources:
        asked.refuse("file_source_list", "is empty")
    names = tuple(name for source in sources for name in _files(world, source))
    _timeout(asked, _LONGEST_FILES_S)
    for limit in ("upload_speed_limit", "download_speed_limit"):
        asked.integer(limit, 0)
    return _push(world, asked, scope, names)


def push_config_file(world: World, asked: Asked) -> JsonValue:
    """Write small files on hosts."""
    scope = scope_of(world, asked)
    rows = asked.rows("file_list")
    if not rows:
        asked.refuse("file_list", "is empty")
    for row in rows:
        row.base64("content")
    return _push(world, asked, scope, tuple(row.text("file_name") for row in rows))


def _push(world: World, asked: Asked, scope: Json, names: tuple[str, ...]) -> JsonValue:
    folder = asked.text("file_target_path")
    _account(world, asked)
    _rolling(asked)
    hosts = target_hosts(world, asked.part("target_server"))
    name = asked.text("task_name", "API transfer file")
    paths = tuple(f"{folder.rstrip('/')}/{each.rpartition('/')[2]}" for each in names)
    step = _step(world, FILES, name, hosts, lambda host: _copied(host, paths))
    return _start(world, asked, scope, name, (step,))


def _start(
    world: World,
    asked: Asked,
    scope: Json,
    name: str,
    steps: tuple[Step, ...],
    variables: tuple[Variable, ...] = (),
) -> JsonValue:
    job = Job(
        world.new_id(),
        name,
        asked.user,
        scope,
        world.clock(),
        steps,
        variables,
        asked.text("callback_url", "") if asked.has("callback_url") else "",
    )
    world.jobs[job.id] = job
    known: Json = {"job_instance_id": job.id, "job_instance_name": name}
    return known | ({"step_instance_id": steps[0].id} if len(steps) == 1 else {})


# --- parts ------------------------------------------------------------------------------------


def _content(world: World, asked: Asked, scope: Json) -> str:
    """Return the script: by its version, else by its id, else as it is written."""
    business = int(str(scope["bk_scope_id"]))
    usable = [s for s in world.scripts.values() if s.business in (0, business)]
    if asked.has("script_version_id"):
        number = asked.integer("script_version_id")
        return _one(usable, lambda s: s.version_id == number, f"version {number}").content
    if asked.has("script_id"):
        name = asked.text("script_id")
        return _one(usable, lambda s: s.id == name, f"id {name}").content
    asked.one_of("script_language", _LANGUAGES)
    return asked.base64("script_content")


def _one(scripts: Iterable[Script], fits: Callable[[Script], bool], named: str) -> Script:
    found = next(filter(fits, scripts), None)
    if found is None:
        raise RefusedError(f"脚本不存在, there is no script of {named}")
    return found


def _timeout(asked: Asked, longest: int) -> int:
    timeout = asked.integer("timeout", _DEFAULT_TIMEOUT_S)
    if not 1 <= timeout <= longest:
        asked.refuse("timeout", f"must be between 1 and {longest}")
    return timeout


def _account(world: World, asked: Asked) -> None:
    if asked.text("account_alias") not in world.accounts:
        raise RefusedError(f"执行账号不存在, there is no account {asked.text('account_alias')!r}")


def _rolling(asked: Asked) -> None:
    if asked.has("rolling_config"):
        config = asked.part("rolling_config")
        config.text("expression")
        config.one_of("mode", (1, 2, 3))


def _variables(world: World, plan: JobPlan, asked: Asked) -> tuple[Variable, ...]:
    """Return the plan's variables with the values of the call."""
    given: dict[int, str] = {}
    for row in asked.rows("global_var_list", []):
        variable = _variable(plan, row)
        if variable.type == HOSTS:
            hosts = target_hosts(world, row.part("server"))
            given[variable.id] = ",".join(f"{host.cloud}:{host.ip}" for host in hosts)
        else:
            given[variable.id] = row.text("value", "")
    return tuple(v._replace(value=given.get(v.id, v.value)) for v in plan.variables)


def _variable(plan: JobPlan, row: Asked) -> Variable:
    number = row.integer("id") if row.has("id") else None
    name = row.text("name") if number is None else ""
    found = next((v for v in plan.variables if number == v.id or name == v.name), None)
    if found is None:
        raise RefusedError(f"全局变量不存在, the plan has no variable {number or name!r}")
    return found


def _hosts_in(world: World, text: str) -> list[Host]:
    found = [each.split(":", 1) for each in text.split(",") if each]
    rows: list[JsonValue] = [{"ip": ip, "bk_cloud_id": cloud} for cloud, ip in found]
    return target_hosts(world, Asked({"ip_list": rows}))


def _filled(text: str, values: Mapping[str, str]) -> str:
    for name, value in values.items():
        text = text.replace(f"${{{name}}}", value)
    return text


def _files(world: World, source: Asked) -> list[str]:
    """Return the files of a source, which must be one."""
    names = [str(name) for name in source.items("file_list")]
    if not names:
        source.refuse("file_list", "is empty")
    kind = source.one_of("file_type", (FROM_HOST, FROM_HERE, FROM_FILE_SOURCE), FROM_HOST)
    if kind == FROM_HOST:
        _account(world, Asked({"account_alias": source.part("account").text("alias")}))
        target_hosts(world, source.part("server"))
    if kind == FROM_FILE_SOURCE and not source.has("file_source_id"):
        code = source.text("file_source_code")
        if code not in world.file_sources:
            raise RefusedError(f"文件源不存在, there is no file source {code!r}")
    return names


def _step(world: World, kind: int, name: str, hosts: Sequence[Host], run: Run) -> Step:
    return Step(world.new_id(), kind, name, tuple(map(run, hosts)))


def _script(host: Host, content: str, arguments: str = "", timeout: int = 0) -> HostRun:
    if host.fault == "agent":
        return HostRun(host, AGENT_ERROR, log="Can not find agent by ip")
    ran = shell.run(content, arguments)
    if timeout and ran.seconds > timeout:
        return HostRun(host, TIMED_OUT, seconds=timeout, log=ran.log)
    return HostRun(host, ran.status, ran.seconds, ran.exit_code, ran.tag, ran.log)


def _copied(host: Host, paths: tuple[str, ...]) -> HostRun:
    match host.fault:
        case "agent":
            return HostRun(host, AGENT_ERROR, log="Can not find agent by ip", files=paths)
        case "disk":
            log = f"[FAILED] no space left on device: {', '.join(paths)}"
            return HostRun(host, COPY_FAILED, exit_code=1, log=log, files=paths)
        case _:
            return HostRun(host, shell.SUCCEEDED, log="[100%] Finished", files=paths)


APIS: Final[Mapping[str, Handler]] = {
    "POST /jobv3/execute_job_plan/": execute_job_plan,
    "POST /jobv3/fast_execute_script/": fast_execute_script,
    "POST /jobv3/fast_transfer_file/": fast_transfer_file,
    "POST /jobv3/push_config_file/": push_config_file,
}
