import base64

import httpx
import pytest
from pydantic import JsonValue

from activities.blueking.job.scripts import SCRIPTS, SCRIPTS_OVER_BUSINESSES
from activities.contract import Done, Failed, Polling
from activities.steps import TryAgain
from activities.testing import START
from tests.helpers.job_platform import (
    PAGE,
    SCOPE,
    TO_ONE,
    Json,
    Platform,
    begun,
    good,
    host,
    on_stage,
    refusal,
)

PLUGINS = {plugin.ref.version: plugin for plugin in SCRIPTS}
OVER = {plugin.ref.version: plugin for plugin in SCRIPTS_OVER_BUSINESSES}
ALL = tuple(PLUGINS)
STRICT, HYBRID = ("legacy", "v1.0", "v1.1"), ("v1.2", "v2.0", "v2.1")
REUSING = ("v1.1", "v1.2", "v2.0", "v2.1")
START_API = "jobv3.fast_execute_script"


def in_base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def form(**more: JsonValue) -> Json:
    known: Json = {
        "biz_cc_id": "2",
        "job_script_source": "manual",
        "job_script_type": "1",
        "job_content": "echo 你好",
        "job_script_param": "a b",
        "job_ip_list": "10.0.0.1",
        "job_account": " root ",
        "job_script_timeout": "60",
        "ip_is_exist": False,
    }
    return known | more


async def request_of(version: str, given: Json, platform: Platform | None = None) -> Json:
    found = platform or Platform()
    async with on_stage(found) as stage:
        await begun(stage, PLUGINS[version], given)
    return found.params_of(START_API)[0]


@pytest.mark.parametrize("version", ALL)
async def test_a_script_of_the_form_is_sent_field_by_field(version: str) -> None:
    sent = await request_of(version, form())
    url = str(sent.pop("callback_url"))
    assert url.startswith("https://stdops.test/callback/")
    named: Json = {"task_name": sent["task_name"]} if version == "v2.1" else {}
    assert sent == {
        **SCOPE,
        "timeout": "60",
        "account_alias": "root" if version in HYBRID else " root ",
        "target_server": TO_ONE,
        "script_param": in_base64("a b"),
        "script_language": "1",
        "script_content": in_base64("echo 你好"),
        **named,
    }


@pytest.mark.parametrize("version", ALL)
async def test_a_script_that_ends_well_gives_its_outputs(version: str) -> None:
    platform = Platform()
    platform.states[777] = [1, 2, 3]
    platform.log = "<SOPS_VAR>k:v</SOPS_VAR>"
    platform.variables = [{"name": "G", "value": "1", "type": 1}]
    async with on_stage(platform) as stage:
        end = await stage.run(PLUGINS[version], form())
    assert isinstance(end, Done), end
    outputs = dict(end.outputs)
    tagged = outputs.pop("job_tagged_ip_dict", None)
    assert (tagged is not None) == (version in HYBRID)
    assert outputs == {
        "job_inst_id": 777,
        "job_inst_name": "job 777",
        "job_inst_url": PAGE.format(777),
        "log_outputs": {"k": "v"},
        "G": "1",
    }


async def test_an_empty_time_limit_is_sent_as_it_is_and_no_parameters_are_left_out() -> None:
    sent = await request_of("v2.0", form(job_script_timeout="", job_script_param=""))
    assert sent["timeout"] == ""
    assert "script_param" not in sent


@pytest.mark.parametrize("source", ["general", "public"])
async def test_the_legacy_version_sends_a_stored_scripts_version_id(source: str) -> None:
    more: Json = {"job_script_source": source, f"job_script_list_{source}": "1000"}
    sent = await request_of("legacy", form(**more))
    assert sent["script_version_id"] == "1000"
    assert "script_content" not in sent


@pytest.mark.parametrize("version", ALL[1:])
@pytest.mark.parametrize(
    ("source", "api", "scope"),
    [("general", "get_script_list", SCOPE), ("public", "get_public_script_list", {})],
)
async def test_later_versions_find_a_stored_script_by_its_very_name(
    version: str, source: str, api: str, scope: Json
) -> None:
    rows: list[JsonValue] = [{"name": "S2", "id": "x"}, {"name": "S", "id": "abc"}]
    platform = Platform(**{f"jobv3__{api}": {"total": 2, "data": rows}})
    more: Json = {"job_script_source": source, f"job_script_list_{source}": "S"}
    sent = await request_of(version, form(**more), platform)
    asked = platform.asked[-2].params
    texts = {key: str(value) for key, value in {**scope, "name": "S"}.items()}
    assert asked == {**texts, "start": "0", "length": "1000"}
    assert sent["script_id"] == "abc"
    assert "script_language" not in sent


async def test_an_unknown_script_is_named_with_those_that_are_there() -> None:
    rows: list[JsonValue] = [{"name": "S2", "id": "x"}]
    platform = Platform(jobv3__get_script_list={"total": 1, "data": rows})
    more: Json = {"job_script_source": "general", "job_script_list_general": "S"}
    async with on_stage(platform) as stage:
        end = await stage.run(PLUGINS["v1.0"], form(**more))
    assert isinstance(end, Failed)
    text = "快速执行脚本启动失败: [作业平台]未找到名称:S的业务脚本, 现有脚本: ['S2']"
    assert text in end.error
    assert START_API not in platform.names()


@pytest.mark.parametrize("version", ["v1.0", "v1.1"])
async def test_across_businesses_the_area_is_text_and_cmdb_is_not_asked(version: str) -> None:
    platform = Platform()
    sent = await request_of(version, form(job_across_biz=True, job_ip_list="3:10.9.9.9"), platform)
    assert sent["target_server"] == {"ip_list": [{"ip": "10.9.9.9", "bk_cloud_id": "3"}]}
    assert platform.names() == [START_API]


async def test_across_businesses_an_address_without_an_area_fails() -> None:
    platform = Platform()
    async with on_stage(platform) as stage:
        end = await stage.run(PLUGINS["v1.1"], form(job_across_biz=True, job_ip_list="10.9.9.9"))
    assert isinstance(end, Failed)
    assert end.error == "允许跨业务时IP格式需满足：【管控区域ID:IP】。失败 IP： 10.9.9.9"


@pytest.mark.parametrize("version", ALL)
async def test_hosts_that_are_not_there_fail_before_anything_is_started(version: str) -> None:
    platform = Platform()
    async with on_stage(platform) as stage:
        end = await stage.run(PLUGINS[version], form(job_ip_list="10.0.0.1\n10.0.0.77"))
    assert isinstance(end, Failed)
    assert end.error.endswith("请确认输入的 IP 是否合法。查询失败 IP： 10.0.0.77")
    assert START_API not in platform.names()


@pytest.mark.parametrize("version", HYBRID)
async def test_an_address_with_its_area_is_taken_without_a_look_up(version: str) -> None:
    sent = await request_of(version, form(job_ip_list="3:10.9.9.9, 10.0.0.2"))
    assert sent["target_server"] == {
        "ip_list": [
            {"ip": "10.9.9.9", "bk_cloud_id": 3},
            {"ip": "10.0.0.2", "bk_cloud_id": 0},
        ]
    }


@pytest.mark.parametrize("version", ["v2.0", "v2.1"])
async def test_hosts_may_be_given_by_id(version: str) -> None:
    sent = await request_of(version, form(job_ip_list="1\n3"))
    assert sent["target_server"] == {"host_id_list": [1, 3]}


@pytest.mark.parametrize("version", ["v2.0", "v2.1"])
async def test_ids_and_addresses_may_not_be_mixed(version: str) -> None:
    async with on_stage(Platform()) as stage:
        end = await stage.run(PLUGINS[version], form(job_ip_list="1\n10.0.0.2"))
    assert isinstance(end, Failed)
    assert end.error == "目标服务器参数不支持同时传入IP和host_id，请只使用其中一种"


@pytest.mark.parametrize("version", ALL)
async def test_with_ipv6_hosts_are_named_by_their_ids(version: str) -> None:
    platform = Platform()
    platform.hosts.append(host(6, v6="2001:0db8:0000:0000:0000:0000:0000:0001"))
    async with on_stage(platform, ipv6=True) as stage:
        await begun(stage, PLUGINS[version], form(job_ip_list="2001:db8::1\n10.0.0.2"))
    sent = platform.params_of(START_API)[0]["target_server"]
    assert isinstance(sent, dict)
    assert sorted(map(str, sent["host_id_list"])) == ["2", "6"]  # type: ignore[arg-type]


@pytest.mark.parametrize("version", HYBRID)
async def test_rolling_is_sent_where_the_form_opens_it(version: str) -> None:
    rolling: Json = {
        "job_rolling_execute": ["open"],
        "job_rolling_expression": "10%",
        "job_rolling_mode": "2",
    }
    sent = await request_of(version, form(job_rolling_config=rolling))
    assert sent["rolling_config"] == {"expression": "10%", "mode": 2}
    closed: Json = {**rolling, "job_rolling_execute": []}
    assert "rolling_config" not in await request_of(version, form(job_rolling_config=closed))


async def test_the_first_version_may_name_its_job() -> None:
    assert (await request_of("v1.0", form(custom_task_name="mine")))["task_name"] == "mine"
    assert "task_name" not in await request_of("v1.0", form(custom_task_name="  "))


async def test_the_latest_version_names_its_job_after_the_node_and_the_moment() -> None:
    name = str((await request_of("v2.1", form()))["task_name"])
    assert name == f"{PLUGINS['v2.1'].name}_{int(START.timestamp() * 1000)}"


@pytest.mark.parametrize("version", REUSING)
async def test_an_earlier_job_is_read_instead_of_a_new_one(version: str) -> None:
    platform = Platform()
    platform.log = "<SOPS_VAR>k:v</SOPS_VAR>"
    async with on_stage(platform) as stage:
        end = await stage.run(PLUGINS[version], form(job_success_id="55"))
    assert end == Done(outputs={"log_outputs": {"k": "v"}})
    asked = platform.params_of("jobv3.get_job_instance_status")
    assert [each["job_instance_id"] for each in asked] == ["55"]
    assert START_API not in platform.names()


@pytest.mark.parametrize("version", REUSING)
async def test_an_earlier_job_that_failed_is_refused(version: str) -> None:
    platform = Platform()
    platform.states[55] = [4]
    async with on_stage(platform) as stage:
        end = await stage.run(PLUGINS[version], form(job_success_id="55"))
    assert isinstance(end, Failed)
    text = (
        "执行历史请求失败: 任务实例[ID: 55], 异常信息: 任务实例的状态为 4 | get_job_history_result"
    )
    assert end.error == text


@pytest.mark.parametrize("version", ALL)
async def test_a_refusal_of_job_fails_with_its_text_and_no_script_in_it(version: str) -> None:
    platform = Platform(jobv3__fast_execute_script=refusal("no such account"))
    async with on_stage(platform) as stage:
        end = await stage.run(PLUGINS[version], form())
    assert isinstance(end, Failed)
    assert end.error.startswith(
        "调用作业平台(JOB)接口jobv3.fast_execute_script返回失败, error=no such account, params="
    )
    assert '"script_content": "******"' in end.error
    assert in_base64("echo 你好") not in end.error


async def test_a_missing_permission_is_told() -> None:
    permission: Json = {"actions": [{"id": "quick_execute_script", "name": "快速执行脚本"}]}
    denied = refusal("denied", 9900403, permission=permission)
    async with on_stage(Platform(jobv3__fast_execute_script=denied)) as stage:
        end = await stage.run(PLUGINS["v2.1"], form())
    assert isinstance(end, Failed)
    assert end.error.startswith(
        "调用作业平台(JOB)接口jobv3.fast_execute_script无权限 (快速执行脚本)"
    )


@pytest.mark.parametrize("version", ALL[:-1])
async def test_a_start_whose_answer_was_lost_names_where_to_look(version: str) -> None:
    platform = Platform(jobv3__fast_execute_script=httpx.ReadTimeout("slow"))
    async with on_stage(platform) as stage:
        end = await stage.run(PLUGINS[version], form())
    assert isinstance(end, Failed)
    assert end.error.startswith("outcome unknown: no answer: ReadTimeout: slow")
    assert "look at the executions of business 2 in JOB (https://job.test), then" in end.error
    assert platform.names().count(START_API) == 1


@pytest.mark.parametrize("lost", [httpx.ReadTimeout("slow"), httpx.Response(504)])
async def test_a_job_whose_start_was_lost_is_found_again_by_its_own_name(
    lost: httpx.Response | Exception,
) -> None:
    name = f"{PLUGINS['v2.1'].name}_{int(START.timestamp() * 1000)}"
    rows: list[JsonValue] = [{"id": 9, "name": f"{name}0"}, {"id": 31, "name": name}]
    platform = Platform(
        jobv3__fast_execute_script=lost,
        jobv3__get_job_instance_list={"total": 2, "data": rows},
    )
    async with on_stage(platform) as stage:
        end = await stage.run(PLUGINS["v2.1"], form())
    assert isinstance(end, Done), end
    assert end.outputs["job_inst_id"] == 31
    day, now = 86_400_000, int(START.timestamp() * 1000)
    assert platform.params_of("jobv3.get_job_instance_list") == [
        {
            "bk_scope_type": "biz",
            "bk_scope_id": "2",
            "bk_biz_id": "2",
            "name": name,
            "create_time_start": str(now - day),
            "create_time_end": str(now + day),
            "start": "0",
            "length": "1000",
        }
    ]


@pytest.mark.parametrize(
    "listed",
    [good({"total": 0, "data": []}), refusal("denied", 9900403), httpx.ReadTimeout("slow too")],
)
async def test_a_lost_start_that_is_not_found_again_stays_unknown(
    listed: httpx.Response | Exception,
) -> None:
    platform = Platform(
        jobv3__fast_execute_script=httpx.ReadTimeout("slow"), jobv3__get_job_instance_list=listed
    )
    async with on_stage(platform) as stage:
        end = await stage.run(PLUGINS["v2.1"], form())
    assert isinstance(end, Failed)
    assert "outcome unknown: no answer: ReadTimeout: slow" in end.error
    assert (
        f"for a job named {PLUGINS['v2.1'].name + '_' + str(int(START.timestamp()) * 1000)!r}"
        in (end.error)
    )


@pytest.mark.parametrize("version", ALL)
async def test_a_start_that_was_surely_not_taken_is_tried_again(version: str) -> None:
    platform = Platform(jobv3__fast_execute_script=[httpx.ConnectError("down"), good({})])
    async with on_stage(platform) as stage:
        result = await stage.call(PLUGINS[version], form())
    assert isinstance(result, TryAgain)
    assert result.kind == "not_taken"


@pytest.mark.parametrize("lost", [httpx.ReadTimeout("slow"), httpx.Response(502)])
async def test_a_look_up_of_hosts_that_was_lost_is_tried_again(
    lost: httpx.Response | Exception,
) -> None:
    platform = Platform(cc__list_biz_hosts=lost)
    async with on_stage(platform) as stage:
        result = await stage.call(PLUGINS["v2.1"], form())
    assert isinstance(result, TryAgain)


async def test_an_answer_without_a_job_is_a_failure() -> None:
    async with on_stage(Platform(jobv3__fast_execute_script={})) as stage:
        end = await stage.run(PLUGINS["v2.1"], form())
    assert isinstance(end, Failed)
    assert "its answer names no instance" in end.error


async def test_the_stop_terminates_the_job() -> None:
    platform = Platform()
    async with on_stage(platform) as stage:
        started = await begun(stage, PLUGINS["v2.1"], form())
        assert isinstance(await stage.stop(PLUGINS["v2.1"], form(), started.handle), Done)
    assert platform.params_of("jobv3.operate_job_instance") == [
        {**SCOPE, "job_instance_id": 777, "operation_code": 1}
    ]


async def test_the_note_names_the_job() -> None:
    async with on_stage(Platform()) as stage:
        result = await begun(stage, PLUGINS["v2.1"], form())
    assert isinstance(result, Polling)
    assert result.note == "JOB 777"


def form_of_a_set(**more: JsonValue) -> Json:
    known: Json = {
        "all_biz_cc_id": "9",
        "job_script_type": "4",
        "job_content": "print(1)",
        "job_script_param": "",
        "job_script_timeout": "",
        "job_target_account": " root ",
        "job_target_ip_table": [
            {"bk_cloud_id": "3", "ip": "10.0.0.1,10.0.0.2"},
            {"bk_cloud_id": "", "ip": "10.0.0.3"},
        ],
    }
    return known | more


@pytest.mark.parametrize("version", tuple(OVER))
@pytest.mark.parametrize(("is_known", "kind"), [(True, "biz_set"), (False, "biz")])
async def test_a_script_for_a_business_set_is_sent_field_by_field(
    version: str, is_known: bool, kind: str
) -> None:
    platform = Platform(cc__list_business_set={"info": [{}] if is_known else []})
    async with on_stage(platform) as stage:
        await begun(stage, OVER[version], form_of_a_set())
    sent = platform.params_of(START_API)[0]
    sent.pop("callback_url")
    assert sent == {
        "bk_scope_type": kind,
        "bk_scope_id": "9",
        "bk_biz_id": 9,
        "account_alias": "root",
        "target_server": {
            "ip_list": [
                {"ip": "10.0.0.1", "bk_cloud_id": 3},
                {"ip": "10.0.0.2", "bk_cloud_id": 3},
                {"ip": "10.0.0.3", "bk_cloud_id": 0},
            ]
        },
        "script_language": "4",
        "script_content": in_base64("print(1)"),
    }


async def test_a_business_sets_script_has_whole_seconds_and_rolls_from_its_second_version() -> None:
    rolling: Json = {"job_rolling_execute": ["open"], "job_rolling_expression": "1"}
    given = form_of_a_set(job_script_timeout="70", job_rolling_config=rolling)
    found: dict[str, Json] = {}
    for version, plugin in OVER.items():
        platform = Platform()
        async with on_stage(platform) as stage:
            await begun(stage, plugin, given)
        found[version] = platform.params_of(START_API)[0]
    assert [each["timeout"] for each in found.values()] == [70, 70]
    assert "rolling_config" not in found["v1.0"]
    assert found["v1.1"]["rolling_config"] == {"expression": "1", "mode": None}


async def test_a_lost_start_for_a_business_set_names_the_set() -> None:
    platform = Platform(jobv3__fast_execute_script=httpx.ReadTimeout("slow"))
    async with on_stage(platform) as stage:
        end = await stage.run(OVER["v1.1"], form_of_a_set())
    assert isinstance(end, Failed)
    assert "look at the executions of business set 9 in JOB (https://job.test)" in end.error
