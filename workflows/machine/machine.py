"""The Machine: events in, commands out.

Theory of operation. A run is a set of tokens on the plan's graph. A token stands before the node it
will enter next, or sleeps at a node that is under way. `start` puts one token before the root's
start event; every event is folded into the state, and `drive` then moves each token that can move,
until all of them sleep, are held by a pause, or are gone. A fork sends child tokens to its targets
and sleeps; each child ends at the fork's converge, and the last one sends the parent on to it: only
branches that were really forked are waited for. A subflow keeps the token that enters it.

Nothing here waits, reads a clock or knows Temporal: time arrives with the event, and what is to be
done leaves as a command. A node's execution is named by (path, entry); `entry` counts every start
of the node and is never reset, so what answers an earlier execution is known by its number and
changes nothing. The state is owned by the Machine and changed in place: an event costs what the
node's degree costs, never a walk over the plan.

A failed node keeps its token until a person (or an automatic retry) moves it. Pausing a flow only
keeps tokens from entering nodes; results land all the same. Whatever happens, something that can
move the run is left: a token under way, a timer, a callback awaited, or a person who can be told
what to do.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple, assert_never

from pydantic import JsonValue

from activities.contract import Done, Failed, Outcome, RunSettings, Unresolved
from translator.plan import ROOT, NodePath, Plan, Task, Variable, VariableKey, join_path
from workflows.machine import journal, nodes, reports, tasks, telling
from workflows.machine.checks import Refusal
from workflows.machine.core import FOLLOWED, Brought, Core, Observer
from workflows.machine.events import (
    ChildChanged,
    ChildEnded,
    ChildStarted,
    Command,
    Evaluated,
    Event,
    RunTask,
    SetTimer,
    TaskEnded,
    TimerFired,
    TimerKind,
    Unstarted,
    Verb,
    VerbName,
    WatchChild,
)
from workflows.machine.flow import drive
from workflows.machine.program import Program, lay_out
from workflows.machine.state import JournalEntry, Phase, RunState, Token
from workflows.machine.verbs import VERBS, allowed_on, carry_out, refusal, replace, stop_all

TIMED: Final[Mapping[TimerKind, tuple[Phase, ...]]] = {
    "timeout": FOLLOWED,
    "retry": ("retrying",),
    "wait": ("sleeping",),
}
"""The phases in which each kind of timer means something."""


def _phases_of(event: TaskEnded | Unstarted) -> tuple[Phase, ...]:
    """Return the phases in which a step's answer counts; a callback overtakes a poll."""
    if isinstance(event, Unstarted) or event.asked is None:
        return ("calling", "polling")
    return ("polling",) if event.asked.step == "poll" else ("calling",)


class Given(NamedTuple):
    """What a run is started with.

    variables: plain values of the root's context, over the plan's own. replaced: variables of the
    root in another form. inherited: plain variables that every subflow sees. context: what plugins
    get beside their inputs (operator, project, ...). strict: whether a fragment that cannot be
    evaluated fails its node; None is as the settings say. start_at: a node of the root flow to
    start from instead of its start event.
    """

    variables: Mapping[VariableKey, JsonValue] = {}
    replaced: Mapping[VariableKey, Variable] = {}
    inherited: Mapping[VariableKey, JsonValue] = {}
    context: Mapping[str, JsonValue] = {}
    fail_fast: bool = False
    strict: bool | None = None
    start_at: str = ""


class Machine:
    """One run of a plan. Give it a stored state to go on, none to begin."""

    __slots__ = ("core", "plan")

    def __init__(
        self,
        plan: Plan,
        settings: RunSettings,
        state: RunState | None = None,
        *,
        program: Program | None = None,
        observer: Observer | None = None,
    ) -> None:
        self.plan = plan
        self.core = Core(program or lay_out(plan), settings, state or RunState(), observer)

    @property
    def state(self) -> RunState:
        """The state as it is now; owned by the Machine, read it and leave it."""
        return self.core.state

    def start(self, now: float, given: Given = Given()) -> list[Command]:  # noqa: B008  immutable
        """Begin the run and move it as far as it goes."""
        self.begin(now, given)
        return self.go(now)

    def begin(self, now: float, given: Given = Given()) -> None:  # noqa: B008  immutable
        """Accept the run; no node is entered before `go`, so that verbs can come first."""
        core = self._at(now)
        state = core.state
        state.started = now
        state.fail_fast = given.fail_fast
        state.strict = core.settings.strict if given.strict is None else given.strict
        state.context.update(given.context)
        state.inherited.update(given.inherited)
        for key, value in given.variables.items():
            core.write(ROOT, key, value)
        for variable in given.replaced.values():
            replace(core, ROOT, variable, "given", str(given.context.get("operator", "")))
        for line in telling.tell_clear(core, given.replaced.values()):
            self.note(JournalEntry(now, journal.NOTICE, node=ROOT, operator="", reason=line))
        state.rounds[ROOT] = 1
        core.change(ROOT, "running").entry = 1
        first = given.start_at or self.plan.flow.start
        state.tokens["0"] = Token(node=join_path(ROOT, first))
        core.ready.append("0")

    def go(self, now: float) -> list[Command]:
        """Move every token that can move."""
        self._at(now)
        return self._drive()

    def handle(self, event: Event, now: float) -> list[Command]:
        """Fold one event into the state; an event of an earlier execution changes nothing."""
        self.fold(event, now)
        return self._drive()

    def fold(self, event: Event, now: float) -> None:
        """Fold one event into the state without moving a token; `go` moves them.

        What the event asks for is among the commands of the next `go` or `handle`.
        """
        core = self._at(now)
        match event:
            case TaskEnded() | Unstarted():
                self._end_step(event)
            case Evaluated(path, entry, values, error, warnings):
                if core.awaiting(path, entry, "evaluating"):
                    telling.keep(core.state, path, warnings)
                    nodes.take_values(core, path, values, error)
            case TimerFired():
                self._fire(event)
            case ChildStarted() | ChildChanged() | ChildEnded():
                reports.take(core, event)
            case Verb():
                self._operate(event)
            case _:
                assert_never(event)

    def reissue(self, now: float) -> list[Command]:
        """Return the commands that a stored state still waits for: polls, evaluations, timers."""
        core = self._at(now)
        for path, live in list(core.state.live.items()):
            node, found = core.place(path).node, core.state.nodes[path]
            if live.phase == "evaluating":
                nodes.evaluate_again(core, path)
            elif live.phase == "polling" and isinstance(node, Task):
                tasks.poll_again(core, path, node)
            elif live.phase in ("sleeping", "retrying"):
                kind = "wait" if live.phase == "sleeping" else "retry"
                core.commands.append(SetTimer(path, found.entry, kind, live.deadline, node.name))
            if live.child is not None:
                core.commands.append(WatchChild(path, found.entry))
            if core.state.live.get(path) is live and isinstance(node, Task):
                tasks.rearm_timeout(core, path, node)
        return self._drive()

    def drain(self, *, draining: bool) -> None:
        """Hold back new calls of plugins (they queue), or let them go on."""
        self.core.draining = draining

    def refusal(self, verb: Verb, now: float) -> Refusal | None:
        """Say why `verb` does not apply now, or None; doubles as the update validator."""
        return refusal(self._at(now), verb)

    def allowed_on(self, path: NodePath, now: float) -> list[VerbName]:
        """Return the verbs that would be accepted on a node (or, at "", on the run) now."""
        return allowed_on(self._at(now), path)

    def note(self, entry: JournalEntry) -> None:
        """Write what was asked, and why it was refused if it was, into the run's journal."""
        journal.note(self.core.state, entry)

    def warn(self, text: str) -> None:
        """Keep a warning about the run as a whole, once."""
        state = self.core.state
        telling.keep(state, ROOT, [*state.warnings.get(ROOT, ()), text])

    def was_done(self, verb: Verb) -> bool:
        """Say whether this very request, known by its id, was accepted before."""
        return journal.was_done(self.core.state, verb)

    def _at(self, now: float) -> Core:
        self.core.now = now
        return self.core

    def _drive(self) -> list[Command]:
        tasks.release(self.core)
        drive(self.core, nodes.enter)
        self.core.brought.clear()
        if self.core.fatal is not None:
            stop_all(self.core)
            self.core.end_run(self.core.fatal)
            self.core.fatal = None
        commands, self.core.commands = self.core.commands, []
        return commands

    def _end_step(self, event: TaskEnded | Unstarted) -> None:
        node = self.core.awaiting(event.path, event.entry, *_phases_of(event))
        if self._is_repeated(event):
            return
        if isinstance(event, Unstarted):
            if isinstance(node, Task):
                tasks.call_again(self.core, event.path, node)
        elif isinstance(node, Task):
            if event.asked is not None:
                pairs = zip(event.asked.then, event.then, strict=False)
                self.core.brought = {a.step.path: Brought(a.step, end) for a, end in pairs}
            tasks.take_outcome(self.core, event.path, node, event.outcome)
        elif event.asked is not None:
            self._stop_late(event.asked, event.outcome)

    def _is_repeated(self, event: TaskEnded | Unstarted) -> bool:
        """Say whether the execution that a step belongs to has gone on from its answer already.

        Nothing counts twice: a call's answer that came again would hide the callback being worked
        on, and to stop what it began would stop the node's own work.
        """
        live = self.core.state.live.get(event.path)
        if isinstance(event, Unstarted) or event.asked is None or live is None:
            return False
        if self.core.awaiting(event.path, event.entry, *FOLLOWED) is None:
            return False
        under_way = "callback" if live.answering else "call"
        return event.asked.step != ("poll" if live.phase == "polling" else under_way)

    def _stop_late(self, asked: RunTask, outcome: Outcome) -> None:
        """Have work stopped that a call began when nobody wanted it any more.

        A call that failed tells no handle, and may have begun something all the same: it is told.
        """
        if asked.step != "call" or isinstance(outcome, Done):
            return
        if isinstance(outcome, Failed):
            told = f"it was stopped during its call, which gave no handle: {outcome.error}"
            telling.keep(self.core.state, asked.path, [told])
        elif outcome.handle is not None:
            inputs = asked.inputs if outcome.inputs is None else outcome.inputs
            stop = asked._replace(
                step="stop", inputs=inputs, handle=outcome.handle, outputs=outcome.outputs
            )
            self.core.commands.append(stop._replace(unresolved=Unresolved()))

    def _fire(self, event: TimerFired) -> None:
        core, path = self.core, event.path
        node = core.awaiting(path, event.entry, *TIMED[event.kind])
        if not isinstance(node, Task):
            return
        match event.kind:
            case "retry":
                VERBS["retry"].apply(core, Verb("retry", path, operator="system"))
            case "wait":
                tasks.wake(core, path, node)
            case "timeout":
                tasks.run_out(core, path, node)
            case _:
                assert_never(event.kind)

    def _operate(self, verb: Verb) -> None:
        if self.was_done(verb):
            return
        refused = refusal(self.core, verb)
        self.note(journal.entry_of(self.core, verb, refused.text if refused else ""))
        if refused is None:
            journal.remember(self.core.state, verb)
            carry_out(self.core, verb)
