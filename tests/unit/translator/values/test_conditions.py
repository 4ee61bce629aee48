import contextlib
import json
import time
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue

from tests.helpers.shared import FIXTURES, ROOT, SHARED, needs_shared
from translator import values
from translator.plan import Compare, Condition, Expression, Quoted, Ref, Token
from translator.values import (
    MAX_NESTING,
    RuleError,
    RuleSyntaxError,
    classify,
    holds,
    operands,
    parse_condition,
    resolve,
)

ENGINE_PARSE_ERRORS = {"ParseException", "ValueError"}


def outcome(text: str, context: Mapping[str, JsonValue] | None) -> dict[str, Any]:
    try:
        return {"result": values.test_text(text, context)}
    except RuleSyntaxError:
        return {"stage": "parse"}
    except RuleError as error:
        return {"stage": "test", "text": str(error)}


def recorded(row: dict[str, Any]) -> dict[str, Any]:
    error = row.get("error")
    return {k: error[k] for k in ("stage", "text") if k in error} if error else row


@needs_shared
def test_bare_rules_hold_as_in_the_real_engine() -> None:
    cases = ROOT / "tests/conformance/cases/boolrule.jsonl"
    file = cases if cases.is_file() else SHARED / "conformance/boolrule.jsonl"

    wrong: list[Any] = []
    for row in map(json.loads, file.read_text().strip().split("\n")):
        want, got = recorded(row), outcome(row["expr"], row.get("context"))
        if any(want.get(key, value) != value for key, value in got.items() if key in want) or (
            "result" in row
        ) != ("result" in got):
            wrong.append((row, got))

    assert wrong == []


@needs_shared
def test_vectors_hold_as_in_the_real_engine() -> None:
    rows = json.loads((FIXTURES / "vectors/boolrule.json").read_text())

    for row in rows:
        got = outcome(row["expression"], row["context"])
        if "expected" in row:
            assert got == {"result": row["expected"]}, row
        else:
            stage = "parse" if row["raises"] in ENGINE_PARSE_ERRORS else "test"
            assert got.get("stage") == stage, row


def decide(text: str, **known: JsonValue) -> bool:
    condition = parse_condition(text)
    assert condition.rule is not None, condition.error
    resolved = {value: resolve(value, known) for value in operands(condition.rule)}
    return holds(condition.rule, resolved)


@pytest.mark.parametrize(
    ("text", "x", "result"),
    [
        ("${x} == 5", "5", True),
        ("${x} == 5", 5, True),
        ("${x} == 5", " 5 ", True),
        ("${x} == '5'", 5, True),
        ("${x} == true", True, True),
        ("${x} == true", "True", True),
        ("${x} == None", None, True),
        ("${x} == 'a b'", "a b", True),
        ("${x} in (1, 2)", 2, True),
        ("1 in ${x}", "(1, 2)", True),
        ("'a' in ${x}", ["a", "b"], True),
        ("'${x}' == 'it\"s'", 'it"s', True),
        ("'${x}' == 'a\\nb'", "a\nb", True),
        ("'${x}' == 'a\\nb'", "a\\nb", True),
        ("'${x}' == '[1, 2]'", [1, 2], True),
        ("${x} == ${x}", "any ' text \" or 1 == 1", True),
        ("${x} == 'x'", "y' == 'y' or 'x", False),
        ("${x} == 'no' or ${x} == 'yes'", "yes", True),
        ("v${x}.1 == 'v2.1'", "2", True),
        ("-${x} < 0", 3, True),
        ("${x} == ''", "", True),
        ("'${x}' > 1", "2", True),
        ("${x} == 1e20", 1, None),
    ],
)
def test_references_are_tokens_of_the_condition(
    text: str, x: JsonValue, result: bool | None
) -> None:
    if result is None:
        assert parse_condition(text).rule is None
    else:
        assert decide(text, x=x) is result


def test_operands_come_once_and_in_text_order() -> None:
    rule = parse_condition("${b} == 1 and '${a}x' in (${b}, ${c})").rule
    assert rule is not None

    assert operands(rule) == [Ref(key="b"), classify("${a}x"), Ref(key="c")]


def test_quotes_inside_a_fragment_do_not_end_a_quoted_operand() -> None:
    condition = parse_condition('"${d["k"]}" == ${d[\'k\']}')

    assert condition.reads == ("d",)
    assert condition.rule == Compare(
        left=Quoted(value=Expression(text='${d["k"]}', reads=("d",))),
        comparator="==",
        right=Token(value=Expression(text="${d['k']}", reads=("d",))),
    )


def test_a_declared_odd_key_is_a_token() -> None:
    assert parse_condition("${a b} == 1", ["a b"]).reads == ("a b",)
    assert parse_condition("${a b} == 1").rule is None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "a value is missing at the end"),
        ("1 ==", "a value is missing at the end"),
        ("${x} = 1", "a comparison operator is missing at column 6"),
        ("1 == 1 && 2 == 2", "'and', 'or' or the end is missing at column 8"),
        ("'a == 1", "a closing ' is missing"),
        ("(1 == 1", "')' is missing"),
        ("1 in (1, 2", "',' or ')' is missing"),
        ("1e3 == 1000", "invalid literal for int() with base 10: '1E3'"),
        ("9" * 5000 + " == 1", "a number of 5000 digits is too long"),
        ("(" * 500 + "1==1" + ")" * 500, f"nested more than {MAX_NESTING} deep"),
        ("1==1 and 1==1 or " * 200 + "1==1", "changes between and and or"),
    ],
)
def test_a_condition_that_does_not_parse_says_where(text: str, says: str) -> None:
    condition = parse_condition(text)

    assert condition.rule is None
    assert says in condition.error


def test_what_is_not_needed_is_not_compared() -> None:
    assert decide("1 == 1 or 'a' > 1") is True
    with pytest.raises(RuleError, match="not supported between"):
        decide("1 == 2 or 'a' > 1")


def test_a_long_condition_survives_storing() -> None:
    condition = parse_condition(" and ".join(["${x} == 1"] * 2000))

    assert Condition.model_validate_json(condition.model_dump_json()) == condition


def test_parsing_is_linear() -> None:
    text = "((((((((1==1 and " * 12 + "'" + "a" * 400_000 + "${x}" * 1000

    start = time.perf_counter()
    parse_condition(text)

    assert time.perf_counter() - start < 2


PIECES = ["${x}", "${y[0]}", "'", '"', "(", ")", ",", " ", "==", "in", "and", "or", "1", ".", "e3"]


@given(st.lists(st.sampled_from(PIECES)).map("".join) | st.text())
def test_parsing_never_raises_and_testing_only_rule_errors(text: str) -> None:
    condition = parse_condition(text)

    assert (condition.rule is None) == bool(condition.error)
    if condition.rule is not None:
        with contextlib.suppress(RuleError):
            holds(condition.rule, dict.fromkeys(operands(condition.rule), "v"))
