from tests.helpers.build import Harness, tree
from translator.rules import nodes_are_reachable

harness = Harness(nodes_are_reachable)
assert_valid, assert_diagnostics = harness.valid, harness.diagnostics


def test_a_loop_is_reachable() -> None:
    assert_valid(tree("start a xor1 end", "xor1 a"))


def test_an_island_is_an_error() -> None:
    assert_diagnostics(
        tree("start a end", "b c b"),
        [
            ("error", "/activities/b", "node 'b' cannot be reached from the start"),
            ("error", "/activities/c", "node 'c' cannot be reached from the start"),
        ],
    )


def test_an_end_that_is_never_reached_is_left_to_the_loop_rule() -> None:
    assert_valid(tree("start a b a"))
