"""A tree's nodes with their neighbours, and what can be wrong with them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from translator.graph.algorithms import Targets
from translator.plan import NodeId
from translator.template import SourceGateway, SourceNode, Tree

FORKS: Final = frozenset({"parallel", "conditional_parallel"})
"""Kinds of gateways that open several branches at once."""


class GraphProblem(NamedTuple):
    """A reason for which the real engine refuses a tree; `engine_class` is the error it raises."""

    engine_class: str
    node: NodeId
    text: str
    code: str
    fix: str
    at: str = ""


@dataclass(frozen=True, slots=True)
class Graph:
    """The nodes of one tree with their neighbours; what leads to nowhere is left out.

    Nodes stand in the order start, end, tasks, subflows, gateways; neighbours in the order in which
    a node lists its edges.
    """

    start: NodeId
    end: NodeId
    nodes: Mapping[NodeId, SourceNode]
    targets: Targets
    sources: Targets

    def label(self, node: NodeId) -> str:
        """Return what messages call `node`: its name if it has one, else its id."""
        found = self.nodes.get(node)
        return repr((found and found.name) or node)

    def at(self, node: NodeId) -> str:
        """Return the JSON pointer of `node`."""
        found = self.nodes.get(node)
        return found.at if found else ""


def graph_of(tree: Tree) -> Graph:
    """Resolve the edges of `tree`; an edge whose node is unknown is left out."""
    nodes: dict[NodeId, SourceNode] = {tree.start.id: tree.start, tree.end.id: tree.end}
    nodes |= tree.tasks
    nodes |= tree.subflows
    nodes |= tree.gateways
    edges = tree.edges
    targets: dict[NodeId, list[NodeId]] = {}
    sources: dict[NodeId, list[NodeId]] = {}
    for key, node in nodes.items():
        ends = (edges[edge].target for edge in node.outgoing if edge in edges)
        targets[key] = [end for end in ends if end in nodes]
        ends = (edges[edge].source for edge in node.incoming if edge in edges)
        sources[key] = [end for end in ends if end in nodes]
    return Graph(tree.start.id, tree.end.id, nodes, targets, sources)


def is_fork(graph: Graph, node: NodeId) -> bool:
    """Say whether `node` opens several branches at once."""
    found = graph.nodes[node]
    return isinstance(found, SourceGateway) and found.kind in FORKS
