"""The filters that may follow `|` in a fragment: text to text, applied outside the sandbox.

Source: Mako's filters; each fragment is turned into text first, unless `n` is among its filters.
"""

from collections.abc import Callable, Iterable, Mapping
from html import escape
from html.entities import codepoint2name
from typing import Final
from urllib.parse import quote_plus

RAW: Final = "n"
"""The filter that leaves out the step to text."""

_ENTITIES: Final = {point: f"&{name};" for point, name in codepoint2name.items()}


def _escaped(text: str) -> str:
    return escape(text).replace("&quot;", "&#34;").replace("&#x27;", "&#39;")


def _quoted(text: str) -> str:
    return quote_plus(text.encode())


def _with_entities(text: str) -> str:
    return text.translate(_ENTITIES)


_FILTERS: Final[Mapping[str, Callable[[str], str]]] = {
    "h": _escaped,
    "x": _escaped,
    "u": _quoted,
    "trim": str.strip,
    "entity": _with_entities,
}


def filtered(text: str, filters: Iterable[str]) -> str:
    """Apply `filters` in order; those that only concern the step to text change nothing."""
    for name in filters:
        text = _FILTERS[name](text) if name in _FILTERS else text
    return text
