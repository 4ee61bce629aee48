"""`nodeman_create_task` from v2.0 on: what each version sends for each job, and how jobs end."""

import pytest
from pydantic import JsonValue

from activities.blueking.nodeman.jobs import LOOK_S, MOST_LOGS
from activities.blueking.nodeman.tasks import TASKS
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
    unreached,
)

TASK: dict[str, AnyPlugin] = {each.ref.version: each for each in TASKS}
OLD, NEW = ("v2.0", "v3.0"), ("v4.0", "v5.0", "v6.0", "v7.0")
ALL = OLD + NEW
PREFIX = "REVGQVVMVA=="
ROW: Json = {
    "nodeman_bk_cloud_id": 3,
    "nodeman_ap_id": 1,
    "inner_ip": "10.0.0.1,10.0.0.2",
    "login_ip": "10.1.0.1\n10.1.0.1",
    "os_type": "LINUX",
    "account": "root",
    "port": "22",
    "auth_type": "PASSWORD",
    "auth_key": {"type": "password_value", "value": "hush hush"},
}
IDS: Json = {"10.0.0.1": 101, "10.0.0.2": 102}


def form_of(
    version: str,
    operation: str,
    node: str = "AGENT",
    row: Json | None = None,
    text: str = "10.0.0.1,10.0.0.2",
    **info: JsonValue,
) -> Json:
    """Return a form that asks for the same thing in each version's places."""
    rows: list[JsonValue] = [ROW | (row or {})]
    common: Json = {"nodeman_op_type": operation, "nodeman_hosts": rows, **info}
    if version == "v2.0":
        return {
            "bk_biz_id": 2,
            "nodeman_op_target": {"nodeman_bk_cloud_id": 3, "nodeman_node_type": node},
            "nodeman_op_info": {**common, "nodeman_ap_id": 1, "nodeman_ip_str": text},
        }
    others: list[JsonValue] = [{"nodeman_bk_cloud_id": 3, "nodeman_ip_str": text}]
    placed: Json = {**common, "nodeman_other_hosts": others}
    if version == "v3.0":
        return {"bk_biz_id": 2, "nodeman_node_type": node, "nodeman_op_info": placed}
    return {"bk_biz_id": 2, "nodeman_op_info": {**placed, "nodeman_node_type": node}}


def searched(params: Json) -> JsonValue:
    conditions = params["conditions"]
    assert isinstance(conditions, list)
    assert isinstance(conditions[0], dict)
    wanted = conditions[0]["value"]
    assert isinstance(wanted, list)
    found = [ip for ip in wanted if ip in IDS]
    return {"list": [{"inner_ip": ip, "bk_host_id": IDS[str(ip)]} for ip in found]}


def nodeman(**replies: Reply | Turns) -> Systems:
    in_cmdb: list[JsonValue] = [
        {"bk_host_id": number, "bk_host_innerip": ip} for ip, number in IDS.items()
    ]
    named = {name.replace("__", "."): reply for name, reply in replies.items()}
    key: list[JsonValue] = [{"name": "DEFAULT", "content": PEM, "cipher_type": "RSA"}]
    return Systems(
        {
            "nodeman.get_rsa_public_key": key,
            "nodeman.search_host_plugin": searched,
            "nodeman.job_install": {"job_id": 9, "job_url": "https://nodeman.test/9"},
            "nodeman.job_operate": {"job_id": 9},
            "nodeman.job_details": details("SUCCESS", 2, 0),
            "cc.list_biz_hosts": {"count": 2, "info": in_cmdb},
            **named,
        }
    )


def details(status: str, good: int, bad: int, *hosts: Json) -> Json:
    return {
        "status": status,
        "statistics": {"success_count": good, "failed_count": bad},
        "list": [*hosts],
    }


async def sent(systems: Systems, version: str, form: Json, name: str) -> Json:
    async with on_stage(systems) as stage:
        await begun(stage, TASK[version], form)
    return systems.params_of(name)[0]


def hosts_in(request: Json) -> list[Json]:
    hosts = request["hosts"]
    assert isinstance(hosts, list)
    return [each for each in hosts if isinstance(each, dict)]


@pytest.mark.parametrize("node", ["AGENT", "PROXY"])
@pytest.mark.parametrize("operation", ["INSTALL", "REINSTALL"])
@pytest.mark.parametrize("version", ALL)
async def test_an_installation_is_sent_host_by_host(
    version: str, operation: str, node: str
) -> None:
    systems = nodeman()
    form = form_of(version, operation, node)
    request = await sent(systems, version, form, "nodeman.job_install")

    hosts = hosts_in(request)
    passwords = [str(each.pop("password")) for each in hosts]
    again = operation == "REINSTALL"
    options: Json = {} if version in OLD else {"force_update_agent_id": False}
    common: Json = {
        "bk_biz_id": 2,
        "bk_cloud_id": 3,
        "ap_id": 1,
        "os_type": "LINUX",
        "port": "22",
        "account": "root",
        "auth_type": "PASSWORD",
        "is_manual": False,
        "peer_exchange_switch_for_agent": 0,
        "login_ip": "10.1.0.1",
        **options,
    }
    assert hosts == [
        {**common, "inner_ip": ip, **({"bk_host_id": number} if again else {})}
        for ip, number in IDS.items()
    ]
    latest: Json = {} if version in OLD else {"is_install_latest_plugins": True}
    assert {k: v for k, v in request.items() if k != "hosts"} == {
        "job_type": f"{operation}_{node}",
        **latest,
    }
    assert [from_blocks(each, PREFIX) for each in passwords] == ["hush hush"] * 2
    assert systems.params_of("nodeman.get_rsa_public_key") == [{"names": ["DEFAULT"]}]


@pytest.mark.parametrize("version", NEW)
async def test_later_versions_look_hosts_up_in_cmdb(version: str) -> None:
    systems = nodeman()
    row: Json = {"nodeman_bk_cloud_id": "3"}
    await sent(systems, version, form_of(version, "REINSTALL", row=row), "nodeman.job_install")

    rules: list[JsonValue] = [
        {"field": "bk_host_innerip", "operator": "in", "value": ["10.0.0.1", "10.0.0.2"]},
        {"field": "bk_cloud_id", "operator": "equal", "value": 3},
    ]
    assert systems.params_of("cc.list_biz_hosts") == [
        {
            "bk_biz_id": 2,
            "bk_supplier_account": "0",
            "fields": ["bk_host_id", "bk_host_innerip"],
            "host_property_filter": {"condition": "AND", "rules": rules},
            "page": {"start": 0, "limit": 500},
        }
    ]


@pytest.mark.parametrize("version", NEW)
async def test_later_versions_have_options(version: str) -> None:
    row: Json = {
        "peer_exchange_switch_for_agent": 1,
        "speed_limit": "20",
        "force_update_agent_id": True,
        "nodeman_bk_install_channel": 6,
        "bk_addressing": "dynamic",
        "auth_type": "KEY",
    }
    form = form_of(version, "INSTALL", row=row, nodeman_install_latest_plugins=False)
    request = await sent(nodeman(), version, form, "nodeman.job_install")

    host = hosts_in(request)[0]
    assert from_blocks(str(host["key"]), PREFIX) == "hush hush"
    assert request["is_install_latest_plugins"] is False
    assert {key: host[key] for key in row if key in host} == {
        "peer_exchange_switch_for_agent": 1,
        "force_update_agent_id": True,
        "bk_addressing": "dynamic",
        "auth_type": "KEY",
    }
    assert (host["bt_speed_limit"], host["install_channel_id"]) == (20, 6)


@pytest.mark.parametrize("channel", [-1, "-1", "", None])
async def test_the_default_channel_is_left_out(channel: JsonValue) -> None:
    form = form_of("v6.0", "INSTALL", row={"nodeman_bk_install_channel": channel})
    request = await sent(nodeman(), "v6.0", form, "nodeman.job_install")

    assert "install_channel_id" not in hosts_in(request)[0]


@pytest.mark.parametrize("version", NEW)
async def test_a_reload_needs_no_login(version: str) -> None:
    systems = nodeman()
    request = await sent(systems, version, form_of(version, "RELOAD"), "nodeman.job_install")

    host = hosts_in(request)[0]
    assert not {"auth_type", "password", "key", "port", "account"} & set(host)
    assert (host["bk_host_id"], host["peer_exchange_switch_for_agent"]) == (101, 0)
    assert "is_install_latest_plugins" not in request
    assert "nodeman.get_rsa_public_key" not in systems.names


@pytest.mark.parametrize("version", NEW)
async def test_later_versions_uninstall_agents_by_their_rows(version: str) -> None:
    form = form_of(version, "UNINSTALL")
    request = await sent(nodeman(), version, form, "nodeman.job_install")

    host = hosts_in(request)[0]
    assert host["bk_host_id"] == 101
    assert "password" in host
    assert "peer_exchange_switch_for_agent" not in host
    assert "is_install_latest_plugins" not in request


@pytest.mark.parametrize("version", NEW)
async def test_a_ticket_is_sent_as_it_is_and_never_told(version: str) -> None:
    systems = nodeman(nodeman__job_install=refusal("bad ticket"))
    form = form_of(version, "INSTALL", row={"auth_type": "TJJ_PASSWORD", "auth_key": "t1cket"})
    async with on_stage(systems) as stage:
        outcome = await stage.run(TASK[version], form)

    [request] = systems.params_of("nodeman.job_install")
    assert hosts_in(request)[0]["key"] == "t1cket"
    assert "nodeman.get_rsa_public_key" not in systems.names
    assert isinstance(outcome, Failed)
    assert "bad ticket" in outcome.error
    assert "t1cket" not in outcome.error


OPERATED = [
    *((version, "UPGRADE", node) for version in ALL for node in ("AGENT", "PROXY")),
    *((version, "UNINSTALL", node) for version in OLD for node in ("AGENT", "PROXY")),
    *((version, "RESTART", node) for version in NEW for node in ("AGENT", "PROXY")),
    *((version, "UNINSTALL", "PROXY") for version in NEW),
]


@pytest.mark.parametrize(("version", "operation", "node"), OPERATED)
async def test_an_operation_is_sent_by_ids(version: str, operation: str, node: str) -> None:
    systems = nodeman()
    form = form_of(version, operation, node)
    request = await sent(systems, version, form, "nodeman.job_operate")

    assert request == {
        "job_type": f"{operation}_{node}",
        "bk_biz_id": [2],
        "bk_host_id": [101, 102],
    }
    assert systems.params_of("nodeman.search_host_plugin") == [
        {
            "bk_biz_id": [2],
            "pagesize": -1,
            "conditions": [
                {"key": "inner_ip", "value": ["10.0.0.1", "10.0.0.2"]},
                {"key": "bk_cloud_id", "value": [3]},
            ],
        }
    ]


@pytest.mark.parametrize("node", ["AGENT", "PROXY"])
@pytest.mark.parametrize("version", OLD)
async def test_a_removal_makes_no_job(version: str, node: str) -> None:
    systems = nodeman()
    async with on_stage(systems) as stage:
        outcome = await stage.run(TASK[version], form_of(version, "REMOVE", node))

    assert outcome == Done(outputs={"job_id": ""})
    assert systems.params_of("nodeman.remove_host") == [
        {"bk_biz_id": [2], "bk_host_id": [101, 102], "is_proxy": node == "PROXY"}
    ]


UNKNOWN = [
    *((version, "REMOVE") for version in NEW),
    *((version, "RELOAD") for version in OLD),
    *((version, "EXPLODE") for version in ALL),
]


@pytest.mark.parametrize(("version", "operation"), UNKNOWN)
async def test_a_job_that_a_version_does_not_have_is_refused(version: str, operation: str) -> None:
    systems = nodeman()
    async with on_stage(systems) as stage:
        outcome = await stage.run(TASK[version], form_of(version, operation))

    assert outcome == Failed(error=f"无效的操作请求:{operation}_AGENT")
    assert systems.asked == []


@pytest.mark.parametrize("version", ALL)
@pytest.mark.parametrize(
    ("operation", "row", "text", "error"),
    [
        ("INSTALL", {"inner_ip": "none"}, "", "请确认内网Ip是否合法host_info:none"),
        (
            "INSTALL",
            {"login_ip": "10.1.0.1"},
            "",
            "获取10.0.0.1的login_ip失败,请确认是否与inner_ip一一对应",
        ),
        (
            "REINSTALL",
            {"inner_ip": "10.0.0.9", "login_ip": ""},
            "",
            "获取bk_host_id失败:10.0.0.9,请确认管控区域是否正确",
        ),
        (
            "UPGRADE",
            {},
            "10.0.0.1,10.0.0.8",
            "获取bk_host_id失败:10.0.0.8,请确认管控区域是否正确",
        ),
        ("UPGRADE", {}, "none", "请确认内网Ip是否合法host_info:none"),
    ],
)
async def test_hosts_that_are_not_found_fail_before_anything_is_sent(
    version: str, operation: str, row: Json, text: str, error: str
) -> None:
    systems = nodeman()
    async with on_stage(systems) as stage:
        form = form_of(version, operation, row=row, text=text)
        outcome = await stage.run(TASK[version], form)

    assert outcome == Failed(error=error)
    assert not {"nodeman.job_install", "nodeman.job_operate"} & set(systems.names)


async def test_with_ipv6_hosts_are_named_by_either_address() -> None:
    v6 = "fe80:0000:0000:0000:0000:0000:0000:0001"
    systems = nodeman(
        nodeman__search_host_plugin={"list": [{"inner_ipv6": v6, "bk_host_id": 7}]},
        cc__list_biz_hosts={"count": 1, "info": [{"bk_host_innerip_v6": v6, "bk_host_id": 7}]},
    )
    row: Json = {"inner_ip": "", "inner_ipv6": "fe80::1", "login_ip": ""}
    async with on_stage(systems, ipv6=True) as stage:
        await begun(stage, TASK["v3.0"], form_of("v3.0", "REINSTALL", row=row))
        await begun(stage, TASK["v7.0"], form_of("v7.0", "REINSTALL", row=row))
        await begun(stage, TASK["v7.0"], form_of("v7.0", "RESTART", text="fe80::1"))

    for request in systems.params_of("nodeman.job_install"):
        host = hosts_in(request)[0]
        assert (host["inner_ipv6"], host["bk_host_id"]) == (v6, 7)
        assert "inner_ip" not in host
    assert systems.params_of("nodeman.job_operate")[0]["bk_host_id"] == [7]
    conditions = systems.params_of("nodeman.search_host_plugin")[0]["conditions"]
    assert isinstance(conditions, list)
    assert conditions[0] == {"key": "ip", "value": [v6]}


@pytest.mark.parametrize(
    ("key", "error"),
    [
        ([], "获取节点管理公钥失败"),
        (
            [{"content": PEM, "cipher_type": "SM2"}],
            "the node manager's public key is of kind 'SM2'",
        ),
        ([{"content": "x"}], "the node manager's public key cannot be read"),
    ],
    ids=["none", "other kind", "broken"],
)
async def test_a_key_that_cannot_be_used_fails(key: JsonValue, error: str) -> None:
    systems = nodeman(nodeman__get_rsa_public_key=key)
    async with on_stage(systems) as stage:
        outcome = await stage.run(TASK["v7.0"], form_of("v7.0", "INSTALL"))

    assert isinstance(outcome, Failed)
    assert outcome.error.startswith(error)
    assert "nodeman.job_install" not in systems.names


@pytest.mark.parametrize("version", ALL)
async def test_a_job_is_followed_to_its_end(version: str) -> None:
    looks = Turns([details("RUNNING", 0, 0), details("RUNNING", 1, 0), details("SUCCESS", 2, 0)])
    systems = nodeman(nodeman__job_details=looks)
    async with on_stage(systems) as stage:
        outcome = await stage.run(TASK[version], form_of(version, "INSTALL"))

    assert outcome == Done(
        outputs={
            "job_id": 9,
            "job_url": "https://nodeman.test/9",
            "success_num": 2,
            "fail_num": 0,
        }
    )
    assert stage.elapsed_s == 3 * LOOK_S
    assert systems.params_of("nodeman.job_details") == [{"job_id": 9}] * 3


@pytest.mark.parametrize("status", ["FAILED", "PART_FAILED"])
@pytest.mark.parametrize("version", ALL)
async def test_a_failed_job_tells_the_logs_of_its_hosts(version: str, status: str) -> None:
    host: Json = {"status": "FAILED", "inner_ip": "10.0.0.1", "instance_id": "h1"}
    systems = nodeman(
        nodeman__job_details=details(status, 1, 1, host, {"status": "SUCCESS"}),
        nodeman__get_job_log=[
            {"status": "SUCCESS", "step": "begin", "log": "ok"},
            {"status": "FAILED", "step": "copy", "log": "no space"},
        ],
    )
    async with on_stage(systems) as stage:
        outcome = await stage.run(TASK[version], form_of(version, "UPGRADE"))

    assert outcome == Failed(
        error="操作失败主机日志信息：\n主机：10.0.0.1\n错误日志：copy\nno space",
        outputs={"job_id": 9, "success_num": 1, "fail_num": 1},
    )
    assert systems.params_of("nodeman.get_job_log") == [{"job_id": 9, "instance_id": "h1"}]


async def test_a_log_that_cannot_be_read_says_why_and_many_are_cut() -> None:
    hosts: list[Json] = [
        {"status": "FAILED", "inner_ip": f"10.0.0.{n}", "instance_id": n}
        for n in range(MOST_LOGS + 3)
    ]
    systems = nodeman(
        nodeman__job_details=details("FAILED", 0, len(hosts), *hosts),
        nodeman__get_job_log=Turns([refusal("locked"), []]),
    )
    async with on_stage(systems) as stage:
        outcome = await stage.poll(TASK["v7.0"], form_of("v7.0", "UPGRADE"), 9)

    assert isinstance(outcome, Failed)
    assert "接口nodeman.get_job_log返回失败, error=locked" in outcome.error
    assert outcome.error.endswith("… 3 more")


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (refusal("nope", data={"ip": "in use"}), '返回失败, error=nope{"ip": "in use"}'),
        (denial(), "无权限 (use x)"),
        (lost(), "outcome unknown"),
        ({}, "获取任务job_id失败，result:{}"),
    ],
    ids=["refused", "denied", "lost", "no job"],
)
@pytest.mark.parametrize("operation", ["INSTALL", "UPGRADE"])
@pytest.mark.parametrize("version", ALL)
async def test_a_job_that_is_not_started_fails_the_node(
    version: str, operation: str, reply: Reply, error: str
) -> None:
    systems = nodeman(nodeman__job_install=reply, nodeman__job_operate=reply)
    async with on_stage(systems) as stage:
        outcome = await stage.run(TASK[version], form_of(version, operation))

    assert isinstance(outcome, Failed)
    assert error in outcome.error


async def test_what_changed_nothing_is_repeated() -> None:
    form = form_of("v7.0", "UPGRADE")
    async with on_stage(nodeman(nodeman__search_host_plugin=lost())) as stage:
        looked_up = await stage.call(TASK["v7.0"], form)
    async with on_stage(nodeman(nodeman__job_operate=unreached())) as stage:
        unsent = await stage.call(TASK["v7.0"], form)
    async with on_stage(nodeman(nodeman__job_details=lost())) as stage:
        looked = await stage.poll(TASK["v7.0"], form, 9)

    assert isinstance(looked_up, TryAgain)
    assert isinstance(unsent, TryAgain)
    assert isinstance(looked, TryAgain)
