"""SOP211."""

from collections.abc import Iterator
from itertools import combinations

from stdops import Diagnostic
from translator.graph import dominators, meet, order
from translator.plan import NodeId
from translator.rules.context import Context, rule


@rule("SOP211", "variable is written in parallel branches")
def one_writer_at_a_time(context: Context) -> Iterator[Diagnostic]:
    """A variable is not written by two nodes that run at the same time.

    Why: the one that ends last wins, and which one that is changes from run to run.
    Fails: two branches of a fork whose tasks both write `log`
    Fix: Give each branch a variable of its own.
    """
    several = {key: pairs for key, pairs in context.writers.items() if len(pairs) > 1}
    if not several:
        return
    apart = _Apart(context)
    for key, pairs in several.items():
        nodes = dict.fromkeys(node for node, _ in pairs)
        for one, other in combinations(nodes, 2):
            if apart.in_parallel(one, other):
                names = f"{context.graph.label(one)} and {context.graph.label(other)}"
                what = f"variable {key!r} is written by {names}, which run in parallel"
                at = context.tree.variables[key].at
                fix = "give each branch a variable of its own"
                yield context.report("SOP211", "note", at, what, fix)
                break


class _Apart:
    """Tells which nodes run in parallel: those that part at a fork and do not follow each other."""

    def __init__(self, context: Context) -> None:
        self._context = context
        graph = context.graph
        self._nearest = dominators(graph.targets, graph.start)
        self._rank = {node: n for n, node in enumerate(order(graph.targets, graph.start))}

    def in_parallel(self, one: NodeId, other: NodeId) -> bool:
        """Say whether `one` and `other` may run at the same time."""
        if one not in self._nearest or other not in self._nearest:
            return False
        parting = meet(one, other, self._nearest, self._rank)
        gateway = self._context.tree.gateways.get(parting)
        if gateway is None or gateway.kind not in {"parallel", "conditional_parallel"}:
            return False
        bits, ran = self._context.writer_bits, self._context.ran_before
        return not (bits[one] & ran[other] or bits[other] & ran[one])
