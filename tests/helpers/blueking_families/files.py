"""The rows of JOB's files, crons and logs. Source: plugins' reference, section 3.2."""

from collections.abc import Sequence
from typing import Any, Final

from pydantic import JsonValue

from tests.helpers.blueking_families.job import (
    BK,
    BUSINESS_SET,
    HOSTS,
    IPS,
    NAMED,
    ROLLED,
    ROLLING,
    SCOPE,
    SET_SCOPE,
    SOURCE,
    STEP,
    TARGET,
    failed,
    in_base64,
    known,
    looked,
    read_log,
    read_variables,
    ways,
)
from tests.helpers.blueking_families.rows import CALLBACK, Json, Row, Sent, broken, get, post
from tests.helpers.blueking_families.shared import HOST_FIELDS, hosts, hosts_topo, in_ids

_NAME: Final = "API transfer file"
_FILE: Final = "/build/web.tgz"
_HOST: Final = "10.0.1.3"
_FROM: Final[Json] = {"file_list": [_FILE], "server": SOURCE, "account": {"alias": "root"}}
_TO: Final[Json] = {"account_alias": "root", "file_target_path": "/data", "target_server": TARGET}
_FULL: Final = (broken("10.0.1.1", "disk"), broken("10.0.1.2", "disk"))


def _transfer(scope: Json, *parts: Json, **more: Any) -> Sent:
    return post("/jobv3/fast_transfer_file/", scope, *parts, more)


# --- one job, called back ---------------------------------------------------------------------

_ONE: Final[Json] = {
    "job_source_files": [{"ip": _HOST, "files": f"{_FILE}\n\n", "account": "root"}],
    "job_ip_list": HOSTS,
    "job_account": "root",
    "job_target_path": "/data",
    "job_timeout": "100",
}


def _single(version: str) -> list[Row]:
    start = _transfer(SCOPE, _TO, timeout=100, file_source_list=[_FROM], callback_url=CALLBACK)
    row = Row(
        "job_fast_push_file",
        version,
        _ONE,
        (hosts_topo(_HOST), hosts_topo(*IPS), start),
        known(_NAME),
        main="jobv3.fast_transfer_file",
    )
    ending = (read_variables(),)
    return [*ways(row, ending), failed(row, (), known(_NAME), arrange=_FULL)]


# --- several jobs, polled ---------------------------------------------------------------------


def _several(row: Row, jobs: int, *, scope: Json = SCOPE) -> list[Row]:
    """Return the ways of a component that starts several jobs: all end well, all badly."""
    ids = [10002 + 2 * at for at in range(jobs)]
    urls = [f"{BK}/job/api_execute/{each}" for each in ids]
    told = {
        "task_count": jobs,
        "job_instance_id_list": ids,
        "job_inst_url": urls,
        "request_success_count": jobs,
    }
    looks = [looked(scope, each) for each in ids]
    way = row._replace(
        main="jobv3.fast_transfer_file", sent=(*row.sent, *looks), unordered=True, path="success"
    )
    lines = (f"任务执行失败，前往作业平台(JOB)查看详情: {url}" for url in urls)
    bad = way._replace(
        outputs={**told, "success_count": 0, "failure_inst_url": urls},
        path="failure",
        error="\n".join(lines),
        arrange=_FULL,
    )
    return [way._replace(outputs={**told, "success_count": jobs}), bad]


def _pushes(
    version: str, inputs: Json, lookup: Sequence[Sent], starts: Sequence[Sent]
) -> list[Row]:
    attr = [{"job_ip_list": HOSTS, "job_target_path": "/data", "job_account": "root"}]
    limits = {"upload_speed_limit": "10", "download_speed_limit": "20", "job_timeout": "100"}
    given = {**limits, "select_method": "manual", "job_dispatch_attr": attr, **inputs}
    row = Row("job_fast_push_file", version, given, (*lookup, *starts), {})
    return _several(row, len(starts))


_LIMITS: Final[Json] = {"timeout": 100, "upload_speed_limit": 10, "download_speed_limit": 20}
_SERVERS: Final[list[Json]] = [{"ip": _HOST, "files": _FILE, "account": "root"}]
_OTHER: Final[Json] = {"ip": "10.0.2.1", "files": "/etc/a", "account": "root"}
_FROM_OTHER: Final[Json] = {
    "file_list": ["/etc/a"],
    "server": {"ip_list": [{"ip": "10.0.2.1", "bk_cloud_id": 0}]},
    "account": {"alias": "root"},
}
_STORED: Final[list[Json]] = [{"file_source": "artifacts", "files": "a.tgz, b.tgz\nc.tgz"}]
_FROM_STORE: Final[Json] = {
    "file_list": ["a.tgz", "b.tgz", "c.tgz"],
    "file_source_code": "artifacts",
    "file_type": 3,
}

PUSHES: Final = (
    *_single("legacy"),
    *_single("v1.0"),
    *_pushes(
        "v2.0",
        {"job_source_files": [*_SERVERS, _OTHER]},
        [hosts_topo(_HOST), hosts_topo("10.0.2.1"), hosts_topo(*IPS)],
        [
            _transfer(SCOPE, _LIMITS, _TO, file_source_list=[_FROM]),
            _transfer(SCOPE, _LIMITS, _TO, file_source_list=[_FROM_OTHER]),
        ],
    ),
    *_pushes(
        "v2.1",
        {"job_source_files": [*_SERVERS, _OTHER], **ROLLING},
        [hosts(_HOST), hosts("10.0.2.1"), hosts(*IPS)],
        [_transfer(SCOPE, _LIMITS, _TO, ROLLED, file_source_list=[_FROM, _FROM_OTHER])],
    ),
    *_pushes(
        "v3.0",
        {"job_source_files_origin": "server", "job_server": _SERVERS},
        [hosts(_HOST), hosts(*IPS)],
        [_transfer(SCOPE, _LIMITS, _TO, file_source_list=[{**_FROM, "file_type": 1}])],
    ),
    *_pushes(
        "v3.1",
        {"job_source_files_origin": "file_source", "job_source_files": _STORED},
        [hosts(*IPS)],
        [_transfer(SCOPE, _LIMITS, _TO, file_source_list=[_FROM_STORE], task_name=NAMED)],
    ),
    Row(
        "job_fast_push_file",
        "v3.1",
        {
            "job_source_files_origin": "server",
            "job_server": [{"ip": "103", "files": _FILE, "account": "root"}],
            "job_dispatch_attr": [
                {"job_ip_list": "101", "job_target_path": "/data", "job_account": "root"}
            ],
        },
        (
            post("/cc/list_biz_hosts/", in_ids(103), fields=HOST_FIELDS),
            post("/cc/list_biz_hosts/", in_ids(101), fields=HOST_FIELDS),
            _transfer(
                SCOPE,
                account_alias="root",
                file_target_path="/data",
                target_server={"host_id_list": [101]},
                file_source_list=[{**_FROM, "server": {"host_id_list": [103]}}],
                task_name=NAMED,
            ),
            looked(),
        ),
        {
            "task_count": 1,
            "job_instance_id_list": [10002],
            "job_inst_url": [f"{BK}/job/api_execute/10002"],
            "request_success_count": 1,
            "success_count": 1,
        },
        note="by_id",
    ),
    Row(
        "job_fast_push_file",
        "v3.0",
        {
            "job_source_files_origin": "elsewhere",
            "job_dispatch_attr": [
                {"job_ip_list": HOSTS, "job_target_path": "/", "job_account": "root"}
            ],
        },
        (),
        {},
        path="failure",
        error="只支持服务器和源文件类型",
        note="no_such_origin",
    ),
)

_SET_FORM: Final[Json] = {
    "all_biz_cc_id": 9,
    "job_source_files": [
        {"bk_cloud_id": "0", "ip": _HOST, "files": _FILE, "account": "root"},
        {"bk_cloud_id": "0", "ip": "10.0.2.1", "files": "/etc/a", "account": "root"},
    ],
    "job_dispatch_attr": [
        {
            "bk_cloud_id": "0",
            "job_ip_list": HOSTS,
            "job_target_path": "/data",
            "job_target_account": "root",
        }
    ],
}

SET_PUSHES: Final = (
    *_several(
        Row(
            "all_biz_job_fast_push_file",
            "v1.0",
            _SET_FORM,
            (
                BUSINESS_SET,
                _transfer(SET_SCOPE, _TO, file_source_list=[_FROM]),
                _transfer(SET_SCOPE, _TO, file_source_list=[_FROM_OTHER]),
            ),
            {},
        ),
        2,
        scope=SET_SCOPE,
    ),
    *_several(
        Row(
            "all_biz_job_fast_push_file",
            "v1.1",
            {**_SET_FORM, **ROLLING},
            (
                BUSINESS_SET,
                _transfer(SET_SCOPE, _TO, ROLLED, file_source_list=[_FROM, _FROM_OTHER]),
            ),
            {},
        ),
        1,
        scope=SET_SCOPE,
    ),
)

# --- uploaded files ---------------------------------------------------------------------------

_UPLOADED: Final[Json] = {
    "response": {"result": True, "tag": {"type": "job_repo", "tags": {"file_path": "1/web.tgz"}}}
}
_REFUSED: Final[Json] = {"response": {"result": False}}
_KEPT: Final[Json] = {"file_list": ["1/web.tgz"], "file_type": 2}
_LOCAL: Final[Json] = {
    "job_target_ip_list": HOSTS,
    "job_target_account": "root",
    "job_local_files_info": {
        "job_push_multi_local_files_table": [
            {"file_info": [_UPLOADED, _REFUSED], "target_path": "/data"},
            {"file_info": [_UPLOADED], "target_path": "/more"},
        ]
    },
}


def _local(version: str, inputs: Json, lookup: Sequence[Sent], more: Json) -> list[Row]:
    starts = [
        _transfer(SCOPE, _TO, more, file_source_list=[_KEPT], file_target_path=path)
        for path in ("/data", "/more")
    ]
    return _several(
        Row("job_push_local_files", version, _LOCAL | inputs, (*lookup, *starts), {}), 2
    )


def _local_once() -> list[Row]:
    inputs = {
        "job_local_files": [_UPLOADED],
        "job_target_ip_list": HOSTS,
        "job_target_account": "root",
        "job_target_path": "/data",
    }
    start = _transfer(SCOPE, _TO, file_source_list=[_KEPT], callback_url=CALLBACK)
    row = Row(
        "job_push_local_files",
        "1.0.0",
        inputs,
        (hosts_topo(*IPS), start),
        known(_NAME),
        main="jobv3.fast_transfer_file",
    )
    return [*ways(row, ()), failed(row, (), known(_NAME), arrange=_FULL)]


LOCAL_FILES: Final = (
    *_local_once(),
    *_local("2.0", {"job_timeout": "100"}, [hosts_topo(*IPS)], {"timeout": 100}),
    *_local("v2.1", ROLLING, [hosts(*IPS)], ROLLED),
)

# --- texts, crons, logs -----------------------------------------------------------------------


def _text(version: str, inputs: Json, lookup: Sequence[Sent], more: Json) -> list[Row]:
    given = {
        "local_name": "web.conf",
        "local_content": "x = 1",
        "job_ip_list": HOSTS,
        "file_account": "root",
        "file_path": "/data",
    }
    content = [{"file_name": "web.conf", "content": in_base64("x = 1")}]
    start = post("/jobv3/push_config_file/", SCOPE, _TO, more, file_list=content)
    row = Row(
        "job_local_content_upload",
        version,
        given | inputs,
        (*lookup, start, looked()),
        known(_NAME),
        main="jobv3.push_config_file",
    )
    nowhere = row._replace(
        inputs=row.inputs | {"job_ip_list": "10.9.9.9"},
        sent=(lookup[0]._replace(params={**lookup[0].params, **_nowhere()}),),
        outputs={},
        path="failure",
        error="ip查询失败，请检查ip配置是否正常",
        note="no_such_host",
    )
    return [row, failed(row, (), known(_NAME), arrange=_FULL), nowhere]


def _nowhere() -> Json:
    rules = [{"field": "bk_host_innerip", "operator": "in", "value": ["10.9.9.9"]}]
    return {"host_property_filter": {"condition": "AND", "rules": rules}}


_CRON: Final[Json] = {
    "job_cron_job_id": "1000",
    "job_cron_name": "nightly",
    "job_cron_expression": "0 3 * * *",
}
_SAVED: Final = post(
    "/jobv3/save_cron/", SCOPE, job_plan_id=1000, name="nightly", expression="0 3 * * *"
)
_CRON_ON: Final = post("/jobv3/update_cron_status/", SCOPE, status=1, id=10001)

OTHERS: Final = (
    *_text("1.0.0", {}, [hosts_topo(*IPS)], {}),
    *_text("v1.1", ROLLING, [hosts(*IPS)], ROLLED),
    Row(
        "job_cron_task",
        "legacy",
        {**_CRON, "job_cron_status": 1},
        (_SAVED, _CRON_ON),
        {"cron_id": 10001, "status": "启动"},
        main="jobv3.save_cron",
    ),
    Row(
        "job_cron_task",
        "legacy",
        {**_CRON, "job_cron_status": 2},
        (_SAVED,),
        {"cron_id": 10001, "status": "暂停"},
        note="paused",
    ),
    Row(
        "job_cron_task",
        "legacy",
        {**_CRON, "job_cron_status": 1, "job_cron_job_id": "7"},
        (post("/jobv3/save_cron/", _SAVED.params, job_plan_id=7),),
        {},
        path="failure",
        error="执行方案不存在, there is no plan 7",
    ),
)


def _log_row() -> Row:
    """Return the way of a log that is fetched; its job was run before."""
    from workers.fake_blueking.world import SCRIPT, HostRun, Job, Step, World

    def arrange(world: World) -> None:
        runs = tuple(
            HostRun(host, 9, log=f"log of {host.ip}")
            for host in (world.hosts[101], world.hosts[102])
        )
        step = Step(STEP, SCRIPT, "step", runs)
        scope: dict[str, JsonValue] = {"bk_scope_type": "biz", "bk_scope_id": "2"}
        world.jobs[10002] = Job(10002, "earlier", "ann", scope, world.clock() - 60, (step,))

    whole = get(
        "/jobv3/get_job_instance_status/", **SCOPE, job_instance_id=10002, return_ip_result="true"
    )
    return Row(
        "job_fetch_task_log",
        "v1.0",
        {"job_task_id": "10002", "job_target_ip": "10.0.1.2"},
        (whole, read_log(ip="10.0.1.2")),
        {"job_task_log": "log of 10.0.1.2"},
        main="jobv3.get_job_instance_ip_log",
        repeats=True,
        arrange=(arrange,),
    )


_FETCH: Final = _log_row()

LOGS: Final = (
    _FETCH,
    _FETCH._replace(
        inputs={"job_task_id": "10002", "job_target_ip": "10.9.9.9"},
        sent=_FETCH.sent[:1],
        outputs={},
        path="failure",
        error="执行历史请求失败: IP:[10.9.9.9], 不属于IP列表: ['10.0.1.1', '10.0.1.2']",
        note="other_host",
    ),
)

ROWS: Final[Sequence[Row]] = (*PUSHES, *SET_PUSHES, *LOCAL_FILES, *OTHERS, *LOGS)
