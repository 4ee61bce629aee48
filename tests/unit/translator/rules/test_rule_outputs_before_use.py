from tests.helpers.build import Harness, task, tree, variable, variables
from translator.rules import outputs_before_use
from translator.template import Tree

harness = Harness(outputs_before_use)
assert_valid, assert_diagnostics = harness.valid, harness.diagnostics


def test_a_reader_behind_the_writer_is_fine() -> None:
    assert_valid(flow("start w r end"))


def test_a_reader_in_the_same_loop_is_fine() -> None:
    assert_valid(flow("start r w xor1 end", "xor1 r"))


def test_a_reader_before_the_writer_is_a_warning() -> None:
    assert_diagnostics(flow("start r w end"), [WARNING])


def test_a_reader_in_a_parallel_branch_is_a_warning() -> None:
    assert_diagnostics(flow("start fork1 r join1 end", "fork1 w join1"), [WARNING])


def test_a_way_over_another_variable_is_named() -> None:
    more = variables(variable("log", sources=[("w", "out")]), variable("v", "${log}!"))

    assert_diagnostics(
        tree("start r w end", nodes=[task("r", inputs={"x": "${v}"})], variables=more),
        [
            (
                "warning",
                "/activities/r/inputs/x",
                (
                    "input 'x' of node 'r' reads 'log' by way of 'v', an output of 'w' "
                    "that cannot have run before"
                ),
            )
        ],
    )


def test_a_node_sees_its_own_loop_counter() -> None:
    own = variables(variable("log", sources=[("r", "_loop")]))

    assert_valid(tree("start r end", nodes=[task("r", inputs={"x": "${log}"})], variables=own))


def test_a_writer_that_is_gone_is_a_warning() -> None:
    lost = variables(variable("log", sources=[("gone", "out")]))

    assert_diagnostics(
        tree("start r end", nodes=[task("r", inputs={"x": "${log}"})], variables=lost),
        [
            (
                "warning",
                "/activities/r/inputs/x",
                "input 'x' of node 'r' reads 'log', an output of node 'gone', which does not exist",
            )
        ],
    )


WARNING = (
    "warning",
    "/activities/r/inputs/x",
    "input 'x' of node 'r' reads 'log', an output of 'w' that cannot have run before",
)


def flow(*chains: str) -> Tree:
    written = variables(variable("log", sources=[("w", "out")]))
    return tree(*chains, nodes=[task("r", inputs={"x": "${log}"})], variables=written)
