"""Whether a value can be what its variable asks for; shared by lint, the command line and runs.

Source: bk-sops checks `validation` and types in the browser only; differs: checked wherever a
value comes from.
"""

import datetime as dt
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Final, NamedTuple

from pydantic import JsonValue

from translator.values.classify import MAX_DEPTH
from translator.values.patterns import verdict

MAX_SHOWN: Final = 40
"""How much of a value is shown, in characters."""

_DATE: Final = "%Y-%m-%d"
_TIME: Final = "%H:%M:%S"


class Expected(NamedTuple):
    """A type's test, and what it wants in words."""

    test: Callable[[JsonValue], bool]
    words: str


def mismatch(value: JsonValue, custom_type: str, pattern: str) -> str:
    """Say what a variable of the type and pattern expects and `value` is not; "" where it fits.

    An empty text is a value not given: only the pattern can refuse it.
    """
    expected = EXPECTED.get(custom_type)
    if expected is not None and value not in ("", None) and not expected.test(value):
        return expected.words
    text = pattern_text(value)
    if text is not None and verdict(pattern, text) == "differs":
        return f"text that matches {pattern!r}"
    return ""


def pattern_text(value: JsonValue) -> str | None:
    """Return what of a value is compared with a pattern; lists and objects are not."""
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def unholdable(value: JsonValue) -> str:
    """Say why JSON cannot hold `value`, or no run does; "" where it can."""
    for item, depth in _parts(value):
        if depth > MAX_DEPTH:
            return f"lists or objects nested more than {MAX_DEPTH} deep"
        if isinstance(item, float) and not math.isfinite(item):
            return f"the number {item}, which JSON cannot hold"
        if isinstance(item, str) and not item.isascii() and _is_broken(item):
            return "half of a surrogate pair, which no text may hold"
    return ""


def shown(value: JsonValue) -> str:
    """Return a value for a message, in one line and cut."""
    text = repr(value[: MAX_SHOWN + 1] if isinstance(value, str) else value)
    text = text.encode("utf-8", "backslashreplace").decode()
    return text if len(text) <= MAX_SHOWN else f"{text[: MAX_SHOWN - 3]}..."


def _parts(value: JsonValue) -> Iterator[tuple[JsonValue, int]]:
    """Yield a value and what it holds, keys too, each with its depth."""
    waiting: list[tuple[JsonValue, int]] = [(value, 0)]
    while waiting:
        item, depth = waiting.pop()
        nested = isinstance(item, list | dict)
        yield item, depth + nested
        if depth > MAX_DEPTH:
            return
        if isinstance(item, list):
            waiting.extend((each, depth + 1) for each in item)
        elif isinstance(item, dict):
            waiting.extend((key, depth) for key in item)
            waiting.extend((each, depth + 1) for each in item.values())


def _is_broken(text: str) -> bool:
    """Say whether a text holds a lone surrogate; a pair of them is one character."""
    try:
        text.encode("utf-16", "surrogatepass").decode("utf-16")
    except UnicodeDecodeError:
        return True
    return False


def _is_whole(value: JsonValue) -> bool:
    if isinstance(value, str):
        return re.fullmatch(r"\s*[+-]?[0-9]+\s*", value) is not None
    if isinstance(value, float):
        return value.is_integer()
    return isinstance(value, int) and not isinstance(value, bool)


def _moment(*formats: str) -> Callable[[JsonValue], bool]:
    def test(value: JsonValue) -> bool:
        return isinstance(value, str) and any(_is_moment(value, each) for each in formats)

    return test


def _is_moment(text: str, form: str) -> bool:
    try:
        dt.datetime.strptime(text.strip(), form)  # noqa: DTZ007  only whether it can be read
    except ValueError:
        return False
    return True


def _is_formatted_moment(value: JsonValue) -> bool:
    text = value.get("datetime") if isinstance(value, dict) else value
    return isinstance(text, str) and _is_moment(text, f"{_DATE} {_TIME}")


def _is_json(value: JsonValue) -> bool:
    return not isinstance(value, str) or _read(value) is not _NO_JSON


def _is_table(value: JsonValue) -> bool:
    rows = _read(value) if isinstance(value, str) else value
    return isinstance(rows, list) and all(isinstance(row, dict) for row in rows)  # pyright: ignore[reportUnknownVariableType]  JSON


def _is_choice(value: JsonValue) -> bool:
    items = value if isinstance(value, list) else [value]
    return not any(isinstance(item, list | dict) for item in items)


_NO_JSON: Final = object()


def _read(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return _NO_JSON


EXPECTED: Final[Mapping[str, Expected]] = {
    "int": Expected(_is_whole, "a whole number such as 5"),
    "datetime": Expected(_moment(f"{_DATE} {_TIME}"), "a time such as '2026-01-31 08:00:00'"),
    "date": Expected(_moment(_DATE), "a date such as '2026-01-31'"),
    "time": Expected(_moment(_TIME, "%H:%M"), "a time of day such as '08:00:00'"),
    "format_support_datetime": Expected(
        _is_formatted_moment,
        "a time such as '2026-01-31 08:00:00', or {'datetime': ..., 'datetime_format': ...}",
    ),
    "json": Expected(_is_json, "JSON, or text that is JSON"),
    "datatable": Expected(_is_table, "a list of rows such as [{'column': 'cell'}]"),
    "select": Expected(_is_choice, "one of its options, or a list of them"),
}
"""The types whose values have a form; all others take any JSON."""
