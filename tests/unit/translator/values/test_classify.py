import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue

from stdops import StdopsError
from translator.plan import DictValue, Expression, ListValue, Literal, Ref, Splice, Value
from translator.values import MAX_DEPTH, classify, needs_sandbox, reads, resolve, source

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text("ab $#é"),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("ab"), inner, max_size=4),
    max_leaves=10,
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("plain", Literal(value="plain")),
        ("${x}", Ref(key="x")),
        ("${变量}", Ref(key="变量")),
        ("a${x}b${y}", Splice(parts=("a", Ref(key="x"), "b", Ref(key="y")))),
        ("${ x}", Literal(value="${ x}")),
        ("${x:-y} ${z}", Splice(parts=("${x:-y} ", Ref(key="z")))),
        ("${x.__class__}", Literal(value="${x.__class__}")),
        ("${x[0]}", Expression(text="${x[0]}", reads=("x",))),
        ("${str}", Expression(text="${str}", reads=("str",))),
        ("${json}", Expression(text="${json}", reads=("json",))),
        ("${True}", Expression(text="${True}")),
        ("${x }", Expression(text="${x }", reads=("x",))),
        ("${'é' + x}", Expression(text="${'é' + x}", reads=("x",))),
    ],
)
def test_text_is_classified_by_what_it_needs(text: str, value: Value) -> None:
    assert classify(text) == value


@pytest.mark.parametrize("key", ["a b", "1a", "x.y", "i+1", "str", "__dd", " s"])
def test_a_declared_key_is_a_reference_whatever_it_looks_like(key: str) -> None:
    assert classify(f"${{{key}}}", [key]) == Ref(key=key)


@pytest.mark.parametrize("inside", ["a-b", "__dd"])
def test_an_odd_key_in_longer_text_stays_text(inside: str) -> None:
    assert isinstance(classify(f"z${{{inside}}}", [inside]), Literal | Expression)


def test_a_declared_name_may_be_followed_by_blanks_in_text() -> None:
    assert classify("${s }", ["s"]) == Splice(parts=(Ref(key="s"),))


def test_a_system_variable_may_be_declared_by_its_field() -> None:
    parts = ("by ", Ref(key="_system.operator"))

    assert classify("by ${_system.operator}", ["_system.operator"]) == Splice(parts=parts)


def test_containers_of_literals_are_one_literal() -> None:
    assert classify({"a": [1, "x", None]}) == Literal(value={"a": [1, "x", None]})


def test_containers_keep_what_is_not_literal() -> None:
    value = classify({"a": ["x", "${y}"], "b": 1})

    items = ListValue(items=(Literal(value="x"), Ref(key="y")))
    assert value == DictValue(fields={"a": items, "b": Literal(value=1)})
    assert reads(value) == ("y",)


def test_needs_sandbox_looks_into_containers() -> None:
    assert needs_sandbox(classify(["a", {"k": "${x[0]}"}]))
    assert not needs_sandbox(classify(["a", {"k": "${x}"}]))


def test_lone_surrogates_are_replaced_and_pairs_joined() -> None:
    assert classify("a\ud800\ud83d\ude00") == Literal(value="a\ufffd😀")


def test_nesting_beyond_the_bound_is_refused_with_a_reason() -> None:
    deep: JsonValue = "x"
    for _ in range(MAX_DEPTH + 1):
        deep = [deep]

    with pytest.raises(StdopsError, match="nested more than"):
        classify(deep)


@given(JSON)
def test_values_without_fragments_resolve_to_themselves(value: JsonValue) -> None:
    assert resolve(classify(value), {}) == value


@given(st.lists(st.sampled_from(["${a}", "${ b}", "${c:d}", "x", "$", "{", "}", "${e[0]}"])))
def test_source_gives_back_what_was_classified(parts: list[str]) -> None:
    text = "".join(parts)

    assert source(classify([text, {"k": text}])) == [text, {"k": text}]
