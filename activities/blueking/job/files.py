"""`job_fast_push_file` and `all_biz_job_fast_push_file`: push files from host to host.

Source: plugins' reference, section 3.2.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from pydantic import JsonValue

from activities.blueking.catalogue import blueking, served
from activities.blueking.client import BlueKing, Json
from activities.blueking.form import Fields, Form, Written
from activities.blueking.hosts import Scope, business_set_target
from activities.blueking.job.batch import start_batch, with_batch
from activities.blueking.job.instance import Reading
from activities.blueking.job.naming import task_name
from activities.blueking.job.starting import run_job, with_looks
from activities.blueking.job.targets import Resolver, rolling, target
from activities.blueking.rows import expanded
from activities.blueking.scope import business_set_scope, job_scope, scope_of
from activities.calls import Call, PluginError
from activities.sdk import AnyPlugin

FROM_SERVER: Final = 1
FROM_FILE_SOURCE: Final = 3

_KINDS: Final = "只支持服务器和源文件类型"


class PushRule(NamedTuple):
    """What a version of the component does.

    each_source: one job for each pair of source and target, else one for each target. origins: the
    form says whether files come from hosts or from a file source. typed: a host's entry says so.
    """

    version: str
    resolver: Resolver
    across: bool = False
    each_source: bool = False
    rolling: bool = False
    origins: bool = False
    typed: bool = False
    named: bool = False


SINGLE: Final = (PushRule("legacy", "strict"), PushRule("v1.0", "strict", across=True))
RULES: Final = (
    PushRule("v2.0", "strict", across=True, each_source=True),
    PushRule("v2.1", "hybrid", rolling=True),
    PushRule("v3.0", "hybrid", rolling=True, origins=True, typed=True),
    PushRule("v3.1", "hybrid_or_ids", rolling=True, origins=True, named=True),
)


def _single(rule: PushRule) -> AnyPlugin:
    async def run(call: Call[Form]) -> Written:
        """Push files to hosts through JOB, by one job."""
        bk, form = blueking(call), call.inputs.fields
        scope = scope_of(call.context, form)
        across = rule.across and form.flag("job_across_biz")
        sources = [
            await _source(bk, scope, row, rule, across=across)
            for row in form.rows("job_source_files")
        ]
        request: Json = {
            **job_scope(scope.business),
            **_timeout(form),
            "file_source_list": [*sources],
            "target_server": await target(
                bk, scope, form.text("job_ip_list"), rule.resolver, across=across
            ),
            "account_alias": form.line("job_account"),
            "file_target_path": form.line("job_target_path"),
        }
        return await run_job(bk, call, "jobv3.fast_transfer_file", request)

    return with_looks(
        served("job_fast_push_file", rule.version, run),
        lambda form: Reading(log=False, even_failed=form.flag("need_log_outputs_even_fail")),
    )


def _several(rule: PushRule) -> AnyPlugin:
    async def run(call: Call[Form]) -> Written:
        """Push files to hosts through JOB, a job for each row of the form."""
        bk, form = blueking(call), call.inputs.fields
        scope = scope_of(call.context, form)
        across = rule.across and form.flag("job_across_biz")
        sources = await _sources(bk, scope, form, rule, across=across)
        groups = [[source] for source in sources] if rule.each_source else [sources]
        requests: list[Json] = []
        for row in _targets(form):
            server = await target(bk, scope, row.text("job_ip_list"), rule.resolver, across=across)
            where: Json = {
                **job_scope(scope.business),
                **_limits(form),
                "target_server": server,
                "account_alias": row.line("job_account"),
                "file_target_path": row.line("job_target_path"),
                **(rolling(form) if rule.rolling else {}),
                **(task_name(call.name, call.now(), len(requests)) if rule.named else {}),
            }
            requests.extend(_with_files(where, group) for group in groups)
        return await start_batch(bk, call, requests, findable=rule.named)

    return with_batch(served("job_fast_push_file", rule.version, run))


def _over_businesses(version: str, *, each_source: bool) -> AnyPlugin:
    async def run(call: Call[Form]) -> Written:
        """Push files to hosts of a business set through JOB."""
        bk, form = blueking(call), call.inputs.fields
        where = await business_set_scope(bk, form.integer("all_biz_cc_id"))
        sources = [_set_source(row) for row in form.rows("job_source_files")]
        groups = [[source] for source in sources] if each_source else [sources]
        requests = [
            _with_files(
                {
                    **where,
                    **_limits(form),
                    "target_server": business_set_target([row], "job_ip_list"),
                    "account_alias": Fields(row).line("job_target_account"),
                    "file_target_path": Fields(row).line("job_target_path"),
                    **({} if each_source else rolling(form)),
                },
                group,
            )
            for row in form.rows("job_dispatch_attr")
            for group in groups
        ]
        return await start_batch(bk, call, requests)

    return with_batch(served("all_biz_job_fast_push_file", version, run))


async def _sources(
    bk: BlueKing, scope: Scope, form: Fields, rule: PushRule, *, across: bool
) -> list[Json]:
    """Return where the files come from.

    Raises:
        PluginError: the form names an origin that is none.
    """
    if not rule.origins:
        rows = form.rows("job_source_files")
        return [await _source(bk, scope, row, rule, across=across) for row in rows]
    match form.line("job_source_files_origin"):
        case "server":
            rows = form.rows("job_server")
            return [await _source(bk, scope, row, rule, across=across) for row in rows]
        case "file_source":
            return [_stored(row) for row in form.rows("job_source_files")]
        case _:
            raise PluginError(_KINDS)


async def _source(
    bk: BlueKing,
    scope: Scope,
    row: Mapping[str, JsonValue],
    rule: PushRule,
    *,
    across: bool,
) -> Json:
    """Return files on hosts as JOB takes them."""
    fields = Fields(row)
    return {
        "file_list": [*lines(fields.text("files"))],
        "server": await target(bk, scope, fields.text("ip"), rule.resolver, across=across),
        "account": {"alias": fields.line("account")},
        **({"file_type": FROM_SERVER} if rule.typed else {}),
    }


def _stored(row: Mapping[str, JsonValue]) -> Json:
    """Return files of a file source as JOB takes them."""
    fields = Fields(row)
    names = [name.strip() for name in re.split(r"[,\n]", fields.text("files")) if name.strip()]
    return {
        "file_list": [*names],
        "file_source_code": fields.line("file_source"),
        "file_type": FROM_FILE_SOURCE,
    }


def _set_source(row: Mapping[str, JsonValue]) -> Json:
    fields = Fields(row)
    return {
        "file_list": [*lines(fields.text("files"))],
        "server": business_set_target([row]),
        "account": {"alias": fields.line("account")},
    }


def _with_files(request: Json, sources: Sequence[Json]) -> Json:
    return {**request, "file_source_list": [*sources]}


def _targets(form: Fields) -> Sequence[Fields]:
    """Return where the files go, row by row; a row is expanded where the form asks for it."""
    rows = form.rows("job_dispatch_attr")
    if form.line("select_method") == "auto":
        rows = expanded(rows, form.text("break_line") or ",")
    return [Fields(row) for row in rows]


def _timeout(form: Fields) -> Json:
    timeout = form.number("job_timeout")
    return {} if timeout is None else {"timeout": timeout}


def _limits(form: Fields) -> Json:
    limits = {key: form.number(key) for key in ("upload_speed_limit", "download_speed_limit")}
    return {**_timeout(form), **{key: limit for key, limit in limits.items() if limit is not None}}


def lines(text: str) -> list[str]:
    """Return the lines of a text without blanks around them, empty ones left out."""
    return [line.strip() for line in text.splitlines() if line.strip()]


PUSHES: Final = (*map(_single, SINGLE), *map(_several, RULES))
PUSHES_OVER_BUSINESSES: Final = (
    _over_businesses("v1.0", each_source=True),
    _over_businesses("v1.1", each_source=False),
)
