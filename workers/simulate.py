"""A run without a server: the Machine with a virtual clock and stand-ins for the plugins.

The same interpreter that runs in Temporal, so what a rehearsal shows is what a run does. Nothing
here opens a socket.
"""

import heapq
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import TypeAlias, assert_never

from activities.contract import Outcome
from translator.plan import NodePath
from workflows.machine.events import (
    CancelNode,
    Command,
    Evaluate,
    Evaluated,
    Event,
    Finish,
    RunTask,
    SetTimer,
    TaskEnded,
    TimerFired,
    Verb,
)
from workflows.machine.machine import Given, Machine

Answerable: TypeAlias = RunTask | Evaluate | SetTimer
Perform: TypeAlias = Callable[[RunTask], Awaitable[Outcome]]
Resolve: TypeAlias = Callable[[Evaluate], Awaitable[Evaluated]]


@dataclass(order=True, slots=True)
class Job:
    """Something that will be answered at `due` (virtual seconds since the epoch).

    What goes on in the branch that was just answered comes before what starts elsewhere.
    """

    due: float
    rank: int
    number: int
    command: Answerable = field(compare=False)


class VirtualRun:
    """Carries out a Machine's commands in virtual time, one at a time, always in the same order."""

    def __init__(
        self, machine: Machine, perform: Perform, resolve: Resolve, *, now: float = 0
    ) -> None:
        self.machine = machine
        self.now = now
        self.finish: Finish | None = None
        self.jobs: list[Job] = []
        self._perform = perform
        self._resolve = resolve
        self._count = 0
        self._branch = ""

    def begin(self, given: Given) -> None:
        """Accept the run; nothing is entered yet."""
        self.machine.begin(self.now, given)

    def go(self) -> None:
        """Let the tokens move."""
        self._branch = "0"
        self._take(self.machine.go(self.now))

    def operate(self, verb: Verb) -> None:
        """Carry out a verb."""
        self._branch = ""
        self._take(self.machine.handle(verb, self.now))

    @property
    def next_due(self) -> float | None:
        """When the next thing happens by itself, None when nothing will."""
        return self.jobs[0].due if self.jobs else None

    @property
    def in_step(self) -> bool:
        """Say whether the branch that was answered last goes on by itself right now."""
        return bool(self.jobs) and self.jobs[0].rank == 0 and self.jobs[0].due <= self.now

    async def step(self, during: Callable[[RunTask], None] | None = None) -> bool:
        """Answer the next job, moving the clock to it; False when there is none.

        `during` is told of a plugin's step after it has worked and before its answer counts.
        """
        if not self.jobs:
            return False
        job = heapq.heappop(self.jobs)
        self.now = max(self.now, job.due)
        event = await self._answer(job.command)
        if during is not None and isinstance(job.command, RunTask):
            during(job.command)
        live = self.machine.state.live.get(job.command.path)
        self._branch = live.token if live else ""
        self._take(self.machine.handle(event, self.now))
        return True

    async def run(self, limit: int = 1_000_000) -> None:
        """Answer jobs until nothing happens by itself any more."""
        for _ in range(limit):
            if not await self.step():
                return

    async def _answer(self, command: Answerable) -> Event:
        match command:
            case RunTask():
                return TaskEnded(command.path, command.entry, await self._perform(command))
            case Evaluate():
                return await self._resolve(command)
            case SetTimer():
                return TimerFired(command.path, command.entry, command.kind)
            case _:
                assert_never(command)

    def _take(self, commands: Iterable[Command]) -> None:
        for command in commands:
            match command:
                case RunTask():
                    self._add(self.now + command.after_s, command)
                case Evaluate():
                    self._add(self.now, command)
                case SetTimer():
                    self._add(command.at, command)
                case CancelNode():
                    self._drop(command.path, command.entry)
                case Finish():
                    self.finish = command
                    self.jobs.clear()
                case _:
                    assert_never(command)

    def _add(self, due: float, command: Answerable) -> None:
        self._count += 1
        live = self.machine.state.live.get(command.path)
        same_branch = live is not None and live.token == self._branch
        goes_on = same_branch and not isinstance(command, SetTimer)
        starts = isinstance(command, Evaluate) or (
            isinstance(command, RunTask) and command.step == "call"
        )
        rank = 0 if goes_on and starts else 1
        heapq.heappush(self.jobs, Job(due, rank, self._count, command))

    def _drop(self, path: NodePath, entry: int) -> None:
        kept = [
            job
            for job in self.jobs
            if (job.command.path, job.command.entry) != (path, entry)
            or (isinstance(job.command, RunTask) and job.command.step == "stop")
        ]
        heapq.heapify(kept)
        self.jobs = kept
