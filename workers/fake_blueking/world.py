"""What the platform keeps: businesses, hosts, jobs, tickets and the rest; and its clock."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Final, Literal, NamedTuple, TypeAlias

from pydantic import JsonValue

Json: TypeAlias = dict[str, JsonValue]

APP_CODE: Final = "stdops"
APP_SECRET: Final = "not-a-secret"  # noqa: S105  the fake's own, which guards nothing

HostFault = Literal["", "agent", "disk"]
"""What is wrong with a host: nothing, its agent is lost, or its disk takes no more files."""

SCRIPT, FILES = 1, 2
"""Kinds of a job's step."""

HOSTS, PASSWORD = 3, 4
"""Types of a plan's variable that are more than text."""

IDLE, FAULTY, RECYCLE = 1, 2, 3
"""What makes a module one of those that every business has (`default`)."""


@dataclass(slots=True)
class Place:
    """A set or a module; `parent` is the business or the set, `default` 0 for an ordinary one."""

    id: int
    name: str
    business: int
    parent: int
    default: int = 0
    fields: Json = field(default_factory=dict[str, JsonValue])


@dataclass(slots=True)
class Host:
    """A host, where it stands, and what is wrong with it."""

    id: int
    ip: str
    business: int
    modules: list[int]
    cloud: int = 0
    fields: Json = field(default_factory=dict[str, JsonValue])
    is_locked: bool = False
    fault: HostFault = ""


class Script(NamedTuple):
    """A stored script; `business` 0 is a public one."""

    id: str
    version_id: int
    name: str
    business: int
    content: str


class Variable(NamedTuple):
    """A global variable of a plan; type 1 text, 2 namespace, 3 hosts, 4 password, 5 array."""

    id: int
    name: str
    type: int
    value: str = ""


class PlanStep(NamedTuple):
    """A step of a plan: a script on the hosts of a variable."""

    name: str
    content: str
    hosts: str


class JobPlan(NamedTuple):
    """A plan of JOB; hosts stand in its variables as `area:address` with commas between."""

    id: int
    name: str
    business: int
    variables: tuple[Variable, ...]
    steps: tuple[PlanStep, ...]


class HostRun(NamedTuple):
    """How a step ends on a host, decided when it starts; `seconds` is how long it takes."""

    host: Host
    status: int
    seconds: float = 0
    exit_code: int = 0
    tag: str = ""
    log: str = ""
    files: tuple[str, ...] = ()


class Step(NamedTuple):
    """A step of a job; `kind` 1 is a script, 2 a file."""

    id: int
    kind: int
    name: str
    hosts: tuple[HostRun, ...]


@dataclass(slots=True)
class Job:
    """A job instance; `ends_told` says whether its end was called back."""

    id: int
    name: str
    user: str
    scope: Json
    started_at: float
    steps: tuple[Step, ...]
    variables: tuple[Variable, ...] = ()
    callback_url: str = ""
    stopped_at: float | None = None
    ends_told: bool = False


@dataclass(slots=True)
class Ticket:
    """An approval; `decided` is None until somebody has decided."""

    sn: str
    title: str
    creator: str
    approvers: tuple[str, ...]
    content: str
    callback_url: str
    created_at: float
    decided: bool | None = None
    decided_by: str = ""
    told: bool = False


@dataclass(slots=True)
class Work:
    """Work of another system that takes its time and then ends one way."""

    id: int
    kind: str
    started_at: float
    ends_well: bool
    details: Json = field(default_factory=dict[str, JsonValue])


@dataclass(slots=True)
class Release:
    """A Helm release; `work` is its latest upgrade, which it keeps when that has ended."""

    name: str
    namespace: str
    chart: str
    version: str
    revision: int = 1
    updated_at: float = 0
    values: tuple[str, ...] = ()
    work: Work | None = None


@dataclass(slots=True)
class Pace:
    """How long things take, in seconds; tickets wait for a person where `approval_s` is None.

    After that time the first approver says yes, or no where `approves` is not set.
    """

    pending_s: float = 0.2
    running_s: float = 1.0
    approval_s: float | None = None
    approves: bool = True


class Denial(NamedTuple):
    """A user who may not call an API; both are patterns."""

    user: str
    api: str


@dataclass(slots=True)
class World:
    """All of it; `clock` gives seconds since the epoch, `url` is where it is served."""

    clock: Callable[[], float] = time.time
    url: str = ""
    pace: Pace = field(default_factory=Pace)
    businesses: dict[int, Json] = field(default_factory=dict[int, Json])
    business_sets: dict[int, str] = field(default_factory=dict[int, str])
    sets: dict[int, Place] = field(default_factory=dict[int, Place])
    modules: dict[int, Place] = field(default_factory=dict[int, Place])
    hosts: dict[int, Host] = field(default_factory=dict[int, Host])
    service_templates: dict[int, Json] = field(default_factory=dict[int, Json])
    groups: dict[str, Json] = field(default_factory=dict[str, Json])
    attributes: dict[str, list[Json]] = field(default_factory=dict[str, list[Json]])
    accounts: set[str] = field(default_factory=lambda: {"root", "system"})
    file_sources: dict[str, int] = field(default_factory=dict[str, int])
    scripts: dict[str, Script] = field(default_factory=dict[str, Script])
    plans: dict[int, JobPlan] = field(default_factory=dict[int, JobPlan])
    jobs: dict[int, Job] = field(default_factory=dict[int, Job])
    crons: dict[int, Json] = field(default_factory=dict[int, Json])
    tickets: dict[str, Ticket] = field(default_factory=dict[str, Ticket])
    shields: dict[int, Json] = field(default_factory=dict[int, Json])
    messages: list[Json] = field(default_factory=list[Json])
    gone_chats: set[str] = field(default_factory=set[str])
    works: dict[int, Work] = field(default_factory=dict[int, Work])
    releases: dict[str, Release] = field(default_factory=dict[str, Release])
    logs: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    denials: list[Denial] = field(default_factory=list[Denial])
    _ids: Iterator[int] = field(default_factory=lambda: count(10001))

    def new_id(self) -> int:
        """Return a number that nothing has yet."""
        return next(self._ids)

    def host_at(self, ip: str, cloud: int) -> Host | None:
        """Return the host with an address in an area."""
        found = (host for host in self.hosts.values() if (host.ip, host.cloud) == (ip, cloud))
        return next(found, None)

    def default_module(self, business: int, default: int) -> Place | None:
        """Return one of the modules that every business has."""
        found = (m for m in self.modules.values() if (m.business, m.default) == (business, default))
        return next(found, None)


def shop() -> World:
    """Return a small world: business 2, a shop with web and database hosts, and what they need."""
    world = World()
    world.businesses[2] = {
        "bk_biz_id": 2,
        "bk_biz_name": "Shop",
        "bk_biz_maintainer": "admin,wang",
        "bk_biz_productor": "li",
        "bk_biz_developer": "zhao,qian",
        "bk_biz_tester": "",
    }
    world.business_sets[9] = "all shops"
    world.sets = {
        10: Place(10, "idle pool", 2, 2, default=1),
        11: Place(11, "East", 2, 2, fields={"bk_set_env": "3", "bk_service_status": "1"}),
        12: Place(12, "West", 2, 2, fields={"bk_set_env": "3", "bk_service_status": "1"}),
    }
    world.modules = {
        20: Place(20, "idle", 2, 10, default=IDLE),
        21: Place(21, "fault", 2, 10, default=FAULTY),
        22: Place(22, "recycle", 2, 10, default=RECYCLE),
        31: Place(31, "web", 2, 11),
        32: Place(32, "db", 2, 11),
        33: Place(33, "maintenance", 2, 11),
        41: Place(41, "web", 2, 12),
    }
    placed = [(31, "10.0.1.1"), (31, "10.0.1.2"), (31, "10.0.1.3"), (32, "10.0.2.1")]
    placed += [(41, "10.1.1.1"), (20, "10.0.9.1")]
    for at, (module, ip) in enumerate(placed, start=101):
        world.hosts[at] = Host(at, ip, 2, [module], fields={"bk_host_name": f"host-{at}"})
    world.file_sources["artifacts"] = 1
    world.service_templates[51] = {"id": 51, "name": "web", "bk_biz_id": 2}
    world.releases["shop/web"] = Release("web", "shop", "web", "1.0.0")
    world.logs["2_bklog.web"] = ["GET / 200", "GET /cart 500"]
    world.attributes = _attributes()
    restart = "echo restarting ${service}\necho '<SOPS_VAR>restarted:${service}</SOPS_VAR>'"
    world.scripts = {
        s.id: s
        for s in (
            Script("s-check", 61, "check web", 2, "echo web answers"),
            Script("s-clean", 62, "clean logs", 0, "echo cleaned"),
        )
    }
    variables = (Variable(71, "service", 1, "web"), Variable(72, "hosts", 3, "0:10.0.1.1"))
    steps = (PlanStep("restart", restart, "hosts"),)
    world.plans[1000] = JobPlan(1000, "restart a service", 2, variables, steps)
    return world


def _attributes() -> dict[str, list[Json]]:
    """Return the attributes of hosts, sets and modules that components check against."""
    env: JsonValue = [
        {"id": "1", "name": "测试"},
        {"id": "2", "name": "体验"},
        {"id": "3", "name": "正式"},
    ]
    service: JsonValue = [{"id": "1", "name": "开放"}, {"id": "2", "name": "关闭"}]
    state: JsonValue = [{"id": "1", "name": "运营中"}, {"id": "2", "name": "故障"}]
    kind: JsonValue = [{"id": "1", "name": "普通"}, {"id": "2", "name": "数据库"}]
    return {
        "host": [
            _attribute("bk_host_innerip", "singlechar", editable=False),
            _attribute("bk_host_name", "singlechar"),
            _attribute("bk_comment", "longchar"),
            _attribute("bk_cpu", "int"),
            _attribute("bk_state_name", "enum", state),
            _attribute("bk_isp_name", "enum", [{"id": "1", "name": "电信"}]),
            _attribute("bk_province_name", "enum", [{"id": "440000", "name": "广东"}]),
        ],
        "set": [
            _attribute("bk_set_name", "singlechar"),
            _attribute("bk_set_desc", "singlechar"),
            _attribute("bk_capacity", "int"),
            _attribute("bk_set_env", "enum", env),
            _attribute("bk_service_status", "enum", service),
        ],
        "module": [
            _attribute("bk_module_name", "singlechar"),
            _attribute("bk_module_type", "enum", kind),
            _attribute("operator", "objuser"),
            _attribute("bk_bak_operator", "objuser"),
        ],
    }


def _attribute(key: str, kind: str, option: JsonValue = "", *, editable: bool = True) -> Json:
    return {
        "bk_property_id": key,
        "bk_property_name": key,
        "bk_property_type": kind,
        "editable": editable,
        "option": option,
    }
