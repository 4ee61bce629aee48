"""Runs programs in a pool of separate processes, with limits on time, memory, depth and size."""

import asyncio
import os
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, NamedTuple, TypeVar

from pydantic import JsonValue
from pydantic_monty import Monty, MontyCrashedError, MontyError, MontySyntaxError, OSPolicy
from pydantic_monty import ResourceLimits as MontyLimits

from activities.expressions.program import Piece, program, variable_name
from activities.expressions.text_codecs import FUNCTIONS

_T = TypeVar("_T")
_EXHAUSTED: Final = frozenset({"MemoryError", "TimeoutError"})
_MESSAGE_CHARS: Final = 300


class Limits(NamedTuple):
    """What one evaluation in the sandbox may use; `text_chars` bounds a fragment's result."""

    seconds: float = 0.5
    memory_bytes: int = 64 * 1024 * 1024
    depth: int = 200
    text_chars: int = 4_000_000


class Outcome(NamedTuple):
    """What a fragment gave: its text, or the name and the message of what it raised."""

    text: str = ""
    failure: str = ""
    message: str = ""


class ExceededError(Exception):
    """A fragment did more than it may; `inside` says which, the text what it did."""

    def __init__(self, inside: str, what: str) -> None:
        super().__init__(what)
        self.inside = inside


class Runner:
    """The pool of sandbox processes; one for each worker. `timezone` is where clocks are read."""

    def __init__(self, timezone: str, limits: Limits, processes: int | None) -> None:
        self._limits = limits
        self._policy = OSPolicy(timezone=timezone, sleep="zero")
        self._bounds = MontyLimits(
            max_feed_duration_secs=limits.seconds,
            max_memory=limits.memory_bytes,
            max_recursion_depth=limits.depth,
        )
        size = processes or min(4, os.cpu_count() or 1)
        # Threads and the blocking pool: the asyncio pool aborts an interpreter that exits soon
        # after it was closed, and is slower.
        self._threads = ThreadPoolExecutor(size, thread_name_prefix="sandbox")
        # What cannot be interrupted, such as one huge multiplication, is ended from outside.
        self._killed_after = limits.seconds * 2 + 1
        self._pool = Monty(max_processes=size, request_timeout=self._killed_after)

    async def open(self) -> None:
        """Start the pool."""
        await self._in_thread(self._pool.__enter__)

    async def close(self) -> None:
        """End the pool and its processes."""
        await self._in_thread(self._pool.__exit__, None, None, None)
        self._threads.shutdown()

    async def run(
        self, ready: Mapping[str, Piece], values: Mapping[str, JsonValue]
    ) -> dict[str, Outcome]:
        """Run fragments at once; one by one when the program as a whole does not end.

        Raises:
            ExceededError: one of them exceeds a limit.
        """
        if len(ready) > 1:
            try:
                outcomes = await self._run(list(ready.values()), values)
            except MontyError:
                outcomes = []
            if outcomes and all(outcome.failure not in _EXHAUSTED for outcome in outcomes):
                found = dict(zip(ready, outcomes, strict=True))
                return {inside: self._bounded(inside, each) for inside, each in found.items()}
        return {inside: await self._run_one(inside, ready[inside], values) for inside in ready}

    async def _run_one(self, inside: str, alone: Piece, values: Mapping[str, JsonValue]) -> Outcome:
        for last in (False, True):
            start = time.monotonic()
            try:
                outcomes = await self._run([alone], values)
            except MontyCrashedError as crash:
                if time.monotonic() - start >= self._killed_after:
                    raise ExceededError(inside, f"took over {self._killed_after} s") from None
                if last:  # once may be bad luck: a process can be killed from outside
                    raise ExceededError(inside, f"ended its sandbox: {crash}") from None
            except MontySyntaxError as failure:
                return _failed("SyntaxError", failure)
            except MontyError as failure:
                kind = type(failure.exception()).__name__
                return self._bounded(inside, _failed(kind, failure))
            else:
                return self._bounded(inside, outcomes[0])
        return Outcome(failure="RuntimeError")

    async def _run(self, pieces: Sequence[Piece], values: Mapping[str, JsonValue]) -> list[Outcome]:
        """Run one program in a fresh session; nothing of it is left to the next one."""
        needed = frozenset[str]().union(*(p.variables for p in pieces))
        inputs = {variable_name(key): values[key] for key in needed}
        rows = await self._in_thread(self._fed, program(pieces), inputs)
        return [Outcome(*row) for row in rows]

    def _fed(self, code: str, inputs: dict[str, Any]) -> list[tuple[str, str, str]]:
        with self._pool.checkout(limits=self._bounds, os_policy=self._policy) as session:
            return session.feed_run(code, inputs=inputs, external_lookup=dict(FUNCTIONS))

    async def _in_thread(self, call: Callable[..., _T], *arguments: Any) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, call, *arguments)

    def _bounded(self, inside: str, outcome: Outcome) -> Outcome:
        """Return the outcome; raise when it says that a limit was exceeded."""
        if outcome.failure == "TimeoutError":
            raise ExceededError(inside, f"took over {self._limits.seconds} s")
        if outcome.failure == "MemoryError":
            size = self._limits.memory_bytes // (1024 * 1024)
            raise ExceededError(inside, f"took over {size} MiB of memory")
        if len(outcome.text) > self._limits.text_chars:
            size = self._limits.text_chars
            raise ExceededError(inside, f"gave a text of over {size} characters")
        return outcome


def _failed(kind: str, failure: MontyError) -> Outcome:
    lines = str(failure).strip().splitlines() or [""]
    return Outcome(failure=kind, message=lines[-1].removeprefix(f"{kind}: ")[:_MESSAGE_CHARS])
