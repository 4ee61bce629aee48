import pytest
from pydantic import JsonValue

from translator.values import mismatch, shown, unholdable
from translator.values.checking import MAX_SHOWN

GOOD: list[tuple[str, JsonValue]] = [
    ("int", 5),
    ("int", -5),
    ("int", "5"),
    ("int", " +5 "),
    ("int", 5.0),
    ("int", ""),
    ("datetime", "2000-04-19 14:45:16"),
    ("date", "2000-04-19"),
    ("time", "14:45:16"),
    ("time", "14:45"),
    ("format_support_datetime", {"datetime": "2020-10-10 14:45:00", "datetime_format": "%Y"}),
    ("format_support_datetime", "2020-10-10 14:45:00"),
    ("json", '{"a": 1}'),
    ("json", {"a": 1}),
    ("json", 5),
    ("datatable", [{"a": 1}]),
    ("datatable", '[{"a": 1}]'),
    ("datatable", []),
    ("select", "a"),
    ("select", ["a", "b"]),
    ("input", {"any": ["thing"]}),
    ("textarea", 5),
    ("password", {"tag": "variable", "value": "x"}),
    ("", None),
    ("of_another_plugin", [1]),
]
BAD: list[tuple[str, JsonValue]] = [
    ("int", "five"),
    ("int", True),
    ("int", 5.5),
    ("int", "٥"),
    ("int", [5]),
    ("datetime", "2000-04-31 14:45:16"),
    ("datetime", "2000-04-19"),
    ("datetime", 5),
    ("date", "19.4.2000"),
    ("time", "25:00:00"),
    ("format_support_datetime", {"datetime": "now"}),
    ("format_support_datetime", []),
    ("json", "{a: 1}"),
    ("datatable", [1]),
    ("datatable", "rows"),
    ("datatable", {"a": 1}),
    ("select", {"a": 1}),
    ("select", [["a"]]),
]


@pytest.mark.parametrize(("custom_type", "value"), GOOD)
def test_a_value_of_its_type_is_fine(custom_type: str, value: JsonValue) -> None:
    assert mismatch(value, custom_type, "") == ""


@pytest.mark.parametrize(("custom_type", "value"), BAD)
def test_a_value_of_another_type_is_told_what_is_needed(custom_type: str, value: JsonValue) -> None:
    assert mismatch(value, custom_type, "") != ""


def test_a_number_is_compared_with_the_pattern_as_text() -> None:
    assert mismatch(12, "int", r"^\d$") == r"text that matches '^\\d$'"
    assert mismatch([12], "input", r"^\d$") == ""


@pytest.mark.parametrize(
    ("value", "what"),
    [
        (float("nan"), "the number nan"),
        ([{"a": float("inf")}], "the number inf"),
        ("\ud800", "half of a surrogate pair"),
        ({"\udfff": 1}, "half of a surrogate pair"),
    ],
)
def test_what_no_json_holds_is_named(value: JsonValue, what: str) -> None:
    assert unholdable(value).startswith(what)


def test_a_value_that_is_nested_too_deep_is_named() -> None:
    value: JsonValue = "x"
    for _ in range(101):
        value = [value]

    assert unholdable(value) == "lists or objects nested more than 100 deep"
    assert unholdable(value[0]) == ""


@pytest.mark.parametrize("value", ["x" * 1_000_000, "中文 🚀", "\ud83d\ude80", [None, True, 1e300]])
def test_whatever_json_holds_is_fine(value: JsonValue) -> None:
    assert unholdable(value) == ""


@pytest.mark.parametrize("value", ["x" * 1_000_000, ["x" * 1_000_000], "\ud800"])
def test_a_value_is_shown_short_and_printable(value: JsonValue) -> None:
    assert len(shown(value)) <= MAX_SHOWN
    shown(value).encode()
