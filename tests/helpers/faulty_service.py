"""An outside service that misbehaves by a seed, and keeps a ledger of the work that it started.

`python -m tests.helpers.faulty_service SEED` serves until it is killed and prints its address. What
befalls a request follows from the seed, from what is asked for which key, and from how often that
was asked before: not from the order in which requests arrive, so that a run can be repeated.

    POST /start   {"key", "once", "callback"}  ->  {"job"}     "once": the same key, the same job
    GET  /job/N                                ->  {"done", "result"}
    POST /stop/N                               ->  {}
    GET  /ledger, /progress, /work?KEY         never misbehave
    GET  /callbacks                            ->  where to call back, with what, the newest last

With `calm` as the last argument nothing befalls anybody.
"""

import asyncio
import contextlib
import hashlib
import json
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Literal, NamedTuple, TypeAlias
from urllib.parse import unquote

import httpx

from tests.helpers.faulty import Exchange, serving

FaultName: TypeAlias = Literal[
    "", "drop_before", "drop_after", "5xx_before", "5xx_after", "gateway_after", "busy", "slow"
]
CallbackFate: TypeAlias = Literal["on_time", "early", "late", "lost", "doubled", "reworded"]

FAULTS: Final[Sequence[tuple[FaultName, float]]] = (
    ("drop_before", 0.03),
    ("drop_after", 0.04),
    ("5xx_before", 0.02),
    ("5xx_after", 0.02),
    ("gateway_after", 0.01),
    ("busy", 0.04),
    ("slow", 0.03),
)
"""How likely each is; a further `UNREAD` of all connections is closed before it is read."""

CALLBACKS: Final[Sequence[tuple[CallbackFate, float]]] = (
    ("lost", 0.10),
    ("doubled", 0.05),
    ("reworded", 0.05),
    ("early", 0.10),
    ("late", 0.10),
)
UNREAD: Final = 0.03
UNKNOWABLE: Final = frozenset(
    {"drop_before", "drop_after", "5xx_before", "5xx_after", "gateway_after"}
)
"""After these nobody but the ledger knows whether the work was started."""

LATE_S: Final = 3.0
SLOW_S: Final = 1.0
MOST_TOLD: Final = 300
TRIES: Final = 20
"""How often a callback is sent to a receiver that does not answer."""


def chance(*what: object) -> float:
    """Return a number from 0 to 1 that follows from `what` alone."""
    digest = hashlib.sha256(repr(what).encode()).digest()
    return int.from_bytes(digest[:6]) / 2**48


def result_of(key: str) -> str:
    """Return what the work for a key comes to."""
    return hashlib.sha256(key.encode()).hexdigest()[:12]


def pick(table: Sequence[tuple[Any, float]], number: float, otherwise: Any) -> Any:
    """Return the entry of a table of likelihoods that a number from 0 to 1 falls on."""
    for name, share in table:
        number -= share
        if number < 0:
            return name
    return otherwise


@dataclass
class Work:
    """A piece of work that was started; several of one key would be the worst that can happen."""

    job: int
    key: str
    ends_at: float
    stopped: bool = False

    @property
    def is_done(self) -> bool:
        return not self.stopped and time.monotonic() >= self.ends_at


@dataclass
class Entry:
    """What the ledger says of one key.

    asked: requests to start it that were read. jobs: what was started for it. answered: requests
    that were answered well. faults: what befell the others. callback: the fate of its callback, ""
    where none was wanted. stops: how often it was to be stopped.
    """

    asked: int = 0
    jobs: list[int] = field(default_factory=list[int])
    answered: int = 0
    faults: list[str] = field(default_factory=list[str])
    callback: str = ""
    stops: int = 0


class Start(NamedTuple):
    """A request to start work."""

    key: str
    once: bool
    callback: str = ""


@dataclass
class Service:
    """The service: what it started, what it did to whom."""

    seed: int
    faulty: bool = True
    work: list[Work] = field(default_factory=list[Work])
    ledger: dict[str, Entry] = field(default_factory=dict[str, Entry])
    counts: Counter[str] = field(default_factory=Counter[str])
    longest_s: float = 1.0
    http: httpx.AsyncClient = field(
        default_factory=lambda: httpx.AsyncClient(trust_env=False, timeout=10)
    )
    callbacks: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    _asked: Counter[str] = field(default_factory=Counter[str])
    _calling: set[asyncio.Task[None]] = field(default_factory=set[asyncio.Task[None]])

    def hangs_up(self) -> bool:
        """Say whether the next connection is closed before it is read."""
        self.counts["connections"] += 1
        unread = self.faulty and chance(self.seed, "unread", self.counts["connections"]) < UNREAD
        self.counts["unread"] += unread
        return unread

    async def serve(self, exchange: Exchange) -> None:
        """Answer one request."""
        path, _, query = exchange.path.partition("?")
        match path.split("/")[1:]:
            case ["start"]:
                await self._start(exchange, Start(**json.loads(exchange.body)))
            case ["job", number]:
                work = self.work[int(number)]
                shown = {"done": work.is_done, "result": result_of(work.key)}
                await self._misbehave(exchange, f"look {work.key}", shown)
            case ["stop", number]:
                await self._stop(exchange, self.work[int(number)])
            case ["ledger"]:
                shown = {key: asdict(entry) for key, entry in self.ledger.items()}
                await _answer(
                    exchange, {"ledger": shown, "goes_on": self._goes_on()} | self._progress()
                )
            case ["progress"]:
                await _answer(exchange, self._progress())
            case ["callbacks"]:
                await _answer(exchange, {"callbacks": self.callbacks[-MOST_TOLD:]})
            case ["work"]:
                await _answer(exchange, asdict(self.ledger.get(unquote(query), Entry())))
            case _:
                await exchange.answer("404 Not Found")

    def _progress(self) -> dict[str, Any]:
        return {"counts": self.counts, "started": len(self.work)}

    def _goes_on(self) -> list[str]:
        return [work.key for work in self.work if not work.stopped and not work.is_done]

    async def _start(self, exchange: Exchange, start: Start) -> None:
        entry = self.ledger.setdefault(start.key, Entry())
        entry.asked += 1
        fault = self._fault(f"start {start.key}")
        if fault in UNKNOWABLE or fault == "busy":
            entry.faults.append(fault)
        if fault not in ("drop_before", "5xx_before", "busy"):
            work = self._do(start, entry)
            if entry.callback == "early":
                await self._call_back(start, work)
            await _answer_as(exchange, fault, {"job": work.job})
        else:
            await _answer_as(exchange, fault, {})
        entry.answered += fault in ("", "slow")

    def _do(self, start: Start, entry: Entry) -> Work:
        """Start the work, or find it where the same key means the same work."""
        if start.once and entry.jobs:
            return self.work[entry.jobs[0]]
        lasts_s = chance(self.seed, "lasts", start.key) * self.longest_s
        work = Work(len(self.work), start.key, time.monotonic() + lasts_s)
        self.work.append(work)
        entry.jobs.append(work.job)
        if start.callback:
            told = {"job": work.job, "result": result_of(work.key)}
            self.callbacks.append({"url": start.callback, "body": told})
            number = chance(self.seed, "callback", start.key) if self.faulty else 1.0
            entry.callback = pick(CALLBACKS, number, "on_time")
            self.counts[f"callback {entry.callback}"] += 1
            if entry.callback == "early":
                work.ends_at = time.monotonic()
            elif entry.callback != "lost":
                late_s = LATE_S if entry.callback == "late" else 0.0
                self._later(start, work, lasts_s + late_s)
        return work

    async def _stop(self, exchange: Exchange, work: Work) -> None:
        self.ledger[work.key].stops += 1
        work.stopped = work.stopped or not work.is_done
        await self._misbehave(exchange, f"stop {work.key}", {})

    async def _misbehave(self, exchange: Exchange, what: str, shown: dict[str, Any]) -> None:
        await _answer_as(exchange, self._fault(what), shown)

    def _fault(self, what: str) -> FaultName:
        """Return what befalls a request, and count it."""
        self._asked[what] += 1
        number = chance(self.seed, what, self._asked[what]) if self.faulty else 1.0
        fault: FaultName = pick(FAULTS, number, "")
        self.counts[fault or "answered"] += 1
        return fault

    # --- callbacks ---

    def _later(self, start: Start, work: Work, after_s: float) -> None:
        task = asyncio.ensure_future(self._call_back(start, work, after_s))
        self._calling.add(task)
        task.add_done_callback(self._calling.discard)

    async def _call_back(self, start: Start, work: Work, after_s: float = 0) -> None:
        await asyncio.sleep(after_s)
        if work.stopped:
            return
        fate = self.ledger[start.key].callback
        body = {"job": work.job, "result": result_of(work.key)}
        await self._post(start.callback, body)
        if fate == "doubled":
            await self._post(start.callback, body)
        if fate == "reworded":
            await self._post(start.callback, body | {"again": True})

    async def _post(self, url: str, body: dict[str, Any]) -> None:
        """Post until somebody takes it, as an outside does that means well."""
        for _ in range(TRIES):
            with contextlib.suppress(httpx.HTTPError):
                answer = await self.http.post(url, json=body)
                if answer.status_code < 500:
                    self.counts[f"callback answered {answer.status_code}"] += 1
                    return
            await asyncio.sleep(0.5)
        self.counts["callback not delivered"] += 1


async def _answer(exchange: Exchange, shown: dict[str, Any]) -> None:
    await exchange.answer("200 OK", json.dumps(shown), content_type="application/json")


async def _answer_as(exchange: Exchange, fault: FaultName, shown: dict[str, Any]) -> None:
    """Answer well, or as the fault has it; to say nothing closes the connection."""
    match fault:
        case "drop_before" | "drop_after":
            return
        case "5xx_before" | "5xx_after":
            await exchange.answer("500 Internal Server Error")
        case "gateway_after":
            await exchange.answer("502 Bad Gateway")
        case "busy":
            await exchange.answer("503 Service Unavailable", retry_after="1")
        case "slow" | "":
            await asyncio.sleep(SLOW_S if fault else 0)
            await _answer(exchange, shown)


def end_with_parent() -> None:
    """End this process when whoever started it is gone: our input is then at its end."""

    def wait() -> None:
        sys.stdin.read()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def say(line: str) -> None:
    """Tell our parent one line; what is said later, by libraries too, goes to the log."""
    print(line, flush=True)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())


async def main(seed: int, longest_s: float, *, faulty: bool = True) -> None:
    """Serve two doors to one service: the first misbehaves, the second is for those who look."""
    end_with_parent()
    service = Service(seed, faulty, longest_s=longest_s)
    async with (
        serving(service.serve, before=service.hangs_up) as door,
        serving(service.serve) as back_door,
    ):
        say(f"{door.url} {back_door.url}")
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), float(sys.argv[2]), faulty=sys.argv[-1] != "calm"))
