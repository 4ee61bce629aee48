"""Several operators at one run, and a ledger of what each asked for and what came of it.

The ledger is kept beside the Machine, never read from it: what the run says of a verb, in its
answer, its journal and its state, is held against what was sent.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from hypothesis import strategies as st

from tests.helpers.runs import Run, stored
from tests.helpers.strategies import Move, Player, moves, outcome_of, verb_of
from workflows.machine.events import Evaluated, Event, TaskEnded, TimerFired, Verb, VerbName
from workflows.machine.state import JournalEntry, RunState
from workflows.machine.verbs import VERBS

OPERATORS: Final = ("ann", "bob", "eve")
SCENES: Final = ("ask", "ask", "ask", "again", "answer", "answer", "answer", "stale", "reload")
WITHOUT_TRACE: Final[tuple[VerbName, ...]] = ("set_variables", "rerun_from")
"""Verbs that may ask for what is there already: a value that a variable has, a pause before the
very node that the run is to start from."""

ANOTHERS: Final = 7
"""How a verb is asked for by a request id that was used before."""


def scenes(most: int = 40) -> st.SearchStrategy[list[Move]]:
    """Random interleavings of what operators ask and what happens to the run."""
    return moves(*SCENES, "drain", most=most, least=most // 2)


def beside_the_journal(state: RunState) -> dict[str, Any]:
    """The stored state without what tells of the verbs themselves."""
    return {key: each for key, each in stored(state).items() if not key.startswith("journal")}


class Crew:
    """Operators who give verbs to one run, each with request ids of its own.

    accepted and refused: verbs by request id, as the run must have taken them; `refused` keeps one
    for each time that it was sent.
    """

    def __init__(self, run: Run) -> None:
        self.run = run
        self.player = Player(run)
        self.accepted: dict[str, Verb] = {}
        self.refused: list[Verb] = []
        self.sent: list[Verb] = []

    def play(self, script: Sequence[Move]) -> None:
        """Play all scenes; after each the run's invariants hold."""
        for move in script:
            match move.what:
                case "ask":
                    self.send(self.asked(move))
                case "again" if self.sent:
                    self.send(self.sent[move.which % len(self.sent)])
                case "stale":
                    self.come_late(move)
                case _:
                    self.player.move(move)

    def asked(self, move: Move) -> Verb:
        """A new verb of one of the operators: one that fits where something happens, or any."""
        run, how = self.run, move.how
        operator = OPERATORS[move.which % len(OPERATORS)]
        touched = ["", *run.state.live, *(t.node for t in run.state.tokens.values())]
        path = touched[move.which % len(touched)]
        allowed = run.machine.allowed_on(path, run.now)
        fitting: list[VerbName] = [each for each in allowed if path or each != "revoke"]
        names: list[VerbName] = fitting if fitting and how % 4 else list(VERBS)
        name = names[(move.which + how) % len(names)]
        request = f"{operator}-{len(self.sent)}"
        if how == ANOTHERS and self.accepted:
            request = next(iter(self.accepted))
        return replace(verb_of(run, name, path, how), operator=operator, request_id=request)

    def send(self, verb: Verb) -> None:
        """Send a verb and hold what it does against what it may do."""
        run = self.run
        refused = run.machine.refusal(verb, run.now)
        before, counted = beside_the_journal(run.state), run.state.journal_count

        commands = run.send(verb)

        acted = bool(commands) or beside_the_journal(run.state) != before
        noted = run.state.journal_count - counted
        self.sent.append(verb)
        if self.is_done(verb):
            assert (acted, noted) == (False, 0), f"{verb} was done twice"
        elif refused is not None or verb.request_id in self.accepted:
            assert (acted, noted) == (False, 1), f"{verb} was refused and did something"
            assert refused is not None
            assert run.refusal == refused.text
            self.refused.append(verb)
        else:
            assert (noted, run.refusal) == (1, "")
            assert acted or verb.name in WITHOUT_TRACE, f"{verb} was accepted and not done"
            self.accepted[verb.request_id] = verb

    def is_done(self, verb: Verb) -> bool:
        """Say whether this very request was accepted before."""
        known = self.accepted.get(verb.request_id)
        return known is not None and (known.name, known.node) == (verb.name, verb.node)

    def come_late(self, move: Move) -> None:
        """Send what answers an execution before the present one; it must change nothing."""
        run = self.run
        begun = [(path, found.entry) for path, found in run.state.nodes.items() if found.entry > 1]
        if not begun:
            return
        path, entry = begun[move.which % len(begun)]
        for event in late_events(path, 1 + move.which % (entry - 1), move.how):
            before = stored(run.state)
            assert run.send(event) == [], f"{event} moved entry {entry}"
            assert stored(run.state) == before, f"{event} changed entry {entry}"

    def check_journal(self, journal: Sequence[JournalEntry]) -> None:
        """Hold the journal against the ledger: nothing lost, nothing twice, each refusal said."""
        ours = [entry for entry in journal if entry.request_id]
        done = [entry.request_id for entry in ours if not entry.refusal]
        refused = [entry.request_id for entry in ours if entry.refusal]
        assert done == list(self.accepted)
        assert refused == [verb.request_id for verb in self.refused]
        sent = {(verb.request_id, verb.name, verb.node, verb.operator) for verb in self.sent}
        assert sent >= {(e.request_id, e.verb, e.node, e.operator) for e in ours}


def late_events(path: str, entry: int, how: int) -> list[Event]:
    """Everything that could still answer one execution of a node."""
    timers = (TimerFired(path, entry, "timeout"), TimerFired(path, entry, "retry"))
    return [
        TaskEnded(path, entry, outcome_of(how)),
        Evaluated(path, entry, {"x": how}),
        Evaluated(path, entry, {}, "cannot be had"),
        *timers,
        TimerFired(path, entry, "wait"),
    ]
