"""Leaving nodes out: which ones, and what remains of the tree."""

import contextlib
import copy
from typing import Any

import pytest

from translator.formats.select import (
    SelectionError,
    exclude_nodes,
    nodes_except_appointed,
    nodes_except_executed,
    nodes_to_exclude,
)
from translator.template import Scheme


def act(node_id: str, arriving: Any, leaving: str, reads: str = "", **more: Any) -> dict[str, Any]:
    data = {"x": {"hook": False, "value": f"${{{reads}}}"}} if reads else {}
    return {
        "id": node_id,
        "type": "ServiceActivity",
        "name": node_id.upper(),
        "optional": True,
        "incoming": arriving,
        "outgoing": leaving,
        "component": {"code": "c", "data": data},
        **more,
    }


def gate(gate_id: str, kind: str, arriving: Any, leaving: Any, **more: Any) -> dict[str, Any]:
    return {"id": gate_id, "type": kind, "incoming": arriving, "outgoing": leaving, **more}


def variable(key: str, value: Any = "", origin: str = "custom", **more: Any) -> dict[str, Any]:
    return {"key": key, "value": value, "source_type": origin, "source_info": {}, **more}


def flow(edges: dict[str, tuple[str, str]], *nodes: dict[str, Any], **more: Any) -> dict[str, Any]:
    ends = [name for name, (_, target) in edges.items() if target == "end"]
    first = next(name for name, (source, _) in edges.items() if source == "start")
    gateways = [node for node in nodes if node["type"].endswith("Gateway")]
    return {
        "start_event": {"id": "start", "incoming": "", "outgoing": first},
        "end_event": {"id": "end", "incoming": ends, "outgoing": ""},
        "activities": {node["id"]: node for node in nodes if node not in gateways},
        "gateways": {node["id"]: node for node in gateways},
        "flows": {
            name: {"id": name, "source": source, "target": target}
            for name, (source, target) in edges.items()
        },
        "constants": {},
        "outputs": [],
        **more,
    }


def chain(**more: Any) -> dict[str, Any]:
    edges = {"f1": ("start", "a"), "f2": ("a", "b"), "f3": ("b", "end")}
    return flow(edges, act("a", "f1", "f2", "va"), act("b", ["f2"], "f3", "vb"), **more)


def forked(kind: str = "ParallelGateway") -> dict[str, Any]:
    edges = {
        "f1": ("start", "p"),
        "f2": ("p", "a"),
        "f3": ("p", "b"),
        "f4": ("a", "c"),
        "f5": ("b", "c"),
        "f6": ("c", "end"),
    }
    return flow(
        edges,
        act("a", ["f2"], "f4"),
        act("b", ["f3"], "f5"),
        gate("p", kind, ["f1"], ["f2", "f3"]),
        gate("c", "ConvergeGateway", ["f4", "f5"], "f6"),
    )


def without(tree: dict[str, Any], ids: list[str], *, keep_outputs: bool = False) -> dict[str, Any]:
    return exclude_nodes(tree, ids, keep_outputs=keep_outputs)


def wiring(tree: dict[str, Any]) -> dict[str, tuple[str, str]]:
    return {name: (edge["source"], edge["target"]) for name, edge in tree["flows"].items()}


def test_the_gap_closes_over_a_node_in_a_chain() -> None:
    rest = without(chain(), ["a"])

    assert wiring(rest) == {"f1": ("start", "b"), "f3": ("b", "end")}
    assert rest["activities"]["b"]["incoming"] == ["f1"]


def test_the_tree_handed_in_stays_as_it_was() -> None:
    tree = chain()
    before = copy.deepcopy(tree)

    without(tree, ["a", "b"])

    assert tree == before


def test_one_incoming_text_stays_a_text_and_becomes_a_list_of_several() -> None:
    edges = {"f1": ("start", "a"), "f2": ("a", "g"), "f3": ("g", "a"), "f4": ("g", "end")}
    tree = flow(
        edges,
        act("a", ["f1", "f3"], "f2"),
        gate("g", "ExclusiveGateway", "f2", ["f3", "f4"], conditions={}),
    )

    rest = without(tree, ["a"])

    assert rest["gateways"]["g"]["incoming"] == ["f1", "f3"]


def test_a_branch_without_nodes_goes() -> None:
    rest = without(forked(), ["a"])

    assert wiring(rest).keys() == {"f1", "f3", "f5", "f6"}
    assert rest["gateways"]["p"]["outgoing"] == ["f3"]


def test_a_parallel_block_without_nodes_goes_with_both_gateways() -> None:
    rest = without(forked(), ["a", "b"])

    assert wiring(rest) == {"f1": ("start", "end")}
    assert rest["gateways"] == {}
    assert rest["end_event"]["incoming"] == ["f1"]


def test_a_conditional_block_stays() -> None:
    rest = without(forked("ConditionalParallelGateway"), ["a", "b"])

    assert set(rest["gateways"]) == {"p", "c"}


def test_a_block_that_goes_empties_the_block_around_it() -> None:
    edges = {
        "f1": ("start", "p"),
        "f2": ("p", "q"),
        "f3": ("p", "c"),
        "f4": ("q", "a"),
        "f5": ("q", "d"),
        "f6": ("a", "d"),
        "f7": ("d", "c"),
        "f8": ("c", "end"),
    }
    tree = flow(
        edges,
        act("a", ["f4"], "f6"),
        gate("p", "ParallelGateway", ["f1"], ["f2", "f3"]),
        gate("q", "ParallelGateway", ["f2"], ["f4", "f5"]),
        gate("d", "ConvergeGateway", ["f6", "f5"], "f7"),
        gate("c", "ConvergeGateway", ["f7", "f3"], "f8"),
    )

    assert wiring(without(tree, ["a"])) == {"f1": ("start", "end")}


def test_a_fork_that_does_not_match_is_left_for_the_checks() -> None:
    tree = forked()
    tree["flows"]["f4"]["target"] = "end"
    tree["end_event"]["incoming"] = ["f6", "f4"]
    tree["gateways"]["c"]["incoming"] = ["f5"]

    rest = without(tree, ["b"])

    assert rest["gateways"]["p"]["outgoing"] == ["f2", "f3"]


def test_the_drawing_follows_the_graph() -> None:
    line = {"id": "f1", "source": {"id": "start"}, "target": {"id": "a", "arrow": "Left"}}
    drawn = chain(line=[line, {**line, "id": "f2"}], location=[{"id": "a"}, {"id": "b"}])

    rest = without(drawn, ["a"])

    assert rest["line"] == [{**line, "target": {"id": "b", "arrow": "Left"}}]
    assert rest["location"] == [{"id": "b"}]


def test_variables_stay_that_something_left_refers_to() -> None:
    constants = {
        "${va}": variable("${va}", index=0),
        "${deep}": variable("${deep}", index=3),
        "${vb}": variable("${vb}", {"k": ["${deep}"]}, index=7),
    }

    rest = without(chain(constants=constants), ["a"])

    kept: Any = rest["constants"]
    assert {key: each["index"] for key, each in kept.items()} == {"${deep}": 0, "${vb}": 1}


def test_outputs_of_nodes_stay_without_their_hooks_to_what_went() -> None:
    hooked = variable("${r}", origin="component_outputs", source_info={"a": ["_result"], "b": []})

    rest = without(
        chain(constants={"${r}": hooked}, outputs=["${r}", "${x}"]), ["a"], keep_outputs=False
    )

    assert rest["constants"]["${r}"]["source_info"] == {"b": []}
    assert rest["outputs"] == ["${r}"]


@pytest.mark.parametrize(("keep_outputs", "kept"), [(True, ["${free}"]), (False, [])])
def test_unused_outputs_stay_only_for_a_nested_flow(keep_outputs: bool, kept: list[str]) -> None:
    constants = {"${free}": variable("${free}", index=0)}

    rest = without(chain(constants=constants, outputs=["${free}"]), [], keep_outputs=keep_outputs)

    assert rest["outputs"] == kept


def test_what_conditions_and_children_refer_to_stays() -> None:
    edges = {"f1": ("start", "s"), "f2": ("s", "g"), "f3": ("g", "end"), "f4": ("g", "s")}
    given = {"${p}": {"value": "${vc}", "show_type": "show"}, "${h}": {"value": "${no}"}}
    child = {**act("s", ["f1", "f4"], "f2"), "type": "SubProcess", "constants": given}
    conditions = {"f3": {"evaluate": "${vg} > 1"}}
    tree = flow(
        edges,
        child,
        gate("g", "ExclusiveGateway", "f2", ["f3", "f4"], conditions=conditions),
        constants={key: variable(key) for key in ("${vc}", "${vg}", "${no}")},
    )

    assert set(without(tree, [])["constants"]) == {"${vc}", "${vg}"}


def test_an_engine_tree_keeps_its_variables() -> None:
    tree = chain()
    del tree["constants"]
    tree["data"] = {"inputs": {"${va}": {"type": "plain", "value": 1}}}

    rest = without(tree, ["a"])

    assert rest["data"] == tree["data"]
    assert wiring(rest) == {"f1": ("start", "b"), "f3": ("b", "end")}


@pytest.mark.parametrize(
    ("node_id", "says"),
    [("aa", "did you mean 'a'?"), ("zzz", "use the id of a node"), ("b", "may not be left out")],
)
def test_a_node_that_cannot_go_is_refused(node_id: str, says: str) -> None:
    tree = chain()
    tree["activities"]["b"]["optional"] = False

    with pytest.raises(SelectionError, match="SOP024") as refusal:
        without(tree, [node_id])

    assert says in str(refusal.value)


SCHEMES = (Scheme("1", "one", ("a",)), Scheme("2", "two", ("gone",)))


@pytest.mark.parametrize(
    ("chosen", "left_out"),
    [([], []), ([1], ["b"]), (["1"], ["b"]), ([2], ["a", "b"]), ([9], ["a", "b"]), ([1, 9], ["b"])],
)
def test_schemes_keep_their_nodes(chosen: list[int | str], left_out: list[str]) -> None:
    assert nodes_to_exclude(chain(), SCHEMES, chosen) == left_out


def test_an_unknown_scheme_is_refused_where_it_must_exist() -> None:
    with pytest.raises(SelectionError, match="unknown scheme '9'") as refusal:
        nodes_to_exclude(chain(), SCHEMES, [9], must_exist=True)

    assert "'1' (one)" in refusal.value.fix


def test_appointed_nodes_and_those_that_are_not_optional_stay() -> None:
    tree = chain()
    tree["activities"]["b"]["optional"] = False

    assert nodes_except_appointed(tree, ["ghost"]) == ["a"]
    assert nodes_except_executed(tree, ["a", "ghost"]) == ["b"]


@pytest.mark.parametrize("part", ["activities", "gateways", "flows", "start_event", "constants"])
@pytest.mark.parametrize("junk", [None, [], "x", 5, {"a": None}, {"a": {"incoming": 5}}])
def test_a_broken_tree_never_gives_a_traceback(part: str, junk: Any) -> None:
    tree = {**chain(outputs=None), part: junk}

    with contextlib.suppress(SelectionError):
        without(tree, ["a"], keep_outputs=True)
