"""The test kit for plugin authors: run a plugin without a server, a network or a wait.

A `Stage` is everything around a plugin: an outside that is a function from request to response,
a clock that moves only when a step says how long to wait, and the context of a run.

    async with Stage(answer) as stage:
        outcome = await stage.run(my_plugin, {"host": "web-1"})
    assert outcome == Done(outputs={"job": 7})
    assert stage.elapsed_s == 10

What a plugin may raise ends in the same outcome here as in a run: both use `activities.steps`.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Final, Literal, Self, final

import httpx
from pydantic import JsonValue

from activities.callbacks import CallbackUrls
from activities.contract import Done, Failed, PluginCall, Polling, Waiting
from activities.expressions.secrets import Keys
from activities.http_client import create_client
from activities.sdk import AnyPlugin, LazyVariable, Lookup
from activities.shelf import Shelf
from activities.steps import (
    Ports,
    StepResult,
    TryAgain,
    delay_s,
    given_up,
    most_failures,
    take_step,
)

Answer = Callable[[httpx.Request], httpx.Response]

START: Final = datetime(2024, 1, 1, tzinfo=UTC)
"""What the clock shows when a stage is made."""

MAX_STEPS: Final = 1000
"""A plugin that has not ended after so many steps is taken to run for ever."""


def _no_outside(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("this stage has no outside; give Stage an answer", request=request)


@final
class Stage:
    """Everything around a plugin, as a test wants it.

    `requests` are what the plugin sent, `progress` what it reported, in order. `elapsed_s` is how
    long it would have taken, by the delays it asked for. `settings` are the plugins' tables of the
    workers' settings.
    """

    def __init__(
        self,
        answer: Answer = _no_outside,
        *,
        context: Mapping[str, JsonValue] | None = None,
        settings: Mapping[str, Mapping[str, JsonValue]] | None = None,
        start: datetime = START,
    ) -> None:
        self.requests: list[httpx.Request] = []
        self.progress: list[Mapping[str, JsonValue]] = []
        self._answer = answer
        self._context = dict(context or {"operator": "tester"})
        self._start = self._now = start
        self._http = create_client(transport=httpx.MockTransport(self._recorded))
        keys = Keys.of(b"a key of this stage, 32 bytes ...")
        self._tables = settings
        self._shelf = Shelf(settings, CallbackUrls("https://stdops.test", keys, 3600))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._http.aclose()

    @property
    def elapsed_s(self) -> float:
        """How long the plugin has taken so far, in seconds of the stage's clock."""
        return (self._now - self._start).total_seconds()

    def nobody_listens(self) -> None:
        """Be an installation that the outside cannot call back."""
        self._shelf = Shelf(self._tables)

    def wait(self, seconds: float) -> None:
        """Move the clock on."""
        self._now += timedelta(seconds=seconds)

    async def call(
        self, plugin: AnyPlugin, inputs: Mapping[str, JsonValue], *, sent_before: bool = False
    ) -> StepResult:
        """Take the first step; with `sent_before`, as after a crash that lost its answer."""
        message = self._message(plugin, inputs, "call")
        return await self._step(plugin, message, sent_before=sent_before)

    async def poll(
        self,
        plugin: AnyPlugin,
        inputs: Mapping[str, JsonValue],
        handle: JsonValue,
        outputs: Mapping[str, JsonValue] | None = None,
    ) -> StepResult:
        """Look once at the work behind `handle`; `outputs` are those known so far."""
        message = self._message(plugin, inputs, "poll")
        update = {"handle": handle, "outputs": dict(outputs or {})}
        return await self._step(plugin, message.model_copy(update=update))

    async def callback(
        self,
        plugin: AnyPlugin,
        inputs: Mapping[str, JsonValue],
        data: JsonValue,
        outputs: Mapping[str, JsonValue] | None = None,
        handle: JsonValue = None,
    ) -> StepResult:
        """Call back with `data`; `outputs` and `handle` are those known so far."""
        message = self._message(plugin, inputs, "callback")
        update = {"data": data, "outputs": dict(outputs or {}), "handle": handle}
        return await self._step(plugin, message.model_copy(update=update))

    async def stop(
        self, plugin: AnyPlugin, inputs: Mapping[str, JsonValue], handle: JsonValue
    ) -> StepResult:
        """Ask the plugin to stop the work behind `handle`."""
        message = self._message(plugin, inputs, "stop")
        return await self._step(plugin, message.model_copy(update={"handle": handle}))

    async def run(
        self,
        plugin: AnyPlugin,
        inputs: Mapping[str, JsonValue],
        callbacks: Sequence[JsonValue] = (),
    ) -> Done | Failed | Waiting:
        """Take steps until the plugin has ended, handing over `callbacks` in order.

        Returns `Waiting` when it waits for a callback that the test does not give.

        Raises:
            AssertionError: when it has not ended after `MAX_STEPS` steps.
        """
        left = list(callbacks)
        message = self._message(plugin, inputs, "call")
        failures = 0
        for _ in range(MAX_STEPS):
            result = await self._step(plugin, message)
            if isinstance(result, Done | Failed) or (isinstance(result, Waiting) and not left):
                return result
            failures = failures + 1 if _has_failed(result) else 0
            if isinstance(result, TryAgain) and failures >= most_failures(message):
                return Failed(error=given_up(result, failures), outputs=dict(result.outputs))
            self.wait(_pause_s(result, failures))
            message = message.model_copy(update=_next_step(result, left))
        raise AssertionError(f"{plugin!r} has not ended after {MAX_STEPS} steps")

    async def look_up(self, variable: LazyVariable, value: JsonValue) -> JsonValue:
        """Return what a lazy variable makes of its rendered `value`.

        Raises:
            PluginError: the variable says no.
        """
        lookup = Lookup(
            value=value,
            context=self._context,
            http=self._http,
            shelf=self._shelf,
            now=lambda: self._now,
            place={"variable": variable.code},
        )
        return await variable.look_up(lookup)

    async def _step(
        self, plugin: AnyPlugin, message: PluginCall, *, sent_before: bool = False
    ) -> StepResult:
        ports = Ports(self._http, self._shelf, lambda: self._now, self.progress.append)
        return await take_step(plugin, message, ports, sent_before=sent_before)

    def _message(
        self,
        plugin: AnyPlugin,
        inputs: Mapping[str, JsonValue],
        step: Literal["call", "poll", "callback", "stop"],
    ) -> PluginCall:
        return PluginCall(
            step=step,
            plugin=plugin.ref,
            run="rehearsal",
            node="node",
            entry=1,
            name=plugin.name,
            inputs=dict(inputs),
            context=self._context,
        )

    def _recorded(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        return self._answer(request)


def _has_failed(result: StepResult) -> bool:
    return isinstance(result, TryAgain) and result.kind != "still_running"


def _pause_s(result: StepResult, failures: int) -> float:
    match result:
        case Polling():
            return result.after_s
        case TryAgain():
            return delay_s(result, failures)
        case _:
            return 0


def _next_step(result: StepResult, callbacks: list[JsonValue]) -> dict[str, object]:
    """Return what is new in the message of the step that follows `result`."""
    match result:
        case Polling():
            return {"step": "poll", "handle": result.handle, "outputs": result.outputs}
        case Waiting():
            known = {"handle": result.handle, "outputs": result.outputs}
            return {"step": "callback", "data": callbacks.pop(0), **known}
        case TryAgain(kind="still_running"):
            return {"handle": result.handle, "outputs": dict(result.outputs)}
        case _:
            return {}
