"""The newer node manager: nodes and plugins operated, workflows followed to their end."""

import httpx
import pytest
from pydantic import JsonValue

from activities.blueking.ciphers import NODEMGR_LABEL
from activities.blueking.nodemgr.nodes import NODES
from activities.blueking.nodemgr.plugins import PLUGINS
from activities.blueking.nodemgr.workflows import LOOK_S, PAGE
from activities.contract import Done, Failed
from activities.sdk import AnyPlugin
from activities.steps import TryAgain
from tests.helpers.rsa_keys import PEM, from_labelled
from tests.helpers.systems_platform import (
    Json,
    Reply,
    Systems,
    Turns,
    begun,
    lost,
    on_stage,
    unreached,
)

IP, OTHER = "10.0.0.1", "10.0.0.2"
WORKFLOW: Json = {"workflow_id": "w1"}
URL = "https://nodemgr.test/#/node-manager/history/detail/w1"


def refusal(message: str = "nope", code: int = 1) -> httpx.Response:
    return httpx.Response(200, json={"code": code, "message": message, "data": None})


def host(number: int, *ips: str) -> Json:
    known: Json = {
        "bk_host_innerip_list": [*ips],
        "bk_host_innerip_v6_list": None,
        "bk_networkunit_id": 40 + number,
        "cpu_arch": "x86_64",
    }
    return {"bk_host_id": number, "info": known}


def operation(state: JsonValue, number: int = 1) -> Json:
    return {"operation_id": f"op{number}", "latest_oper_inst_brief_data": {"life_cycle": state}}


def nodemgr(**replies: Reply | Turns) -> Systems:
    ended: Json = {"operations": [operation("SUCCESS"), operation({"state": "succeeded"})]}
    named = {f"nodemgr.{name}": reply for name, reply in replies.items()}
    return Systems(
        {
            "nodemgr.host_list": {"items": [host(1, IP)]},
            "nodemgr.node_install_check": {"results": [{"status": "ok"}]},
            "nodemgr.public_key_get": {"public_key": PEM},
            "nodemgr.node_workflow_operation_list": ended,
            "nodemgr.plugin_workflow_operation_list": ended,
            **dict.fromkeys(
                (
                    "nodemgr.node_install",
                    "nodemgr.node_upgrade",
                    "nodemgr.node_restart",
                    "nodemgr.node_reconfig",
                    "nodemgr.node_uninstall",
                    "nodemgr.plugin_install",
                    "nodemgr.plugin_uninstall",
                ),
                WORKFLOW,
            ),
            **named,
        }
    )


def form_of(kind: str, batch: Json | None = None, role: str = "agent", **info: JsonValue) -> Json:
    part: Json = {"bk_networkarea_id": 0, "inner_ip": IP, **(batch or {})}
    asked: Json = {
        "nodemgr_operation_type": kind,
        "nodemgr_node_role": role,
        "nodemgr_hosts_param_mode": "batch",
        f"nodemgr_batch_{kind}": part,
        **info,
    }
    return {"nodemgr_biz_id": "2", "nodemgr_op_info": asked}


def installing(batch: Json | None = None, role: str = "agent", **info: JsonValue) -> Json:
    login: Json = {
        "bk_networkunit_id": 5,
        "bk_addressing": "static",
        "os_type": "linux",
        "login_port": "2222",
        "login_user": "root",
        "login_mode": "password",
        "login_password": {"type": "password_value", "value": "hush hush"},
        "re_register": True,
    }
    return form_of("install", login | (batch or {}), role, nodemgr_install_plugin=True, **info)


async def sent(systems: Systems, plugin: AnyPlugin, form: Json, name: str) -> Json:
    async with on_stage(systems) as stage:
        await begun(stage, plugin, form)
    return systems.params_of(f"nodemgr.{name}")[0]


def hosts_in(request: Json) -> list[Json]:
    hosts = request["host"]
    assert isinstance(hosts, list)
    return [each for each in hosts if isinstance(each, dict)]


@pytest.mark.parametrize("role", ["agent", "proxy"])
@pytest.mark.parametrize(
    ("kind", "info", "name", "more"),
    [
        (
            "upgrade",
            {"nodemgr_force_restart": True, "nodemgr_graceful_restart_timeout": "60"},
            "node_upgrade",
            {
                "force": True,
                "graceful_restart_timeout_sec": 60,
                "bk_networkunit_id": 41,
                "cpu_arch": "x86_64",
                "target_version": "2.1",
            },
        ),
        (
            "restart",
            {},
            "node_restart",
            {"force": False, "graceful_restart_timeout_sec": 120},
        ),
        (
            "restart",
            {"nodemgr_reload_config": True},
            "node_reconfig",
            {"force": False, "graceful_restart_timeout_sec": 120},
        ),
        ("uninstall", {}, "node_uninstall", {}),
    ],
    ids=["upgrade", "restart", "reconfig", "uninstall"],
)
async def test_nodes_are_operated_by_their_ids(
    role: str, kind: str, info: Json, name: str, more: Json
) -> None:
    systems = nodemgr()
    form = form_of(kind, {"upgrade_version": "2.1"}, role, **info)
    request = await sent(systems, NODES, form, name)

    assert request == {"host": [{"bk_host_id": 1, **more}]}
    assert systems.paths[-1].startswith(f"/nodemgr/api/v3/node/{role}/")
    assert systems.params_of("nodemgr.host_list") == [
        {
            "page": {"offset": 0, "limit": 1000},
            "exact_include_conditions": {"bk_biz_id": [2], "bk_networkarea_id": [0]},
            "fuzzy_include_conditions": {"bk_host_innerip": [IP], "bk_host_innerip_v6": []},
        }
    ]


async def test_nodes_may_be_listed_one_by_one() -> None:
    systems = nodemgr()
    rows: list[JsonValue] = [
        {"bk_networkarea_id": 0, "inner_ip": IP, "upgrade_version": "1"},
        {"bk_networkarea_id": 7, "inner_ip": IP, "upgrade_version": "2"},
    ]
    form = form_of("upgrade", nodemgr_hosts_param_mode="list", nodemgr_hosts=rows)
    request = await sent(systems, NODES, form, "node_upgrade")

    assert [each["target_version"] for each in hosts_in(request)] == ["1", "2"]
    areas = [each["exact_include_conditions"] for each in systems.params_of("nodemgr.host_list")]
    assert areas == [{"bk_biz_id": [2], "bk_networkarea_id": [area]} for area in (0, 7)]


async def test_unknown_hosts_are_left_out_and_named() -> None:
    systems = nodemgr()
    async with on_stage(systems) as stage:
        started = await begun(stage, NODES, form_of("restart", {"inner_ip": f"{IP};{OTHER}"}))

    assert started.note == f"node manager w1; left out: {OTHER}"
    assert hosts_in(systems.asked[-1].params)[0]["bk_host_id"] == 1


@pytest.mark.parametrize(
    ("plugin", "kind", "error"),
    [
        (NODES, "upgrade", "没有可升级的有效节点: "),
        (NODES, "restart", "没有可重启的有效节点: "),
        (NODES, "uninstall", "没有可卸载的有效节点: "),
        (PLUGINS, "install", "没有可安装插件的有效节点: "),
        (PLUGINS, "uninstall", "没有可卸载插件的有效节点: "),
    ],
)
async def test_no_known_host_fails(plugin: AnyPlugin, kind: str, error: str) -> None:
    async with on_stage(nodemgr(host_list={"items": []})) as stage:
        assert await stage.run(plugin, form_of(kind)) == Failed(error=f"{error}{IP}")


@pytest.mark.parametrize(
    ("mode", "field"), [("password", "login_password"), ("keyfile", "login_key_file")]
)
async def test_a_node_is_checked_then_installed(mode: str, field: str) -> None:
    results: Json = {"results": [{"status": "ok", "matched": {"bk_host_id": 77}}]}
    systems = nodemgr(node_install_check=results)
    form = installing({"login_mode": mode, "login_ip": OTHER})
    request = await sent(systems, NODES, form, "node_install")

    [found] = hosts_in(request)
    assert from_labelled(str(found.pop(field)), NODEMGR_LABEL) == "hush hush"
    assert found == {
        "bk_addressing": "static",
        "bk_biz_id": 2,
        "bk_host_innerip": [IP],
        "bk_host_innerip_v6": [],
        "login_ip": OTHER,
        "login_port": 2222,
        "login_user": "root",
        "login_mode": mode,
        "bk_networkunit_id": 5,
        "os_type": "linux",
        "bk_host_id": 77,
        "install_pre_ordered_plugins": True,
        "re_register": True,
    }
    assert (request["target_version"], request["is_manual"]) == ([], False)
    assert systems.params_of("nodemgr.node_install_check") == [
        {
            "host": [
                {
                    "bk_biz_id": 2,
                    "bk_networkunit_id": 5,
                    "bk_host_innerip_list": [IP],
                    "bk_host_innerip_v6_list": [],
                }
            ]
        }
    ]


async def test_a_secret_in_a_vault_stays_there() -> None:
    systems = nodemgr()
    form = installing({"login_mode": "password_vault"})
    [found] = hosts_in(await sent(systems, NODES, form, "node_install"))

    assert (found["login_password"], found["login_key_file"]) == ("", "")
    assert "nodemgr.public_key_get" not in systems.names


async def test_a_proxy_gets_what_the_settings_say() -> None:
    systems = nodemgr()
    async with on_stage(systems, nodemgr_proxy={"relay_callback_port": 1}) as stage:
        await begun(stage, NODES, installing(role="proxy"))

    [found] = hosts_in(systems.params_of("nodemgr.node_install")[0])
    assert found["proxy_install_origin_unit_id"] == 5
    assert (found["relay_callback_port"], found["relay_download_port"]) == (1, 28303)
    assert found["proxy_tags"] == [
        "dedicated_installer",
        "cluster_tunnel",
        "file_tunnel",
        "data_tunnel",
    ]


async def test_an_open_unit_is_chosen_by_the_node_manager() -> None:
    units: Json = {"items": [{"bk_networkarea_id": 0, "ip": "fe80::1", "bk_networkunit_id": 9}]}
    systems = nodemgr(networkunit_recommand=units)
    form = installing({"bk_networkunit_id": -1, "inner_ip": "fe80::1"})
    [found] = hosts_in(await sent(systems, NODES, form, "node_install"))

    assert (found["bk_networkunit_id"], found["bk_host_innerip_v6"]) == (9, ["fe80::1"])
    assert systems.params_of("nodemgr.networkunit_recommand") == [
        {"items": [{"bk_networkarea_id": 0, "ip": "fe80::1"}]}
    ]


async def test_a_listed_node_has_defaults() -> None:
    rows: list[JsonValue] = [
        {"bk_networkunit_id": 5, "bk_host_innerip": IP, "login_password": "hush hush"}
    ]
    form = installing(nodemgr_hosts_param_mode="list", nodemgr_hosts=rows)
    [found] = hosts_in(await sent(nodemgr(), NODES, form, "node_install"))

    assert (found["login_ip"], found["login_port"], found["login_mode"]) == (IP, 22, "password")
    assert (found["os_type"], found["bk_addressing"]) == ("linux", "static")


async def test_hosts_that_fail_the_check_are_left_out_and_named() -> None:
    checks: Json = {"results": [{"status": "error"}, {"status": "ok"}]}
    systems = nodemgr(node_install_check=checks)
    async with on_stage(systems) as stage:
        started = await begun(stage, NODES, installing({"inner_ip": f"{IP}\n{OTHER}"}))

    assert started.note == f"node manager w1; left out: {IP}"
    [found] = hosts_in(systems.params_of("nodemgr.node_install")[0])
    assert found["bk_host_innerip"] == [OTHER]


@pytest.mark.parametrize(
    ("form", "replies", "error"),
    [
        (installing(), {"node_install_check": {"results": [{"status": "error"}]}}, "没有可安装的"),
        (installing(), {"node_install_check": {"results": []}}, "节点检查失败: 节点数量不匹配"),
        (installing(), {"node_install_check": refusal()}, "[节点管理器]安装检查失败: nope"),
        (
            installing({"bk_networkunit_id": -1}),
            {"networkunit_recommand": {"items": []}},
            f"节点安装失败: 获取推荐管控单元失败0:{IP}",
        ),
        (
            installing({"bk_networkunit_id": -1}),
            {"networkunit_recommand": refusal()},
            "[节点管理器]获取推荐管控单元失败: nope",
        ),
        (installing(), {"public_key_get": {}}, "[节点管理器]操作异常: 获取公钥失败"),
        (installing({"login_ip": f"{IP},{OTHER}"}), {}, "[节点管理器]操作异常: login_ip数量不匹配"),
        (installing({"inner_ip": "x"}), {}, "[节点管理器]操作异常: IP地址格式错误: x"),
        (installing(role="x"), {}, "[节点管理器]操作异常: Invalid nodemgr_node_role: x"),
        (
            installing(nodemgr_hosts_param_mode="x"),
            {},
            "[节点管理器]操作异常: Invalid nodemgr_hosts_param_mode",
        ),
        (
            form_of("restart", nodemgr_hosts_param_mode="x"),
            {},
            "[节点管理器]操作异常: Invalid nodemgr_hosts_param_mode",
        ),
        (form_of("explode"), {}, "不支持的操作类型: explode"),
    ],
)
async def test_what_cannot_be_done_fails_before_anything_is_changed(
    form: Json, replies: dict[str, Reply], error: str
) -> None:
    systems = nodemgr(**replies)
    async with on_stage(systems) as stage:
        outcome = await stage.run(NODES, form)

    assert isinstance(outcome, Failed)
    assert outcome.error.startswith(error)
    assert "nodemgr.node_install" not in systems.names


PLUGIN: Json = {"plugin_name": "beat", "plugin_version": "1.2"}


@pytest.mark.parametrize(
    ("kind", "name", "more"),
    [("install", "plugin_install", {"version": "1.2"}), ("uninstall", "plugin_uninstall", {})],
)
async def test_plugins_are_operated_by_the_ids_of_hosts(kind: str, name: str, more: Json) -> None:
    systems = nodemgr()
    async with on_stage(systems) as stage:
        outcome = await stage.run(PLUGINS, form_of(kind, PLUGIN))

    assert outcome == Done(
        outputs={
            "workflow_id": "w1",
            "workflow_url": f"{URL}?active=plugin",
            "success_count": 2,
            "failed_count": 0,
        }
    )
    assert systems.params_of(f"nodemgr.{name}") == [
        {"plugin": [{"bk_host_id": 1, "plugin_name": "beat", **more}]}
    ]
    assert "nodemgr.plugin_workflow_operation_list" in systems.names


async def test_an_unknown_operation_on_plugins_is_refused() -> None:
    async with on_stage(nodemgr()) as stage:
        outcome = await stage.run(PLUGINS, form_of("explode"))

    assert outcome == Failed(error="不支持的操作类型: explode")


STARTS = [
    (NODES, "node_install", installing()),
    (NODES, "node_upgrade", form_of("upgrade")),
    (NODES, "node_restart", form_of("restart")),
    (NODES, "node_uninstall", form_of("uninstall")),
    (PLUGINS, "plugin_install", form_of("install")),
    (PLUGINS, "plugin_uninstall", form_of("uninstall")),
]


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (refusal(), "[节点管理器]操作失败: nope"),
        (refusal("no", 9900403), "[节点管理器]操作失败: 调用节点管理V3(Nodemgr)接口"),
        (lost(), "outcome unknown"),
        ({}, "未获取到 workflow_id"),
    ],
    ids=["refused", "denied", "lost", "no workflow"],
)
@pytest.mark.parametrize(("plugin", "name", "form"), STARTS)
async def test_a_workflow_that_is_not_started_fails(
    plugin: AnyPlugin, name: str, form: Json, reply: Reply, error: str
) -> None:
    async with on_stage(nodemgr(**{name: reply})) as stage:
        outcome = await stage.run(plugin, form)

    assert isinstance(outcome, Failed)
    assert outcome.error.startswith(error)


@pytest.mark.parametrize(("plugin", "name", "form"), STARTS)
async def test_what_changed_nothing_is_repeated(plugin: AnyPlugin, name: str, form: Json) -> None:
    async with on_stage(nodemgr(**{name: unreached()})) as stage:
        unsent = await stage.call(plugin, form)
    async with on_stage(nodemgr(host_list=lost(), node_install_check=lost())) as stage:
        looked_up = await stage.call(plugin, form)

    assert isinstance(unsent, TryAgain)
    assert isinstance(looked_up, TryAgain)


@pytest.mark.parametrize("plugin", [NODES, PLUGINS], ids=["nodes", "plugins"])
async def test_a_workflow_is_followed_to_its_last_operation(plugin: AnyPlugin) -> None:
    waiting: Json = {"operation_id": "op2", "latest_oper_inst_brief_data": None}
    looks = Turns(
        [
            {"operations": []},
            {"operations": [operation("RUNNING"), waiting]},
            {"operations": [operation("Success"), operation({"state": "Succeeded"})]},
        ]
    )
    systems = nodemgr(node_workflow_operation_list=looks, plugin_workflow_operation_list=looks)
    async with on_stage(systems) as stage:
        outcome = await stage.run(plugin, form_of("uninstall"))

    assert isinstance(outcome, Done)
    assert (outcome.outputs["success_count"], outcome.outputs["failed_count"]) == (2, 0)
    assert stage.elapsed_s == 3 * LOOK_S
    assert systems.asked[-1].params == {
        "workflow_id": "w1",
        "only_count": False,
        "page": {"offset": 0, "limit": PAGE},
    }


@pytest.mark.parametrize("state", ["failed", "FAILURE", "timeout", "terminated"])
async def test_a_failed_operation_fails_the_node(state: str) -> None:
    listed: Json = {"operations": [operation("success"), operation(state, 2)]}
    async with on_stage(nodemgr(node_workflow_operation_list=listed)) as stage:
        outcome = await stage.run(NODES, form_of("restart"))

    assert outcome == Failed(
        error="Workflow 执行失败: Operation op2 failed",
        outputs={
            "workflow_id": "w1",
            "workflow_url": URL,
            "success_count": 1,
            "failed_count": 1,
        },
    )


async def test_operations_are_read_to_the_last_page() -> None:
    full: list[JsonValue] = [operation("success", n) for n in range(PAGE)]
    pages = Turns([{"operations": full}, {"operations": [operation("RUNNING")]}])
    systems = nodemgr(node_workflow_operation_list=pages)
    async with on_stage(systems) as stage:
        result = await stage.poll(NODES, form_of("restart"), "w1")

    assert isinstance(result, TryAgain)
    offsets = [each["page"] for each in systems.params_of("nodemgr.node_workflow_operation_list")]
    assert offsets == [{"offset": at, "limit": PAGE} for at in (0, PAGE)]


@pytest.mark.parametrize("plugin", [NODES, PLUGINS], ids=["nodes", "plugins"])
async def test_a_refused_look_fails_and_a_lost_one_is_repeated(plugin: AnyPlugin) -> None:
    def listing(reply: Reply) -> Systems:
        return nodemgr(node_workflow_operation_list=reply, plugin_workflow_operation_list=reply)

    async with on_stage(listing(refusal())) as stage:
        refused = await stage.poll(plugin, form_of("restart"), "w1")
    async with on_stage(listing(lost())) as stage:
        unanswered = await stage.poll(plugin, form_of("restart"), "w1")

    assert isinstance(refused, Failed)
    assert refused.error == "[节点管理器]操作失败: nope"
    assert isinstance(unanswered, TryAgain)
