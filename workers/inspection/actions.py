"""What people did to a run: its journal, and where that ends, its history. For the audit.

The journal says whether a signal was accepted and why not; it keeps the latest entries only. The
history keeps every update that was accepted and every signal, by whom the server knows it was sent.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, cast

from temporalio.api.history.v1 import HistoryEvent

from workers.inspection.parts import Part, fields_of, first_of, seconds_of
from workflows.machine.journal import NOTICE

Entry = Mapping[str, Any]

_SLACK_S: Final = 0.001
_COMPARED: Final = 100
"""The journal cuts long texts; so many characters of them are compared."""
_BY_SERVER: Final[Mapping[str, str]] = {
    "workflow_execution_cancel_requested": "cancel",
    "workflow_execution_terminated": "terminate",
    "workflow_execution_paused": "server_pause",
    "workflow_execution_unpaused": "server_unpause",
}
"""What people do by means of Temporal itself, by the event that it leaves."""


@dataclass(frozen=True, slots=True)
class Action:
    """One thing that somebody asked of a run.

    operator: who by his own word; client: as whom the server knows the sender. channel: `update`,
    `signal`, `server` for Temporal's own, "" where only the journal tells. accepted: None where
    nobody can say any more. alias: the name that was used where it is another for the verb.
    """

    at: float
    verb: str
    node: str = ""
    operator: str = ""
    client: str = ""
    reason: str = ""
    accepted: bool | None = True
    refusal: str = ""
    request_id: str = ""
    alias: str = ""
    changed: tuple[str, ...] = ()
    channel: str = ""

    @property
    def who(self) -> str:
        """Who asked, as far as anything is known of him."""
        return self.operator or self.client


def journal_of(parts: Sequence[Part], answer: Any) -> list[Entry]:
    """Return the entries of the journal, the oldest first.

    Args:
        parts: the histories; each begins with the journal as it was then.
        answer: what the query `history` gave, None where the run does not answer.
    """
    entries: dict[int, Entry] = {}
    for part in parts:
        kept = cast("list[Entry]", part.carried.get("journal") or [])
        count = cast("int", part.carried.get("journal_count") or len(kept))
        entries |= dict(enumerate(kept, count - len(kept)))
    told = fields_of(answer)
    latest: list[Entry] = list(told.get("entries") or [])
    entries |= dict(enumerate(latest, int(told.get("count") or 0) - len(latest)))
    return [entries[index] for index in sorted(entries)]


async def actions_of(events: Sequence[HistoryEvent], journal: Sequence[Entry]) -> list[Action]:
    """Return what was done, in order of time, each once: from the history, told by the journal."""
    found = _once(await _from_events(events))
    left = [entry for entry in journal if entry.get("verb") != NOTICE]
    told: list[Action] = []
    # backwards: the journal surely has the latest, it drops the oldest
    for action in reversed(found):
        entry = _entry_of(action, left)
        if entry is None:
            told.append(action)
        else:
            left.remove(entry)
            told.append(_joined(action, entry))
    return sorted([*map(_from_entry, left), *reversed(told)], key=lambda action: action.at)


# --- the history --------------------------------------------------------------------------------


async def _from_events(events: Sequence[HistoryEvent]) -> list[Action]:
    actions: list[Action] = []
    now = 0.0
    for event in events:
        kind = str(event.WhichOneof("attributes")).removesuffix("_event_attributes")
        told: Any = getattr(event, f"{kind}_event_attributes")
        if kind == "workflow_task_started":
            now = seconds_of(event)  # what the run itself takes for the time
        elif kind == "workflow_execution_update_accepted":
            request = told.accepted_request
            given = await first_of(request.input.args)
            actions += _given(now, request.input.name, given, request.meta.identity, "update")
        elif kind == "workflow_execution_signaled":
            given = await first_of(told.input)
            actions += _given(seconds_of(event), told.signal_name, given, told.identity, "signal")
        elif kind in _BY_SERVER:
            actions.append(_by_server(event, kind, told))
    return actions


def _given(at: float, name: str, message: Any, client: str, channel: str) -> list[Action]:
    """Return what a message asks for; a dry run asks for nothing."""
    fields = fields_of(message)
    if fields.get("dry_run") is True:
        return []
    node = fields.get("node") or fields.get("node_id") or fields.get("subflow") or ""
    action = Action(
        at=at,
        verb=name,
        node=str(node),
        operator=str(fields.get("operator") or ""),
        client=client,
        reason=str(fields.get("reason") or ""),
        accepted=True if channel == "update" else None,
        request_id=str(fields.get("request_id") or ""),
        channel=channel,
    )
    return [action]


def _by_server(event: HistoryEvent, kind: str, told: Any) -> Action:
    reason = getattr(told, "cause", "") or getattr(told, "reason", "")
    verb = _BY_SERVER[kind]
    return Action(seconds_of(event), verb, client=told.identity, reason=reason, channel="server")


def _once(actions: Sequence[Action]) -> list[Action]:
    """Leave out what was asked again with the same request id: it was done once."""
    seen: set[tuple[str, str, str]] = set()
    kept: list[Action] = []
    for action in actions:
        which = (action.request_id, action.verb, action.node)
        if not action.request_id or which not in seen:
            kept.append(action)
            seen.add(which)
    return kept


# --- the journal --------------------------------------------------------------------------------


def _entry_of(action: Action, entries: Sequence[Entry]) -> Entry | None:
    """Return the latest entry that an action has left, None where the journal has dropped it."""
    fitting = [
        entry
        for entry in entries
        if action.verb in (entry.get("alias"), entry.get("verb"))
        and float(entry.get("at", 0)) >= action.at - _SLACK_S
    ]
    same = [entry for entry in fitting if _says_the_same(action, entry)]
    # of a message that could not be read the journal has the name alone
    unread = [entry for entry in fitting if entry.get("refusal") and not entry.get("operator")]
    return next(reversed(same or unread), None)


def _says_the_same(action: Action, entry: Entry) -> bool:
    names = ("operator", "reason", "request_id")
    return all(
        str(entry.get(name) or "")[:_COMPARED] == str(getattr(action, name))[:_COMPARED]
        for name in names
    )


def _joined(action: Action, entry: Entry) -> Action:
    """Return an action as the journal tells it, with what only the history knows."""
    told = _from_entry(entry)
    return replace(told, client=told.client or action.client, channel=action.channel)


def _from_entry(entry: Entry) -> Action:
    refusal = str(entry.get("refusal") or "")
    return Action(
        at=float(entry.get("at") or 0),
        verb=str(entry.get("verb") or ""),
        node=str(entry.get("node") or ""),
        operator=str(entry.get("operator") or ""),
        client=str(entry.get("client") or ""),
        reason=str(entry.get("reason") or ""),
        accepted=not refusal,
        refusal=refusal,
        request_id=str(entry.get("request_id") or ""),
        alias=str(entry.get("alias") or ""),
        changed=tuple(map(str, entry.get("changed") or ())),
    )
