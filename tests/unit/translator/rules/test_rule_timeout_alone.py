from tests.helpers.build import Harness, task, tree
from translator.plan import AutoRetry, Timeout
from translator.rules import timeout_alone

harness = Harness(timeout_alone)
assert_valid, assert_diagnostics = harness.valid, harness.diagnostics

TIMEOUT = Timeout(after_s=5)


def test_a_timeout_alone_is_fine() -> None:
    assert_valid(tree("start a end", nodes=[task("a", timeout=TIMEOUT)]))


def test_a_timeout_with_ignored_errors_is_an_error() -> None:
    assert_diagnostics(
        tree("start a end", nodes=[task("a", timeout=TIMEOUT, error_ignorable=True)]),
        [("error", "/activities/a", "node 'a' has a timeout together with ignored errors")],
    )


def test_a_timeout_with_automatic_retry_is_an_error() -> None:
    retry = AutoRetry(times=1, interval_s=0)

    assert_diagnostics(
        tree("start a end", nodes=[task("a", timeout=TIMEOUT, auto_retry=retry)]),
        [("error", "/activities/a", "node 'a' has a timeout together with automatic retry")],
    )
