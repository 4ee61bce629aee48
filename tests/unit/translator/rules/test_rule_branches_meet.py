from tests.helpers.build import Harness, tree
from translator.rules import branches_meet

harness = Harness(branches_meet)
assert_valid, assert_diagnostics = harness.valid, harness.diagnostics


def test_branches_may_run_to_the_end_outside_of_a_block() -> None:
    assert_valid(tree("start xor1 a end", "xor1 b end"))


def test_a_way_out_of_a_block_is_an_error() -> None:
    assert_diagnostics(
        tree("start fork1 xor1 a join1 end", "xor1 end", "fork1 b join1"),
        [("error", "/gateways/xor1", "exclusive gateway 'xor1' leaves its parallel block")],
    )


def test_a_way_back_out_of_a_block_is_an_error() -> None:
    assert_diagnostics(
        tree("start xor1 fork1 xor2 join1 end", "xor1 end", "xor2 xor1", "fork1 b join1"),
        [("error", "/gateways/xor2", "exclusive gateway 'xor2' leads out of a parallel block")],
    )


def test_branches_that_meet_different_converges_are_an_error() -> None:
    found = tree(
        "start xor1 xor2 a join1 end", "xor2 b join1", "xor1 xor3 c join2 end", "xor3 d join2"
    )

    assert_valid(found)
