"""Events of a history for tests, as the server would give them."""

from collections.abc import Sequence
from typing import Any

from temporalio.api.common.v1 import Payloads
from temporalio.api.history.v1 import HistoryEvent

from activities.contract import (
    BATCH,
    BatchedCall,
    BatchResult,
    Outcome,
    OutcomeMessage,
    PluginBatch,
    PluginCall,
)
from translator.plan import PluginRef
from workers.payloads import DATA_CONVERTER


def payloads(*values: Any) -> Payloads:
    """Encode values as a worker would."""
    return Payloads(payloads=DATA_CONVERTER.payload_converter.to_payloads(values))


def at(number: int, event: HistoryEvent | None = None) -> HistoryEvent:
    """Give an event its number, and the second of that number as its time."""
    made = event or HistoryEvent()
    made.event_id = number
    made.event_time.FromSeconds(number)
    return made


def scheduled(
    number: int, node: str, entry: int = 1, step: str = "call", **fields: Any
) -> HistoryEvent:
    """An activity of a node is scheduled."""
    ref = PluginRef(code="echo", version="legacy")
    call = PluginCall.model_validate(
        {"step": step, "plugin": ref, "run": "r", "node": node, "entry": entry, **fields}
    )
    event = at(number)
    told = event.activity_task_scheduled_event_attributes
    told.activity_type.name = "echo"
    told.input.CopyFrom(payloads(call))
    return event


def scheduled_batch(number: int, *nodes: str) -> HistoryEvent:
    """A batch of calls, one for each node, is scheduled."""
    ref = PluginRef(code="echo", version="legacy")
    calls = [PluginCall(plugin=ref, run="r", node=node, entry=1, name=node) for node in nodes]
    event = at(number)
    told = event.activity_task_scheduled_event_attributes
    told.activity_type.name = BATCH
    batch = PluginBatch(calls=tuple(BatchedCall(call=call) for call in calls))
    told.input.CopyFrom(payloads(batch))
    return event


def completed_batch(number: int, of: int, *outcomes: Outcome) -> HistoryEvent:
    """A batch ends with the outcomes of those that were started."""
    event = at(number)
    told = event.activity_task_completed_event_attributes
    told.scheduled_event_id = of
    told.result.CopyFrom(payloads(BatchResult(outcomes=outcomes)))
    return event


def completed(number: int, of: int, outcome: Outcome) -> HistoryEvent:
    """An activity ends with an outcome."""
    event = at(number)
    told = event.activity_task_completed_event_attributes
    told.scheduled_event_id = of
    told.result.CopyFrom(payloads(OutcomeMessage(outcome=outcome)))
    return event


def began(number: int) -> HistoryEvent:
    """A workflow task starts, which is the run's own time from then on."""
    event = at(number)
    event.workflow_task_started_event_attributes.scheduled_event_id = number
    return event


def updated(number: int, verb: str, message: Any) -> HistoryEvent:
    """An update is accepted."""
    event = at(number)
    request = event.workflow_execution_update_accepted_event_attributes.accepted_request
    request.input.name, request.meta.identity = verb, "7@host"
    request.input.args.CopyFrom(payloads(message))
    return event


def signaled(number: int, verb: str, message: Any) -> HistoryEvent:
    """A signal comes."""
    event = at(number)
    told = event.workflow_execution_signaled_event_attributes
    told.signal_name, told.identity = verb, "7@host"
    told.input.CopyFrom(payloads(message))
    return event


def entries(*given: dict[str, Any]) -> Sequence[dict[str, Any]]:
    """Entries of the journal, with what every entry has."""
    empty = {"node": "", "operator": "", "reason": "", "refusal": "", "request_id": ""}
    return [{**empty, **each} for each in given]
