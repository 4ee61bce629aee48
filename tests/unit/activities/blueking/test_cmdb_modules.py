"""CMDB's components that make and change modules: what they send, and how they fail."""

import pytest
from pydantic import JsonValue

from activities.blueking.cmdb.modules import MODULES
from activities.contract import Done, Failed
from tests.helpers.cmdb_platform import WHERE, Cmdb, changes_of, ended, failure_of, lost
from tests.helpers.job_platform import Asked, Json, refusal

PLUGINS = {(plugin.ref.code, plugin.ref.version): plugin for plugin in MODULES}
CREATE = PLUGINS["cc_create_module", "legacy"]
BATCH = PLUGINS["cc_batch_module_update", "1.0"]
IN_SETS: Json = {"cc_set_select_method": "topo", "cc_set_select_topo": ["biz_2", "set_5", "set_6"]}
CHOSEN: dict[str, Json] = {
    "legacy": {"cc_module_select": ["set_5", "module_51", "module_61"]},
    "v1.0": {
        "cc_module_select_method": "text",
        "cc_module_select_text": "shop>east>web\nshop>west>web",
    },
}
versions = pytest.mark.parametrize("version", list(CHOSEN))


def by_template(*rows: Json) -> Json:
    return {**IN_SETS, "cc_create_method": "template", "cc_module_infos_template": [*rows]}


def by_category(*rows: Json) -> Json:
    return {**IN_SETS, "cc_create_method": "category", "cc_module_infos_category": [*rows]}


def created(parent: int, **data: JsonValue) -> Asked:
    request: Json = {
        "bk_biz_id": 2,
        "bk_set_id": parent,
        "data": {"bk_parent_id": parent, **data},
    }
    return Asked("cc.create_module", request)


def updated(parent: int, module: int, **data: JsonValue) -> Asked:
    request: Json = {**WHERE, "bk_set_id": parent, "bk_module_id": module, "data": data}
    return Asked("cc.update_module", request)


def update(version: str, attribute: str, value: str) -> Json:
    return {**CHOSEN[version], "cc_module_property": attribute, "cc_module_prop_value": value}


# --- made -------------------------------------------------------------------------------------


async def test_modules_of_a_template_have_its_name_and_what_else_the_row_says() -> None:
    row: Json = {
        "cc_service_template": "web_tier_12",
        "bk_module_type": "database",
        "operator": "ann",
        "bk_bak_operator": "",
    }

    changes = await changes_of(CREATE, by_template(row))

    sent: Json = {
        "operator": "ann",
        "bk_module_type": "2",
        "service_template_id": 12,
        "bk_module_name": "web_tier",
    }
    assert changes == [created(parent, **sent) for parent in (5, 6)]


async def test_modules_of_a_category_have_a_name_of_their_own() -> None:
    row: Json = {"cc_service_category": [1, 2], "bk_module_name": "cache"}

    changes = await changes_of(CREATE, by_category(row))

    assert changes == [
        created(parent, bk_module_name="cache", service_category_id=2) for parent in (5, 6)
    ]


async def test_the_sets_of_new_modules_may_be_lines_of_names() -> None:
    form = by_template({"cc_service_template": "web_12"})
    lines: Json = {"cc_set_select_method": "text", "cc_set_select_text": "shop>west"}

    changes = await changes_of(CREATE, {**form, **lines})

    assert [each.params["bk_set_id"] for each in changes] == [6]


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({**IN_SETS}, "请选择创建方式"),
        (by_template(), "模块信息不能为空"),
        (by_template({"cc_service_template": "web"}), "请选择正确的服务模板"),
        (by_category({"cc_service_category": [1], "bk_module_name": "a"}), "请选择正确的服务类型"),
        (by_category({"cc_service_category": [1, 2]}), "模块名称不能为空"),
        (
            by_template({"cc_service_template": "web_12", "bk_module_type": "odd"}),
            "模块类型校验失败",
        ),
        (
            {**by_template({"cc_service_template": "web_12"}), "cc_set_select_method": ""},
            "请选择填参方式",
        ),
    ],
    ids=["way", "no row", "template", "category", "name", "type", "sets"],
)
async def test_a_wrong_form_makes_no_module(form: Json, said: str) -> None:
    platform = Cmdb()

    error = await failure_of(platform, CREATE, form)

    assert error.startswith(said)
    assert platform.changes == []


async def test_the_first_refused_module_tells_what_stands() -> None:
    platform = Cmdb(cc__create_module=[{}, refusal("name is taken")])

    error = await failure_of(platform, CREATE, by_template({"cc_service_template": "web_12"}))

    assert error.startswith("调用配置平台(CMDB)接口cc.create_module返回失败, error=name is taken")
    assert error.endswith("\ndone before: module 'web' in set 5")


async def test_a_module_whose_answer_is_lost_is_not_made_again() -> None:
    platform = Cmdb(cc__create_module=lost())

    error = await failure_of(platform, CREATE, by_template({"cc_service_template": "web_12"}))

    assert error.startswith("outcome unknown: ")
    assert "not done: module 'web' in set 6" in error
    assert len(platform.changes) == 1


# --- changed ----------------------------------------------------------------------------------


@versions
@pytest.mark.parametrize(
    ("attribute", "value", "sent"),
    [("bk_module_type", "database", "2"), ("operator", "ann", "ann")],
)
async def test_an_attribute_of_modules_is_changed(
    version: str, attribute: str, value: str, sent: str
) -> None:
    plugin = PLUGINS["cc_update_module", version]

    changes = await changes_of(plugin, update(version, attribute, value))

    assert changes == [
        updated(5, 51, **{attribute: sent}),
        updated(6, 61, **{attribute: sent}),
    ]


@versions
async def test_a_module_type_that_is_none_changes_nothing(version: str) -> None:
    platform = Cmdb()
    plugin = PLUGINS["cc_update_module", version]

    error = await failure_of(platform, plugin, update(version, "bk_module_type", "odd"))

    assert error.startswith("模块类型校验失败")
    assert platform.changes == []


async def test_a_module_of_no_set_changes_nothing() -> None:
    platform = Cmdb()
    form: Json = {**update("legacy", "operator", "ann"), "cc_module_select": ["module_99"]}

    error = await failure_of(platform, PLUGINS["cc_update_module", "legacy"], form)

    assert error.startswith("module 99 is not in the business's topology")


@versions
@pytest.mark.parametrize(("attribute", "again"), [("operator", 1), ("bk_module_name", 0)])
async def test_a_lost_change_of_modules_is_made_again_unless_it_is_a_name(
    version: str, attribute: str, again: int
) -> None:
    platform = Cmdb(cc__update_module=[lost(), {}])

    end = await ended(
        platform, PLUGINS["cc_update_module", version], update(version, attribute, "x")
    )

    assert isinstance(end, Done if again else Failed), end
    assert len(platform.changes) == (3 if again else 1)


@versions
async def test_a_refused_change_of_modules_is_told(version: str) -> None:
    platform = Cmdb(cc__update_module=refusal("denied", 9900403))

    error = await failure_of(
        platform, PLUGINS["cc_update_module", version], update(version, "operator", "ann")
    )

    assert error.startswith("调用配置平台(CMDB)接口cc.update_module无权限")


# --- row by row -------------------------------------------------------------------------------


async def test_each_row_changes_the_module_that_it_names() -> None:
    row: Json = {"cc_module_select_text": "east > web", "rank": "3", "operator": ""}
    platform = Cmdb()

    end = await ended(platform, BATCH, {"cc_tag_method": "custom", "cc_module_update_data": [row]})

    request: Json = {"bk_biz_id": 2, "bk_set_id": 5, "bk_module_id": 51, "data": {"rank": 3}}
    assert platform.changes == [Asked("cc.update_module", request)]
    assert end == Done(outputs={"module_update_success": [row], "module_update_failed": []})


async def test_rows_of_modules_are_expanded_when_the_form_says_so() -> None:
    row: Json = {"cc_module_select_text": "east>web;east>db", "operator": "ann"}
    form: Json = {"cc_tag_method": "template", "cc_template_break_line": ";"}

    changes = await changes_of(BATCH, {**form, "cc_module_update_data": [row]})

    assert [each.params["bk_module_id"] for each in changes] == [51, 52]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (
            {"cc_module_select_text": "east>no"},
            "module east>no: 拓扑路径 [shop>east>no] 在本业务下不存在",
        ),
        ({"cc_module_select_text": "shop>east>web"}, "module shop>east>web: 输入文本路径["),
        ({"cc_module_select_text": "east>web", "rank": "x"}, "module east>web: rank 的值 'x' 必须"),
        ({"rank": "1"}, "module None: 没有提供待更新的模块"),
    ],
    ids=["unknown", "with business", "no number", "no path"],
)
async def test_a_wrong_row_of_modules_does_not_stop_the_others(row: Json, said: str) -> None:
    good: Json = {"cc_module_select_text": "west>web", "rank": "1"}
    platform = Cmdb()

    end = await ended(platform, BATCH, {"cc_module_update_data": [row, good]})

    assert isinstance(end, Failed), end
    assert end.error.startswith(said)
    assert end.outputs["module_update_success"] == [good]
    assert [each.params["bk_module_id"] for each in platform.changes] == [61]


async def test_a_lost_row_of_modules_is_told_as_unknown() -> None:
    platform = Cmdb(cc__update_module=lost())

    error = await failure_of(
        platform, BATCH, {"cc_module_update_data": [{"cc_module_select_text": "east>web"}]}
    )

    assert error.startswith("module east>web: outcome unknown: ")
    assert len(platform.changes) == 1
