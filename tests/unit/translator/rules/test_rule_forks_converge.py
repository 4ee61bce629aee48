from tests.helpers.build import Harness, tree
from translator.rules import forks_converge

harness = Harness(forks_converge)
assert_valid, assert_diagnostics = harness.valid, harness.diagnostics


def test_branches_that_meet_are_fine() -> None:
    assert_valid(tree("start fork1 a join1 end", "fork1 b c join1"))


def test_an_inner_block_is_jumped_over() -> None:
    assert_valid(tree("start fork1 fork2 a join2 join1 end", "fork2 b join2", "fork1 c join1"))


def test_branches_that_run_to_the_end_are_an_error() -> None:
    assert_diagnostics(
        tree("start some1 a end", "some1 b end"),
        [
            (
                "error",
                "/gateways/some1",
                "conditional parallel gateway 'some1' has no converge: its branches run to the end",
            )
        ],
    )


def test_a_branch_that_misses_the_converge_is_an_error() -> None:
    assert_diagnostics(
        tree("start fork1 a join1 end", "fork1 b join1", "fork1 c end"),
        [
            (
                "error",
                "/gateways/fork1",
                (
                    "parallel gateway 'fork1' has branches that do not all meet in one converge: "
                    "they reach 'join1', 'end'"
                ),
            )
        ],
    )


def test_each_wrong_fork_is_reported() -> None:
    found = harness.found(
        tree("start fork1 a join1 fork2 c join2 end", "fork1 b end", "fork2 d end")
    )

    assert [pointer for _, pointer, _ in found] == ["/gateways/fork1", "/gateways/fork2"]
