"""What the inbox holds for a run, for people who ask why the run is not finished."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from workers.store import Callback, Store

_WORDS: Final = {
    "received": "is kept, and is tried again",
    "delivered": "was delivered",
    "refused": "was refused",
    "dead": "was given up",
}


def inbox_of(store: "Store", run: str) -> "list[Callback]":
    """Return the newest callbacks that came by HTTP for a run, oldest first.

    Raises:
        StoreError: the store cannot be read.
    """
    return store.inbox.find(run)


def told(callback: "Callback", now: datetime | None = None) -> str:
    """Return one line on a callback: for which node, since when, what became of it and why."""
    _, node, entry = callback.execution
    seconds = ((now or datetime.now(UTC)) - callback.received_at).total_seconds()
    copies = f", {callback.copies} times" if callback.copies > 1 else ""
    why = f": {callback.reason}" if callback.reason else ""
    is_left = callback.has_data and callback.state in ("refused", "dead")
    fix = f"; `stdops callbacks redeliver {callback.id}` tries it again" if is_left else ""
    return (
        f"callback {callback.id} for {node} (attempt {entry}) came {_ago(seconds)} ago{copies} "
        f"and {_WORDS[callback.state]}{why}{fix}"
    )


def _ago(seconds: float) -> str:
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"
