"""Random plans, and random sequences of what can happen to their runs.

Plans grow by blocks: tasks with all their options, forks, conditional forks, choices, back edges,
nested subflows. What happens is drawn as `Move`s, small numbers that `play` reads against the run
as it stands, so that a failing example shrinks well.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple, Protocol, TypeVar

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn
from pydantic import JsonValue

from activities.contract import Done, Failed, Outcome, Polling, RunSettings, Waiting
from tests.helpers.plans import settings, subflow, task, variable
from tests.helpers.runs import OVER, Answerable, Run
from translator.plan import (
    AutoRetry,
    Branch,
    ConditionalParallel,
    Converge,
    End,
    Exclusive,
    Flow,
    LoopConfig,
    Node,
    NodeId,
    Parallel,
    Plan,
    Start,
    Timeout,
)
from translator.values import parse_condition
from workflows.machine.events import (
    ChildChanged,
    ChildEnded,
    ChildStarted,
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
from workflows.machine.verbs import VERBS

CONDITIONS: Final = ("${v} == 1", "1 == 1", "1 == 2", "${v + 0} == 1", "not a condition")
INPUTS: Final[Sequence[JsonValue]] = ("text", "${v}", "${v + 1}", "${w}", 3)
CODES: Final = (
    "echo",
    "echo",
    "echo",
    "quick",
    "quick",
    "quick",
    "multi",
    "show",
    "pause",
    "timer",
    "nobody_has_it",
)


FLAGS: Final = (False, True)

ChoiceT = TypeVar("ChoiceT")


# --- plans ------------------------------------------------------------------------------------


class Chance(Protocol):
    """What decides where a plan may grow one way or another."""

    def pick(self, options: Sequence[ChoiceT]) -> ChoiceT:
        """One of the options."""
        ...

    def number(self, least: int, most: int) -> int:
        """A whole number, the bounds included."""
        ...

    def some(self, options: Sequence[str], most: int) -> list[str]:
        """One or more of the options, each once, in their order."""
        ...


class Drawn:
    """Chance as hypothesis draws it, so that a failing plan shrinks."""

    def __init__(self, draw: DrawFn) -> None:
        self._draw = draw

    def pick(self, options: Sequence[ChoiceT]) -> ChoiceT:
        return self._draw(st.sampled_from(options))

    def number(self, least: int, most: int) -> int:
        return self._draw(st.integers(least, most))

    def some(self, options: Sequence[str], most: int) -> list[str]:
        chosen = self._draw(st.sets(st.sampled_from(options), min_size=1, max_size=most))
        return [each for each in options if each in chosen]


class Grower:
    """Grows flows backwards, block by block, so that each block knows what comes after it."""

    def __init__(self, chance: Chance, budget: int) -> None:
        self.chance = chance
        self.budget = budget
        self.count = 0

    def key(self, prefix: str) -> NodeId:
        """A fresh id."""
        self.count += 1
        self.budget -= 1
        return f"{prefix}{self.count}"

    def flow(self, depth: int) -> Flow:
        """A flow with a variable `v`, and `w` that is rendered, perhaps at the start."""
        nodes: dict[NodeId, Node] = {"end": End(id="end", name="end")}
        first = self.sequence(nodes, "end", depth)
        nodes["start"] = Start(id="start", name="start", next=first)
        text = self.chance.pick(["w ${v}", "${v + 1}"])
        rendered = variable("w", text, pre_render=self.chance.pick(FLAGS))
        known = {"v": variable("v", 0), "w": rendered}
        outputs = self.chance.pick([(), ("v",), ("v", "w")])
        return Flow(start="start", nodes=nodes, variables=known, outputs=outputs)

    def sequence(self, nodes: dict[NodeId, Node], then: NodeId, depth: int) -> NodeId:
        """Some blocks before `then`; at least one node."""
        for _ in range(self.chance.number(1, 3)):
            then = self.block(nodes, then, depth)
        return then

    def block(self, nodes: dict[NodeId, Node], then: NodeId, depth: int) -> NodeId:
        """One block before `then`; returns where it is entered."""
        if depth > 2 or self.budget <= 0:
            return self.task(nodes, then, depth)
        kinds: list[Callable[[dict[NodeId, Node], NodeId, int], NodeId]] = [
            self.task,
            self.task,
            self.fork,
            self.choice,
            self.back_edge,
            self.subflow,
        ]
        return self.chance.pick(kinds)(nodes, then, depth)

    def task(self, nodes: dict[NodeId, Node], then: NodeId, _depth: int) -> NodeId:
        """A task with options drawn; what fails can be retried or skipped."""
        chance, code = self.chance, self.chance.pick(CODES)
        options: dict[str, Any] = {"plugin": code}
        if chance.number(0, 3) == 0:
            options |= self.options()
        if code in {"nobody_has_it", "timer"}:
            options["skippable"] = True  # its failure cannot be mended by a retry
        inputs: dict[str, JsonValue] = {"x": chance.pick(INPUTS)}
        if code == "timer":
            inputs["for"] = chance.pick([5, "${v}", "never", "${v + 9}"])
        to = {"out": "v"} if chance.pick(FLAGS) else {}
        made = task(self.key("t"), inputs, to=to, **options)
        nodes[made.id] = made.model_copy(update={"next": then})
        return made.id

    def options(self) -> dict[str, Any]:
        """Options of a task, some set."""
        chance = self.chance
        some: dict[str, Any] = {
            "auto_retry": AutoRetry(times=chance.number(1, 2), interval_s=3),
            "timeout": Timeout(after_s=7, then=chance.pick(["fail", "skip"])),
            "error_ignorable": True,
            "loop": LoopConfig(
                times=chance.number(1, 3),
                fail_skip=chance.pick(FLAGS),
                retryable=chance.pick(FLAGS),
                skippable=chance.pick(FLAGS),
                outputs_key="v",
            ),
        }
        chosen = chance.some(sorted(some), 2)
        one_way = chance.pick([{}, {"skippable": False}, {"retryable": False}])
        return {name: some[name] for name in chosen} | one_way

    def ways(self, key: NodeId, targets: Sequence[NodeId]) -> tuple[Branch, ...]:
        """Branches with conditions."""
        texts = [self.chance.pick(CONDITIONS) for _ in targets]
        return tuple(
            Branch(edge=f"{key}-{at}", target=to, condition=parse_condition(text, "vw"))
            for at, (to, text) in enumerate(zip(targets, texts, strict=True))
        )

    def fork(self, nodes: dict[NodeId, Node], then: NodeId, depth: int) -> NodeId:
        """A fork, conditional or not, with its converge; a branch may be empty."""
        join, key = self.key("join"), self.key("fork")
        nodes[join] = Converge(id=join, name=join, next=then)
        targets = [self.sequence(nodes, join, depth + 1) for _ in range(self.chance.number(1, 3))]
        targets += [join] * self.chance.number(0, 1)
        ways = self.ways(key, targets)
        default = ways[-1] if self.chance.pick(FLAGS) else None
        nodes[key] = (
            Parallel(id=key, branches=ways, converge=join)
            if self.chance.pick(FLAGS)
            else ConditionalParallel(id=key, branches=ways, default=default, converge=join)
        )
        return key

    def choice(self, nodes: dict[NodeId, Node], then: NodeId, depth: int) -> NodeId:
        """An exclusive gateway whose ways meet again."""
        key = self.key("xor")
        ways = self.ways(key, [self.sequence(nodes, then, depth + 1), then])
        default = ways[-1] if self.chance.pick(FLAGS) else None
        nodes[key] = Exclusive(id=key, name=key, branches=ways, default=default)
        return key

    def back_edge(self, nodes: dict[NodeId, Node], then: NodeId, depth: int) -> NodeId:
        """Blocks that an exclusive gateway repeats; its last branch goes on."""
        key = self.key("xor")
        first = self.sequence(nodes, key, depth + 1)
        again, on = self.ways(key, [first, then])
        nodes[key] = Exclusive(id=key, name=key, branches=(again,), default=on)
        return first

    def subflow(self, nodes: dict[NodeId, Node], then: NodeId, depth: int) -> NodeId:
        """A nested flow, with parameters or the parent's whole context."""
        shares = self.chance.pick(FLAGS)
        params = {} if shares else {"v": self.chance.pick(INPUTS)}
        made = subflow(
            self.key("sub"),
            self.flow(depth + 1),
            params,
            to={"v": "v"} if self.chance.pick(FLAGS) else {},
            shares_context=shares,
        )
        nodes[made.id] = made.model_copy(update={"next": then})
        return made.id


@st.composite
def plans(draw: DrawFn, most: int = 12) -> Plan:
    """A valid plan of at most some `most` blocks."""
    return Plan(template_key="t", flow=Grower(Drawn(draw), draw(st.integers(1, most))).flow(0))


@st.composite
def run_settings(draw: DrawFn) -> RunSettings:
    """Settings with narrow limits, so that they matter."""
    return settings(
        in_flight=draw(st.sampled_from([1, 2, 200])),
        rerun_limit=3,  # a loop of a node's own has up to three passes
        first_hit=draw(st.booleans()),
        strict=draw(st.booleans()),
    )


# --- what happens -----------------------------------------------------------------------------


class Move(NamedTuple):
    """Something that happens: what, to which of the candidates, and how."""

    what: str
    which: int
    how: int


SETTING: Final[list[VerbName]] = ["set_variables"]
TIMES: Final[Sequence[JsonValue]] = (5, 0, "2026-01-31 08:00:00", None)
SET: Final[Sequence[JsonValue]] = (1, "${w}", "${v}", {"a": 1})
MOVES: Final = ("answer", "answer", "answer", "answer", "fitting", "any", "late", "reload", "drain")


def moves(*what: str, most: int = 40, least: int = 0) -> st.SearchStrategy[list[Move]]:
    """Sequences of moves, of the kinds named or of all."""
    one = st.builds(Move, st.sampled_from(what or MOVES), st.integers(0, 997), st.integers(0, 7))
    return st.lists(one, min_size=least, max_size=most)


def outcome_of(how: int) -> Outcome:
    """What a plugin answers."""
    several: tuple[Outcome, ...] = (
        Done(outputs={"out": 1}),
        Done(outputs={"out": 0}, inputs={"x": "rendered"}),
        Failed(error="broken", outputs={"out": 2}),
        Polling(handle={"job": 7}, after_s=5),
        Waiting(handle="ticket", outputs={"seen": True}),
        Failed(error="cannot render", rendering=True),
        Failed(error="broken again"),
        Done(result=0),
    )
    return several[how]


def answer_to(command: Answerable, how: int) -> Event:
    """An event that answers a command."""
    match command:
        case RunTask():
            first = outcome_of(how)
            then = [outcome_of(how + number) for number in range(how + 1)] if how < 2 else []
            return TaskEnded(command.path, command.entry, first, command, then[: len(command.then)])
        case Evaluate():
            error = "cannot be had" if how == 0 else ""
            found: Mapping[str, JsonValue] = dict.fromkeys(command.unresolved.values, how % 2)
            return Evaluated(command.path, command.entry, {} if error else found, error)
        case SetTimer():
            return TimerFired(command.path, command.entry, command.kind)


class Player:
    """Plays moves against a run, and remembers what was sent to send it again."""

    def __init__(self, run: Run, watch: Callable[[Event], None] | None = None) -> None:
        self.run = run
        self.sent: list[Event] = []
        self.paths = list(run.machine.core.program.places)
        self._watch = watch

    def play(self, script: Sequence[Move]) -> None:
        """Play all moves."""
        for move in script:
            self.move(move)

    def move(self, move: Move) -> None:
        """Play one move; one for which there is no candidate is none."""
        run = self.run
        match move.what:
            case "answer" if run.outstanding:
                self.answer(run.outstanding[move.which % len(run.outstanding)], move.how)
            case "child" if run.children:
                self.tell_of_child(list(run.children)[move.which % len(run.children)], move.how)
            case "late" if self.sent:
                self.send(self.sent[-1 - move.which % len(self.sent)])
            case "fitting":
                self.fitting(move)
            case "any":
                names = list(VERBS)
                path = ["", *self.paths][move.which % (len(self.paths) + 1)]
                self.verb(names[(move.which + move.how) % len(names)], path, move.how)
            case "reload":
                run.reload()
            case "drain":
                run.machine.drain(draining=move.how % 2 == 0)
                run.take(run.machine.go(run.now))
            case _:
                return

    def answer(self, command: Answerable, how: int) -> None:
        """Answer what is outstanding; a timer moves the clock."""
        run = self.run
        if isinstance(command, RunTask) and (command.path, command.entry) in run.cut and how % 2:
            run.cut.remove((command.path, command.entry))
            run.come_back(command.path)
            return
        run.outstanding.remove(command)
        if isinstance(command, SetTimer):
            run.now = max(run.now, command.at)
        self.send(answer_to(command, how))

    def tell_of_child(self, path: str, how: int) -> None:
        """Tell how the child of a node stands; one that has ended is heard of no more."""
        entry = self.run.children[path].entry
        told: Sequence[Report] = (
            ChildStarted(path, entry, f"t/{path}"),
            ChildEnded(path, entry, {"v": how}),
            ChildChanged(path, entry, "Failed", "node n failed"),
            ChildChanged(path, entry, "Running"),
            ChildChanged(path, entry, "Paused"),
            ChildEnded(path, entry, {}, "revoked"),
        )
        report = told[how % len(told)]
        if isinstance(report, ChildEnded):
            del self.run.children[path]
        self.send(report)

    def send(self, event: Event) -> None:
        """Send an event, telling the one who watches first."""
        if self._watch is not None:
            self._watch(event)
        self.sent.append(event)
        self.run.send(event)

    def fitting(self, move: Move) -> None:
        """Carry out a verb that is accepted somewhere where something happens."""
        run = self.run
        touched = ["", *run.state.live, *(t.node for t in run.state.tokens.values())]
        path = touched[move.which % len(touched)]
        names = run.machine.allowed_on(path, run.now) + ([] if path else SETTING)
        kept: list[VerbName] = [n for n in names if n != "revoke" or (path and move.how == 0)]
        if kept:
            self.verb(kept[(move.which + move.how) % len(kept)], path, move.how)

    def verb(self, name: VerbName, path: str, how: int) -> None:
        """Carry out a verb with fields that fit it."""
        self.send(verb_of(self.run, name, path, how))


def verb_of(run: Run, name: VerbName, path: str, how: int) -> Verb:
    """A verb with the fields that it needs."""
    return Verb(name, path, operator=f"op{how}", **fields_of(run, name, path, how))


def fields_of(run: Run, name: VerbName, path: str, how: int) -> dict[str, Any]:
    """The fields of a verb; some fit, some do not."""
    some: Mapping[str, JsonValue] = {"x": how, "y": "${v}"}
    retries: Sequence[dict[str, Any]] = ({}, {"inputs": some}, {"set_inputs": some})
    match name:
        case "retry" | "skip" if how == 3:
            return {"this_pass": True}
        case "retry":
            return retries[how % 3] if how < 6 else {}
        case "choose":
            return {"branches": (branch_of(run, path, how),)}
        case "callback":
            return {"data": {"how": how}, "token": 1 if how == 7 else None}
        case "set_timer":
            return {"data": TIMES[how % len(TIMES)]}
        case _:
            return {"values": {"v": SET[how % len(SET)]}} if name == "set_variables" else {}


def branch_of(run: Run, path: str, how: int) -> str:
    """A branch of the gateway at `path`, "" where there is none."""
    place = run.machine.core.program.places.get(path)
    node = place.node if place else None
    if not isinstance(node, Exclusive | ConditionalParallel):
        return ""
    ways = [*node.branches, *([node.default] if node.default else [])]
    return ways[how % len(ways)].edge


# --- bringing a run to its end ----------------------------------------------------------------

PATIENCE: Final = 600


def bring_to_end(run: Run) -> None:
    """Resume, retry or skip, and answer everything until the run is over."""
    run.machine.drain(draining=False)
    run.take(run.machine.go(run.now))
    player = Player(run)
    for _ in range(PATIENCE):
        if run.status() in OVER or not help_on(run, player):
            return


def help_on(run: Run, player: Player) -> bool:
    """Do one thing that brings the run on; False when there is nothing to do."""
    held = [path for path, found in run.state.nodes.items() if found.status == "suspended"]
    if held:
        flows = run.machine.core.program.flows
        player.verb("resume" if held[0] in flows else "resume_node", held[0], 0)
    elif run.state.failed:
        mend(run, player, next(iter(run.state.failed)))
    else:
        return answer_on(run, player)
    return True


def answer_on(run: Run, player: Player) -> bool:
    """Answer what is under way, callbacks next, timers last; False when there is nothing."""
    calls = [each for each in run.outstanding if not isinstance(each, SetTimer)]
    waiting = [path for path, live in run.state.live.items() if live.phase == "waiting"]
    if waiting and not calls:
        player.verb("callback", waiting[0], 0)
    elif run.children and not calls:
        player.tell_of_child(next(iter(run.children)), 1)
    elif run.outstanding:
        player.answer((calls or run.outstanding)[0], 1)
    else:
        return False
    return True


def mend(run: Run, player: Player, path: str) -> None:
    """Get a failed node out of the way: on along its last branch, skipped, or retried."""
    allowed = run.machine.allowed_on(path, run.now)
    if "choose" in allowed:
        place = run.machine.core.place(path)
        ways = place.node
        assert isinstance(ways, Exclusive | ConditionalParallel)
        last = [*ways.branches, *([ways.default] if ways.default else [])][-1]
        player.send(Verb("choose", path, branches=(last.edge,)))
        return
    if "skip" in allowed:
        player.verb("skip", path, 0)
        return
    player.send(Verb("set_variables", path.rpartition("/")[0], values={"v": 0, "w": 0}))
    player.verb("retry", path, 7)
