"""`job_fast_execute_script` and `all_biz_job_fast_execute_script`: run a script on hosts.

Source: plugins' reference, section 3.2.
"""

import base64
from typing import Final, NamedTuple

from pydantic import JsonValue

from activities.blueking.catalogue import blueking, served
from activities.blueking.client import BlueKing, Json
from activities.blueking.form import Fields, Form, Written
from activities.blueking.hosts import business_set_target
from activities.blueking.job.instance import Reading, Tags
from activities.blueking.job.naming import task_name
from activities.blueking.job.starting import reuse, run_job, with_looks
from activities.blueking.job.targets import Resolver, rolling, target
from activities.blueking.scope import business_set_scope, job_scope, scope_of
from activities.calls import Call, PluginError
from activities.sdk import AnyPlugin


class ScriptRule(NamedTuple):
    """What a version of the component does.

    by_name: a stored script is chosen by its name, not by its version's id. across: the form may
    ask for hosts of any business. titled: the job may be given a name. named: it is named after its
    node. stripped: blanks around the account are dropped. tags: hosts are grouped, `simple` only
    where the form asks for it. reused: an earlier job may be read instead of a new one.
    """

    version: str
    resolver: Resolver
    by_name: bool = True
    across: bool = False
    titled: bool = False
    named: bool = False
    stripped: bool = False
    tags: Tags = "no"
    reused: bool = False
    rolling: bool = False


RULES: Final = (
    ScriptRule("legacy", "strict", by_name=False),
    ScriptRule("v1.0", "strict", across=True, titled=True),
    ScriptRule("v1.1", "strict", across=True, tags="simple", reused=True),
    ScriptRule("v1.2", "hybrid", stripped=True, tags="by_end", reused=True, rolling=True),
    ScriptRule("v2.0", "hybrid_or_ids", stripped=True, tags="by_end", reused=True, rolling=True),
    ScriptRule(
        "v2.1",
        "hybrid_or_ids",
        named=True,
        stripped=True,
        tags="by_end",
        reused=True,
        rolling=True,
    ),
)

_NOT_FOUND: Final = "快速执行脚本启动失败: [作业平台]未找到名称:{}的{}, 现有脚本: {}"


def _script(rule: ScriptRule) -> AnyPlugin:
    async def run(call: Call[Form]) -> Written:
        """Run a script on hosts through JOB."""
        bk, form = blueking(call), call.inputs.fields
        scope = scope_of(call.context, form)
        where = job_scope(scope.business)
        if rule.reused and form.line("job_success_id"):
            return await reuse(bk, where, form.integer("job_success_id"))
        across = rule.across and form.flag("job_across_biz")
        account = form.line("job_account") if rule.stripped else form.text("job_account")
        request: Json = {
            **where,
            "timeout": form.raw("job_script_timeout") or "",
            "account_alias": account,
            "target_server": await target(
                bk, scope, form.text("job_ip_list"), rule.resolver, across=across
            ),
            **_parameters(form),
            **await _source(bk, form, where, by_name=rule.by_name),
            **(rolling(form) if rule.rolling else {}),
            **(task_name(call.name, call.now()) if rule.named else {}),
            **(_title(form) if rule.titled else {}),
        }
        return await run_job(bk, call, "jobv3.fast_execute_script", request, findable=rule.named)

    return with_looks(
        served("job_fast_execute_script", rule.version, run), lambda form: _reading(rule, form)
    )


def _over_businesses(version: str, *, tags: Tags) -> AnyPlugin:
    async def run(call: Call[Form]) -> Written:
        """Run a script on hosts of a business set through JOB."""
        bk, form = blueking(call), call.inputs.fields
        where = await business_set_scope(bk, form.integer("all_biz_cc_id"))
        timeout = form.number("job_script_timeout")
        request: Json = {
            **where,
            **({"timeout": timeout} if timeout is not None else {}),
            "account_alias": form.line("job_target_account"),
            "target_server": business_set_target(form.rows("job_target_ip_table")),
            **_parameters(form),
            **_manual(form),
            **(rolling(form) if tags == "by_end" else {}),
        }
        return await run_job(bk, call, "jobv3.fast_execute_script", request)

    return with_looks(
        served("all_biz_job_fast_execute_script", version, run),
        lambda form: Reading(tags=_tags(form, tags), even_failed=_even_failed(form, tags)),
    )


def _reading(rule: ScriptRule, form: Fields) -> Reading:
    return Reading(tags=_tags(form, rule.tags), even_failed=_even_failed(form, rule.tags))


def _tags(form: Fields, tags: Tags) -> Tags:
    return "no" if tags == "simple" and not form.flag("is_tagged_ip") else tags


def _even_failed(form: Fields, tags: Tags) -> bool:
    return tags == "by_end" or form.flag("need_log_outputs_even_fail")


def _parameters(form: Fields) -> Json:
    text = form.text("job_script_param")
    return {"script_param": in_base64(text)} if text else {}


def _manual(form: Fields) -> Json:
    return {
        "script_language": form.text("job_script_type"),
        "script_content": in_base64(form.text("job_content")),
    }


async def _source(bk: BlueKing, form: Fields, where: Json, *, by_name: bool) -> Json:
    """Return the script that is run: written in the form, or stored in JOB."""
    source = form.line("job_script_source")
    if source not in ("general", "public"):
        return _manual(form)
    chosen = form.raw(f"job_script_list_{source}")
    if not by_name:
        return {"script_version_id": chosen}
    return {"script_id": await _script_id(bk, str(chosen or ""), source, where)}


async def _script_id(bk: BlueKing, name: str, source: str, where: Json) -> JsonValue:
    """Return the id of the stored script of that very name.

    Raises:
        PluginError: there is none.
    """
    api = "jobv3.get_script_list" if source == "general" else "jobv3.get_public_script_list"
    asked: Json = {**where, "name": name} if source == "general" else {"name": name}
    found = await bk.job_pages(api, asked)
    for row in found:
        if row.get("name") == name:
            return row.get("id")
    kind = "业务脚本" if source == "general" else "公共脚本"
    raise PluginError(_NOT_FOUND.format(name, kind, [row.get("name") for row in found]))


def _title(form: Fields) -> Json:
    name = form.text("custom_task_name")
    return {"task_name": name} if name.strip() else {}


def in_base64(text: str) -> str:
    """Return a text as JOB takes it."""
    return base64.b64encode(text.encode()).decode()


SCRIPTS: Final = tuple(map(_script, RULES))
SCRIPTS_OVER_BUSINESSES: Final = (
    _over_businesses("v1.0", tags="simple"),
    _over_businesses("v1.1", tags="by_end"),
)
