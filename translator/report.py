"""Shows findings: as text for a terminal, as JSON for programs, as SARIF for code hosts."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from stdops import Diagnostic, Location, Severity
from translator.rules.document import code_docs, help_text

_SEVERITIES: Final[tuple[Severity, ...]] = ("error", "warning", "note")
_MAX_WIDTH: Final = 120
_SARIF: Final = "https://json.schemastore.org/sarif-2.1.0.json"


def as_text(diagnostics: Sequence[Diagnostic], source: Mapping[str, str] | None = None) -> str:
    """Return one line per finding, under it the line of `source` it is about, last a summary.

    `source` maps a file, as the findings name it, to its text; without it no lines are shown.
    """
    lines = {file: text.splitlines() for file, text in (source or {}).items()}
    shown = [part for each in diagnostics for part in (str(each), *_excerpt(each.where, lines))]
    return "\n".join([*shown, _summary(diagnostics)])


def _excerpt(where: Location, lines: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Yield the line at `where` and a caret below it, cut to the width of a terminal."""
    text = lines.get(where.file, ())
    if where.line is None or not 1 <= where.line <= len(text):
        return
    column = max(where.column or 1, 1)
    skipped = max(0, column - _MAX_WIDTH // 2) if len(text[where.line - 1]) > _MAX_WIDTH else 0
    line = text[where.line - 1][skipped : skipped + _MAX_WIDTH]
    number = str(where.line)
    # tabs stay tabs, so that the caret stands below its character
    indent = "".join("\t" if char == "\t" else " " for char in line[: column - 1 - skipped])
    yield f"  {number} | {line}"
    yield f"  {' ' * len(number)} | {indent}^"


def _summary(diagnostics: Sequence[Diagnostic]) -> str:
    """Count the findings by severity; `no findings` where there is none."""
    count = Counter(each.severity for each in diagnostics)
    parts = [_counted(count[severity], severity) for severity in _SEVERITIES if count[severity]]
    return ", ".join(parts) or "no findings"


def _counted(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def as_json(diagnostics: Sequence[Diagnostic]) -> list[dict[str, Any]]:
    """Return one plain object per finding; `line` and `column` are null where not known."""
    return [
        {
            "code": each.code,
            "severity": each.severity,
            "what": each.what,
            "fix": each.fix,
            "file": each.where.file,
            "path": each.where.path,
            "line": each.where.line,
            "column": each.where.column,
        }
        for each in diagnostics
    ]


def as_sarif(diagnostics: Sequence[Diagnostic], version: str) -> dict[str, Any]:
    """Return a SARIF 2.1.0 log of one run; `version` is that of stdops."""
    codes = list(dict.fromkeys(each.code for each in diagnostics))
    driver = {
        "name": "stdops",
        "version": version,
        "rules": [_sarif_rule(code) for code in codes],
    }
    results = [_sarif_result(each, codes.index(each.code)) for each in diagnostics]
    run = {"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}
    return {"$schema": _SARIF, "version": "2.1.0", "runs": [run]}


def _sarif_rule(code: str) -> dict[str, Any]:
    """Describe a code as a rule; one without documentation has only its id."""
    doc = code_docs().get(code)
    if doc is None:
        return {"id": code}
    return {
        "id": code,
        "shortDescription": {"text": doc.title},
        "fullDescription": {"text": doc.requires},
        "help": {"text": help_text(doc), "markdown": help_text(doc)},
    }


def _sarif_result(each: Diagnostic, index: int) -> dict[str, Any]:
    return {
        "ruleId": each.code,
        "ruleIndex": index,
        "level": each.severity,
        "message": {"text": f"{each.what}; {each.fix}"},
        "locations": [_sarif_location(each.where)],
    }


def _sarif_location(where: Location) -> dict[str, Any]:
    """Give file and region where they are known, and the JSON pointer as a logical location."""
    location: dict[str, Any] = {}
    if where.file:
        physical: dict[str, Any] = {"artifactLocation": {"uri": _uri(where.file)}}
        if where.line is not None:
            physical["region"] = {"startLine": where.line, "startColumn": where.column or 1}
        location["physicalLocation"] = physical
    if where.path:
        location["logicalLocations"] = [{"fullyQualifiedName": where.path, "kind": "member"}]
    return location


def _uri(file: str) -> str:
    """Return a file name as a URI reference: forward slashes, the rest percent-encoded."""
    from urllib.parse import quote

    return quote(file.replace("\\", "/"), safe="/:@!$&'()*+,;=~")
