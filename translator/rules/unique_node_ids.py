"""SOP108."""

from collections.abc import Iterator

from stdops import Diagnostic
from translator.plan import NodeId
from translator.rules.context import Context, rule
from translator.template import SourceNode, Tree


@rule("SOP108", "node id is used twice")
def unique_node_ids(context: Context) -> Iterator[Diagnostic]:
    """Each node of a flow has an id of its own; better still, each node of the whole template.

    Why: edges and operators name a node by its id. Nodes of nested flows are told apart by their
        path, so there it is a warning; the same child template used twice is none.
    Fails: a task and a gateway that are both called `n1`
    Fix: Give one of the nodes another id.
    """
    seen: set[NodeId] = set()
    for node in _nodes(context.tree):
        if node.id in seen:
            what = f"two nodes of one flow have the id {node.id!r}"
            yield context.report("SOP108", "error", node.at, what, "give one of them another id")
        seen.add(node.id)
    if context.outer is None:
        yield from _across_flows(context)


def _across_flows(root: Context) -> Iterator[Diagnostic]:
    """Compare nested flows with each other, once for the whole template."""
    owners: dict[NodeId, set[str]] = {}
    for place, context in enumerate(root.family()):
        # flows of one child template have the same nodes, and only their paths differ
        owner = (context.holder.template_key if context.holder else "") or f"#{place}"
        for node in {node.id: node for node in _nodes(context.tree)}.values():
            others = owners.setdefault(node.id, set())
            if others - {owner}:
                what = f"node id {node.id!r} is used in several nested flows"
                fix = "address it by its path, or give it another id"
                yield context.report("SOP108", "warning", node.at, what, fix)
            others.add(owner)


def _nodes(tree: Tree) -> Iterator[SourceNode]:
    """Yield every node as written, so also those that share an id."""
    yield from (tree.start, tree.end)
    yield from tree.tasks.values()
    yield from tree.subflows.values()
    yield from tree.gateways.values()
