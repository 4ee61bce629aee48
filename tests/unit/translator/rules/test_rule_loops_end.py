from tests.helpers.build import Harness, tree
from translator.rules import loops_end

harness = Harness(loops_end)
assert_valid, assert_diagnostics = harness.valid, harness.diagnostics


def test_a_loop_that_a_gateway_leaves_is_fine() -> None:
    assert_valid(tree("start a xor1 end", "xor1 a"))


def test_a_loop_without_a_way_out_is_a_warning() -> None:
    assert_diagnostics(
        tree("start a b a"),
        [("warning", "/activities/a", "the loop through 'a', 'b' has no way out")],
    )


def test_a_node_that_leads_to_itself_is_a_loop() -> None:
    assert_diagnostics(
        tree("start xor1 end", "xor1 b b"),
        [("warning", "/activities/b", "the loop through 'b' has no way out")],
    )
