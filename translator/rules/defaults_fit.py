"""SOP212."""

from collections.abc import Iterator

from stdops import Diagnostic
from translator.compile import SECRET_TYPES
from translator.rules.context import Context, rule
from translator.template import SourceVariable
from translator.values import mismatch, references, shown


@rule("SOP212", "default value does not match its own variable")
def defaults_fit(context: Context) -> Iterator[Diagnostic]:
    """The value that a template gives a variable fits the variable's type and its `validation`.

    Why: a run that is given no other value works with it, and one that is given the same value is
        refused. An empty value is one that is still to be given.
    Fails: the value `10.0.0` of a variable whose validation is an address of four numbers
    Fix: Correct the value, or the validation.
    """
    for key, each in context.tree.variables.items():
        expected = _expected(each)
        if expected and each.value is not None:
            given = "******" if each.custom_type in SECRET_TYPES else shown(each.value.value)
            what = f"variable {key!r} has the value {given}, but needs {expected}"
            fix = "correct the value, or the variable's type or validation"
            yield context.report("SOP212", "warning", each.value.at, what, fix)


def _expected(each: SourceVariable) -> str:
    """Return what a variable needs where its own value is not that."""
    value = each.value
    if value is None or value.value in ("", None) or references(value.value):
        return ""
    if isinstance(value.value, dict):
        return ""  # how the options are written down, not a choice
    typed = value.kind != "lazy" or each.custom_type in SECRET_TYPES
    return mismatch(value.value, each.custom_type, each.pattern if typed else "")
