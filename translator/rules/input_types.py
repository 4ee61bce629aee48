"""SOP405."""

import re
from collections.abc import Iterator, Mapping
from typing import Final

from pydantic import JsonValue

from stdops import Diagnostic
from translator.rules.context import Context, InputType, rule
from translator.rules.plugin_calls import plugin_calls, shown, written_out

_CONVERTIBLE: Final[Mapping[InputType, str]] = {
    "integer": r"\s*[+-]?\d+\s*",
    "number": r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*",
    "boolean": r"(?i)true|false|yes|no|on|off|0|1",
    "array": r"(?s)\s*\[.*\]\s*",
    "object": r"(?s)\s*\{.*\}\s*",
}


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
            if _fits(value.value, each.type):
                continue
            severity = "warning" if _converts(value.value, each.type) else "error"
            given = shown(value.value)
            what = f"input {each.name!r} of node {task.name or task.id!r} is {given}"
            fix = f"write it as {each.type}"
            text = f"{what}, {task.code!r} needs {each.type}"
            yield context.report("SOP405", severity, value.at, text, fix)


def _fits(value: JsonValue, wanted: InputType) -> bool:
    """Say whether `value` has the type; an empty one counts as not given."""
    return value is None or value == "" or wanted in {"any", *_types_of(value)}


def _types_of(value: JsonValue) -> tuple[InputType, ...]:
    """Return the types that `value` has as it is."""
    match value:
        case bool():
            return ("boolean",)
        case int():
            return ("integer", "number")
        case float():
            return ("number",)
        case str():
            return ("string",)
        case list():
            return ("array",)
        case _:
            return ("object",)


def _converts(value: JsonValue, wanted: InputType) -> bool:
    """Say whether a plugin that is lenient would take `value` for the type."""
    match value:
        case str():
            return _matches(value, wanted)
        case list() | dict() | None:
            return False
        case float() if wanted == "integer":
            return value.is_integer()
        case _:
            return wanted in {"string", "integer", "number", "boolean"}


def _matches(text: str, wanted: InputType) -> bool:
    """Say whether `text` spells a value of the type."""
    return bool(re.fullmatch(_CONVERTIBLE.get(wanted, ""), text))
