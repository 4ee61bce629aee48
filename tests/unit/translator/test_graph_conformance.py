import json
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.build import engine_tree
from tests.helpers.shared import FIXTURES, ROOT, SHARED
from translator.graph import match_gateways, validate_tree
from translator.template import Tree

KEPT = ROOT / "tests" / "conformance" / "cases" / "trees.jsonl"
TREES = KEPT if KEPT.is_file() else SHARED / "conformance" / "trees.jsonl"
VECTORS = FIXTURES / "vectors" / "gateway_validation.json"


def cases(file: Path) -> list[Any]:
    if not file.is_file():
        reason = f"the recorded trees are not at {file}"
        return [pytest.param({}, marks=pytest.mark.skip(reason=reason), id="absent")]
    text = file.read_text("utf-8")
    found = json.loads(text) if file.suffix == ".json" else map(json.loads, text.splitlines())
    return [pytest.param(case, id=case.get("id") or case["name"]) for case in found]


def converges_of(tree: Tree) -> dict[str, str | None]:
    found = dict(match_gateways(tree).converge)
    for nested in tree.subflows.values():
        found |= converges_of(nested.tree) if nested.tree else {}
    return found


@pytest.mark.parametrize("case", cases(TREES))
def test_a_tree_is_accepted_or_refused_as_by_the_real_engine(case: dict[str, Any]) -> None:
    expected, options = case["expect"], case["run_options"]
    try:
        tree = engine_tree(case["tree"])
    except KeyError:
        assert expected["error"]["class"] == "KeyError"
        return

    problems = validate_tree(
        tree,
        cycle_tolerate=options.get("cycle_tolerate", False),
        start_node=options.get("start_node_id"),
    )

    assert bool(problems) is not expected["accepted"]
    if problems:
        first, error = problems[0], expected["error"]
        assert first.engine_class == error["class"]
        nodes = [error.get("gateway_id"), error.get("node_id"), *error.get("failed_nodes", ())]
        assert not any(nodes) or first.node in nodes
    else:
        assert converges_of(tree) == expected["converge"]


@pytest.mark.parametrize("case", cases(VECTORS))
def test_gateways_match_as_in_the_real_engine(case: dict[str, Any]) -> None:
    tree = engine_tree(case["tree"])

    problems = validate_tree(tree)

    assert (problems[0].engine_class if problems else "ok") == case["result"]
    if "converge_gateway_id" in case:
        assert match_gateways(tree).converge == case["converge_gateway_id"]
    elif problems:
        assert problems[0].node == case["gateway_id"]
