from tests.helpers.build import Harness, tree
from translator.rules import converges_serve_one_fork

harness = Harness(converges_serve_one_fork)
assert_valid, assert_diagnostics = harness.valid, harness.diagnostics


def test_exclusive_gateways_may_share_a_converge() -> None:
    assert_valid(tree("start xor1 a join1 end", "xor1 xor2 b join1", "xor2 c join1"))


def test_a_converge_with_too_few_ways_in_is_an_error() -> None:
    found = tree("start fork1 a c join1 end", "fork1 b c")

    assert_diagnostics(
        found,
        [
            (
                "error",
                "/gateways/join1",
                "converge gateway 'join1' has 1 ways in, its fork has 2 branches",
            )
        ],
    )


def test_two_forks_with_one_converge_are_an_error() -> None:
    assert_diagnostics(
        tree(
            "start xor1 fork1 a join1 end", "fork1 b join1", "xor1 fork2 c join1", "fork2 d join1"
        ),
        [
            (
                "error",
                "/gateways/join1",
                "converge gateway 'join1' ends several forks: 'fork1', 'fork2'",
            )
        ],
    )
