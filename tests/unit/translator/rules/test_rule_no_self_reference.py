import pytest

from tests.helpers.build import Harness, subflow, tree, variable, variables
from translator.rules import no_self_reference
from translator.template import Tree

harness = Harness(no_self_reference)
assert_valid, assert_diagnostics = harness.valid, harness.diagnostics


def test_a_reference_to_another_variable_is_fine() -> None:
    assert_valid(flow("${b}"))


@pytest.mark.parametrize(
    ("text", "severity"),
    [("${a}-1", "error"), ("${a.x}", "warning"), ("${a + 1}", "warning")],
)
def test_only_the_exact_spelling_is_an_error(text: str, severity: str) -> None:
    what = "the value of variable 'a' refers to 'a' itself"

    assert_diagnostics(flow(text), [(severity, "/constants/a/value", what)])


def test_the_engine_takes_even_that() -> None:
    what = "the value of variable 'a' refers to 'a' itself"

    assert_diagnostics(
        flow("${a}"), [("warning", "/constants/a/value", what)], file_format="engine"
    )


def test_a_value_that_the_parent_gives_is_none_of_its_own() -> None:
    holder = subflow("sub1", flow("${a}"), params={"a": "${a}"})

    assert_valid(tree("start sub1 end", nodes=[holder], variables=variables(variable("a"))))


def test_a_nested_flow_is_not_checked_by_the_server() -> None:
    found = harness.found(tree("start sub1 end", nodes=[subflow("sub1", flow("${a}"))]))

    assert [severity for severity, *_ in found] == ["warning"]


def flow(text: str) -> Tree:
    return tree("start n end", variables=variables(variable("a", text), variable("b")))
