"""The courier: takes what is due out of the inbox, gives it to its run, and tries again if needed.

A delivery is the update `callback` with the execution's number and the callback's digest as request
id, so that a second one changes nothing: a callback that was on its way when a process died is
simply delivered again.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeAlias

import structlog
from structlog.typing import FilteringBoundLogger

from stdops import OperationRefused, StdopsError, StoreError
from workers.receiver.desk import place_of
from workers.store import Callback, Inbox
from workers.store.inbox import State
from workers.telemetry import count_callback

if TYPE_CHECKING:
    from workers.client import Runs

Kind: TypeAlias = Literal["delivered", "refused", "early", "away"]

LONGEST_PAUSE_S: Final = 60.0
EARLY_FOR: Final = timedelta(minutes=10)
"""How long a callback is tried whose execution has not begun: its run was set back, or its state
is older than the outside's."""

AWAY_FOR: Final = timedelta(days=7)
"""How long a callback is tried while Temporal, or every worker, is away."""

KEPT_FOR: Final = timedelta(days=30)
"""How long what was settled can be looked at."""

LEASE: Final = timedelta(seconds=90)
"""How long a callback belongs to the process that tries it; longer than any try."""

_LONGEST_IDLE_S: Final = 5.0
_CLEAN_EVERY: Final = timedelta(hours=1)
_GONE: Final = "SOP504"

_log: FilteringBoundLogger = structlog.get_logger(__name__)


class Tried(NamedTuple):
    """How a delivery went.

    delivered: the run has it. refused: it will not take it. early: not yet. away: nobody answered.
    """

    kind: Kind
    reason: str = ""


class Next(NamedTuple):
    """What follows: the state, or when it is tried again."""

    state: State
    reason: str
    next_at: datetime


Delivery: TypeAlias = Callable[[Callback], Awaitable[Tried]]


def next_of(tried: Tried, callback: Callback, now: datetime) -> Next:
    """Return what follows a delivery; `callback` as it was before."""
    later = now + timedelta(seconds=pause_s(callback.attempts + 1))
    waited = now - callback.received_at
    match tried.kind:
        case "delivered" | "refused":
            return Next(tried.kind, tried.reason, now)
        case "early" if waited >= EARLY_FOR:
            return Next("refused", tried.reason, now)
        case "away" if waited >= AWAY_FOR:
            return Next("dead", f"given up after {waited.days} days: {tried.reason}", now)
        case _:
            return Next("received", tried.reason, later)


def pause_s(attempt: int) -> float:
    """Return how long to wait after the try with that number, in seconds: 1, 2, 4 ... 60."""
    return min(2.0 ** min(attempt - 1, 10), LONGEST_PAUSE_S)


def delivery(runs: "Runs") -> Delivery:
    """Return what delivers to runs by a client."""

    async def deliver(callback: Callback) -> Tried:
        run, node, entry = callback.execution
        try:
            await runs.verb(
                run,
                "callback",
                {
                    "node": node,
                    "data": callback.data,
                    "token": entry,
                    "request_id": callback.key,
                    "operator": "receiver",
                    "reason": f"HTTP callback {callback.id}",
                },
            )
        except StdopsError as error:
            return _failed(error)
        return Tried("delivered")

    return deliver


def _failed(error: StdopsError) -> Tried:
    if isinstance(error, OperationRefused) and error.reason:
        kind: Kind = "early" if error.reason == "not_reached" else "refused"
        return Tried(kind, error.what)
    return Tried("refused" if error.code == _GONE else "away", str(error))


class Courier:
    """Delivers what is in the inbox until it is stopped; there may be several of them.

    Args:
        inbox: where callbacks are kept.
        deliver: gives one to its run; whatever it raises counts as "nobody answered".
        now: the clock, aware.
    """

    def __init__(
        self,
        inbox: Inbox,
        deliver: Delivery,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._inbox = inbox
        self._deliver = deliver
        self._now = now
        self._woken = asyncio.Event()
        self._stopping = False
        self._cleaned_at = datetime.min.replace(tzinfo=UTC)

    def wake(self) -> None:
        """Say that something has arrived."""
        self._woken.set()

    def stop(self) -> None:
        """Let `run` end after what it is about."""
        self._stopping = True
        self._woken.set()

    async def run(self) -> None:
        """Deliver until it is stopped."""
        while not self._stopping:
            self._woken.clear()
            try:
                found = await self.deliver_due()
                await self._clean()
                pause = 0.0 if found else await self._idle_s()
            except StoreError as error:
                _log.error("workers.inbox_unreadable", error=str(error))
                pause = _LONGEST_IDLE_S
            except Exception:  # noqa: BLE001  see below
                # nobody would notice its end until callbacks are missed
                _log.exception("workers.courier_crashed")
                pause = _LONGEST_IDLE_S
            if pause and not self._stopping:
                await self._wait(pause)

    async def deliver_due(self) -> int:
        """Try everything that is due, each once; returns how many that were."""
        due = await asyncio.to_thread(self._inbox.take_due, self._now(), LEASE)
        await asyncio.gather(*map(self.deliver, due))
        return len(due)

    async def deliver(self, callback: Callback) -> Next:
        """Try one callback, write down what follows, and return it."""
        try:
            tried = await self._deliver(callback)
        except asyncio.CancelledError:
            # whoever goes on need not wait for our lease to end
            self._inbox.defer(callback.id, "the receiver stopped meanwhile", self._now())
            raise
        except Exception as error:  # noqa: BLE001  see below
            # one that cannot be delivered for a reason nobody thought of must not stop the others
            _log.exception("workers.callback_crashed", **place_of(callback))
            tried = Tried("away", f"{type(error).__name__}: {error}")
        follows = next_of(tried, callback, self._now())
        await asyncio.to_thread(self._write, callback, follows)
        _tell(callback, follows)
        return follows

    def _write(self, callback: Callback, follows: Next) -> None:
        if follows.state == "received":
            self._inbox.defer(callback.id, follows.reason, follows.next_at)
        else:
            self._inbox.settle(callback.id, follows.state, follows.reason, self._now())

    async def _idle_s(self) -> float:
        """Return how long nothing is due; other processes may put something in meanwhile."""
        due = await asyncio.to_thread(self._inbox.next_due)
        left = _LONGEST_IDLE_S if due is None else (due - self._now()).total_seconds()
        return min(max(left, 0.05), _LONGEST_IDLE_S)

    async def _wait(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        except TimeoutError:
            pass

    async def _clean(self) -> None:
        if self._now() - self._cleaned_at >= _CLEAN_EVERY:
            self._cleaned_at = self._now()
            await asyncio.to_thread(self._inbox.forget, self._now() - KEPT_FOR)


def _tell(callback: Callback, follows: Next) -> None:
    place = place_of(callback)
    if follows.state != "received":
        count_callback(follows.state)
    match follows.state:
        case "delivered":
            _log.info("workers.callback_delivered", **place)
        case "received":
            _log.info("workers.callback_deferred", **place, reason=follows.reason)
        case _:
            state = follows.state
            _log.warning("workers.callback_settled", **place, state=state, reason=follows.reason)
