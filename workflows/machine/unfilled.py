"""What stays as it is written in values that the workflow resolves by itself.

The real engine leaves `${nope}` in the text without a word; so does ours, and `telling` says so.
Pure, and called only where something may stay.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import NamedTuple

from pydantic import JsonValue

from translator.plan import Literal, Ref, Splice, Value, Variable, VariableKey
from translator.values import check, insides, leaves, texts


class Unfilled(NamedTuple):
    """What stands inside a fragment that stays as it is written, and in which value or variable."""

    name: str
    inside: str
    of_variable: bool = False


def may_hold(plain: JsonValue) -> bool:
    """Say whether a literal list or object, which most literals are not, may hold a fragment."""
    return type(plain) in (list, dict) and any("${" in text for text in texts(plain))


def unfilled(
    values: Mapping[str, Value], variables: Mapping[VariableKey, Variable]
) -> tuple[Unfilled, ...]:
    """Return what stays in values that were resolved from `variables` without the sandbox."""
    filled = {key: variable for key, variable in variables.items() if variable.kind != "output"}
    rendered = [(key, v.value) for key, v in filled.items() if v.kind == "splice"]
    found = [Unfilled(key, inside, of_variable=True) for key, inside in _left(rendered, filled)]
    found += [Unfilled(name, inside) for name, inside in _left(values.items(), filled)]
    return tuple(dict.fromkeys(found))


def _left(
    values: Iterable[tuple[str, Value]], variables: Collection[VariableKey]
) -> Iterator[tuple[str, str]]:
    """Yield the name of each value in which something stays, with what stands in the fragment."""
    for name, value in values:
        for leaf in leaves(value):
            yield from ((name, inside) for inside in _inside(leaf, variables))


def _inside(value: Value, variables: Collection[VariableKey]) -> Iterator[str]:
    """Yield what stays in a value without parts; of a literal, what can never be evaluated."""
    match value:
        case Literal(value=plain):
            yield from (i for text in texts(plain) for i in insides(text) if check(i).problem)
        case Ref(key=key) if key not in variables:
            yield key
        case Splice(parts=parts):
            for part in parts:
                whole = Literal(value=part) if isinstance(part, str) else part
                yield from _inside(whole, variables)
        case _:
            return
