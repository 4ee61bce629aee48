"""What a verb would do: it is carried out on a copy of the run, and what comes of it put in words.

The copy is made as a run is made that rolls over, so what is foretold is what would happen.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple, assert_never

from translator.plan import ROOT, NodePath
from workflows.machine.core import Core
from workflows.machine.events import (
    CancelNode,
    Command,
    CutShort,
    Evaluate,
    Finish,
    ForChild,
    LeaveChild,
    RunTask,
    SetTimer,
    StartChild,
    TellChild,
    Verb,
    VerbName,
    WatchChild,
)
from workflows.machine.journal import changed_by, moment
from workflows.machine.machine import Machine
from workflows.machine.state import RunState, Status, dump_state, load_state

MOST_LINES: Final = 40
"""How many lines are told, at most."""

_LANDS: Final[Mapping[Status, str]] = {
    "ready": "makes {} ready to start",
    "running": "enters {}",
    "suspended": "holds {}",
    "finished": "finishes {}",
    "skipped": "passes over {}",
    "failed": "leaves {} failed",
    "revoked": "stops {}",
}


class Foreseen(NamedTuple):
    """What a verb would do, in order, the run as it would then be, and what could be asked next."""

    would: tuple[str, ...]
    state: RunState
    allowed_next: list[VerbName]


def foresee(machine: Machine, verb: Verb, now: float) -> Foreseen:
    """Carry out a verb that is not refused on a copy of the run; the run itself stays as it is."""
    core = machine.core
    copy = Machine(machine.plan, core.settings, load_state(dump_state(core.state)))
    copy.drain(draining=core.draining)
    commands = copy.handle(verb, now)
    lines = list(dict.fromkeys(_told(core, copy.core, verb, commands)))
    more = len(lines) - MOST_LINES
    would = (*lines[:MOST_LINES], f"and {more} more") if more > 0 else tuple(lines)
    return Foreseen(would, copy.state, copy.allowed_on(verb.node, now))


def _told(before: Core, after: Core, verb: Verb, commands: Sequence[Command]) -> Iterator[str]:
    """Yield what a verb changes by itself, what is done outside, and where nodes land."""
    yield from _given(before, verb)
    said: set[NodePath] = set()
    for command in commands:
        line = _asked(before, after, command)
        if line:
            yield line
            said.update(() if isinstance(command, Finish | CancelNode) else (command.path,))
    ends = any(isinstance(command, Finish) for command in commands)
    yield from _landings(before, after, frozenset(said), ends=ends)


def _given(core: Core, verb: Verb) -> Iterator[str]:
    """Yield the inputs or variables that get another value, and what a callback does at once."""
    match verb.name:
        case "retry":
            node = named(core, verb.node)
            yield from (f"changes input {key!r} of {node}" for key in changed_by(core, verb))
        case "set_variables":
            where = f"in subflow {named(core, verb.node)}" if verb.node else "in the run"
            yield from (f"sets variable {key!r} {where}" for key in changed_by(core, verb))
        case "choose":
            edges = ", ".join(map(repr, verb.branches))
            yield f"sends {named(core, verb.node)} along {edges}"
        case "callback":
            yield f"gives the callback to {named(core, verb.node)}"
        case "rerun_from":
            yield f"goes back to {named(core, verb.node)}"
        case _:
            return


def _asked(before: Core, after: Core, command: Command) -> str:
    """Say what a command does; "" for one that only keeps something as it is."""
    match command:
        case RunTask():
            return _step(after, command)
        case SetTimer():
            return _timer(after, command)
        case CancelNode(path, entry):
            return _cancelled(before, after, path, entry)
        case CutShort():
            return ""  # where its nodes land is told
        case Finish(state):
            return f"ends the run: {state}"
        case Evaluate() | StartChild() | WatchChild() | TellChild() | LeaveChild():
            return _elsewhere(after, command)
        case _:
            assert_never(command)


def _elsewhere(after: Core, command: Evaluate | ForChild) -> str:
    match command:
        case Evaluate(path):
            return f"evaluates what {named(after, path)} needs"
        case StartChild(path):
            return f"starts a run of its own for {named(after, path)}"
        case TellChild(path, _, verb):
            return f"passes {verb.name} on to the run of {named(after, path)}"
        case LeaveChild(path):
            return f"revokes the run of {named(after, path)}"
        case WatchChild():
            return ""
        case _:
            assert_never(command)


def _step(after: Core, command: RunTask) -> str:
    node = named(after, command.path)
    match command.step:
        case "call":
            attempt = after.state.nodes[command.path].retry + 1
            again = " again" if command.entry > 1 else ""
            return f"starts {node}{again}" + (f", attempt {attempt}" if attempt > 1 else "")
        case "poll":
            return f"looks at the work of {node} again"
        case "callback":
            return ""  # told before, for it may also be kept
        case "stop":
            return f"tells {command.plugin.code} to stop the work of {node}"
        case _:
            assert_never(command.step)


def _timer(after: Core, command: SetTimer) -> str:
    node, at = named(after, command.path), moment(command.at, after.settings.timezone)
    match command.kind:
        case "timeout":
            return ""  # a part of the start of a node
        case "retry":
            return f"sets the automatic retry of {node} to {at}"
        case "wait":
            return f"lets {node} wait until {at}"
        case _:
            assert_never(command.kind)


def _cancelled(before: Core, after: Core, path: NodePath, entry: int) -> str:
    """Say what is cancelled for good; a timer set anew or a poll that gives way is not."""
    live, found = before.state.live.get(path), after.state.nodes[path]
    goes_on = path in after.state.live and found.entry == entry and found.status == "running"
    if live is None or goes_on:
        return ""
    if live.phase == "retrying":
        still = after.state.live.get(path)
        is_reset = still is not None and still.phase == "retrying"
        return "" if is_reset else f"calls off the automatic retry of {named(after, path)}"
    return f"cancels {named(after, path)}"


def _landings(before: Core, after: Core, said: frozenset[NodePath], *, ends: bool) -> Iterator[str]:
    """Yield the nodes that come to stand elsewhere, except those whose start was told."""
    for path, found in after.state.nodes.items():
        old = before.state.nodes.get(path)
        if old is not None and (old.status, old.entry) == (found.status, found.entry):
            continue
        if path == ROOT:
            if not ends:
                yield "pauses the run" if found.status == "suspended" else "lets the run go on"
        elif path not in said or found.status not in ("running", "ready"):
            yield _LANDS[found.status].format(named(after, path))


def named(core: Core, path: NodePath) -> str:
    """Return a node as people know it: its name, and the path that tells it apart."""
    name = core.place(path).node.name if path else ""
    return f"{name!r} ({path})" if name and name != path else repr(path)
