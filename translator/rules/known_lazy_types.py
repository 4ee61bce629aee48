"""SOP210."""

from collections.abc import Iterator

from stdops import Diagnostic
from translator.rules.context import Context, did_you_mean, rule
from translator.template import SourceValue


@rule("SOP210", "type of a lazy variable is unknown")
def known_lazy_types(context: Context) -> Iterator[Diagnostic]:
    """The type of a variable that is computed when it is read is one of the known ones.

    Why: a node that reads the variable fails, since nothing can compute it.
    Fails: a variable of type `ip_pickr`
    Fix: Choose a known type, or install the plugins that bring it.
    """
    if context.catalog is None:
        return
    known = context.catalog.lazy_codes()
    for what, value in _values(context):
        if value.kind == "lazy" and value.code not in known:
            text = f"{what} has the unknown type {value.code!r}"
            fix = did_you_mean(value.code, known, "install the plugins that bring it")
            yield context.report("SOP210", "warning", value.at, text, fix)


def _values(context: Context) -> Iterator[tuple[str, SourceValue]]:
    """Yield every value that may be lazy, with what to call it."""
    for key, variable in context.tree.variables.items():
        if variable.value:
            yield f"variable {key!r}", variable.value
    for task in context.tree.tasks.values():
        for name, value in task.inputs.items():
            yield f"input {name!r} of node {task.name or task.id!r}", value
    for sub in context.tree.subflows.values():
        for name, value in sub.params.items():
            yield f"parameter {name!r} of subflow {sub.name or sub.id!r}", value
