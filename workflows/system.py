"""What every run knows without its template's doing: `${_system.<field>}` and `${_env_<key>}`.

Source: bk-sops's task context and project constants; differs: a run is told of its project when it
starts, or by the worker's settings, since no database of projects stands behind it.
"""

import datetime as dt
import re
import zoneinfo
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from pydantic import JsonValue

from activities.contract import RunSettings
from translator.plan import Plan, VariableKey
from translator.values import SYSTEM, shown, unholdable

ENV: Final = "env"
ENV_PREFIX: Final = "_env_"
TIME_ZONE: Final = "time_zone"
MOMENT: Final = "%Y-%m-%d %H:%M:%S"

_NO_FACTS: Final[Mapping[str, JsonValue]] = {
    "language": "zh-hans",
    "project_id": "",
    "project_name": "",
    "bk_biz_id": "",
    "bk_biz_name": "",
    "biz_cc_id": "",
    "biz_cc_name": "",
    "biz_supplier_account": "0",
    "task_url": "",
}
"""What stands where nothing is known; the fields are bk-sops's."""

_TAKEN_FROM: Final = (
    ("bk_biz_id", "biz_cc_id"),
    ("biz_cc_id", "bk_biz_id"),
    ("bk_biz_name", "project_name"),
    ("bk_biz_name", "biz_cc_name"),
    ("biz_cc_name", "bk_biz_name"),
)
"""Fields that bk-sops fills from another one."""

_KEY: Final = re.compile(r"[A-Za-z0-9_]+")


class RunFacts(NamedTuple):
    """What is known of a run itself when it starts; `now` in seconds since the epoch."""

    run: str
    operator: str
    now: float


class System(NamedTuple):
    """What a run is given besides its inputs.

    root: variables of the root flow, which leave out those that the template has itself.
    inherited: those that every subflow sees. context: what plugins get. problems: what is wrong
    with what was said of the project.
    """

    root: dict[VariableKey, JsonValue]
    inherited: dict[VariableKey, JsonValue]
    context: dict[str, JsonValue]
    problems: tuple[str, ...] = ()


def system_of(
    plan: Plan, settings: RunSettings, own: Mapping[str, JsonValue], facts: RunFacts
) -> System:
    """Return the system's and the project's variables of a run; `own` wins over the settings."""
    problems = project_problems(own)
    if problems:
        return System({}, {}, {}, problems)
    project = merged(settings.project, own)
    fields = _fields(project, plan, facts, settings.timezone)
    env = project.get(ENV)
    variables: dict[VariableKey, JsonValue] = {
        SYSTEM: fields,
        **{f"{SYSTEM}.{name}": value for name, value in fields.items()},
        **{f"{ENV_PREFIX}{key}": each for key, each in _object(env).items()},
    }
    declared = plan.flow.variables
    free = (key for key in variables if key not in declared or declared[key].origin == "system")
    root = {key: variables[key] for key in free}
    return System(root, variables, {name: each for name, each in fields.items() if each != ""})


def merged(defaults: Mapping[str, JsonValue], own: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """Return what is known of a project, the more special first; constants are merged by key."""
    env = {**_object(defaults.get(ENV)), **_object(own.get(ENV))}
    return {**defaults, **own, ENV: env}


def project_problems(project: Mapping[str, JsonValue]) -> tuple[str, ...]:
    """Say everything that is wrong with a description of a project, and how to mend it."""
    return tuple(_problems(project))


def _problems(project: Mapping[str, JsonValue]) -> Iterator[str]:
    for name, value in project.items():
        if name == ENV:
            yield from _env_problems(value)
        elif not _KEY.fullmatch(name):
            yield f"project field {shown(name)} is no name; use letters, digits and underscores"
        elif isinstance(value, list | dict):
            yield f"project field {name!r} is {shown(value)}; write it as text"
        elif broken := unholdable(value):
            yield f"project field {name!r} is {broken}; write something else"
    zone = project.get(TIME_ZONE)
    if zone is not None and _zone(zone) is None:
        yield f"project field {TIME_ZONE!r} is {shown(zone)}; name one such as 'Asia/Shanghai'"


def _env_problems(env: JsonValue) -> Iterator[str]:
    if not isinstance(env, dict):
        yield f"project field 'env' is {shown(env)}; write an object such as {{'region': 'sz'}}"
        return
    for key, value in env.items():
        if not _KEY.fullmatch(key):
            yield f"project constant {shown(key)} is no name; use letters, digits and underscores"
        elif broken := unholdable(value):
            yield f"project constant {key!r} is {broken}; write something else"


def _fields(
    project: Mapping[str, JsonValue], plan: Plan, facts: RunFacts, timezone: str
) -> dict[str, JsonValue]:
    """Return the fields of `_system`: the project's, and the run's own."""
    told: dict[str, JsonValue] = {
        name: value for name, value in project.items() if name not in (ENV, TIME_ZONE)
    }
    for name, other in _TAKEN_FROM:
        if other in told:
            told.setdefault(name, told[other])
    operator = facts.operator or str(told.get("operator") or "")
    zone = _zone(project.get(TIME_ZONE)) or _zone(timezone) or dt.UTC
    return {
        **_NO_FACTS,
        **told,
        "operator": operator,
        "executor": told.get("executor") or operator,
        "task_id": facts.run,
        "task_name": told.get("task_name") or plan.name or plan.template_key,
        "task_start_time": dt.datetime.fromtimestamp(facts.now, zone).strftime(MOMENT),
    }


def _zone(name: JsonValue) -> dt.tzinfo | None:
    if not isinstance(name, str) or not name:
        return None
    try:
        return zoneinfo.ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return None


def _object(value: JsonValue) -> Mapping[str, JsonValue]:
    return value if isinstance(value, dict) else {}
