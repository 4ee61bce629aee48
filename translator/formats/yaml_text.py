"""YAML text to plain JSON documents, safely: bounded, no tags of its own, no dates.

Values are built from the parser's events with a stack of our own: depth, aliases and duplicate keys
are seen as they come, so that a hostile file is refused after its first few hundred tokens instead
of being expanded. What YAML 1.1 would turn into a date, a time or a number of base 60 stays text.
"""

import copy
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, cast

import yaml
from pydantic import JsonValue

from stdops import Diagnostic, Location
from translator.formats.fields import MAX_FINDINGS, pointer

MAX_CHARACTERS: Final = 50 * 1024 * 1024
MAX_ALIASED: Final = 100_000
"""Nodes that all aliases of a file may stand for together."""
MAX_DEPTH: Final = 100
MAX_DIGITS: Final = 300

_TAG: Final = "tag:yaml.org,2002:"
_PLAIN_TAGS: Final = frozenset(f"{_TAG}{name}" for name in ("str", "int", "float", "bool", "null"))
_MERGE: Final = f"{_TAG}merge"
_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TEXT: Final = f"{_TAG}str"
_FORMS: Final[dict[str, list[tuple[str, re.Pattern[str]]]]] = cast(
    "Any", yaml.SafeLoader
).yaml_implicit_resolvers
"""YAML 1.1's reading of plain text by its first character, as PyYAML has it."""
_BOOLS: Final = {"yes": True, "no": False, "true": True, "false": False, "on": True, "off": False}
_PROBLEM: Final = (
    "replace what stands there; quote text that holds ': ', ' #' or starts with a sign"
)


class Texts(NamedTuple):
    """The documents of a YAML text in order, and what is wrong with it."""

    documents: tuple[JsonValue, ...]
    diagnostics: tuple[Diagnostic, ...]


def load_documents(text: str, file: str) -> Texts:
    """Return the documents of `text`; with an error among the diagnostics there are none."""
    if len(text) > MAX_CHARACTERS:
        what = f"the file has {len(text)} characters, more than {MAX_CHARACTERS}"
        fix = "split it into files of fewer templates"
        return Texts((), (Diagnostic("SOP004", "error", what, fix, Location(file)),))
    builder = _Builder(file)
    try:
        for event in _events(text):
            builder.take(event)
    except _RefusedError as refused:
        return Texts((), (*builder.findings, refused.diagnostic))
    except (yaml.YAMLError, UnicodeError) as problem:
        return Texts((), (*builder.findings, _syntax_problem(problem, file)))
    documents = () if builder.findings else tuple(builder.documents)
    return Texts(documents, tuple(builder.findings))


def _events(text: str) -> Iterator[Any]:
    # The C parser is ten times faster; PyYAML without it has the pure one, with the same events.
    return iter(yaml.parse(text, Loader=_LOADER))


def _syntax_problem(problem: Exception, file: str) -> Diagnostic:
    """Turn the parser's own complaint into a diagnostic with its place."""
    mark = getattr(problem, "problem_mark", None) or getattr(problem, "context_mark", None)
    said = getattr(problem, "problem", None) or getattr(problem, "reason", None) or str(problem)
    where = Location(file, "", mark.line + 1, mark.column + 1) if mark else Location(file)
    what = f"not valid YAML: {' '.join(str(said).split())}"
    # libyaml has a bound of its own, which it meets before we do when no token comes between.
    code = "SOP005" if "nesting depth" in what else "SOP002"
    return Diagnostic(code, "error", what, _PROBLEM, where)


class _RefusedError(Exception):
    """Reading cannot go on; carries why."""

    def __init__(self, diagnostic: Diagnostic) -> None:
        super().__init__(diagnostic.what)
        self.diagnostic = diagnostic


@dataclass(slots=True)
class _Made:
    """A finished value, the nodes it stands for, and how many levels it has."""

    value: JsonValue
    size: int = 1
    depth: int = 0


@dataclass(slots=True)
class _Open:
    """A list or object under construction; `key` is the object's key that waits for its value."""

    value: list[JsonValue] | dict[str, JsonValue]
    anchor: str | None
    pointer: str
    key: str | None = None
    merging: bool = False
    merged: list[dict[str, JsonValue]] = field(default_factory=list[dict[str, JsonValue]])
    size: int = 1
    depth: int = 0


class _Builder:
    """Folds parser events into documents."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.documents: list[JsonValue] = []
        self.findings: list[Diagnostic] = []
        self._stack: list[_Open] = []
        self._anchors: dict[str, _Made | None] = {}
        self._aliased = 0

    def take(self, event: Any) -> None:
        """Fold in one event of PyYAML."""
        match event:
            case yaml.ScalarEvent():
                self._scalar(event)
            case yaml.MappingStartEvent() | yaml.SequenceStartEvent():
                self._open(event)
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                self._close()
            case yaml.AliasEvent():
                self._alias(event)
            case yaml.DocumentStartEvent():
                self._anchors = {}
            case _:
                pass  # stream borders and document ends hold nothing

    def _scalar(self, event: Any) -> None:
        if self._awaits_key():
            self._name(event)
            return
        made = _Made(self._scalar_value(event))
        self._anchor(event.anchor, made)
        self._add(made)

    def _open(self, event: Any) -> None:
        if event.tag and event.tag not in {"!", f"{_TAG}map", f"{_TAG}seq"}:
            raise self._refusal("SOP002", f"tag {event.tag!r} is not allowed", "remove it", event)
        if self._awaits_key():
            raise self._refusal("SOP002", "a key is a list or an object", "use a text", event)
        if len(self._stack) >= MAX_DEPTH:
            raise self._too_deep(event)
        if event.anchor:
            self._anchors[event.anchor] = None
        self._stack.append(_Open(_container(event), event.anchor, self._pointer()))

    def _close(self) -> None:
        done = self._stack.pop()
        if isinstance(done.value, dict):
            for given in done.merged:
                done.value.update({k: v for k, v in given.items() if k not in done.value})
        made = _Made(done.value, done.size, done.depth + 1)
        self._anchor(done.anchor, made)
        self._add(made)

    def _alias(self, event: Any) -> None:
        """Put a copy of the anchored value here, after counting what the copy costs."""
        made = self._anchors.get(event.anchor)
        if made is None:
            inside = event.anchor in self._anchors
            what = f"alias {event.anchor!r} " + ("stands inside itself" if inside else "is unknown")
            raise self._refusal("SOP002", what, "write the value out", event)
        self._aliased += made.size
        if self._aliased > MAX_ALIASED:
            what = f"aliases stand for more than {MAX_ALIASED} values"
            raise self._refusal("SOP004", what, "write the values out where they are needed", event)
        if len(self._stack) + made.depth > MAX_DEPTH:
            raise self._too_deep(event)
        if self._awaits_key():
            raise self._refusal("SOP002", "a key is an alias", "write the key out", event)
        self._add(_Made(copy.deepcopy(made.value), made.size, made.depth))

    def _anchor(self, name: str | None, made: _Made) -> None:
        if name:
            self._anchors[name] = made

    def _add(self, made: _Made) -> None:
        """Give a finished value to what holds it."""
        if not self._stack:
            self.documents.append(made.value)
            return
        holder = self._stack[-1]
        holder.size += made.size
        holder.depth = max(holder.depth, made.depth)
        if isinstance(holder.value, list):
            holder.value.append(made.value)
        elif holder.merging:
            self._merge(holder, made.value)
        elif holder.key is not None:
            holder.value[holder.key] = made.value
        holder.key, holder.merging = None, False

    def _merge(self, holder: _Open, value: JsonValue) -> None:
        """Keep what `<<` gives; keys written out win, whichever comes first."""
        given = value if isinstance(value, list) else [value]
        holder.merged += [each for each in given if isinstance(each, dict)]
        if not all(isinstance(each, dict) for each in given):
            self._find("SOP007", "'<<' is not an object", "merge objects only", holder.pointer)

    def _awaits_key(self) -> bool:
        holder = self._stack[-1] if self._stack else None
        return bool(
            holder and isinstance(holder.value, dict) and holder.key is None and not holder.merging
        )

    def _name(self, event: Any) -> None:
        """Take a scalar as the key of the value that follows; keys are text as written."""
        holder = self._stack[-1]
        if _tag_of(event) == _MERGE:
            holder.merging = True
            return
        self._check_tag(event)
        holder.key = event.value
        if event.value in holder.value:
            at = pointer(holder.pointer, event.value)
            what, fix = f"key {event.value!r} is given twice", "remove one of them"
            self._find("SOP006", what, fix, at, event)

    def _check_tag(self, event: Any) -> None:
        if event.tag and event.tag != "!" and event.tag not in _PLAIN_TAGS:
            raise self._refusal("SOP002", f"tag {event.tag!r} is not allowed", "remove it", event)

    def _scalar_value(self, event: Any) -> JsonValue:
        self._check_tag(event)
        try:
            return _plain_value(_tag_of(event), event.value)
        except (ValueError, OverflowError):
            what = f"{event.value[:40]!r} is not a number that JSON can hold"
            raise self._refusal("SOP002", what, "quote it to keep it as text", event) from None

    def _pointer(self) -> str:
        """JSON pointer of the value that comes next."""
        if not self._stack:
            return f"/{len(self.documents)}"
        holder = self._stack[-1]
        step = holder.key or "" if isinstance(holder.value, dict) else str(len(holder.value))
        return pointer(holder.pointer, step)

    def _find(self, code: str, what: str, fix: str, at: str, event: Any = None) -> None:
        if len(self.findings) < MAX_FINDINGS:
            where = _place(self.file, at, event)
            self.findings.append(Diagnostic(code, "error", what, fix, where))

    def _refusal(self, code: str, what: str, fix: str, event: Any) -> _RefusedError:
        return _RefusedError(
            Diagnostic(code, "error", what, fix, _place(self.file, self._pointer(), event))
        )

    def _too_deep(self, event: Any) -> _RefusedError:
        what = f"nested more than {MAX_DEPTH} levels deep"
        return self._refusal("SOP005", what, "flatten the value", event)


def _container(event: Any) -> list[JsonValue] | dict[str, JsonValue]:
    return {} if isinstance(event, yaml.MappingStartEvent) else []


def _tag_of(event: Any) -> str:
    """Return the tag of a scalar: its own, or what its plain text looks like."""
    if event.tag in {None, "!"}:
        text: str = event.value
        plain = event.implicit[0] and event.tag is None
        return (
            next((tag for tag, form in _forms(text) if form.match(text)), _TEXT) if plain else _TEXT
        )
    return event.tag


def _forms(text: str) -> list[tuple[str, re.Pattern[str]]]:
    """Return what plain text with this beginning may be, with the pattern that decides."""
    return _FORMS.get(text[:1], [])


def _plain_value(tag: str, text: str) -> JsonValue:
    """Return the JSON value of a scalar.

    Raises:
        ValueError: the text is not what its tag says, or JSON cannot hold it.
    """
    match tag.removeprefix(_TAG):
        case "null":
            return None
        case "bool":
            if text.lower() not in _BOOLS:
                raise ValueError(text)
            return _BOOLS[text.lower()]
        case "int" if ":" not in text:
            return _integer(text)
        case "float" if ":" not in text:
            return _real(text)
        case _:
            return text


def _integer(text: str) -> int:
    """Read an integer as YAML 1.1 writes it: `0b1`, `0x1f`, `017` (octal), `1_000`."""
    if len(text) > MAX_DIGITS:
        raise ValueError(text)
    digits = text.replace("_", "").lower()
    octal = digits.lstrip("+-").startswith("0") and digits.lstrip("+-0").isdigit()
    return int(digits, 8 if octal else 0) if digits.lstrip("+-0") else 0


def _real(text: str) -> float:
    value = float(text.replace("_", "").lower().replace(".inf", "inf").replace(".nan", "nan"))
    if not math.isfinite(value):
        raise ValueError(text)
    return value


def _place(file: str, at: str, event: Any) -> Location:
    mark = getattr(event, "start_mark", None)
    return Location(file, at, mark.line + 1, mark.column + 1) if mark else Location(file, at)
