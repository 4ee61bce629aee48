"""Turns plugins into Temporal activities: one for each code, which is its type.

What a run relies on, and what the workflow's retry policy must therefore be: no maximum of attempts
and no non-retryable types; every bound is kept here.

- An attempt leaves a `Trail` for the next one in its heartbeat: the handle of a poll and its
  outputs, and whether the outside has surely not taken a call. A poll between two looks is a failed
  attempt that the server repeats after `next_retry_delay`: it holds no slot and costs no history.
- A call that may not be repeated is sent again only when the trail says that it was not taken;
  any other second attempt (a lost worker, a time limit) fails the node with "outcome unknown".
- An outcome is always a result. Only "again later" and a stopping worker are raised.
"""

import asyncio
import time
from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple, Protocol, assert_never

import structlog
from pydantic import JsonValue, ValidationError
from structlog.contextvars import bind_contextvars, bound_contextvars
from structlog.typing import FilteringBoundLogger
from temporalio import activity
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from activities.batches import take_batch
from activities.calls import Progress
from activities.contract import (
    BATCH,
    EVALUATE,
    BatchResult,
    Done,
    EvaluateCall,
    EvaluateResult,
    Failed,
    Outcome,
    OutcomeMessage,
    PluginBatch,
    PluginCall,
    Polling,
    Unresolved,
    Waiting,
    warning_lines,
)
from activities.expressions import EvaluationError, ExpressionWarning, Lazy
from activities.expressions.opening import Opening, masked_text, opening
from activities.expressions.secrets import Keys, SecretError
from activities.http_client import HttpClient, create_client, fault_of
from activities.registry import Registry
from activities.sdk import AnyPlugin, Lookup, PluginError
from activities.shelf import Shelf, ShelfError
from activities.steps import (
    Ports,
    StepResult,
    TryAgain,
    delay_s,
    finishing,
    given_up,
    merged_inputs,
    most_failures,
    place_of,
    take_step,
    unsendable,
)
from activities.trail import Trail
from stdops import StdopsError
from translator.values import MASK, without_sealed

MAX_OUTCOME_BYTES: Final = 1_900_000
"""Temporal refuses payloads over 2 MiB."""

_BEATS_A_TIMEOUT: Final = 3
_LONGEST_BEAT_S: Final = 5.0
"""A step learns by the answer to a heartbeat that it was cancelled: people wait for that."""
_QUICK_S: Final = 1.0
"""How long a quick call is let be when it is not wanted any more."""

_log: FilteringBoundLogger = structlog.get_logger(__name__)


class Sandbox(Protocol):
    """What evaluates expressions: `activities.expressions.Sandbox`, or a test's own."""

    async def evaluate(  # noqa: PLR0913  as the sandbox has it
        self,
        unresolved: Unresolved,
        lazy: Lazy | None = None,
        *,
        warnings: list[ExpressionWarning] | None = None,
        strict: bool = False,
        raw: Collection[str] = (),
        secret: Collection[str] = (),
        noun: str = "input",
    ) -> dict[str, JsonValue]:
        """Return the values by name, and collect in `warnings` why fragments stay as they are.

        Raises:
            EvaluationError: when one of them cannot be had.
        """
        ...


class _Manner(NamedTuple):
    """How values are evaluated, beside what they are; see `Sandbox.evaluate`."""

    strict: bool = False
    raw: tuple[str, ...] = ()
    secret: tuple[str, ...] = ()
    noun: str = "input"


class _Rendered(NamedTuple):
    """The inputs of a step, where some were rendered, and what there is to say of them."""

    inputs: dict[str, JsonValue] | None = None
    warnings: tuple[str, ...] = ()


class _Edge(NamedTuple):
    """What every activity of a worker works with."""

    registry: Registry
    sandbox: Sandbox
    http: HttpClient
    max_outcome_bytes: int
    keys: Keys
    shelf: Shelf


def activities(
    registry: Registry,
    sandbox: Sandbox,
    *,
    http: HttpClient | None = None,
    max_outcome_bytes: int = MAX_OUTCOME_BYTES,
    keys: Keys | None = None,
    shelf: Shelf | None = None,
) -> list[Callable[..., Any]]:
    """Return the activities of a worker: one for each plugin code, one for all others, `evaluate`.

    Args:
        registry: the plugins.
        sandbox: evaluates what the workflow could not; the caller opens and closes it.
        http: the plugins' client; None makes one that lives as long as the process.
        max_outcome_bytes: larger outcomes fail their node; raise it where payloads are offloaded.
        keys: open and seal secrets; None makes one that lives as long as the process.
        shelf: the plugins' settings; None has none.
    """
    client, known = http or create_client(), keys or Keys.fresh()
    edge = _Edge(registry, sandbox, client, max_outcome_bytes, known, shelf or Shelf())
    plugins = [_plugin_activity(edge, code) for code in registry.codes()]
    return [*plugins, _batch_activity(edge), _unknown_activity(edge), _evaluate_activity(edge)]


def _plugin_activity(edge: _Edge, code: str) -> Callable[..., Any]:
    @activity.defn(name=code)
    async def run(call: PluginCall) -> OutcomeMessage:
        return OutcomeMessage(outcome=await _outcome(edge, call, _last_trail()))

    return run


def _batch_activity(edge: _Edge) -> Callable[..., Any]:
    @activity.defn(name=BATCH)
    async def run_batch(batch: PluginBatch) -> BatchResult:
        """Take calls of quick plugins; one after the first that must begin again is left out."""
        ends = time.monotonic() + batch.limit_ms / 1000

        async def take(call: PluginCall, number: int) -> Outcome | None:
            try:
                return await _outcome(edge, call, Trail() if number else _last_trail())
            except (ApplicationError, asyncio.CancelledError):
                if not number:
                    raise  # nothing is lost: the server repeats the whole, or nobody wants it
                return None

        def may_go_on() -> bool:
            wanted = not (activity.is_cancelled() or activity.is_worker_shutdown())
            return wanted and time.monotonic() < ends

        taking = asyncio.ensure_future(take_batch(batch, take, may_go_on, edge.max_outcome_bytes))
        try:
            return await asyncio.shield(taking)
        except asyncio.CancelledError:
            await asyncio.wait((taking,), timeout=_QUICK_S)  # what it is at counts, if it ends
            taking.cancel()
            return await taking

    return run_batch


def _unknown_activity(edge: _Edge) -> Callable[..., Any]:
    @activity.defn(dynamic=True)
    async def unknown(args: Sequence[RawValue]) -> OutcomeMessage:
        """Answer for a plugin that this worker does not have: the node fails, the run goes on."""
        code = activity.info().activity_type
        if code.startswith("stdops."):
            what = f"this worker does not serve {code!r}; update the workers of this task queue"
            raise _repeat(what, "UnknownActivity", 5)  # another one may serve it
        version = _version_of(args)
        return OutcomeMessage(outcome=_refused(edge.registry.missing_text(code, version)))

    return unknown


def _evaluate_activity(edge: _Edge) -> Callable[..., Any]:
    @activity.defn(name=EVALUATE)
    async def evaluate(call: EvaluateCall) -> EvaluateResult:
        manner = _Manner(call.strict, noun=call.noun)
        place = {"run": call.run, "node": call.node, "entry": call.entry, "step": "evaluate"}
        with opening(edge.keys) as secrets, bound_contextvars(**place):
            try:
                opened = secrets.open_unresolved(call.unresolved)
                values, warnings = await _evaluated(edge, opened, call.context, manner)
            except (EvaluationError, SecretError, StdopsError) as error:
                return EvaluateResult(error=masked_text(str(error)))
            guarded = secrets.guarded(call.unresolved.values, values)
            return EvaluateResult(values=guarded, warnings=warnings)

    return evaluate


async def _outcome(edge: _Edge, call: PluginCall, trail: Trail) -> Outcome:
    """Take one step, whatever happens: a bug of ours must not make the server repeat for ever."""
    # an activity has a context of its own, so nothing has to be unbound
    bind_contextvars(**place_of(call), attempt=activity.info().attempt)
    with opening(edge.keys) as secrets:
        try:
            return await _run_step(edge, call, secrets, trail)
        except ApplicationError:
            raise
        except Exception as error:  # noqa: BLE001  see the docstring
            _log.exception("activities.step_crashed", **place_of(call))
            text = f"bug in stdops: {type(error).__name__}; the worker's log has more"
            return _refused(text, call)


async def _run_step(edge: _Edge, call: PluginCall, secrets: Opening, trail: Trail) -> Outcome:
    """Take one step; return its outcome, or raise what makes the server repeat it."""
    plugin = edge.registry.plugin(call.plugin.code, call.plugin.version)
    if plugin is None:
        missing = edge.registry.missing_text(call.plugin.code, call.plugin.version)
        return _refused(missing, call)
    try:
        with _beating(_interval_s(plugin), trail) as pulse:
            result, rendered = await _take(edge, plugin, call, pulse, secrets)
    except asyncio.CancelledError:
        _raise_if_stopping()
        raise
    if isinstance(result, TryAgain):
        result = _again_or_failed(call, pulse.trail, result)
    if pulse.trail.note and not result.note:
        result = result.model_copy(update={"note": pulse.trail.note})
    return _fitting(edge, call, _with_inputs(plugin, result, rendered, secrets))


async def _take(
    edge: _Edge, plugin: AnyPlugin, call: PluginCall, pulse: "_Pulse", secrets: Opening
) -> tuple[StepResult, _Rendered]:
    """Render the inputs and take the step; return also what came of the rendering.

    What is secret is opened for the step alone: in what is returned it is sealed or masked.
    """
    manner = _Manner(call.strict, call.raw, plugin.traits.secrets)
    try:
        news = pulse.trail.news()
        opened = secrets.open_call(call.model_copy(update=news) if news else call)
        rendered, warnings = await _evaluated(edge, opened.unresolved, call.context, manner)
    except (EvaluationError, SecretError, StdopsError) as error:
        text = f"inputs hydrate failed({error}), check node log for details"
        return _refused(masked_text(text), call, rendering=True), _Rendered()
    inputs = merged_inputs(opened, rendered)
    for name in plugin.traits.secrets:
        secrets.remember(inputs.get(name))
    shown: dict[str, JsonValue] | None = None
    if call.unresolved.values:
        shown = merged_inputs(call, secrets.guarded(call.unresolved.values, rendered))
    ports = Ports(edge.http, edge.shelf, _now, _masked_report(pulse, secrets))
    ready = opened.model_copy(update={"inputs": inputs})
    sent_before = call.step == "call" and pulse.trail.not_taken != activity.info().attempt - 1
    step = take_step(plugin, ready, ports, sent_before=sent_before)
    # what the outside answers to a call is the handle by which its work is stopped
    has_handle = call.step == "call" and plugin.stop_fn is not None
    result = await (finishing(step) if has_handle else step)
    return _without_secrets(result, secrets), _Rendered(shown, warnings)


def _masked_report(pulse: "_Pulse", secrets: Opening) -> Progress:
    def report(details: Mapping[str, JsonValue]) -> None:
        pulse.report(secrets.masked(details))

    return report


def _without_secrets(result: StepResult, secrets: Opening) -> StepResult:
    """Mask the secrets in what people read, and seal those in what the next step needs."""
    outputs = secrets.masked(result.outputs)
    match result:
        case TryAgain(what=what, handle=handle):
            told, kept = secrets.mask_text(what), secrets.put_back(handle)
            return result._replace(what=told, handle=kept, outputs=outputs)
        case Polling(handle=handle) | Waiting(handle=handle):
            kept = secrets.put_back(handle)
            return result.model_copy(update={"handle": kept, "outputs": outputs})
        case Failed(error=error):
            told = secrets.mask_text(error)
            return result.model_copy(update={"error": told, "outputs": outputs})
        case Done():
            same = outputs == result.outputs  # of most; a copy costs more than to compare
            return result if same else result.model_copy(update={"outputs": outputs})
        case _:
            assert_never(result)


async def _evaluated(
    edge: _Edge, unresolved: Unresolved, context: Mapping[str, JsonValue], manner: _Manner
) -> tuple[dict[str, JsonValue], tuple[str, ...]]:
    """Render what the workflow could not; whatever goes wrong is an `EvaluationError`."""
    if not unresolved.values:
        return {}, ()
    found: list[ExpressionWarning] = []
    lazy = _lazy(edge, context)
    try:
        values = await edge.sandbox.evaluate(unresolved, lazy, warnings=found, **manner._asdict())
        return values, warning_lines(masked_text(warning.text) for warning in found)
    except EvaluationError:
        raise
    except Exception as error:
        # a bug of ours must fail the node, not make the server repeat the activity for ever
        _log.exception("activities.evaluation_crashed")
        raise EvaluationError(f"{type(error).__name__}: {error}") from error


def _again_or_failed(call: PluginCall, trail: Trail, again: TryAgain) -> Failed:
    """Raise what makes the server repeat the step, until it has been tried often enough."""
    if again.kind == "still_running":
        _leave(trail.looked(again))
        raise _repeat(again.what, "StillRunning", delay_s(again))
    left = trail.failed(again, activity.info().attempt)
    if left.failures >= most_failures(call):
        told = given_up(call, again, left.failures, is_unsure=left.unsure)
        return _refused(told, call, again.outputs)
    pause_s = delay_s(again, left.failures)
    _leave(left)
    _log.warning("activities.step_deferred", **place_of(call), reason=again.what, after_s=pause_s)
    kind = "NotTaken" if again.kind == "not_taken" else "NoAnswer"
    raise _repeat(again.what, kind, pause_s)


def _repeat(what: str, kind: str, after_s: float | None = None) -> ApplicationError:
    """Return the error that makes the server repeat the activity.

    Benign, because it is part of the work: the SDK would log each one with a traceback.
    """
    return ApplicationError(
        what,
        type=kind,
        next_retry_delay=None if after_s is None else timedelta(seconds=after_s),
        category=ApplicationErrorCategory.BENIGN,
    )


def _refused(
    error: str,
    call: PluginCall | None = None,
    outputs: Mapping[str, JsonValue] | None = None,
    *,
    rendering: bool = False,
) -> Failed:
    """Return a failure that the author's code had no part in, and log it."""
    place = place_of(call) if call else {"plugin": activity.info().activity_type}
    _log.warning("activities.step_failed", **place, error=error)
    kept = call.outputs if call and outputs is None else outputs or {}
    return Failed(error=error, outputs=dict(kept), rendering=rendering)


def _with_inputs(
    plugin: AnyPlugin, outcome: Outcome, rendered: _Rendered, secrets: Opening
) -> Outcome:
    """Add the rendered inputs: secrets sealed for the next step, masked where there is none."""
    if rendered.inputs is None:
        return outcome
    inputs, declared = rendered.inputs, plugin.traits.secrets
    if isinstance(outcome, Done | Failed):
        shown = {k: MASK if k in declared else without_sealed(v) for k, v in inputs.items()}
    else:
        sealed = {k: secrets.seal(secrets.open(inputs[k])) for k in declared if k in inputs}
        shown = {**inputs, **sealed}
    return outcome.model_copy(update={"inputs": shown, "warnings": rendered.warnings})


def _fitting(edge: _Edge, call: PluginCall, outcome: Outcome) -> Outcome:
    """Refuse what Temporal would refuse, with a reason instead of an endless retry."""
    problem = unsendable(outcome, edge.max_outcome_bytes)
    return _refused(problem, call, {}) if problem else outcome


def _lazy(edge: _Edge, context: Mapping[str, JsonValue]) -> Lazy:
    async def look_up(code: str, value: JsonValue) -> JsonValue:
        found = edge.registry.lazy(code)
        if found is None:
            raise EvaluationError(f"no plugin computes variables of type {code!r}")
        lookup = Lookup(
            value=value,
            context=context,
            http=edge.http,
            shelf=edge.shelf,
            now=_now,
            place={"variable": code},
        )
        try:
            return await found.look_up(lookup)
        except PluginError as error:
            raise EvaluationError(error.what) from error
        except ShelfError as error:
            raise EvaluationError(str(error)) from error
        except Exception as error:
            fault = fault_of(error)
            what = fault.what if fault else f"{type(error).__name__}: {error}"
            raise EvaluationError(f"variable of type {code!r}: {what}") from error

    return look_up


def _last_trail() -> Trail:
    """Return what the attempt before this one left; nothing on the first."""
    details = activity.info().heartbeat_details
    try:
        return Trail.model_validate(details[0]) if details else Trail()
    except ValidationError:
        return Trail()  # left by another release: then nothing is sure, which is the safe side


def _leave(trail: Trail) -> None:
    activity.heartbeat(trail.model_dump(mode="json", exclude_defaults=True))


class _Pulse:
    """Heartbeats while a step runs, so that the server sees life and a cancel comes through."""

    def __init__(self, interval_s: float, trail: Trail) -> None:
        self.trail = trail
        self._interval_s = interval_s
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_later(interval_s, self._beat)

    def report(self, details: Mapping[str, JsonValue]) -> None:
        """Show the author's progress at once."""
        seen = self.trail.model_dump() | {"progress": dict(details)}
        self.trail = Trail.model_validate(seen)
        _leave(self.trail)

    def stop(self) -> None:
        """Send no more."""
        self._timer.cancel()

    def _beat(self) -> None:
        _leave(self.trail)
        self._timer = self._loop.call_later(self._interval_s, self._beat)


def _interval_s(plugin: AnyPlugin) -> float:
    return min(plugin.traits.heartbeat_s / _BEATS_A_TIMEOUT, _LONGEST_BEAT_S)


@contextmanager
def _beating(interval_s: float, trail: Trail) -> Generator[_Pulse, None, None]:
    pulse = _Pulse(interval_s, trail)
    try:
        yield pulse
    finally:
        pulse.stop()


def _raise_if_stopping() -> None:
    """A stopping worker hands its work back at once, instead of leaving it to a time limit."""
    details = activity.cancellation_details()
    if details and details.worker_shutdown and not details.cancel_requested:
        raise _repeat("the worker stopped meanwhile", "WorkerStopped")


def _version_of(args: Sequence[RawValue]) -> str:
    try:
        return activity.payload_converter().from_payload(args[0].payload, PluginCall).plugin.version
    except (IndexError, ValueError, RuntimeError):  # called by hand, with something else
        return "legacy"


def _now() -> datetime:
    return datetime.now(UTC)
