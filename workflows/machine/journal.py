"""The journal: what was asked of a run and what became of it, and which requests were done.

Entries are bounded in number and size, since they travel with the state; the counts and the request
ids outlast them, and everything stands in the Temporal history.
"""

import datetime as dt
import zoneinfo
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any, Final

from workflows.machine.core import Core
from workflows.machine.events import Verb
from workflows.machine.state import JournalEntry, RunState
from workflows.machine.timing import deadline_of

JOURNAL_LENGTH: Final = 500
"""How many entries are kept, at most."""
JOURNAL_CHARS: Final = 300_000
"""How long the texts of all entries may be together."""
REQUESTS_KEPT: Final = 2000
"""How many request ids are remembered: a client that tries again does so soon."""
NAMES_KEPT: Final = 20
"""How many changed things an entry names."""
COUNTED_NAMES: Final = 100
"""How many names have a count of their own; anybody can make one up."""
NOTICE: Final = "warning"
"""What stands in place of a verb where the run itself has something to say."""

_BOUNDS: Final[Mapping[str, int]] = {
    "verb": 60,
    "alias": 60,
    "node": 300,
    "operator": 200,
    "client": 200,
    "reason": 500,
    "refusal": 500,
    "request_id": 128,
}


def note(state: RunState, entry: JournalEntry) -> None:
    """Write an entry into the journal, cut to what the state can bear."""
    kept = _cut(entry)
    journal = state.journal
    state.journal_count += 1
    journal.append(kept)
    state.journal_chars += _length(kept)
    _count(state, kept)
    drop = 0
    while drop < len(journal) - 1 and (
        len(journal) - drop > JOURNAL_LENGTH or state.journal_chars > JOURNAL_CHARS
    ):
        state.journal_chars -= _length(journal[drop])
        drop += 1
    del journal[:drop]


def entry_of(core: Core, verb: Verb, refusal: str = "") -> JournalEntry:
    """Return the entry of a verb, which was carried out unless it was refused."""
    return JournalEntry(
        at=core.now,
        verb=verb.name,
        node=verb.node,
        operator=verb.operator,
        reason=verb.reason,
        refusal=refusal,
        request_id=verb.request_id,
        client=verb.client,
        alias=verb.alias,
        changed=changed_by(core, verb),
    )


def changed_by(core: Core, verb: Verb) -> tuple[str, ...]:
    """Return the names of what a verb gives another value, the branches it chooses, or a time."""
    match verb.name:
        case "retry":
            return tuple({**(verb.inputs or {}), **(verb.set_inputs or {})})
        case "set_variables":
            return tuple({**verb.values, **verb.variables})
        case "choose":
            return verb.branches
        case "set_timer":
            return _new_time(core, verb)
        case _:
            return ()


def _new_time(core: Core, verb: Verb) -> tuple[str, ...]:
    timezone = core.settings.timezone
    try:
        at = deadline_of(verb.data, core.now, timezone, allow_past=True)
    except ValueError:
        return ()
    return (moment(max(at, core.now), timezone),)


def moment(at: float, timezone: str) -> str:
    """Return a time for people, by the clock of the run's time zone."""
    return f"{dt.datetime.fromtimestamp(at, zoneinfo.ZoneInfo(timezone)):%Y-%m-%d %H:%M:%S %z}"


# --- requests -----------------------------------------------------------------------------------


def remember(state: RunState, verb: Verb) -> None:
    """Remember that the request of a verb was accepted, and for what."""
    if not verb.request_id:
        return
    state.journal_requests[verb.request_id] = _asked_for(verb)
    if len(state.journal_requests) > REQUESTS_KEPT:
        del state.journal_requests[next(iter(state.journal_requests))]


def was_done(state: RunState, verb: Verb) -> bool:
    """Say whether this very request was accepted before."""
    return state.journal_requests.get(verb.request_id) == _asked_for(verb)


def other_use(state: RunState, verb: Verb) -> str:
    """Say what else the request id of a verb was used for, "" for nothing."""
    known = state.journal_requests.get(verb.request_id, "")
    return "" if known == _asked_for(verb) else known


def _asked_for(verb: Verb) -> str:
    return f"{verb.name} {verb.node}".strip()


# --- reading ------------------------------------------------------------------------------------


def history(state: RunState) -> dict[str, Any]:
    """Return the journal as people and programs read it, oldest first."""
    return {
        "entries": [{**asdict(each), "accepted": not each.refusal} for each in state.journal],
        "count": state.journal_count,
        "accepted": state.journal_accepted,
        "refused": state.journal_refused,
        "dropped": state.journal_count - len(state.journal),
    }


def _count(state: RunState, entry: JournalEntry) -> None:
    if entry.verb == NOTICE:
        return
    counts = state.journal_refused if entry.refusal else state.journal_accepted
    is_known = entry.verb in counts or len(counts) < COUNTED_NAMES
    name = entry.verb if is_known else "others"
    counts[name] = counts.get(name, 0) + 1


def _cut(entry: JournalEntry) -> JournalEntry:
    texts = {name: _line(getattr(entry, name), most) for name, most in _BOUNDS.items()}
    return replace(entry, changed=_names(entry.changed), **texts)


def _names(changed: Sequence[str]) -> tuple[str, ...]:
    names = tuple(_line(each, _BOUNDS["verb"]) for each in changed[:NAMES_KEPT])
    more = len(changed) - len(names)
    return (*names, f"and {more} more") if more else names


def _line(text: str, most: int) -> str:
    # half a character, as JSON escapes can hold, would break the wire
    whole = text.encode("utf-8", "replace").decode("utf-8")
    return whole if len(whole) <= most else f"{whole[: most - 1]}\u2026"


def _length(entry: JournalEntry) -> int:
    return sum(len(getattr(entry, name)) for name in _BOUNDS) + sum(map(len, entry.changed))
