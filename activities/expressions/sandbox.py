"""The sandbox: expressions run in a pool of separate processes, with limits.

A fragment that fails, is forbidden or names something unknown stays as it was written, as in the
real engine. What the engine would not survive (endless work, endless memory) is an EvaluationError.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, NamedTuple, Self, TypeVar, assert_never

from pydantic import JsonValue
from pydantic_monty import Monty, MontyCrashedError, MontyError, MontySyntaxError, OSPolicy
from pydantic_monty import ResourceLimits as MontyLimits

from activities.contract import Unresolved
from activities.expressions.filling import Known, evaluated, filled
from activities.expressions.filters import filtered
from activities.expressions.program import Piece, piece, program, variable_name
from activities.expressions.text_codecs import FUNCTIONS
from translator.plan import Value, Variable
from translator.values import MODULES, check, classify, source

Lazy = Callable[[str, JsonValue], Awaitable[JsonValue]]
"""Computes a lazy variable from its code and rendered value."""

_T = TypeVar("_T")
_SHOWN: Final = 80
_EXHAUSTED: Final = frozenset({"MemoryError", "TimeoutError"})


class EvaluationError(Exception):
    """A value cannot be had; the text is for a person and names what failed and why."""


class Limits(NamedTuple):
    """What one evaluation in the sandbox may use; `text` bounds a fragment's result."""

    seconds: float = 0.5
    memory_bytes: int = 64 * 1024 * 1024
    depth: int = 200
    text_chars: int = 4_000_000


DEFAULT_LIMITS: Final = Limits()


class Sandbox:
    """Evaluates expressions; one for each worker, an async context manager.

    `timezone` is the IANA name of the zone in which templates read the clock.
    """

    def __init__(
        self,
        *,
        timezone: str = "Asia/Shanghai",
        limits: Limits = DEFAULT_LIMITS,
        processes: int | None = None,
    ) -> None:
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
        self._pool = Monty(max_processes=size, request_timeout=limits.seconds * 4 + 2)

    async def __aenter__(self) -> Self:
        await self._in_thread(self._pool.__enter__)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._in_thread(self._pool.__exit__, None, None, None)
        self._threads.shutdown()

    async def evaluate(
        self, unresolved: Unresolved, lazy: Lazy | None = None
    ) -> dict[str, JsonValue]:
        """Resolve the values by name; each variable is rendered once, before those that read it.

        Raises:
            EvaluationError: a lazy variable fails, or an expression exceeds a limit.
        """
        known = Known()
        for key, variable in unresolved.variables.items():
            await self._add(key, variable, known, lazy)
        names, values = list(unresolved.values), list(unresolved.values.values())
        return dict(zip(names, await self._resolve(values, known), strict=True))

    async def render(
        self,
        value: JsonValue,
        context: Mapping[str, JsonValue],
        modules: Collection[str] = MODULES,
    ) -> JsonValue:
        """Render one template value by the engine's rules, with the variables of `context`.

        Raises:
            EvaluationError: an expression exceeds a limit.
        """
        known = Known(modules=frozenset(modules))
        for key, given in context.items():
            known.add(key, given)
        return (await self._resolve([classify(value, context)], known))[0]

    async def _add(self, key: str, variable: Variable, known: Known, lazy: Lazy | None) -> None:
        match variable.kind:
            case "output":
                return  # no value yet: references to it stay text
            case "plain":
                known.add(key, source(variable.value))
            case "splice":
                known.add(key, (await self._resolve([variable.value], known))[0])
            case "lazy":
                rendered = (await self._resolve([variable.value], known))[0]
                known.add(key, await _computed(variable, rendered, lazy), computed=True)
            case _:
                assert_never(variable.kind)

    async def _resolve(self, values: list[Value], known: Known) -> list[JsonValue]:
        wanted = dict.fromkeys(inside for value in values for inside in evaluated(value, known))
        texts = await self._texts(list(wanted), known) if wanted else {}
        return [filled(value, known, texts) for value in values]

    async def _texts(self, wanted: list[str], known: Known) -> dict[str, str]:
        """Return the texts of the fragments that have one, by what stands inside."""
        usable = [inside for inside in wanted if _is_usable(inside, known)]
        results = {inside: "" for inside in usable if check(inside).expression is None}
        pieces = {inside: piece(inside, known.values, known.objects) for inside in usable}
        ready = {inside: found for inside, found in pieces.items() if found is not None}
        found = await self._run_all(ready, known) if ready else {}
        results |= {inside: text for inside, text in found.items() if text is not None}
        return {inside: filtered(text, check(inside).filters) for inside, text in results.items()}

    async def _run_all(self, ready: Mapping[str, Piece], known: Known) -> dict[str, str | None]:
        """Run all fragments at once; one by one when the program as a whole does not end."""
        if len(ready) > 1:
            try:
                outcomes = await self._run(list(ready.values()), known)
            except MontyError:
                outcomes = None
            if outcomes is not None and all(reason not in _EXHAUSTED for _, reason in outcomes):
                return {
                    inside: self._text(inside, text, reason)
                    for inside, (text, reason) in zip(ready, outcomes, strict=True)
                }
        return {inside: await self._run_one(inside, ready[inside], known) for inside in ready}

    async def _run_one(self, inside: str, alone: Piece, known: Known) -> str | None:
        for last in (False, True):
            try:
                ((text, reason),) = await self._run([alone], known)
            except MontyCrashedError as crash:
                if last:  # once may be bad luck: a process can be killed from outside
                    raise EvaluationError(_says(inside, f"ended its sandbox: {crash}")) from None
            except MontySyntaxError:
                return None
            except MontyError as failure:
                return self._text(inside, "", type(failure.exception()).__name__)
            else:
                return self._text(inside, text, reason)
        return None

    async def _run(self, pieces: list[Piece], known: Known) -> list[tuple[str, str]]:
        """Run one program in a fresh session; for each piece its text, or what it raised."""
        needed = frozenset[str]().union(*(p.variables for p in pieces))
        inputs = {variable_name(key): known.values[key] for key in needed}
        return await self._in_thread(self._fed, program(pieces), inputs)

    def _fed(self, code: str, inputs: dict[str, Any]) -> list[tuple[str, str]]:
        with self._pool.checkout(limits=self._bounds, os_policy=self._policy) as session:
            return session.feed_run(code, inputs=inputs, external_lookup=dict(FUNCTIONS))

    async def _in_thread(self, call: Callable[..., _T], *arguments: Any) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, call, *arguments)

    def _text(self, inside: str, text: str, reason: str) -> str | None:
        """Return a fragment's text, None when it failed; raise when it exceeded a limit."""
        if reason == "TimeoutError":
            raise EvaluationError(_says(inside, f"took over {self._limits.seconds} s"))
        if reason == "MemoryError":
            size = self._limits.memory_bytes // (1024 * 1024)
            raise EvaluationError(_says(inside, f"took over {size} MiB of memory"))
        if len(text) > self._limits.text_chars:
            size = self._limits.text_chars
            raise EvaluationError(_says(inside, f"gave a text of over {size} characters"))
        return None if reason else text


async def _computed(variable: Variable, rendered: JsonValue, lazy: Lazy | None) -> JsonValue:
    if lazy is None:
        raise EvaluationError(
            f"variable {variable.key!r} is computed by {variable.code!r}, which is not at hand here"
        )
    try:
        return await lazy(variable.code, rendered)
    except Exception as failure:
        # Whatever a plugin raises is its answer, and a node's error, never the sandbox's fault.
        what = str(failure) or type(failure).__name__
        raise EvaluationError(f"variable {variable.key!r}: {what}") from failure


def _is_usable(inside: str, known: Known) -> bool:
    checked = check(inside)
    return not checked.problem and not checked.unknown(known.values, known.modules)


def _says(inside: str, what: str) -> str:
    shown = inside if len(inside) <= _SHOWN else inside[: _SHOWN - 3] + "..."
    return f"the expression '${{{shown}}}' {what}; make it do less, or compute it in a node"
