"""What lazy variables expose that need nothing from outside."""

import contextlib
from datetime import UTC, datetime
from typing import Any

import pytest

from activities.builtin.variables import PURE_TYPES, transform

NOW = datetime(2026, 3, 4, 20, 6, 7, tzinfo=UTC)  # 04:06:07 of the next day in Shanghai


def made(custom_type: str, value: Any, meta: Any = None) -> Any:
    return transform(custom_type, value, meta, now=NOW)


@pytest.mark.parametrize(
    ("custom_type", "value", "exposed"),
    [
        ("select", "a", "a"),
        ("select", ["a", 2], "a,2"),
        ("select", [], ""),
        ("time", "14:45:30", "14:45"),
        ("bk_user_selector", "ann,bob", "ann,bob"),
        ("password", {"tag": "variable", "value": "x"}, {"tag": "variable", "value": "x"}),
        ("format_support_datetime", {"datetime": "2020-10-10 14:45:00"}, "2020-10-10 14:45:00"),
        (
            "format_support_datetime",
            {"datetime": "2020-10-10 14:45:00", "datetime_format": " %H "},
            "14",
        ),
        ("current_time", {"time_unit": ["second", "day"]}, "05 07"),
        ("current_time", {"time_unit": ["year", "hour", "minute"]}, "2026 04:06"),
        ("current_time", {"time_unit": ["hour"], "time_zone": "UTC"}, "20"),
        ("current_time", {"time_unit": []}, ""),
        ("format_support_current_time", {"time_format": " %Y%m%d "}, "20260305"),
        ("format_support_current_time", {"time_zone": "UTC"}, "2026-03-04 20:06:07"),
    ],
)
def test_a_type_exposes(custom_type: str, value: Any, exposed: Any) -> None:
    assert made(custom_type, value) == exposed


ITEMS = '[{"text": "A", "value": "1"}, {"text": "", "value": "2"}, {"text": "C", "value": 3}]'


@pytest.mark.parametrize(
    ("value", "meta"),
    [
        ({"meta_data": ITEMS, "info_value": ["1", "2"]}, None),
        (["1", "2"], {"value": {"items_text": ITEMS}}),
        (["1", "2"], {"value": {"remote_data": ITEMS, "items_text": "an address"}}),
    ],
)
def test_options_give_values_and_texts_chosen_and_not(value: Any, meta: Any) -> None:
    assert made("text_value_select", value, meta) == {
        "value": "1,2",
        "text": "A",
        "value_not_selected": "3",
        "text_not_selected": "C",
    }


def test_a_single_choice_need_not_be_a_list() -> None:
    chosen = made("text_value_select", {"meta_data": ITEMS, "info_value": "1"})

    assert (chosen["value"], chosen["text"]) == ("1", "A")


def test_a_table_gives_its_columns_as_lists_and_lines() -> None:
    table = made("datatable", '[{"a": 1, "b": "x"}, {"a": 2}]')

    assert table == {
        "a": [1, 2],
        "flat__a": "1\n2",
        "b": ["x"],
        "flat__b": "x",
        "_pipeline_var_str_value": "DataTable with a,b Fields",
    }


def test_allocated_sets_give_attributes_and_hosts() -> None:
    sets = [
        {"bk_set_name": "s1", "__module": [{"key": "game", "value": ["1.1.1.1", "1.1.1.2"]}]},
        {"bk_set_name": "s2", "__module": [{"key": "db", "value": ["1.1.1.1"]}]},
    ]
    given = made("set_allocation", {"data": sets, "separator": ";"})

    assert given["set_count"] == 2
    assert given["flat__bk_set_name"] == "s1;s2"
    assert given["_module"] == [{"game": "1.1.1.1;1.1.1.2"}, {"db": "1.1.1.1"}]
    assert given["flat__ip_list"] == "1.1.1.1;1.1.1.2"
    assert given["flat__verbose_ip_list"] == "1.1.1.1;1.1.1.2;1.1.1.1"
    assert given["flat__verbose_ip_module_list"] == "s1>game;s1>game;s2>db"
    assert given["_pipeline_var_str_value"] == "Allocate 2 sets with names: s1,s2"


@pytest.mark.parametrize(
    ("custom_type", "value", "says"),
    [
        ("format_support_datetime", {"datetime": "bad"}, "2020-10-10 14:45:00"),
        ("format_support_datetime", 5, "2020-10-10 14:45:00"),
        ("current_time", {"time_unit": ["hour"], "time_zone": "Mars/Base"}, "Mars/Base"),
        ("current_time", {"time_unit": ["hour"], "time_zone": "../etc"}, "unknown time zone"),
        ("time", 5, "14:45:30"),
        ("datatable", "not json", "not JSON"),
        ("datatable", "[" * 100_000, "not JSON"),
        ("datatable", {"a": 1}, "not a list of objects"),
        ("text_value_select", {"meta_data": "[1]", "info_value": 1}, "not a list of objects"),
        ("set_allocation", {"data": [{"__module": 5}]}, "not a list of objects"),
        ("ip_selector", {}, "not computed here"),
    ],
)
def test_a_value_that_cannot_be_used_says_why(custom_type: str, value: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        made(custom_type, value)


@pytest.mark.parametrize("custom_type", sorted(PURE_TYPES))
@pytest.mark.parametrize("value", [None, 0, True, "", "x", [], [None], {}, {"data": None}])
def test_no_value_raises_anything_but_value_error(custom_type: str, value: Any) -> None:
    with contextlib.suppress(ValueError):
        made(custom_type, value)
