from tests.helpers.build import Harness, tree
from translator.rules import branches_have_conditions
from translator.template import SourceCondition, Tree

harness = Harness(branches_have_conditions)
assert_valid, assert_diagnostics = harness.valid, harness.diagnostics


def test_conditions_and_a_default_are_fine() -> None:
    assert_valid(with_default(tree("start xor1 a end", "xor1 b end"), "xor1-b"))


def test_a_bare_branch_is_an_error() -> None:
    assert_diagnostics(
        bare(tree("start xor1 a end", "xor1 b end"), "xor1-b"),
        [("error", "/gateways/xor1", "way out 'xor1-b' of gateway 'xor1' has no condition")],
    )


def test_a_bare_branch_of_an_engine_tree_is_a_warning() -> None:
    assert_diagnostics(
        bare(tree("start xor1 a end", "xor1 b end"), "xor1-b"),
        [("warning", "/gateways/xor1", "way out 'xor1-b' of gateway 'xor1' has no condition")],
        file_format="engine",
    )


def test_a_condition_for_another_edge_is_a_warning() -> None:
    whole = tree("start xor1 a end", "xor1 b end")
    gateway = whole.gateways["xor1"]
    more = (
        *gateway.conditions,
        SourceCondition("gone", "1 == 1", "/gateways/xor1/conditions/gone"),
    )

    assert_diagnostics(
        whole._replace(gateways={"xor1": gateway._replace(conditions=more)}),
        [
            (
                "warning",
                "/gateways/xor1/conditions/gone",
                "gateway 'xor1' has a condition for 'gone', which is no way out of it",
            )
        ],
    )


def bare(whole: Tree, edge: str) -> Tree:
    gateway = whole.gateways["xor1"]
    kept = tuple(each for each in gateway.conditions if each.edge != edge)
    return whole._replace(gateways={"xor1": gateway._replace(conditions=kept)})


def with_default(whole: Tree, edge: str) -> Tree:
    left = bare(whole, edge)
    default = SourceCondition(edge, "", "/gateways/xor1/default_condition")
    return left._replace(gateways={"xor1": left.gateways["xor1"]._replace(default=default)})
