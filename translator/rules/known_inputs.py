"""SOP403."""

from collections.abc import Iterator

from stdops import Diagnostic
from translator.rules.context import Context, did_you_mean, rule
from translator.rules.plugin_calls import plugin_calls


@rule("SOP403", "input is unknown to its plugin")
def known_inputs(context: Context) -> Iterator[Diagnostic]:
    """Every input of a task is one that its plugin declares.

    Why: the plugin does not read it, so a misspelled input is silently missing. Names that begin
        with an underscore belong to the engine.
    Fails: the input `scrpt` of a plugin that has `script`
    Fix: Correct the name, or delete the input.
    """
    for task, facts in plugin_calls(context):
        known = [each.name for each in facts.inputs]
        for name, value in task.inputs.items():
            if name not in known and not facts.open_inputs and not name.startswith("_"):
                what = (
                    f"input {name!r} of node {task.name or task.id!r} is unknown to {facts.code!r}"
                )
                fix = did_you_mean(name, known, "delete the input")
                yield context.report("SOP403", "warning", value.at, what, fix)
