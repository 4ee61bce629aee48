"""The `.dat` export: base64 of a JSON object that holds the templates and their digest.

Source: bk-sops template_base export; the digest is an unkeyed MD5 with a published salt, so it
tells damage, not intent.
"""

import base64
import binascii
import hashlib
import json
import re
from typing import Final

from pydantic import JsonValue

from translator.formats.fields import Fields, Findings

SALTS: Final = ("821a11587ea434eb85c2f5327a90ae54", "e5483c1ccde63392bd439775bba6a7ae")
"""The salt that is written, and the one that older community versions wrote."""

_ALPHABET: Final = re.compile(r"[A-Za-z0-9+/]*={0,2}")
_STRING_OR_EXPONENT: Final = re.compile(r'"(?:[^"\\]|\\.)*"|e-0(?=\d)')
_ESCAPE: Final = re.compile(r"\\(u[0-9a-f]{4}|.)")


def is_base64(text: str) -> bool:
    """Whether `text`, without its line breaks, is written in the base64 alphabet."""
    return bool(text) and _ALPHABET.fullmatch("".join(text.split())) is not None


def unpack(text: str, findings: Findings) -> str | None:
    """Return the JSON text in a `.dat` export, or None after a finding."""
    packed = "".join(text.split())
    whole = len(packed) - len(packed) % 4
    try:
        data = base64.b64decode(packed[:whole], validate=True)
        return data.decode()
    except (binascii.Error, UnicodeDecodeError) as problem:
        what = f"the .dat export is damaged: {problem}"
        findings.error("SOP002", "", what, "export or download the file again")
        return None


def check_digest(payload: Fields) -> None:
    """Report a digest that is not that of `template_data`, by either salt."""
    digest = payload.needed_text("digest")
    data = payload.raw.get("template_data")
    if digest and data is not None and digest.lower() not in digests(data):
        what = "the digest is not that of the content: the file was changed after it was exported"
        fix = "export it again; to change a template by hand, use its JSON or YAML form"
        payload.findings.error("SOP003", f"{payload.at}/digest", what, fix)


def digests(data: JsonValue) -> tuple[str, ...]:
    """Return the digests, by each salt, that bk-sops gives to `template_data`."""
    text = canonical(data)
    return tuple(
        hashlib.md5((text + salt).encode(), usedforsecurity=False).hexdigest() for salt in SALTS
    )


def canonical(data: JsonValue) -> str:
    """Return JSON text as ujson writes it with sorted keys, which the digest is made of.

    It escapes slashes, leaves U+007F as it is, and writes small exponents without a zero.
    """
    text = json.dumps(data, sort_keys=True, separators=(",", ":")).replace("/", "\\/")
    if "\\u007f" in text:
        text = _ESCAPE.sub(lambda found: "\x7f" if found[1] == "u007f" else found[0], text)
    if "e-0" in text:
        text = _STRING_OR_EXPONENT.sub(lambda found: "e-" if found[0] == "e-0" else found[0], text)
    return text
