"""Graph algorithms: order, reachability, back edges, and matching a fork to its converge.

Everything here is linear in nodes and edges for the flows people draw, and nothing recurses on
Python's stack, so that a chain of 10,000 nodes is as safe as one of ten. What a flow must obey is
the real engine's own set of checks. Source: bamboo-engine validator; differs: chains over 990 nodes
are accepted, a loop of tasks without a way out is a finding and not a hang, and one wrong gateway
does not hide the others.
"""

from translator.graph.algorithms import (
    Targets,
    back_edges,
    components,
    dominators,
    loops,
    meet,
    order,
    reachable,
    recurse,
)
from translator.graph.matching import Matching, match_gateways
from translator.graph.model import Graph, GraphProblem, graph_of
from translator.graph.validate import (
    MAX_DEGREE,
    nested_trees,
    start_positions,
    tree_problems,
    validate_tree,
)

__all__ = [
    "MAX_DEGREE",
    "Graph",
    "GraphProblem",
    "Matching",
    "Targets",
    "back_edges",
    "components",
    "dominators",
    "graph_of",
    "loops",
    "match_gateways",
    "meet",
    "nested_trees",
    "order",
    "reachable",
    "recurse",
    "start_positions",
    "tree_problems",
    "validate_tree",
]
