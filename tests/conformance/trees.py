"""Engine trees: whether we accept them, and the plans they compile to."""

import json
from collections.abc import Mapping
from typing import Any

from tests.conformance.script import part
from translator.compile import compile_tree
from translator.graph import match_gateways, validate_tree
from translator.parse import parse
from translator.plan import Plan
from translator.template import Tree


def tree_of(document: Mapping[str, Any]) -> Tree | None:
    """Return the typed tree of an engine tree; None when the document is malformed."""
    parsed = parse(json.dumps(document).encode(), "case.json")
    return parsed.templates[0].tree if parsed.templates else None


def plan_of(document: Mapping[str, Any]) -> Plan:
    """Compile an engine tree."""
    tree = tree_of(document)
    if tree is None:
        raise ValueError("the tree does not parse")
    return Plan(template_key="case", flow=compile_tree(tree))


def refusal_of(case: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return why a run of the case's tree is refused, in the engine's terms, or None."""
    options = part(case, "run_options")
    tree = tree_of(case["tree"])
    if tree is None:
        return {"class": "KeyError", "text": "malformed tree"}
    tolerate = bool(options.get("cycle_tolerate"))
    start = options.get("start_node_id")
    problems = validate_tree(tree, cycle_tolerate=tolerate, start_node=start)
    if problems:
        first = problems[0]
        return {"class": first.engine_class, "text": first.text, "failed_nodes": [first.node]}
    repeated = sorted({*part(case, "root_context")} & {*part(case["tree"]["data"], "inputs")})
    if repeated:
        return {"class": "IntegrityError", "text": f"given twice: {repeated}"}
    return None


def judge_tree(vector: Mapping[str, Any]) -> dict[str, Any]:
    """Return `accepted`, the error or the converge gateways of a tree."""
    tree = tree_of(vector["tree"])
    if tree is None:
        return {"accepted": False, "error": {"class": "KeyError"}}
    refused = refusal_of(
        {
            "tree": {"data": {"inputs": {}}, **vector["tree"]},
            "run_options": vector.get("run_options"),
        }
    )
    if refused is not None:
        return {"accepted": False, "error": refused}
    return {"accepted": True, "converge": all_converges(tree)}


def all_converges(tree: Tree) -> dict[str, str | None]:
    """Return the converge of every fork and exclusive gateway, nested flows included."""
    found = dict(match_gateways(tree).converge)
    for subflow in tree.subflows.values():
        if subflow.tree is not None:
            found.update(all_converges(subflow.tree))
    return found
