"""One random sequence: a plan, its settings and a script of moves, all from one seed.

A wild sequence may do anything to its run; it must keep the invariants and end once it is mended.
A calm one only disturbs: it must end as the same run does that nothing disturbs.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Final, Literal, TypeAlias, cast

from pydantic import JsonValue

from activities.contract import Done, RunSettings
from tests.helpers.operators import SCENES, Crew
from tests.helpers.plans import settings
from tests.helpers.runs import OVER, Answerable
from tests.helpers.strategies import MOVES, Move, bring_to_end
from tests.soak.growing import calm_plan, wild_plan
from tests.soak.invariants import Watched
from tests.soak.world import World, callback_of, rendered
from translator.plan import ROOT, NodePath, Plan, Task
from workflows.machine.core import FOLLOWED
from workflows.machine.events import (
    ChildEnded,
    Evaluate,
    Evaluated,
    Event,
    Report,
    RunTask,
    SetTimer,
    TaskEnded,
    TimerFired,
    Verb,
    VerbName,
)
from workflows.machine.machine import Given
from workflows.machine.verbs import VERBS

Kind: TypeAlias = Literal["wild", "calm"]
Script: TypeAlias = Sequence[Move]

MOST_MOVES: Final = 60
MOST_STEPS: Final = 5_000
"""Longer no calm run goes on; the longest that was seen takes some hundreds."""

DISTURBANCES: Final = (
    *("on",) * 8,
    *("late", "forged", "early", "pause", "hold", "free", "reload", "drain"),
    *("cut", "same", "break", "refused", "timer", "stopped"),
)


@dataclass(frozen=True)
class Case:
    """What a seed stands for."""

    seed: int
    kind: Kind
    plan: Plan
    settings: RunSettings
    script: tuple[Move, ...]
    fail_fast: bool


def sequence(seed: int) -> Case:
    """Make a sequence; every second one is calm."""
    random = Random(seed)
    kind: Kind = "calm" if seed % 2 else "wild"
    whats = DISTURBANCES if kind == "calm" else (*MOVES, *SCENES, "child", "child")
    length = random.randint(0, MOST_MOVES)
    return Case(
        seed,
        kind,
        calm_plan(random) if kind == "calm" else wild_plan(random),
        settings(
            in_flight=random.choice([1, 2, 200]),
            polls_asleep=random.choice([2, 1500]),
            batch_tasks=random.choice([1, 4, 16]),
            rerun_limit=3,
            first_hit=random.choice([False, True]),
            strict=kind == "wild" and random.choice([False, True]),
        ),
        tuple(
            Move(random.choice(whats), random.randint(0, 997), random.randint(0, 7))
            for _ in range(length)
        ),
        kind == "wild" and random.randint(0, 9) == 0,
    )


def problem_of(case: Case, script: Script | None = None) -> str:
    """Play a sequence, or another script of it; "" when all is well, else what is wrong."""
    play = play_calm if case.kind == "calm" else play_wild
    try:
        play(case, case.script if script is None else script)
    except Exception as error:  # noqa: BLE001  whatever it is, it is what we look for
        return f"{type(error).__name__}: {error}"
    return ""


def play_wild(case: Case, script: Script) -> None:
    """Do anything to a run, then mend it and see it end."""
    run = Watched(case.plan, case.settings, Given(fail_fast=case.fail_fast))
    crew = Crew(run)
    crew.play(script)
    crew.check_journal(run.state.journal)
    bring_to_end(run)
    assert run.status() in OVER, f"it stays {run.status()}"


def play_calm(case: Case, script: Script) -> None:
    """Disturb a run, and hold its end against that of one that nothing disturbs."""
    straight = Calm(case, settings(rerun_limit=3, first_hit=case.settings.first_hit, batch_tasks=1))
    straight.run.watching = False
    straight.settle()
    disturbed = Calm(case, case.settings)
    for move in script:
        disturbed.move(move)
    disturbed.settle()
    wanted, got = straight.end(), disturbed.end()
    assert got == wanted, "; ".join(differences(wanted, got))


def differences(wanted: object, got: object, at: str = "") -> list[str]:
    """Say where two ends differ."""
    if not isinstance(wanted, dict) or not isinstance(got, dict):
        return [] if wanted == got else [f"{at} is {got}, undisturbed {wanted}"]
    theirs, ours = cast("dict[str, object]", wanted), cast("dict[str, object]", got)
    return [
        line
        for key in {**theirs, **ours}
        for line in differences(theirs.get(key), ours.get(key), f"{at} {key}".strip())
    ]


# --- a run that may be disturbed ----------------------------------------------------------------


class Calm:
    """A run with its outside and its operator, who both do the same in whatever order."""

    def __init__(self, case: Case, options: RunSettings) -> None:
        self.run = Watched(case.plan, options)
        self.world = World(case.seed)
        self.sent: list[Event] = []
        self.stories: dict[tuple[NodePath, int], list[Report]] = {}
        places = self.run.machine.core.program.places
        self.paths = list(places)
        self.tasks = {p: place.node for p, place in places.items() if isinstance(place.node, Task)}

    def settle(self) -> None:
        """Take away what holds the run, and answer everything in order until it is over."""
        run = self.run
        run.machine.drain(draining=False)
        run.go()
        for _ in range(MOST_STEPS):
            if run.status() in OVER:
                return
            held = self.held()
            if held:
                self.free(held[0])
                continue
            steps = self.steps()
            assert steps, f"nothing brings it on: {run.state.live}"
            steps[0](0)
        raise AssertionError("it never ends")

    def end(self) -> dict[str, Any]:
        """What must be the same however the run was disturbed."""
        state, finish = self.run.state, self.run.finish
        return {
            "finish": finish,
            "nodes": {
                path: (found.status, found.error_ignored, found.loop, found.inner_loop)
                for path, found in sorted(state.nodes.items())
                if found.entry
            },
            "written": {path: self.own_values(path) for path in sorted(state.written)},
            "rounds": state.rounds,
        }

    def own_values(self, path: NodePath) -> dict[str, JsonValue]:
        """The values of a flow's own variables; those of a context that it shares are not its."""
        known = self.run.machine.core.program.flows[path].variables
        return {key: each for key, each in self.run.state.written[path].items() if key in known}

    def send(self, event: Event) -> None:
        """Send an event and keep it, to be sent again."""
        self.sent.append(event)
        self.run.send(event)

    # --- what brings the run on ---

    def steps(self) -> list[Callable[[int], None]]:
        """What may happen next, the oldest first."""
        run = self.run
        found = [self.answer_to(each) for each in run.outstanding if self.is_due(each)]
        found += [self.news_of(path) for path in run.children if self.story(path)]
        waiting = [path for path, live in run.state.live.items() if live.phase == "waiting"]
        found += [self.call_back_at(path) for path in waiting if not self.never_ends(path)]
        found += [self.tend_at(path) for path in run.state.failed if not self.goes_on(path)]
        return found

    def never_ends(self, path: NodePath) -> bool:
        """Say whether only the time limit of a node ends it."""
        traits = self.run.machine.core.traits(self.tasks[path].plugin)
        is_quick = traits is not None and traits.quick
        return self.world.fate(path, self.tasks[path], quick=is_quick).kind == "never"

    def is_due(self, command: Answerable) -> bool:
        """Say whether the outside answers a command at all, and a timer may end."""
        match command:
            case SetTimer(kind="timeout"):
                return self.never_ends(command.path)
            case RunTask() | SetTimer(kind="wait"):
                return not self.never_ends(command.path)
            case Evaluate():
                return command.path not in self.tasks or not self.never_ends(command.path)
            case _:
                return True

    def answer_to(self, command: Answerable) -> Callable[[int], None]:
        """Return what answers a command; `how` says how much of a batch is started."""

        def act(how: int) -> None:
            run, name = self.run, (command.path, command.entry)
            if isinstance(command, RunTask) and name in run.cut and how % 2:
                run.cut.remove(name)
                run.come_back(command.path)
                return
            run.outstanding.remove(command)
            match command:
                case RunTask():
                    self.send(self.ended(command, how))
                case Evaluate():
                    values = self.world_values(command)
                    self.send(Evaluated(command.path, command.entry, values))
                case SetTimer(path, entry, kind, at):
                    run.now = max(run.now, at)
                    if kind != "retry":
                        self.world.count(path, fails=kind == "timeout")
                    self.send(TimerFired(path, entry, kind))

        return act

    def world_values(self, command: Evaluate) -> dict[str, JsonValue]:
        """Values as the sandbox would have them."""
        return rendered(command.unresolved)

    def ended(self, step: RunTask, how: int) -> TaskEnded:
        """The answer to a step, and to those that travel with it as far as they are started."""
        most = 1 + len(step.then) if how % 3 == 0 else 1 + how % (1 + len(step.then))
        outcomes = self.world.batch(step, self.tasks, most)
        return TaskEnded(step.path, step.entry, outcomes[0], step, outcomes[1:])

    def story(self, path: NodePath) -> list[Report]:
        """What is still to be heard of the child of a node."""
        asked = self.run.children[path]
        if (path, asked.entry) not in self.stories:
            told = self.world.child_reports(path, asked.entry, asked.values.get("v"))
            self.stories[path, asked.entry] = list(told)
        return self.stories[path, asked.entry]

    def news_of(self, path: NodePath) -> Callable[[int], None]:
        """Return what tells the next of a child."""

        def act(_how: int) -> None:
            report = self.story(path).pop(0)
            if isinstance(report, ChildEnded):
                del self.run.children[path]
                self.world.count(path, fails=bool(report.error))
            self.send(report)

        return act

    def call_back_at(self, path: NodePath) -> Callable[[int], None]:
        """Return what calls a node back."""
        return lambda _how: self.call_back(path)

    def call_back(self, path: NodePath) -> None:
        """Call a node back with what the outside has for it; one that pauses ends by it."""
        traits = self.run.machine.core.traits(self.tasks[path].plugin)
        if traits is not None and traits.inline:
            self.world.count(path, fails=False)
        entry = self.run.state.nodes[path].entry
        verb = Verb("callback", path, data=callback_of(path), token=entry)
        refused = self.run.machine.refusal(verb, self.run.now)
        assert refused is None, f"{path!r} waits and refuses its callback: {refused}"
        self.send(verb)

    def goes_on(self, path: NodePath) -> bool:
        """Say whether a node that has failed may go on by its child."""
        return path in self.run.children and bool(self.story(path))

    def tend_at(self, path: NodePath) -> Callable[[int], None]:
        """Return what the operator does at a failed node."""
        return lambda _how: self.tend(path)

    def tend(self, path: NodePath) -> None:
        """Do at a failed node what the operator does there, whenever he comes."""
        run = self.run
        allowed = run.machine.allowed_on(path, run.now)
        if "choose" in allowed:
            node: Any = run.machine.core.place(path).node
            last = [*node.branches, *([node.default] if node.default else [])][-1]
            self.act("choose", path, branches=(last.edge,))
        elif "skip" in allowed and not self.retries(path, allowed):
            self.act("skip", path)
        else:
            self.act("retry", path)

    def retries(self, path: NodePath, allowed: Sequence[VerbName]) -> bool:
        """Say whether the operator tries a node again that he may skip."""
        if "retry" not in allowed:
            return False
        if "rerun limit" in self.run.state.failed[path]:
            return True
        return self.world.failed_last.get(path, False) and not self.world.skips(path)

    def act(self, name: VerbName, path: NodePath, **fields: Any) -> None:
        """Give a verb that has to be taken."""
        refused = self.run.do(name, path, **fields)
        assert not refused, f"{name} of {path!r} is refused: {self.run.refusal}"

    # --- what disturbs it ---

    def move(self, move: Move) -> None:
        """Make one move; where there is nothing to do it to, none."""
        if self.run.status() in OVER:
            return
        if move.what == "on":
            steps = self.steps()
            if steps:
                steps[move.which % len(steps)](move.how)
            return
        getattr(self, f"do_{move.what}")(move)

    def held(self) -> list[NodePath]:
        """The flows and nodes that are held."""
        return [p for p, found in self.run.state.nodes.items() if found.status == "suspended"]

    def free(self, path: NodePath) -> None:
        """Let go what is held."""
        is_flow = path in self.run.machine.core.program.flows
        self.act("resume" if is_flow else "resume_node", path)

    def do_late(self, move: Move) -> None:
        """Send again what was sent before."""
        again = [event for event in self.sent if is_repeatable(event)]
        if again:
            self.run.send(again[-1 - move.which % len(again)])

    def do_stopped(self, move: Move) -> None:
        """Let a call answer that nobody waits for any more."""
        calls = [step for step in self.run.cancelled if step.step == "call"]
        if calls:
            step = calls[move.which % len(calls)]
            self.run.send(TaskEnded(step.path, step.entry, Done(outputs={"out": 9}), step))

    def do_forged(self, move: Move) -> None:
        """Send a callback of another execution; it must be refused."""
        path = self.paths[move.which % len(self.paths)]
        found = self.run.state.nodes.get(path)
        token = (found.entry if found else 0) + (1 if move.how % 2 else -1)
        assert self.run.do("callback", path, data="forged", token=token), f"{path!r} took a forgery"

    def do_early(self, move: Move) -> None:
        """Call a node back before it waits."""
        run, found = self.run, list[NodePath]()
        for path, live in run.state.live.items():
            traits = (
                run.machine.core.traits(self.tasks[path].plugin) if path in self.tasks else None
            )
            if traits is not None and not traits.inline and live.phase in FOLLOWED:
                found.append(path)
        if found:
            path = found[move.which % len(found)]
            entry = run.state.nodes[path].entry
            verb = Verb("callback", path, data=callback_of(path), token=entry)
            if run.machine.refusal(verb, run.now) is None:
                self.send(verb)

    def do_pause(self, move: Move) -> None:
        """Pause the run or a subflow, if it goes on."""
        flows = list(self.run.machine.core.program.flows)
        self.run.do("pause", flows[move.which % len(flows)])

    def do_hold(self, move: Move) -> None:
        """Hold a node, if it has not started."""
        self.run.do("pause_node", self.paths[move.which % len(self.paths)])

    def do_free(self, move: Move) -> None:
        """Let something go that is held."""
        if held := self.held():
            self.free(held[move.which % len(held)])

    def do_reload(self, _move: Move) -> None:
        """Go on from the stored state."""
        self.run.reload()

    def do_drain(self, move: Move) -> None:
        """Hold back new calls, or let them go on."""
        self.run.machine.drain(draining=move.how % 2 == 0)
        self.run.go()

    def do_cut(self, _move: Move) -> None:
        """Cut short what travels together, by a short pause."""
        if self.run.status() == "running":
            self.act("pause", ROOT)
            self.act("resume", ROOT)

    def do_same(self, move: Move) -> None:
        """Give a variable the value that it has."""
        state = self.run.state
        known = self.run.machine.core.program.flows[ROOT].variables
        plain = {k: v for k, v in state.written.get(ROOT, {}).items() if k in known}
        numbers = [key for key, value in plain.items() if isinstance(value, int)]
        if numbers:
            key = numbers[move.which % len(numbers)]
            self.act("set_variables", ROOT, values={key: plain[key]})

    def do_break(self, move: Move) -> None:
        """Force a node to fail, and run it again."""
        run = self.run
        running = [
            path
            for path, task in self.tasks.items()
            if path in run.state.live and run.status(path) == "running"
            if task.retryable and task.loop is None
        ]
        if running:
            path = running[move.which % len(running)]
            self.act("force_fail", path)
            self.act("retry", path)

    def do_refused(self, move: Move) -> None:
        """Give a verb that is refused, with anything in it."""
        names = list(VERBS)
        verb = Verb(
            names[(move.which + move.how) % len(names)],
            ["", "nowhere", *self.paths][move.which % (len(self.paths) + 2)],
            token=0,
            data="nonsense",
        )
        if self.run.machine.refusal(verb, self.run.now) is not None:
            assert self.run.send(verb) == []

    def do_timer(self, move: Move) -> None:
        """Give a node another time to wait for."""
        live = self.run.state.live
        waiting = [p for p, each in live.items() if each.phase in ("sleeping", "retrying")]
        if waiting:
            path = waiting[move.which % len(waiting)]
            self.act("set_timer", path, data=move.how)


def is_repeatable(event: Event) -> bool:
    """Say whether an event may come twice: a verb that was accepted would be another one."""
    return not isinstance(event, Verb)
