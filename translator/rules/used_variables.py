"""SOP202."""

from collections.abc import Iterator

from stdops import Diagnostic
from translator.plan import VariableKey
from translator.rules.context import Context, rule


@rule("SOP202", "variable is defined but never used")
def used_variables(context: Context) -> Iterator[Diagnostic]:
    """Every variable is read by a node, another variable or the outputs.

    Why: a variable that nothing reads is asked for at the start of a run, to no effect.
    Fails: a variable `ip` in a flow in which nothing says `${ip}`
    Fix: Use the variable, or delete it.
    """
    used = _used(context)
    for key, each in context.tree.variables.items():
        if key not in used and each.origin != "system":
            what = f"variable {key!r} is never used"
            yield context.report("SOP202", "note", each.at, what, "use it, or delete it")


def _used(context: Context) -> set[VariableKey]:
    """Return what is read here, or in a nested flow that shares this one's variables."""
    used = {read.key for read in context.reads if not read.what.startswith("pre-rendered")}
    waiting = list(context.inner)
    while waiting:
        inner = waiting.pop()
        if inner.holder and inner.holder.shares_context:
            used |= {read.key for read in inner.reads}
            waiting += inner.inner
    return used
