"""SOP406."""

from collections.abc import Iterator

from pydantic import JsonValue

from stdops import Diagnostic
from translator.rules.context import Context, PluginInput, did_you_mean, rule
from translator.rules.plugin_calls import plugin_calls, shown, written_out


@rule("SOP406", "input is none of its choices")
def input_choices(context: Context) -> Iterator[Diagnostic]:
    """An input that is a choice, and is written out in the template, is one of what it may be.

    Why: the plugin would refuse it, or take it for something else, in the middle of a run. A number
        and its text are the same choice.
    Fails: `job_script_source` of `manuel`, where `manual`, `general` and `public` are the choices
    Fix: Write one of the choices that the message names.
    """
    for task, facts in plugin_calls(context):
        for each, value in written_out(task, facts):
            for wrong in _not_among(each, value.value):
                known = [str(choice) for choice in each.choices]
                what = f"input {each.name!r} of node {task.name or task.id!r} is {shown(wrong)}"
                fix = did_you_mean(str(wrong), known, f"use one of {', '.join(map(repr, known))}")
                text = f"{what}, which is none of its choices"
                yield context.report("SOP406", "warning", value.at, text, fix)


def _not_among(each: PluginInput, value: JsonValue) -> list[JsonValue]:
    """Return the parts of a value that are no choice; an empty one counts as not given."""
    if not each.choices:
        return []
    items = value if isinstance(value, list) else [] if each.type == "array" else [value]
    known = {_text(choice) for choice in each.choices}
    return [item for item in items if item not in (None, "") and _text(item) not in known]


def _text(value: JsonValue) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
