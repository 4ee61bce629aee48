"""What one activity has opened: secrets in, and nothing of them out.

An `Opening` lasts as long as the activity. It opens what arrives sealed, knows which values follow
from a secret, seals those again where they are needed later, and masks every secret in what leaves
as text. The log asks the opening of the moment through a context variable.
"""

import base64
import json
import re
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final, assert_never
from urllib.parse import quote, quote_plus

from pydantic import JsonValue

from activities.contract import PluginCall, Unresolved
from activities.expressions.secrets import Keys
from translator.plan import DictValue, Expression, ListValue, Literal, Ref, Splice, Value, Variable
from translator.values import MASK, holds_sealed, is_sealed, leaves, reads

SHORTEST: Final = 4
"""A shorter secret is not looked for in texts: it would be found everywhere."""

SHORTEST_DERIVED: Final = 8
"""The same for what an expression made of a secret, which may be a mere `False`."""

_current: ContextVar["Opening | None"] = ContextVar("opening", default=None)


class Opening:
    """The secrets of one activity; `keys` are the worker's."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys
        self._sealed: dict[str, JsonValue] = {}
        self._forms: set[str] = set()
        self._pattern: re.Pattern[str] | None = None
        self._tainted: set[str] = set()

    # --- in ---

    def open(self, value: JsonValue) -> JsonValue:
        """Return `value` with everything sealed in it opened.

        Raises:
            SecretError: a part cannot be opened.
        """
        match value:
            case dict() if is_sealed(value):
                opened = self._keys.open(value)
                self._sealed[_canonical(opened)] = {**value}
                self.remember(opened)
                return opened
            case dict():
                return {key: self.open(field) for key, field in value.items()}
            case list():
                return [self.open(item) for item in value]
            case _:
                return value

    def open_call(self, call: PluginCall) -> PluginCall:
        """Return a plugin's call with inputs, handle and callback data opened.

        Raises:
            SecretError: a part cannot be opened.
        """
        opened = {
            "inputs": {name: self.open(value) for name, value in call.inputs.items()},
            "handle": self.open(call.handle),
            "data": self.open(call.data),
            "unresolved": self.open_unresolved(call.unresolved),
        }
        return call.model_copy(update=opened)

    def open_unresolved(self, given: Unresolved) -> Unresolved:
        """Return values and variables opened; variables that follow from a secret count as one.

        Raises:
            SecretError: a part cannot be opened.
        """
        if not given.values and not given.variables:
            return given
        variables = {key: self._variable(variable) for key, variable in given.variables.items()}
        values = {name: self._value(value) for name, value in given.values.items()}
        return given.model_copy(update={"variables": variables, "values": values})

    def _variable(self, variable: Variable) -> Variable:
        """Open a variable; the ones that it reads came before it."""
        value = self._value(variable.value)
        follows = any(key in self._tainted for key in reads(variable.value))
        if not variable.secret and not follows and value is variable.value:
            return variable
        self._tainted.add(variable.key)
        for leaf in leaves(value):
            if isinstance(leaf, Literal):
                self.remember(leaf.value)
        return variable.model_copy(update={"value": value, "secret": True})

    def _value(self, value: Value) -> Value:
        """Open what stands sealed in a value; one without is returned as it is."""
        match value:
            case Literal(value=plain):
                return Literal(value=self.open(plain)) if holds_sealed(plain) else value
            case ListValue(items=items):
                opened = tuple(map(self._value, items))
                is_same = all(new is old for new, old in zip(opened, items, strict=True))
                return value if is_same else ListValue(items=opened)
            case DictValue(fields=fields):
                found = {key: self._value(field) for key, field in fields.items()}
                is_same = all(found[key] is fields[key] for key in fields)
                return value if is_same else DictValue(fields=found)
            case Ref() | Splice() | Expression():
                return value
            case _:
                assert_never(value)

    def remember(self, value: JsonValue, shortest: int = SHORTEST) -> None:
        """Let the texts in `value` be masked from now on, in the forms that they travel in."""
        for text in _texts(value):
            if len(text) >= shortest and text not in self._forms:
                self._forms.update(form for form in _forms(text) if len(form) >= SHORTEST)
                self._pattern = None

    # --- out ---

    def seal(self, value: JsonValue) -> JsonValue:
        """Return a secret sealed: as it came, where it did."""
        self.remember(value)
        return self._sealed.get(_canonical(value)) or self._keys.seal(value)

    def guarded(
        self, values: Mapping[str, Value], rendered: Mapping[str, JsonValue]
    ) -> dict[str, JsonValue]:
        """Return rendered values with all that follows from a secret sealed.

        `values` are those that were rendered, as they came: what stood in them sealed still is.
        """
        return {
            name: self._guarded(values[name], result) if name in values else self.put_back(result)
            for name, result in rendered.items()
        }

    def _guarded(self, value: Value, result: JsonValue) -> JsonValue:
        match value:
            case Literal(value=plain):
                return plain
            case ListValue(items=items) if isinstance(result, list):
                return [self._guarded(i, r) for i, r in zip(items, result, strict=True)]
            case DictValue(fields=fields) if isinstance(result, dict):
                return {key: self._guarded(field, result[key]) for key, field in fields.items()}
            case _:
                if self._tainted.isdisjoint(reads(value)):
                    return self.put_back(result)
                shortest = SHORTEST_DERIVED if isinstance(value, Expression) else SHORTEST
                self.remember(result, shortest)
                return self._sealed.get(_canonical(result)) or self._keys.seal(result)

    def put_back(self, value: JsonValue) -> JsonValue:
        """Return `value` with each text in which a secret stands sealed; for what comes back."""
        match value:
            case dict():
                is_done = is_sealed(value)
                return {k: v if is_done else self.put_back(v) for k, v in value.items()}
            case list():
                return [self.put_back(item) for item in value]
            case str() | int() | float() if self.mask(value) != value:
                return self._sealed.get(_canonical(value)) or self._keys.seal(value)
            case _:
                return value

    def mask_text(self, text: str) -> str:
        """Return `text` with every secret in it masked."""
        if not self._forms:
            return text
        if self._pattern is None:
            longest_first = sorted(self._forms, key=lambda form: (-len(form), form))
            self._pattern = re.compile("|".join(map(re.escape, longest_first)))
        return self._pattern.sub(MASK, text)

    def mask(self, value: JsonValue) -> JsonValue:
        """Return `value` with every secret in it masked, in names too; sealed values stay."""
        match value:
            case str():
                return self.mask_text(value)
            case dict():
                if is_sealed(value):
                    return {**value}
                return {self.mask_text(key): self.mask(field) for key, field in value.items()}
            case list():
                return [self.mask(item) for item in value]
            case int() | float() if not isinstance(value, bool) and str(value) in self._forms:
                return MASK
            case _:
                return value

    def masked(self, values: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
        """Return an object with every secret in it masked."""
        return {self.mask_text(key): self.mask(value) for key, value in values.items()}


@contextmanager
def opening(keys: Keys) -> Generator[Opening]:
    """Have an opening for as long as the context lasts; `current` finds it."""
    made = Opening(keys)
    token = _current.set(made)
    try:
        yield made
    finally:
        _current.reset(token)


def current() -> Opening | None:
    """Return the opening of the activity that runs here, None outside of one."""
    return _current.get()


def masked_text(text: str) -> str:
    """Return `text` with every secret masked that the activity of the moment has opened."""
    found = _current.get()
    return text if found is None else found.mask_text(text)


def _texts(value: JsonValue) -> Iterator[str]:
    """Yield the texts of a secret; of bk-sops's own object around a password, only the password."""
    match value:
        case str():
            yield value
        case bool() | None:
            return
        case int() | float():
            yield str(value)
        case list():
            for item in value:
                yield from _texts(item)
        case dict():
            wrapped = value.keys() == {"tag", "value"}
            for field in [value["value"]] if wrapped else value.values():
                yield from _texts(field)


def _forms(text: str) -> Iterator[str]:
    """Yield how a text may be written by what carries it: JSON, an address, base64, Python."""
    raw = text.encode("utf-8", "replace")
    yield text
    yield from (json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1])
    yield from (quote(raw), quote(raw, safe=""), quote_plus(raw), repr(text)[1:-1])
    yield from (base64.b64encode(raw).decode(), base64.urlsafe_b64encode(raw).decode())


def _canonical(value: JsonValue) -> str:
    return json.dumps(value, sort_keys=True)
