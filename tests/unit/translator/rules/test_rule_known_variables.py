import pytest

from tests.helpers.build import Harness, subflow, task, tree, variable, variables
from translator.rules import known_variables
from translator.template import Tree

harness = Harness(known_variables)
assert_valid, assert_diagnostics = harness.valid, harness.diagnostics


@pytest.mark.parametrize(
    "text", ["${ip}", "${_system.task_id}", "${_env_zone}", "${_loop}", "${len(ip)}", "plain"]
)
def test_what_exists_is_fine(text: str) -> None:
    assert_valid(flow(text))


def test_an_unknown_variable_is_a_warning_with_a_suggestion() -> None:
    assert_diagnostics(
        flow("${ipp}"),
        [
            (
                "warning",
                "/activities/a/inputs/x",
                "input 'x' of node 'a' refers to variable 'ipp', which is not defined",
            )
        ],
    )


def test_a_condition_is_looked_at_too() -> None:
    assert_diagnostics(
        tree("start xor1 a end", "xor1 b end", conditions={"xor1-a": "${n} == 1"}),
        [
            (
                "warning",
                "/gateways/xor1/conditions/xor1-a",
                "condition of gateway 'xor1' refers to variable 'n', which is not defined",
            )
        ],
    )


def test_a_nested_flow_does_not_see_its_parents_variables() -> None:
    assert len(harness.found(nested(shares_context=False))) == 1


def test_a_nested_flow_that_shares_the_context_does() -> None:
    assert_valid(nested(shares_context=True))


def flow(text: str) -> Tree:
    given = variables(variable("ip"))
    return tree("start a end", nodes=[task("a", inputs={"x": text})], variables=given)


def nested(*, shares_context: bool) -> Tree:
    inner = tree("start a end", nodes=[task("a", inputs={"x": "${ip}"})])
    holder = subflow("sub1", inner, shares_context=shares_context)
    return tree("start sub1 end", nodes=[holder], variables=variables(variable("ip")))
