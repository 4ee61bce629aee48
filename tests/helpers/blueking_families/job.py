"""JOB's rows. Source of the requests: plugins' reference, sections 3.1, 3.2 and 4.4."""

import base64
from collections.abc import Sequence
from typing import Any, Final

from tests.helpers.blueking_families.rows import (
    CALLBACK,
    Json,
    Like,
    Row,
    Sent,
    broken,
    get,
    no_callback,
    post,
)
from tests.helpers.blueking_families.shared import HOST_FIELDS, hosts, hosts_topo, in_ids

BK: Final = "{bk}"
"""Stands for the platform's address in outputs."""

IPS: Final = ("10.0.1.1", "10.0.1.2")
HOSTS: Final = ",".join(IPS)
IN_AREAS: Final = "0:10.0.1.1,0:10.0.1.2"
SCOPE: Final[Json] = {"bk_scope_type": "biz", "bk_scope_id": "2", "bk_biz_id": 2}
SET_SCOPE: Final[Json] = {"bk_scope_type": "biz_set", "bk_scope_id": "9", "bk_biz_id": 9}
TARGET: Final[Json] = {"ip_list": [{"ip": ip, "bk_cloud_id": 0} for ip in IPS]}
IN_TEXT: Final[Json] = {"ip_list": [{"ip": ip, "bk_cloud_id": "0"} for ip in IPS]}
SOURCE: Final[Json] = {"ip_list": [{"ip": "10.0.1.3", "bk_cloud_id": 0}]}
NAMED: Final = Like(r".+_\d{13}")
LOG: Final = "echo '<SOPS_VAR>done:yes</SOPS_VAR>'\njob_success good"
ROLLING: Final[Json] = {
    "job_rolling_config": {
        "job_rolling_execute": ["open"],
        "job_rolling_expression": "50%",
        "job_rolling_mode": 2,
    }
}
ROLLED: Final[Json] = {"rolling_config": {"expression": "50%", "mode": 2}}
STEP, JOB = 10001, 10002
"""The first ids of a fresh world: of a job's one step, then of the job."""

BUSINESS_SET: Final = post(
    "/cc/list_business_set/",
    bk_biz_set_filter={
        "condition": "AND",
        "rules": [{"field": "bk_biz_set_id", "operator": "equal", "value": 9}],
    },
)


def in_base64(text: str) -> str:
    """Return a text as JOB takes it."""
    return base64.b64encode(text.encode()).decode()


def by_end(good: str = "", exited: str = "", **others: str) -> Json:
    """Return the grouping of hosts by how they ended."""
    tags = {"good": good} if good else {}
    failed = {"bad": exited} if exited else {}
    return {
        "name": "JOB执行IP分组",
        "key": "job_tagged_ip_dict",
        "value": {
            "SUCCESS": {"DESC": "执行成功", "TAGS": {**tags, "ALL": good}},
            "SCRIPT_NOT_ZERO_EXIT_CODE": {
                "DESC": "脚本返回值非零",
                "TAGS": {**failed, "ALL": exited},
            },
            "OTHER_FAILED": {
                "desc": "其他异常",
                "TAGS": {**others, "ALL": ",".join(others.values())},
            },
        },
    }


def looked(scope: Json = SCOPE, job: int = JOB, **more: Any) -> Sent:
    """Return a look at a job."""
    return get("/jobv3/get_job_instance_status/", **scope, job_instance_id=job, **more)


def read_hosts(scope: Json = SCOPE) -> Sent:
    """Return a look at a job and its hosts."""
    return looked(scope, return_ip_result="true")


def read_variables(scope: Json = SCOPE) -> Sent:
    """Return a read of a job's global variables."""
    return get("/jobv3/get_job_instance_global_var_value/", **scope, job_instance_id=JOB)


def read_log(scope: Json = SCOPE, ip: str = "10.0.1.1") -> Sent:
    """Return a read of a host's log."""
    place = {"step_instance_id": STEP, "bk_cloud_id": 0, "ip": ip}
    return get("/jobv3/get_job_instance_ip_log/", **scope, job_instance_id=JOB, **place)


def known(name: str, job: int = JOB) -> Json:
    """Return the outputs of a job that was started."""
    return {
        "job_inst_id": job,
        "job_inst_name": name,
        "job_inst_url": f"{BK}/job/api_execute/{job}",
    }


def ways(row: Row, ending: Sequence[Sent], scope: Json = SCOPE) -> list[Row]:
    """Return the ways of a component that JOB calls back: by its callback, and by a look."""
    called = row._replace(path="callback", sent=(*row.sent, *ending))
    polled = called._replace(path="poll", sent=(*row.sent, looked(scope), *ending))
    return [called, polled._replace(faults=no_callback())]


def failed(row: Row, ending: Sequence[Sent], outputs: Json, **more: Any) -> Row:
    """Return the way of a component whose job fails."""
    url = f"前往作业平台(JOB)查看详情: {BK}/job/api_execute/{JOB}"
    way = row._replace(path="failure", sent=(*row.sent, *ending), outputs=outputs)
    return way._replace(error=f"任务执行失败，{url}", **more)


# --- scripts ----------------------------------------------------------------------------------

SCRIPT: Final[Json] = {
    "job_script_source": "manual",
    "job_script_type": "1",
    "job_content": LOG,
    "job_script_param": "a b",
    "job_script_timeout": "60",
    "job_ip_list": HOSTS,
    "job_account": "root",
}
_STARTED: Final = "API execute script"


def _script(**more: Any) -> Sent:
    common = {
        "timeout": "60",
        "account_alias": "root",
        "target_server": TARGET,
        "callback_url": CALLBACK,
        "script_param": in_base64("a b"),
        "script_language": "1",
        "script_content": in_base64(LOG),
    }
    return post("/jobv3/fast_execute_script/", SCOPE, common, more)


def _scripts(
    version: str, lookup: Sequence[Sent], tags: Json, inputs: Json, **more: Any
) -> list[Row]:
    name = more.get("task_name", _STARTED)
    row = Row(
        "job_fast_execute_script",
        version,
        SCRIPT | inputs,
        (*lookup, _script(**more)),
        {**known(name), "log_outputs": {"done": "yes"}, **tags},
        main="jobv3.fast_execute_script",
    )
    ending = (read_hosts(), read_variables(), read_log())
    bad = "echo '<SOPS_VAR>done:no</SOPS_VAR>'\njob_fail bad"
    way = row._replace(
        inputs=row.inputs | {"job_content": bad},
        sent=(*lookup, _script(**{**more, "script_content": in_base64(bad)})),
    )
    if "value" in tags.get("job_tagged_ip_dict", {}):
        left = {"log_outputs": {"done": "no"}, "job_tagged_ip_dict": by_end(exited=HOSTS)}
        return [*ways(row, ending), failed(way, ending, {**known(name), **left})]
    if tags:
        left = {"log_outputs": {"done": "no"}, "job_tagged_ip_dict": {"bad": HOSTS}}
        return [*ways(row, ending), failed(way, ending, {**known(name), **left})]
    return [*ways(row, ending), failed(way, (), known(name))]


def _stored(version: str, source: str, chosen: str, sent: Sequence[Sent], **script: Any) -> Row:
    inputs = {
        **SCRIPT,
        "job_script_source": source,
        f"job_script_list_{source}": chosen,
        "job_script_param": "",
    }
    body = {
        **SCOPE,
        "timeout": "60",
        "account_alias": "root",
        "target_server": TARGET,
        "callback_url": CALLBACK,
        **script,
    }
    row = Row(
        "job_fast_execute_script",
        version,
        inputs,
        (hosts_topo(*IPS), *sent, post("/jobv3/fast_execute_script/", body)),
        {**known(_STARTED), "log_outputs": {}},
        note=source,
    )
    return ways(row, (read_hosts(), read_variables(), read_log()))[0]


_TAGS: Final[Json] = {"job_tagged_ip_dict": by_end(HOSTS)}
_LISTED: Final[Json] = {"start": 0, "length": 1000}
_MISSING: Final = (
    "快速执行脚本启动失败: [作业平台]未找到名称:check的业务脚本, 现有脚本: ['check web']"
)

SCRIPTS: Final = (
    *_scripts("legacy", [hosts_topo(*IPS)], {}, {}),
    *_scripts("v1.0", [hosts_topo(*IPS)], {}, {"custom_task_name": "mine"}, task_name="mine"),
    *_scripts(
        "v1.1",
        [hosts_topo(*IPS)],
        {"job_tagged_ip_dict": {"good": HOSTS}},
        {"is_tagged_ip": True, "need_log_outputs_even_fail": True},
    ),
    *_scripts("v1.2", [hosts(*IPS)], _TAGS, ROLLING, **ROLLED),
    *_scripts("v2.0", [hosts(*IPS)], _TAGS, ROLLING, **ROLLED),
    *_scripts("v2.1", [hosts(*IPS)], _TAGS, {}, task_name=NAMED),
    _stored("legacy", "general", "61", (), script_version_id="61"),
    _stored(
        "v1.0",
        "general",
        "check web",
        (get("/jobv3/get_script_list/", **SCOPE, name="check web", **_LISTED),),
        script_id="s-check",
    ),
    _stored(
        "v1.1",
        "public",
        "clean logs",
        (get("/jobv3/get_public_script_list/", name="clean logs", **_LISTED),),
        script_id="s-clean",
    ),
    Row(
        "job_fast_execute_script",
        "v1.0",
        {**SCRIPT, "job_script_source": "general", "job_script_list_general": "check"},
        (
            hosts_topo(*IPS),
            get("/jobv3/get_script_list/", **SCOPE, name="check", **_LISTED),
        ),
        {},
        path="failure",
        error=_MISSING,
        note="no_such_script",
    ),
    Row(
        "job_fast_execute_script",
        "v2.0",
        {**SCRIPT, "job_ip_list": "101,102"},
        (
            post(
                "/cc/list_biz_hosts/",
                in_ids(101, 102),
                fields=HOST_FIELDS,
            ),
            _script(target_server={"host_id_list": [101, 102]}),
            read_hosts(),
            read_variables(),
            read_log(),
        ),
        {**known(_STARTED), "log_outputs": {"done": "yes"}, **_TAGS},
        path="callback",
        note="by_id",
    ),
    Row(
        "job_fast_execute_script",
        "v1.0",
        {**SCRIPT, "job_across_biz": True, "job_ip_list": IN_AREAS},
        (_script(target_server=IN_TEXT), read_hosts(), read_variables(), read_log()),
        {**known(_STARTED), "log_outputs": {"done": "yes"}},
        path="callback",
        note="across",
    ),
    Row(
        "job_fast_execute_script",
        "v2.1",
        {**SCRIPT, "job_ip_list": "10.9.9.9"},
        (hosts("10.9.9.9"),),
        {},
        path="failure",
        error="无法从配置平台(CMDB)查询到对应 IP，请确认输入的 IP 是否合法。查询失败 IP： 10.9.9.9",
        note="no_such_host",
    ),
    Row(
        "job_fast_execute_script",
        "v1.1",
        {**SCRIPT, "job_success_id": "77"},
        (
            get(
                "/jobv3/get_job_instance_status/",
                **SCOPE,
                job_instance_id=77,
                return_ip_result="true",
            ),
        ),
        {},
        path="failure",
        error="执行历史请求失败: 任务实例[ID: 77], 异常信息: ",
        note="no_history",
    ),
)

# --- plans ------------------------------------------------------------------------------------


def _variables(value: str) -> Json:
    return {
        "job_task_id": "1000",
        "job_global_var": [
            {"id": 71, "category": 1, "name": "service", "value": " web "},
            {"id": 72, "category": 3, "name": "hosts", "value": value},
            {"id": 73, "category": 4, "name": "key", "value": "******"},
            {"id": 74, "category": 3, "name": "others", "value": ""},
        ],
    }


def _plan(**more: Any) -> Sent:
    variables = [{"name": "service", "value": "web"}, {"name": "hosts", "server": TARGET}]
    body = {"job_plan_id": 1000, "callback_url": CALLBACK, "global_var_list": variables, **more}
    return post("/jobv3/execute_job_plan/", SCOPE, body)


def _plans(version: str, value: str, lookup: Sequence[Sent], tags: Json, **more: Any) -> list[Row]:
    name = more.get("task_name", "restart a service")
    given = {"service": "web", "hosts": IN_AREAS}
    row = Row(
        "job_execute_task",
        version,
        _variables(value) | ({"is_tagged_ip": True} if tags == {"job_tagged_ip_dict": {}} else {}),
        (*lookup, _plan(**more)),
        {**known(name), "log_outputs": {"restarted": "web"}, **given, **tags},
        main="jobv3.execute_job_plan",
    )
    ending = (read_hosts(), read_variables(), read_log())
    lost_agents = (broken("10.0.1.1"), broken("10.0.1.2"))
    left: Json = {}
    if "value" in tags.get("job_tagged_ip_dict", {}):
        grouped = by_end(GSE_AGENT_ERROR=HOSTS)
        left = {"log_outputs": {}, **given, "job_tagged_ip_dict": grouped}
    elif tags:
        left = {"log_outputs": {}, **given, "job_tagged_ip_dict": {}}
    reads = ending if left else ()
    return [
        *ways(row, ending),
        failed(row, reads, {**known(name), **left}, arrange=lost_agents),
    ]


_UNTAGGED: Final[Json] = {
    "job_tagged_ip_dict": {
        **by_end(HOSTS),
        "value": {
            **by_end()["value"],
            "SUCCESS": {"DESC": "执行成功", "TAGS": {"ALL": HOSTS}},
        },
    }
}

PLANS: Final = (
    *_plans("legacy", HOSTS, [hosts_topo(*IPS)], {}),
    *_plans("1.0", HOSTS, [hosts_topo(*IPS)], {}),
    *_plans("1.1", HOSTS, [hosts_topo(*IPS)], {"job_tagged_ip_dict": {}}),
    *_plans("1.2", IN_AREAS, [], _UNTAGGED),
    *_plans("2.0", IN_AREAS, [], _UNTAGGED),
    *_plans("2.1", IN_AREAS, [], _UNTAGGED, task_name=NAMED),
)

# --- over business sets -----------------------------------------------------------------------

SET_FORM: Final[Json] = {
    "all_biz_cc_id": 9,
    "job_script_type": "1",
    "job_content": LOG,
    "job_script_timeout": "60",
    "job_target_account": "root",
    "job_target_ip_table": [{"bk_cloud_id": "0", "ip": HOSTS}],
}


def _set_scripts(version: str, tags: Json, inputs: Json, **more: Any) -> list[Row]:
    start = post(
        "/jobv3/fast_execute_script/",
        SET_SCOPE,
        more,
        timeout=60,
        account_alias="root",
        target_server=TARGET,
        callback_url=CALLBACK,
        script_language="1",
        script_content=in_base64(LOG),
    )
    row = Row(
        "all_biz_job_fast_execute_script",
        version,
        SET_FORM | inputs,
        (BUSINESS_SET, start),
        {**known(_STARTED), "log_outputs": {"done": "yes"}, **tags},
        main="jobv3.fast_execute_script",
    )
    reads = (read_hosts(SET_SCOPE), read_variables(SET_SCOPE), read_log(SET_SCOPE))
    left: Json = {"log_outputs": {}, "job_tagged_ip_dict": by_end(GSE_AGENT_ERROR=HOSTS)}
    simple = "value" not in tags["job_tagged_ip_dict"]
    left = {"log_outputs": {}, "job_tagged_ip_dict": {}} if simple else left
    lost_agents = (broken("10.0.1.1"), broken("10.0.1.2"))
    return [
        *ways(row, reads, SET_SCOPE),
        failed(row, reads, {**known(_STARTED), **left}, arrange=lost_agents),
    ]


def _set_plans(version: str, tags: Json, inputs: Json) -> list[Row]:
    config = {
        "all_biz_cc_id": 9,
        "job_template_id": 1,
        "job_plan_id": 1000,
        "job_global_var": [
            {"id": 71, "type": 1, "name": "service", "value": "web"},
            {"id": 72, "type": 3, "name": "hosts", "value": IN_AREAS},
        ],
        **inputs,
    }
    variables = [{"id": 71, "value": "web"}, {"id": 72, "server": IN_TEXT}]
    row = Row(
        "all_biz_execute_job_plan",
        version,
        {"all_biz_job_config": config},
        (
            BUSINESS_SET,
            post(
                "/jobv3/execute_job_plan/",
                SET_SCOPE,
                job_plan_id=1000,
                callback_url=CALLBACK,
                global_var_list=variables,
            ),
        ),
        {
            **known("restart a service"),
            "log_outputs": {"restarted": "web"},
            "service": "web",
            "hosts": IN_AREAS,
            **tags,
        },
        main="jobv3.execute_job_plan",
    )
    reads = (read_hosts(SET_SCOPE), read_variables(SET_SCOPE), read_log(SET_SCOPE))
    simple = "value" not in tags["job_tagged_ip_dict"]
    grouped = {} if simple else by_end(GSE_AGENT_ERROR=HOSTS)
    left = {"log_outputs": {}, "service": "web", "hosts": IN_AREAS, "job_tagged_ip_dict": grouped}
    lost_agents = (broken("10.0.1.1"), broken("10.0.1.2"))
    return [
        *ways(row, reads, SET_SCOPE),
        failed(row, reads, {**known("restart a service"), **left}, arrange=lost_agents),
    ]


SETS: Final = (
    *_set_scripts("v1.0", {"job_tagged_ip_dict": {"good": HOSTS}}, {"is_tagged_ip": True}),
    *_set_scripts("v1.1", _TAGS, ROLLING, **ROLLED),
    *_set_plans("legacy", {"job_tagged_ip_dict": {}}, {"is_tagged_ip": True}),
    *_set_plans("v1.1", _UNTAGGED, {}),
)

ROWS: Final[Sequence[Row]] = (*SCRIPTS, *PLANS, *SETS)
