import pytest

from tests.helpers.plans import flow, variable
from translator.plan import Literal, Ref, Splice
from workflows.inputs import read_inputs

DECLARED = [
    variable("v", "old"),
    variable("w", "${v}"),
    variable("x", kind="output"),
    variable("y", kind="lazy", code="ip"),
]
FLOW = flow("n", variables=DECLARED)


@pytest.mark.parametrize("name", ["v", "${v}"])
def test_a_variable_is_given_by_its_key_with_or_without_the_wrapper(name: str) -> None:
    read = read_inputs(FLOW, {name: [1]})

    assert read.problems == ()
    assert read.variables["v"].value == Literal(value=[1])


@pytest.mark.parametrize(
    ("key", "given", "kind", "value"),
    [
        ("v", "${w}", "splice", Ref(key="w")),
        ("v", "to ${w}", "splice", Splice(parts=("to ", Ref(key="w")))),
        ("w", "plain now", "plain", Literal(value="plain now")),
        ("y", "10.0.0.1", "lazy", Literal(value="10.0.0.1")),
    ],
)
def test_a_value_is_read_as_the_variable_reads_it(
    key: str, given: str, kind: str, value: object
) -> None:
    made = read_inputs(FLOW, {key: given}).variables[key]

    assert (made.kind, made.value) == (kind, value)


def test_every_problem_is_told_at_once() -> None:
    read = read_inputs(FLOW, {"x": 1, "vv": 2, "v": 3})

    assert list(read.variables) == ["v"]
    assert read.problems == (
        "variable 'x' is the output of a node; it cannot be given",
        "the template has no variable 'vv'; did you mean 'v'?",
    )


def test_an_unknown_name_like_none_lists_those_there_are() -> None:
    assert read_inputs(FLOW, {"nothing": 1}).problems == (
        "the template has no variable 'nothing'; it has v, w, y",
    )


def test_a_template_without_variables_says_so() -> None:
    assert read_inputs(flow("n"), {"v": 1}).problems == (
        "the template has no variable 'v'; it has none",
    )
