import pytest
from pydantic import JsonValue

from activities.blueking.variables.set_modules import (
    IDLE_POOL,
    Choice,
    Named,
    filtered,
    set_module_ip_selector,
)
from activities.blueking.variables.sets import (
    set_filter_selector,
    set_group_selector,
    set_module_selector,
)
from activities.blueking.variables.staff import staff_group_selector
from activities.sdk import LazyVariable, PluginError
from tests.helpers.job_platform import Json, Platform, good, host, on_stage, refusal
from translator.values import OBJECT_TEXT

SCOPE: Json = {"bk_biz_id": 2, "bk_supplier_account": "0"}
PAGE: Json = {"start": 0, "limit": 500}


async def look_up(
    variable: LazyVariable, value: JsonValue, platform: Platform, **settings: JsonValue
) -> JsonValue:
    async with on_stage(platform, **settings) as stage:
        return await stage.look_up(variable, value)


def info(*rows: Json) -> Json:
    return {"count": len(rows), "info": [*rows]}


def a_set(number: int, name: str) -> Json:
    return {"bk_set_id": number, "bk_set_name": name}


def module(number: int, name: str) -> Json:
    return {"bk_module_id": number, "bk_module_name": name}


# --- set_module_selector, set_group_selector, set_filter_selector -----------------------------


async def test_a_set_and_its_modules_are_told_by_name_and_id() -> None:
    platform = Platform(
        cc__search_set=info({"bk_set_name": "east"}),
        cc__search_module=info(module(5, "web"), module(6, "db"), module(7, "cache")),
    )
    value: Json = {"bk_set_id": "4", "bk_module_id": [7, 5]}

    assert await look_up(set_module_selector, value, platform) == {
        "set_name": "east",
        "set_id": 4,
        "module_name": ["web", "cache"],
        "module_id": [7, 5],
        "flat__module_name": "web,cache",
        "flat__module_id": "7,5",
        OBJECT_TEXT: "set: east, modules: web,cache",
    }
    assert platform.params_of("cc.search_set") == [
        {
            "bk_biz_id": 2,
            "fields": ["bk_set_name"],
            "condition": {"bk_set_id": 4},
            "page": {"start": 0, "limit": 1},
        }
    ]
    assert platform.params_of("cc.search_module") == [
        {
            "bk_biz_id": 2,
            "bk_set_id": 4,
            "fields": ["bk_module_id", "bk_module_name"],
            "page": PAGE,
        }
    ]


async def test_a_set_that_is_gone_is_an_error() -> None:
    platform = Platform(cc__search_set=info())

    with pytest.raises(PluginError, match="set 4 is not in business 2"):
        await look_up(set_module_selector, {"bk_set_id": 4, "bk_module_id": []}, platform)


async def test_a_group_of_sets_is_a_list_an_attribute() -> None:
    known: JsonValue = [{"bk_property_id": "bk_set_name"}, {"bk_property_id": "bk_set_env"}]
    platform = Platform(
        cc__execute_dynamic_group=info(a_set(1, "a"), a_set(2, "b")),
        cc__search_object_attribute=good(known),
    )

    found = await look_up(set_group_selector, "group-1", platform)

    assert isinstance(found, dict)
    assert found.pop(OBJECT_TEXT) == f"set_field_data: {found}"
    assert found == {
        "bk_set_id": ["1", "2"],
        "flat__bk_set_id": "1,2",
        "bk_set_name": ["a", "b"],
        "flat__bk_set_name": "a,b",
        "bk_set_env": ["", ""],
        "flat__bk_set_env": ",",
    }
    assert platform.params_of("cc.execute_dynamic_group") == [
        {
            "bk_biz_id": 2,
            "id": "group-1",
            "fields": ["bk_set_id", "bk_set_name", "bk_set_env"],
            "page": {"start": 0, "limit": 200},
        }
    ]


async def test_sets_are_found_by_each_value_of_an_attribute() -> None:
    first, second = info({**a_set(1, "a"), "more": 1}), info(a_set(2, "b"))
    platform = Platform(cc__search_set=[first, second])
    value: Json = {"bk_obj_id": "bk_set_env", "bk_obj_value": "1,2"}

    assert await look_up(set_filter_selector, value, platform) == {
        "bk_sets": [{**a_set(1, "a"), "more": 1}, a_set(2, "b")],
        "bk_set_id": [1, 2],
        "flat__bk_set_id": "1,2",
        "bk_set_name": ["a", "b"],
        "flat__bk_set_name": "a,b",
        OBJECT_TEXT: f"sets: {[{**a_set(1, 'a'), 'more': 1}, a_set(2, 'b')]}",
    }
    asked = [each["condition"] for each in platform.params_of("cc.search_set")]
    assert asked == [{"bk_set_env": "1"}, {"bk_set_env": "2"}]


async def test_no_set_that_fits_is_an_empty_list() -> None:
    platform = Platform(cc__search_set=info())
    value: Json = {"bk_obj_id": "bk_set_env", "bk_obj_value": "9"}

    found = await look_up(set_filter_selector, value, platform)

    assert found == {"bk_sets": [], OBJECT_TEXT: "sets: []"}


# --- set_module_ip_selector -------------------------------------------------------------------


def site(**replies: Json) -> Platform:
    hosts: list[Json] = [{"bk_host_innerip": "10.0.0.1"}, {"bk_host_innerip": "10.0.0.2"}]
    known: dict[str, Json] = {
        "cc__search_set": info(a_set(1, IDLE_POOL), a_set(2, "east"), a_set(3, "west")),
        "cc__list_service_template": info({"id": 10, "name": "web"}, {"id": 11, "name": "db"}),
        "cc__get_biz_internal_module": {"module": [module(90, "空闲机"), module(91, "故障机")]},
        "cc__find_module_with_relation": info(module(50, "web")),
        "cc__list_biz_hosts": info(*hosts),
    }
    return Platform(**{**known, **replies})


def form(method: str, sets: JsonValue, modules: JsonValue, **more: JsonValue) -> Json:
    part = {
        "select": ("var_ip_select_value", "var_set", "var_module"),
        "manual": ("var_ip_manual_value", "var_manual_set", "var_manual_module"),
    }
    key, set_key, module_key = part[method]
    inner: Json = {set_key: sets, module_key: modules, "var_module_name": "ip"}
    filters: Json = {"var_filter_set": "", "var_filter_module": ""}
    return {"var_ip_method": method, key: inner, **filters, **more}


@pytest.mark.parametrize(
    "given",
    [form("select", ["east"], ["web"]), form("manual", " east ,nowhere", "web")],
    ids=["chosen", "typed"],
)
async def test_hosts_of_sets_and_service_templates_are_found_by_name(given: Json) -> None:
    platform = site()

    assert await look_up(set_module_ip_selector, given, platform) == "10.0.0.1,10.0.0.2"
    assert platform.params_of("cc.find_module_with_relation") == [
        {
            "bk_biz_id": 2,
            "bk_service_template_ids": [10],
            "fields": ["bk_module_id"],
            "bk_set_ids": [2],
            "page": PAGE,
        }
    ]
    assert platform.params_of("cc.list_biz_hosts") == [
        {**SCOPE, "bk_module_ids": [50], "fields": ["bk_host_innerip"], "page": PAGE}
    ]


async def test_all_takes_every_set_and_template_and_the_idle_pool() -> None:
    platform = site()

    await look_up(set_module_ip_selector, form("select", ["all"], ["all"]), platform)

    [asked] = platform.params_of("cc.find_module_with_relation")
    assert (asked["bk_set_ids"], asked["bk_service_template_ids"]) == ([2, 3], [10, 11])
    assert platform.params_of("cc.list_biz_hosts")[0]["bk_module_ids"] == [50, 90, 91]


async def test_only_idle_modules_ask_for_no_service_template() -> None:
    platform = site()

    await look_up(set_module_ip_selector, form("select", [IDLE_POOL], ["空闲机"]), platform)

    assert platform.params_of("cc.find_module_with_relation") == []
    assert platform.params_of("cc.list_biz_hosts")[0]["bk_module_ids"] == [90]


async def test_nothing_that_fits_gives_no_address() -> None:
    given = form("select", ["east"], ["web"], var_filter_module="db")

    assert await look_up(set_module_ip_selector, given, site()) == ""


async def test_typed_hosts_are_kept_where_they_stand_in_the_modules() -> None:
    topo = info({"host": host(1), "topo": []}, {"host": host(7), "topo": []})
    platform = site(cc__list_biz_hosts_topo=topo)
    given: Json = {
        "var_ip_method": "custom",
        "var_ip_custom_value": "10.0.0.1,10.0.0.7",
        "var_filter_set": "east",
        "var_filter_module": "",
    }

    assert await look_up(set_module_ip_selector, given, platform) == "10.0.0.1"
    [asked] = platform.params_of("cc.find_module_with_relation")
    assert asked["bk_set_ids"] == [2]


async def test_an_unknown_way_of_choosing_is_an_error() -> None:
    with pytest.raises(PluginError, match="请选择填参方式"):
        await look_up(set_module_ip_selector, {"var_ip_method": "?"}, site())


POOL, EAST = Named(1, IDLE_POOL), Named(2, "east")
WEB, IDLE, BROKEN = Named(10, "web"), Named(90, "空闲机"), Named(91, "故障机")
EVERY = [IDLE, BROKEN]
CHOSEN = Choice([POOL, EAST], [WEB], [IDLE])


@pytest.mark.parametrize(
    ("choice", "sets", "modules", "expected"),
    [
        (CHOSEN, [], [], Choice([EAST], [WEB], [IDLE])),
        (CHOSEN, ["east"], [], Choice([EAST], [WEB], [])),
        (CHOSEN, [IDLE_POOL], [], Choice([], [WEB], [IDLE])),
        (CHOSEN._replace(idle=[]), [IDLE_POOL], [], Choice([], [WEB], EVERY)),
        (CHOSEN, [], ["空闲机"], Choice([EAST], [], [IDLE])),
        (CHOSEN, [IDLE_POOL], ["web"], Choice([], [WEB], [])),
        (CHOSEN._replace(sets=[EAST]), [], ["空闲机"], Choice([EAST], [], [])),
        (Choice([POOL], [], []), [IDLE_POOL], [], Choice([], [], [])),
    ],
)
def test_filters_by_name_decide_what_of_the_choice_counts(
    choice: Choice, sets: list[str], modules: list[str], expected: Choice
) -> None:
    assert filtered(choice, EVERY, sets, modules) == expected


# --- staff_group_selector ---------------------------------------------------------------------

GROUPS: Json = {"7": ["ann", "bob"]}


async def test_people_of_groups_and_roles_are_named_once() -> None:
    business = info({"bk_biz_maintainer": "cid,ann", "bk_biz_tester": ""})
    platform = Platform(cc__search_business=business)
    value: JsonValue = ["7", "bk_biz_maintainer", "bk_biz_tester"]

    found = await look_up(staff_group_selector, value, platform, staff_groups=GROUPS)

    assert found == "ann,bob,cid"
    assert platform.params_of("cc.search_business") == [
        {"bk_supplier_account": "0", "condition": {"bk_biz_id": 2}}
    ]


async def test_groups_of_the_settings_alone_ask_nothing() -> None:
    platform = Platform()

    assert await look_up(staff_group_selector, [7], platform, staff_groups=GROUPS) == "ann,bob"
    assert platform.asked == []


async def test_an_unknown_group_says_where_it_belongs() -> None:
    with pytest.raises(PluginError, match=r"blueking\.staff_groups"):
        await look_up(staff_group_selector, ["8"], Platform(), staff_groups=GROUPS)


async def test_a_refused_business_is_told() -> None:
    platform = Platform(cc__search_business=refusal("no right"))

    with pytest.raises(PluginError, match="no right"):
        await look_up(staff_group_selector, ["Maintainers"], platform)
