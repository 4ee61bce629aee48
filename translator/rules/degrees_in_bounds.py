"""SOP103."""

from collections.abc import Iterator

from stdops import Diagnostic
from translator.rules.context import Context, rule


@rule("SOP103", "wrong number of ways in or out")
def degrees_in_bounds(context: Context) -> Iterator[Diagnostic]:
    """A node has 1 to 1000 ways in; a gateway 1 to 1000 ways out, any other node exactly one.

    Why: a task that leads nowhere leaves the run without an end; the real engine cannot run it.
    Fails: a task with two outgoing edges, or with none
    Fix: Connect the node; use a gateway where the flow is to fork.
    """
    yield from context.refused("SOP103")
    for key, node in context.graph.nodes.items():
        if not node.outgoing and key != context.graph.end:
            what = f"node {context.graph.label(key)} has no way out"
            fix = "lead it to the next node or to the end"
            yield context.report("SOP103", "error", node.at, what, fix)
