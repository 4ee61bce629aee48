"""CMDB's components that move and lock hosts: what they send, and how they fail."""

import pytest
from pydantic import JsonValue

from activities.blueking.cmdb.transfer import TRANSFERS
from activities.contract import Done, Failed
from activities.sdk import AnyPlugin
from tests.helpers.cmdb_platform import WHERE, Cmdb, changes_of, ended, failure_of, lost
from tests.helpers.job_platform import Asked, Json, host, refusal

PLUGINS = {(plugin.ref.code, plugin.ref.version): plugin for plugin in TRANSFERS}
MOVES = {
    "cc_transfer_to_idle": ("legacy", "cc.transfer_host_to_idlemodule"),
    "cmdb_transfer_fault_host": ("legacy", "cc.transfer_host_to_faultmodule"),
    "cc_transfer_to_recovery": ("1.0", "cc.transfer_host_to_recyclemodule"),
    "cmdb_transfer_host_resource": ("legacy", "cc.transfer_host_to_resourcemodule"),
}
LOCKS = {"cmdb_add_host_lock": "cc.add_host_lock", "cmdb_delete_host_lock": "cc.delete_host_lock"}
BY_VERSION: dict[str, Json] = {
    "legacy": {"cc_module_select": ["set_5", "module_51"]},
    "v1.0": {"cc_module_select_method": "text", "cc_module_select_text": "shop>east>web\n"},
}
SIMPLE: list[tuple[AnyPlugin, str]] = [
    *((PLUGINS[code, version], api) for code, (version, api) in MOVES.items()),
    *((PLUGINS[code, "v1.0"], api) for code, api in LOCKS.items()),
]
simple = pytest.mark.parametrize(("plugin", "api"), SIMPLE, ids=str)
versions = pytest.mark.parametrize("version", ["legacy", "v1.0"])
batches = pytest.mark.parametrize("version", ["1.0", "1.1"])


def batch(version: str) -> AnyPlugin:
    return PLUGINS["cc_batch_transfer_host_module", version]


def row(ip: str, modules: str) -> Json:
    return {"cc_transfer_host_ip": ip, "cc_transfer_host_target_module": modules}


def rows(*pairs: tuple[str, str], **more: JsonValue) -> Json:
    table: list[JsonValue] = [row(*pair) for pair in pairs]
    return {"cc_host_transfer_detail": table, **more}


def moved(*hosts: int, to: list[int], append: bool) -> Asked:
    request: Json = {
        **WHERE,
        "bk_host_id": [*hosts],
        "bk_module_id": [*to],
        "is_increment": append,
    }
    return Asked("cc.transfer_host_module", request)


@pytest.mark.parametrize(("code", "version", "api"), [(c, *row) for c, row in MOVES.items()])
async def test_hosts_are_moved_by_their_ids(code: str, version: str, api: str) -> None:
    form: Json = {"biz_cc_id": "2", "cc_host_ip": "10.0.0.2, 10.0.0.1\n10.0.0.2"}

    changes = await changes_of(PLUGINS[code, version], form)

    assert changes == [Asked(api, {**WHERE, "bk_host_id": [2, 1]})]


@pytest.mark.parametrize(("code", "api"), LOCKS.items())
async def test_hosts_are_locked_by_their_ids(code: str, api: str) -> None:
    changes = await changes_of(PLUGINS[code, "v1.0"], {"cc_host_ip": "10.0.0.1 10.0.0.3"})

    assert changes == [Asked(api, {"id_list": [1, 3]})]


@simple
async def test_a_host_of_no_business_stops_the_move(plugin: AnyPlugin, api: str) -> None:
    platform = Cmdb()

    error = await failure_of(platform, plugin, {"cc_host_ip": "10.0.0.1,10.0.0.9"})

    assert error == "IP [10.0.0.9] 在本业务下不存在: 请检查配置, 修复后重新执行任务"
    assert api not in platform.names()


@simple
async def test_an_address_in_two_areas_stops_the_move(plugin: AnyPlugin, api: str) -> None:
    platform = Cmdb()
    platform.hosts.append({**host(1, cloud=3), "bk_host_id": 11})

    error = await failure_of(platform, plugin, {"cc_host_ip": "10.0.0.1"})

    assert error == "IP [10.0.0.1] 在本业务下重复: 请检查配置, 修复后重新执行任务"
    assert api not in platform.names()


@simple
async def test_no_host_at_all_is_no_move(plugin: AnyPlugin, api: str) -> None:
    platform = Cmdb()

    error = await failure_of(platform, plugin, {"cc_host_ip": " "})

    assert error.startswith("no host is named")
    assert platform.asked == []


@simple
async def test_what_cmdb_says_is_told(plugin: AnyPlugin, api: str) -> None:
    platform = Cmdb(**{api.replace(".", "__"): refusal("host is busy")})

    error = await failure_of(platform, plugin, {"cc_host_ip": "10.0.0.1"})

    assert error.startswith(f"调用配置平台(CMDB)接口{api}返回失败, error=host is busy, params=")


@simple
async def test_a_missing_permission_is_named(plugin: AnyPlugin, api: str) -> None:
    denied = refusal("denied", 9900403, permission={"actions": [{"name": "Edit hosts"}]})
    platform = Cmdb(**{api.replace(".", "__"): denied})

    error = await failure_of(platform, plugin, {"cc_host_ip": "10.0.0.1"})

    assert f"接口{api}无权限 (Edit hosts)" in error


async def test_with_ipv6_hosts_may_be_named_by_their_ids() -> None:
    platform = Cmdb()
    platform.hosts.append(host(9, v6="fd00:0000:0000:0000:0000:0000:0000:0009"))
    plugin = PLUGINS["cc_transfer_to_idle", "legacy"]

    end = await ended(platform, plugin, {"cc_host_ip": "fd00::9, 3"}, ipv6=True)

    assert isinstance(end, Done), end
    assert platform.changes[0].params["bk_host_id"] == [9, 3]


async def test_a_lost_answer_is_asked_again_where_a_repeat_finds_the_hosts() -> None:
    api = "cc.transfer_host_to_idlemodule"
    platform = Cmdb(cc__transfer_host_to_idlemodule=[lost(), {}])

    changes = await changes_of(
        PLUGINS["cc_transfer_to_idle", "legacy"], {"cc_host_ip": "10.0.0.1"}, platform
    )

    assert [each.name for each in changes] == [api, api]


async def test_hosts_that_leave_the_business_are_moved_once_only() -> None:
    platform = Cmdb(cc__transfer_host_to_resourcemodule=lost())

    error = await failure_of(
        platform, PLUGINS["cmdb_transfer_host_resource", "legacy"], {"cc_host_ip": "10.0.0.1"}
    )

    assert error.startswith("outcome unknown: ")
    assert len(platform.changes) == 1


# --- to modules -------------------------------------------------------------------------------


@versions
@pytest.mark.parametrize(("increment", "append"), [("true", True), ("false", False)])
async def test_hosts_are_moved_to_modules(version: str, increment: str, *, append: bool) -> None:
    form: Json = {"cc_host_ip": "10.0.0.1\n0:10.0.0.2", "cc_is_increment": increment}

    changes = await changes_of(
        PLUGINS["cc_transfer_host_module", version], {**form, **BY_VERSION[version]}
    )

    assert changes == [moved(1, 2, to=[51], append=append)]


@versions
async def test_a_host_that_is_not_there_keeps_all_where_they_are(version: str) -> None:
    platform = Cmdb()
    form: Json = {"cc_host_ip": "10.0.0.1 3:10.0.0.2 10.0.0.9", **BY_VERSION[version]}

    error = await failure_of(platform, PLUGINS["cc_transfer_host_module", version], form)

    assert error.startswith("IP [3:10.0.0.2, 10.0.0.9] 在本业务下不存在")
    assert platform.changes == []


@versions
async def test_with_ipv6_hosts_of_all_kinds_are_moved_to_modules(version: str) -> None:
    platform = Cmdb()
    platform.hosts.append(host(9, v6="fd00:0000:0000:0000:0000:0000:0000:0009"))
    form: Json = {"cc_host_ip": "0:[fd00::9] 3 0:10.0.0.1", **BY_VERSION[version]}

    end = await ended(platform, PLUGINS["cc_transfer_host_module", version], form, ipv6=True)

    assert isinstance(end, Done), end
    assert platform.changes == [moved(1, 3, 9, to=[51], append=False)]


@versions
async def test_hosts_are_not_moved_to_nowhere(version: str) -> None:
    form: Json = {"cc_host_ip": "10.0.0.1", "cc_module_select_method": "topo"}
    ticked: Json = {"cc_module_select": ["set_5"], "cc_module_select_topo": ["set_5"]}

    error = await failure_of(
        Cmdb(), PLUGINS["cc_transfer_host_module", version], {**form, **ticked}
    )

    assert error.startswith("no module is named")


@pytest.mark.parametrize(
    ("method", "text", "said"),
    [
        ("", "", "请选择填参方式"),
        ("text", "shop>east", "输入文本路径[shop>east]与业务拓扑层级不匹配"),
        ("text", "shop>east>cache", "拓扑路径 [shop>east>cache] 在本业务下不存在"),
    ],
)
async def test_modules_that_are_none_are_told(method: str, text: str, said: str) -> None:
    form: Json = {"cc_module_select_method": method, "cc_module_select_text": text}

    error = await failure_of(
        Cmdb(), PLUGINS["cc_transfer_host_module", "v1.0"], {"cc_host_ip": "10.0.0.1", **form}
    )

    assert error.startswith(said)


# --- row by row -------------------------------------------------------------------------------


@batches
async def test_each_row_moves_its_hosts(version: str) -> None:
    form = rows(("10.0.0.1", "east>web"), ("10.0.0.2,10.0.0.3", "shop>east>db,west>web"))
    platform = Cmdb()

    end = await ended(platform, batch(version), {**form, "is_append": False})

    assert platform.changes == [
        moved(1, to=[51], append=False),
        moved(2, 3, to=[52, 61], append=False),
    ]
    assert end == Done(
        outputs={
            "transfer_host_module_success": form["cc_host_transfer_detail"],
            "transfer_host_module_failed": [],
        }
    )


@batches
async def test_the_topology_is_read_once(version: str) -> None:
    platform = Cmdb()

    await ended(platform, batch(version), rows(*[("10.0.0.1", "east>web")] * 3))

    assert platform.names().count("cc.search_biz_inst_topo") == 1
    assert [each.params["is_increment"] for each in platform.changes] == [True] * 3


async def test_a_row_is_expanded_in_1_0_when_the_form_says_so() -> None:
    form = rows(
        ("10.0.0.1|10.0.0.2", "east>web|east>db"),
        cc_module_select_method="auto",
        cc_transfer_host_template_break_line="|",
    )

    changes = await changes_of(batch("1.0"), form)

    assert changes == [moved(1, to=[51], append=True), moved(2, to=[52], append=True)]


async def test_cells_of_different_length_are_refused() -> None:
    form = rows(("10.0.0.1,10.0.0.2,10.0.0.3", "east>web,east>db"), cc_module_select_method="auto")

    error = await failure_of(Cmdb(), batch("1.0"), form)

    assert error.startswith("非法请求: [单行自动扩展]中, ")


@batches
async def test_a_wrong_row_does_not_stop_the_others(version: str) -> None:
    form = rows(("10.0.0.9", "east>web"), ("10.0.0.1", "east>no"), ("10.0.0.2", "east>db"))
    platform = Cmdb()

    end = await ended(platform, batch(version), form)

    assert isinstance(end, Failed), end
    mend = "在本业务下不存在: 请检查配置, 修复后重新执行任务"
    failed = [
        f"10.0.0.9 -> east>web: IP [10.0.0.9] {mend}",
        f"10.0.0.1 -> east>no: 拓扑路径 [shop>east>no] {mend}",
    ]
    assert end.error == "\n".join(failed)
    assert end.outputs["transfer_host_module_failed"] == failed
    assert platform.changes == [moved(2, to=[52], append=True)]


@batches
async def test_a_lost_row_is_told_as_unknown_and_the_others_go_on(version: str) -> None:
    platform = Cmdb(cc__transfer_host_module=[lost(), {}])
    form = rows(("10.0.0.1", "east>web"), ("10.0.0.2", "east>db"))

    end = await ended(platform, batch(version), form)

    assert isinstance(end, Failed), end
    assert end.error.startswith("10.0.0.1 -> east>web: outcome unknown: ")
    assert end.outputs["transfer_host_module_success"] == [row("10.0.0.2", "east>db")]
    assert len(platform.changes) == 2


@batches
async def test_a_lost_look_up_before_any_move_is_asked_again(version: str) -> None:
    hosts: Json = {"count": 1, "info": [host(1)]}
    platform = Cmdb(cc__list_biz_hosts=[lost(), hosts])

    changes = await changes_of(batch(version), rows(("10.0.0.1", "east>web")), platform)

    assert changes == [moved(1, to=[51], append=True)]
