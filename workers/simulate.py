"""A run without a server: the Machine with a virtual clock and stand-ins for the plugins.

The same interpreter that runs in Temporal, so what a rehearsal shows is what a run does. Nothing
here opens a socket.
"""

import heapq
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeAlias, assert_never

from pydantic import JsonValue

from activities.contract import Outcome
from translator.plan import ROOT, NodePath, VariableKey, part_of
from workflows.machine.core import Observer, is_system
from workflows.machine.events import (
    CancelNode,
    ChildChanged,
    ChildEnded,
    ChildStarted,
    Command,
    CutShort,
    Evaluate,
    Evaluated,
    Event,
    Finish,
    LeaveChild,
    Report,
    RunTask,
    SetTimer,
    StartChild,
    TaskEnded,
    TellChild,
    TimerFired,
    Trace,
    Verb,
    WatchChild,
)
from workflows.machine.machine import Given, Machine
from workflows.messages import Parent
from workflows.reporting import report_of

Answerable: TypeAlias = RunTask | Evaluate | SetTimer | Report
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


@dataclass(slots=True)
class Child:
    """The run of its own that a node has started, and what was told of it last."""

    entry: int
    run: "VirtualRun"
    told: object = None


class VirtualRun:
    """Carries out a Machine's commands in virtual time, one at a time, always in the same order.

    A child is another one, in `children` by the path of the node that started it; the clock is one.
    """

    def __init__(
        self, machine: Machine, perform: Perform, resolve: Resolve, *, now: float = 0
    ) -> None:
        self.machine = machine
        self.now = now
        self.finish: Finish | None = None
        self.jobs: list[Job] = []
        self.children: dict[NodePath, Child] = {}
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
        known = [self.jobs[0].due] if self.jobs else []
        known += [due for held in self.children.values() if (due := held.run.next_due) is not None]
        return min(known, default=None)

    @property
    def clock(self) -> float:
        """The time of day, here and in the children."""
        return max([self.now, *(held.run.clock for held in self.children.values())])

    def family(self, at: NodePath = ROOT) -> Iterator[tuple[NodePath, "VirtualRun"]]:
        """Yield this run and those of its children, with the path of the node each stands for."""
        yield at, self
        for path, held in self.children.items():
            yield from held.run.family(_join(at, path))

    @property
    def in_step(self) -> bool:
        """Say whether the branch that was answered last goes on by itself right now."""
        return bool(self.jobs) and self.jobs[0].rank == 0 and self.jobs[0].due <= self.now

    async def step(self, during: Callable[[RunTask], None] | None = None) -> bool:
        """Answer the next job, moving the clock to it; False when there is none.

        `during` is told of a plugin's step after it has worked and before its answer counts.
        """
        if (held := self._earlier_child()) is not None:
            await self.children[held].run.step(during)
            self.now = self.clock
            self._hear(held)
            return True
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
            case ChildStarted() | ChildChanged() | ChildEnded():
                return command
            case _:
                assert_never(command)

    def _take(self, commands: Iterable[Command]) -> None:
        for command in commands:
            self._do(command)

    def _do(self, command: Command) -> None:
        match command:
            case RunTask():
                self._add(self.now + command.after_s, command)
            case Evaluate():
                self._add(self.now, command)
            case SetTimer():
                self._add(command.at, command)
            case CancelNode():
                self._drop(command.path, command.entry)
            case CutShort():
                pass  # here each node is called in its turn
            case StartChild() | TellChild() | LeaveChild() | WatchChild():
                self._do_for_child(command)
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
            or isinstance(job.command, ChildStarted | ChildChanged | ChildEnded)
        ]
        heapq.heapify(kept)
        self.jobs = kept

    # --- children ---

    def _earlier_child(self) -> NodePath | None:
        """Return the child in which the next thing happens, None where it happens here."""
        dues = {
            path: due for path, c in self.children.items() if (due := c.run.next_due) is not None
        }
        first = min(dues, key=lambda path: dues[path], default=None)
        if first is None or (self.jobs and self.jobs[0].due <= dues[first]):
            return None
        return first

    def _do_for_child(self, command: StartChild | TellChild | LeaveChild | WatchChild) -> None:
        held = self.children.get(command.path)
        match command:
            case StartChild():
                self._start_child(command)
            case TellChild():
                if held is not None:
                    held.run.now = self.now
                    held.run.operate(command.verb)
                    self._hear(command.path)
            case LeaveChild():
                self.children.pop(command.path, None)
            case WatchChild():
                pass  # a child is never out of sight here
            case _:
                assert_never(command)

    def _start_child(self, command: StartChild) -> None:
        """Begin a child; what it shares with its parent is what the system gives."""
        path, parent = command.path, self.machine
        machine = Machine(
            part_of(parent.plan, path),
            parent.core.settings,
            observer=_seen_from(parent.core.observer, path),
        )

        async def perform(step: RunTask) -> Outcome:
            return await self._perform(step._replace(path=_join(path, step.path)))

        async def resolve(asked: Evaluate) -> Evaluated:
            answer = await self._resolve(asked._replace(path=_join(path, asked.path)))
            return answer._replace(path=asked.path)

        run = VirtualRun(machine, perform, resolve, now=self.now)
        self.children[path] = Child(command.entry, run)
        run.begin(_given_to(machine, parent, dict(command.values)))
        self._add(self.now, ChildStarted(path, command.entry, path))
        run.go()
        self._hear(path)

    def _hear(self, path: NodePath) -> None:
        """Take up what is new of a child."""
        held = self.children.get(path)
        if held is None:
            return
        parent = Parent(run="", node=path, entry=held.entry, part=path)
        report = report_of(parent, held.run.machine, held.run.finish, path)
        event = report.event()
        if event is not None and event != held.told:
            held.told = event
            self._add(self.now, event)
        if report.over:
            del self.children[path]


def _given_to(machine: Machine, parent: Machine, values: dict[VariableKey, JsonValue]) -> Given:
    state, declared = parent.state, machine.plan.flow.variables
    system = {
        k: v for k, v in state.inherited.items() if k not in declared or is_system(declared[k])
    }
    return Given(
        variables={**system, **values},
        inherited=state.inherited,
        context=state.context,
        fail_fast=state.fail_fast,
        strict=state.strict,
    )


def _seen_from(observer: Observer | None, path: NodePath) -> Observer | None:
    """Return who is told of a child's nodes by their paths in the parent; its flow is no node."""
    if observer is None:
        return None

    def told(seen: Trace) -> None:
        if seen.path:
            observer(seen._replace(path=_join(path, seen.path)))

    return told


def _join(at: NodePath, path: NodePath) -> NodePath:
    return f"{at}/{path}" if at and path else at or path
