"""What holds in a run after every event, as one function.

`tests.helpers.runs` has the first two parts: that something is left that can move each token
(`stuck`), and that counters and indexes agree with the nodes (`inconsistent`).
"""

from collections import Counter
from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import Final

from activities.contract import RunSettings
from tests.helpers.runs import OVER, Run, inconsistent, stuck
from translator.plan import ROOT, NodePath, Plan, Subflow
from workflows.machine.events import Command, RunTask, Verb, VerbName
from workflows.machine.machine import Given
from workflows.machine.state import RunState
from workflows.machine.verbs import OFFERED

Rule = Callable[["Watched"], str | None]

STANDING: Final = {
    "evaluating": ("running", "suspended"),
    "queued": ("running",),
    "calling": ("running",),
    "polling": ("running",),
    "waiting": ("running",),
    "sleeping": ("running",),
    "retrying": ("failed",),
    "inside": ("running", "suspended", "failed"),
    "child": ("running",),
}
"""The statuses that a node may have in each phase; a subflow may be paused in any."""


class Watched(Run):
    """A run whose every event is followed by all rules; it remembers what must never go back."""

    def __init__(self, plan: Plan, settings: RunSettings, given: Given = Given()) -> None:  # noqa: B008  immutable
        self.entries: dict[NodePath, int] = {}
        self.cancelled: list[RunTask] = []
        self.watching = True
        self.events = 0
        super().__init__(plan, settings, given)

    def take(self, commands: Iterable[Command]) -> None:
        """Remember what commands ask for, and check."""
        before = [each for each in self.outstanding if isinstance(each, RunTask)]
        super().take(commands)
        self.cancelled += [each for each in before if each not in self.outstanding]

    def check(self) -> None:
        """Assert what holds in every reachable state."""
        self.events += 1
        if self.watching:
            problem = broken(self)
            assert problem is None, problem
        self.entries = {path: found.entry for path, found in self.state.nodes.items()}


def broken(run: Watched) -> str | None:
    """Return the first thing that does not hold, None when all does."""
    return next((problem for rule in RULES if (problem := rule(run)) is not None), None)


def something_moves_it(run: Watched) -> str | None:
    """Each token has something that can move it: work, a timer, a callback, or a person."""
    return stuck(run.machine, run.outstanding)


def counters_agree(run: Watched) -> str | None:
    """Slots, failed nodes, held tokens and paused flows are what the nodes say they are."""
    return inconsistent(run.machine)


def tokens_have_parents(run: Watched) -> str | None:
    """A token is forked by one that stands and waits for it, in the same flow as its converge."""
    tokens = run.state.tokens
    for token_id, token in tokens.items():
        if token.parent and token.parent not in tokens:
            return f"token {token_id} has lost its parent {token.parent}"
        if bool(token.parent) != bool(token.destination):
            return f"token {token_id} has a parent or a converge, not both"
        if token.pending and token.node in run.state.live:
            return f"token {token_id} waits for its branches and stands at live {token.node!r}"
    return None


def each_live_node_has_its_token(run: Watched) -> str | None:
    """No two nodes share a token, but a subflow and what goes on inside it."""
    owners: dict[str, list[NodePath]] = {}
    for path, live in run.state.live.items():
        if live.token not in run.state.tokens:
            return f"{path!r} is under way without its token {live.token}"
        owners.setdefault(live.token, []).append(path)
    for token_id, paths in owners.items():
        chain = sorted(paths, key=len)
        for outer, inner in pairwise(chain):
            is_around = isinstance(run.machine.core.place(outer).node, Subflow)
            if not (is_around and inner.startswith(f"{outer}/")):
                return f"token {token_id} stands at {outer!r} and {inner!r}"
    return None


def entries_never_go_back(run: Watched) -> str | None:
    """The number of an execution only grows; what is under way or has ended has one."""
    for path, before in run.entries.items():
        found = run.state.nodes.get(path)
        if found is None or found.entry < before:
            return f"{path!r} was at entry {before} and is at {found and found.entry}"
    lost = [path for path in run.state.live if run.state.nodes[path].entry < 1 and path]
    limit = [p for p in lost if "rerun limit" not in run.state.live[p].error]
    return f"under way without an entry: {limit}" if limit else None


def phases_fit_statuses(run: Watched) -> str | None:
    """A node's phase is one that its status allows."""
    for path, live in run.state.live.items():
        status = run.state.nodes[path].status
        if status not in STANDING[live.phase]:
            return f"{path!r} is {status} and {live.phase}"
    return None


def bounds_are_kept(run: Watched) -> str | None:
    """No more is called, or asleep, than the settings let."""
    state, settings = run.state, run.settings
    if not 0 <= state.executing <= max(settings.in_flight, _callbacks(run)):
        return f"{state.executing} calls of at most {settings.in_flight}"
    if state.polling < 0:
        return f"{state.polling} polls"
    return None


def _callbacks(run: Watched) -> int:
    """How many work on a callback, which is let in at once, beside the calls."""
    return run.settings.in_flight + sum(live.answering for live in run.state.live.values())


def the_queue_is_clean(run: Watched) -> str | None:
    """The queue holds each node that waits for a slot, once, and no other."""
    queued = [path for path, live in run.state.live.items() if live.phase == "queued"]
    is_same = Counter(queued) == Counter(run.state.queued)
    return None if is_same else f"queued are {queued}, the queue holds {run.state.queued}"


def failures_say_why(run: Watched) -> str | None:
    """Each failed node that waits for a person has a reason, the one that is shown."""
    for path, error in run.state.failed.items():
        live = run.state.live.get(path)
        if live is not None and (live.error != error or not error):
            return f"{path!r} says {live.error!r} and {error!r}"
    return None


def children_are_known(run: Watched) -> str | None:
    """A child is open for the run where, and only where, one goes on outside."""
    state = run.state
    mine = {path for path, live in state.live.items() if live.child is not None}
    return None if mine == set(run.children) else f"open {sorted(mine)}, outside {[*run.children]}"


def what_is_offered_is_accepted(run: Watched) -> str | None:
    """A verb that is offered for a node is not refused, one that is not offered is.

    Each event asks about one node, the next event about the next.
    """
    live = [ROOT, *run.state.live]
    path = live[run.events % len(live)]
    offered = run.machine.allowed_on(path, run.now)
    wrong = [name for name in OFFERED if (name in offered) == _refused(run, name, path)]
    return f"{wrong} of {path!r} offered or not, and not so taken" if wrong else None


def _refused(run: Watched, name: VerbName, path: NodePath) -> bool:
    return run.machine.refusal(Verb(name, path, data=0), run.now) is not None


def an_end_is_an_end(run: Watched) -> str | None:
    """A run that is over has nothing under way and no node that looks as if it went on."""
    state = run.state
    if state.nodes[ROOT].status not in OVER:
        return None
    going = [path for path, found in state.nodes.items() if found.status == "running"]
    left = (state.tokens, state.live, state.queued, state.executing, state.polling, run.children)
    return f"over, and there is {going or left}" if going or any(left) else None


def the_journal_is_bounded(run: Watched) -> str | None:
    """The journal counts what it holds."""
    state: RunState = run.state
    noted = sum([*state.journal_accepted.values(), *state.journal_refused.values()])
    notices = sum(entry.verb == "warning" for entry in state.journal)
    if noted > state.journal_count or len(state.journal) > state.journal_count:
        return f"{noted} verbs, {notices} notices, {state.journal_count} counted"
    return None


RULES: Final[tuple[Rule, ...]] = (
    something_moves_it,
    counters_agree,
    tokens_have_parents,
    each_live_node_has_its_token,
    entries_never_go_back,
    phases_fit_statuses,
    bounds_are_kept,
    the_queue_is_clean,
    failures_say_why,
    children_are_known,
    what_is_offered_is_accepted,
    an_end_is_an_end,
    the_journal_is_bounded,
)
