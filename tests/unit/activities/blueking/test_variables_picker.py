import pytest
from pydantic import JsonValue

from activities.blueking.variables.picker import conditions, ip_selector, modules_at
from activities.sdk import PluginError
from tests.helpers.job_platform import Json, Platform, Reply, good, host, on_stage, refusal

SCOPE: Json = {"bk_biz_id": 2, "bk_supplier_account": "0"}
FIELDS = ["bk_host_id", "bk_host_innerip", "bk_host_outerip", "bk_host_name", "bk_cloud_id"]


def place(kind: str, number: int, name: str, *below: Json) -> Json:
    return {
        "bk_obj_id": kind,
        "bk_inst_id": number,
        "bk_inst_name": name,
        "child": [*below],
    }


TREE = place(
    "biz",
    2,
    "shop",
    place("set", 4, "east", place("module", 5, "web"), place("module", 6, "db")),
    place("set", 7, "west", place("module", 8, "web")),
)
POOL: Json = {
    "bk_set_id": 1,
    "bk_set_name": "空闲机池",
    "module": [{"bk_module_id": 90, "bk_module_name": "空闲机"}],
}


def placed(*hosts: Json) -> Json:
    return {"count": len(hosts), "info": [{"host": each, "topo": []} for each in hosts]}


def site(**replies: Reply | list[Reply]) -> Platform:
    known: dict[str, Reply | list[Reply]] = {
        "cc__search_biz_inst_topo": good([TREE]),
        "cc__get_biz_internal_module": POOL,
        "cc__list_biz_hosts_topo": placed(host(1), host(2, cloud=3)),
    }
    return Platform(**{**known, **replies})


def form(*selectors: str, **more: JsonValue) -> Json:
    empty: Json = {"ip": [], "topo": [], "group": [], "filters": [], "excludes": []}
    return {"selectors": [*selectors], **empty, **more}


def typed(kind: str, text: str, **more: JsonValue) -> Json:
    return form("manual", manual_input={"type": kind, "value": text}, **more)


def condition(field: str, *values: JsonValue) -> Json:
    return {"field": field, "value": [*values]}


def rules(*each: tuple[str, str, list[JsonValue]]) -> Json:
    found: list[JsonValue] = [
        {"field": field, "operator": operator, "value": values} for field, operator, values in each
    ]
    return {"condition": "AND", "rules": found}


async def look_up(value: JsonValue, platform: Platform, **settings: JsonValue) -> JsonValue:
    async with on_stage(platform, **settings) as stage:
        return await stage.look_up(ip_selector, value)


async def asked_for(value: Json, platform: Platform | None = None) -> Json:
    found = platform or site()
    await look_up(value, found)
    return found.params_of("cc.list_biz_hosts_topo")[-1]


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, "10.0.0.1,10.0.0.2"),
        ({"separator": "\n"}, "10.0.0.1\n10.0.0.2"),
        ({"with_cloud_id": True}, "0:10.0.0.1,3:10.0.0.2"),
    ],
    ids=["plain", "separator", "cloud area"],
)
async def test_the_addresses_are_written_as_the_form_wishes(more: Json, expected: str) -> None:
    picked: JsonValue = [{"bk_host_id": 1}, {"bk_host_id": 2}]

    assert await look_up(form("ip", ip=picked, **more), site()) == expected


async def test_picked_hosts_are_asked_for_by_id() -> None:
    picked: JsonValue = [{"bk_host_id": 1}, {"bk_host_id": 2}]

    assert await asked_for(form("ip", ip=picked)) == {
        **SCOPE,
        "fields": FIELDS,
        "host_property_filter": rules(("bk_host_id", "in", [1, 2])),
        "page": {"start": 0, "limit": 500},
    }


async def test_a_place_in_the_topology_stands_for_its_modules() -> None:
    east: JsonValue = [{"bk_obj_id": "set", "bk_inst_id": 4}]

    asked = await asked_for(form("topo", topo=east))

    assert asked["module_property_filter"] == rules(("bk_module_id", "in", [5, 6]))
    assert "host_property_filter" not in asked


async def test_the_idle_pool_is_part_of_the_topology() -> None:
    pool: JsonValue = [{"bk_obj_id": "set", "bk_inst_id": 1}]

    asked = await asked_for(form("topo", topo=pool))

    assert asked["module_property_filter"] == rules(("bk_module_id", "in", [90]))


async def test_filters_and_excludes_must_all_hold() -> None:
    value = form(
        "ip",
        ip=[{"bk_host_id": 1}],
        filters=[condition("module", "web"), condition("set", "east\nwest")],
        excludes=[condition("host", "10.0.0.9"), condition("set", "west")],
    )

    asked = await asked_for(value)

    assert asked["module_property_filter"] == rules(
        ("bk_module_id", "in", [5, 8]), ("bk_module_id", "not_in", [8])
    )
    assert asked["host_property_filter"] == rules(
        ("bk_host_innerip", "not_in", ["10.0.0.9"]), ("bk_host_id", "in", [1])
    )


@pytest.mark.parametrize(
    "value",
    [
        form("ip"),
        form("topo"),
        form("ip", ip=[{"bk_host_id": 1}], filters=[condition("set", "north")]),
    ],
    ids=["no host", "no place", "a filter that fits nothing"],
)
async def test_what_picks_nothing_asks_for_no_host(value: Json) -> None:
    platform = site()

    assert await look_up(value, platform) == ""
    assert platform.params_of("cc.list_biz_hosts_topo") == []


async def test_an_exclude_that_fits_nothing_excludes_nothing() -> None:
    value = form("ip", ip=[{"bk_host_id": 1}], excludes=[condition("set", "north")])

    assert "module_property_filter" not in await asked_for(value)


GROUPS: Json = {
    "count": 2,
    "info": [
        {"id": "g1", "name": "webs", "bk_obj_id": "host"},
        {"id": "g2", "name": "sets", "bk_obj_id": "set"},
    ],
}
MEMBERS: Json = {"count": 2, "info": [host(1), host(2)]}


async def test_members_of_the_groups_that_are_still_there_are_taken() -> None:
    platform = site(cc__search_dynamic_group=GROUPS, cc__execute_dynamic_group=MEMBERS)
    groups: JsonValue = [{"id": "g1"}, {"id": "gone"}]

    assert await look_up(form("group", group=groups), platform) == "10.0.0.1,10.0.0.2"
    assert platform.params_of("cc.execute_dynamic_group") == [
        {
            **SCOPE,
            "id": "g1",
            "fields": ["bk_host_innerip", "bk_cloud_id", "bk_host_id"],
            "page": {"start": 0, "limit": 200},
        }
    ]


async def test_without_the_right_to_list_groups_the_chosen_ones_are_taken() -> None:
    denied = refusal("no right", 9900403)
    platform = site(cc__search_dynamic_group=denied, cc__execute_dynamic_group=MEMBERS)

    found = await look_up(form("group", group=[{"id": "g1"}]), platform)

    assert found == "10.0.0.1,10.0.0.2"


async def test_members_of_a_group_obey_the_filters() -> None:
    platform = site(
        cc__search_dynamic_group=GROUPS,
        cc__execute_dynamic_group=MEMBERS,
        cc__list_biz_hosts_topo=placed(host(2), host(3)),
    )
    value = form("group", group=[{"id": "g1"}], filters=[condition("module", "db")])

    assert await look_up(value, platform) == "10.0.0.2"


async def test_a_group_is_typed_by_its_name() -> None:
    platform = site(cc__search_dynamic_group=GROUPS, cc__execute_dynamic_group=MEMBERS)

    assert await look_up(typed("group", "webs,sets"), platform) == "10.0.0.1,10.0.0.2"
    assert [each["id"] for each in platform.params_of("cc.execute_dynamic_group")] == ["g1"]


async def test_typed_places_inside_another_one_add_nothing() -> None:
    asked = await asked_for(typed("topo", "shop>east>web\nshop>east,shop>west>web"))

    assert asked["module_property_filter"] == rules(("bk_module_id", "in", [5, 6, 8]))


async def test_a_typed_place_that_is_not_there_is_an_error() -> None:
    with pytest.raises(PluginError, match="path: shop>north not found in topo_tree"):
        await look_up(typed("topo", "shop>north"), site())


async def test_typed_hosts_are_looked_up_in_the_business() -> None:
    asked = await asked_for(typed("ip", "10.0.0.1"))

    assert asked["host_property_filter"] == rules(("bk_host_id", "in", [1]))


async def test_a_typed_host_that_is_not_there_is_an_error() -> None:
    with pytest.raises(PluginError, match="在本业务下不存在"):
        await look_up(typed("ip", "10.0.0.8"), site(cc__list_biz_hosts_topo=placed()))


@pytest.mark.parametrize("value", [form(), form("cloud"), typed("", "x"), {}])
async def test_an_unknown_way_of_picking_is_an_error(value: Json) -> None:
    with pytest.raises(PluginError, match="no way of picking hosts is chosen"):
        await look_up(value, site())


async def test_with_ipv6_hosts_without_another_address_are_told_by_it() -> None:
    only_v6 = {**host(1), "bk_host_innerip": "", "bk_host_innerip_v6": "fe80::1"}
    platform = site(cc__list_biz_hosts_topo=placed(only_v6))
    value = form("ip", ip=[{"bk_host_id": 1}], with_cloud_id=True)

    assert await look_up(value, platform, ipv6=True) == "0:[fe80::1]"


async def test_with_ipv6_a_condition_on_hosts_is_one_a_kind_of_name() -> None:
    platform = site()
    value = form("ip", ip=[{"bk_host_id": 1}], filters=[condition("host", "10.0.0.1", "fe80::1")])

    await look_up(value, platform, ipv6=True)

    asked = platform.params_of("cc.list_biz_hosts_topo")[0]["host_property_filter"]
    assert isinstance(asked, dict)
    assert isinstance(asked["rules"], list)
    assert asked["rules"][0] == {
        "condition": "OR",
        "rules": [
            {"field": "bk_host_innerip", "operator": "in", "value": ["10.0.0.1"]},
            {
                "field": "bk_host_innerip_v6",
                "operator": "in",
                "value": ["fe80:0000:0000:0000:0000:0000:0000:0001"],
            },
        ],
    }


def test_values_of_one_field_are_read_line_by_line_each_once() -> None:
    given = [condition("set", "a\nb", " a "), condition("set", "c\\nb"), condition("host", 1)]

    assert conditions(given) == {"set": ["a", "b", "c"], "host": [1]}


def test_a_condition_on_a_level_lets_only_what_is_below_it_through() -> None:
    assert modules_at([TREE], {"set": ["west"]}, "bk_inst_name") == [8]
    assert modules_at([TREE], {"set": ["west"], "module": ["db"]}, "bk_inst_name") == []
    assert modules_at([TREE], {"biz": [2]}, "bk_inst_id") == [5, 6, 8]
