"""CMDB's components that make, change, empty and delete sets: what they send, how they fail."""

import pytest
from pydantic import JsonValue

from activities.blueking.cmdb.sets import SETS
from activities.contract import Done, Failed
from activities.sdk import AnyPlugin
from tests.helpers.cmdb_platform import WHERE, Cmdb, changes_of, ended, failure_of, lost
from tests.helpers.job_platform import Asked, Json, refusal

PLUGINS = {(plugin.ref.code, plugin.ref.version): plugin for plugin in SETS}
CHOSEN: dict[str, Json] = {
    "legacy": {"cc_set_select": ["biz_2", "set_5", "module_51", "set_6"]},
    "v1.0": {"cc_set_select_method": "text", "cc_set_select_text": "shop>east\n\n shop > west "},
}
TOPO: Json = {"cc_set_select_method": "topo", "cc_set_select_topo": ["biz_2", "set_5", 6]}
VERSIONS = ["legacy", "v1.0"]
CODES = [
    "cc_update_set",
    "cc_update_set_service_status",
    "cc_empty_set_hosts",
    "cc_batch_delete_set",
]
PARENTS: dict[str, Json] = {
    "legacy": {"cc_set_parent_select": ["biz_2"]},
    "v1.0": {"cc_set_parent_select": ["biz_2"]},
    "v2.0": {"cc_select_set_parent_method": "text", "cc_set_parent_select_text": "shop"},
}
CREATE = PLUGINS["cc_create_set", "v2.0"]
TEMPLATE = PLUGINS["cc_create_set_by_template", "v1.0"]
BATCH = PLUGINS["cc_batch_update_set", "1.0"]
LISTED = PLUGINS["cc_update_set_service_status", "1.1"]
versions = pytest.mark.parametrize("version", VERSIONS)
creations = pytest.mark.parametrize("version", list(PARENTS))


def create(version: str, *rows: Json) -> tuple[AnyPlugin, Json]:
    return PLUGINS["cc_create_set", version], {**PARENTS[version], "cc_set_info": [*rows]}


def created(**data: JsonValue) -> Asked:
    return Asked("cc.create_set", {**WHERE, "data": {"bk_parent_id": 2, **data}})


def updated(number: int, **data: JsonValue) -> Asked:
    return Asked("cc.update_set", {**WHERE, "bk_set_id": number, "data": data})


def update(attribute: str, value: JsonValue, chosen: Json = TOPO) -> Json:
    return {**chosen, "cc_set_property": attribute, "cc_set_prop_value": value}


# --- made -------------------------------------------------------------------------------------


@creations
async def test_a_set_is_made_for_each_row(version: str) -> None:
    full: Json = {
        "bk_set_name": "north",
        "bk_set_desc": "",
        "bk_set_env": "3",
        "bk_service_status": "1",
        "bk_capacity": "12",
    }

    changes = await changes_of(*create(version, full, {"bk_set_name": "south"}))

    assert changes == [
        created(bk_set_name="north", bk_set_env="3", bk_service_status="1", bk_capacity=12),
        created(bk_set_name="south"),
    ]


@creations
async def test_lines_of_a_cell_are_rows_except_in_the_oldest(version: str) -> None:
    changes = await changes_of(*create(version, {"bk_set_name": "a\nb", "bk_capacity": 3}))

    names = ["a\nb"] if version == "legacy" else ["a", "b"]
    assert changes == [created(bk_set_name=name, bk_capacity=3) for name in names]


@creations
@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ({"bk_set_env": "production"}, "环境类型校验失败，请重试并修改为正确的环境类型"),
        ({"bk_service_status": "open"}, "服务状态校验失败，请重试并修改为正确的服务状态"),
        ({"bk_capacity": "many"}, "集群容量必须为整数"),
    ],
    ids=["env", "status", "capacity"],
)
async def test_a_wrong_cell_makes_no_set_at_all(version: str, cell: Json, said: str) -> None:
    platform = Cmdb()
    plugin, form = create(version, {"bk_set_name": "a"}, {"bk_set_name": "b", **cell})

    error = await failure_of(platform, plugin, form)

    assert error.startswith(said)
    assert platform.changes == []


async def test_parents_are_ticked_in_a_tree_too() -> None:
    form: Json = {"cc_select_set_parent_method": "topo", "cc_set_parent_select_topo": ["region_8"]}

    (change,) = await changes_of(CREATE, {**form, "cc_set_info": [{"bk_set_name": "a"}]})

    assert change.params["data"] == {"bk_parent_id": 8, "bk_set_name": "a"}


async def test_parents_need_a_way_to_choose_them() -> None:
    error = await failure_of(Cmdb(), CREATE, {"cc_set_info": [{"bk_set_name": "a"}]})

    assert error == "请选择填参方式"


@creations
async def test_the_first_refusal_tells_what_stands_and_what_is_left(version: str) -> None:
    platform = Cmdb(cc__create_set=[{}, refusal("name is taken")])

    rows: list[Json] = [{"bk_set_name": name} for name in "abc"]
    error = await failure_of(platform, *create(version, *rows))

    first, *rest = error.split("\n")
    assert first.startswith("调用配置平台(CMDB)接口cc.create_set返回失败, error=name is taken")
    assert rest == ["done before: set 'a' below 2", "not done: set 'c' below 2"]
    assert len(platform.changes) == 2


@creations
async def test_a_set_whose_answer_is_lost_is_not_made_again(version: str) -> None:
    platform = Cmdb(cc__create_set=[{}, lost()])

    error = await failure_of(platform, *create(version, {"bk_set_name": "a"}, {"bk_set_name": "b"}))

    assert error.startswith("outcome unknown: ")
    assert "done before: set 'a' below 2" in error
    assert "look at set 'b' below 2" in error
    assert len(platform.changes) == 2


def by_template(**more: JsonValue) -> Json:
    form: Json = {"cc_set_name": "a, b", "cc_set_template": "4"}
    return {**PARENTS["v2.0"], **form, **more}


async def test_sets_are_made_by_a_template() -> None:
    attributes: JsonValue = [{"attr_id": "bk_set_desc", "attr_value": "new"}, {"attr_id": ""}]

    changes = await changes_of(TEMPLATE, by_template(cc_set_attr=attributes))

    assert changes == [
        created(bk_set_name=name, set_template_id=4, bk_set_desc="new") for name in "ab"
    ]


async def test_a_refused_set_does_not_stop_the_others_of_a_template() -> None:
    platform = Cmdb(cc__create_set=[refusal("name is taken"), {}])

    error = await failure_of(platform, TEMPLATE, by_template())

    first, last = error.split("\n")
    assert first.startswith("set 'a' below 2: 调用配置平台(CMDB)接口cc.create_set返回失败")
    assert last == "made: set 'b' below 2"


async def test_a_lost_set_of_a_template_is_told_as_unknown() -> None:
    platform = Cmdb(cc__create_set=[lost(), {}])

    error = await failure_of(platform, TEMPLATE, by_template())

    assert error.startswith("set 'a' below 2: outcome unknown: ")
    assert len(platform.changes) == 2


# --- chosen -----------------------------------------------------------------------------------

WITH: dict[str, Json] = {
    "cc_update_set": {"cc_set_property": "bk_set_desc", "cc_set_prop_value": "x"},
    "cc_update_set_service_status": {"cc_set_status": "2"},
}


def sets_of(changes: list[Asked]) -> list[JsonValue]:
    """Return the sets that changes are about."""
    deleted = [each.params["delete"] for each in changes if "delete" in each.params]
    if deleted:
        assert isinstance(deleted[0], dict)
        found = deleted[0]["inst_ids"]
        assert isinstance(found, list)
        return found
    return [each.params["bk_set_id"] for each in changes]


@versions
@pytest.mark.parametrize("code", CODES)
async def test_the_chosen_sets_are_changed_and_nothing_else(code: str, version: str) -> None:
    changes = await changes_of(PLUGINS[code, version], {**CHOSEN[version], **WITH.get(code, {})})

    assert sets_of(changes) == [5, 6]


@pytest.mark.parametrize("code", CODES)
async def test_sets_are_ticked_in_a_tree_or_given_as_numbers(code: str) -> None:
    changes = await changes_of(PLUGINS[code, "v1.0"], {**TOPO, **WITH.get(code, {})})

    assert sets_of(changes) == [5, 6]


@pytest.mark.parametrize("code", CODES)
async def test_an_unknown_way_to_choose_sets_fails(code: str) -> None:
    platform = Cmdb()

    error = await failure_of(platform, PLUGINS[code, "v1.0"], WITH.get(code, {}))

    assert error == "请选择填参方式"
    assert platform.changes == []


@pytest.mark.parametrize("code", CODES)
async def test_names_that_lead_nowhere_fail(code: str) -> None:
    form: Json = {"cc_set_select_method": "text", "cc_set_select_text": "shop>north"}

    error = await failure_of(Cmdb(), PLUGINS[code, "v1.0"], {**form, **WITH.get(code, {})})

    assert error.startswith("拓扑路径 [shop>north] 在本业务下不存在")


# --- changed ----------------------------------------------------------------------------------


@versions
@pytest.mark.parametrize(
    ("attribute", "value", "sent"),
    [
        ("bk_service_status", "closed", "2"),
        ("bk_set_env", "test", "1"),
        ("bk_capacity", " 7 ", 7),
        ("bk_set_desc", "quiet", "quiet"),
    ],
)
async def test_an_attribute_is_sent_as_cmdb_wants_it(
    version: str, attribute: str, value: str, sent: JsonValue
) -> None:
    plugin = PLUGINS["cc_update_set", version]

    changes = await changes_of(plugin, update(attribute, value, CHOSEN[version]))

    assert changes == [updated(number, **{attribute: sent}) for number in (5, 6)]


@versions
@pytest.mark.parametrize(
    ("attribute", "said"),
    [
        (
            "bk_service_status",
            "服务状态校验失败，请重试并修改为正确的服务状态 ('?'; 可选: open, closed)",
        ),
        ("bk_set_env", "环境类型校验失败，请重试并修改为正确的环境类型"),
        ("bk_capacity", "集群容量必须为整数"),
    ],
)
async def test_a_value_that_is_none_changes_nothing(
    version: str, attribute: str, said: str
) -> None:
    platform = Cmdb()
    plugin = PLUGINS["cc_update_set", version]

    error = await failure_of(platform, plugin, update(attribute, "?", CHOSEN[version]))

    assert error.startswith(said)
    assert platform.changes == []


async def test_a_lost_change_is_made_again() -> None:
    platform = Cmdb(cc__update_set=[lost(), {}])

    changes = await changes_of(
        PLUGINS["cc_update_set", "v1.0"], update("bk_set_desc", "x"), platform
    )

    assert [each.params["bk_set_id"] for each in changes] == [5, 5, 6]


async def test_a_lost_change_of_a_name_is_not_made_again() -> None:
    platform = Cmdb(cc__update_set=lost())

    error = await failure_of(platform, PLUGINS["cc_update_set", "v1.0"], update("bk_set_name", "x"))

    assert error.startswith("outcome unknown: ")
    assert "not done: set 6" in error
    assert len(platform.changes) == 1


@versions
async def test_the_status_is_sent_as_it_is_chosen(version: str) -> None:
    changes = await changes_of(
        PLUGINS["cc_update_set_service_status", version],
        {**CHOSEN[version], "cc_set_status": "2"},
    )

    assert changes == [updated(number, bk_service_status="2") for number in (5, 6)]


@pytest.mark.parametrize(
    ("form", "condition"),
    [
        ({"set_select_method": "name"}, "bk_set_name"),
        ({"set_select_method": "custom", "set_attr_id": "bk_set_name"}, "bk_set_name"),
    ],
    ids=["name", "custom"],
)
async def test_listed_sets_are_found_by_their_exact_name(form: Json, condition: str) -> None:
    platform = Cmdb()

    changes = await changes_of(
        LISTED, {**form, "set_list": "east, west", "set_status": "1"}, platform
    )

    assert changes == [updated(number, bk_service_status="1") for number in (5, 6)]
    assert platform.params_of("cc.search_set")[0] == {
        "bk_biz_id": 2,
        "fields": ["bk_set_id", condition],
        "condition": {condition: "east"},
        "page": {"start": 0, "limit": 500},
    }


async def test_listed_sets_may_be_ids() -> None:
    form: Json = {"set_select_method": "id", "set_list": "5,6", "set_status": "2"}

    assert await changes_of(LISTED, form) == [
        updated(number, bk_service_status="2") for number in (5, 6)
    ]


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"set_select_method": "name", "set_list": "east,eas"}, "no set of the business has"),
        ({"set_select_method": "other", "set_list": "east"}, "请选择填参方式"),
    ],
    ids=["unknown set", "unknown way"],
)
async def test_a_listed_set_that_is_none_changes_nothing(form: Json, said: str) -> None:
    platform = Cmdb()

    error = await failure_of(platform, LISTED, {**form, "set_status": "1"})

    assert error.startswith(said)
    assert platform.changes == []


# --- row by row -------------------------------------------------------------------------------


async def test_each_row_changes_the_set_that_it_names() -> None:
    row: Json = {
        "bk_set_name": "east",
        "bk_new_set_name": "orient",
        "bk_capacity": 4,
        "is_spare": "false",
        "bk_set_desc": "",
    }
    platform = Cmdb()

    end = await ended(platform, BATCH, {"cc_set_update_data": [row, {"bk_set_name": "west"}]})

    sent: Json = {"bk_set_name": "orient", "bk_capacity": 4, "is_spare": False}
    assert [each.params for each in platform.changes] == [
        {"bk_biz_id": 2, "bk_set_id": 5, "data": sent},
        {"bk_biz_id": 2, "bk_set_id": 6, "data": {"bk_set_name": "west"}},
    ]
    assert isinstance(end, Done), end
    success: JsonValue = [{**row, "bk_capacity": "4"}, {"bk_set_name": "west"}]
    assert end.outputs == {"set_update_success": success, "set_update_failed": []}


async def test_rows_of_sets_are_expanded_when_the_form_says_so() -> None:
    row: Json = {"bk_set_name": "east,west", "bk_capacity": "4"}

    changes = await changes_of(BATCH, {"cc_set_select_method": "auto", "cc_set_update_data": [row]})

    assert [each.params["bk_set_id"] for each in changes] == [5, 6]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"bk_set_name": "eas", "bk_capacity": "1"}, "set eas: no set of the business has"),
        ({"bk_set_name": "east", "bk_capacity": "x"}, "set east: bk_capacity 的值 'x' 必须为整数"),
        ({"bk_capacity": "1"}, "set None: 目前Set名称未填写"),
    ],
    ids=["unknown", "no number", "no name"],
)
async def test_a_wrong_row_of_sets_does_not_stop_the_others(row: Json, said: str) -> None:
    platform = Cmdb()

    end = await ended(platform, BATCH, {"cc_set_update_data": [row, {"bk_set_name": "west"}]})

    assert isinstance(end, Failed), end
    assert end.error.startswith(said)
    assert end.outputs["set_update_success"] == [{"bk_set_name": "west"}]
    assert [each.params["bk_set_id"] for each in platform.changes] == [6]


# --- emptied and deleted ----------------------------------------------------------------------


@versions
async def test_the_hosts_of_sets_are_moved_to_the_idle_module(version: str) -> None:
    changes = await changes_of(PLUGINS["cc_empty_set_hosts", version], CHOSEN[version])

    assert changes == [
        Asked("cc.transfer_sethost_to_idle_module", {**WHERE, "bk_set_id": number})
        for number in (5, 6)
    ]


@versions
async def test_sets_are_deleted_by_one_call(version: str) -> None:
    changes = await changes_of(PLUGINS["cc_batch_delete_set", version], CHOSEN[version])

    assert changes == [Asked("cc.batch_delete_set", {**WHERE, "delete": {"inst_ids": [5, 6]}})]


@versions
async def test_a_lost_deletion_is_not_sent_again(version: str) -> None:
    platform = Cmdb(cc__batch_delete_set=lost())

    error = await failure_of(platform, PLUGINS["cc_batch_delete_set", version], CHOSEN[version])

    assert error.startswith("outcome unknown: ")
    assert len(platform.changes) == 1


@pytest.mark.parametrize(
    ("code", "api"),
    [
        ("cc_update_set", "cc.update_set"),
        ("cc_update_set_service_status", "cc.update_set"),
        ("cc_empty_set_hosts", "cc.transfer_sethost_to_idle_module"),
        ("cc_batch_delete_set", "cc.batch_delete_set"),
    ],
)
@versions
async def test_a_refused_change_of_sets_is_told(code: str, api: str, version: str) -> None:
    platform = Cmdb(**{api.replace(".", "__"): refusal("denied", 9900403)})

    error = await failure_of(
        platform, PLUGINS[code, version], {**CHOSEN[version], **WITH.get(code, {})}
    )

    assert error.startswith(f"调用配置平台(CMDB)接口{api}无权限")
    assert len(platform.changes) == 1


async def test_a_place_without_a_number_is_told() -> None:
    form: Json = {"cc_set_select": ["set_east"]}

    error = await failure_of(Cmdb(), PLUGINS["cc_empty_set_hosts", "legacy"], form)

    assert error.startswith("topology ids such as set_12 are wanted")
