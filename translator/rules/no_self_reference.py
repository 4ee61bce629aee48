"""SOP205."""

from collections.abc import Iterator

from stdops import Diagnostic
from translator.rules.context import Context, rule


@rule("SOP205", "variable refers to itself")
def no_self_reference(context: Context) -> Iterator[Diagnostic]:
    """The value of a variable does not refer to the variable itself.

    Why: it can never be worked out; every node that reads it fails. bk-sops refuses to store it
        where the reference is spelled exactly `${key}`.
    Fails: the variable `a` with the value `${a}-1`
    Fix: Use a second variable for the changed value.
    """
    exact = context.spelled
    for key, each in context.tree.variables.items():
        spelled = key in exact[key]
        if spelled or key in context.variable_reads[key]:
            severity = "error" if spelled and context.is_stored else "warning"
            at = each.value.at if each.value else each.at
            what = f"the value of variable {key!r} refers to {key!r} itself"
            yield context.report("SOP205", severity, at, what, "use a second variable")
