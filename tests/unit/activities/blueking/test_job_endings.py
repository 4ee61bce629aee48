"""How a job's end comes to its node: looks, callbacks, outputs, log variables, hosts by tag."""

import httpx
import pytest
from pydantic import JsonValue

from activities.blueking.config import LogPattern
from activities.blueking.job.instance import FIRST_LOOK_S, LATEST_LOOK_S, pause_s
from activities.blueking.job.logs import hosts_by_end, hosts_by_tag, log_variables
from activities.blueking.job.plans import PLANS
from activities.blueking.job.scripts import SCRIPTS
from activities.contract import Done, Failed, Polling
from activities.steps import StepResult, TryAgain
from tests.helpers.job_platform import (
    PAGE,
    SCOPE,
    Json,
    Platform,
    begun,
    on_stage,
    refusal,
    step,
)

SCRIPT = {plugin.ref.version: plugin for plugin in SCRIPTS}
PLAN = {plugin.ref.version: plugin for plugin in PLANS}
FORM: Json = {"job_content": "ls", "job_ip_list": "10.0.0.1", "job_account": "root"}
KNOWN: Json = {
    "job_inst_id": 777,
    "job_inst_name": "job 777",
    "job_inst_url": PAGE.format(777),
}
FAILED_TEXT = f"任务执行失败，前往作业平台(JOB)查看详情: {PAGE.format(777)}"


async def test_a_refusal_shows_neither_the_address_nor_the_script() -> None:
    async with on_stage(Platform(jobv3__fast_execute_script=refusal("no"))) as stage:
        end = await stage.run(SCRIPT["v2.1"], FORM)
    assert isinstance(end, Failed)
    assert '"callback_url": "******"' in end.error
    assert "stdops.test" not in end.error


async def called_back(platform: Platform, data: JsonValue, version: str = "v1.0") -> StepResult:
    async with on_stage(platform) as stage:
        started = await begun(stage, SCRIPT[version], FORM)
        return await stage.callback(SCRIPT[version], FORM, data, started.outputs, started.handle)


@pytest.mark.parametrize(
    "data",
    [
        {"job_instance_id": 777, "status": 3, "step_instances": []},
        {"job_instance_id": "777", "status": "3"},
    ],
)
async def test_a_callback_ends_the_node_as_json_and_as_a_form(data: JsonValue) -> None:
    platform = Platform()
    end = await called_back(platform, data)
    assert isinstance(end, Done), end
    assert end.outputs == {**KNOWN, "log_outputs": {}}
    asked = platform.params_of("jobv3.get_job_instance_status")
    assert [each.get("return_ip_result") for each in asked] == ["true"]


@pytest.mark.parametrize("status", [4, "4", 5, 6, 8, 11, 14])
async def test_a_callback_of_any_other_end_fails_the_node(status: JsonValue) -> None:
    end = await called_back(Platform(), {"job_instance_id": 777, "status": status})
    assert isinstance(end, Failed)
    assert end.error == FAILED_TEXT
    assert end.outputs == KNOWN


@pytest.mark.parametrize("status", [1, 2, 7, 10, "2"])
async def test_an_intermediate_callback_makes_us_look(status: JsonValue) -> None:
    platform = Platform()
    platform.states[777] = [2, 3]
    result = await called_back(platform, {"job_instance_id": 777, "status": status})
    assert isinstance(result, Polling)
    assert result.outputs == KNOWN


@pytest.mark.parametrize(
    "data",
    [
        {"job_instance_id": 1, "status": 3},
        {"job_instance_id": 777},
        {"job_instance_id": "x", "status": "y"},
        {"job_instance_id": True, "status": True},
        {},
        [],
        "done",
        None,
    ],
)
async def test_a_callback_that_tells_nothing_of_our_job_makes_us_look(data: JsonValue) -> None:
    platform = Platform()
    platform.states[777] = [2, 3]
    result = await called_back(platform, data)
    assert isinstance(result, Polling)
    assert result.outputs == KNOWN
    assert platform.names()[-1] == "jobv3.get_job_instance_status"


async def test_a_callback_whose_look_is_lost_is_worked_on_again() -> None:
    platform = Platform(jobv3__get_job_instance_status=httpx.ReadTimeout("slow"))
    result = await called_back(platform, {"job_instance_id": 777, "status": 3})
    assert isinstance(result, TryAgain)


@pytest.mark.parametrize("status", [1, 2, 7, 10])
async def test_a_job_that_goes_on_is_looked_at_ever_later(status: int) -> None:
    platform = Platform()
    platform.states[777] = [status] * 30 + [3]
    async with on_stage(platform) as stage:
        end = await stage.run(SCRIPT["v2.1"], FORM)
        elapsed_s = stage.elapsed_s
    assert isinstance(end, Done), end
    assert elapsed_s == pytest.approx(sum(pause_s(looks) for looks in range(31)))
    looks = [p for p in platform.params_of("jobv3.get_job_instance_status") if len(p) == 4]
    assert looks == [{**{k: str(v) for k, v in SCOPE.items()}, "job_instance_id": "777"}] * 31


def test_looks_grow_from_the_first_to_the_latest_pause_for_ever() -> None:
    pauses = [pause_s(looks) for looks in range(12)]
    assert pauses[0] == FIRST_LOOK_S
    assert pauses == sorted(pauses)
    assert pauses[-1] == pause_s(10**9) == LATEST_LOOK_S


async def test_without_a_receiver_no_address_is_sent() -> None:
    platform = Platform()
    async with on_stage(platform) as stage:
        stage.nobody_listens()
        end = await stage.run(SCRIPT["v2.1"], FORM)
    assert isinstance(end, Done), end
    assert "callback_url" not in platform.params_of("jobv3.fast_execute_script")[0]


@pytest.mark.parametrize(
    "lost",
    [
        httpx.ReadTimeout("slow"),
        httpx.ConnectError("down"),
        httpx.Response(502),
        httpx.Response(503, text="no upstream"),
        httpx.Response(504, json={"result": False, "message": "timeout"}),
        httpx.Response(429),
    ],
)
async def test_a_lost_look_is_repeated(lost: httpx.Response | Exception) -> None:
    platform = Platform(jobv3__get_job_instance_status=lost)
    async with on_stage(platform) as stage:
        started = await begun(stage, SCRIPT["v1.0"], FORM)
        result = await stage.poll(SCRIPT["v1.0"], FORM, started.handle, started.outputs)
    assert isinstance(result, TryAgain)
    assert result.outputs == KNOWN


async def test_a_refused_look_fails_with_what_is_known() -> None:
    platform = Platform(jobv3__get_job_instance_status=refusal("denied"))
    async with on_stage(platform) as stage:
        end = await stage.run(SCRIPT["v1.0"], FORM)
    assert isinstance(end, Failed)
    assert "接口jobv3.get_job_instance_status返回失败, error=denied" in end.error
    assert end.outputs == KNOWN


async def test_an_answer_without_a_state_is_no_failed_job() -> None:
    async with on_stage(Platform(jobv3__get_job_instance_status={})) as stage:
        end = await stage.run(SCRIPT["v1.0"], FORM)
    assert isinstance(end, Failed)
    assert end.error == f"JOB tells no state of job instance 777; look at {PAGE.format(777)}"


async def test_a_failed_job_leaves_its_outputs_only_where_they_are_asked_for() -> None:
    for asked, found in ((False, {}), (True, {"G": "1", "log_outputs": {"k": "v"}})):
        platform = Platform()
        platform.states[777] = [4]
        platform.log = "<SOPS_VAR>k:v</SOPS_VAR>"
        platform.variables = [{"name": "G", "value": "1"}]
        async with on_stage(platform) as stage:
            form: Json = {**FORM, "need_log_outputs_even_fail": asked}
            end = await stage.run(SCRIPT["v1.1"], form)
        assert isinstance(end, Failed)
        assert end.error == FAILED_TEXT
        assert end.outputs == KNOWN | found


async def test_a_failed_job_is_told_first_though_its_log_is_refused() -> None:
    platform = Platform(jobv3__get_job_instance_ip_log=refusal("gone"))
    platform.states[777] = [4]
    async with on_stage(platform) as stage:
        end = await stage.run(SCRIPT["v2.1"], FORM)
    assert isinstance(end, Failed)
    assert end.error.startswith(f"{FAILED_TEXT}\n")
    assert "error=gone" in end.error
    assert end.outputs["log_outputs"] == {}
    assert "job_tagged_ip_dict" in end.outputs


@pytest.mark.parametrize("api", ["get_job_instance_ip_log", "get_job_instance_global_var_value"])
async def test_a_good_job_of_which_nothing_can_be_read_fails_its_node(api: str) -> None:
    async with on_stage(Platform(**{f"jobv3__{api}": refusal("gone")})) as stage:
        end = await stage.run(SCRIPT["v1.0"], FORM)
    assert isinstance(end, Failed)
    assert f"接口jobv3.{api}返回失败, error=gone" in end.error
    assert end.outputs == {**KNOWN, "log_outputs": {}}


async def test_a_log_whose_reading_was_lost_is_read_again() -> None:
    platform = Platform(jobv3__get_job_instance_ip_log=httpx.ReadTimeout("slow"))
    async with on_stage(platform) as stage:
        started = await begun(stage, SCRIPT["v1.0"], FORM)
        result = await stage.poll(SCRIPT["v1.0"], FORM, started.handle, started.outputs)
    assert isinstance(result, TryAgain)


async def test_the_log_is_that_of_each_steps_first_host() -> None:
    platform = Platform()
    first: Json = {"ip": "10.0.0.1", "bk_cloud_id": 0}
    v6_only: Json = {"ipv6": "::1", "bk_host_id": 6, "bk_cloud_id": 0}
    platform.steps = [step(11, first, {"ip": "10.0.0.2"}), step(12), step(13, v6_only)]
    async with on_stage(platform) as stage:
        await stage.run(SCRIPT["v1.0"], FORM)
    base: Json = {**{k: str(v) for k, v in SCOPE.items()}, "job_instance_id": "777"}
    assert platform.params_of("jobv3.get_job_instance_ip_log") == [
        {**base, "step_instance_id": "11", "bk_cloud_id": "0", "ip": "10.0.0.1"},
        {**base, "step_instance_id": "13", "bk_host_id": "6"},
    ]


async def test_global_variables_are_those_of_the_last_step_and_replace_none_of_our_outputs() -> (
    None
):
    last: list[JsonValue] = [
        {"name": "a", "value": "2", "type": 1},
        {"name": "hosts", "value": "x", "type": 2},
        {"name": "job_inst_id", "value": "0", "type": 1},
        {"name": "log_outputs", "value": "0", "type": 1},
    ]
    steps: list[JsonValue] = [
        {"global_var_list": [{"name": "b", "value": "1", "type": 1}]},
        {"global_var_list": last},
    ]
    platform = Platform(jobv3__get_job_instance_global_var_value={"step_instance_var_list": steps})
    async with on_stage(platform) as stage:
        end = await stage.run(SCRIPT["v1.0"], FORM)
    assert isinstance(end, Done)
    assert end.outputs == {**KNOWN, "a": "2", "log_outputs": {}}


@pytest.mark.parametrize("plugin", [SCRIPT["v1.1"], PLAN["1.1"]])
async def test_hosts_are_grouped_simply_where_the_form_asks_for_it(plugin: object) -> None:
    platform = Platform()
    hosts: tuple[Json, ...] = (
        {"ip": "10.0.0.1", "tag": "t", "status": 9},
        {"ip": "10.0.0.2", "tag": "t", "status": 104},
        {"ip": "10.0.0.3", "tag": "", "status": 9},
    )
    platform.steps = [step(1, {"ip": "10.0.0.9", "tag": "early"}), step(2, *hosts)]
    form: Json = {**FORM, "job_task_id": 7, "is_tagged_ip": True}
    async with on_stage(platform) as stage:
        end = await stage.run(plugin, form)  # type: ignore[arg-type]
    assert isinstance(end, Done)
    assert end.outputs["job_tagged_ip_dict"] == {"t": "10.0.0.1,10.0.0.2"}


def test_hosts_by_end_keep_the_keys_that_templates_read() -> None:
    hosts: list[Json] = [
        {"ip": "10.0.0.1", "tag": "a", "status": 9},
        {"ip": "10.0.0.2", "tag": "", "status": 9},
        {"ip": "", "ipv6": "::1", "tag": "b", "status": 104},
        {"ip": "10.0.0.3", "tag": "c", "status": 13},
        {"ip": "10.0.0.4", "status": 99},
    ]
    found = hosts_by_end(hosts)
    assert (found["name"], found["key"]) == ("JOB执行IP分组", "job_tagged_ip_dict")
    assert found["value"] == {
        "SUCCESS": {"DESC": "执行成功", "TAGS": {"a": "10.0.0.1", "ALL": "10.0.0.1,10.0.0.2"}},
        "SCRIPT_NOT_ZERO_EXIT_CODE": {
            "DESC": "脚本返回值非零",
            "TAGS": {"b": "::1", "ALL": "::1"},
        },
        "OTHER_FAILED": {
            "desc": "其他异常",
            "TAGS": {"TASK_TIMEOUT": "10.0.0.3", "99": "10.0.0.4", "ALL": "10.0.0.3,10.0.0.4"},
        },
    }


def test_hosts_without_a_tag_are_in_no_simple_group() -> None:
    assert hosts_by_tag([{"ip": "10.0.0.1", "tag": None}, {"ip": "10.0.0.2"}]) == {}


@pytest.mark.parametrize(
    ("log", "found"),
    [
        ("x <SOPS_VAR>k:v</SOPS_VAR> y", {"k": "v"}),
        ("<SOPS_VAR>k: a:b\nc </SOPS_VAR>", {"k": " a:b\nc "}),
        ("&lt;SOPS_VAR&gt;k:1 &amp; 2&lt;/SOPS_VAR&gt;", {"k": "1 &amp; 2"}),
        ("<SOPS_VAR>k:1</SOPS_VAR><SOPS_VAR>k:2</SOPS_VAR>", {"k": "2"}),
        ("<SOPS_VAR>k:</SOPS_VAR>", {"k": ""}),
        ("<SOPS_VAR>:v</SOPS_VAR><SOPS_VAR>no mark</SOPS_VAR>", {}),
        ("nothing", {}),
    ],
)
def test_variables_of_a_log(log: str, found: Json) -> None:
    assert log_variables(log) == found


async def test_a_log_has_further_forms_of_variables_where_the_settings_say_so() -> None:
    platform = Platform()
    platform.log = "<SOPS_VAR>k:v</SOPS_VAR> [[a=1]] <<b=2>> &lt;&lt;c=3&gt;&gt;"
    patterns = r'[{"re": "\\[\\[(.+?)\\]\\]", "kv_sep": "="}, {"re": "<<(.+?)>>", "kv_sep": "="}]'
    async with on_stage(platform, log_patterns=patterns) as stage:
        end = await stage.run(SCRIPT["v1.0"], FORM)
    assert isinstance(end, Done), end
    assert end.outputs["log_outputs"] == {"k": "v", "a": "1", "b": "2", "c": "3"}


@pytest.mark.parametrize(
    "patterns",
    [
        "no json",
        '[{"re": "("  , "kv_sep": "="}]',
        '[{"re": "(a)(b)", "kv_sep": "="}]',
        "[1]",
        '[{"re": "a", "kv_sep": ""}]',
    ],
)
async def test_wrong_forms_of_variables_fail_before_a_job_is_started(patterns: str) -> None:
    platform = Platform()
    async with on_stage(platform, log_patterns=patterns) as stage:
        end = await stage.run(SCRIPT["v1.0"], FORM)
    assert isinstance(end, Failed)
    assert "settings of plugins 'blueking' are wrong: log_patterns" in end.error
    assert platform.names() == []


def test_a_pattern_is_written_as_bk_sops_writes_it() -> None:
    pattern = LogPattern.model_validate({"re": "a(.)", "kv_sep": ":"})
    assert (pattern.pattern, pattern.separator) == ("a(.)", ":")
