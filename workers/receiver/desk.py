"""What a request to the receiver means: who it is for, whether it is taken, what is answered.

Knows the inbox and the signing keys, and nothing of HTTP but numbers: `app` does the rest.
"""

import json
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, Literal, NamedTuple, TypeAlias, cast
from urllib.parse import parse_qs

import structlog
from pydantic import JsonValue
from structlog.typing import FilteringBoundLogger

from activities.callbacks import Claims, ForgedTokenError, expiry, read_token
from translator.values import unholdable
from workers.store import Callback, Inbox
from workers.store.inbox import FORGED, Execution

Word: TypeAlias = Literal[
    "received",
    "delivered",
    "refused",
    "forged",
    "expired",
    "malformed",
    "too_large",
    "too_slow",
    "unavailable",
]

FORM: Final = "application/x-www-form-urlencoded"
FORGED_PAUSE: Final = timedelta(seconds=1)
"""At most one forged callback is written down in that time; the log has all of them."""

_MOST_FIELDS: Final = 1000

_log: FilteringBoundLogger = structlog.get_logger(__name__)


class Answer(NamedTuple):
    """What the outside is told: a status, one word for programs, a sentence for people."""

    status: int
    state: Word
    message: str

    @property
    def body(self) -> dict[str, JsonValue]:
        """The body; `result` is what BlueKing's systems look at."""
        return {"result": self.status < 300, "state": self.state, "message": self.message}  # noqa: PLR2004  a status, read as such


class Desk:
    """Takes callbacks; every call is short and synchronous.

    Args:
        inbox: where they are kept.
        keys: what has signed the tokens; the first signs, all count.
        most_bytes: largest body.
        now: the clock, aware.
    """

    def __init__(
        self, inbox: Inbox, keys: Sequence[bytes], most_bytes: int, now: Callable[[], datetime]
    ) -> None:
        self.most_bytes: Final = most_bytes
        self._inbox = inbox
        self._keys = tuple(keys)
        self._now = now
        self._forged_until: datetime | None = None

    def admit(self, token: str) -> Claims | Answer:
        """Return what a token names, or why it does not count."""
        try:
            claims = read_token(self._keys, token)
        except ForgedTokenError as error:
            self._note_forged(error.claims)
            return Answer(400, "forged", f"{error}; use the address as it was handed out")
        if expiry(claims) <= self._now():
            self._inbox.note(execution_of(claims), "expired", self._now())
            return Answer(
                400,
                "expired",
                f"the address counted until {expiry(claims):%Y-%m-%d %H:%M:%S} UTC; "
                "an operator can answer the node by hand",
            )
        return claims

    def take(self, claims: Claims, content_type: str, body: bytes) -> Answer:
        """Keep a callback, and say so."""
        try:
            data = read_body(content_type, body)
        except ValueError as error:
            self._inbox.note(execution_of(claims), f"malformed: {error}", self._now())
            return Answer(400, "malformed", f"{error}; send JSON, or a form")
        kept = self._inbox.keep(execution_of(claims), data, body, self._now())
        _log.info(
            "workers.callback_received",
            **place_of(kept.callback),
            size_bytes=len(body),
            copies=kept.callback.copies,
        )
        if kept.is_new:
            return Answer(200, "received", "kept, and on its way to the node")
        return _known(kept.callback)

    def refuse_large(self, claims: Claims) -> Answer:
        """Refuse a body over the limit, and note it."""
        what = f"larger than {self.most_bytes} bytes"
        self._inbox.note(execution_of(claims), what, self._now())
        return Answer(413, "too_large", f"the body is {what}; send less, or only where it is")

    def _note_forged(self, claims: Claims | None) -> None:
        """Log a forged token; write it down where it names a run, but not as often as it comes."""
        now = self._now()
        named = {"run": claims.run, "node": claims.node} if claims else {}
        _log.warning("workers.callback_forged", **named)
        if claims and (self._forged_until is None or now >= self._forged_until):
            self._forged_until = now + FORGED_PAUSE
            self._inbox.note(execution_of(claims), FORGED, now)


def execution_of(claims: Claims) -> Execution:
    """Return the execution of a node that claims name."""
    return Execution(claims.run, claims.node, claims.entry)


def place_of(callback: Callback) -> dict[str, str | int]:
    """Return the keys by which a log line is found again."""
    return {"callback": callback.id, **callback.execution._asdict()}


def read_body(content_type: str, body: bytes) -> JsonValue:
    """Return what a body holds: JSON whatever it is called, else a form; None for an empty one.

    A field of a form that stands in it several times becomes a list.

    Raises:
        ValueError: it is neither, or holds what no run can hold.
    """
    if not body.strip():
        return None
    try:
        data = cast("JsonValue", json.loads(body))
    except RecursionError:
        raise ValueError("the body is nested too deeply") from None
    except ValueError:
        if content_type.partition(";")[0].strip().lower() != FORM:
            raise ValueError("the body is not JSON") from None
        data = _form(body)
    if why := unholdable(data):
        raise ValueError(f"the body holds {why}")
    return data


def _form(body: bytes) -> JsonValue:
    try:
        fields = parse_qs(body.decode("utf-8"), keep_blank_values=True, max_num_fields=_MOST_FIELDS)
    except ValueError:
        raise ValueError("the body is not a form") from None
    single: dict[str, Any] = {k: v[0] if len(v) == 1 else v for k, v in fields.items()}
    return single


def _known(callback: Callback) -> Answer:
    """Answer a callback that came before."""
    match callback.state:
        case "refused":
            return Answer(409, "refused", f"it came before and was refused: {callback.reason}")
        case "delivered":
            return Answer(200, "delivered", "already had it; the node has it")
        case _:
            return Answer(200, "received", "already had it; it is on its way to the node")
