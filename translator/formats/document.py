"""Document: one stored flow as it stands in a file, still raw JSON."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import NamedTuple, TypeAlias

from pydantic import JsonValue

from stdops import Diagnostic
from translator.template import FormatName, Scheme

Json: TypeAlias = dict[str, JsonValue]


@dataclass(frozen=True, slots=True)
class Document:
    """One stored flow.

    `key` is what people start it by, unique in the file; `id` is its id in its own system, "" if
    none; `at` is the JSON pointer of `tree` in the file; `digest` is the SHA-256, hex, of the
    file's bytes.
    """

    format: FormatName
    file: str
    key: str
    id: str
    name: str
    tree: Json
    at: str
    digest: str
    version: str = ""
    category: str = ""
    schemes: tuple[Scheme, ...] = ()


class Read(NamedTuple):
    """What a file holds, and what is wrong with it."""

    documents: tuple[Document, ...]
    diagnostics: tuple[Diagnostic, ...]


def slug(text: str) -> str:
    """Return `text` in [a-z0-9-], or "" where that would lose more than punctuation."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") if text.isascii() else ""


def with_keys(documents: Sequence[Document]) -> tuple[Document, ...]:
    """Give each document its key: of its name, else of a lone file's name, else its id."""
    keyed: list[Document] = []
    taken: set[str] = set()
    for document in documents:
        key = _free_key(document, taken, alone=len(documents) == 1)
        taken.add(key)
        keyed.append(replace(document, key=key))
    return tuple(keyed)


def _free_key(document: Document, taken: set[str], *, alone: bool) -> str:
    stem = slug(PurePath(document.file).stem) if alone else ""
    wanted = slug(document.name) or stem or document.id or "template"
    if wanted not in taken:
        return wanted
    if document.id and document.id not in taken:
        return document.id
    count = 2
    while f"{wanted}-{count}" in taken:
        count += 1
    return f"{wanted}-{count}"
