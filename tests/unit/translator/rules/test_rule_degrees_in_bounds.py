from tests.helpers.build import Harness, subflow, tree
from translator.rules import degrees_in_bounds

harness = Harness(degrees_in_bounds)
assert_valid, assert_diagnostics = harness.valid, harness.diagnostics


def test_gateways_may_have_many_ways_out() -> None:
    assert_valid(tree("start fork1 a join1 end", "fork1 b join1"))


def test_a_task_with_two_ways_out_is_an_error() -> None:
    assert_diagnostics(
        tree("start a b end", "a c end"),
        [("error", "/activities/a", "node 'a' has 2 ways out, allowed: exactly 1")],
    )


def test_a_task_that_leads_nowhere_is_an_error() -> None:
    assert_diagnostics(
        tree("start xor1 a", "xor1 end"), [("error", "/activities/a", "node 'a' has no way out")]
    )


def test_more_than_a_thousand_ways_out_are_an_error() -> None:
    chains = [f"fork1 a{number} join1" for number in range(1001)]

    assert_diagnostics(
        tree("start fork1", *chains, "join1 end"),
        [
            ("error", "/gateways/fork1", "node 'fork1' has 1001 ways out, allowed: 1 to 1000"),
            ("error", "/gateways/join1", "node 'join1' has 1001 ways in, allowed: 1 to 1000"),
        ],
    )


def test_a_nested_flow_is_checked_too() -> None:
    inner = tree("start a")

    assert_diagnostics(
        tree("start sub1 end", nodes=[subflow("sub1", inner)]),
        [("error", "/activities/a", "node 'a' has no way out")],
    )
