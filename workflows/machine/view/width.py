"""How much room a text takes: on a terminal in columns, in a picture in user units."""

import unicodedata
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Final

ELLIPSIS: Final = "…"
_SEPARATOR: Final = " · "
_LEAST_PART: Final = 44
"""A part that has less room, in user units, is left out: a letter or two say nothing."""

# Advance widths of a sans-serif face at the page's fixed 16 units, on the generous side: the page
# may use any font, and a text that is cut a little early is better than one that leaves its box.
_NARROW: Final = frozenset("iljtfrI.,:;'|!()[] ·")
_BROAD: Final = frozenset("mwMW@%")


def columns(text: str) -> int:
    """Return how many terminal columns `text` takes."""
    return sum(_columns_of(char) for char in text)


@lru_cache(maxsize=2048)
def units(text: str) -> float:
    """Return about how many user units `text` takes when it is drawn 16 units high.

    Remembered, since a drawing is tried in several sizes, and asked for again and again.
    """
    return sum(_units_of(char) for char in text)


def cut_columns(text: str, room: int) -> str:
    """Return `text`, cut with an ellipsis where it takes more than `room` columns."""
    return text if columns(text) <= room else _cut(text, room - 1, _columns_of)


def cut_units(text: str, room: float) -> str:
    """Return `text`, cut with an ellipsis where it takes more than `room` user units."""
    return text if units(text) <= room else _cut(text, room - units(ELLIPSIS), _units_of)


def cut_parts(parts: Sequence[str], room: float) -> str:
    """Join `parts`, the longest cut or left out where they take more than `room` user units.

    What is short, such as a time, says most in the least room, so that it stays.
    """
    kept = [*parts]
    while kept and (over := units(_SEPARATOR.join(kept)) - room) > 0:
        sizes = [units(part) for part in kept]
        at = sizes.index(max(sizes))
        left = sizes[at] - over
        if left >= _LEAST_PART or len(kept) == 1:
            kept[at] = cut_units(kept[at], left)
            break
        del kept[at]
    return _SEPARATOR.join(kept)


def clean(text: str) -> str:
    """Return `text` on one line, without characters that a page or terminal would act on."""
    shown = (char if char.isprintable() else " " for char in text)
    return " ".join("".join(shown).split())


def _cut(text: str, room: float, width_of: Callable[[str], float]) -> str:
    used = 0.0
    for at, char in enumerate(text):
        used += width_of(char)
        if used > room:
            return text[:at].rstrip() + ELLIPSIS
    return text


def _columns_of(char: str) -> int:
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def _units_of(char: str) -> float:
    if char in _NARROW:
        return 5.4
    if char in _BROAD or char.isupper():
        return 14.2 if char in _BROAD else 11.6
    return 9.2 if char.isascii() else 16.0
