import pytest

from tests.helpers.build import Harness, tree
from translator.rules import start_and_end_connect

harness = Harness(start_and_end_connect)
assert_valid, assert_diagnostics = harness.valid, harness.diagnostics


def test_one_way_in_and_out_is_fine() -> None:
    assert_valid(tree("start a end"))


@pytest.mark.parametrize(
    ("chains", "pointer", "what"),
    [
        pytest.param(
            ["start a end", "start b end"],
            "/start_event",
            "node 'start' has 2 ways out, allowed: exactly 1",
            id="two ways out of the start",
        ),
        pytest.param(
            ["start end"],
            "/start_event",
            "the start event leads directly to the end event",
            id="start to end",
        ),
        pytest.param(
            ["start xor1 end", "xor1 start"],
            "/start_event",
            "node 'start' has 1 ways in, allowed: none",
            id="back to the start",
        ),
        pytest.param(
            ["start a end b end"], "/end_event", "the end event leads to 'b'", id="out of the end"
        ),
    ],
)
def test_a_wrong_start_or_end_is_an_error(chains: list[str], pointer: str, what: str) -> None:
    found = tree(*chains)

    assert ("error", pointer, what) in harness.found(found)
