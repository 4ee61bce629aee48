"""SOP115."""

from collections.abc import Iterator

from stdops import Diagnostic
from translator.rules.context import Context, rule


@rule("SOP115", "gateway has a single branch")
def gateways_branch(context: Context) -> Iterator[Diagnostic]:
    """A gateway other than a converge has more than one branch.

    Why: with one branch it decides nothing; often a second edge was meant and is missing.
    Fails: a parallel gateway with one outgoing edge
    Fix: Add the missing branch, or remove the gateway.
    """
    for gateway in context.tree.gateways.values():
        if gateway.kind != "converge" and len(gateway.outgoing) == 1:
            what = f"gateway {gateway.name or gateway.id!r} has a single branch"
            fix = "add the missing branch, or remove the gateway"
            yield context.report("SOP115", "note", gateway.at, what, fix)
