import pytest

from tests.helpers.build import Harness, task, tree, variable, variables
from translator.rules import expressions_evaluate
from translator.template import Tree

harness = Harness(expressions_evaluate)
assert_valid, assert_diagnostics = harness.valid, harness.diagnostics


@pytest.mark.parametrize("text", ["${a}", "${a + 1}", "${len(a)}", "plain"])
def test_what_the_sandbox_takes_is_fine(text: str) -> None:
    assert_valid(flow(text))


@pytest.mark.parametrize("text", ["${1 +}", "${open('x')}", "${a.__class__}"])
def test_what_it_never_takes_is_a_warning(text: str) -> None:
    found = harness.found(flow(text))

    assert [(severity, pointer) for severity, pointer, _ in found] == [
        ("warning", "/activities/a/inputs/x")
    ]
    assert found[0][2].startswith("input 'x' of node 'a' can never be evaluated: ")


def flow(text: str) -> Tree:
    given = variables(variable("a"))
    return tree("start a end", nodes=[task("a", inputs={"x": [text]})], variables=given)
