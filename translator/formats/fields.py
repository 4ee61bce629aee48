"""Typed access to raw JSON: a field that does not fit is reported, and its default taken.

Every reader and `normalize` look at stored JSON through `Fields`, so that a wrong type is one
finding with its place, whatever the field, and never an exception.
"""

import difflib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from pydantic import JsonValue

from stdops import Diagnostic, Location, Severity

Json: TypeAlias = Mapping[str, JsonValue]

MAX_FINDINGS: Final = 1_000
"""More than these are counted, not kept."""


@dataclass(slots=True)
class Findings:
    """Collects what is wrong with one document."""

    file: str = ""
    items: list[Diagnostic] = field(default_factory=list[Diagnostic])
    _known: set[tuple[str, str, str]] = field(default_factory=set[tuple[str, str, str]])

    def error(self, code: str, at: str, what: str, fix: str) -> None:
        """Note what forbids to compile the document."""
        self._add(code, "error", at, what, fix)

    def warn(self, code: str, at: str, what: str, fix: str) -> None:
        """Note what is suspicious."""
        self._add(code, "warning", at, what, fix)

    def _add(self, code: str, severity: Severity, at: str, what: str, fix: str) -> None:
        # a field may be looked at twice, but is reported once
        if len(self.items) <= MAX_FINDINGS and (code, at, what) not in self._known:
            self._known.add((code, at, what))
            self.items.append(Diagnostic(code, severity, what, fix, Location(self.file, at)))


def capped(diagnostics: Collection[Diagnostic], file: str) -> tuple[Diagnostic, ...]:
    """Return at most `MAX_FINDINGS`, errors before the rest, and a note when some were left out."""
    if len(diagnostics) <= MAX_FINDINGS:
        return tuple(diagnostics)
    kept = sorted(diagnostics, key=lambda found: found.severity != "error")[:MAX_FINDINGS]
    what = f"there are more findings than the {MAX_FINDINGS:,} that are shown"
    note = Diagnostic("SOP028", "note", what, "mend those first", Location(file))
    return (*kept, note)


def pointer(at: str, step: str | int) -> str:
    """Return the JSON pointer of member `step` of what stands at `at`."""
    text = str(step)
    if "~" in text or "/" in text:
        text = text.replace("~", "~0").replace("/", "~1")
    return f"{at}/{text}"


def bare_key(key: str) -> str:
    """Return a variable's key without its `${}`; what has none stays as it is.

    Space around it, which bk-sops lets pass, is not part of the key.
    """
    key = key.strip()
    return key[2:-1] if is_wrapped(key) else key


def is_wrapped(key: str) -> bool:
    """Whether `key` is of the form `${name}`."""
    key = key.strip()
    return key[:2] == "${" and key[-1] == "}" and len(key) > len("${}")


def kind_of(value: JsonValue) -> str:
    """Name the type of a JSON value, for a message; never shows the value."""
    match value:
        case None:
            return "null"
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case str():
            return "text"
        case list():
            return "a list"
        case dict():
            return "an object"


def shown(text: str) -> str:
    """Quote `text` for a message, cut to a readable length."""
    limit = 60
    return repr(text if len(text) <= limit else f"{text[:limit]}…")


def hint(text: str, known: Collection[str]) -> str:
    """Return `did you mean ...`, or the list of what is known."""
    near = difflib.get_close_matches(text, known, 1)
    return f"did you mean {near[0]!r}?" if near else f"use one of {', '.join(known)}"


class Fields:
    """One JSON object of a document, read field by field.

    `what` and `key` name it in messages, as in `node 'Ping'`, together with the `holder` that it
    belongs to; an object inside it that has no name of its own is reached through `prefix`. A null
    counts as a field that is not there.
    """

    __slots__ = ("at", "findings", "holder", "key", "prefix", "raw", "what")

    def __init__(self, raw: Json, at: str, what: str, findings: Findings) -> None:
        self.raw = raw
        self.at = at
        self.what = what
        self.findings = findings
        self.key = ""
        self.prefix = ""
        self.holder: Fields | None = None

    @property
    def of(self) -> str:
        """Name the object for a message."""
        own = f"{self.what} {shown(self.key)}" if self.key else self.what
        return f"{own} of {self.holder.of}" if self.holder else own

    def wrong(self, name: str, wanted: str) -> None:
        """Report that field `name` is not `wanted`."""
        found = kind_of(self.raw.get(name))
        what = f"field {self.prefix + name!r} of {self.of} is {found}, not {wanted}"
        self.findings.error("SOP007", pointer(self.at, name), what, f"write {wanted}")

    def missing(self, name: str) -> None:
        """Report that field `name` is not there."""
        what = f"{self.of} has no {self.prefix + name!r}"
        self.findings.error("SOP008", self.at, what, f"add the field {name!r}")

    def text(self, name: str, default: str = "") -> str:
        """Return a text."""
        value = self.raw.get(name)
        if isinstance(value, str):
            return value
        if value is not None:
            self.wrong(name, "text")
        return default

    def needed_text(self, name: str) -> str:
        """Return a text that has to be there and not be empty."""
        value = self.raw.get(name)
        if value is None or value == "":
            self.missing(name)
            return ""
        return self.text(name)

    def label(self, name: str) -> str:
        """Return an id that may be written as text or as a number."""
        value = self.raw.get(name)
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        return self.text(name)

    def choice(self, name: str, known: Collection[str], default: str) -> str:
        """Return a text that is one of `known`."""
        value = self.text(name, default)
        if value in known:
            return value
        what = f"field {self.prefix + name!r} of {self.of} is {shown(value)}"
        self.findings.error("SOP007", pointer(self.at, name), what, hint(value, known))
        return default

    def flag(self, name: str, *, default: bool) -> bool:
        """Return a truth value."""
        value = self.raw.get(name)
        if value is True or value is False:
            return value
        if value is not None:
            self.wrong(name, "true or false")
        return default

    def entries(self, name: str) -> Json:
        """Return an object, empty when it is not there."""
        value = self.raw.get(name)
        if isinstance(value, dict):
            return value
        if value is not None:
            self.wrong(name, "an object")
        return {}

    def needed_entries(self, name: str) -> Json:
        """Return an object that has to be there."""
        if self.raw.get(name) is None:
            self.missing(name)
        return self.entries(name)

    def part(self, name: str) -> "Fields":
        """Return the fields of an object in field `name`, empty when it is not there."""
        inner = Fields(self.entries(name), f"{self.at}/{name}", self.what, self.findings)
        inner.key, inner.holder = self.key, self.holder
        inner.prefix = f"{self.prefix}{name}."
        return inner

    def needed_part(self, name: str) -> "Fields | None":
        """Return the fields of an object that has to be there, or None after a finding."""
        self.needed_entries(name)
        return self.part(name) if isinstance(self.raw.get(name), dict) else None

    def objects(self, name: str, what: str) -> Iterator[tuple[str, "Fields"]]:
        """Walk through a map of objects; `what` is the word for one of them."""
        for key, raw, at in self.members(name, what):
            yield key, self.member(raw, at, what, key)

    def members(self, name: str, what: str) -> Iterator[tuple[str, Json, str]]:
        """Walk through a map of objects as they are, each with its pointer."""
        base = pointer(self.at, name)
        for key, raw in self.entries(name).items():
            at = f"{base}/{key}" if key.isidentifier() else pointer(base, key)
            if isinstance(raw, dict):
                yield key, raw, at
            else:
                self.not_an_object(raw, at, f"{what} {shown(key)}")

    def member(self, raw: Json, at: str, what: str, key: str) -> "Fields":
        """Return the fields of an object that belongs to this one."""
        inner = Fields(raw, at, what, self.findings)
        inner.key, inner.holder = key, self if self.key else None
        return inner

    def not_an_object(self, raw: JsonValue, at: str, what: str) -> None:
        """Report that `what`, which belongs to this object, is not an object itself."""
        owner = f" of {self.of}" if self.key else ""
        said = f"{what}{owner} is {kind_of(raw)}, not an object"
        self.findings.error("SOP007", at, said, "write an object, or remove it")

    def ids(self, name: str) -> tuple[str, ...]:
        """Return ids written as a list or, where there is one, as a text."""
        value = self.raw.get(name)
        if isinstance(value, str):
            return (value,) if value else ()
        if isinstance(value, list):
            return tuple(self._texts(name, value))
        if value is not None:
            self.wrong(name, "an id or a list of ids")
        return ()

    def _texts(self, name: str, values: list[JsonValue]) -> Iterator[str]:
        for index, value in enumerate(values):
            if isinstance(value, str):
                yield value
            else:
                at = pointer(pointer(self.at, name), index)
                what = (
                    f"an item of {self.prefix + name!r} of {self.of} is {kind_of(value)}, not text"
                )
                self.findings.error("SOP007", at, what, "write text, or remove the item")

    def number(self, name: str, default: int) -> int:
        """Return a whole number."""
        value = self.raw.get(name)
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        if value is not None:
            self.wrong(name, "a whole number")
        return default

    def check_key(self, name: str, key: str) -> None:
        """Report that the object names itself other than the key it stands under."""
        value = self.text(name, key)
        if value != key:
            what = f"{self.of} stands under {shown(key)} but its {name!r} is {shown(value)}"
            self.findings.error("SOP013", self.at, what, "make the two equal")
