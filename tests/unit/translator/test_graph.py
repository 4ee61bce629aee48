import pytest

from tests.helpers.build import tree
from translator.graph import (
    back_edges,
    components,
    dominators,
    graph_of,
    loops,
    match_gateways,
    order,
    reachable,
    start_positions,
    validate_tree,
)

DIAMOND = {"a": ["b", "c"], "b": ["d"], "c": ["d"], "d": []}
LOOP = {"a": ["b"], "b": ["c"], "c": ["b", "d"], "d": []}


def test_reachable_includes_the_start() -> None:
    assert reachable({"a": [], "b": ["a"]}, "a") == {"a"}


def test_order_puts_each_node_before_its_targets() -> None:
    found = order(DIAMOND, "a")

    assert found[0] == "a"
    assert found[-1] == "d"
    assert sorted(found) == ["a", "b", "c", "d"]


def test_only_an_edge_that_closes_a_loop_leads_back() -> None:
    assert back_edges(LOOP, "a") == {("c", "b")}
    assert back_edges(DIAMOND, "a") == set()
    assert back_edges({"a": ["a"]}, "a") == {("a", "a")}


def test_components_come_after_those_they_lead_to() -> None:
    found = components(LOOP)

    assert [sorted(part) for part in found] == [["d"], ["b", "c"], ["a"]]


def test_two_loops_with_one_way_between_them_are_two_components() -> None:
    found = components({"a": ["b"], "b": ["a", "c"], "c": ["d"], "d": ["c"], "e": ["a", "e"]})

    assert [sorted(part) for part in found] == [["c", "d"], ["a", "b"], ["e"]]


def test_a_node_that_leads_to_itself_is_a_loop() -> None:
    assert loops({"a": ["a", "b"], "b": []}) == [["a"]]


def test_a_dominator_lies_on_every_way() -> None:
    assert dominators(DIAMOND, "a") == {"a": "a", "b": "a", "c": "a", "d": "a"}
    assert dominators(LOOP, "a") == {"a": "a", "b": "a", "c": "b", "d": "c"}


def test_a_chain_of_ten_thousand_nodes_is_accepted() -> None:
    names = " ".join(f"n{number}" for number in range(10_000))
    chain = tree(f"start {names} end")

    assert validate_tree(chain, cycle_tolerate=False) == []
    assert len(order(graph_of(chain).targets, "start")) == 10_002


def test_exclusive_gateways_in_a_row_match_without_recursion() -> None:
    ways = [f"xor{number} join1" for number in range(1_500)]
    chain = tree(
        "start " + " ".join(f"xor{number}" for number in range(1_500)) + " join1 end", *ways
    )

    assert set(match_gateways(chain).converge.values()) == {"join1"}


def test_a_branch_into_an_endless_loop_of_tasks_does_not_hang() -> None:
    endless = tree("start xor1 a b a", "xor1 end")

    assert validate_tree(endless) == []
    assert match_gateways(endless).converge == {"xor1": None}


def test_a_run_may_begin_on_the_main_line_only() -> None:
    found = tree("start a fork1 b join1 sub1 end", "fork1 c join1")

    assert start_positions(found) == {"start", "a", "fork1"}


@pytest.mark.parametrize("node", ["b", "join1", "gone"])
def test_any_other_place_to_begin_is_refused(node: str) -> None:
    found = tree("start a fork1 b join1 end", "fork1 c join1")

    problems = validate_tree(found, start_node=node)

    assert [each.engine_class for each in problems] == ["StartPositionInvalidException"]


def test_a_wrong_block_does_not_hide_the_next() -> None:
    found = tree("start fork1 a end", "fork1 b join1 fork2 c end", "fork2 d join2 end")

    assert {each.code for each in validate_tree(found)} == {"SOP105"}


def test_a_converge_that_hides_its_incoming_edges_is_told_as_unreachable() -> None:
    found = tree("start fork1 a join1 end", "fork1 b join1")
    hidden = found.gateways["join1"]._replace(incoming=())
    damaged = found._replace(gateways={**found.gateways, "join1": hidden})

    problems = match_gateways(damaged).problems

    assert [(each.node, each.code) for each in problems] == [("join1", "SOP104")]
