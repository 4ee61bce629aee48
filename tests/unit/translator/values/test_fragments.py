import ast
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers.shared import FIXTURES, SHARED, needs_shared
from translator.values import check, classify, expression_problem, insides, references
from translator.values.fragments import MAX_CODE, remembered, split_filters


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
    ("inside", "times"),
    [
        ("plain_name_only", 0),
        ("once + len(upon)", 1),
        ("once | h, trim", 2),
        ("once\n+ upon", 2),
        ("x + " * 500 + "1", 1),
    ],
    ids=["a name", "an expression", "with filters", "over two lines", "a long one"],
)
def test_a_fragment_is_parsed_once_whoever_asks(
    monkeypatch: pytest.MonkeyPatch, inside: str, times: int
) -> None:
    parsed: list[str] = []
    real: Any = ast.parse  # of its overloads only the call matters

    def counted(code: str, *args: Any, **more: Any) -> Any:
        parsed.append(code)
        return real(code, *args, **more)

    monkeypatch.setattr(ast, "parse", counted)
    text = f"<${{{inside}}}>"

    for _ in range(3):
        classify(text)
        references(text)
        check(inside)
        expression_problem(text)

    assert len(parsed) == times


def test_a_remembered_function_forgets_long_texts_sooner() -> None:
    asked: list[str] = []
    sized = remembered(lambda text: asked.append(text) or len(text))
    short, long = [str(n) for n in range(50)], ["x" * n for n in range(1000, 1050)]

    sizes = [sized(text) for _ in range(2) for text in (*short, *long)]

    assert sizes == [len(text) for text in (*short, *long)] * 2
    assert [len(asked), len(set(asked))] == [150, 100]


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
