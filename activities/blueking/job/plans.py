"""`job_execute_task` and `all_biz_execute_job_plan`: run a plan that is stored in JOB.

Source: plugins' reference, section 3.2.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

from pydantic import JsonValue

from activities.blueking.addresses import read_hosts
from activities.blueking.catalogue import blueking, served
from activities.blueking.client import BlueKing, Json
from activities.blueking.form import Fields, Form, Written
from activities.blueking.hosts import Scope
from activities.blueking.job.instance import Reading, Tags
from activities.blueking.job.naming import task_name
from activities.blueking.job.starting import reuse, run_job, with_looks
from activities.blueking.job.targets import Resolver, target
from activities.blueking.scope import business_set_scope, job_scope, scope_of
from activities.calls import Call, PluginError
from activities.sdk import AnyPlugin

HOSTS: Final = 3
PASSWORD: Final = 4
UNCHANGED: Final = "******"
"""What the form shows for a password of the plan; sent on, it would replace the password."""

_UNRESOLVED: Final = "无法从配置平台(CMDB)查询到对应 IP，请确认输入的 IP 是否合法。查询失败 IP： {}"


class PlanRule(NamedTuple):
    """What a version of the component does; as of a script's, `across` falls back to `strict`."""

    version: str
    resolver: Resolver
    across: bool = False
    named: bool = False
    tags: Tags = "no"
    reused: bool = False


RULES: Final = (
    PlanRule("legacy", "strict", across=True),
    PlanRule("1.0", "strict", across=True),
    PlanRule("1.1", "strict", across=True, tags="simple", reused=True),
    PlanRule("1.2", "hybrid", tags="by_end", reused=True),
    PlanRule("2.0", "hybrid_or_ids", tags="by_end", reused=True),
    PlanRule("2.1", "hybrid_or_ids", named=True, tags="by_end", reused=True),
)


def _plan(rule: PlanRule) -> AnyPlugin:
    async def run(call: Call[Form]) -> Written:
        """Run a plan of JOB with other values of its global variables."""
        bk, form = blueking(call), call.inputs.fields
        scope = scope_of(call.context, form)
        where = job_scope(scope.business)
        if rule.reused and form.line("job_success_id"):
            return await reuse(bk, where, form.integer("job_success_id"))
        across = rule.across and form.flag("biz_across")
        rows = form.rows("job_global_var")
        found = [await _variable(bk, scope, row, rule, across=across) for row in rows]
        request: Json = {
            **where,
            "job_plan_id": form.integer("job_task_id"),
            "global_var_list": [each for each in found if each is not None],
            **(task_name(call.name, call.now()) if rule.named else {}),
        }
        return await run_job(bk, call, "jobv3.execute_job_plan", request, findable=rule.named)

    return with_looks(
        served("job_execute_task", rule.version, run),
        lambda form: Reading(
            tags=_tags(form, rule.tags),
            even_failed=rule.tags == "by_end" or form.flag("need_log_outputs_even_fail"),
        ),
    )


def _over_businesses(version: str, *, tags: Tags) -> AnyPlugin:
    async def run(call: Call[Form]) -> Written:
        """Run a plan of JOB that belongs to a business set."""
        bk, form = blueking(call), call.inputs.fields
        config = form.part("all_biz_job_config")
        where = await business_set_scope(bk, config.integer("all_biz_cc_id"))
        found = [_variable_by_id(Fields(row)) for row in config.rows("job_global_var")]
        request: Json = {
            **where,
            "job_plan_id": config.integer("job_plan_id"),
            "global_var_list": [each for each in found if each is not None],
        }
        return await run_job(bk, call, "jobv3.execute_job_plan", request)

    return with_looks(
        served("all_biz_execute_job_plan", version, run),
        lambda form: Reading(
            log_must_be=False,
            tags=_tags(form.part("all_biz_job_config"), tags),
            even_failed=tags == "by_end" or form.flag("need_log_outputs_even_fail"),
        ),
    )


def _tags(form: Fields, tags: Tags) -> Tags:
    return "no" if tags == "simple" and not form.flag("is_tagged_ip") else tags


async def _variable(
    bk: BlueKing, scope: Scope, row: Mapping[str, JsonValue], rule: PlanRule, *, across: bool
) -> Json | None:
    """Return a global variable as JOB takes it; None leaves the plan's own value.

    Raises:
        PluginError: it names hosts that are not there.
    """
    fields = Fields(row)
    category = fields.number("category") or fields.number("type")
    value = _value(fields.raw("value"))
    if category == HOSTS:
        if not value:
            return None
        server = await _server(bk, scope, value, rule, across=across)
        return {"name": fields.raw("name"), "server": server}
    if category == PASSWORD and value == UNCHANGED:
        return None
    return {"name": fields.raw("name"), "value": value}


async def _server(bk: BlueKing, scope: Scope, text: str, rule: PlanRule, *, across: bool) -> Json:
    """Return the hosts of a variable; across businesses what has no area is looked for here."""
    try:
        found = await target(bk, scope, text, rule.resolver, across=across)
    except PluginError:
        if not across:
            raise
        found = await target(bk, scope, text, rule.resolver)
    if not any(found.values()):
        raise PluginError(_UNRESOLVED.format(text))
    return found


def _variable_by_id(fields: Fields) -> Json | None:
    """Return a global variable of a business set's plan: by its id, hosts with their areas."""
    category = fields.number("type") or fields.number("category")
    value = _value(fields.raw("value"))
    if category == HOSTS:
        areas = read_hosts(value).cloud_v4
        if not value:
            return None
        server: Json = {"ip_list": [{"ip": at.ip, "bk_cloud_id": at.cloud} for at in areas]}
        return {"id": fields.raw("id"), "server": server}
    if category == PASSWORD and value == UNCHANGED:
        return None
    return {"id": fields.raw("id"), "value": value}


def _value(value: JsonValue) -> str:
    """Return a variable's value as text; a password's stands in an object."""
    if isinstance(value, dict):
        value = value.get("value")
    return Fields({"value": value}).line("value")


PLANS: Final = tuple(map(_plan, RULES))
PLANS_OVER_BUSINESSES: Final = (
    _over_businesses("legacy", tags="simple"),
    _over_businesses("v1.1", tags="by_end"),
)
