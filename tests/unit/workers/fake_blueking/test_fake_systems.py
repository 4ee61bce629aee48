"""CMDB and the smaller systems of the fake platform, by the shapes of the reference."""

from typing import Any

import pytest

from tests.fake_bk import Site

Json = dict[str, Any]

PAGE: Json = {"start": 0, "limit": 500}
BIZ: Json = {"bk_biz_id": 2, "bk_supplier_account": "0"}


def by_ip(*ips: str) -> Json:
    rule = {"field": "bk_host_innerip", "operator": "in", "value": [*ips]}
    return {"host_property_filter": {"condition": "AND", "rules": [rule]}}


@pytest.fixture
def site() -> Site:
    return Site()


def modules_of(site: Site, ip: str) -> list[str]:
    world = site.platform.world
    host = world.host_at(ip, 0)
    assert host is not None
    return [world.modules[number].name for number in host.modules]


# --- what is read -----------------------------------------------------------------------------


def test_hosts_come_as_count_and_info_with_the_fields_asked_for(site: Site) -> None:
    fields = {"fields": ["bk_host_id", "bk_host_innerip"]}
    data = site.data(
        "POST", "/cc/list_biz_hosts/", {**BIZ, **by_ip("10.0.1.1"), **fields, "page": PAGE}
    )

    assert data == {"count": 1, "info": [{"bk_host_id": 101, "bk_host_innerip": "10.0.1.1"}]}


def test_pages_follow_each_other(site: Site) -> None:
    pages = [
        site.data("POST", "/cc/list_biz_hosts/", {**BIZ, "page": {"start": at, "limit": 4}})
        for at in (0, 4)
    ]

    assert [page["count"] for page in pages] == [6, 6]
    assert [len(page["info"]) for page in pages] == [4, 2]


def test_a_host_comes_with_its_place(site: Site) -> None:
    data = site.data("POST", "/cc/list_biz_hosts_topo/", {**BIZ, **by_ip("10.0.2.1"), "page": PAGE})

    [row] = data["info"]
    assert row["host"]["bk_host_id"] == 104
    module = {"bk_module_id": 32, "bk_module_name": "db"}
    assert row["topo"] == [{"bk_set_id": 11, "bk_set_name": "East", "module": [module]}]


def test_the_tree_goes_from_business_to_module(site: Site) -> None:
    [root] = site.data("GET", "/cc/search_biz_inst_topo/", BIZ)

    assert (root["bk_obj_id"], root["bk_inst_id"], root["bk_inst_name"]) == ("biz", 2, "Shop")
    assert [child["bk_inst_name"] for child in root["child"]] == ["East", "West"]
    assert root["child"][1]["child"][0]["bk_inst_name"] == "web"


def test_levels_name_their_neighbours(site: Site) -> None:
    rows = site.data("GET", "/cc/get_mainline_object_topo/", {})

    assert [row["bk_obj_id"] for row in rows] == ["biz", "set", "module", "host"]
    assert (rows[1]["bk_pre_obj_id"], rows[1]["bk_next_obj"]) == ("biz", "module")


@pytest.mark.parametrize(
    ("page", "message"),
    [
        (None, "'page' is required"),
        ({"start": 0, "limit": 501}, "'page.limit' must be between 1 and 500"),
        ({"start": 0}, "'page.limit' is required"),
    ],
)
def test_a_page_is_asked_for_rightly_or_not_at_all(
    site: Site, page: Json | None, message: str
) -> None:
    asked = BIZ if page is None else {**BIZ, "page": page}

    assert message in site.refused("POST", "/cc/list_biz_hosts/", asked)


# --- what is changed --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("api", "module"),
    [
        ("transfer_host_to_idlemodule", "idle"),
        ("transfer_host_to_faultmodule", "fault"),
        ("transfer_host_to_recyclemodule", "recycle"),
    ],
)
def test_a_host_moves_to_a_module_that_every_business_has(
    site: Site, api: str, module: str
) -> None:
    site.data("POST", f"/cc/{api}/", {**BIZ, "bk_host_id": [101]})

    assert modules_of(site, "10.0.1.1") == [module]


@pytest.mark.parametrize(("adds", "after"), [(True, ["web", "db"]), (False, ["db"])])
def test_a_transfer_adds_or_replaces(site: Site, adds: bool, after: list[str]) -> None:
    move = {"bk_host_id": [101], "bk_module_id": [32], "is_increment": adds}
    site.data("POST", "/cc/transfer_host_module/", {**BIZ, **move})

    assert modules_of(site, "10.0.1.1") == after


def test_a_locked_host_is_not_moved(site: Site) -> None:
    site.data("POST", "/cc/add_host_lock/", {"id_list": [101]})
    move = {**BIZ, "bk_host_id": [101]}

    assert "locked" in site.refused("POST", "/cc/transfer_host_to_idlemodule/", move)
    site.data("POST", "/cc/delete_host_lock/", {"id_list": [101]})
    site.data("POST", "/cc/transfer_host_to_idlemodule/", move)


@pytest.mark.parametrize(
    ("path", "params", "message"),
    [
        ("transfer_host_module", {"bk_host_id": [1], "bk_module_id": [31]}, "no hosts [1]"),
        ("transfer_host_module", {"bk_host_id": [101], "bk_module_id": [9]}, "no module 9"),
        ("update_set", {"bk_set_id": 99, "data": {"bk_set_name": "x"}}, "no set 99"),
        ("update_set", {"bk_set_id": 11, "data": {"bk_capacity": "many"}}, "must be an integer"),
        ("batch_delete_set", {"delete": {"inst_ids": [11]}}, "still has hosts"),
        ("create_set", {"data": {"bk_set_name": "East", "bk_parent_id": 2}}, "重复"),
        ("transfer_host_to_resourcemodule", {"bk_host_id": [101]}, "not idle"),
    ],
)
def test_what_is_wrong_changes_nothing(site: Site, path: str, params: Json, message: str) -> None:
    before = [(host.id, [*host.modules]) for host in site.platform.world.hosts.values()]
    full = {**BIZ, "is_increment": False, **params}

    assert message in site.refused("POST", f"/cc/{path}/", full)
    assert [(h.id, h.modules) for h in site.platform.world.hosts.values()] == before


def test_a_set_and_a_module_are_made_and_changed(site: Site) -> None:
    data = {"bk_set_name": "North", "bk_parent_id": 2, "bk_set_env": "3"}
    made = site.data("POST", "/cc/create_set/", {**BIZ, "data": data})
    where = {**BIZ, "bk_set_id": made["bk_set_id"]}
    template = {"bk_parent_id": made["bk_set_id"], "service_template_id": 51}
    module = site.data("POST", "/cc/create_module/", {**where, "data": template})
    site.data("POST", "/cc/update_set/", {**where, "data": {"bk_set_name": "South"}})

    assert module["bk_module_name"] == "web"
    names = [place.name for place in site.platform.world.sets.values()]
    assert names == ["idle pool", "East", "West", "South"]


# --- the smaller systems ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("api", "body", "channel"),
    [
        ("send_msg", {"msg_type": "rtx", "title": "t", "content": "c"}, "rtx"),
        ("send_mail", {"title": "t", "content": "c"}, "mail"),
        ("send_weixin", {"data": {"heading": "t", "message": "c"}}, "weixin"),
        ("send_sms", {"content": "c"}, "sms"),
        ("send_voice_msg", {"auto_read_message": "c"}, "voice"),
    ],
)
def test_a_message_reaches_its_receivers(site: Site, api: str, body: Json, channel: str) -> None:
    site.data("POST", f"/cmsi/{api}/", {"receiver__username": "wang, li", **body})

    [message] = site.platform.world.messages
    assert (message["channel"], message["to"]) == (channel, ["wang", "li"])


def test_a_shield_is_kept_and_lifted(site: Site) -> None:
    shield = {
        "bk_biz_id": 2,
        "category": "scope",
        "description": "by hand",
        "begin_time": "2024-01-31 08:00:00",
        "end_time": "2024-01-31 09:00:00",
        "cycle_config": {"begin_time": "", "end_time": "", "type": 1},
        "shield_notice": False,
        "dimension_config": {"scope_type": "biz"},
        "notice_config": {},
    }
    number = site.data("POST", "/monitor_v3/add_shield/", shield)["id"]
    site.data("POST", "/monitor_v3/disable_shield/", {"id": [str(number)]})

    assert site.platform.world.shields[number]["is_enabled"] is False
    late = {**shield, "end_time": "2024-01-31 07:00:00"}
    assert "must be after" in site.refused("POST", "/monitor_v3/add_shield/", late)


def test_nodeman_tells_which_hosts_have_failed(site: Site) -> None:
    site.platform.world.hosts[102].fault = "agent"
    asked = {"job_type": "RESTART_AGENT", "bk_biz_id": [2], "bk_host_id": [101, 102]}
    job = site.data("POST", "/nodeman/api/job/operate/", asked)["job_id"]
    site.clock.now += 10

    data = site.data("POST", "/nodeman/api/job/details/", {"job_id": job})

    assert data["status"] == "PART_FAILED"
    assert data["statistics"]["failed_count"] == 1
    [failed] = [host for host in data["list"] if host["status"] == "FAILED"]
    log = site.data(
        "POST", "/nodeman/api/job/log/", {"job_id": job, "instance_id": failed["instance_id"]}
    )
    assert log[-1]["status"] == "FAILED"


def test_the_newer_node_manager_works_by_workflows(site: Site) -> None:
    base = "/nodemgr/api/v3/node"
    work = site.data("POST", f"{base}/agent/restart", {"host": [{"bk_host_id": 101}]})
    site.clock.now += 10
    page = {"offset": 0, "limit": 500}

    data = site.data("POST", f"{base}/workflow/operation/list", {**work, "page": page})

    [operation] = data["operations"]
    assert operation["latest_oper_inst_brief_data"]["life_cycle"] == {"state": "SUCCESS"}


def test_gsekit_goes_from_pending_to_its_end(site: Site) -> None:
    names = ("bk_set_name", "bk_module_name", "service_instance_name", "bk_process_name")
    scope = {**dict.fromkeys(names, "*"), "bk_set_env": "3", "bk_process_id": "*"}
    asked = {"bk_biz_id": 2, "job_object": "process", "job_action": "start"}
    job = site.data("POST", "/gsekit/api/job/create_job/", {**asked, "expression_scope": scope})
    seen: list[str] = []
    for _ in range(3):
        info = site.data("POST", "/gsekit/api/job/job_status/", {"bk_biz_id": 2, **job})
        seen.append(info["job_info"]["status"])
        site.clock.now += 0.7

    assert seen == ["pending", "running", "succeeded"]
