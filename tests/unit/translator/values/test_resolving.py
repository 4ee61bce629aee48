from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue

from translator.plan import Value, Variable
from translator.values import (
    OBJECT_TEXT,
    NeedsSandbox,
    ReferenceCycle,
    as_text,
    classify,
    closure,
    is_pure,
    resolve,
    resolve_all,
)


def variables(**texts: str) -> dict[str, Variable]:
    return {k: Variable(key=k, kind="splice", value=classify(t)) for k, t in texts.items()}


def plain(key: str, value: JsonValue) -> Variable:
    return Variable(key=key, kind="plain", value=classify(value))


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("${n}", 5),
        ("n=${n}", "n=5"),
        ("${l}", [1, "b"]),
        ("<${l}${t}${z}>", "<[1, 'b']TrueNone>"),
        ("${nope} ${n}", "${nope} 5"),
        ("${nope}", "${nope}"),
        (["${n}", {"k": "x${n}"}], [5, {"k": "x5"}]),
        ("<${o}>", "<three rows>"),
        ("<${huge}>", "<${huge}>"),
    ],
)
def test_resolve_keeps_types_and_unknown_references(text: JsonValue, result: JsonValue) -> None:
    known: Mapping[str, JsonValue] = {
        "n": 5,
        "l": [1, "b"],
        "t": True,
        "z": None,
        "o": {OBJECT_TEXT: "three rows", "col": [1]},
        "huge": 10**5000,
    }

    assert resolve(classify(text), known) == result


def test_resolve_leaves_expressions_to_the_sandbox() -> None:
    with pytest.raises(NeedsSandbox, match="n\\+1"):
        resolve(classify(["${n+1}"]), {"n": 1})


def test_as_text_is_python_text() -> None:
    assert as_text({"a": [None, 1.5, "x"]}) == "{'a': [None, 1.5, 'x']}"


def test_closure_puts_what_is_referred_to_first() -> None:
    known = variables(a="${b}${c}", b="${c}", c="x", unused="${a}")

    assert list(closure([classify("${a}")], known.get)) == ["c", "b", "a"]


def test_closure_leaves_out_unknown_names() -> None:
    assert closure([classify("${nope} ${len(x)}")], variables().get) == {}


def test_closure_does_not_look_into_plain_variables() -> None:
    known = {"a": Variable(key="a", kind="plain", value=classify("${b}"))} | variables(b="x")

    assert list(closure([classify("${a}")], known.get)) == ["a"]


def test_a_cycle_is_named_from_where_it_begins() -> None:
    known = variables(s="${a}", a="${b}", b="${c}", c="${a}")

    with pytest.raises(ReferenceCycle, match="a -> b -> c -> a") as caught:
        closure([classify("${s}")], known.get)

    assert caught.value.cycle == ("a", "b", "c", "a")


def test_a_variable_that_refers_to_itself_is_a_cycle() -> None:
    with pytest.raises(ReferenceCycle, match="a -> a"):
        closure([classify("${a}")], variables(a="x${a}").get)


def test_a_long_chain_needs_no_recursion() -> None:
    size = 10_000
    known = variables(**{f"v{i}": f"${{v{i + 1}}}" for i in range(size)})
    known[f"v{size}"] = plain(f"v{size}", "end")

    needed = closure([classify("${v0}")], known.get)

    assert resolve_all({"x": classify("${v0}")}, needed) == {"x": "end"}


@given(st.dictionaries(st.integers(0, 30), st.lists(st.integers(0, 30)), max_size=30))
def test_closure_orders_any_acyclic_graph(graph: dict[int, list[int]]) -> None:
    edges = {k: [t for t in targets if t < k] for k, targets in graph.items()}
    texts = {f"v{k}": "".join(f"${{v{t}}}" for t in ts) for k, ts in edges.items()}

    order = list(closure([classify(f"${{{k}}}") for k in texts], variables(**texts).get))

    assert set(order) == set(texts)
    for key, targets in edges.items():
        present = [f"v{t}" for t in targets if t in edges]
        assert all(order.index(target) < order.index(f"v{key}") for target in present)


def test_outputs_have_no_value_until_their_source_has_ended() -> None:
    known = variables(a="<${out}>") | {"out": Variable(key="out", kind="output")}
    needed = closure([classify("${a}")], known.get)

    assert list(needed) == ["out", "a"]
    assert resolve_all({"x": classify("${a}${out}")}, needed) == {"x": "<${out}>${out}"}


def test_text_in_plain_variables_is_not_rendered() -> None:
    needed = {"a": Variable(key="a", kind="plain", value=classify("${b}")), "b": plain("b", 1)}

    assert resolve_all({"x": classify("${a}")}, needed) == {"x": "${b}"}


@pytest.mark.parametrize(
    ("value", "needed", "pure"),
    [
        (classify("${a}"), {"a": plain("a", 1)}, True),
        (classify("${a+1}"), {"a": plain("a", 1)}, False),
        (classify("${a}"), variables(a="${b+1}"), False),
        (classify("${a}"), {"a": Variable(key="a", kind="lazy", code="ip")}, False),
    ],
)
def test_pure_means_without_sandbox_and_lazy_variables(
    value: Value, needed: dict[str, Variable], pure: bool
) -> None:
    assert is_pure([value], needed) is pure
