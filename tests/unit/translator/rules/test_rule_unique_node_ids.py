from tests.helpers.build import Harness, subflow, tree
from translator.rules import unique_node_ids
from translator.template import Tree

harness = Harness(unique_node_ids)
assert_valid, assert_diagnostics = harness.valid, harness.diagnostics


def test_different_ids_are_fine() -> None:
    assert_valid(tree("start a b end"))


def test_an_id_used_twice_in_one_flow_is_an_error() -> None:
    whole = tree("start a end")
    doubled = whole._replace(subflows={"a": subflow("a")._replace(at="/activities/a2")})

    assert_diagnostics(
        doubled, [("error", "/activities/a2", "two nodes of one flow have the id 'a'")]
    )


def test_an_id_used_again_in_a_nested_flow_is_a_warning() -> None:
    inner = renamed(tree("start a end"))

    assert_diagnostics(
        tree("start a sub1 end", nodes=[subflow("sub1", inner)]),
        [("warning", "/activities/a", "node id 'a' is used in several nested flows")],
    )


def test_the_same_child_template_twice_is_fine() -> None:
    inner = renamed(tree("start a end"))
    nodes = [subflow(name, inner, template_key="child") for name in ("sub1", "sub2")]

    assert_valid(tree("start sub1 sub2 end", nodes=nodes))


def renamed(inner: Tree) -> Tree:
    start, end = inner.start._replace(id="s"), inner.end._replace(id="e")
    return inner._replace(start=start, end=end)
