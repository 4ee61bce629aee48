"""How a node looks: one word for where it stands, its sign and colour, and a short note.

The sign says the same as the colour, so that nothing is told by colour alone.
"""

import datetime as dt
import zoneinfo
from collections.abc import Mapping
from itertools import pairwise
from typing import Final, Literal, NamedTuple, TypeAlias

from translator.plan import Node, NodePath, Start, Subflow, Task
from workflows.machine.state import Live, NodeState, RunState
from workflows.machine.view.width import clean

Look: TypeAlias = Literal[
    "done", "skipped", "failed", "running", "waiting", "paused", "revoked", "todo"
]

SIGNS: Final[Mapping[str, str]] = {
    "failed": "✗",
    "waiting": "◷",
    "paused": "‖",
    "running": "▶",
    "revoked": "⊘",
    "done": "✓",
    "skipped": "↷",
    "todo": "○",
}
"""By look, the most urgent first; no emoji, which show as empty boxes where no font has them."""

COLOURS: Final[Mapping[str, str]] = {
    "failed": "#c62828",
    "waiting": "#6a3fb5",
    "paused": "#a65a00",
    "running": "#1565c0",
    "revoked": "#455a64",
    "done": "#2e7d32",
    "skipped": "#757575",
    "todo": "#9e9e9e",
}
"""By look; white text on each of them but the last has a contrast of at least 4.5."""

WORDS: Final[Mapping[str, str]] = {
    "failed": "failed",
    "waiting": "waiting",
    "paused": "paused",
    "running": "running",
    "revoked": "revoked",
    "done": "done",
    "skipped": "skipped",
    "todo": "to go",
}

_BY_STATUS: Final[Mapping[str, Look]] = {
    "ready": "waiting",
    "running": "running",
    "suspended": "paused",
    "finished": "done",
    "skipped": "skipped",
    "failed": "failed",
    "revoked": "revoked",
}
_BY_CHILD: Final[Mapping[str, Look]] = {"Waiting": "waiting", "Paused": "paused"}
_WAITING_PHASES: Final = ("waiting", "sleeping", "retrying")
_ENDED: Final = ("done", "skipped", "revoked")
_A_DAY: Final = 20 * 3600
"""From this age on, in seconds, a time of day alone could be mistaken for today's."""
_UNITS: Final = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))


_WAITS_FOR: Final[Mapping[str, str]] = {
    "evaluating": "its values",
    "queued": "a free slot",
    "calling": "the plugin",
    "waiting": "a callback",
    "inside": "what is in it",
    "child": "the end of its child",
}


class View(NamedTuple):
    """What a drawing is made of: the state (None draws the template) and the present moment.

    skippers: who skipped a node. held: nodes about to be entered, with the paused flow ("" is the
    run) or node that keeps the way to them closed. zone: the IANA name for times of day; "" tells
    ages instead.
    """

    state: RunState | None
    now: float
    skippers: Mapping[NodePath, str]
    held: Mapping[NodePath, NodePath]
    zone: str = ""

    def node(self, path: NodePath) -> NodeState | None:
        """Return the state of a node, or None where it is not reached."""
        return self.state.nodes.get(path) if self.state else None

    def live(self, path: NodePath) -> Live | None:
        """Return what is known of a node under way."""
        return self.state.live.get(path) if self.state else None

    def look(self, path: NodePath) -> Look:
        """Return how the node at `path` looks."""
        found, live = self.node(path), self.live(path)
        if path in self.held:
            return "paused"
        if found is None:
            return "todo"
        if live is not None and live.phase in _WAITING_PHASES:
            return "waiting"
        if live is not None and live.phase == "child" and live.child is not None:
            return _BY_CHILD.get(live.child.state, "running")
        return _BY_STATUS[found.status]

    def reached(self, path: NodePath) -> bool:
        """Say whether the node at `path` was ever started, or ended without a start."""
        found = self.node(path)
        return found is not None and (found.entry > 0 or found.status in ("finished", "skipped"))


def view_of(state: RunState | None, now: float, zone: str = "") -> View:
    """Return the view of `state` at `now`, seconds since the epoch; times of day are of `zone`."""
    journal = state.journal if state else ()
    accepted = [entry for entry in journal if entry.verb == "skip" and not entry.refusal]
    tokens = state.tokens.values() if state else ()
    return View(
        state,
        now,
        skippers={entry.node: clean(entry.who) for entry in accepted},
        held={token.node: token.held_by for token in tokens if token.held_by is not None},
        zone=zone,
    )


def urgent(looks: Mapping[str, int]) -> str:
    """Return the most urgent look of those counted, `todo` for none."""
    return next((look for look in SIGNS if looks.get(look)), "todo")


def span(seconds: float, *, exact: bool = False) -> str:
    """Return a length of time in the one or two largest units that say something.

    `exact` is for what is over. The page is a snapshot: in what still grows, seconds beside minutes
    would pretend to be true.
    """
    whole = max(0, int(seconds))
    for (unit, size), (finer, part) in pairwise(_UNITS):
        if whole >= size:
            count, rest = whole // size, whole % size // part
            told = rest and (exact or finer != "s")
            return f"{count} {unit} {rest} {finer}" if told else f"{count} {unit}"
    return f"{whole} s"


def clock(at: float, view: View) -> str:
    """Return when something was: the time of day, with its date where that is not clear."""
    if not view.zone or not at:
        return ago(at, view.now)
    wall = dt.datetime.fromtimestamp(at, zoneinfo.ZoneInfo(view.zone))
    return f"{wall:%H:%M}" if view.now - at < _A_DAY else f"{wall:%m-%d %H:%M}"


def ago(since: float, now: float) -> str:
    """Return how long ago `since` was; "" where it is not known."""
    return f"{span(now - since)} ago" if since else ""


def ahead(at: float, now: float) -> str:
    """Return how far ahead `at` is."""
    return f"in {span(at - now)}" if at > now else "now"


def remarks(path: NodePath, node: Node, view: View, *, brief: bool = False) -> list[str]:
    """Return the parts of a node's second line: what it is doing, how often, since when.

    `brief` leaves out what is no news of this run: the plugin of a node that has ended.
    """
    found, look = view.node(path), view.look(path)
    if found is None or look == "todo":
        shown = plugin_of(node) if view.state is None else look if look == "paused" else ""
        return [shown] if shown else []
    parts = [
        clean(found.note),
        f"attempt {found.retry + 1}" if found.retry else "",
        _round(found, node),
        *_doing(path, node, view),
    ]
    if look == "done" and not brief and not found.note:
        parts.insert(0, plugin_of(node))
    return [part for part in parts if part]


def _round(found: NodeState, node: Node) -> str:
    """Return which pass a node is in, of how many where it loops on itself."""
    if isinstance(node, Task) and node.loop is not None:
        return f"round {found.inner_loop} of {node.loop.times}"
    return f"round {found.loop}" if found.loop > 1 else ""


def plugin_of(node: Node) -> str:
    """Return the plugin that a node calls, "" for none."""
    return clean(node.plugin.code) if isinstance(node, Task) else ""


def waits_for(live: Live, now: float) -> str:
    """Return what a live node waits for; a handle may hold anything, so it is not told."""
    match live.phase:
        case "polling":
            return f"outside work, looked at every {span(live.after_s)}"
        case "sleeping":
            return f"a timer, {ahead(live.deadline, now)}"
        case "retrying":
            return f"an automatic retry, {ahead(live.deadline, now)}"
        case _:
            return _WAITS_FOR[live.phase]


def _doing(path: NodePath, node: Node, view: View) -> list[str]:
    found, live, look = view.node(path), view.live(path), view.look(path)
    if found is None:
        return []
    age = span(view.now - found.since) if found.since else ""
    if look in _ENDED:
        return _ended(path, found, view)
    if look == "failed":
        return [clean(reason_of(path, view)), age]
    if live is not None and look in ("running", "waiting"):
        timed = live.phase in ("sleeping", "retrying")  # when it ends says more than its age
        return [_phase(live, found, node, view.now), "" if timed else age]
    return ["paused" if look == "paused" else "", age]


def _ended(path: NodePath, found: NodeState, view: View) -> list[str]:
    """Return how a node ended: who skipped it and when, or how long it took."""
    when = clock(found.since, view) if found.since else ""
    if found.status == "skipped":
        who = view.skippers.get(path, "")
        said = f"skipped by {who}" if who else "skipped"
        return [f"{said}, {when}" if when else said]
    if found.status == "revoked":
        return [when]
    took = span(found.took, exact=True) if found.took else ""
    return ["error ignored" if found.error_ignored else "", took]


def _phase(live: Live, found: NodeState, node: Node, now: float) -> str:
    """Return what a node under way is at; where the plugin says so itself, that is enough."""
    match live.phase:
        case "sleeping":
            return f"timer {ahead(live.deadline, now)}"
        case "retrying":
            return f"retry {ahead(live.deadline, now)}"
        case "waiting":
            return "callback"
        case "evaluating" | "queued":
            return live.phase
        case "polling" | "child":
            return "" if found.note else live.phase
        case "calling" | "inside":
            return "" if found.note else plugin_of(node)


def reason_of(path: NodePath, view: View) -> str:
    """Return why a node failed, "" where it did not."""
    live = view.live(path)
    failed = view.state.failed.get(path, "") if view.state else ""
    return failed or (live.error if live else "")


def kind_word(node: Node) -> str:
    """Return what kind of node it is, for people."""
    match node:
        case Task() | Start() | Subflow():
            return node.kind
        case _:
            return node.kind.replace("_", " ")
