from tests.helpers.build import Harness, tree
from translator.rules import blocks_have_borders

harness = Harness(blocks_have_borders)
assert_valid, assert_diagnostics = harness.valid, harness.diagnostics


def test_a_way_through_fork_and_converge_is_fine() -> None:
    assert_valid(tree("start fork1 a join1 end", "fork1 b join1"))


def test_a_task_entered_from_two_branches_is_an_error() -> None:
    assert_diagnostics(
        tree("start fork1 a c join1 end", "fork1 xor1 b join1", "xor1 c"),
        [("error", "/activities/c", "node 'c' is entered from different parallel branches")],
    )
