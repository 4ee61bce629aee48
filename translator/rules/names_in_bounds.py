"""SOP113."""

from collections.abc import Iterator
from typing import Final

from stdops import Diagnostic
from translator.rules.context import Context, rule

MAX_NAME: Final = 50


@rule("SOP113", "name is empty or too long")
def names_in_bounds(context: Context) -> Iterator[Diagnostic]:
    """A task or subflow has a name of 1 to 50 characters; a gateway of at most 50.

    Why: operators find a node by its name; bk-sops cuts longer ones when it stores the template.
    Fails: a task with the name `""`
    Fix: Give the node a short name that says what it does.
    """
    events = {context.graph.start, context.graph.end}
    for key, node in context.graph.nodes.items():
        if len(node.name) > MAX_NAME:
            what = f"name of node {key!r} has {len(node.name)} characters, allowed: {MAX_NAME}"
            yield context.report("SOP113", "warning", node.at, what, "shorten the name")
        elif not node.name and key not in events and key not in context.tree.gateways:
            what = f"node {key!r} has no name"
            yield context.report("SOP113", "note", node.at, what, "name what the node does")
