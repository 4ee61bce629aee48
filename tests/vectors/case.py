"""What a checker makes of a vector file: cases, each of which can say how it differs."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias, cast

Differences: TypeAlias = list[str]


class Case(NamedTuple):
    """One vector: its name, and what to run; no differences means that it passes."""

    name: str
    run: Callable[[], Differences]


Checker: TypeAlias = Callable[[Any, Path], Iterable[Case]]
"""Turns the content of a vector file, in this folder, into cases."""


def differ(expected: Any, found: Any, at: str = "") -> Differences:
    """Return where two JSON values differ, each with its place."""
    if isinstance(expected, Mapping) and isinstance(found, Mapping):
        return _differ_by_key(cast("Any", expected), cast("Any", found), at)
    if isinstance(expected, list) and isinstance(found, list):
        return _differ_by_index(cast("Any", expected), cast("Any", found), at)
    # `True == 1` in Python; in JSON these are two things
    if expected == found and isinstance(expected, bool) == isinstance(found, bool):
        return []
    return [f"{at or 'value'}: expected {expected!r}, found {found!r}"]


def _differ_by_key(expected: Mapping[str, Any], found: Mapping[str, Any], at: str) -> Differences:
    lines: Differences = []
    for key in dict.fromkeys([*expected, *found]):
        if key not in found:
            lines.append(f"{at}/{key}: missing, expected {expected[key]!r}")
        elif key not in expected:
            lines.append(f"{at}/{key}: not expected, found {found[key]!r}")
        else:
            lines += differ(expected[key], found[key], f"{at}/{key}")
    return lines


def _differ_by_index(expected: Sequence[Any], found: Sequence[Any], at: str) -> Differences:
    if len(expected) != len(found):
        return [f"{at or 'value'}: expected {expected!r}, found {found!r}"]
    pairs = enumerate(zip(expected, found, strict=True))
    return [line for index, (one, two) in pairs for line in differ(one, two, f"{at}/{index}")]


def numbered(entries: Sequence[Any], name: Callable[[Any], object]) -> list[tuple[str, Any]]:
    """Name entries by their number and by what they are about."""
    return [(f"{index} {name(entry)}", entry) for index, entry in enumerate(entries)]
