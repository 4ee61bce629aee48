"""Putting the texts of evaluated fragments, and plain variables, where they stand in a value."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import assert_never

from pydantic import JsonValue

from translator.plan import DictValue, Expression, ListValue, Literal, Ref, Splice, Value
from translator.values import (
    FRAGMENT,
    MODULES,
    OBJECT_TEXT,
    SYSTEM,
    as_text,
    insides,
    leaves,
    resolve,
)


@dataclass(slots=True)
class Known:
    """The variables that have a value; fields of those in `objects` are read as attributes."""

    values: dict[str, JsonValue] = field(default_factory=dict[str, JsonValue])
    objects: set[str] = field(default_factory=set[str])
    modules: frozenset[str] = MODULES

    def add(self, key: str, value: JsonValue, *, computed: bool = False) -> None:
        """Add a variable; a computed object, or one with a text of its own, has attributes."""
        self.values[key] = value
        if isinstance(value, dict) and (computed or key == SYSTEM or OBJECT_TEXT in value):
            self.objects.add(key)


def evaluated(value: Value, known: Known) -> Iterable[str]:
    """Yield what stands inside the fragments of `value` that have to run."""
    for leaf in leaves(value):
        if isinstance(leaf, Expression) and _whole_key(leaf.text, known) is None:
            yield from (i for i in insides(leaf.text) if _spliced_key(i, known) is None)


def _whole_key(text: str, known: Known) -> str | None:
    """Return the variable that `text` is exactly a reference to."""
    whole = FRAGMENT.fullmatch(text)
    return whole[1] if whole and whole[1] in known.values else None


def _spliced_key(inside: str, known: Known) -> str | None:
    """Return the variable that a fragment in a longer text plainly refers to."""
    name = inside.rstrip(" \t\n")
    plain = (name.isidentifier() and name[:2] != "__") or name.startswith(f"{SYSTEM}.")
    return name if plain and name in known.values else None


def filled(value: Value, known: Known, texts: Mapping[str, str]) -> JsonValue:
    """Resolve `value`: variables from `known`, evaluated fragments from `texts`.

    A fragment that is in neither stays as it is written.
    """
    match value:
        case Expression(text=text):
            return _filled_text(text, known, texts)
        case ListValue(items=items):
            return [filled(item, known, texts) for item in items]
        case DictValue(fields=fields):
            return {key: filled(item, known, texts) for key, item in fields.items()}
        case Literal() | Ref() | Splice():
            return resolve(value, known.values)
        case _:
            assert_never(value)


def _filled_text(text: str, known: Known, texts: Mapping[str, str]) -> JsonValue:
    key = _whole_key(text, known)
    if key is not None:
        return known.values[key]
    return FRAGMENT.sub(lambda found: _fragment_text(found[0], found[1], known, texts), text)


def _fragment_text(whole: str, inside: str, known: Known, texts: Mapping[str, str]) -> str:
    key = _spliced_key(inside, known)
    if key is None:
        return texts.get(inside, whole)
    try:
        return as_text(known.values[key])
    except (ValueError, RecursionError):
        return whole
