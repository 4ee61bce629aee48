"""Text to Value, and what can be said of a Value without resolving it."""

import unicodedata
from collections.abc import Collection, Iterable, Iterator
from typing import Final, assert_never

from pydantic import JsonValue

from stdops import StdopsError
from translator.plan import (
    DictValue,
    Expression,
    ListValue,
    Literal,
    Ref,
    Splice,
    Value,
    VariableKey,
)
from translator.values.fragments import FRAGMENT, references
from translator.values.safety import BUILTINS, MODULES, check

MAX_DEPTH: Final = 100
"""How deep lists and objects may be nested in one value."""

SYSTEM: Final = "_system"
"""The variable whose fields are read as attributes, or whose fields are variables of their own."""

_NO_KEYS: Final = BUILTINS | MODULES | {"True", "False", "None"}
_BLANKS: Final = " \t\n"


def classify(value: JsonValue, declared: Collection[str] = ()) -> Value:
    """Turn a template's value into a Value.

    `declared` are the variables that are known, whose keys win over builtins and need not be
    identifiers. A fragment that can never be evaluated stays text.

    Raises:
        StdopsError: lists and objects are nested more than `MAX_DEPTH` deep.
    """
    return _classify(value, declared, MAX_DEPTH)


def reads(value: Value) -> tuple[VariableKey, ...]:
    """Return the variables that `value` names directly, in order of first use."""
    return tuple(dict.fromkeys(_keys(value)))


def needs_sandbox(value: Value) -> bool:
    """Say whether something in `value` is an Expression."""
    return any(isinstance(leaf, Expression) for leaf in leaves(value))


def leaves(value: Value) -> Iterator[Literal | Ref | Splice | Expression]:
    """Yield the parts of `value` that are no containers, in order."""
    waiting: list[Value] = [value]
    while waiting:
        match waiting.pop():
            case ListValue(items=items):
                waiting.extend(reversed(items))
            case DictValue(fields=fields):
                waiting.extend(reversed(fields.values()))
            case leaf:
                yield leaf


def source(value: Value) -> JsonValue:
    """Return the template's value that `value` was classified from."""
    match value:
        case Literal(value=plain):
            return plain
        case Ref(key=key):
            return f"${{{key}}}"
        case Splice(parts=parts):
            return "".join(p if isinstance(p, str) else f"${{{p.key}}}" for p in parts)
        case Expression(text=text):
            return text
        case ListValue(items=items):
            return [source(item) for item in items]
        case DictValue(fields=fields):
            return {key: source(field) for key, field in fields.items()}
        case _:
            assert_never(value)


def classify_text(text: str, declared: Collection[str] = ()) -> Value:
    """Turn one text into a Literal, Ref, Splice or Expression."""
    if "${" not in text:
        return Literal(value=text)
    whole = FRAGMENT.fullmatch(text)
    if whole and _is_key(whole[1], declared):
        return Ref(key=whole[1])
    parts = list(_parts(text, declared))
    if any(part is None for part in parts):
        return Expression(text=text, reads=references(text))
    return _splice(part for part in parts if part is not None)


def _classify(value: JsonValue, declared: Collection[str], depth: int) -> Value:
    match value:
        case str():
            return classify_text(_without_surrogates(value), declared)
        case list() | dict() if depth == 0:
            raise StdopsError(
                "SOP219",
                f"a value has lists or objects nested more than {MAX_DEPTH} deep",
                fix="flatten it, or pass it as text",
            )
        case list():
            return _list([_classify(item, declared, depth - 1) for item in value])
        case dict():
            fields = {
                _without_surrogates(key): _classify(field, declared, depth - 1)
                for key, field in value.items()
            }
            return _dict(fields)
        case _:
            return Literal(value=value)


def _list(items: list[Value]) -> Value:
    plain = [item.value for item in items if isinstance(item, Literal)]
    return Literal(value=plain) if len(plain) == len(items) else ListValue(items=tuple(items))


def _dict(fields: dict[str, Value]) -> Value:
    plain = {key: field.value for key, field in fields.items() if isinstance(field, Literal)}
    return Literal(value=plain) if len(plain) == len(fields) else DictValue(fields=fields)


def _without_surrogates(text: str) -> str:
    """Join surrogate pairs and replace lone ones, which no JSON encoder accepts."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def _keys(value: Value) -> Iterator[VariableKey]:
    for leaf in leaves(value):
        match leaf:
            case Ref(key=key):
                yield key
            case Splice(parts=parts):
                yield from (part.key for part in parts if isinstance(part, Ref))
            case Expression(reads=names):
                yield from names
            case Literal():
                pass
            case _:
                assert_never(leaf)


def _is_key(inside: str, declared: Collection[str]) -> bool:
    return inside in declared or _is_plain_name(inside)


def _is_plain_name(inside: str) -> bool:
    """Say whether `inside` can be nothing but a variable's name."""
    if not inside.isidentifier() or inside in _NO_KEYS:
        return False
    return inside.isascii() or unicodedata.normalize("NFKC", inside) == inside


def _parts(text: str, declared: Collection[str]) -> Iterator[str | Ref | None]:
    """Yield texts and references; None for a fragment that has to be evaluated."""
    at = 0
    for match in FRAGMENT.finditer(text):
        yield text[at : match.start()]
        yield _part(match[1], declared)
        at = match.end()
    yield text[at:]


def _part(inside: str, declared: Collection[str]) -> str | Ref | None:
    name = inside.rstrip(_BLANKS)
    if name in declared and name.startswith(f"{SYSTEM}."):
        return Ref(key=name)
    if check(inside).problem:
        return f"${{{inside}}}"
    # An undeclared name keeps its blanks when it turns out to be unknown; a Ref would lose them.
    is_key = inside.isidentifier() and _is_key(inside, declared)
    return Ref(key=name) if is_key or (name.isidentifier() and name in declared) else None


def _splice(parts: Iterable[str | Ref]) -> Value:
    """Join neighbouring texts; without a reference it is a Literal."""
    joined: list[str | Ref] = []
    for part in parts:
        if isinstance(part, str) and joined and isinstance(last := joined[-1], str):
            joined[-1] = last + part
        elif part != "":
            joined.append(part)
    if any(isinstance(part, Ref) for part in joined):
        return Splice(parts=tuple(joined))
    return Literal(value="".join(part for part in joined if isinstance(part, str)))
