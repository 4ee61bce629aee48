"""A run under test: the Machine, what it waits for from outside, and what must always hold.

`stuck` is the promise that no run is ever without something that can move it.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from pydantic import JsonValue

from activities.contract import Done, Failed, Outcome, RunSettings
from tests.helpers.plans import settings as default_settings
from translator.plan import ROOT, NodePath, Plan, Subflow
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
    ForChild,
    LeaveChild,
    RunTask,
    SetTimer,
    StartChild,
    TaskEnded,
    TellChild,
    TimerFired,
    TimerKind,
    Trace,
    Unstarted,
    Verb,
    VerbName,
    WatchChild,
)
from workflows.machine.machine import Given, Machine
from workflows.machine.state import Live, RunState, Token, dump_state, load_state

Answerable: TypeAlias = RunTask | Evaluate | SetTimer
OVER = ("finished", "failed", "revoked")


def stored(state: RunState) -> dict[str, Any]:
    """The state as it is after a trip through JSON text."""
    return json.loads(json.dumps(dump_state(state)))


class Run:
    """A Machine and what it waits for; `check` is called after everything that happens."""

    def __init__(
        self,
        plan: Plan,
        settings: RunSettings | None = None,
        given: Given = Given(),  # noqa: B008  immutable
        *,
        start: bool = True,
    ) -> None:
        self.plan = plan
        self.settings = settings or default_settings()
        self.now = 1000.0
        self.traces: list[Trace] = []
        self.machine = Machine(plan, self.settings, observer=self.traces.append)
        self.outstanding: list[Answerable] = []
        self.commands: list[Command] = []
        self.started: list[tuple[NodePath, int]] = []
        self.stops: list[RunTask] = []
        self.cut: list[tuple[NodePath, int]] = []
        self.children: dict[NodePath, StartChild] = {}
        self.told: list[tuple[NodePath, str, NodePath]] = []
        self.left: list[NodePath] = []
        self.finish: Finish | None = None
        self.machine.begin(self.now, given)
        if start:
            self.go()

    # --- what happens ---

    def go(self) -> None:
        """Let the tokens move."""
        self.take(self.machine.go(self.now))

    def send(self, event: Event) -> list[Command]:
        """Fold an event and remember what it asks for."""
        self.take(self.machine.handle(event, self.now))
        return self.commands

    def do(self, name: VerbName, node: NodePath = "", **fields: Any) -> str:
        """Carry out a verb; returns the code of its refusal, "" when it was accepted."""
        verb = Verb(name, node, **fields)
        refused = self.machine.refusal(verb, self.now)
        self.send(verb)
        return refused.code if refused else ""

    def answer(self, path: NodePath, outcome: Outcome | None = None) -> list[Command]:
        """Answer the plugin's step that is under way at `path`."""
        step = self.step(path)
        self.outstanding.remove(step)
        return self.send(TaskEnded(path, step.entry, outcome or Done(), step))

    def answer_batch(self, path: NodePath, *outcomes: Outcome) -> list[Command]:
        """Answer the call at `path` and those that travel with it, as far as they were started."""
        step = self.step(path)
        self.outstanding.remove(step)
        return self.send(TaskEnded(path, step.entry, outcomes[0], step, outcomes[1:]))

    def come_back(self, path: NodePath) -> list[Command]:
        """Bring back the call at `path`, which was cut short before anybody began it."""
        step = self.step(path)
        self.outstanding.remove(step)
        self.started.remove((path, step.entry))
        return self.send(Unstarted(path, step.entry))

    def lose(self, path: NodePath, error: str = "broken") -> list[Command]:
        """Let the plugin's step at `path` fail."""
        return self.answer(path, Failed(error=error))

    def resolve(
        self, path: NodePath, values: Mapping[str, JsonValue] | None = None, error: str = ""
    ) -> list[Command]:
        """Answer what was to be evaluated at `path`."""
        asked = self.pending(Evaluate, path)[0]
        self.outstanding.remove(asked)
        return self.send(Evaluated(path, asked.entry, values or {}, error))

    def fire(self, path: NodePath, kind: TimerKind) -> list[Command]:
        """Let the timer of `path` end, the clock moved to it."""
        timer = next(each for each in self.pending(SetTimer, path) if each.kind == kind)
        self.outstanding.remove(timer)
        self.now = max(self.now, timer.at)
        return self.send(TimerFired(path, timer.entry, kind))

    def reload(self) -> list[Command]:
        """Go on from the stored state, as a run that rolls over does; calls go on outside."""
        state = load_state(stored(self.machine.state))
        self.machine = Machine(self.plan, self.settings, state, observer=self.traces.append)
        self.outstanding = [
            each for each in self.outstanding if isinstance(each, RunTask) and each.step != "poll"
        ]
        self.take(self.machine.reissue(self.now))
        return self.commands

    def take(self, commands: Iterable[Command]) -> None:
        """Remember what commands ask for, and check what must always hold."""
        self.commands = list(commands)
        for command in self.commands:
            match command:
                case CancelNode(path, entry):
                    self.outstanding = [
                        each
                        for each in self.outstanding
                        if (each.path, each.entry) != (path, entry)
                    ]
                case Finish():
                    assert self.finish is None, "the run ended twice"
                    self.finish = command
                case CutShort(path, entry):
                    self.cut.append((path, entry))
                case RunTask(step="stop"):
                    self.stops.append(command)
                case StartChild() | TellChild() | LeaveChild() | WatchChild():
                    self._take_for_child(command)
                case _:
                    self._expect(command)
        self.check()

    def _take_for_child(self, command: ForChild) -> None:
        match command:
            case StartChild():
                self.children[command.path] = command
            case TellChild(path, _, verb):
                self.told.append((path, verb.name, verb.node))
            case LeaveChild(path):
                self.left.append(path)
                del self.children[path]
            case WatchChild(path):
                assert path in self.children, f"{path!r} has no child to watch"

    def _expect(self, command: Answerable) -> None:
        """Await a command; of one execution, a plugin does one step at a time."""
        if isinstance(command, RunTask):
            name = (command.path, command.entry)
            steps = [each for each in self.outstanding if isinstance(each, RunTask)]
            for step in steps:
                if (step.path, step.entry) == name:
                    self.outstanding.remove(step)
        self.outstanding.append(command)
        if isinstance(command, RunTask) and command.step == "call":
            execution = (command.path, command.entry)
            assert execution not in self.started, f"{execution} was started twice"
            self.started.append(execution)

    def check(self) -> None:
        """Assert what holds in every reachable state."""
        problem = stuck(self.machine, self.outstanding) or inconsistent(self.machine)
        assert problem is None, problem

    # --- children ---

    def child_starts(self, path: NodePath) -> list[Command]:
        """Let the child of `path` begin."""
        return self.send(
            ChildStarted(path, self.children[path].entry, f"t/{path}", f"page of {path}")
        )

    def child_is(self, path: NodePath, state: Any, error: str = "") -> list[Command]:
        """Let the child of `path` take another state."""
        return self.send(ChildChanged(path, self.children[path].entry, state, error))

    def child_ends(
        self, path: NodePath, outputs: Mapping[str, JsonValue] | None = None, error: str = ""
    ) -> list[Command]:
        """Let the child of `path` end; with an error, badly."""
        return self.send(ChildEnded(path, self.children.pop(path).entry, outputs or {}, error))

    # --- what is seen ---

    @property
    def state(self) -> RunState:
        """The run's state."""
        return self.machine.state

    def status(self, path: NodePath = ROOT) -> str:
        """The status of a node, or of the run."""
        found = self.state.nodes.get(path)
        return found.status if found else "not reached"

    def phase(self, path: NodePath) -> str:
        """The phase of a live node."""
        return self.state.live[path].phase

    def step(self, path: NodePath) -> RunTask:
        """The plugin's step that is under way at `path`."""
        return self.pending(RunTask, path)[-1]

    def pending(self, kind: type[Any], path: NodePath) -> list[Any]:
        """What is awaited for a node, of one kind of command."""
        return [each for each in self.outstanding if isinstance(each, kind) and each.path == path]

    @property
    def calling(self) -> list[NodePath]:
        """The paths of the plugin steps under way, in the order in which they were asked for."""
        return [each.path for each in self.outstanding if isinstance(each, RunTask)]

    @property
    def refusal(self) -> str:
        """What the last entry of the journal was refused with."""
        return self.state.journal[-1].refusal


# --- invariants -------------------------------------------------------------------------------


def stuck(machine: Machine, outstanding: Sequence[Answerable]) -> str | None:
    """Say why a run cannot go on, None when each of its tokens has something that can move it.

    The run is over, or for each token: a command is outstanding, a callback is awaited, a person
    may act on a failed node, somebody may resume what holds it, or its children are under way.
    """
    status = machine.state.nodes[ROOT].status
    if status in OVER:
        return "the run is over and something is under way" if outstanding else None
    if not machine.state.tokens:
        return f"the run is {status} and has no token"
    for token_id, token in machine.state.tokens.items():
        problem = _stuck_token(machine, token_id, token)
        if problem:
            return f"token {token_id} at {token.node!r}: {problem}"
    for path, live in machine.state.live.items():
        problem = _stuck_node(machine, path, live, outstanding)
        if problem:
            return f"{path!r} ({live.phase}, {machine.state.nodes[path].status}): {problem}"
    return None


def _stuck_token(machine: Machine, token_id: str, token: Token) -> str | None:
    core, state = machine.core, machine.state
    if token_id in core.ready:
        return None  # `go` was not called yet
    if token.held_by is not None:
        holder = state.nodes[token.held_by].status
        listed = core.held[token.held_by].count(token_id)
        return None if (holder, listed) == ("suspended", 1) else f"held by what is {holder}"
    if token.pending:
        children = [each for each in state.tokens.values() if each.parent == token_id]
        return None if len(children) == token.pending else f"{len(children)} children"
    live = state.live.get(token.node)
    return None if live is not None and live.token == token_id else "nothing is under way there"


def _stuck_node(
    machine: Machine, path: NodePath, live: Live, outstanding: Sequence[Answerable]
) -> str | None:
    found = machine.state.nodes[path]
    mine = [each for each in outstanding if (each.path, each.entry) == (path, found.entry)]
    timers = {each.kind: each.at for each in mine if isinstance(each, SetTimer)}
    steps = {each.step for each in mine if isinstance(each, RunTask)}
    if live.timeout_at and timers.get("timeout") != live.timeout_at:
        return "its time limit is not watched"
    awaited = {
        "calling": bool(steps & {"call", "callback"}),
        "polling": "poll" in steps,
        "evaluating": any(isinstance(each, Evaluate) for each in mine),
        "sleeping": timers.get("wait") == live.deadline,
        "retrying": timers.get("retry") == live.deadline and found.status == "failed",
        "waiting": machine.refusal(Verb("callback", path), machine.core.now) is None,
        "queued": path in machine.state.queued and not machine.core.has_slot(),
        "inside": found.status == "failed" or _goes_on_inside(machine, path, live),
        "child": live.child is not None and found.status == "running",
    }
    if not awaited[live.phase]:
        return "nothing that it waits for is outstanding"
    waits_for_person = found.status == "failed" and live.phase == "inside"
    return "no verb can move it" if waits_for_person and not _movable(machine, path) else None


def _goes_on_inside(machine: Machine, path: NodePath, live: Live) -> bool:
    inside = machine.state.tokens[live.token].node.startswith(f"{path}/")
    return isinstance(machine.core.place(path).node, Subflow) and inside


def _movable(machine: Machine, path: NodePath) -> bool:
    now = machine.core.now
    ways = {"retry", "skip", "choose", "rerun_from"}
    return bool(ways & {*machine.allowed_on(path, now)}) or "revoke" in machine.allowed_on("", now)


def inconsistent(machine: Machine) -> str | None:
    """Say where the state contradicts itself, None when it does not."""
    core, state = machine.core, machine.state
    calling = [path for path, live in state.live.items() if live.phase == "calling"]
    if state.executing != len(calling):
        return f"executing is {state.executing}, calling are {calling}"
    asleep = [p for p, live in state.live.items() if live.phase == "polling" or live.child]
    if state.polling != len(asleep):
        return f"polling is {state.polling}, asleep are {asleep}"
    waiting = [
        path
        for path, live in state.live.items()
        if state.nodes[path].status == "failed" and live.phase != "retrying"
    ]
    if state.nodes[ROOT].status not in OVER and set(waiting) != set(state.failed):
        return f"failed names {list(state.failed)}, waiting for a person are {waiting}"
    held = {t: token.held_by for t, token in state.tokens.items() if token.held_by is not None}
    listed = {token_id: holder for holder, found in core.held.items() for token_id in found}
    if held != listed:
        return f"held tokens are {held}, the index says {listed}"
    paused = [p for p in core.program.flows if p in state.nodes and _is_paused(state, p)]
    if set(paused) != set(core.paused):
        return f"paused flows are {paused}, the index says {list(core.paused)}"
    lost = [
        p for p, n in state.nodes.items() if n.status == "running" and p and p not in state.live
    ]
    return f"running without being under way: {lost}" if lost else None


def _is_paused(state: RunState, path: NodePath) -> bool:
    return state.nodes[path].status == "suspended"
