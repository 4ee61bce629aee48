from tests.helpers.build import Harness, tree, variable, variables
from translator.rules import one_writer_at_a_time
from translator.template import Tree

harness = Harness(one_writer_at_a_time)
assert_valid, assert_diagnostics = harness.valid, harness.diagnostics


def test_two_writers_in_a_row_are_fine() -> None:
    assert_valid(flow("start a b end"))


def test_two_writers_in_exclusive_branches_are_fine() -> None:
    assert_valid(flow("start xor1 a end", "xor1 b end"))


def test_a_writer_behind_the_block_is_fine() -> None:
    assert_valid(flow("start fork1 a join1 b end", "fork1 c join1"))


def test_two_writers_in_parallel_branches_are_a_note() -> None:
    what = "variable 'log' is written by 'a' and 'b', which run in parallel"

    assert_diagnostics(
        flow("start fork1 a join1 end", "fork1 c b join1"), [("note", "/constants/log", what)]
    )


def flow(*chains: str) -> Tree:
    written = variables(variable("log", sources=[("a", "out"), ("b", "out")]))
    return tree(*chains, variables=written)
