"""What a call asks for, read as strictly as the platform reads it, and how it is refused."""

import base64
import binascii
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NoReturn, TypeAlias, cast

from pydantic import JsonValue

from workers.fake_blueking.world import World

Json: TypeAlias = dict[str, JsonValue]

DENIED: Final = 9900403
"""The code by which every system says that a permission is missing."""

WRONG: Final = 1199000
"""The fake's own code for all other refusals: callers go by `result` and `message`."""


class RefusedError(Exception):
    """The platform says no, in its envelope."""

    def __init__(self, message: str, code: int = WRONG, permission: Json | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.permission = permission


class Asked:
    """The fields of a call or of a part of it; what a field must be is said where it is read."""

    def __init__(self, fields: Mapping[str, JsonValue], where: str = "", user: str = "") -> None:
        self.fields: Final = fields
        self.user: Final = user
        self._where: Final = where

    def has(self, key: str) -> bool:
        """Say whether a field is filled in."""
        return self.fields.get(key) not in (None, "")

    def integer(self, key: str, default: int | None = None) -> int:
        """Return a whole number; digits in text are one too, as Java and Go read them."""
        value = self._given(key, default)
        if isinstance(value, str) and value.strip().lstrip("-").isdecimal():
            return int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            self.refuse(key, "must be an integer")
        return value

    def text(self, key: str, default: str | None = None) -> str:
        """Return a text."""
        value = self._given(key, default)
        if not isinstance(value, str):
            self.refuse(key, "must be a string")
        return value

    def flag(self, key: str, default: bool | None = None) -> bool:  # noqa: FBT001  a value to fall back to
        """Return yes or no; a query has them as text."""
        value = self._given(key, default)
        if value in ("true", "false"):
            return value == "true"
        if not isinstance(value, bool):
            self.refuse(key, "must be a boolean")
        return value

    def items(self, key: str, default: list[JsonValue] | None = None) -> list[JsonValue]:
        """Return a list; a query has it as JSON."""
        value = self._given(key, default)
        value = _decoded(value) if isinstance(value, str) else value
        if not isinstance(value, list):
            self.refuse(key, "must be an array")
        return value

    def integers(self, key: str) -> list[int]:
        """Return a list of whole numbers with something in it."""
        found = self.items(key)
        if not found:
            self.refuse(key, "is empty")
        return [Asked({key: item}, self._where).integer(key) for item in found]

    def rows(self, key: str, default: list[JsonValue] | None = None) -> "list[Asked]":
        """Return a list of objects."""
        found = self.items(key, default)
        if not all(isinstance(item, dict) for item in found):
            self.refuse(key, "must be an array of objects")
        rows = cast("list[Json]", found)
        return [Asked(row, f"{self._name(key)}[{at}]", self.user) for at, row in enumerate(rows)]

    def part(self, key: str, default: Json | None = None) -> "Asked":
        """Return an object; a query has it as JSON."""
        value = self._given(key, default)
        value = _decoded(value) if isinstance(value, str) else value
        if not isinstance(value, dict):
            self.refuse(key, "must be an object")
        return Asked(value, self._name(key), self.user)

    def one_of(
        self, key: str, choices: Sequence[str | int], default: JsonValue = None
    ) -> JsonValue:
        """Return a field that has one of some values; numbers may be text."""
        value = self._given(key, default)
        fitting = [each for each in choices if str(value) == str(each)]
        if isinstance(value, bool) or not fitting:
            self.refuse(key, f"must be one of {', '.join(map(str, choices))}")
        return fitting[0]

    def base64(self, key: str) -> str:
        """Return a text that is sent in base64."""
        try:
            return base64.b64decode(self.text(key), validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            self.refuse(key, "must be base64 of UTF-8 text")

    def refuse(self, key: str, why: str) -> NoReturn:
        """Refuse the call because of a field.

        Raises:
            RefusedError: always.
        """
        raise RefusedError(f"'{self._name(key)}' {why}")

    def _given(self, key: str, default: JsonValue) -> JsonValue:
        if self.has(key):
            return self.fields[key]
        if default is None:
            self.refuse(key, "is required")
        return default

    def _name(self, key: str) -> str:
        return f"{self._where}.{key}" if self._where else key


Handler: TypeAlias = Callable[[World, Asked], JsonValue]
"""Does what a call asks for, and returns the `data` of the answer."""


def _decoded(text: str) -> JsonValue:
    try:
        return json.loads(text)
    except ValueError:
        return text
