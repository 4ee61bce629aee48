"""Whether a plain value has the type that a plugin declares; shared by lint and by a retry."""

import re
from collections.abc import Mapping
from typing import Final, Literal, TypeAlias

from pydantic import JsonValue

InputType: TypeAlias = Literal["string", "integer", "number", "boolean", "array", "object", "any"]

_CONVERTIBLE: Final[Mapping[InputType, str]] = {
    "integer": r"\s*[+-]?\d+\s*",
    "number": r"\s*[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?\s*",
    "boolean": r"(?i)true|false|yes|no|on|off|0|1",
    "array": r"(?s)\s*\[.*\]\s*",
    "object": r"(?s)\s*\{.*\}\s*",
}


def has_type(value: JsonValue, wanted: InputType) -> bool:
    """Say whether `value` has the type; an empty one counts as not given."""
    return value is None or value == "" or wanted in {"any", *_types_of(value)}


def converts_to(value: JsonValue, wanted: InputType) -> bool:
    """Say whether a plugin that is lenient would take `value` for the type."""
    match value:
        case str():
            return re.fullmatch(_CONVERTIBLE.get(wanted, ""), value) is not None
        case list() | dict() | None:
            return False
        case float() if wanted == "integer":
            return value.is_integer()
        case _:
            return wanted in {"string", "integer", "number", "boolean"}


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
