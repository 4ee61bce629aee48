"""SOP111."""

from collections.abc import Iterator

from stdops import Diagnostic
from translator.rules.context import Context, rule
from translator.template import SourceGateway


@rule("SOP111", "branch has neither a condition nor is it the default")
def branches_have_conditions(context: Context) -> Iterator[Diagnostic]:
    """Each way out of an exclusive or conditional gateway has a condition or is the default.

    Why: bk-sops refuses to store such a gateway; the engine alone would never take the way, and
        cannot run a gateway without any condition at all.
    Fails: an exclusive gateway with two edges and one condition
    Fix: Give the edge a condition, or make it the default.
    """
    for gateway in context.tree.gateways.values():
        if gateway.kind in {"exclusive", "conditional_parallel"}:
            yield from _bare(context, gateway)
            yield from _stray(context, gateway)


def _bare(context: Context, gateway: SourceGateway) -> Iterator[Diagnostic]:
    """Report the edges of `gateway` that no condition names."""
    default = {gateway.default.edge} if gateway.default else set[str]()
    named = {each.edge for each in gateway.conditions} | default
    severity = "error" if context.is_web or not named else "warning"
    for edge in gateway.outgoing:
        if edge not in named:
            what = f"way out {edge!r} of gateway {gateway.name or gateway.id!r} has no condition"
            fix = "give it a condition, or make it the default"
            yield context.report("SOP111", severity, gateway.at, what, fix)


def _stray(context: Context, gateway: SourceGateway) -> Iterator[Diagnostic]:
    """Report conditions whose edge is none of the gateway's."""
    for each in (*gateway.conditions, *([gateway.default] if gateway.default else [])):
        if each.edge not in gateway.outgoing:
            owner = gateway.name or gateway.id
            what = f"gateway {owner!r} has a condition for {each.edge!r}, which is no way out of it"
            fix = "delete the condition, or draw the edge"
            yield context.report("SOP111", "warning", each.at, what, fix)
