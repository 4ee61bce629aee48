from tests.helpers.build import Harness, task, tree
from translator.plan import Timeout
from translator.rules import timeout_seconds

harness = Harness(timeout_seconds)
assert_valid, assert_diagnostics = harness.valid, harness.diagnostics


def test_a_positive_number_is_fine() -> None:
    assert_valid(tree("start a end", nodes=[task("a", timeout=Timeout(after_s=1))]))


def test_zero_seconds_are_a_warning() -> None:
    assert_diagnostics(
        tree("start a end", nodes=[task("a", timeout=Timeout(after_s=0))]),
        [("warning", "/activities/a", "timeout of node 'a' is 0 seconds and is ignored")],
    )
