"""What one worker keeps for its plugins: their settings, and what they share.

A plugin reads its own table of the workers' settings, `[plugins.<name>]` in the settings file, by a
model of its own. What a worker needs once, such as a limit on calls, is made once and shared.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar, cast, final

from pydantic import BaseModel, JsonValue, ValidationError

from activities.callbacks import CallbackUrls
from stdops import StdopsError

ModelT = TypeVar("ModelT", bound=BaseModel)
T = TypeVar("T")


class ShelfError(StdopsError):
    """Settings of plugins are wrong or missing: what calls them fails with this text."""


@final
class Shelf:
    """The plugins' settings by name, read when they are first asked for, and their shared things.

    Args:
        tables: the settings of each plugin or family of plugins, by name.
        callbacks: makes the addresses that the outside calls back; None where nobody listens.
    """

    def __init__(
        self,
        tables: Mapping[str, Mapping[str, JsonValue]] | None = None,
        callbacks: CallbackUrls | None = None,
    ) -> None:
        self._tables: Final = dict(tables or {})
        self.callbacks: Final = callbacks
        self._read: dict[tuple[str, type[BaseModel]], BaseModel] = {}
        self._shared: dict[object, Any] = {}

    def settings(self, name: str, model: type[ModelT]) -> ModelT:
        """Return the table `name` as `model`; a table that is not there is an empty one.

        Raises:
            ShelfError: a field is unknown, missing or wrong (SOP431); no value is shown.
        """
        known = self._read.get((name, model))
        if known is None:
            known = self._read[name, model] = _read(name, model, self._tables.get(name, {}))
        return cast("ModelT", known)

    def shared(self, key: object, make: Callable[[], T]) -> T:
        """Return what stands under `key`, made at the first call; one of it in a worker."""
        if key not in self._shared:
            self._shared[key] = make()
        return cast("T", self._shared[key])


def _read(name: str, model: type[ModelT], table: Mapping[str, JsonValue]) -> ModelT:
    try:
        return model.model_validate(dict(table))
    except ValidationError as wrong:
        found = wrong.errors(include_url=False, include_input=False)
        told = "; ".join(
            f"{'.'.join(map(str, e['loc'])) or name}: {e['msg'].lower()}" for e in found
        )
        raise ShelfError(
            "SOP431",
            f"settings of plugins {name!r} are wrong: {told}",
            where=f"[plugins.{name}] of the workers' settings",
            fix="correct them there, or in STDOPS_PLUGINS, and start the workers again",
        ) from None
