import httpx
import pytest
from pydantic import JsonValue

from activities.blueking.variables.hosts import ATTRIBUTES, attribute_query, ip, ip_filter
from activities.sdk import LazyVariable, PluginError
from tests.helpers.job_platform import Json, Platform, host, on_stage, refusal

SCOPE: Json = {"bk_biz_id": 2, "bk_supplier_account": "0"}
GSE = "https:..gse.test.prod.api.v2.cluster.list_agent_state"


async def look_up(
    variable: LazyVariable, value: JsonValue, platform: Platform, **settings: JsonValue
) -> JsonValue:
    async with on_stage(platform, **settings) as stage:
        return await stage.look_up(variable, value)


def in_filter(field: str, values: list[JsonValue]) -> Json:
    return {"condition": "AND", "rules": [{"field": field, "operator": "in", "value": values}]}


async def test_the_old_picker_keeps_the_typed_hosts_of_the_business() -> None:
    value: Json = {"var_ip_method": "custom", "var_ip_custom_value": "10.0.0.2\n10.0.0.9,10.0.0.1"}

    assert await look_up(ip, value, Platform()) in ("10.0.0.1,10.0.0.2", "10.0.0.2,10.0.0.1")


async def test_the_old_picker_reads_modules_and_hosts_of_its_tree() -> None:
    in_module: Json = {"count": 1, "info": [{"host": host(3), "topo": []}]}
    one: Json = {"count": 1, "info": [{"host": host(1), "topo": []}]}
    platform = Platform(cc__list_biz_hosts_topo=[in_module, one])
    value: Json = {"var_ip_method": "tree", "var_ip_tree": ["set_4", "module_5", "x_10.0.0.1"]}

    assert await look_up(ip, value, platform) == "10.0.0.3,10.0.0.1"
    assert platform.params_of("cc.list_biz_hosts_topo")[0] == {
        **SCOPE,
        "fields": ["bk_host_id", "bk_host_innerip"],
        "module_property_filter": in_filter("bk_module_id", [5]),
        "page": {"start": 0, "limit": 500},
    }


async def test_attributes_are_told_by_address_without_the_cloud_area() -> None:
    platform = Platform()

    found = await look_up(attribute_query, "10.0.0.1 10.0.0.9", platform)

    assert found == {
        "10.0.0.1": {
            "bk_host_id": 1,
            "bk_host_innerip": "10.0.0.1",
            "bk_host_innerip_v6": "",
        }
    }
    assert platform.params_of("cc.list_biz_hosts") == [
        {
            **SCOPE,
            "fields": list(ATTRIBUTES),
            "host_property_filter": in_filter("bk_host_innerip", ["10.0.0.1", "10.0.0.9"]),
            "page": {"start": 0, "limit": 500},
        }
    ]
    assert len(ATTRIBUTES) == 27


async def test_no_address_asks_nothing() -> None:
    platform = Platform()

    assert await look_up(attribute_query, "web", platform) == {}
    assert platform.asked == []


async def test_a_host_named_by_ipv6_is_told_by_it() -> None:
    v6 = "fe80:0000:0000:0000:0000:0000:0000:0001"
    platform = Platform()
    platform.hosts = [host(1, v6=v6)]

    found = await look_up(attribute_query, "fe80::1", platform, ipv6=True)

    assert isinstance(found, dict)
    assert list(found) == [v6]


def told(number: int, *, alive: int) -> Json:
    return {"ip": f"10.0.0.{number}", "cloud_area": {"id": 0}, "alive": alive}


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ({"gse_agent_status": 1}, "0:10.0.0.1"),
        ({"gse_agent_status": "0"}, "0:10.0.0.2"),
        ({"gse_agent_status": 1, "ip_cloud": False}, "10.0.0.1"),
        ({"gse_agent_status": "", "ip_separator": ";"}, "3:10.0.0.2;0:10.0.0.1"),
    ],
    ids=["online", "offline", "without area", "no filter"],
)
async def test_hosts_are_filtered_by_their_agents(form: Json, expected: str) -> None:
    told_rows: JsonValue = [told(1, alive=1), told(2, alive=0)]
    platform = _answering(told_rows)

    found = await look_up(ip_filter, {"origin_ips": "10.0.0.1 3:10.0.0.2", **form}, platform)

    assert found == expected


async def test_the_node_manager_is_asked_for_all_hosts_at_once() -> None:
    platform = _answering([])

    await look_up(ip_filter, {"origin_ips": "3:10.0.0.2", "gse_agent_status": 1}, platform)

    meta: Json = {"bk_biz_id": 2, "scope_type": "biz", "scope_id": 2}
    assert platform.params_of("nodeman.core.api.ipchooser_host.details") == [
        {"all_scope": True, "host_list": [{"cloud_id": 3, "ip": "10.0.0.2", "meta": meta}]}
    ]


async def test_nothing_to_filter_asks_nothing() -> None:
    platform = Platform()

    assert await look_up(ip_filter, {"origin_ips": "", "gse_agent_status": 1}, platform) == ""
    assert platform.asked == []


@pytest.mark.parametrize(("status", "expected"), [(1, "0:10.0.0.1"), (0, "0:10.0.0.2,0:10.0.0.3")])
async def test_with_gse_2_the_agents_themselves_are_asked(status: int, expected: str) -> None:
    rows: JsonValue = [
        {"bk_agent_id": "a1", "status_code": 2},
        {"bk_agent_id": "0:10.0.0.2", "status_code": 4},
        {"bk_agent_id": "0:10.0.0.3", "status_code": -1},
    ]
    platform = _answering(rows, GSE)
    platform.hosts = [{**host(1), "bk_agent_id": "a1"}, host(2), host(3)]
    value: Json = {"origin_ips": "10.0.0.1,10.0.0.2,10.0.0.3", "gse_agent_status": status}

    found = await look_up(ip_filter, value, platform, entries={"gse": "https://gse.test/prod/"})

    assert found == expected
    assert platform.params_of(GSE) == [{"agent_id_list": ["a1", "0:10.0.0.2", "0:10.0.0.3"]}]


def _answering(data: JsonValue, name: str = "nodeman.core.api.ipchooser_host.details") -> Platform:
    answer = httpx.Response(200, json={"result": True, "code": 0, "data": data})
    return Platform(**{name.replace(".", "__"): answer})


@pytest.mark.parametrize("variable", [ip, ip_filter], ids=lambda each: each.code)
async def test_a_value_that_is_no_form_is_an_error(variable: LazyVariable) -> None:
    with pytest.raises(PluginError, match="the fields of its form are wanted"):
        await look_up(variable, "10.0.0.1", Platform())


async def test_a_refusal_is_told_with_the_platform_s_words() -> None:
    platform = Platform(cc__list_biz_hosts=refusal("no such business"))

    with pytest.raises(PluginError, match="no such business"):
        await look_up(attribute_query, "10.0.0.1", platform)
