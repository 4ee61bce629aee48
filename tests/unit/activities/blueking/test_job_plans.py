import httpx
import pytest
from pydantic import JsonValue

from activities.blueking.job.plans import PLANS, PLANS_OVER_BUSINESSES
from activities.contract import Done, Failed
from activities.testing import START
from tests.helpers.job_platform import (
    PAGE,
    SCOPE,
    TO_ONE,
    Json,
    Platform,
    begun,
    on_stage,
    refusal,
)

PLUGINS = {plugin.ref.version: plugin for plugin in PLANS}
OVER = {plugin.ref.version: plugin for plugin in PLANS_OVER_BUSINESSES}
ALL = tuple(PLUGINS)
BY_END = ("1.2", "2.0", "2.1")
START_API = "jobv3.execute_job_plan"


def variable(category: int, value: JsonValue, key: str = "category") -> Json:
    return {"id": 4, key: category, "name": "v", "value": value, "description": ""}


def form(*rows: Json, **more: JsonValue) -> Json:
    known: Json = {
        "biz_cc_id": 2,
        "job_task_id": "7",
        "job_global_var": [*rows],
        "ip_is_exist": False,
    }
    return known | more


async def variables_of(version: str, *rows: Json, **more: JsonValue) -> JsonValue:
    platform = Platform()
    async with on_stage(platform) as stage:
        await begun(stage, PLUGINS[version], form(*rows, **more))
    return platform.params_of(START_API)[0]["global_var_list"]


@pytest.mark.parametrize("version", ALL)
async def test_a_plan_is_sent_field_by_field(version: str) -> None:
    platform = Platform()
    rows = (variable(1, " x "), variable(3, "10.0.0.1"), variable(3, " "), variable(5, "(a b)"))
    async with on_stage(platform) as stage:
        await begun(stage, PLUGINS[version], form(*rows))
    sent = platform.params_of(START_API)[0]
    assert str(sent.pop("callback_url")).startswith("https://stdops.test/callback/")
    name = f"{PLUGINS[version].name}_{int(START.timestamp() * 1000)}"
    assert sent == {
        **SCOPE,
        "job_plan_id": 7,
        "global_var_list": [
            {"name": "v", "value": "x"},
            {"name": "v", "server": TO_ONE},
            {"name": "v", "value": "(a b)"},
        ],
        **({"task_name": name} if version == "2.1" else {}),
    }


@pytest.mark.parametrize("version", ALL)
async def test_a_plan_that_ends_well_gives_its_outputs(version: str) -> None:
    platform = Platform()
    platform.states[777] = [1, 3]
    platform.log = "<SOPS_VAR>k:v</SOPS_VAR>"
    async with on_stage(platform) as stage:
        end = await stage.run(PLUGINS[version], form())
    assert isinstance(end, Done), end
    outputs = dict(end.outputs)
    assert (outputs.pop("job_tagged_ip_dict", None) is not None) == (version in BY_END)
    assert outputs == {
        "job_inst_id": 777,
        "job_inst_name": "job 777",
        "job_inst_url": PAGE.format(777),
        "log_outputs": {"k": "v"},
    }


@pytest.mark.parametrize("version", ALL)
async def test_a_password_that_nobody_changed_is_left_to_the_plan(version: str) -> None:
    assert await variables_of(version, variable(4, "******")) == []
    assert await variables_of(version, variable(4, "new")) == [{"name": "v", "value": "new"}]


async def test_a_password_in_its_wrapping_is_taken_out() -> None:
    wrapped: Json = {"tag": "variable", "value": " hush "}
    assert await variables_of("2.1", variable(4, wrapped)) == [{"name": "v", "value": "hush"}]


async def test_a_variables_kind_may_be_called_type() -> None:
    found = await variables_of("2.1", variable(3, "10.0.0.1", "type"))
    assert found == [{"name": "v", "server": TO_ONE}]


@pytest.mark.parametrize("version", ["legacy", "1.0", "1.1"])
async def test_across_businesses_hosts_without_an_area_are_looked_for_here(version: str) -> None:
    far = await variables_of(version, variable(3, "3:10.9.9.9"), biz_across=True)
    assert far == [{"name": "v", "server": {"ip_list": [{"ip": "10.9.9.9", "bk_cloud_id": "3"}]}}]
    near = await variables_of(version, variable(3, "10.0.0.1"), biz_across=True)
    assert near == [{"name": "v", "server": TO_ONE}]


@pytest.mark.parametrize("version", ALL)
@pytest.mark.parametrize("text", ["10.0.0.77", "no host at all"])
async def test_hosts_that_are_not_there_fail_before_the_plan_is_started(
    version: str, text: str
) -> None:
    platform = Platform()
    async with on_stage(platform) as stage:
        end = await stage.run(PLUGINS[version], form(variable(3, text), biz_across=True))
    assert isinstance(end, Failed)
    assert end.error == (
        f"无法从配置平台(CMDB)查询到对应 IP，请确认输入的 IP 是否合法。查询失败 IP： {text}"
    )
    assert START_API not in platform.names()


@pytest.mark.parametrize("version", ["2.0", "2.1"])
async def test_a_variables_hosts_may_be_given_by_id(version: str) -> None:
    found = await variables_of(version, variable(3, "2"))
    assert found == [{"name": "v", "server": {"host_id_list": [2]}}]


@pytest.mark.parametrize("version", ["1.1", "1.2", "2.0", "2.1"])
async def test_an_earlier_plan_is_read_instead_of_a_new_one(version: str) -> None:
    platform = Platform()
    async with on_stage(platform) as stage:
        end = await stage.run(PLUGINS[version], form(job_success_id=55))
    assert end == Done(outputs={"log_outputs": {}})
    assert START_API not in platform.names()


@pytest.mark.parametrize("version", ALL)
async def test_a_refusal_of_job_fails_the_plan_with_its_text(version: str) -> None:
    platform = Platform(jobv3__execute_job_plan=refusal("no such plan"))
    async with on_stage(platform) as stage:
        end = await stage.run(PLUGINS[version], form())
    assert isinstance(end, Failed)
    assert "接口jobv3.execute_job_plan返回失败, error=no such plan" in end.error


@pytest.mark.parametrize("version", ALL)
async def test_a_lost_start_of_a_plan_names_where_to_look(version: str) -> None:
    platform = Platform(jobv3__execute_job_plan=httpx.ReadTimeout("slow"))
    async with on_stage(platform) as stage:
        end = await stage.run(PLUGINS[version], form())
    assert isinstance(end, Failed)
    assert "look at the executions of business 2 in JOB" in end.error
    assert ("jobv3.get_job_instance_list" in platform.names()) == (version == "2.1")


async def test_a_named_plan_whose_start_was_lost_is_found_again() -> None:
    name = f"{PLUGINS['2.1'].name}_{int(START.timestamp() * 1000)}"
    rows: list[JsonValue] = [{"job_instance_id": 31, "name": name}]
    platform = Platform(
        jobv3__execute_job_plan=httpx.ReadError("reset"),
        jobv3__get_job_instance_list={"total": 1, "data": rows},
    )
    async with on_stage(platform) as stage:
        end = await stage.run(PLUGINS["2.1"], form())
    assert isinstance(end, Done), end
    assert end.outputs["job_inst_id"] == 31


def form_of_a_set(*rows: Json, **more: JsonValue) -> Json:
    config: Json = {
        "all_biz_cc_id": "9",
        "job_template_id": "1",
        "job_plan_id": "7",
        "job_global_var": [*rows],
        "is_tagged_ip": more.pop("is_tagged_ip", False),
    }
    return {"all_biz_job_config": config, **more}


@pytest.mark.parametrize("version", tuple(OVER))
async def test_a_business_sets_plan_names_its_variables_by_id(version: str) -> None:
    platform = Platform()
    rows = (
        variable(3, "3:10.9.9.9\n10.0.0.1", "type"),
        variable(1, "x", "type"),
        variable(4, "******", "type"),
        variable(3, "", "type"),
    )
    async with on_stage(platform) as stage:
        await begun(stage, OVER[version], form_of_a_set(*rows))
    sent = platform.params_of(START_API)[0]
    sent.pop("callback_url")
    assert sent == {
        "bk_scope_type": "biz_set",
        "bk_scope_id": "9",
        "bk_biz_id": 9,
        "job_plan_id": 7,
        "global_var_list": [
            {"id": 4, "server": {"ip_list": [{"ip": "10.9.9.9", "bk_cloud_id": "3"}]}},
            {"id": 4, "value": "x"},
        ],
    }


@pytest.mark.parametrize("version", tuple(OVER))
async def test_a_business_sets_plan_ends_well_though_its_log_cannot_be_read(version: str) -> None:
    platform = Platform(jobv3__get_job_instance_ip_log=refusal("gone"))
    async with on_stage(platform) as stage:
        end = await stage.run(OVER[version], form_of_a_set())
    assert isinstance(end, Done), end
    assert end.outputs["log_outputs"] == {}


async def test_a_business_sets_plan_groups_its_hosts_simply_where_it_is_asked() -> None:
    platform = Platform()
    platform.steps[0]["step_ip_result_list"] = [{"ip": "10.0.0.1", "tag": "t", "status": 9}]
    async with on_stage(platform) as stage:
        plain = await stage.run(OVER["legacy"], form_of_a_set())
        tagged = await stage.run(OVER["legacy"], form_of_a_set(is_tagged_ip=True))
    assert isinstance(plain, Done)
    assert "job_tagged_ip_dict" not in plain.outputs
    assert isinstance(tagged, Done)
    assert tagged.outputs["job_tagged_ip_dict"] == {"t": "10.0.0.1"}
