"""Bytes to documents: the format is found by content, never by the file's name."""

import codecs
import hashlib
import re
from collections.abc import Mapping
from typing import Final

from pydantic import JsonValue

from translator.formats.dat import check_digest, is_base64, unpack
from translator.formats.document import Document, Read, with_keys
from translator.formats.fields import Fields, Findings
from translator.formats.json_text import parse_json
from translator.formats.stored import find_documents
from translator.template import FormatName

MAX_BYTES: Final = 50 * 1024 * 1024

_MAGIC: Final[Mapping[bytes, str]] = {
    b"PK\x03\x04": "a zip archive; unpack it first",
    b"\x1f\x8b": "a gzip archive; unpack it first",
    b"%PDF": "a PDF document",
    b"\x89PNG": "a picture",
    b"SQLite format 3": "a SQLite database",
}
_WIDE_MARKS: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_YAML_LINE: Final = re.compile(r"^(---|%YAML|[\w\"'-]+\s*:(\s|$))", re.MULTILINE)
_KINDS: Final = "pipeline tree JSON, a .dat export or YAML v1"
_EXPORT: Final = "export the template from bk-sops as .dat or YAML"


def read(data: bytes, file: str = "") -> Read:
    """Return the stored flows in `data` and what is wrong with it; never raises.

    `file` only names the place in findings and, for a lone flow without a name, its key.
    """
    findings = Findings(file)
    text = _decode(data, findings)
    if text is None:
        return Read((), tuple(findings.items))
    digest = hashlib.sha256(data).hexdigest()
    head = text.lstrip()[:1]
    if head in {"{", "["}:
        return _read_json(text, findings, digest)
    if is_base64(text) and (payload := _payload_of(text, findings)) is not None:
        return _read_dat(payload, findings, digest)
    if findings.items:
        return Read((), tuple(findings.items))
    if head != "<" and _YAML_LINE.search(text):
        return _read_yaml(text, file, digest)
    findings.error("SOP001", "", f"the file is neither {_KINDS}", _EXPORT)
    return Read((), tuple(findings.items))


def form_of(data: bytes) -> FormatName:
    """Return the form of the text itself: JSON ("web"), "dat" or "yaml"; for finding places."""
    head = data.removeprefix(codecs.BOM_UTF8).lstrip()
    if head[:1] in {b"{", b"["}:
        return "web"
    return "dat" if is_base64(data.decode(errors="replace")) else "yaml"


def _decode(data: bytes, findings: Findings) -> str | None:
    """Return the text of a file, without its byte order mark."""
    if len(data) > MAX_BYTES:
        what = f"the file has {len(data):,} bytes, more than {MAX_BYTES:,}"
        findings.error("SOP004", "", what, "export fewer templates at once")
        return None
    known = next((name for magic, name in _MAGIC.items() if data.startswith(magic)), None)
    if known is not None:
        findings.error("SOP001", "", f"the file is {known}", _EXPORT)
        return None
    if data.startswith(_WIDE_MARKS):
        findings.error("SOP010", "", "the file is UTF-16", "save it as UTF-8")
        return None
    return _decode_utf8(data, findings)


def _decode_utf8(data: bytes, findings: Findings) -> str | None:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        # the codec counts from behind the byte order mark
        offset = problem.start + (len(data) - len(problem.object))
        what = f"the file is not UTF-8: byte {data[offset]:#04x} at offset {offset}"
        findings.error("SOP010", "", what, "save it as UTF-8")
        return None
    if not text.strip():
        findings.error("SOP012", "", "the file is empty", _EXPORT)
        return None
    return text


def _read_json(text: str, findings: Findings, digest: str) -> Read:
    value = parse_json(text, findings)
    if isinstance(value, dict) and "schema_version" in value and "spec" in value:
        return _read_yaml(text, findings.file, digest)  # JSON is YAML too
    return _documents(value, findings, digest, packed=False)


def _payload_of(text: str, findings: Findings) -> str | None:
    """Return the JSON text in a `.dat`; None where it is damaged, or no `.dat` at all."""
    attempt = Findings(findings.file)
    payload = unpack(text, attempt)
    if payload is not None and payload.lstrip()[:1] == "{":
        return payload
    if text.lstrip().startswith(("eyJ", "ewo", "ew0", "eyA")):  # how base64 of an object begins
        findings.items += attempt.items
    return None


def _read_dat(payload: str, findings: Findings, digest: str) -> Read:
    value = parse_json(payload, findings, inside=" in the .dat export")
    return _documents(value, findings, digest, packed=True)


def _documents(value: JsonValue, findings: Findings, digest: str, *, packed: bool) -> Read:
    """Find the stored flows in a parsed file."""
    if value is None and findings.items:
        return Read((), tuple(findings.items))
    if isinstance(value, dict) and "template_data" in value:
        check_digest(Fields(value, "", "the export", findings))
    found: list[Document] = find_documents(value, findings, digest, packed=packed)
    if not found and not any(each.severity == "error" for each in findings.items):
        _report_strange(value, findings)
    return Read(with_keys(found), tuple(findings.items))


def _report_strange(value: JsonValue, findings: Findings) -> None:
    """Say what is there instead of a template."""
    if value in ({}, []):
        findings.error("SOP012", "", "the file holds no template", _EXPORT)
        return
    keys = ", ".join(repr(key[:30]) for key in list(value)[:5]) if isinstance(value, dict) else ""
    has = f"; it has {keys}" if keys else ""
    findings.error("SOP001", "", f"the JSON is not {_KINDS}{has}", _EXPORT)


def _read_yaml(text: str, file: str, digest: str) -> Read:
    from translator.formats.yaml_v1 import read_yaml

    return read_yaml(text, file, digest)
