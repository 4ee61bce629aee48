"""One step of a plugin, from message to outcome; shared by the dispatch and the authors' test kit.

Every way in which an author's code or the outside can fail ends here in one of four classes: the
outside says no (a failed node), surely not taken (try again), outcome unknown (try again only what
may be repeated, else a failed node that says so), and a bug (a failed node with the line).
"""

import asyncio
import inspect
import traceback
from collections.abc import Callable, Coroutine, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple, TypeAlias, assert_never

import structlog
from pydantic import JsonValue, ValidationError
from pydantic_core import ErrorDetails
from structlog.typing import FilteringBoundLogger

from activities.calls import (
    Call,
    Inputs,
    OutcomeUnknown,
    Outputs,
    PluginDefinitionError,
    PluginError,
    Progress,
    StillRunning,
    WaitForCallback,
)
from activities.contract import (
    NOTE_CHARS,
    Done,
    Failed,
    Outcome,
    PluginCall,
    Polling,
    Waiting,
)
from activities.expressions.opening import masked_text
from activities.http_client import HIDDEN, HttpClient, HttpFault, fault_of
from activities.sdk import AnyPlugin
from activities.shelf import Shelf, ShelfError

AgainKind: TypeAlias = Literal["still_running", "not_taken", "no_answer"]

ADDED_INPUTS: Final = ("_loop", "_inner_loop", "__executor_proxy")
"""Inputs that the engine adds; a plugin that does not declare them does not see them."""

MAX_CALL_ATTEMPTS: Final = 5
"""How often a step is tried that the outside does not take."""

MAX_FAILED_LOOKS: Final = 10
"""How many looks in a row may go unanswered before a poll gives up."""

CANCEL_GRACE_S: Final = 5.0
"""How long a call that is cancelled may go on, to learn the handle of what it has started."""

_LONGEST_BACKOFF_S: Final = 60.0
_SHORTEST_SECRET: Final = 3
_SHOWN_VALUE: Final = 80

_log: FilteringBoundLogger = structlog.get_logger(__name__)


class Ports(NamedTuple):
    """What a step needs of the world: HTTP, the worker's shelf, clock, and progress's way out."""

    http: HttpClient
    shelf: Shelf
    now: Callable[[], datetime]
    report: Progress


class TryAgain(NamedTuple):
    """The step is to be taken again, in `after_s` seconds (None: as the caller likes).

    still_running: the work goes on outside, under `handle`. not_taken: the outside has surely not
    taken the request. no_answer: it may have, but the step may be repeated.
    """

    kind: AgainKind
    what: str
    after_s: float | None = None
    handle: JsonValue = None
    outputs: Mapping[str, JsonValue] = {}
    note: str = ""


StepResult: TypeAlias = Outcome | TryAgain


async def take_step(
    plugin: AnyPlugin, message: PluginCall, ports: Ports, *, sent_before: bool = False
) -> StepResult:
    """Take one step of `plugin`; raises only when it is cancelled.

    Args:
        plugin: the plugin that `message` names.
        message: the step, its inputs rendered.
        ports: HTTP, clock and progress.
        sent_before: an earlier try of this very call may have reached the outside.
    """
    hide = _hider(plugin, message.inputs)
    trace, notes = "", list[str]()
    try:
        result = await _try_step(plugin, message, ports, notes, sent_before=sent_before)
    except Exception as error:  # noqa: BLE001  an author's code may raise anything
        result = Failed(error=bug_text(plugin, error), outputs=message.outputs)
        trace = "".join(traceback.format_exception(error))
    reported = _reported(result, message, hide, trace)
    return _noted(reported, hide(masked_text(notes[-1]))) if notes else reported


async def _try_step(
    plugin: AnyPlugin, message: PluginCall, ports: Ports, notes: list[str], *, sent_before: bool
) -> StepResult:
    try:
        inputs = plugin.inputs_model.model_validate(_declared(plugin, message.inputs))
    except ValidationError as error:
        return _failed(message, inputs_problem(plugin, error))
    repeatable = message.step != "call" or plugin.may_repeat(inputs)
    if sent_before and not repeatable:
        return _failed(message, unknown_outcome(plugin, message, "an earlier try was interrupted"))
    try:
        return await _await_step(plugin, message, _call(inputs, message, ports, notes.append))
    except PluginError as error:
        return _plugin_error(message, error)
    except ShelfError as error:
        return _failed(message, str(error))
    except Exception as error:
        result = _fault_result(plugin, message, error, repeatable=repeatable)
        if result is None:
            raise
        return result


async def finishing(step: Coroutine[Any, Any, StepResult]) -> StepResult:
    """Await a step that starts work outside; when cancelled, let it still tell what it started.

    The one who cancelled then knows what to stop. After `CANCEL_GRACE_S` it is cut off.
    """
    running = asyncio.ensure_future(step)
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait((running,), timeout=CANCEL_GRACE_S)
        if running.done():
            return running.result()
        raise
    finally:
        running.cancel()


def merged_inputs(call: PluginCall, rendered: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """Return what the plugin gets: the loop counters win over rendered inputs, raw ones over all.

    Source: bamboo-engine's service activity handler.
    """
    raw = {name: call.inputs[name] for name in call.raw if name in call.inputs}
    counters: dict[str, JsonValue] = {"_loop": call.loop, "_inner_loop": call.inner_loop}
    return {**call.inputs, **rendered, **counters, **raw}


def unsendable(outcome: Outcome, most_bytes: int) -> str:
    """Say why an outcome cannot be sent, "" for one that can."""
    try:
        size = len(outcome.model_dump_json())
    except ValueError as error:  # half a character, as JSON escapes can hold
        what = f"the outputs cannot be sent ({type(error).__name__}: not Unicode text)"
    else:
        if size <= most_bytes:
            return ""
        what = f"the outputs are too large ({size} bytes, at most {most_bytes})"
    return f"{what}; the work outside may be done: let the plugin return less, then skip or retry"


def most_failures(message: PluginCall) -> int:
    """Return how many tries in a row may fail before the node does."""
    return MAX_FAILED_LOOKS if message.step == "poll" else MAX_CALL_ATTEMPTS


def given_up(
    message: PluginCall, again: TryAgain, failures: int, *, is_unsure: bool = False
) -> str:
    """Tell an operator that a step was tried in vain, and what may go on outside all the same.

    `is_unsure`: one of the earlier tries may have been taken, so that a retry may do it twice.
    """
    told = f"{again.what}; gave up after {failures} attempts"
    if message.step != "call":
        return (
            f"outcome unknown: {told}; the work that was started outside may go on: look at it, "
            "then skip, or retry, which starts it anew"
        )
    if is_unsure or again.kind == "no_answer":
        return _unknown(told, _outside_of(message))
    return f"{told}: mend the cause, then retry"


def delay_s(again: TryAgain, failures: int = 1) -> float:
    """Return how long to wait before the next try: as asked for, and longer after each failure.

    An outside that says "in a second" time and again is asked less and less often all the same.
    """
    backoff = min(2.0 ** (failures - 1), _LONGEST_BACKOFF_S)
    if again.after_s is None:
        return backoff
    return max(again.after_s, backoff) if failures > 1 else again.after_s


def unknown_outcome(plugin: AnyPlugin, message: PluginCall, what: str, where: str = "") -> str:
    """Tell an operator that nobody knows whether the work was started, and what to look at."""
    return _unknown(what, where or _outside_of(message, plugin.name))


def _unknown(what: str, place: str) -> str:
    return (
        f"outcome unknown: {what}; the work may or may not have been started: "
        f"look at {place}, then retry or skip"
    )


def _outside_of(message: PluginCall, name: str = "") -> str:
    return f"what {name or message.plugin.code!r} does for key {message.key!r}"


def inputs_problem(plugin: AnyPlugin, error: ValidationError) -> str:
    """Name each wrong input and the cause, without the value of a secret."""
    found = [_field_problem(plugin, e) for e in error.errors(include_url=False)]
    return f"inputs of {plugin.name!r} are wrong: {'; '.join(found)}"


def plain_outputs(outputs: Outputs | Mapping[str, JsonValue] | None) -> dict[str, JsonValue]:
    """Return outputs as JSON; fields that were left at a default of None are left out."""
    if not isinstance(outputs, Outputs):
        return dict(outputs or {})
    model, given = type(outputs), outputs.model_fields_set
    unwritten = {n for n in model.model_fields if n not in given and getattr(outputs, n) is None}
    return outputs.model_dump(mode="json", by_alias=True, exclude=unwritten)


async def _await_step(plugin: AnyPlugin, message: PluginCall, call: Call[Any]) -> StepResult:
    """Run the author's code under its time limit; what it raises as a signal becomes a result."""
    try:
        async with asyncio.timeout(plugin.traits.call_timeout_s):
            outputs = await _run_hook(plugin, message, call)
        return Done(outputs={**message.outputs, **plain_outputs(outputs)})
    except StillRunning as signal:
        return _still_running(plugin, message, signal)
    except WaitForCallback as signal:
        _must_have(plugin, "callback", plugin.callback_fn, "raises WaitForCallback")
        handle = message.handle if signal.handle is None else signal.handle
        outputs = {**message.outputs, **plain_outputs(signal.outputs)}
        return Waiting(handle=handle, outputs=outputs)


async def _run_hook(plugin: AnyPlugin, message: PluginCall, call: Call[Any]) -> Outputs | None:
    match message.step:
        case "call":
            return await plugin.call_fn(call)
        case "poll":
            hook = _must_have(plugin, "poll", plugin.poll_fn, "is asked to look")
            return await hook(call, message.handle)
        case "callback":
            hook = _must_have(plugin, "callback", plugin.callback_fn, "is called back")
            return await hook(call, message.data)
        case "stop":
            # work that cannot be stopped goes on; that is no failure
            return await plugin.stop_fn(call, message.handle) if plugin.stop_fn else None
        case _:
            assert_never(message.step)


def _must_have(plugin: AnyPlugin, step: str, hook: Any, what: str) -> Any:
    if hook is None:
        raise PluginDefinitionError(
            "SOP411",
            f"plugin {plugin.ref.code!r} ({plugin.ref.version}) {what} but has no {step} hook",
            fix=f"add one with @<plugin>.{step}",
        )
    return hook


def _still_running(plugin: AnyPlugin, message: PluginCall, signal: StillRunning) -> StepResult:
    _must_have(plugin, "poll", plugin.poll_fn, "raises StillRunning")
    outputs = {**message.outputs, **plain_outputs(signal.outputs)}
    handle = message.handle if signal.handle is None else signal.handle
    # made for both, because it refuses what is no JSON
    polling = Polling(handle=handle, after_s=signal.after_s, outputs=outputs)
    if message.step != "poll":
        return polling
    return TryAgain("still_running", str(signal), polling.after_s, polling.handle, polling.outputs)


def _fault_result(
    plugin: AnyPlugin, message: PluginCall, error: Exception, *, repeatable: bool
) -> StepResult | None:
    """Sort what went wrong between us and the outside; None when `error` is a bug."""
    if isinstance(error, OutcomeUnknown):
        fault = HttpFault("unknown", error.what, error.where)
    elif isinstance(error, TimeoutError):
        fault = HttpFault("unknown", f"no end within {plugin.traits.call_timeout_s} s")
    else:
        fault = fault_of(error)
    if fault is None:
        return None
    if fault.verdict == "not_taken":
        return TryAgain("not_taken", fault.what, fault.after_s, outputs=message.outputs)
    if fault.verdict != "refused" and repeatable:
        return TryAgain("no_answer", fault.what, outputs=message.outputs)
    if fault.verdict == "unknown":
        return _failed(message, unknown_outcome(plugin, message, fault.what, fault.where))
    return _failed(message, fault.what)


def _plugin_error(message: PluginCall, error: PluginError) -> StepResult:
    outputs = {**message.outputs, **plain_outputs(error.outputs)}
    failed = Failed(error=error.what, outputs=outputs)
    if not error.retryable:
        return failed
    return TryAgain("not_taken", failed.error, error.after_s, outputs=failed.outputs)


def bug_text(plugin: AnyPlugin, error: Exception) -> str:
    """Return the last line of the traceback and the plugin's line that led to it."""
    last = traceback.format_exception_only(error)[-1].strip()
    frames = traceback.extract_tb(error.__traceback__)
    home = inspect.unwrap(plugin.call_fn).__code__.co_filename
    frame = next((f for f in reversed(frames) if f.filename == home), frames[-1])
    return (
        f"bug in plugin {plugin.ref.code!r} ({plugin.ref.version}): {last} "
        f"({Path(frame.filename).name}:{frame.lineno}); the worker's log has the traceback"
    )


def _reported(
    result: StepResult, message: PluginCall, hide: Callable[[str], str], trace: str
) -> StepResult:
    """Hide secrets in what people will read, and log a failure, once."""
    if isinstance(result, TryAgain):
        return result._replace(what=hide(result.what))
    if not isinstance(result, Failed):
        return result
    error = hide(result.error)
    if trace:
        _log.error(
            "activities.step_failed", **place_of(message), error=error, traceback=hide(trace)
        )
    else:
        _log.warning("activities.step_failed", **place_of(message), error=error)
    return result.model_copy(update={"error": error})


def place_of(message: PluginCall) -> dict[str, str | int]:
    """Return the keys by which a log line is found again."""
    return {
        "run": message.run,
        "node": message.node,
        "entry": message.entry,
        "plugin": message.plugin.code,
        "step": message.step,
    }


def _failed(message: PluginCall, error: str) -> Failed:
    return Failed(error=error, outputs=message.outputs)


def _noted(result: StepResult, text: str) -> StepResult:
    """Add the author's note, as one line that fits; it was masked before it is cut."""
    line = " ".join(text.split())
    note = line if len(line) <= NOTE_CHARS else f"{line[: NOTE_CHARS - 1]}…"
    if isinstance(result, TryAgain):
        return result._replace(note=note)
    return result.model_copy(update={"note": note})


def _call(
    inputs: Inputs, message: PluginCall, ports: Ports, publish: Callable[[str], None]
) -> Call[Any]:
    return Call(
        inputs=inputs,
        run=message.run,
        node=message.node,
        entry=message.entry,
        name=message.name,
        loop=message.loop,
        inner_loop=message.inner_loop,
        key=message.key,
        outputs=message.outputs,
        report=ports.report,
        handle=message.handle,
        publish=publish,
        context=message.context,
        http=ports.http,
        shelf=ports.shelf,
        now=ports.now,
        place=place_of(message),
    )


def _declared(plugin: AnyPlugin, given: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """Leave out what the engine adds, unless the plugin asks for it."""
    model = plugin.inputs_model
    if model.model_config.get("extra") == "allow":
        return dict(given)
    asked = {field.alias or name for name, field in model.model_fields.items()}
    return {k: v for k, v in given.items() if k not in ADDED_INPUTS or k in asked}


def _field_problem(plugin: AnyPlugin, error: ErrorDetails) -> str:
    place = ".".join(str(part) for part in error["loc"]) or "together"
    if error["type"] == "missing":
        return f"{place!r} is missing"
    if error["type"] == "extra_forbidden":
        return f"{place!r} is unknown"
    # a whole-model error would show every input, the secret ones too
    secret = not error["loc"] or str(error["loc"][0]) in plugin.traits.secrets
    value = HIDDEN if secret else _shortened(repr(error["input"]))
    return f"{place!r}: {error['msg'][0].lower()}{error['msg'][1:]} (got {value})"


def _shortened(text: str) -> str:
    return text if len(text) <= _SHOWN_VALUE else f"{text[: _SHOWN_VALUE - 1]}…"


def _hider(plugin: AnyPlugin, inputs: Mapping[str, JsonValue]) -> Callable[[str], str]:
    """Return a function that hides the values of the plugin's secrets in a text."""
    texts = {t for name in plugin.traits.secrets for t in _texts(inputs.get(name))}
    secrets = sorted((t for t in texts if len(t) >= _SHORTEST_SECRET), key=len, reverse=True)

    def hide(text: str) -> str:
        for secret in secrets:
            text = text.replace(secret, HIDDEN)
        # half a character would break the log and the wire
        return text.encode("utf-8", "replace").decode("utf-8")

    return hide


def _texts(value: JsonValue) -> Iterator[str]:
    match value:
        case str():
            yield value
        case list():
            for item in value:
                yield from _texts(item)
        case dict():
            for item in value.values():
                yield from _texts(item)
        case _:
            return
