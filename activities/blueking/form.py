"""What a component's form holds, read field by field as leniently as the real system reads it."""

import json
from collections.abc import Mapping
from typing import Final, cast

from pydantic import ConfigDict, JsonValue, SecretStr

from activities.calls import Inputs, Outputs, PluginError

Json = dict[str, JsonValue]

_YES: Final = frozenset({"true", "1", "yes", "on"})


class Form(Inputs):
    """Base of the inputs of all BlueKing components; unknown fields are carried and not read."""

    model_config = ConfigDict(extra="ignore")

    @property
    def fields(self) -> "Fields":
        """The form's fields by the names that templates use; those left empty are missing."""
        return Fields(self.model_dump(by_alias=True, exclude_none=True))


class Written(Outputs):
    """What a component writes: names that the catalogue lists, and those that JOB adds."""

    model_config = ConfigDict(extra="allow")


class Fields:
    """Fields of a form or of a part of it; each is read as what the component wants of it."""

    def __init__(self, values: Mapping[str, object], where: str = "") -> None:
        self._values: Final = values
        self._where: Final = where

    def __contains__(self, key: str) -> bool:
        return self.raw(key) not in (None, "")

    def raw(self, key: str) -> JsonValue:
        """Return a field as it is, None where it is missing."""
        value = self._values.get(key)
        if isinstance(value, SecretStr):
            return value.get_secret_value()
        return cast("JsonValue", value)

    def text(self, key: str, default: str = "") -> str:
        """Return a field as text; lists are joined by commas."""
        value = self.raw(key)
        match value:
            case None:
                return default
            case str():
                return value
            case bool():
                return "true" if value else "false"
            case list():
                return ",".join(str(item) for item in value)
            case dict():
                return json.dumps(value, ensure_ascii=False)
            case _:
                return str(value)

    def secret(self, key: str) -> str:
        """Return a field as text; of bk-sops's object around a password, the password."""
        value = self.raw(key)
        if isinstance(value, dict):
            return Fields(value).text("value")
        return self.text(key)

    def line(self, key: str, default: str = "") -> str:
        """Return a field as text without blanks around it."""
        return self.text(key, default).strip()

    def number(self, key: str) -> int | None:
        """Return a field as a whole number, None where it is empty.

        Raises:
            PluginError: it is none.
        """
        text = self.line(key)
        if not text:
            return None
        try:
            return int(text)
        except ValueError:
            raise PluginError(f"{self._named(key)} is {text!r}; a whole number is wanted") from None

    def integer(self, key: str) -> int:
        """Return a field that must be a whole number.

        Raises:
            PluginError: it is empty, or none.
        """
        found = self.number(key)
        if found is None:
            raise PluginError(f"{self._named(key)} is empty; a whole number is wanted")
        return found

    def flag(self, key: str, *, default: bool = False) -> bool:
        """Return a field as yes or no; a list, as check boxes give it, is yes when it has items."""
        value = self.raw(key)
        match value:
            case None:
                return default
            case str():
                return value.strip().lower() in _YES
            case _:
                return bool(value)

    def items(self, key: str) -> list[JsonValue]:
        """Return a field that is a list; text is split at its commas.

        Raises:
            PluginError: it is neither.
        """
        value = self.raw(key)
        match value:
            case None:
                return []
            case list():
                return value
            case str():
                return [part.strip() for part in value.split(",") if part.strip()]
            case int():
                return [value]
            case _:
                raise PluginError(f"{self._named(key)} is no list")

    def rows(self, key: str) -> list[Json]:
        """Return a field that is a table, row by row.

        Raises:
            PluginError: it is none.
        """
        value = self.raw(key)
        found = json_of(value) if isinstance(value, str) else value
        if found is None:
            return []
        if isinstance(found, list) and all(isinstance(row, dict) for row in found):
            return cast("list[Json]", found)
        raise PluginError(f"{self._named(key)} is no table: a list of objects is wanted")

    def part(self, key: str) -> "Fields":
        """Return a field that holds fields of its own; empty where it is missing.

        Raises:
            PluginError: it is something else.
        """
        value = self.raw(key)
        if value in (None, ""):
            return Fields({}, self._named(key))
        if isinstance(value, dict):
            return Fields(value, self._named(key))
        raise PluginError(f"{self._named(key)} is no object")

    def replaced(self, key: str, value: JsonValue) -> "Fields":
        """Return the same fields with another value of one."""
        return Fields({**self._values, key: value}, self._where)

    def _named(self, key: str) -> str:
        return f"{self._where}.{key}" if self._where else key


def json_of(text: str) -> JsonValue:
    """Return the JSON that a text holds, None where it is empty or holds none."""
    try:
        return json.loads(text) if text.strip() else None
    except ValueError:
        return None
