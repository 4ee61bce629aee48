"""SOP404."""

from collections.abc import Iterator

from stdops import Diagnostic
from translator.rules.context import Context, rule
from translator.rules.plugin_calls import plugin_calls


@rule("SOP404", "required input is missing")
def required_inputs(context: Context) -> Iterator[Diagnostic]:
    """A task gives every input that its plugin requires.

    Why: the plugin fails without it, unless an operator gives the value by a retry.
    Fails: an HTTP request without an URL
    Fix: Add the input.
    """
    for task, facts in plugin_calls(context):
        for each in facts.inputs:
            if each.required and each.name not in task.inputs:
                owner = task.name or task.id
                what = f"node {owner!r} lacks the input {each.name!r} that {facts.code!r} requires"
                yield context.report("SOP404", "warning", task.at, what, "add the input")
