"""What an author's code meets when it runs: calls, inputs, outputs, and what it may raise.

Authors import these names from `stdops`; `activities.sdk` has the decorators.
"""

import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Annotated, Any, Final, Generic, TypeAlias, TypeVar, final

import structlog
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    JsonValue,
    PlainSerializer,
    SecretStr,
    model_validator,
)
from structlog.typing import FilteringBoundLogger

from activities.http_client import HttpClient
from activities.shelf import Shelf
from stdops import Location, StdopsError

Progress: TypeAlias = Callable[[Mapping[str, JsonValue]], None]


LONGEST_DELAY_S: Final = 366 * 24 * 3600.0


class PluginDefinitionError(StdopsError):
    """A plugin is written wrongly; found when it is loaded, never in a run.

    `location` is the function that is wrong, where there is one.
    """

    def __init__(
        self,
        code: str,
        what: str,
        *,
        where: str = "",
        fix: str = "",
        location: Location = Location(),  # noqa: B008  immutable
    ) -> None:
        super().__init__(code, what, where=where, fix=fix)
        self.location = location


class PluginError(StdopsError):
    """The outside has said no: the node fails with this text.

    Args:
        what: what was refused and why, for a person.
        retryable: nothing was taken outside, so that the call may be sent again.
        outputs: what is known all the same; written like a success's outputs.
        after_s: seconds to wait before it is sent again; None leaves it to stdops.
    """

    def __init__(
        self,
        what: str,
        *,
        retryable: bool = False,
        outputs: "Outputs | Mapping[str, JsonValue] | None" = None,
        after_s: float | None = None,
    ) -> None:
        super().__init__("SOP420", what)
        self.retryable = retryable
        self.outputs = outputs
        self.after_s = None if after_s is None else _delay(after_s)

    def __str__(self) -> str:
        """Return the plugin's own text alone: it is what the node shows."""
        return self.what


class OutcomeUnknown(Exception):  # noqa: N818  nobody knows whether it is an error
    """Nobody knows whether the outside has done it: a connection was lost after it was asked.

    A step that may be repeated is taken again; else the node fails and tells what to look at. What
    HTTP loses need not be told: stdops knows it.

    Args:
        what: what was lost, for a person.
        where: what to look at to find out, such as "host web-1"; "" names the node's key.
    """

    def __init__(self, what: str, where: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where


class StillRunning(Exception):  # noqa: N818  not an error: the work goes on
    """The work goes on outside: look again in `after_s` seconds.

    Args:
        handle: what `poll` and `stop` need to find the work, as JSON; at a poll, None keeps it.
            A new one at a poll is for the next polls; `stop` gets the one that the call gave.
        after_s: seconds until the next look.
        outputs: outputs known so far.
    """

    def __init__(
        self,
        handle: JsonValue = None,
        after_s: float = 5,
        outputs: "Outputs | Mapping[str, JsonValue] | None" = None,
    ) -> None:
        super().__init__(f"still running, next look in {after_s:g} s")
        self.handle = handle
        self.after_s = _delay(after_s)
        self.outputs = outputs


class WaitForCallback(Exception):  # noqa: N818  not an error: the work goes on
    """The work goes on outside, and the outside will call back.

    Args:
        handle: what `stop` needs to find the work, as JSON; at a callback, None keeps it.
        outputs: outputs known so far.
    """

    def __init__(
        self,
        handle: JsonValue = None,
        outputs: "Outputs | Mapping[str, JsonValue] | None" = None,
    ) -> None:
        super().__init__("waits for a callback")
        self.handle = handle
        self.outputs = outputs


class Inputs(BaseModel):
    """Base of a plugin's inputs: one field per input, an alias where its name is not Python's.

    Reads as leniently as the forms are: "5" is an integer, a number is text where text is wanted,
    and an empty field takes its default.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", populate_by_name=True, coerce_numbers_to_str=True
    )

    @model_validator(mode="before")
    @classmethod
    def _leave_out_empty(cls, data: Any) -> Any:  # Any: JSON enters here
        if not isinstance(data, dict):
            return data
        given = typing.cast("dict[str, JsonValue]", data)
        empty = {name for name, value in given.items() if value is None or value == ""}
        return {k: v for k, v in given.items() if k not in empty or not _takes_default(cls, k, v)}


class Outputs(BaseModel):
    """Base of a plugin's outputs: one field per output.

    An output that is left at a default of None is not written, so that an older value stays.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


def _secret_text(value: Any) -> Any:  # Any: JSON enters here
    """A password variable arrives as an object around its text."""
    if not isinstance(value, dict):
        return value
    given = typing.cast("dict[str, JsonValue]", value)
    return given.get("value", given)


def _sealed_text(secret: SecretStr) -> JsonValue:
    """A secret leaves an activity sealed; where there is no activity, it does not leave at all."""
    from activities.expressions.opening import current

    found = current()
    return str(secret) if found is None else found.seal(secret.get_secret_value())


Secret = Annotated[
    SecretStr,
    BeforeValidator(_secret_text),
    PlainSerializer(_sealed_text, return_type=Any, when_used="json"),
]
"""A text that is secret, as an input or an output; `get_secret_value()` gives it.

An input is hidden in logs and errors; an output leaves sealed, and can be used but not read.
"""

InputsT_co = TypeVar("InputsT_co", bound=Inputs, covariant=True)


@dataclass(frozen=True, kw_only=True)
class _Surroundings:
    """What every call of ours into an author's code offers.

    context: what the engine calls parent data. http: the worker's client. shelf: the plugins'
    settings on this worker, and what they share there. now: the clock, aware. place: the keys by
    which a log line is found again.
    """

    context: Mapping[str, JsonValue]
    http: HttpClient
    shelf: Shelf = field(default_factory=Shelf)
    now: Callable[[], datetime]
    place: Mapping[str, str | int]

    @cached_property
    def log(self) -> FilteringBoundLogger:
        """The log, bound to its place; bound on first use, because most calls log nothing."""
        return structlog.get_logger().bind(**self.place)

    @property
    def operator(self) -> str:
        """Who started the run."""
        return self._text("operator")

    @property
    def executor(self) -> str:
        """On whose behalf the plugin acts; the operator where nobody else is named."""
        return self._text("executor") or self.operator

    @property
    def project(self) -> str:
        """The project's id, "" where there is none."""
        return self._text("project_id") or self._text("project")

    def _text(self, key: str) -> str:
        value = self.context.get(key)
        return "" if value is None else str(value)


@final
@dataclass(frozen=True, kw_only=True)
class Call(_Surroundings, Generic[InputsT_co]):
    """One step of one execution of a node.

    `key` is unique per run, node and entry: hand it to the outside where that knows idempotency
    keys. `outputs` are those of the earlier steps, `handle` is what finds the work that they
    started. `name` is the node's name.
    """

    inputs: InputsT_co
    run: str
    node: str
    entry: int
    name: str
    loop: int
    inner_loop: int
    key: str
    outputs: Mapping[str, JsonValue]
    report: Progress
    publish: Callable[[str], None]
    handle: JsonValue = None

    @property
    def can_be_called_back(self) -> bool:
        """Whether the outside can call this worker's installation back, by `callback_url`."""
        return self.shelf.callbacks is not None

    @property
    def callback_url(self) -> str:
        """The address by which the outside answers this execution of the node, once or often.

        It expires, and whoever has it may answer: hand it to the outside and to nobody else.

        Raises:
            PluginError: nobody listens for callbacks here; see `can_be_called_back`.
        """
        if self.shelf.callbacks is None:
            raise PluginError(
                "the outside cannot call back here: set STDOPS_CALLBACK_URL on the workers and "
                "run `stdops receiver`, then retry"
            )
        return self.shelf.callbacks.url(self.run, self.node, self.entry, self.now())

    def progress(self, **details: JsonValue) -> None:
        """Show how far the work is, on the Temporal page of the run; small values only."""
        self.report(details)

    def note(self, text: str) -> None:
        """Say in one short line what the node is about, such as `JOB 20031`; the last one counts.

        It stays with the node and everybody who sees the run sees it: put nothing secret in it.
        """
        self.publish(text)


@final
@dataclass(frozen=True, kw_only=True)
class Lookup(_Surroundings):
    """One evaluation of a lazy variable; `value` is what its form holds, rendered."""

    value: JsonValue


def _delay(after_s: float) -> float:
    if not 0 <= after_s <= LONGEST_DELAY_S:
        raise ValueError(f"after_s is {after_s!r}; give 0 to {LONGEST_DELAY_S:.0f} seconds")
    return after_s


def _takes_default(model: type[Inputs], name: str, value: JsonValue) -> bool:
    """An empty form field means "not filled in", but empty text is a text."""
    fields = model.model_fields
    field = fields.get(name) or next((f for f in fields.values() if f.alias == name), None)
    if field is None or field.is_required():
        return False
    kinds = (field.annotation, *typing.get_args(field.annotation))
    return str not in kinds if value == "" else type(None) not in kinds
