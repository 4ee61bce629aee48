"""What calls to JOB have in common: business, hosts, plan, page."""

from collections.abc import Sequence
from typing import Final

from pydantic import JsonValue

from workers.fake_blueking.asked import Asked, Json, RefusedError
from workers.fake_blueking.world import Host, JobPlan, World

_KINDS: Final = ("biz", "biz_set")
_PAGE: Final = 1000


def scope_of(world: World, asked: Asked) -> Json:
    """Return where a call works.

    Raises:
        RefusedError: it does not say so, or there is no such business or business set.
    """
    kind = str(asked.one_of("bk_scope_type", _KINDS))
    number = asked.integer("bk_scope_id")
    known = world.businesses if kind == "biz" else world.business_sets
    if number not in known:
        raise RefusedError(f"业务/业务集不存在, there is no {kind} {number}")
    return {"bk_scope_type": kind, "bk_scope_id": str(number)}


def target_hosts(world: World, target: Asked) -> list[Host]:
    """Return the hosts of a target server; JOB may work on hosts of any business here.

    Raises:
        RefusedError: it names none, or one that does not exist.
    """
    ids = target.integers("host_id_list") if target.has("host_id_list") else []
    found = [_known(world.hosts.get(number), f"host id {number}") for number in ids]
    for row in target.rows("ip_list", []):
        ip, cloud = row.text("ip"), row.integer("bk_cloud_id")
        found.append(_known(world.host_at(ip, cloud), f"{cloud}:{ip}"))
    if not found:
        raise RefusedError("目标服务器为空, the target server names no host")
    return found


def plan_of(world: World, asked: Asked, scope: Json) -> JobPlan:
    """Return the plan that a call names.

    Raises:
        RefusedError: there is none in that business.
    """
    number = asked.integer("job_plan_id")
    plan = world.plans.get(number)
    fits = plan is not None and (
        scope["bk_scope_type"] == "biz_set" or str(plan.business) == scope["bk_scope_id"]
    )
    if plan is None or not fits:
        raise RefusedError(f"执行方案不存在, there is no plan {number}")
    return plan


def job_page(asked: Asked, rows: Sequence[JsonValue]) -> Json:
    """Return the page of rows that a call asks for."""
    start, length = asked.integer("start", 0), asked.integer("length", 20)
    if not 1 <= length <= _PAGE:
        asked.refuse("length", f"must be between 1 and {_PAGE}")
    page = [*rows[start : start + length]]
    return {"start": start, "length": length, "total": len(rows), "data": page}


def _known(host: Host | None, named: str) -> Host:
    if host is None:
        raise RefusedError(f"主机不存在, there is no host {named}")
    return host
