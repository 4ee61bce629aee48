from tests.helpers.build import Harness, tree
from translator.rules import distinct_branch_targets

harness = Harness(distinct_branch_targets)
assert_valid, assert_diagnostics = harness.valid, harness.diagnostics


def test_different_targets_are_fine() -> None:
    assert_valid(tree("start xor1 a end", "xor1 b end"))


def test_several_branches_to_one_node_are_one_warning() -> None:
    assert_diagnostics(
        tree("start xor1 a end", "xor1 a", "xor1 a"),
        [("warning", "/gateways/xor1", "several branches of gateway 'xor1' lead to 'a'")],
    )
