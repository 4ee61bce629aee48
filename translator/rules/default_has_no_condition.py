"""SOP112."""

from collections.abc import Iterator

from stdops import Diagnostic
from translator.rules.context import Context, rule


@rule("SOP112", "default branch has a condition too")
def default_has_no_condition(context: Context) -> Iterator[Diagnostic]:
    """The edge that is the default of a gateway has no condition.

    Why: the default is taken when no condition holds; with one of its own it is taken in two ways.
    Fails: a gateway whose default edge also stands among its conditions
    Fix: Delete the condition, or choose another default.
    """
    for gateway in context.tree.gateways.values():
        for each in gateway.conditions:
            if gateway.default and each.edge == gateway.default.edge:
                owner = gateway.name or gateway.id
                what = f"default way out {each.edge!r} of gateway {owner!r} has a condition too"
                fix = "delete the condition, or choose another default"
                yield context.report("SOP112", "warning", each.at, what, fix)
