"""Putting the texts of evaluated fragments, and plain variables, where they stand in a value."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, assert_never

from pydantic import JsonValue

from translator.plan import DictValue, Expression, ListValue, Literal, Ref, Splice, Value
from translator.values import (
    FRAGMENT,
    MODULES,
    OBJECT_TEXT,
    SYSTEM,
    as_text,
    check,
    insides,
    leaves,
    resolve,
    source,
    texts,
)

_ABSENT: Final = object()
_SUBSCRIPTS: Final = re.compile(r"([A-Za-z_]\w*)((?:\[(?:\"\w+\"|'\w+'|[0-9]{1,9})\])+)")
_STEP: Final = re.compile(r"\[(?:[\"'](\w+)[\"']|([0-9]+))\]")


@dataclass(slots=True)
class Known:
    """The variables that have a value; fields of those in `objects` are read as attributes.

    The values of `secrets` are never shown. `pending` says of variables without a value why they
    have none. `offered` are the names, beside variables and plain builtins, that fragments may use;
    with `keeps_types`, the engine's own setting, subscripts of a variable keep their type.
    """

    values: dict[str, JsonValue] = field(default_factory=dict[str, JsonValue])
    objects: set[str] = field(default_factory=set[str])
    secrets: set[str] = field(default_factory=set[str])
    pending: dict[str, str] = field(default_factory=dict[str, str])
    offered: frozenset[str] = MODULES
    keeps_types: bool = False

    def add(self, key: str, value: JsonValue, *, computed: bool = False) -> None:
        """Add a variable; a computed object, or one with a text of its own, has attributes."""
        self.values[key] = value
        if isinstance(value, dict) and (computed or key == SYSTEM or OBJECT_TEXT in value):
            self.objects.add(key)


def evaluated(value: Value, known: Known) -> Iterable[str]:
    """Yield what stands inside the fragments of `value` that have to run."""
    for leaf in leaves(value):
        if isinstance(leaf, Expression) and _whole(leaf.text, known) is _ABSENT:
            yield from (i for i in insides(leaf.text) if _spliced_key(i, known) is None)


def kept(value: Value, known: Known, done: Mapping[str, str]) -> Iterator[str]:
    """Yield what stands inside the fragments of `value` that stay as they are written.

    Of a literal, which may be meant as it is, only those that could never be evaluated.
    """
    for leaf in leaves(value):
        if isinstance(leaf, Literal):
            found = (inside for text in texts(leaf.value) for inside in insides(text))
            yield from (inside for inside in found if check(inside).problem)
            continue
        text = str(source(leaf))
        if _whole(text, known) is _ABSENT:
            yield from (i for i in insides(text) if i not in done and not _has_text(i, known))


def filled(value: Value, known: Known, done: Mapping[str, str]) -> JsonValue:
    """Resolve `value`: variables from `known`, evaluated fragments from `done`.

    A fragment that is in neither stays as it is written.
    """
    match value:
        case Expression(text=text):
            return _filled_text(text, known, done)
        case ListValue(items=items):
            return [filled(item, known, done) for item in items]
        case DictValue(fields=fields):
            return {key: filled(item, known, done) for key, item in fields.items()}
        case Literal() | Ref() | Splice():
            return resolve(value, known.values)
        case _:
            assert_never(value)


def _filled_text(text: str, known: Known, done: Mapping[str, str]) -> JsonValue:
    whole = _whole(text, known)
    if whole is not _ABSENT:
        return whole  # pyright: ignore[reportReturnType]  what is not _ABSENT is a variable's value
    return FRAGMENT.sub(lambda found: _fragment_text(found[0], found[1], known, done), text)


def _whole(text: str, known: Known) -> object:
    """Return the value that `text` is exactly a reference to, type kept; else _ABSENT."""
    found = FRAGMENT.fullmatch(text)
    if found is None:
        return _ABSENT
    if found[1] in known.values:
        return known.values[found[1]]
    return _subscripted(found[1], known) if known.keeps_types else _ABSENT


def _subscripted(inside: str, known: Known) -> object:
    """Follow plain subscripts from a variable, as the engine does where it keeps their types."""
    found = _SUBSCRIPTS.fullmatch(inside)
    if found is None or found[1] not in known.values or check(inside).problem:
        return _ABSENT
    at: JsonValue = known.values[found[1]]
    for key, index in _STEP.findall(found[2]):
        match at:
            case dict() if key in at:
                at = at[key]
            case list() if index and int(index) < len(at):
                at = at[int(index)]
            case _:
                return _ABSENT
    return at


def _spliced_key(inside: str, known: Known) -> str | None:
    """Return the variable that a fragment in a longer text plainly refers to."""
    name = inside.rstrip(" \t\n")
    plain = (name.isidentifier() and name[:2] != "__") or name.startswith(f"{SYSTEM}.")
    return name if plain and name in known.values else None


def _has_text(inside: str, known: Known) -> bool:
    """Say whether a fragment plainly refers to a variable that can be written as text."""
    return _variable_text(inside, known) is not None


def _fragment_text(whole: str, inside: str, known: Known, done: Mapping[str, str]) -> str:
    if _spliced_key(inside, known) is None:
        return done.get(inside, whole)
    text = _variable_text(inside, known)
    return whole if text is None else text


def _variable_text(inside: str, known: Known) -> str | None:
    key = _spliced_key(inside, known)
    if key is None:
        return None
    try:
        return as_text(known.values[key])
    except (ValueError, RecursionError):
        return None
