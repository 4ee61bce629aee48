from tests.helpers.build import Harness, tree, without_node
from translator.rules import edges_join_known_nodes
from translator.template import Edge

harness = Harness(edges_join_known_nodes)
assert_valid, assert_diagnostics = harness.valid, harness.diagnostics


def test_edges_between_nodes_are_fine() -> None:
    assert_valid(tree("start a end"))


def test_an_edge_to_a_node_that_is_gone_is_an_error() -> None:
    broken = without_node(tree("start a b end"), "b")

    assert_diagnostics(
        broken,
        [
            ("error", "/flows/a-b", "edge 'a-b' names node 'b', which does not exist"),
            ("error", "/flows/b-end", "edge 'b-end' names node 'b', which does not exist"),
        ],
    )


def test_a_listed_edge_that_does_not_exist_is_an_error() -> None:
    whole = tree("start a end")
    edges = {key: edge for key, edge in whole.edges.items() if key != "a-end"}

    assert_diagnostics(
        whole._replace(edges=edges),
        [
            ("error", "/activities/a", "node 'a' lists edge 'a-end', which does not exist"),
            ("error", "/end_event", "node 'end' lists edge 'a-end', which does not exist"),
        ],
    )


def test_a_lost_edge_that_no_node_lists_is_a_warning() -> None:
    whole = tree("start a end")
    edges = {**whole.edges, "x": Edge("x", "a", "gone", "/flows/x")}

    assert_diagnostics(
        whole._replace(edges=edges),
        [
            (
                "warning",
                "/flows/x",
                "edge 'x' names node 'gone', which does not exist; no node lists it",
            )
        ],
    )
