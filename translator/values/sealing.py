"""Sealed values: secrets as they travel, opaque to everything but an activity.

A sealed value is the JSON object `{"$sealed": "<key id>.<cipher text>"}`. Here is only how one is
recognised; sealing and opening need keys, which neither the translator nor a workflow has.
"""

from typing import Final, TypeGuard

from pydantic import JsonValue

SEALED: Final = "$sealed"
"""The one field of a sealed value."""

MASK: Final = "******"
"""What people see in the place of a secret."""


def is_sealed(value: JsonValue) -> TypeGuard[dict[str, str]]:
    """Say whether `value` is a sealed value itself."""
    return isinstance(value, dict) and len(value) == 1 and isinstance(value.get(SEALED), str)


def holds_sealed(value: JsonValue) -> bool:
    """Say whether a sealed value stands anywhere in `value`."""
    waiting = [value]
    while waiting:
        match waiting.pop():
            case dict() as fields:
                if is_sealed(fields):
                    return True
                waiting.extend(fields.values())
            case list() as items:
                waiting.extend(items)
            case _:
                pass
    return False


def is_clear(value: JsonValue) -> bool:
    """Say whether there is anything in `value` that is not sealed; nothing, or "", is not."""
    match value:
        case dict():
            return not is_sealed(value) and any(map(is_clear, value.values()))
        case list():
            return any(map(is_clear, value))
        case _:
            return value not in (None, "")


def without_sealed(value: JsonValue) -> JsonValue:
    """Return `value` for people: each sealed value in it masked."""
    match value:
        case dict():
            if is_sealed(value):
                return MASK
            return {key: without_sealed(field) for key, field in value.items()}
        case list():
            return [without_sealed(item) for item in value]
        case _:
            return value
