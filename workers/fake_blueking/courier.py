"""Sends the platform's callbacks when they are due, as JOB and ITSM send them."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable
from contextlib import asynccontextmanager
from typing import Final

import httpx

from workers.fake_blueking.asked import Json
from workers.fake_blueking.platform import Platform, Telling

_ANSWER_S: Final = 10.0
_LONGEST_SLEEP_S: Final = 1.0
_GOOD: Final = 200
_RUNNING: Final = 2


class Courier:
    """Delivers callbacks for as long as `running` lasts."""

    def __init__(self, platform: Platform) -> None:
        self._platform: Final = platform
        self._woken: Final = asyncio.Event()
        self._on_their_way: set[asyncio.Task[None]] = set()

    def wake(self) -> None:
        """Look anew at what is due."""
        self._woken.set()

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Deliver what is due for as long as the context lasts."""
        async with httpx.AsyncClient(trust_env=False, timeout=_ANSWER_S) as http:
            going = asyncio.create_task(self._go(http))
            try:
                yield
            finally:
                ending = (going, *self._on_their_way)
                for task in ending:
                    task.cancel()
                await asyncio.gather(*ending, return_exceptions=True)

    async def _go(self, http: httpx.AsyncClient) -> None:
        while True:
            self._woken.clear()
            for telling in self._platform.due():
                task = asyncio.create_task(self._tell(http, telling))
                self._on_their_way.add(task)
                task.add_done_callback(self._on_their_way.discard)
            try:
                async with asyncio.timeout(self._pause_s()):
                    await self._woken.wait()
            except TimeoutError:
                continue

    def _pause_s(self) -> float:
        at = self._platform.next_due()
        left = _LONGEST_SLEEP_S if at is None else at - self._platform.world.clock()
        return min(max(left, 0), _LONGEST_SLEEP_S)

    async def _tell(self, http: httpx.AsyncClient, telling: Telling) -> None:
        """Send a callback, as often as its fault says."""
        fault = self._platform.fault_of(telling)
        kind = fault.kind if fault is not None else ""
        if kind == "lost":
            return
        if kind == "early":
            await _send(http, telling, {**telling.body, "status": _RUNNING})
        for _ in range(2 if kind == "twice" else 1):
            await _send(http, telling, telling.body)


async def _send(http: httpx.AsyncClient, telling: Telling, body: Json) -> None:
    """Send a callback as JSON; JOB sends it once more as a form where that is not answered 200."""
    if await _is_taken(http.post(telling.url, json=body)) or telling.api != "callback.job":
        return
    fields = {key: str(value) for key, value in body.items()}
    await _is_taken(http.post(telling.url, data=fields))


async def _is_taken(sending: Awaitable[httpx.Response]) -> bool:
    try:
        return (await sending).status_code == _GOOD
    except httpx.HTTPError:
        return False
