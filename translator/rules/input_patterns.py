"""SOP407."""

import re
from collections.abc import Iterator

from pydantic import JsonValue

from stdops import Diagnostic
from translator.rules.context import Context, PluginInput, rule
from translator.rules.plugin_calls import plugin_calls, shown, written_out

_LONGEST = 10_000


@rule("SOP407", "input has the wrong form")
def input_patterns(context: Context) -> Iterator[Diagnostic]:
    """A text of a certain form, such as a time or an id, has it where it is written out.

    Why: the plugin reads more than text there and would fail in the middle of a run. A text of more
        than 10,000 characters is not tried.
    Fails: `bk_timing` of `tomorrow`, where seconds or `YYYY-MM-DD HH:MM:SS` are wanted
    Fix: Write it in the form that the plugin reads; the message shows its pattern.
    """
    for task, facts in plugin_calls(context):
        for each, value in written_out(task, facts):
            if _fits(each, value.value):
                continue
            what = f"input {each.name!r} of node {task.name or task.id!r} is {shown(value.value)}"
            text = f"{what}, which is not of the form that {task.code!r} reads"
            fix = f"write it so that the pattern {each.pattern!r} fits"
            yield context.report("SOP407", "warning", value.at, text, fix)


def _fits(each: PluginInput, value: JsonValue) -> bool:
    """Say whether a value has the form; where a type is declared, SOP405 tells a wrong one."""
    if not each.pattern or value in (None, ""):
        return True
    if isinstance(value, bool | list | dict):
        return each.type != "any"
    text = str(value)
    return len(text) > _LONGEST or re.search(each.pattern, text) is not None
