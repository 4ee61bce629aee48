"""SOP201."""

from collections.abc import Iterator

from stdops import Diagnostic
from translator.rules.context import Context, did_you_mean, rule


@rule("SOP201", "variable is used but not defined")
def known_variables(context: Context) -> Iterator[Diagnostic]:
    """Every variable that a value or a condition refers to is defined in its flow.

    Why: the reference stays in the text as it is written, `${...}` and all; a condition with such
        a text mostly fails. A nested flow does not see the variables of its parent.
    Fails: an input with the value `${ipp}` where only `ip` is defined
    Fix: Define the variable, or correct its name.
    """
    for key, _, what, at in context.reads:
        if not context.is_known(key) and at != context.tree.outputs_at:
            fix = did_you_mean(key, context.known_names, "define it as a variable of this flow")
            text = f"{what} refers to variable {key!r}, which is not defined"
            yield context.report("SOP201", "warning", at, text, fix)
