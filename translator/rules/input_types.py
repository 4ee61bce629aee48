"""SOP405."""

from collections.abc import Iterator

from stdops import Diagnostic
from translator.rules.context import Context, rule
from translator.rules.plugin_calls import plugin_calls, shown, written_out
from translator.values import converts_to, has_type


@rule("SOP405", "input has the wrong type")
def input_types(context: Context) -> Iterator[Diagnostic]:
    """An input that is written out in the template has the type that its plugin declares.

    Why: the plugin would fail. A value that it would convert, such as the text `5` for a whole
        number, is a warning; what refers to variables is checked when it runs.
    Fails: the text `soon` for an input that is a whole number
    Fix: Write the value in the type that the plugin declares.
    """
    for task, facts in plugin_calls(context):
        for each, value in written_out(task, facts):
            if has_type(value.value, each.type):
                continue
            severity = "warning" if converts_to(value.value, each.type) else "error"
            given = shown(value.value)
            what = f"input {each.name!r} of node {task.name or task.id!r} is {given}"
            fix = f"write it as {each.type}"
            text = f"{what}, {facts.code!r} needs {each.type}"
            yield context.report("SOP405", severity, value.at, text, fix)
