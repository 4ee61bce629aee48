"""JOB of the fake platform: the shapes of the reference, states over time, strict reading."""

import base64
from typing import Any

import pytest

from activities.blueking.client import as_rows
from tests.fake_bk import SCOPE, Site

Json = dict[str, Any]

SCRIPT = "/jobv3/fast_execute_script/"
PLAN = "/jobv3/execute_job_plan/"
FILES = "/jobv3/fast_transfer_file/"
STATUS = "/jobv3/get_job_instance_status/"
WEB = [{"ip": "10.0.1.1", "bk_cloud_id": 0}, {"ip": "10.0.1.2", "bk_cloud_id": 0}]


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def script(content: str = "echo hello", **more: Any) -> Json:
    return {
        **SCOPE,
        "script_language": "1",
        "script_content": b64(content),
        "account_alias": "root",
        "target_server": {"ip_list": WEB},
        **more,
    }


def push(**more: Any) -> Json:
    source = {
        "file_list": ["/build/web.tgz"],
        "server": {"ip_list": WEB[:1]},
        "account": {"alias": "root"},
    }
    return {
        **SCOPE,
        "file_source_list": [source],
        "target_server": {"ip_list": WEB},
        "account_alias": "root",
        "file_target_path": "/data/",
        **more,
    }


@pytest.fixture
def site() -> Site:
    return Site()


def status(site: Site, job: int, *, hosts: bool = False) -> Json:
    asked = {**SCOPE, "job_instance_id": job}
    return site.data("GET", STATUS, asked | ({"return_ip_result": "true"} if hosts else {}))


def started(site: Site, path: str, params: Json) -> int:
    return site.data("POST", path, params)["job_instance_id"]


def test_a_start_answers_with_instance_and_name(site: Site) -> None:
    data = site.data("POST", SCRIPT, script(task_name="backup"))

    assert data["job_instance_name"] == "backup"
    assert isinstance(data["job_instance_id"], int)
    assert isinstance(data["step_instance_id"], int)


def test_a_job_is_pending_then_runs_then_succeeds(site: Site) -> None:
    job = started(site, SCRIPT, script())
    seen: list[tuple[bool, int]] = []
    for _ in range(3):
        found = status(site, job)
        seen.append((found["finished"], found["job_instance"]["status"]))
        site.clock.now += 0.7

    assert seen == [(False, 1), (False, 2), (True, 3)]


def test_a_sleep_makes_it_take_longer(site: Site) -> None:
    job = started(site, SCRIPT, script("sleep 60"))
    site.clock.now += 50

    assert status(site, job)["job_instance"]["status"] == 2


def test_hosts_are_told_only_when_asked_for(site: Site) -> None:
    job = started(site, SCRIPT, script())
    site.clock.now += 10

    [plain] = status(site, job)["step_instance_list"]
    [full] = status(site, job, hosts=True)["step_instance_list"]

    assert "step_ip_result_list" not in plain
    assert {host["status"] for host in full["step_ip_result_list"]} == {9}
    assert set(full["step_ip_result_list"][0]) >= {
        "bk_host_id",
        "ip",
        "bk_cloud_id",
        "status",
        "tag",
        "exit_code",
        "error_code",
        "start_time",
        "end_time",
        "total_time",
    }


def test_an_exit_code_fails_the_job_and_names_the_host(site: Site) -> None:
    job = started(site, SCRIPT, script("echo no\nexit 3"))
    site.clock.now += 10

    [step] = status(site, job, hosts=True)["step_instance_list"]

    assert status(site, job)["job_instance"]["status"] == 4
    assert [(h["status"], h["exit_code"]) for h in step["step_ip_result_list"]] == [(104, 3)] * 2


def test_the_log_is_what_the_script_prints_with_its_arguments(site: Site) -> None:
    content = "echo hello $1\necho '<SOPS_VAR>file:/backup/$2</SOPS_VAR>'"
    job = started(site, SCRIPT, script(content, script_param=b64("you x.tgz")))
    site.clock.now += 10
    step = status(site, job)["step_instance_list"][0]["step_instance_id"]
    where = {"ip": "10.0.1.1", "bk_cloud_id": 0}
    asked = {**SCOPE, "job_instance_id": job, "step_instance_id": step, **where}

    data = site.data("GET", "/jobv3/get_job_instance_ip_log/", asked)

    assert data["log_content"] == "hello you\n<SOPS_VAR>file:/backup/x.tgz</SOPS_VAR>"
    assert (data["log_type"], data["ip"], data["bk_cloud_id"]) == (1, "10.0.1.1", 0)


def test_a_push_fails_on_a_host_whose_disk_is_full(site: Site) -> None:
    site.platform.world.hosts[102].fault = "disk"
    job = started(site, FILES, push())
    site.clock.now += 10

    [step] = status(site, job, hosts=True)["step_instance_list"]

    assert step["type"] == 2
    assert [host["status"] for host in step["step_ip_result_list"]] == [9, 202]


def test_a_plan_takes_values_by_name_and_keeps_its_own(site: Site) -> None:
    variables = [{"name": "service", "value": "db"}]
    job = started(site, PLAN, {**SCOPE, "job_plan_id": 1000, "global_var_list": variables})

    data = site.data(
        "GET", "/jobv3/get_job_instance_global_var_value/", {**SCOPE, "job_instance_id": job}
    )

    assert data["job_instance_id"] == job
    assert data["step_instance_var_list"][-1]["global_var_list"] == [
        {"name": "service", "value": "db", "type": 1},
        {"name": "hosts", "value": "0:10.0.1.1", "type": 3},
    ]


def test_a_terminated_job_ends_terminated(site: Site) -> None:
    job = started(site, SCRIPT, script("sleep 60"))
    site.clock.now += 5
    site.data(
        "POST",
        "/jobv3/operate_job_instance/",
        {**SCOPE, "job_instance_id": job, "operation_code": 1},
    )
    at_once = status(site, job)["job_instance"]["status"]
    site.clock.now += 5

    assert (at_once, status(site, job)["job_instance"]["status"]) == (10, 11)


def test_scripts_are_listed_page_by_page(site: Site) -> None:
    page = {"start": 0, "length": 1000, "name": "check"}
    data = site.data("GET", "/jobv3/get_script_list/", {**SCOPE, **page})

    assert (data["total"], data["start"], data["length"]) == (1, 0, 1000)
    assert data["data"][0]["name"] == "check web"


def test_a_cron_is_kept_paused_and_started(site: Site) -> None:
    cron = {"job_plan_id": 1000, "name": "nightly", "expression": "0 3 * * *"}
    number = site.data("POST", "/jobv3/save_cron/", {**SCOPE, **cron})["id"]
    site.data("POST", "/jobv3/update_cron_status/", {**SCOPE, "id": number, "status": 1})

    assert site.platform.world.crons[number]["status"] == 1


@pytest.mark.parametrize(
    ("path", "params", "message"),
    [
        (SCRIPT, script(target_server={"ip_list": []}), "names no host"),
        (SCRIPT, script(target_server={"ip_list": [{"ip": "9.9.9.9", "bk_cloud_id": 0}]}), "9.9"),
        (SCRIPT, script(target_server={"host_id_list": [1]}), "no host host id 1"),
        (SCRIPT, script(account_alias="nobody"), "no account 'nobody'"),
        (SCRIPT, script(script_content="not base64"), "base64"),
        (SCRIPT, script(script_language="9"), "must be one of"),
        (SCRIPT, script(timeout=0), "between 1 and"),
        (SCRIPT, script(timeout="soon"), "'timeout' must be an integer"),
        (SCRIPT, script(bk_scope_id="3"), "there is no biz 3"),
        (SCRIPT, script(script_id="s-none"), "no script"),
        (FILES, push(file_source_list=[]), "'file_source_list' is empty"),
        (FILES, push(file_target_path=""), "'file_target_path' is required"),
        (FILES, push(file_source_list=[{"file_list": ["a"], "file_type": 3}]), "file_source_code"),
        (PLAN, {**SCOPE, "job_plan_id": 1}, "there is no plan 1"),
        (PLAN, {**SCOPE, "job_plan_id": 1000, "global_var_list": [{"name": "x"}]}, "variable 'x'"),
        (PLAN, {**SCOPE, "job_plan_id": 1000, "global_var_list": {}}, "must be an array"),
    ],
)
def test_what_is_wrong_is_refused_and_starts_nothing(
    site: Site, path: str, params: Json, message: str
) -> None:
    assert message in site.refused("POST", path, params)
    assert site.platform.world.jobs == {}


def test_an_unknown_job_is_refused(site: Site) -> None:
    assert "no job instance 7" in site.refused("GET", STATUS, {**SCOPE, "job_instance_id": 7})


def test_the_callback_is_due_once_at_the_end(site: Site) -> None:
    job = started(site, SCRIPT, script(callback_url="http://back.test/x"))
    early = list(site.platform.due())
    site.clock.now += 10

    [telling] = site.platform.due()

    assert early == []
    assert telling.url == "http://back.test/x"
    assert (telling.body["job_instance_id"], telling.body["status"]) == (job, 3)
    assert [row["status"] for row in as_rows(telling.body["step_instance_list"])] == [3]
    assert list(site.platform.due()) == []
