"""JSON text to a value: bounded, and with every finding that Python's own parser lets pass.

Depth, endless numbers and duplicate keys are seen by counting: the keys in the text against the
keys in the value, level by level. The exact place of a duplicate is looked up only when the two
counts differ.
"""

import math
import re
from itertools import chain
from typing import Final, NamedTuple

from pydantic import JsonValue
from pydantic_core import from_json

from stdops import Diagnostic, Location
from translator.formats.fields import Findings
from translator.formats.positions import duplicates

MAX_DEPTH: Final = 100

_KEPT: Final = b'{}":'
_DROPPED: Final = bytes(byte for byte in range(256) if byte not in _KEPT)
_PLACE: Final = re.compile(r"(.*) at line (\d+) column (\d+)")
_WATCHED: Final = frozenset({dict, list, float})
_EXPORT_AGAIN: Final = "mend the text there, or export the template again"
_TOO_DEEP: Final = f"the JSON nests deeper than {MAX_DEPTH} levels"


class _Survey(NamedTuple):
    depth: int
    keys: int
    finite: bool


def parse_json(text: str, findings: Findings, *, inside: str = "") -> JsonValue:
    """Return the value of `text`, or None after a finding that forbids to use it.

    `inside` names what the text was packed in; its lines are then not those of the file.
    """
    data = text.encode()
    try:
        value: JsonValue = from_json(data, allow_inf_nan=False)
    except ValueError as problem:
        _explain(str(problem), data, findings, inside)
        return None
    survey = _survey(value)
    if survey.depth > MAX_DEPTH:
        findings.error("SOP005", "", _TOO_DEEP, "flatten it")
        return None
    if not survey.finite:
        what = "a number is too large to be held"
        findings.error("SOP002", "", what, "write it as text, or a smaller one")
        return None
    if survey.keys != _keys_in(data):
        _report_duplicates(text, findings)
    return value


def _explain(problem: str, data: bytes, findings: Findings, inside: str) -> None:
    """Report why the parser gave up, in the words of a person, and where."""
    match = _PLACE.fullmatch(problem)
    said = match[1] if match else problem
    line, column = _place(data, int(match[2]), int(match[3])) if match else (1, 1)
    where = Location(findings.file, "", None if inside else line, None if inside else column)
    spot = f" at line {line} column {column}" if inside else ""
    code, what, fix = "SOP002", f"the JSON{inside} is malformed{spot}: {said}", _EXPORT_AGAIN
    if "recursion" in said:
        code, what, fix = "SOP005", _TOO_DEEP, "flatten it"
    elif said.startswith("EOF"):
        what, fix = f"the JSON{inside} is cut off{spot}: {said}", "export or download it again"
    findings.items.append(Diagnostic(code, "error", what, fix, where))


def _place(data: bytes, line: int, column: int) -> tuple[int, int]:
    """Return line and column in characters: the parser counts bytes."""
    lines = data.split(b"\n")
    row = lines[line - 1] if line <= len(lines) else b""
    return line, len(row[: max(column - 1, 0)].decode(errors="ignore")) + 1


def _survey(value: JsonValue) -> _Survey:
    """Measure `value` level by level, so that depth costs no stack."""
    depth = keys = 0
    finite = True
    level: list[JsonValue] = [value]
    while level:
        dicts = [item for item in level if isinstance(item, dict)]
        lists = [item for item in level if isinstance(item, list)]
        floats = [item for item in level if isinstance(item, float)]
        finite = finite and not any(map(math.isinf, floats))
        depth += bool(dicts or lists)
        keys += sum(map(len, dicts))
        members = chain.from_iterable(held.values() for held in dicts)
        level = [
            item for item in chain(members, chain.from_iterable(lists)) if type(item) in _WATCHED
        ]
    return _Survey(depth, keys, finite)


def _keys_in(data: bytes) -> int:
    """Count the keys of valid JSON text: the colons that stand in no string.

    Taking out a pair of neighbouring quotes leaves every other character on the same side of a
    quote, so that all strings without a kept character vanish in one pass.
    """
    if b"\\" in data:
        data = data.replace(b"\\\\", b"").replace(b'\\"', b"")
    marks = data.translate(None, _DROPPED).replace(b'""', b"")
    return re.sub(rb'"[^"]*"', b"", marks).count(b":")


def _report_duplicates(text: str, findings: Findings) -> None:
    for at, key in duplicates(text):
        what = f"the key {key!r} stands more than once in the same object"
        findings.error("SOP006", at, what, "remove or rename one of them")
