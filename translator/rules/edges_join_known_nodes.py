"""SOP101."""

from collections.abc import Iterator

from stdops import Diagnostic
from translator.plan import EdgeId
from translator.rules.context import Context, rule


@rule("SOP101", "edge leads to or from an unknown node")
def edges_join_known_nodes(context: Context) -> Iterator[Diagnostic]:
    """Every edge that a node lists exists, and both of its ends are nodes of the same flow.

    Why: a run that comes to such an edge has nowhere to go. An edge that no node lists is never
        taken, so it is only a warning.
    Fails: the edge `f1` from `a` to `b`, where `b` was deleted
    Fix: Draw the edge again, or delete it from the node that lists it.
    """
    yield from context.refused("SOP101")
    listed = _listed(context)
    for key, edge in context.tree.edges.items():
        lost = [end for end in (edge.source, edge.target) if end not in context.graph.nodes]
        if lost and key not in listed:
            what = f"edge {key!r} names node {lost[0]!r}, which does not exist; no node lists it"
            yield context.report("SOP101", "warning", edge.at, what, "delete the edge")


def _listed(context: Context) -> set[EdgeId]:
    """Return the edges that some node lists."""
    nodes = context.graph.nodes.values()
    return {edge for node in nodes for edge in (*node.incoming, *node.outgoing)}
