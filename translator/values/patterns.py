"""A template's own patterns, matched only where that surely ends soon.

A pattern comes with the template, so it may be hostile or merely careless: `(a+)+$` against thirty
letters takes minutes. How long a match may take at most is estimated before it is tried, from how
often the pattern may repeat what it repeats; one that may take long is not tried.
"""

import re
from typing import Final, Literal, NamedTuple, TypeAlias

Verdict: TypeAlias = Literal["fits", "differs", "unchecked"]

MAX_LENGTH: Final = 10_000
"""Longest text, in characters, that is compared with a pattern."""

MAX_STEPS: Final = 10_000_000
"""A match that may take more steps than that is not tried."""

_DIGITS: Final = 6
_MANY: Final = 4
"""A repeat that is bounded higher than this counts as unbounded."""

_PIECE: Final = re.compile(
    r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\(\?[:=!]|\(\?<[=!]|\(\?P?<\w+>|[()|]"
    r"|(?:[*+?]|\{\d*,?\d*\})[?+]?|.",
    re.DOTALL,
)
_BOUNDS: Final = re.compile(r"\{(\d*)(,?)(\d*)\}")


class _Choices(NamedTuple):
    """What can be tried in several ways: unbounded repeats, optional parts, alternatives."""

    unbounded: int = 0
    optional: int = 0
    bars: int = 0
    nested: bool = False

    def add(self, other: "_Choices", times: int = 1) -> "_Choices":
        return _Choices(
            self.unbounded + times * other.unbounded,
            self.optional + times * other.optional,
            self.bars + times * other.bars,
            self.nested or other.nested,
        )

    @property
    def fixed(self) -> bool:
        """Say whether there is one way only."""
        return not (self.unbounded or self.optional or self.bars or self.nested)


_NONE: Final = _Choices()


def verdict(pattern: str, text: str) -> Verdict:
    """Say whether `text` holds what `pattern` describes, as a browser's form would test it.

    "unchecked" where the pattern is none that Python reads, or may take too long.
    """
    if not pattern:
        return "fits"
    if len(text) > MAX_LENGTH or len(pattern) > MAX_LENGTH:
        return "unchecked"
    if most_steps(pattern, len(text)) > MAX_STEPS:
        return "unchecked"
    try:
        found = re.compile(pattern, re.ASCII).search(text)
    except (re.error, OverflowError, RecursionError):
        return "unchecked"
    return "fits" if found else "differs"


def most_steps(pattern: str, length: int) -> float:
    """Estimate, rather too high, how many steps it takes to find `pattern` in `length` characters.

    n repeats in a row can share the text in about `length ** n` ways; a repeat inside a repeat in
    exponentially many.
    """
    choices = _choices(pattern)
    starts = 0 if pattern.startswith("^") and not choices.bars else 1
    exponent = 2.0 * length if choices.nested else 0.0
    exponent += choices.optional + choices.bars / 2
    if exponent > 100:  # noqa: PLR2004  hopeless, and a float holds no more
        return float("inf")
    repeats = min(choices.unbounded + starts, 60)
    return float(max(length, 1)) ** repeats * 2.0**exponent


def _choices(pattern: str) -> _Choices:
    """Count the choices of a pattern, those of a repeated group once for each repeat."""
    open_groups: list[_Choices] = [_NONE]
    last = _NONE  # what a quantifier that comes next repeats
    for piece in _PIECE.findall(pattern):
        repeat = _repeat(piece)
        if repeat is not None:
            open_groups[-1] = open_groups[-1].add(_repeated(last, *repeat))
            last = _NONE
            continue
        open_groups[-1] = open_groups[-1].add(last)
        last = _NONE
        if piece[0] == "(":
            open_groups.append(_NONE)
        elif piece == ")" and len(open_groups) > 1:
            last = open_groups.pop()
        elif piece == "|":
            last = _Choices(bars=1)
    return _Choices().add(_sum(open_groups)).add(last)


def _sum(groups: list[_Choices]) -> _Choices:
    total = _NONE
    for group in groups:
        total = total.add(group)
    return total


def _repeated(inside: _Choices, least: int, most: int | None) -> _Choices:
    """Return the choices of something that is repeated."""
    if most is None or most > _MANY:
        return _Choices(unbounded=1, nested=not inside.fixed)
    own = _Choices(optional=most - least)
    return own.add(inside, max(most, 1))


def _repeat(piece: str) -> tuple[int, int | None] | None:
    """Return how often a quantifier repeats, None for what is no quantifier."""
    match piece[0]:
        case "*":
            return 0, None
        case "+":
            return 1, None
        case "?":
            return 0, 1
        case "{":
            return _counted(piece)
        case _:
            return None


def _counted(piece: str) -> tuple[int, int | None] | None:
    """Read a quantifier such as `{2,5}`; None for a brace that is none."""
    bounds = _BOUNDS.match(piece)
    least, comma, most = bounds.groups() if bounds else ("", "", "")
    if not (least or most) or max(len(least), len(most)) > _DIGITS:
        return None
    if not comma:
        return int(least), int(least)
    return int(least or 0), int(most) if most else None
