import pytest

from tests.helpers.build import Harness, task, tree
from translator.plan import AutoRetry
from translator.rules import auto_retry_bounds
from translator.template import Tree

harness = Harness(auto_retry_bounds)
assert_valid, assert_diagnostics = harness.valid, harness.diagnostics


@pytest.mark.parametrize(("times", "interval_s"), [(1, 0), (10, 60)])
def test_values_within_the_bounds_are_fine(times: int, interval_s: int) -> None:
    assert_valid(flow(times, interval_s))


def test_values_out_of_bounds_are_warnings() -> None:
    assert_diagnostics(
        flow(99, 600),
        [
            (
                "warning",
                "/activities/a",
                "automatic retry of node 'a' is set to 99 times, allowed: 1 to 10",
            ),
            (
                "warning",
                "/activities/a",
                "automatic retry of node 'a' waits 600 s, allowed: 0 to 60",
            ),
        ],
    )


def flow(times: int, interval_s: int) -> Tree:
    retry = AutoRetry(times=times, interval_s=interval_s)
    return tree("start a end", nodes=[task("a", auto_retry=retry)])
