"""The stage of a plugin's test: no server, no network, no wait.

A `Stage` is everything around a plugin: an outside that is a function from request to response,
a clock that moves only when a step says how long to wait, and the context of a run.

    async with Stage(answer) as stage:
        outcome = await stage.run(my_plugin, {"host": "web-1"})
    assert outcome == Done(outputs={"job": 7})
    assert stage.elapsed_s == 10

What a plugin may raise ends in the same outcome here as in a run: both use `activities.steps`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
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
from activities.steps import Ports, StepResult, TryAgain, take_step
from activities.testing.recording import Recording
from activities.walk import Answered, walk

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
    long it would have taken, by the delays it asked for.

    Args:
        answer: what answers requests: a function, or a `Recording` of the real service.
        context: what the run tells its plugins, such as `operator`.
        settings: the plugins' tables of the workers' settings.
        start: what the clock shows at first.
    """

    def __init__(
        self,
        answer: Answer | Recording = _no_outside,
        *,
        context: Mapping[str, JsonValue] | None = None,
        settings: Mapping[str, Mapping[str, JsonValue]] | None = None,
        start: datetime = START,
    ) -> None:
        self.requests: list[httpx.Request] = []
        self.progress: list[Mapping[str, JsonValue]] = []
        self._recording = answer if isinstance(answer, Recording) else None
        self._outside = answer if isinstance(answer, Recording) else httpx.MockTransport(answer)
        self._context = dict(context or {"operator": "tester"})
        self._start = self._now = start
        self._http = create_client(transport=_Noting(self._outside, self.requests))
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
        if self._recording is not None and kind is None:
            self._recording.end()

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

        async def step(message: PluginCall) -> StepResult:
            return await self._step(plugin, message)

        guide = _Rehearsal(step, self._pause, callbacks)
        return await walk(self._message(plugin, inputs, "call"), guide)

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
        if self._recording is not None:
            for name in plugin.traits.secrets:
                self._recording.remember(message.inputs.get(name))
        ports = Ports(self._http, self._shelf, lambda: self._now, self.progress.append)
        return await take_step(plugin, message, ports, sent_before=sent_before)

    async def _pause(self, seconds: float) -> None:
        """Move the clock on; while a real service is recorded, its work takes its time."""
        self.wait(seconds)
        if self._recording is not None and self._recording.is_new:
            await asyncio.sleep(seconds)

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


class _Rehearsal:
    """Takes the steps on a stage, and hands over a test's callbacks in order."""

    def __init__(
        self,
        step: Callable[[PluginCall], Awaitable[StepResult]],
        pause: Callable[[float], Awaitable[None]],
        callbacks: Sequence[JsonValue],
    ) -> None:
        self._step = step
        self._pause = pause
        self._callbacks = list(callbacks)
        self._steps = 0

    async def take(self, message: PluginCall) -> StepResult:
        if self._steps == MAX_STEPS:
            name = f"plugin {message.plugin.code!r} ({message.plugin.version})"
            raise AssertionError(f"{name} has not ended after {MAX_STEPS} steps")
        self._steps += 1
        return await self._step(message)

    async def pause(self, result: Polling | TryAgain, seconds: float) -> None:
        del result
        await self._pause(seconds)

    async def answer(self, waiting: Waiting) -> Answered | None:
        del waiting
        return Answered(self._callbacks.pop(0)) if self._callbacks else None


class _Noting(httpx.AsyncBaseTransport):
    """Notes what is sent, and sends it on."""

    def __init__(self, inner: httpx.AsyncBaseTransport, requests: list[httpx.Request]) -> None:
        self._inner = inner
        self._requests = requests

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self._requests.append(request)
        return await self._inner.handle_async_request(request)

    async def aclose(self) -> None:
        await self._inner.aclose()
