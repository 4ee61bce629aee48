from tests.helpers.build import Harness, tree
from translator.rules import gateways_branch

harness = Harness(gateways_branch)
assert_valid, assert_diagnostics = harness.valid, harness.diagnostics


def test_two_branches_are_fine() -> None:
    assert_valid(tree("start fork1 a join1 end", "fork1 b join1"))


def test_a_single_branch_is_a_note() -> None:
    assert_diagnostics(
        tree("start xor1 a end"),
        [("note", "/gateways/xor1", "gateway 'xor1' has a single branch")],
    )
