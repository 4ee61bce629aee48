"""What a run did, node by node, read from its history: each attempt with its times and values.

What needs no activity (gateways, display, pauses) leaves no event of its own and is not listed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic import JsonValue
from temporalio.api.common.v1 import Payloads
from temporalio.api.history.v1 import HistoryEvent

from activities.contract import (
    BATCH,
    EVALUATE,
    LOAD_PLAN,
    BatchResult,
    Done,
    EvaluateCall,
    EvaluateResult,
    Failed,
    Outcome,
    OutcomeMessage,
    PluginBatch,
    PluginCall,
)
from translator.plan import NodePath
from translator.values import without_sealed
from workers.inspection.parts import fields_of, first_of, seconds_of, text_of

Values = dict[str, JsonValue]

_GOES_ON: Final = ("running", "polling", "waiting")
_CLOSED: Final = (
    "activity_task_completed",
    "activity_task_failed",
    "activity_task_timed_out",
    "activity_task_canceled",
)


@dataclass(slots=True)
class Attempt:
    """One start of a node, or a timer or child; times are seconds since the epoch, 0 for none.

    kind: `task`, `evaluation`, `timer`, `child`. outcome: `running`, `polling`, `waiting`, `done`,
    `failed`, `cancelled`, or `left` where a person or the end of the run has moved on from it.
    tries: how often the server has handed out its last step. steps: which steps it took.
    """

    kind: str
    node: NodePath
    name: str
    plugin: str = ""
    entry: int = 0
    attempt: int = 1
    started: float = 0
    ended: float = 0
    outcome: str = "running"
    error: str = ""
    inputs: Values = field(default_factory=dict[str, JsonValue])
    outputs: Values = field(default_factory=dict[str, JsonValue])
    note: str = ""
    warnings: list[str] = field(default_factory=list[str])
    steps: list[str] = field(default_factory=list[str])
    tries: int = 0

    @property
    def took_s(self) -> float:
        """How long it took, in seconds; 0 while it goes on."""
        return max(0.0, self.ended - self.started) if self.ended else 0


async def attempts_of(events: Sequence[HistoryEvent]) -> list[Attempt]:
    """Return every attempt in the events of a run, in order of their start."""
    reader = _Reader()
    for event in events:
        await reader.take(event)
    return reader.finished(events)


class _Reader:
    """Folds events into attempts; event ids count from one again in each part of a long run."""

    def __init__(self) -> None:
        self._made: list[Attempt] = []
        self._by_entry: dict[tuple[str, int], Attempt] = {}
        self._passes: dict[tuple[str, int, int], int] = {}
        self._open: dict[int, tuple[Attempt, str]] = {}
        self._travelling: dict[int, tuple[PluginCall, ...]] = {}

    async def take(self, event: HistoryEvent) -> None:
        """Read one event; most say nothing of an attempt."""
        kind = str(event.WhichOneof("attributes")).removesuffix("_event_attributes")
        told: Any = getattr(event, f"{kind}_event_attributes")
        match kind:
            case "workflow_execution_started":
                self._part_begins()
            case "activity_task_scheduled":
                await self._scheduled(event, told)
            case "activity_task_started":
                self._begun(told)
            case "timer_started" | "start_child_workflow_execution_initiated":
                await self._began_other(event, kind, told)
            case "timer_fired" | "timer_canceled":
                self._end(told.started_event_id, event, "done" if kind[6:] == "fired" else "left")
            case _ if kind in _CLOSED:
                await self._closed(event, kind, told)
            case _ if kind.startswith("child_workflow_execution_"):
                await self._child_closed(event, kind, told)
            case _:
                pass

    def _part_begins(self) -> None:
        """Leave the timers of the part before: they are begun again from the state."""
        for attempt, _ in self._open.values():
            if attempt.kind == "timer":
                attempt.outcome = "left"
        self._open.clear()

    def finished(self, events: Sequence[HistoryEvent]) -> list[Attempt]:
        """Return the attempts; what was left behind does not go on."""
        last = {attempt.node: attempt for attempt in self._made}
        over = bool(events) and not _is_open(events[-1])
        for attempt in self._made:
            moved_on = attempt.kind == "task" and last[attempt.node] is not attempt
            if attempt.outcome in _GOES_ON and (over or moved_on):
                attempt.outcome = "left"
        return self._made

    # --- activities ---

    async def _scheduled(self, event: HistoryEvent, told: Any) -> None:
        code = told.activity_type.name
        if code == LOAD_PLAN:
            return
        if code == EVALUATE:
            await self._evaluates(event, told)
            return
        call = await self._first_call(event, told)
        if call is None:
            return
        found = self._by_entry.get((call.node, call.entry)) or self._task(event, call)
        found.steps.append(call.step)
        if call.step != "stop" and found.outcome not in ("done", "failed"):
            found.outcome = "running" if call.step != "poll" else "polling"
        self._open[event.event_id] = (found, call.step)

    async def _first_call(self, event: HistoryEvent, told: Any) -> PluginCall | None:
        """Return the call of an activity; of one with several the first, the others are kept."""
        if told.activity_type.name != BATCH:
            call = await first_of(told.input, PluginCall)
            return call if isinstance(call, PluginCall) else None
        batch = await first_of(told.input, PluginBatch)
        if not isinstance(batch, PluginBatch):
            return None
        self._travelling[event.event_id] = tuple(each.call for each in batch.calls[1:])
        return batch.calls[0].call

    def _task(self, event: HistoryEvent, call: PluginCall) -> Attempt:
        which = (call.node, call.loop, call.inner_loop)
        self._passes[which] = self._passes.get(which, 0) + 1
        made = Attempt(
            "task",
            call.node,
            call.name or call.node,
            call.plugin.code,
            call.entry,
            self._passes[which],
            seconds_of(event),
            inputs=masked(call.inputs),
        )
        self._by_entry[(call.node, call.entry)] = made
        self._made.append(made)
        return made

    async def _evaluates(self, event: HistoryEvent, told: Any) -> None:
        call = await first_of(told.input, EvaluateCall)
        if not isinstance(call, EvaluateCall):
            return
        name = (await text_of(event.user_metadata.summary)).removeprefix("evaluate for ")
        made = Attempt(
            "evaluation", call.node, name or call.node, entry=call.entry, started=seconds_of(event)
        )
        self._made.append(made)
        self._open[event.event_id] = (made, "evaluate")

    def _begun(self, told: Any) -> None:
        found = self._open.get(told.scheduled_event_id)
        if found is not None:
            found[0].tries = told.attempt

    async def _closed(self, event: HistoryEvent, kind: str, told: Any) -> None:
        found = self._open.pop(told.scheduled_event_id, None)
        if found is None or found[1] == "stop":
            return
        attempt, step = found
        travelling = self._travelling.pop(told.scheduled_event_id, None)
        if kind == "activity_task_completed":
            if travelling is None:
                await self._completed(event, attempt, step, told.result)
            else:
                await self._completed_batch(event, attempt, travelling, told.result)
            return
        is_cancel = kind == "activity_task_canceled"
        attempt.ended, attempt.outcome = seconds_of(event), "cancelled" if is_cancel else "failed"
        attempt.error = "" if is_cancel else told.failure.message

    async def _completed(
        self, event: HistoryEvent, attempt: Attempt, step: str, result: Payloads
    ) -> None:
        if step == "evaluate":
            answer = await first_of(result, EvaluateResult)
            if isinstance(answer, EvaluateResult):
                attempt.error, attempt.outputs = answer.error, masked(answer.values)
                attempt.warnings = list(answer.warnings)
            attempt.ended = seconds_of(event)
            attempt.outcome = "failed" if attempt.error else "done"
            return
        message = await first_of(result, OutcomeMessage)
        if isinstance(message, OutcomeMessage):
            _fold(attempt, message.outcome, seconds_of(event))

    async def _completed_batch(
        self,
        event: HistoryEvent,
        first: Attempt,
        travelling: Sequence[PluginCall],
        answer: Payloads,
    ) -> None:
        """Read what came of each call of a batch; one that was not started comes later."""
        result = await first_of(answer, BatchResult)
        if not isinstance(result, BatchResult):
            return
        at = seconds_of(event)
        _fold(first, result.outcomes[0], at)
        for call, outcome in zip(travelling, result.outcomes[1:], strict=False):
            made = self._task(event, call)
            made.steps.append(call.step)
            made.started, made.tries = first.started, first.tries
            _fold(made, outcome, at)

    # --- timers and children ---

    async def _began_other(self, event: HistoryEvent, kind: str, told: Any) -> None:
        name = await text_of(event.user_metadata.summary)
        if kind == "timer_started":
            made = Attempt("timer", "", name or told.timer_id, started=seconds_of(event))
        else:
            node = told.workflow_id.partition("/")[2]
            made = Attempt("child", node, name or node, started=seconds_of(event))
            made.note = told.workflow_id
        self._made.append(made)
        self._open[event.event_id] = (made, made.kind)

    async def _child_closed(self, event: HistoryEvent, kind: str, told: Any) -> None:
        word = kind.removeprefix("child_workflow_execution_")
        if word == "started":
            return
        if word == "completed" and told.initiated_event_id in self._open:
            result = fields_of(await first_of(told.result))
            outputs = masked(fields_of(result.get("outputs")))
            self._open[told.initiated_event_id][0].outputs = outputs
        self._end(told.initiated_event_id, event, "done" if word == "completed" else word)

    def _end(self, event_id: int, event: HistoryEvent, outcome: str) -> None:
        found = self._open.pop(event_id, None)
        if found is not None:
            found[0].ended, found[0].outcome = seconds_of(event), outcome


def _fold(attempt: Attempt, outcome: Outcome, at: float) -> None:
    """Write an outcome into its attempt."""
    attempt.outcome = outcome.kind
    attempt.outputs = masked(outcome.outputs)
    attempt.note = outcome.note or attempt.note
    attempt.warnings += outcome.warnings
    if outcome.inputs is not None:
        attempt.inputs = masked(outcome.inputs)
    if isinstance(outcome, Done | Failed):
        attempt.ended = at
    if isinstance(outcome, Failed):
        attempt.error = outcome.error


def masked(values: Values) -> Values:
    """Return values by name for people: what is sealed is masked."""
    shown = without_sealed(dict(values))
    return shown if isinstance(shown, dict) else {}


def _is_open(event: HistoryEvent) -> bool:
    """Say whether a run goes on after its last event."""
    kind = str(event.WhichOneof("attributes"))
    if kind.startswith("workflow_execution_continued"):
        return True
    ends = ("completed", "failed", "timed_out", "canceled", "terminated")
    return kind.removesuffix("_event_attributes") not in {f"workflow_execution_{e}" for e in ends}
