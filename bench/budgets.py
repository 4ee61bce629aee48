"""The budgets of the design, each marked met or missed by what was measured in the same run."""

import operator
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from bench.compile import BOUND_MS
from bench.contestants import HAND, OURS
from bench.results import RECORDED, Results, Row
from bench.shapes import Kind

SPEED: Final = 0.95
"""Least speed, as a share of the hand-written workflow's."""
COST: Final = 1.1
"""Most cost, as a multiple of the hand-written workflow's: CPU, replay, latency."""
STEPS_S: Final = 50_000
LINEAR: Final = 0.75
"""Least speed of the Machine at 10,000 nodes as a share of that at 1,000: what caches cost."""
MORE_EVENTS: Final = 0.05
"""Most events a node beyond the hand-written workflow's. A node has none of its own; what a run
has once, such as its search attributes, is spread over its nodes."""
OVER_PEER: Final[Mapping[tuple[str, Kind], float]] = {
    ("line", "quick"): 4.0,
    ("many", "quick"): 1.5,
    ("line", "inline"): 20.0,
}
"""Least speed as a multiple of bamboo-engine's."""


class Budget(NamedTuple):
    """A figure and its bound; `at_most` says on which side of the bound it must stay."""

    name: str
    goal: float
    measured: float
    at_most: bool = False

    @property
    def is_met(self) -> bool:
        """Whether the figure stays within its bound."""
        within = operator.le if self.at_most else operator.ge
        return within(self.measured, self.goal)

    @property
    def bound(self) -> str:
        """The bound as text."""
        return f"{'<=' if self.at_most else '>='} {self.goal:,g}"

    def as_json(self) -> dict[str, object]:
        """Return the budget for programs."""
        return {
            "name": self.name,
            "goal": self.bound,
            "measured": round(self.measured, 4),
            "met": self.is_met,
        }


def budgets(found: Results) -> list[Budget]:
    """Return the budgets of all that was measured, in the order of the design."""
    return [
        *_beside_hand(found),
        *_replay(found),
        *_one_node(found),
        *_over_peer(found),
        *_events(found),
        *_machine(found),
        *_compile(found),
        *_largest(found),
    ]


def _pairs(found: Results) -> Iterator[tuple[Row, Row]]:
    """Yield what was run by us and by hand, an activity a node."""
    for ours in found.rows:
        if ours.contestant == OURS and ours.kind == "activity":
            hand = found.row(ours.key, ours.kind, HAND)
            if hand is not None:
                yield ours, hand


def _beside_hand(found: Results) -> Iterator[Budget]:
    for ours, hand in _pairs(found):
        if ours.key != "one":
            yield Budget(f"{ours.title}: speed over by hand", SPEED, ours.nodes_s / hand.nodes_s)
        yield from _cost(f"{ours.title}: worker CPU over by hand", ours.cpu_ms, hand.cpu_ms)


def _cost(name: str, ours: float | None, hand: float | None) -> Iterator[Budget]:
    if ours is not None and hand:
        yield Budget(name, COST, ours / hand, at_most=True)


def _replay(found: Results) -> Iterator[Budget]:
    name = "replay of the line: time over by hand"
    yield from _cost(name, found.replay_ms.get(OURS), found.replay_ms.get(HAND))


def _one_node(found: Results) -> Iterator[Budget]:
    for ours, hand in _pairs(found):
        if ours.key == "one":
            yield from _cost("one node: p50 over by hand", ours.p50_ms, hand.p50_ms)
            yield from _cost("one node: p99 over by hand", ours.p99_ms, hand.p99_ms)


def _over_peer(found: Results) -> Iterator[Budget]:
    for (key, kind), goal in OVER_PEER.items():
        ours = found.row(key, kind, OURS)
        if ours is not None:
            peer = next(row for row in RECORDED if row.key == key)
            name = f"{ours.title}, {kind}: speed over {peer.contestant}"
            yield Budget(name, goal, ours.nodes_s / peer.nodes_s)


def _events(found: Results) -> Iterator[Budget]:
    for ours, hand in _pairs(found):
        if ours.key == "line" and ours.events is not None and hand.events is not None:
            more = max(0.0, ours.events - hand.events)
            name = f"{ours.title}: events a node beyond by hand"
            yield Budget(name, MORE_EVENTS, more, at_most=True)


def _machine(found: Results) -> Iterator[Budget]:
    for pace in found.paces:
        name = f"Machine, {pace.title}, {pace.nodes:,} nodes: steps/s"
        yield Budget(name, STEPS_S, pace.steps_s)
    by_size = {(pace.title, pace.nodes): pace.steps_s for pace in found.paces}
    for title in dict.fromkeys(pace.title for pace in found.paces):
        few, many = by_size.get((title, 1_000)), by_size.get((title, 10_000))
        if few and many:
            name = f"Machine, {title}: speed at 10,000 nodes over that at 1,000"
            yield Budget(name, LINEAR, many / few)


def _compile(found: Results) -> Iterator[Budget]:
    if found.compile_ms is not None:
        name = "parse, check and compile 1,000 tasks: ms"
        yield Budget(name, BOUND_MS, found.compile_ms, at_most=True)


def _largest(found: Results) -> Iterator[Budget]:
    ours = found.row("long", "activity", OURS)
    if ours is not None:
        name = "nodes in one line to their end, through continue-as-new"
        yield Budget(name, ours.nodes, ours.nodes if ours.parts > 1 else 0)
