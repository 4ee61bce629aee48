import httpx
import pytest
from pydantic import JsonValue

from activities.blueking.job.files import PUSHES, PUSHES_OVER_BUSINESSES
from activities.contract import Done, Failed, Polling
from activities.steps import TryAgain
from activities.testing import START
from tests.helpers.job_platform import (
    PAGE,
    SCOPE,
    Json,
    Platform,
    begun,
    good,
    on_stage,
    refusal,
)

PLUGINS = {plugin.ref.version: plugin for plugin in PUSHES}
OVER = {plugin.ref.version: plugin for plugin in PUSHES_OVER_BUSINESSES}
SINGLE, BATCHES = ("legacy", "v1.0"), ("v2.0", "v2.1", "v3.0", "v3.1")
HYBRID = BATCHES[1:]
API = "jobv3.fast_transfer_file"
LOOK = "jobv3.get_job_instance_status"


def server(number: int) -> Json:
    return {"ip_list": [{"ip": f"10.0.0.{number}", "bk_cloud_id": 0}]}


def form(**more: JsonValue) -> Json:
    sources: list[JsonValue] = [
        {"ip": "10.0.0.1", "files": "/a\n \n/b ", "account": " root "},
        {"ip": "10.0.0.2", "files": "/c", "account": "root"},
    ]
    known: Json = {
        "biz_cc_id": "2",
        "job_source_files_origin": "server",
        "job_source_files": sources,
        "job_server": sources,
        "job_ip_list": "10.0.0.3",
        "job_account": "root ",
        "job_target_path": "/t ",
        "job_dispatch_attr": [
            {"job_ip_list": "10.0.0.3", "job_target_path": "/t ", "job_account": "root "},
            {"job_ip_list": "10.0.0.1", "job_target_path": "/u", "job_account": "root"},
        ],
        "job_timeout": "30",
        "upload_speed_limit": "5",
        "download_speed_limit": "",
        "select_method": "manual",
    }
    return known | more


def sources(version: str) -> list[Json]:
    typed: Json = {"file_type": 1} if version == "v3.0" else {}
    account: Json = {"account": {"alias": "root"}}
    return [
        {"file_list": ["/a", "/b"], "server": server(1), **account, **typed},
        {"file_list": ["/c"], "server": server(2), **account, **typed},
    ]


@pytest.mark.parametrize("version", SINGLE)
async def test_one_push_is_sent_field_by_field(version: str) -> None:
    platform = Platform()
    async with on_stage(platform) as stage:
        end = await stage.run(PLUGINS[version], form())
    sent = platform.params_of(API)[0]
    assert str(sent.pop("callback_url")).startswith("https://stdops.test/callback/")
    assert sent == {
        **SCOPE,
        "timeout": 30,
        "file_source_list": sources(version),
        "target_server": server(3),
        "account_alias": "root",
        "file_target_path": "/t",
    }
    known: Json = {"job_inst_id": 777, "job_inst_name": "job 777", "job_inst_url": PAGE.format(777)}
    assert end == Done(outputs=known)
    assert "jobv3.get_job_instance_ip_log" not in platform.names()


@pytest.mark.parametrize("version", BATCHES)
async def test_several_pushes_are_sent_field_by_field(version: str) -> None:
    platform = Platform()
    async with on_stage(platform) as stage:
        await begun(stage, PLUGINS[version], form())
    groups = [[each] for each in sources(version)] if version == "v2.0" else [sources(version)]
    now, name = int(START.timestamp() * 1000), PLUGINS[version].name
    named: list[Json] = [{"task_name": f"{name}_{now + at}"} for at in range(2)]
    targets: list[Json] = [
        {"target_server": server(3), "file_target_path": "/t"},
        {"target_server": server(1), "file_target_path": "/u"},
    ]
    assert platform.params_of(API) == [
        {
            **SCOPE,
            "timeout": 30,
            "upload_speed_limit": 5,
            "account_alias": "root",
            "file_source_list": group,
            **target,
            **(named[at] if version == "v3.1" else {}),
        }
        for at, target in enumerate(targets)
        for group in groups
    ]


@pytest.mark.parametrize("version", BATCHES)
async def test_pushes_end_well_when_the_last_one_has(version: str) -> None:
    platform = Platform()
    platform.states[777] = [2, 2, 3]
    platform.states[778] = [3]
    count = 4 if version == "v2.0" else 2
    async with on_stage(platform) as stage:
        end = await stage.run(PLUGINS[version], form())
    numbers: list[JsonValue] = [*range(777, 777 + count)]
    assert end == Done(
        outputs={
            "task_count": count,
            "job_instance_id_list": numbers,
            "job_inst_url": [PAGE.format(number) for number in numbers],
            "request_success_count": count,
            "success_count": count,
        }
    )
    looked = [each["job_instance_id"] for each in platform.params_of(LOOK)]
    assert looked == [*map(str, numbers), "777", "777"]


@pytest.mark.parametrize("version", HYBRID)
async def test_pushes_roll_where_the_form_opens_it(version: str) -> None:
    platform = Platform()
    rolling: Json = {
        "job_rolling_execute": ["open"],
        "job_rolling_expression": "1",
        "job_rolling_mode": "1",
    }
    async with on_stage(platform) as stage:
        await begun(stage, PLUGINS[version], form(job_rolling_config=rolling))
    sent = platform.params_of(API)
    assert [each["rolling_config"] for each in sent] == [{"expression": "1", "mode": 1}] * 2


@pytest.mark.parametrize("version", BATCHES)
async def test_a_row_is_expanded_where_the_form_asks_for_it(version: str) -> None:
    platform = Platform()
    row: Json = {
        "job_ip_list": "10.0.0.1;10.0.0.2",
        "job_target_path": "/t;/u",
        "job_account": "root",
    }
    more: Json = {"select_method": "auto", "break_line": ";", "job_dispatch_attr": [row]}
    async with on_stage(platform) as stage:
        await begun(stage, PLUGINS[version], form(**more))
    paths = [each["file_target_path"] for each in platform.params_of(API)]
    assert paths == (["/t", "/t", "/u", "/u"] if version == "v2.0" else ["/t", "/u"])


@pytest.mark.parametrize("version", ["v3.0", "v3.1"])
async def test_files_may_come_from_a_file_source(version: str) -> None:
    platform = Platform()
    rows: list[JsonValue] = [{"file_source": "repo ", "files": "p/a, p/b\np/c"}]
    more: Json = {"job_source_files_origin": "file_source", "job_source_files": rows}
    async with on_stage(platform) as stage:
        await begun(stage, PLUGINS[version], form(**more))
    assert platform.params_of(API)[0]["file_source_list"] == [
        {"file_list": ["p/a", "p/b", "p/c"], "file_source_code": "repo", "file_type": 3}
    ]


@pytest.mark.parametrize("version", ["v3.0", "v3.1"])
async def test_files_of_another_origin_are_refused(version: str) -> None:
    async with on_stage(Platform()) as stage:
        end = await stage.run(PLUGINS[version], form(job_source_files_origin="cloud"))
    assert isinstance(end, Failed)
    assert end.error == "只支持服务器和源文件类型"


async def test_the_latest_version_takes_hosts_by_id() -> None:
    platform = Platform()
    rows: list[JsonValue] = [{"job_ip_list": "3", "job_target_path": "/t", "job_account": "root"}]
    async with on_stage(platform) as stage:
        await begun(stage, PLUGINS["v3.1"], form(job_dispatch_attr=rows))
    assert platform.params_of(API)[0]["target_server"] == {"host_id_list": [3]}


@pytest.mark.parametrize("version", ["v1.0", "v2.0"])
async def test_pushes_across_businesses_take_hosts_with_their_area(version: str) -> None:
    platform = Platform()
    source: Json = {"ip": "3:10.9.9.1", "files": "/a", "account": "root"}
    row: Json = {"job_ip_list": "3:10.9.9.2", "job_target_path": "/t", "job_account": "root"}
    more: Json = {
        "job_across_biz": True,
        "job_source_files": [source],
        "job_dispatch_attr": [row],
        "job_ip_list": "3:10.9.9.2",
    }
    async with on_stage(platform) as stage:
        await begun(stage, PLUGINS[version], form(**more))
    sent = platform.params_of(API)[0]
    assert sent["target_server"] == {"ip_list": [{"ip": "10.9.9.2", "bk_cloud_id": "3"}]}
    assert platform.names() == [API]


@pytest.mark.parametrize("version", tuple(PLUGINS))
async def test_hosts_that_are_not_there_fail_before_anything_is_pushed(version: str) -> None:
    platform = Platform()
    rows: list[JsonValue] = [{"job_ip_list": "10.0.0.77", "job_target_path": "/t"}]
    async with on_stage(platform) as stage:
        given = form(job_dispatch_attr=rows, job_ip_list="10.0.0.77")
        end = await stage.run(PLUGINS[version], given)
    assert isinstance(end, Failed)
    assert end.error.endswith("查询失败 IP： 10.0.0.77")
    assert API not in platform.names()


@pytest.mark.parametrize("version", BATCHES)
async def test_nothing_to_push_is_a_failure(version: str) -> None:
    async with on_stage(Platform()) as stage:
        end = await stage.run(PLUGINS[version], form(job_dispatch_attr=[]))
    assert isinstance(end, Failed)
    assert end.error.startswith("nothing is to be pushed")


@pytest.mark.parametrize("version", BATCHES)
async def test_a_push_that_was_refused_fails_the_node_after_the_others_have_ended(
    version: str,
) -> None:
    platform = Platform(jobv3__fast_transfer_file=[refusal("full"), good({"job_instance_id": 5})])
    async with on_stage(platform) as stage:
        end = await stage.run(PLUGINS[version], form())
    assert isinstance(end, Failed)
    assert end.error.startswith("Request Error:\n调用作业平台(JOB)接口jobv3.fast_transfer_file")
    count = 3 if version == "v2.0" else 1
    assert end.outputs["request_success_count"] == end.outputs["success_count"] == count


@pytest.mark.parametrize("version", tuple(PLUGINS))
async def test_pushes_that_were_all_refused_fail_at_once(version: str) -> None:
    platform = Platform(jobv3__fast_transfer_file=refusal("full"))
    async with on_stage(platform) as stage:
        end = await stage.run(PLUGINS[version], form())
    assert isinstance(end, Failed)
    assert "error=full" in end.error
    assert LOOK not in platform.names()


@pytest.mark.parametrize("version", BATCHES)
async def test_failed_pushes_are_all_told_with_their_pages(version: str) -> None:
    platform = Platform()
    platform.states[777] = [4]
    platform.states[778] = [2, 11]
    async with on_stage(platform) as stage:
        end = await stage.run(PLUGINS[version], form())
    assert isinstance(end, Failed)
    text = "任务执行失败，前往作业平台(JOB)查看详情: "
    assert end.error == f"{text}{PAGE.format(777)}\n{text}{PAGE.format(778)}"
    assert end.outputs["failure_inst_url"] == [PAGE.format(777), PAGE.format(778)]
    assert end.outputs["success_count"] == (2 if version == "v2.0" else 0)


async def test_a_push_that_waits_for_a_person_goes_on() -> None:
    platform = Platform()
    platform.states[777] = [7, 3]
    async with on_stage(platform) as stage:
        assert isinstance(await stage.run(PLUGINS["v2.1"], form()), Done)


async def test_a_push_of_which_job_refuses_to_tell_counts_as_failed() -> None:
    platform = Platform(jobv3__get_job_instance_status=refusal("denied"))
    async with on_stage(platform) as stage:
        end = await stage.run(PLUGINS["v2.1"], form())
    assert isinstance(end, Failed)
    assert end.outputs["failure_inst_url"] == [PAGE.format(777), PAGE.format(778)]


async def test_a_lost_look_at_pushes_is_repeated_and_counts_none_twice() -> None:
    state = good({"job_instance": {"status": 3}})
    platform = Platform(
        jobv3__get_job_instance_status=[state, httpx.ReadTimeout("slow"), state, state]
    )
    async with on_stage(platform) as stage:
        end = await stage.run(PLUGINS["v2.1"], form())
    assert isinstance(end, Done), end
    assert end.outputs["success_count"] == 2


@pytest.mark.parametrize("version", ["v2.0", "v2.1", "v3.0"])
async def test_a_push_whose_start_was_lost_is_told_as_unknown(version: str) -> None:
    platform = Platform(jobv3__fast_transfer_file=httpx.ReadTimeout("slow"))
    async with on_stage(platform) as stage:
        end = await stage.run(PLUGINS[version], form())
    assert isinstance(end, Failed)
    where = "look at the executions of business 2 in JOB (https://job.test)"
    assert f"outcome unknown: no answer: ReadTimeout: slow: {where}" in end.error


async def test_one_lost_start_among_good_ones_fails_the_node_at_its_end() -> None:
    platform = Platform(
        jobv3__fast_transfer_file=[good({"job_instance_id": 5}), httpx.ReadTimeout("slow")]
    )
    async with on_stage(platform) as stage:
        end = await stage.run(PLUGINS["v2.1"], form())
    assert isinstance(end, Failed)
    assert "outcome unknown" in end.error
    assert end.outputs["job_instance_id_list"] == [5]
    assert platform.names().count(API) == 2


async def test_named_pushes_whose_start_was_lost_are_found_again() -> None:
    now, name = int(START.timestamp() * 1000), PLUGINS["v3.1"].name
    rows: list[JsonValue] = [{"id": 30 + at, "name": f"{name}_{now + at}"} for at in range(2)]
    platform = Platform(
        jobv3__fast_transfer_file=httpx.ReadTimeout("slow"),
        jobv3__get_job_instance_list={"total": 2, "data": rows},
    )
    async with on_stage(platform) as stage:
        end = await stage.run(PLUGINS["v3.1"], form())
    assert isinstance(end, Done), end
    assert end.outputs["job_instance_id_list"] == [30, 31]


@pytest.mark.parametrize("version", BATCHES)
async def test_pushes_that_were_surely_not_taken_are_tried_again(version: str) -> None:
    platform = Platform(jobv3__fast_transfer_file=httpx.ConnectError("down"))
    async with on_stage(platform) as stage:
        result = await stage.call(PLUGINS[version], form())
    assert isinstance(result, TryAgain)
    assert result.kind == "not_taken"


async def test_pushes_of_which_one_was_started_are_not_sent_again() -> None:
    platform = Platform(
        jobv3__fast_transfer_file=[good({"job_instance_id": 5}), httpx.ConnectError("down")]
    )
    async with on_stage(platform) as stage:
        result = await stage.call(PLUGINS["v2.1"], form())
    assert isinstance(result, Polling)
    assert result.outputs["request_success_count"] == 1


async def test_an_answer_without_a_job_counts_as_refused() -> None:
    platform = Platform(jobv3__fast_transfer_file=[good({}), good({"job_instance_id": 5})])
    async with on_stage(platform) as stage:
        end = await stage.run(PLUGINS["v2.1"], form())
    assert isinstance(end, Failed)
    assert "its answer names no instance" in end.error


async def test_the_stop_terminates_the_pushes_that_go_on() -> None:
    platform = Platform()
    platform.states[777], platform.states[778] = [3], [2]
    async with on_stage(platform) as stage:
        started = await begun(stage, PLUGINS["v2.1"], form())
        assert isinstance(await stage.stop(PLUGINS["v2.1"], form(), started.handle), Done)
    assert platform.params_of("jobv3.operate_job_instance") == [
        {**SCOPE, "job_instance_id": 778, "operation_code": 1}
    ]


@pytest.mark.parametrize("version", tuple(OVER))
async def test_pushes_over_a_business_set_are_sent_field_by_field(version: str) -> None:
    platform = Platform()
    files: list[JsonValue] = [
        {"bk_cloud_id": "3", "ip": "10.0.0.1", "files": "/a\n/b", "account": "root"},
        {"bk_cloud_id": "", "ip": "10.0.0.2", "files": "/c", "account": "root"},
    ]
    row: Json = {
        "bk_cloud_id": "3",
        "job_ip_list": "10.0.0.3",
        "job_target_path": "/t",
        "job_target_account": "root",
    }
    rolling: Json = {"job_rolling_execute": ["open"], "job_rolling_expression": "1"}
    given: Json = {
        "all_biz_cc_id": "9",
        "job_source_files": files,
        "job_dispatch_attr": [row],
        "job_rolling_config": rolling,
    }
    async with on_stage(platform) as stage:
        end = await stage.run(OVER[version], given)
    assert isinstance(end, Done), end
    account: Json = {"account": {"alias": "root"}}
    at: list[Json] = [
        {"ip_list": [{"ip": "10.0.0.1", "bk_cloud_id": 3}]},
        {"ip_list": [{"ip": "10.0.0.2", "bk_cloud_id": 0}]},
    ]
    found: list[Json] = [
        {"file_list": ["/a", "/b"], "server": at[0], **account},
        {"file_list": ["/c"], "server": at[1], **account},
    ]
    base: Json = {
        "bk_scope_type": "biz_set",
        "bk_scope_id": "9",
        "bk_biz_id": 9,
        "target_server": {"ip_list": [{"ip": "10.0.0.3", "bk_cloud_id": 3}]},
        "account_alias": "root",
        "file_target_path": "/t",
    }
    rolled: Json = {"rolling_config": {"expression": "1", "mode": None}}
    assert platform.params_of(API) == (
        [{**base, "file_source_list": [each]} for each in found]
        if version == "v1.0"
        else [{**base, **rolled, "file_source_list": found}]
    )
