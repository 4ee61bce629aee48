"""YAML text becomes plain JSON, or a finding; never an expansion, a date or an object."""

import itertools
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from translator.formats.yaml_text import MAX_ALIASED, MAX_DEPTH, load_documents


def codes(text: str) -> list[str]:
    return [finding.code for finding in load_documents(text, "f.yaml").diagnostics]


def only(text: str) -> Any:
    read = load_documents(text, "f.yaml")
    assert read.diagnostics == ()
    return read.documents[0]


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("1", 1),
        ("-12", -12),
        ("1_000", 1000),
        ("0x1f", 31),
        ("0b101", 5),
        ("017", 15),
        ("0", 0),
        ("1.5", 1.5),
        ("1.0e+3", 1000.0),
        ("yes", True),
        ("Off", False),
        ("~", None),
        ("", None),
        ("'1'", "1"),
        ("!!str 12", "12"),
        ("!!int '12'", 12),
        ("! 12", "12"),
        ("2020-01-01", "2020-01-01"),
        ("2020-10-10 14:45:00", "2020-10-10 14:45:00"),
        ("14:45:30", "14:45:30"),
        ("1:30.5", "1:30.5"),
        ("${a}", "${a}"),
        ("中文", "中文"),
    ],
)
def test_a_scalar_is_what_json_would_hold(written: str, value: object) -> None:
    assert only(f"k: {written}") == {"k": value}


def test_keys_are_text_as_they_are_written() -> None:
    assert only("1: a\nyes: b\n~: c\n${k}: d\n") == {"1": "a", "yes": "b", "~": "c", "${k}": "d"}


def test_documents_come_in_order() -> None:
    assert load_documents("a: 1\n---\nb: 2\n---\n", "f").documents == ({"a": 1}, {"b": 2}, None)


def test_an_alias_is_a_copy_of_its_own() -> None:
    value = only("a: &x {n: [1]}\nb: *x\n")

    assert value == {"a": {"n": [1]}, "b": {"n": [1]}}
    assert value["a"] is not value["b"]


def test_merged_keys_give_way_to_those_written_out() -> None:
    text = "x: &x {a: 1, b: 2}\ny: &y {c: 3}\nz:\n  b: 9\n  <<: [*x, *y]\n"

    assert only(text)["z"] == {"b": 9, "a": 1, "c": 3}


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("a: [1, 2\nb: 3\n", "SOP002"),
        ("a:\n\t- b\n", "SOP002"),
        ("a: \x01\n", "SOP002"),
        ("a: \ud800\n", "SOP002"),
        ("a: !!python/object/apply:os.system ['x']\n", "SOP002"),
        ("a: !mine x\n", "SOP002"),
        ("a: !!binary aGVsbG8=\n", "SOP002"),
        ("!mine a: x\n", "SOP002"),
        ("a: .nan\n", "SOP002"),
        ("a: -.inf\n", "SOP002"),
        ("a: !!int zz\n", "SOP002"),
        ("a: !!bool zz\n", "SOP002"),
        (f"a: {'9' * 5000}\n", "SOP002"),
        ("a: *nowhere\n", "SOP002"),
        ("a: &a [*a]\n", "SOP002"),
        ("? [a]\n: c\n", "SOP002"),
        ("x: &x k\n*x : c\n", "SOP002"),
        ("a: 1\nb: 2\na: 3\n", "SOP006"),
        ("a: {<<: 5}\n", "SOP007"),
        ("[" * 100_000, "SOP005"),
        ("{a: " * 3000, "SOP005"),
        ("".join(" " * depth + "- \n" for depth in range(300)), "SOP005"),
    ],
)
def test_what_is_not_plain_data_is_refused(text: str, code: str) -> None:
    read = load_documents(text, "f.yaml")

    assert [finding.code for finding in read.diagnostics] == [code]
    assert read.documents == ()


def test_a_syntax_error_names_line_and_column() -> None:
    where = load_documents("a: 1\nb: [1, 2\nc: 3\n", "f.yaml").diagnostics[0].where

    assert (where.file, where.line, where.column) == ("f.yaml", 3, 2)


def test_a_duplicate_key_names_its_pointer_and_place() -> None:
    where = load_documents("- a/b: {c: 1, c: 2}\n", "f.yaml").diagnostics[0].where

    assert (where.path, where.line, where.column) == ("/0/0/a~1b/c", 1, 15)


def test_aliases_that_multiply_are_refused_before_they_are_copied() -> None:
    names = "abcdefghi"
    lines = [f"a: &a [{', '.join('x' * 10)}]"]
    lines += [
        f"{name}: &{name} [{', '.join([f'*{below}'] * 10)}]"
        for below, name in itertools.pairwise(names)
    ]
    begun = time.perf_counter()

    assert codes("\n".join(lines)) == ["SOP004"]
    assert time.perf_counter() - begun < 5


def test_aliases_that_nest_count_their_depth() -> None:
    levels = [f"a0: &a0 {'[' * 60}{']' * 60}", "b: " + "[" * 60 + "*a0" + "]" * 60]

    assert codes("\n".join(levels)) == ["SOP005"]


def test_a_file_over_the_limit_is_not_even_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("translator.formats.yaml_text.MAX_CHARACTERS", 10)

    assert codes("[[[[[[[[[[[") == ["SOP004"]


def test_the_limits_are_those_that_are_documented() -> None:
    assert (MAX_ALIASED, MAX_DEPTH) == (100_000, 100)


@given(st.text(alphabet="ab:-[]{}&*!'\"\n #|>%@?,<0.~$", max_size=60))
def test_no_text_raises(text: str) -> None:
    read = load_documents(text, "f.yaml")

    assert all(finding.fix and finding.what for finding in read.diagnostics)
