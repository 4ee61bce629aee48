"""SOP208."""

from collections.abc import Iterator

from stdops import Diagnostic
from translator.rules.context import Context, rule
from translator.values import parse_condition


@rule("SOP208", "condition does not parse")
def conditions_parse(context: Context) -> Iterator[Diagnostic]:
    """A condition is comparisons joined by `and` and `or`, such as `${n} >= 3`.

    Why: a gateway with a condition that does not parse fails when a run reaches it.
    Fails: `${n} = 3`, with a single equals sign
    Fix: Correct the condition; texts stand in quotes, lists in parentheses.
    """
    for gateway in context.tree.gateways.values():
        for each in gateway.conditions:
            error = parse_condition(each.text, context.known).error
            if error:
                owner = gateway.name or gateway.id
                what = f"condition {each.text!r} of gateway {owner!r} does not parse: {error}"
                fix = "write comparisons such as ${n} >= 3, joined by 'and' or 'or'"
                yield context.report("SOP208", "warning", each.at, what, fix)
