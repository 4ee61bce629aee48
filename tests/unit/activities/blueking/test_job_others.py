import base64

import httpx
import pytest
from pydantic import JsonValue

from activities.blueking.job.others import CRON, FETCH_LOG, UPLOADS
from activities.contract import Done, Failed
from activities.steps import TryAgain
from tests.helpers.job_platform import (
    PAGE,
    SCOPE,
    TO_ONE,
    Json,
    Platform,
    begun,
    on_stage,
    refusal,
    step,
)

PLUGINS = {plugin.ref.version: plugin for plugin in UPLOADS}
ALL = tuple(PLUGINS)
PUSH = "jobv3.push_config_file"
LOG = "jobv3.get_job_instance_ip_log"


def upload(**more: JsonValue) -> Json:
    known: Json = {
        "local_name": "f.ini",
        "local_content": "内容",
        "job_ip_list": "10.0.0.1",
        "file_account": " root ",
        "file_path": "/etc",
    }
    return known | more


@pytest.mark.parametrize("version", ALL)
async def test_a_text_is_pushed_field_by_field_without_a_callback(version: str) -> None:
    platform = Platform()
    platform.states[777] = [2, 3]
    async with on_stage(platform) as stage:
        end = await stage.run(PLUGINS[version], upload(biz_cc_id=99))
    content = base64.b64encode("内容".encode()).decode()
    assert platform.params_of(PUSH) == [
        {
            **SCOPE,
            "account_alias": "root",
            "file_target_path": "/etc",
            "file_list": [{"file_name": "f.ini", "content": content}],
            "target_server": TO_ONE,
        }
    ]
    known: Json = {"job_inst_id": 777, "job_inst_name": "job 777", "job_inst_url": PAGE.format(777)}
    assert end == Done(outputs=known)
    names = set(platform.names())
    assert names.isdisjoint({LOG, "jobv3.get_job_instance_global_var_value"})


@pytest.mark.parametrize("version", ALL)
async def test_a_text_that_fails_to_arrive_fails_with_the_jobs_page(version: str) -> None:
    platform = Platform()
    platform.states[777] = [4]
    async with on_stage(platform) as stage:
        end = await stage.run(PLUGINS[version], upload())
    assert isinstance(end, Failed)
    assert end.error == f"任务执行失败，前往作业平台(JOB)查看详情: {PAGE.format(777)}"


@pytest.mark.parametrize("version", ALL)
async def test_hosts_of_a_text_that_are_not_there_are_told(version: str) -> None:
    platform = Platform()
    async with on_stage(platform) as stage:
        end = await stage.run(PLUGINS[version], upload(job_ip_list="10.0.0.77"))
    assert isinstance(end, Failed)
    assert end.error.startswith("ip查询失败，请检查ip配置是否正常: ")
    assert PUSH not in platform.names()


@pytest.mark.parametrize("version", ALL)
async def test_hosts_of_a_text_whose_look_up_was_lost_are_looked_for_again(version: str) -> None:
    lost = httpx.ReadTimeout("slow")
    platform = Platform(cc__list_biz_hosts=lost, cc__list_biz_hosts_topo=lost)
    async with on_stage(platform) as stage:
        assert isinstance(await stage.call(PLUGINS[version], upload()), TryAgain)


@pytest.mark.parametrize("version", ALL)
async def test_a_refused_text_is_not_shown(version: str) -> None:
    async with on_stage(Platform(jobv3__push_config_file=refusal("denied"))) as stage:
        end = await stage.run(PLUGINS[version], upload())
    assert isinstance(end, Failed)
    assert "接口jobv3.push_config_file返回失败, error=denied" in end.error
    assert '"content": "******"' in end.error


@pytest.mark.parametrize("version", ALL)
async def test_a_lost_push_of_a_text_names_where_to_look(version: str) -> None:
    platform = Platform(jobv3__push_config_file=httpx.ReadTimeout("slow"))
    async with on_stage(platform) as stage:
        end = await stage.run(PLUGINS[version], upload())
    assert isinstance(end, Failed)
    assert end.error.startswith("outcome unknown")
    assert "look at the executions of business 2 in JOB" in end.error


async def test_the_first_version_goes_across_businesses_and_the_second_rolls() -> None:
    rolling: Json = {"job_rolling_execute": ["open"], "job_rolling_expression": "1"}
    more: Json = {
        "job_across_biz": True,
        "job_ip_list": "3:10.9.9.9",
        "job_rolling_config": rolling,
    }
    sent: list[Json] = []
    for plugin in UPLOADS:
        platform = Platform()
        async with on_stage(platform) as stage:
            await begun(stage, plugin, upload(**more))
        sent += platform.params_of(PUSH)
    assert sent[0]["target_server"] == {"ip_list": [{"ip": "10.9.9.9", "bk_cloud_id": "3"}]}
    assert "rolling_config" not in sent[0]
    assert sent[1]["target_server"] == {"ip_list": [{"ip": "10.9.9.9", "bk_cloud_id": 3}]}
    assert sent[1]["rolling_config"] == {"expression": "1", "mode": None}


# --- a log of an earlier job ------------------------------------------------------------------


async def test_the_log_of_an_earlier_job_is_that_of_the_first_host_of_each_step() -> None:
    platform = Platform()
    platform.log = "line"
    hosts: tuple[Json, ...] = (
        {"ip": "10.0.0.1", "bk_cloud_id": 0},
        {"ip": "10.0.0.2", "bk_cloud_id": 1},
    )
    platform.steps = [step(1, *hosts), step(2, *hosts)]
    async with on_stage(platform) as stage:
        end = await stage.run(FETCH_LOG, {"job_task_id": " 55 "})
    assert end == Done(outputs={"job_task_log": "line\nline"})
    assert [each["ip"] for each in platform.params_of(LOG)] == ["10.0.0.1", "10.0.0.1"]
    assert platform.params_of("jobv3.get_job_instance_status") == [
        {
            **{k: str(v) for k, v in SCOPE.items()},
            "job_instance_id": "55",
            "return_ip_result": "true",
        }
    ]


async def test_the_log_of_one_host_is_asked_for() -> None:
    platform = Platform()
    platform.steps = [step(1, {"ip": "10.0.0.1"}, {"ip": "10.0.0.2", "bk_cloud_id": 1})]
    async with on_stage(platform) as stage:
        await stage.run(FETCH_LOG, {"job_task_id": "55", "job_target_ip": "10.0.0.2"})
    assert platform.params_of(LOG)[0]["ip"] == "10.0.0.2"
    assert platform.params_of(LOG)[0]["bk_cloud_id"] == "1"


async def test_a_host_that_the_job_does_not_know_is_named() -> None:
    async with on_stage(Platform()) as stage:
        end = await stage.run(FETCH_LOG, {"job_task_id": "55", "job_target_ip": "10.0.0.9"})
    assert isinstance(end, Failed)
    assert end.error == "执行历史请求失败: IP:[10.0.0.9], 不属于IP列表: ['10.0.0.1']"


@pytest.mark.parametrize("given", [{}, {"job_task_id": "x"}])
async def test_a_log_of_no_job_is_refused(given: Json) -> None:
    async with on_stage(Platform()) as stage:
        end = await stage.run(FETCH_LOG, given)
    assert isinstance(end, Failed)
    assert end.error.endswith("a whole number is wanted")


async def test_a_refused_log_is_told_and_a_lost_one_read_again() -> None:
    async with on_stage(Platform(jobv3__get_job_instance_ip_log=refusal("gone"))) as stage:
        end = await stage.run(FETCH_LOG, {"job_task_id": "55"})
    assert isinstance(end, Failed)
    assert "error=gone" in end.error
    lost = httpx.Response(504)
    async with on_stage(Platform(jobv3__get_job_instance_status=lost)) as stage:
        result = await stage.call(FETCH_LOG, {"job_task_id": "55"}, sent_before=True)
    assert isinstance(result, TryAgain)


# --- a plan at fixed times --------------------------------------------------------------------

CRON_FORM: Json = {
    "job_cron_name": "每日",
    "job_cron_expression": "0 3 * * *",
    "job_cron_status": "1",
    "job_cron_job_id": "7",
}


@pytest.mark.parametrize(("status", "shown"), [("1", "启动"), (1, "启动"), ("2", "暂停")])
async def test_a_plan_at_fixed_times_is_saved_and_started_where_it_is_asked(
    status: JsonValue, shown: str
) -> None:
    platform = Platform(jobv3__save_cron={"id": 5})
    async with on_stage(platform) as stage:
        end = await stage.run(CRON, {**CRON_FORM, "job_cron_status": status})
    assert end == Done(outputs={"cron_id": 5, "status": shown})
    assert platform.params_of("jobv3.save_cron") == [
        {**SCOPE, "job_plan_id": 7, "name": "每日", "expression": "0 3 * * *"}
    ]
    started = platform.params_of("jobv3.update_cron_status")
    assert started == ([{**SCOPE, "status": 1, "id": 5}] if shown == "启动" else [])


async def test_a_refused_cron_job_is_told() -> None:
    async with on_stage(Platform(jobv3__save_cron=refusal("bad expression"))) as stage:
        end = await stage.run(CRON, CRON_FORM)
    assert isinstance(end, Failed)
    assert "接口jobv3.save_cron返回失败, error=bad expression" in end.error
    assert end.outputs == {}


@pytest.mark.parametrize(
    ("reply", "told"),
    [
        (refusal("denied"), "发生异常：调用作业平台(JOB)接口jobv3.update_cron_status返回失败"),
        (httpx.ReadTimeout("slow"), "发生异常：outcome unknown: no answer: ReadTimeout: slow"),
        (httpx.ConnectError("down"), "发生异常：no connection: ConnectError: down"),
    ],
)
async def test_a_cron_job_that_is_saved_and_not_started_is_not_saved_again(
    reply: httpx.Response | Exception, told: str
) -> None:
    platform = Platform(jobv3__save_cron={"id": 5}, jobv3__update_cron_status=reply)
    async with on_stage(platform) as stage:
        end = await stage.run(CRON, CRON_FORM)
    assert isinstance(end, Failed)
    assert end.error.startswith("定时任务启动失败: [作业平台]定时任务启动")
    assert told in end.error
    assert "cron job 5 is saved: start it in JOB, then skip" in end.error
    assert end.outputs == {"cron_id": 5, "status": "暂停"}
    assert platform.names().count("jobv3.save_cron") == 1


async def test_a_cron_job_whose_saving_was_lost_is_unknown() -> None:
    platform = Platform(jobv3__save_cron=httpx.ReadTimeout("slow"))
    async with on_stage(platform) as stage:
        end = await stage.run(CRON, CRON_FORM)
    assert isinstance(end, Failed)
    assert end.error.startswith("outcome unknown")
    assert "look at the cron jobs of business 2 in JOB" in end.error
