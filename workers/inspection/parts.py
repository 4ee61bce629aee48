"""The history of a run, also of one that went on in several: fetched part by part."""

from dataclasses import dataclass, field
from typing import Any, cast

from pydantic import JsonValue
from temporalio.api.common.v1 import Payload, Payloads
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client

from stdops import StdopsError
from workers.client import Runs
from workers.opening import open_messages
from workers.payloads import DATA_CONVERTER


@dataclass(frozen=True, slots=True)
class Part:
    """One of the histories of a run; `carried` is the state that it began with, {} for none."""

    run_id: str
    events: tuple[HistoryEvent, ...]
    carried: dict[str, JsonValue] = field(default_factory=dict[str, JsonValue])


@dataclass(frozen=True, slots=True)
class Parts:
    """The histories of a run, the oldest first; `lost` says that the server has dropped older."""

    found: tuple[Part, ...]
    lost: bool = False

    @property
    def events(self) -> list[HistoryEvent]:
        """All events, in order."""
        return [event for part in self.found for event in part.events]


async def read_parts(client: Client, runs: Runs, run: str) -> Parts:
    """Fetch the histories of a run, from the one under way back to the first.

    Raises:
        StdopsError: the run is unknown, or the server is away.
    """
    parts: list[Part] = []
    run_id: str | None = None
    while True:
        handle = client.get_workflow_handle(run, run_id=run_id)
        try:
            fetched = await runs.ask(run, handle.fetch_history())
        except StdopsError as error:
            if parts and error.code == "SOP504":
                return Parts(tuple(reversed(parts)), lost=True)
            raise
        events = tuple(fetched.events)
        await open_messages(client, events)
        begun = events[0].workflow_execution_started_event_attributes
        carried = await _carried(begun.input)
        parts.append(Part(begun.original_execution_run_id, events, carried))
        run_id = begun.continued_execution_run_id
        if not run_id:
            return Parts(tuple(reversed(parts)))


async def _carried(given: Payloads) -> dict[str, JsonValue]:
    """Return the state that a run was handed by the part before it."""
    carried = fields_of(await first_of(given)).get("carried")
    return fields_of(fields_of(carried).get("state"))


def fields_of(value: Any) -> dict[str, Any]:
    """Return a decoded JSON object, {} for anything else."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


async def first_of(payloads: Payloads, kind: Any = None) -> Any:
    """Return the first decoded payload, None for none or for one that cannot be read."""
    if not payloads.payloads:
        return None
    kinds = None if kind is None else [kind]
    try:
        return (await DATA_CONVERTER.decode(payloads.payloads[:1], kinds))[0]
    except (ValueError, RuntimeError, KeyError):
        return None


async def text_of(payload: Payload) -> str:
    """Return the text in a payload, such as a summary; "" for none."""
    if not payload.data:
        return ""
    return str(await first_of(Payloads(payloads=[payload])) or "")


def seconds_of(event: HistoryEvent) -> float:
    """Return when an event happened, in seconds since the epoch."""
    return event.event_time.seconds + event.event_time.nanos / 1e9
