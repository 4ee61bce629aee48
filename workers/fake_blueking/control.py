"""`/_fake/...`: what a test or a demo tells the platform, and what it asks of it."""

from collections.abc import Callable, Mapping
from typing import Any, Final, cast

from pydantic import JsonValue

from workers.fake_blueking.asked import Asked, Json, RefusedError
from workers.fake_blueking.faults import KINDS, Fault
from workers.fake_blueking.platform import Platform
from workers.fake_blueking.services import decide
from workers.fake_blueking.timeline import view
from workers.fake_blueking.world import Denial, Host, HostFault, JobPlan, PlanStep, Script, Variable

Control = Callable[[Platform, Any], JsonValue]

_HOST_FAULTS: Final = ("none", "agent", "disk")


def state(platform: Platform, _fields: Json) -> JsonValue:
    """Return what the platform keeps."""
    world, now = platform.world, platform.world.clock()
    return {
        "hosts": {host.ip: _host(platform, host) for host in world.hosts.values()},
        "sets": {str(place.id): place.name for place in world.sets.values()},
        "jobs": {
            str(job.id): {"name": job.name, "status": view(job, world.pace, now).status}
            for job in world.jobs.values()
        },
        "tickets": {t.sn: {"title": t.title, "decided": t.decided} for t in world.tickets.values()},
        "shields": {str(number): bool(row["is_enabled"]) for number, row in world.shields.items()},
        "messages": [*world.messages],
        "crons": [*world.crons.values()],
    }


def ledger(platform: Platform, fields: Json) -> JsonValue:
    """Return the calls whose name fits `api`."""
    entries = platform.calls(Asked(fields).text("api", "*"))
    return [cast("Json", entry._asdict()) for entry in entries]


def set_faults(platform: Platform, fields: Json) -> JsonValue:
    """Put faults in the place of those that are set."""
    platform.faults[:] = [_fault(row) for row in Asked(fields).rows("faults")]
    return {"faults": len(platform.faults)}


def seed(platform: Platform, fields: Json) -> JsonValue:
    """Add hosts, scripts, plans and denials, and change the pace."""
    world, asked = platform.world, Asked(fields)
    for row in asked.rows("hosts", []):
        modules = row.integers("modules")
        business = world.modules[modules[0]].business
        number = world.new_id()
        host = Host(number, row.text("ip"), business, modules, row.integer("cloud", 0))
        world.hosts[number] = host
    for row in asked.rows("scripts", []):
        name, business = row.text("name"), row.integer("business", 0)
        made = Script(f"s-{world.new_id()}", world.new_id(), name, business, row.text("content"))
        world.scripts[made.id] = made
    plans = [_plan(platform, row) for row in asked.rows("plans", [])]
    world.plans |= {plan.id: plan for plan in plans}
    for row in asked.rows("denials", []):
        world.denials.append(Denial(row.text("user", "*"), row.text("api")))
    _set_pace(platform, asked.part("pace", {"": None}))
    return {"plans": [plan.id for plan in plans]}


def set_host(platform: Platform, fields: Json) -> JsonValue:
    """Break a host, or mend it: `{"ip", "fault": "none"|"agent"|"disk"}`."""
    asked = Asked(fields)
    host = platform.world.host_at(asked.text("ip"), asked.integer("cloud", 0))
    if host is None:
        raise RefusedError(f"there is no host {asked.text('ip')}")
    fault = asked.one_of("fault", _HOST_FAULTS)
    host.fault = "" if fault == "none" else cast("HostFault", fault)
    return _host(platform, host)


def decide_ticket(platform: Platform, fields: Json) -> JsonValue:
    """Approve or reject a ticket: `{"sn", "approve", "by"}`; the first approver unless it says."""
    asked = Asked(fields)
    ticket = platform.world.tickets.get(asked.text("sn"))
    if ticket is None:
        raise RefusedError(f"there is no ticket {asked.text('sn')}")
    is_yes = asked.flag("approve", default=True)
    decide(ticket, asked.text("by", ticket.approvers[0]), is_yes=is_yes)
    return {"sn": ticket.sn, "decided": is_yes}


def _host(platform: Platform, host: Host) -> JsonValue:
    modules = [platform.world.modules[number].name for number in host.modules]
    return {"modules": [*modules], "fault": host.fault, "is_locked": host.is_locked}


def _fault(row: Asked) -> Fault:
    times = row.integer("times") if row.has("times") else None
    return Fault(
        row.text("api"),
        row.one_of("kind", KINDS),  # pyright: ignore[reportArgumentType]  one of those
        times,
        _number(row, "probability", 1.0),
        _number(row, "seconds", 1.0),
        row.integer("seed", 0),
    )


def _plan(platform: Platform, row: Asked) -> JobPlan:
    world = platform.world
    variables = tuple(
        Variable(world.new_id(), v.text("name"), v.integer("type"), v.text("value", ""))
        for v in row.rows("variables", [])
    )
    steps = tuple(
        PlanStep(s.text("name"), s.text("content"), s.text("hosts")) for s in row.rows("steps")
    )
    return JobPlan(world.new_id(), row.text("name"), row.integer("business"), variables, steps)


def _set_pace(platform: Platform, asked: Asked) -> None:
    pace = platform.world.pace
    for name in ("pending_s", "running_s", "approval_s"):
        if asked.has(name):
            setattr(pace, name, _number(asked, name, 0))


def _number(asked: Asked, key: str, default: float) -> float:
    value = asked.fields.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int | float):
        asked.refuse(key, "must be a number")
    return float(value)


CONTROLS: Final[Mapping[str, Control]] = {
    "GET state": state,
    "GET ledger": ledger,
    "POST faults": set_faults,
    "POST seed": seed,
    "POST hosts": set_host,
    "POST tickets": decide_ticket,
}
