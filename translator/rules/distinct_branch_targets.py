"""SOP114."""

from collections.abc import Iterator

from stdops import Diagnostic
from translator.plan import NodeId
from translator.rules.context import Context, rule


@rule("SOP114", "two branches of a gateway lead to the same node")
def distinct_branch_targets(context: Context) -> Iterator[Diagnostic]:
    """The branches of a gateway lead to different nodes.

    Why: such a gateway is mostly a slip of the mouse, and YAML v1 cannot express it: an export
        keeps only one of the branches.
    Fails: an exclusive gateway with two edges to the same task
    Fix: Join the two conditions with `or`, or delete one of the branches.
    """
    for key in context.tree.gateways:
        seen: dict[NodeId, bool] = {}
        for target in context.graph.targets[key]:
            if seen.get(target) is False:
                names = f"{context.graph.label(key)} lead to {context.graph.label(target)}"
                what = f"several branches of gateway {names}"
                fix = "join their conditions with 'or', or delete all but one"
                yield context.report("SOP114", "warning", context.graph.at(key), what, fix)
            seen[target] = target in seen
