import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers.shared import FIXTURES, SHARED, needs_shared
from translator.values import insides, references
from translator.values.fragments import MAX_CODE, split_filters


@needs_shared
def test_references_are_those_of_the_real_engine() -> None:
    lines = (SHARED / "conformance/template.jsonl").read_text().strip().split("\n")
    rows = [json.loads(line) for line in lines]
    vectors = json.loads((FIXTURES / "vectors/mako_references.json").read_text())

    found = {row["id"]: {f"${{{n}}}" for n in references(row["value"])} for row in rows}
    of_vectors = [{f"${{{n}}}" for n in references(v["template"])} for v in vectors]

    assert found == {row["id"]: set(row["references"]) for row in rows}
    assert of_vectors == [set(v["references"]) for v in vectors]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("${b} ${a} ${b}", ("b", "a")),
        ("${f(x, y)}", ("f", "x", "y")),
        ("${[i for i in l]}", ("l",)),
        ("${(lambda y: y + z)(q)}", ("z", "q")),
        ("${'a}", ()),
        ("${a[}", ()),
        ("no ${} fragment #{a} $a", ()),
        ("${x | trim}", ("x",)),
        ("${x | shout}", ("x", "shout")),
    ],
)
def test_references_come_in_order_of_first_use(text: str, names: tuple[str, ...]) -> None:
    assert references(text) == names


def test_keys_of_objects_refer_to_nothing() -> None:
    assert references({"${a}": ["${b}", {"x": "${c}"}]}) == ("b", "c")


@pytest.mark.parametrize(
    ("inside", "code", "filters"),
    [
        ("x", "x", ""),
        ("x | h, trim", "x ", "h, trim"),
        ("'a|b' | h", "'a|b' ", "h"),
        ("(a | b)", "(a | b)", ""),
        ("l[a | b] | h", "l[a | b] ", "h"),
        ('"""a"|"""|h', '"""a"|"""', "h"),
        ("'a\\'|' | h", "'a\\'|' ", "h"),
        ("it's | h", "it's ", "h"),
    ],
)
def test_filters_begin_at_the_first_bar_outside_of_quotes(
    inside: str, code: str, filters: str
) -> None:
    assert split_filters(inside) == (code, filters)


@pytest.mark.parametrize(
    "text",
    [
        "${" * 50_000,
        "${" + "(" * 5_000 + "}",
        "${" + "-" * 5_000 + "x}",
        "${" + "x" * (MAX_CODE + 1) + "}",
        "${" + "a+" * 4_000 + "a}",
        "${" + "'\"" * 4_000 + "}",
        "\ud800${x\udfff}",
    ],
)
def test_hostile_text_is_scanned_to_an_end(text: str) -> None:
    assert isinstance(references(text), tuple)


@given(st.text())
def test_any_text_has_references_that_stand_in_it(text: str) -> None:
    assert all(inside in text for inside in insides(text))
    assert isinstance(references(text), tuple)
