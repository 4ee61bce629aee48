"""SOP104."""

from collections.abc import Iterator

from stdops import Diagnostic
from translator.rules.context import Context, rule


@rule("SOP104", "node cannot be reached")
def nodes_are_reachable(context: Context) -> Iterator[Diagnostic]:
    """Every node can be reached from the start event.

    Why: a node that no way leads to never runs, so it is a mistake; the real engine refuses it.
    Fails: a task that has lost its incoming edge
    Fix: Connect the node, or delete it.
    """
    for key, node in context.graph.nodes.items():
        if key not in context.reachable and key != context.graph.end:
            what = f"node {context.graph.label(key)} cannot be reached from the start"
            yield context.report("SOP104", "error", node.at, what, "connect it, or delete it")
