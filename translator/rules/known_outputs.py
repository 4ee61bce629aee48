"""SOP207."""

from collections.abc import Iterator

from stdops import Diagnostic
from translator.rules.context import Context, did_you_mean, rule


@rule("SOP207", "output is not defined")
def known_outputs(context: Context) -> Iterator[Diagnostic]:
    """Every key among a flow's outputs is one of its variables.

    Why: an output without a variable ends as its own text `${key}`.
    Fails: the outputs `["${logs}"]` where only `log` is defined
    Fix: Define the variable, correct the name, or take it from the outputs.
    """
    for key in context.tree.outputs:
        if not context.is_known(key):
            fix = did_you_mean(key, context.known_names, "define it, or take it from the outputs")
            what = f"output {key!r} is no variable of this flow"
            yield context.report("SOP207", "warning", context.tree.outputs_at, what, fix)
