"""SOP206."""

from collections.abc import Iterator

from stdops import Diagnostic
from translator.graph import loops
from translator.plan import VariableKey
from translator.rules.context import Context, rule


@rule("SOP206", "variables refer to each other in a circle")
def no_reference_cycles(context: Context) -> Iterator[Diagnostic]:
    """No variable refers, over any number of others, to itself.

    Why: none of them can be worked out; every node that reads one fails. bk-sops refuses to store
        the template where the references are spelled exactly `${key}`.
    Fails: `a` has the value `${b}`, and `b` has the value `${a}`
    Fix: Break the circle: give one of the variables a value without references.
    """
    exact = [set(loop) for loop in loops(context.spelled) if len(loop) > 1]
    for loop in exact:
        yield _report(context, loop, refused=context.is_stored)
    for loop in loops(context.variable_reads):
        if len(loop) > 1 and not any(set(loop) <= known for known in exact):
            yield _report(context, set(loop), refused=False)


def _report(context: Context, loop: set[VariableKey], *, refused: bool) -> Diagnostic:
    keys = [key for key in context.tree.variables if key in loop]
    what = f"variables {', '.join(map(repr, keys[:10]))} refer to each other in a circle"
    fix = f"give one of them, such as {keys[0]!r}, a value without references"
    at = context.tree.variables[keys[0]].at
    return context.report("SOP206", "error" if refused else "warning", at, what, fix)
