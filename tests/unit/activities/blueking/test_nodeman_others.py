"""`nodeman_plugin_operate`, and `nodeman_create_task` of the node manager that is no longer."""

import pytest
from pydantic import JsonValue

from activities.blueking.nodeman.jobs import LOOK_S
from activities.blueking.nodeman.legacy import TASK
from activities.blueking.nodeman.plugins import PLUGINS
from activities.contract import Done, Failed
from activities.sdk import AnyPlugin
from activities.steps import TryAgain
from tests.helpers.rsa_keys import PEM, from_blocks
from tests.helpers.systems_platform import (
    Json,
    Reply,
    Systems,
    Turns,
    begun,
    denial,
    lost,
    on_stage,
    refusal,
)

PLUGIN: dict[str, AnyPlugin] = {each.ref.version: each for each in PLUGINS}
VERSIONS = ("v1.0", "v2.0")
PAGE = "https://nodeman.test/#/task-history/9/log/host|instance|host|{}"


def form_of(version: str, text: str = "10.0.0.1", **operate: JsonValue) -> Json:
    where: Json = {"nodeman_bk_cloud_id": 0, "nodeman_host_ip": text}
    asked: Json = {
        "nodeman_op_type": "MAIN_INSTALL_PLUGIN",
        "nodeman_plugin": "bkmonitorbeat",
        "nodeman_plugin_version": "1.2",
        **operate,
    }
    placed: Json = (
        {"nodeman_host_info": {**where, "nodeman_host_input_type": "host_ip"}}
        if version == "v1.0"
        else where
    )
    return {"biz_cc_id": "2", "nodeman_plugin_operate": asked, **placed}


def nodeman(**replies: Reply | Turns) -> Systems:
    named = {name.replace("__", "."): reply for name, reply in replies.items()}
    hosts: list[JsonValue] = [{"inner_ip": "10.0.0.1", "bk_host_id": 101}]
    good: Json = {
        "status": "SUCCESS",
        "statistics": {"success_count": 1, "failed_count": 0},
        "list": [],
    }
    return Systems(
        {
            "nodeman.search_host_plugin": {"list": hosts},
            "nodeman.plugin_operate": {"bkmonitorbeat": 9},
            "nodeman.job_details": good,
            **named,
        }
    )


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("operate", "params"),
    [
        ({}, {"version": "1.2"}),
        ({"nodeman_plugin_version": ""}, {}),
        ({"install_config": ["no_restart"]}, {"version": "1.2", "no_restart": 1}),
        ({"install_config": ["no_restart", "keep_config"]}, {"version": "1.2", "keep_config": 1}),
        (
            {"nodeman_op_type": "MAIN_STOP_PLUGIN", "install_config": ["keep_config"]},
            {"version": "latest"},
        ),
    ],
    ids=["version", "no version", "no restart", "keep wins", "stop"],
)
async def test_a_plugin_is_operated_on_hosts(version: str, operate: Json, params: Json) -> None:
    systems = nodeman()
    async with on_stage(systems) as stage:
        outcome = await stage.run(PLUGIN[version], form_of(version, "10.0.0.1", **operate))

    assert outcome == Done(
        outputs={"job_id": 9, "job_url": [PAGE.format(101)], "success_num": 1, "fail_num": 0}
    )
    assert systems.params_of("nodeman.plugin_operate") == [
        {
            "job_type": operate.get("nodeman_op_type", "MAIN_INSTALL_PLUGIN"),
            "bk_biz_id": [2],
            "bk_host_id": [101],
            "plugin_params": {"name": "bkmonitorbeat", **params},
        }
    ]
    assert systems.params_of("nodeman.search_host_plugin") == [
        {
            "bk_biz_id": [2],
            "pagesize": -1,
            "conditions": [
                {"key": "inner_ip", "value": ["10.0.0.1"]},
                {"key": "bk_cloud_id", "value": [0]},
            ],
        }
    ]


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_newer_node_manager_names_the_job_itself(version: str) -> None:
    systems = nodeman(nodeman__plugin_operate={"job_id": 8, "job_url": "https://nodeman.test/8"})
    async with on_stage(systems) as stage:
        started = await begun(stage, PLUGIN[version], form_of(version))

    assert started.outputs == {"job_id": 8, "job_url": "https://nodeman.test/8"}


async def test_v1_takes_ids_of_hosts() -> None:
    systems = nodeman()
    info: Json = {"nodeman_host_input_type": "host_id", "nodeman_host_id": "101, 102"}
    async with on_stage(systems) as stage:
        await begun(stage, PLUGIN["v1.0"], {**form_of("v1.0"), "nodeman_host_info": info})

    assert systems.names == ["nodeman.plugin_operate"]
    assert systems.asked[0].params["bk_host_id"] == ["101", "102"]


async def test_v1_without_a_way_to_name_hosts_is_refused() -> None:
    async with on_stage(nodeman()) as stage:
        form: Json = {**form_of("v1.0"), "nodeman_host_info": {}}
        assert await stage.run(PLUGIN["v1.0"], form) == Failed(error="请选择填写方式")


@pytest.mark.parametrize("version", VERSIONS)
async def test_with_ipv6_hosts_are_looked_up_in_cmdb(version: str) -> None:
    host: Json = {
        "bk_host_id": 101,
        "bk_host_innerip": "10.0.0.1",
        "bk_host_innerip_v6": "",
        "bk_cloud_id": 0,
    }
    systems = nodeman(cc__list_biz_hosts={"count": 1, "info": [host]})
    async with on_stage(systems, ipv6=True) as stage:
        await begun(stage, PLUGIN[version], form_of(version))

    assert systems.params_of("nodeman.plugin_operate")[0]["bk_host_id"] == [101]


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_host_that_is_not_found_fails(version: str) -> None:
    systems = nodeman()
    async with on_stage(systems) as stage:
        outcome = await stage.run(PLUGIN[version], form_of(version, "10.0.0.1,10.0.0.7"))

    assert outcome == Failed(error="获取bk_host_id失败:10.0.0.7,请确认管控区域是否正确")
    assert "nodeman.plugin_operate" not in systems.names


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (refusal("nope"), "调用节点管理(Nodeman)接口nodeman.plugin_operate返回失败, error=nope"),
        (denial(), "调用节点管理(Nodeman)接口nodeman.plugin_operate无权限 (use x)"),
        (lost(), "outcome unknown"),
        ({"x": 1}, '获取任务job_id失败，result:{"x": 1}'),
    ],
    ids=["refused", "denied", "lost", "no job"],
)
async def test_an_operation_that_is_not_started_fails(
    version: str, reply: Reply, error: str
) -> None:
    async with on_stage(nodeman(nodeman__plugin_operate=reply)) as stage:
        outcome = await stage.run(PLUGIN[version], form_of(version))

    assert isinstance(outcome, Failed)
    assert outcome.error.startswith(error)


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_failed_operation_tells_its_log(version: str) -> None:
    host: Json = {"status": "FAILED", "inner_ip": "10.0.0.1", "instance_id": "h1"}
    failed: Json = {
        "status": "FAILED",
        "statistics": {"success_count": 0, "failed_count": 1},
        "list": [host],
    }
    log: list[JsonValue] = [{"status": "FAILED", "step": "run", "log": "no"}]
    systems = nodeman(nodeman__job_details=failed, nodeman__get_job_log=log)
    async with on_stage(systems) as stage:
        outcome = await stage.run(PLUGIN[version], form_of(version))

    assert isinstance(outcome, Failed)
    assert outcome.error.endswith("主机：10.0.0.1\n错误日志：run\nno")


LEGACY: Json = {
    "biz_cc_id": 2,
    "nodeman_bk_cloud_id": "0",
    "nodeman_node_type": "AGENT",
    "nodeman_op_type": "INSTALL",
    "nodeman_hosts": [
        {
            "conn_ips": "10.0.0.1\n10.0.0.2",
            "login_ip": "10.1.0.1,10.1.0.2",
            "data_ip": "",
            "os_type": "LINUX",
            "has_cygwin": False,
            "port": "22",
            "account": "root",
            "auth_type": "KEY",
            "auth_key": "hush hush",
        }
    ],
}


def info(good: int, bad: int, *hosts: Json) -> Json:
    counts: Json = {"success_count": good, "failed_count": bad}
    return {"host_count": 2, "status_count": counts, "hosts": [*hosts]}


async def test_the_oldest_version_says_what_to_use_instead() -> None:
    systems = Systems({})
    async with on_stage(systems) as stage:
        outcome = await stage.run(TASK, LEGACY)

    assert isinstance(outcome, Failed)
    assert "use version v7.0" in outcome.error
    assert "blueking.nodeman_legacy_key" in outcome.error
    assert systems.asked == []


async def test_the_oldest_version_runs_where_its_key_is_set() -> None:
    systems = Systems(
        {
            "nodeman.create_task": {"id": 5},
            "nodeman.get_task_info": Turns([info(1, 0), info(2, 0)]),
        }
    )
    async with on_stage(systems, nodeman_legacy_key=PEM) as stage:
        outcome = await stage.run(TASK, LEGACY)

    assert outcome == Done(outputs={"job_id": 5, "success_num": 2, "fail_num": 0})
    assert stage.elapsed_s == 2 * LOOK_S
    sent = systems.asked[0].params
    hosts = sent.pop("hosts")
    assert sent == {
        "bk_biz_id": 2,
        "bk_cloud_id": "0",
        "node_type": "AGENT",
        "op_type": "INSTALL",
        "creator": "bob",
    }
    assert isinstance(hosts, list)
    for host, ip in zip(hosts, ["10.0.0.1", "10.0.0.2"], strict=True):
        assert isinstance(host, dict)
        assert from_blocks(str(host.pop("key"))) == "hush hush"
        assert host == {
            "conn_ips": ip,
            "login_ip": "10.1.0.1",
            "os_type": "LINUX",
            "has_cygwin": False,
            "port": "22",
            "account": "root",
            "auth_type": "KEY",
        }
    assert systems.params_of("nodeman.get_task_info") == [{"bk_biz_id": "2", "job_id": "5"}] * 2


async def test_the_oldest_version_tells_the_logs_of_failed_hosts() -> None:
    host: Json = {"status": "FAILED", "host": {"id": 3, "inner_ip": "10.0.0.1"}}
    systems = Systems(
        {"nodeman.get_task_info": info(1, 1, host), "nodeman.get_log": {"logs": "no space"}}
    )
    async with on_stage(systems, nodeman_legacy_key=PEM) as stage:
        outcome = await stage.poll(TASK, LEGACY, 5, {"job_id": 5})

    assert outcome == Failed(
        error="日志信息为：\n主机：10.0.0.1\n日志：no space",
        outputs={"job_id": 5, "success_num": 1, "fail_num": 1},
    )
    assert systems.params_of("nodeman.get_log") == [{"host_id": "3", "bk_biz_id": "2"}]


async def test_the_oldest_version_tells_refusals() -> None:
    replies: dict[str, Reply | Turns] = {
        "nodeman.create_task": refusal("nope"),
        "nodeman.get_task_info": refusal("gone"),
    }
    row: Json = {"conn_ips": "none", "auth_key": "x", "auth_type": "KEY"}
    async with on_stage(Systems(replies), nodeman_legacy_key=PEM) as stage:
        refused = await stage.run(TASK, LEGACY)
        looked = await stage.poll(TASK, LEGACY, 5)
        nameless = await stage.run(TASK, {**LEGACY, "nodeman_hosts": [row]})

    assert refused == Failed(error="[节点管理]任务创建失败: 创建[节点管理]任务发生异常: nope")
    assert isinstance(looked, Failed)
    assert looked.error.startswith("查询失败，未能获得任务执行结果: ")
    assert nameless == Failed(error="conn_ips 为空或输入格式错误")


async def test_the_oldest_version_is_not_sent_again_when_its_answer_is_lost() -> None:
    replies: dict[str, Reply | Turns] = {
        "nodeman.create_task": lost(),
        "nodeman.get_task_info": lost(),
    }
    async with on_stage(Systems(replies), nodeman_legacy_key=PEM) as stage:
        started = await stage.run(TASK, LEGACY)
        looked = await stage.poll(TASK, LEGACY, 5)

    assert isinstance(started, Failed)
    assert started.error.startswith("outcome unknown")
    assert "look at the task history of the node manager" in started.error
    assert isinstance(looked, TryAgain)
