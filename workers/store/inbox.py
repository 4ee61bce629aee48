"""The inbox: callbacks that came by HTTP, from their arrival until long after they were delivered.

A callback is kept before the outside is told that it was taken, so that none is lost while Temporal
is away. Each is in one of four states: `received` (it is tried until it is settled), `delivered`,
`refused` (by the run, or because nothing in it could be handed over) and `dead` (given up).
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal, NamedTuple, TypeAlias, cast

from pydantic import JsonValue
from sqlalchemy import CursorResult, Engine, delete, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, aliased

from stdops import StoreError
from workers.store.engine import reading, writing
from workers.store.models import CallbackRow

State: TypeAlias = Literal["received", "delivered", "refused", "dead"]

MOST_FORGED: Final = 200
"""How many forged callbacks are kept; whoever sends them must not fill the store."""

FORGED: Final = "forged"

_BATCH: Final = 20


class Execution(NamedTuple):
    """What a callback answers: one execution of a node of a run."""

    run: str
    node: str
    entry: int


@dataclass(frozen=True, slots=True)
class Callback:
    """A callback that came; see `CallbackRow`."""

    id: int
    key: str
    execution: Execution
    data: JsonValue
    has_data: bool
    state: State
    reason: str
    received_at: datetime
    next_at: datetime
    settled_at: datetime | None
    attempts: int
    copies: int


class Kept(NamedTuple):
    """What keeping a callback gave: what stands in the inbox, and whether it came just now."""

    callback: Callback
    is_new: bool


class Inbox:
    """The callbacks in the store; safe to share between threads and processes."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    # --- arriving ---

    def keep(self, execution: Execution, data: JsonValue, body: bytes, now: datetime) -> Kept:
        """Keep a callback to be delivered; the same body for the same execution is kept once.

        One that was given up is tried again when it comes again.
        """
        row = _row(execution, key_of(execution, body), now, data=json.dumps(data))
        return self._add(row, revive=True)

    def note(self, execution: Execution, reason: str, now: datetime) -> None:
        """Note a callback that could not be taken; the same reason again is only counted."""
        key = key_of(execution, f"not taken: {reason}".encode())
        row = _row(execution, key, now, data=None)
        row.state, row.reason, row.settled_at = "refused", reason, now
        self._add(row, revive=False)
        if reason == FORGED:
            self._trim_forged()

    def _add(self, row: CallbackRow, *, revive: bool) -> Kept:
        try:
            with writing(self._engine) as session:
                return _added(session, row, revive=revive)
        except StoreError as error:
            if not isinstance(error.__cause__, IntegrityError):
                raise
        # its copy came at the same moment, by another receiver
        with writing(self._engine) as session:
            return _added(session, row, revive=revive)

    def _trim_forged(self) -> None:
        newest = (
            select(CallbackRow.id)
            .where(CallbackRow.reason == FORGED)
            .order_by(CallbackRow.id.desc())
            .limit(MOST_FORGED)
        )
        with writing(self._engine) as session:
            kept = list(session.scalars(newest))
            if len(kept) == MOST_FORGED:
                old = (CallbackRow.reason == FORGED) & (CallbackRow.id < kept[-1])
                session.execute(delete(CallbackRow).where(old))

    # --- delivering ---

    def take_due(self, now: datetime, lease: timedelta) -> list[Callback]:
        """Return callbacks that are due, and keep others from trying them for as long as `lease`.

        Of one execution only the oldest is tried, so that the others stay behind it.
        """
        with writing(self._engine) as session:
            rows = list(session.scalars(_due(now)))
            return [one for one in map(_callback, rows) if _claimed(session, one, now + lease)]

    def next_due(self) -> datetime | None:
        """Return when the next callback is due; None when none waits."""
        waiting = select(func.min(CallbackRow.next_at)).where(CallbackRow.state == "received")
        with reading(self._engine) as session:
            found = session.scalar(waiting)
        return None if found is None else _aware(found)

    def settle(self, callback_id: int, state: State, reason: str, now: datetime) -> None:
        """Say what became of a callback."""
        self._change(callback_id, {"state": state, "reason": reason, "settled_at": now})

    def defer(self, callback_id: int, reason: str, next_at: datetime) -> None:
        """Say why a callback was not delivered yet, and when it is tried next."""
        self._change(callback_id, {"reason": reason, "next_at": next_at})

    def requeue(self, callback_id: int, now: datetime, lease: timedelta) -> Callback | None:
        """Let a callback be tried from the start, by us alone for as long as `lease`.

        Returns None when it holds nothing to deliver.
        """
        until = now + lease
        fresh = {"state": "received", "next_at": until, "settled_at": None, "received_at": now}
        wanted = (CallbackRow.id == callback_id) & CallbackRow.data.is_not(None)
        with writing(self._engine) as session:
            session.execute(update(CallbackRow).where(wanted).values(**fresh, attempts=0))
            row = session.scalar(select(CallbackRow).where(wanted))
            return _callback(row) if row else None

    def _change(self, callback_id: int, values: dict[str, Any]) -> None:
        changed = update(CallbackRow).where(CallbackRow.id == callback_id).values(**values)
        with writing(self._engine) as session:
            session.execute(changed)

    # --- looking ---

    def find(self, run: str = "", states: Sequence[State] = (), limit: int = 200) -> list[Callback]:
        """Return the newest callbacks, oldest first; of one run and of some states if given."""
        query = select(CallbackRow).order_by(CallbackRow.id.desc()).limit(limit)
        if run:
            query = query.where(CallbackRow.run == run)
        if states:
            query = query.where(CallbackRow.state.in_(states))
        with reading(self._engine) as session:
            return [_callback(row) for row in session.scalars(query)][::-1]

    def get(self, callback_id: int) -> Callback | None:
        """Return a callback by its number, None where there is none."""
        with reading(self._engine) as session:
            row = session.get(CallbackRow, callback_id)
            return _callback(row) if row else None

    def forget(self, before: datetime) -> int:
        """Delete what was settled before a time; returns how many."""
        old = CallbackRow.settled_at.is_not(None) & (CallbackRow.settled_at < before)
        with writing(self._engine) as session:
            found = cast("CursorResult[Any]", session.execute(delete(CallbackRow).where(old)))
            return found.rowcount


def key_of(execution: Execution, body: bytes) -> str:
    """Return the digest of a callback; it is also the request id of the verb that delivers it."""
    place = json.dumps(list(execution)).encode()
    return hashlib.sha256(place + b"\0" + hashlib.sha256(body).digest()).hexdigest()


def _row(execution: Execution, key: str, now: datetime, data: str | None) -> CallbackRow:
    return CallbackRow(
        key=key,
        **execution._asdict(),
        data=data,
        state="received",
        reason="",
        received_at=now,
        next_at=now,
        attempts=0,
        copies=1,
    )


def _added(session: Session, row: CallbackRow, *, revive: bool) -> Kept:
    same = select(CallbackRow).where(CallbackRow.key == row.key)
    known = session.scalar(same.with_for_update())  # two copies at once count two
    if known is None:
        session.add(row)
        session.flush()
        return Kept(_callback(row), is_new=True)
    known.copies += 1
    is_dead = revive and known.state == "dead"
    if is_dead:
        known.state, known.received_at, known.next_at = "received", row.received_at, row.next_at
        known.attempts, known.settled_at = 0, None
    return Kept(_callback(known), is_new=is_dead)


def _due(now: datetime) -> Any:  # Any: the type of a select is not one to read
    older = aliased(CallbackRow)
    is_behind = (
        select(older.id)
        .where(
            older.state == "received",
            older.run == CallbackRow.run,
            older.node == CallbackRow.node,
            older.entry == CallbackRow.entry,
            older.id < CallbackRow.id,
        )
        .exists()
    )
    due = (CallbackRow.state == "received") & (CallbackRow.next_at <= now)
    return select(CallbackRow).where(due & ~is_behind).order_by(CallbackRow.id).limit(_BATCH)


def _claimed(session: Session, callback: Callback, until: datetime) -> bool:
    """Claim a callback, unless another process was faster; each counts its own attempt."""
    ours = (CallbackRow.id == callback.id) & (CallbackRow.attempts == callback.attempts)
    values = {"attempts": callback.attempts + 1, "next_at": until}
    claim = update(CallbackRow).where(ours & (CallbackRow.state == "received")).values(**values)
    return cast("CursorResult[Any]", session.execute(claim)).rowcount == 1


def _callback(row: CallbackRow) -> Callback:
    return Callback(
        id=row.id,
        key=row.key,
        execution=Execution(row.run, row.node, row.entry),
        data=None if row.data is None else json.loads(row.data),
        has_data=row.data is not None,
        state=cast("State", row.state),  # nothing else is ever written
        reason=row.reason,
        received_at=_aware(row.received_at),
        next_at=_aware(row.next_at),
        settled_at=None if row.settled_at is None else _aware(row.settled_at),
        attempts=row.attempts,
        copies=row.copies,
    )


def _aware(at: datetime) -> datetime:
    return at.replace(tzinfo=at.tzinfo or UTC)
