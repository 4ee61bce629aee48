"""What is left out of a large drawing: nodes far from where something happens become one fold.

A node is hot when it runs, waits, is held or failed. A drawing keeps the hot nodes, as many steps
around them as it has room for, and says of the rest how many there are and how they stand.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from translator.plan import End, NodePath, Start, Task, parent_path
from workflows.machine.state import RunState
from workflows.machine.view.blocks import (
    Fold,
    Fork,
    Frame,
    Item,
    Jump,
    Lane,
    Leaf,
    display_name,
    leaves,
)
from workflows.machine.view.signs import SIGNS, WORDS, View, urgent
from workflows.machine.view.width import ELLIPSIS, clean

MOST_LANES: Final = 5


class Level(NamedTuple):
    """How much to keep: steps around what is hot, and how many hot nodes."""

    reach: int
    hottest: int


LEVELS: Final = (
    Level(24, 24),
    Level(12, 24),
    Level(8, 20),
    Level(6, 16),
    Level(4, 16),
    Level(3, 12),
    Level(2, 12),
    Level(2, 8),
    Level(1, 8),
    Level(1, 5),
    Level(1, 3),
    Level(0, 3),
    Level(0, 1),
)
"""From much to little; the first that fits is drawn."""


def hot_paths(state: RunState | None, most: int | None) -> dict[NodePath, int]:
    """Rank the paths of at most `most` hot nodes (None for all): the failed come first."""
    if state is None:
        return {}
    busy = [path for path, live in state.live.items() if live.phase != "inside"]
    held = [token.node for token in state.tokens.values() if token.held_by is not None]
    paths = dict.fromkeys([*state.failed, *held, *busy])
    return {path: rank for rank, path in enumerate([*paths][:most])}


def trim(items: Sequence[Item], view: View) -> tuple[Item, ...]:
    """Leave out where subflows start and end, unless something happens there."""
    return _trimmed(items, hot_paths(view.state, None))


def _trimmed(items: Sequence[Item], hot: Mapping[NodePath, int]) -> tuple[Item, ...]:
    result: list[Item] = []
    for item in items:
        match item:
            case Frame():
                inner = [each for each in item.items if not _is_border(each) or each.path in hot]
                result.append(Frame(item.path, item.node, _trimmed(inner, hot)))
            case Fork():
                lanes = [Lane(lane.label, _trimmed(lane.items, hot)) for lane in item.lanes]
                result.append(Fork(item.path, item.node, tuple(lanes), item.join))
            case _:
                result.append(item)
    return tuple(result)


def _is_border(item: Item) -> bool:
    return isinstance(item, Leaf) and isinstance(item.node, Start | End)


def fold(items: Sequence[Item], view: View, level: Level) -> tuple[Item, ...]:
    """Return `items` with all that is far from what is hot folded."""
    hot = hot_paths(view.state, level.hottest) or _both_ends(items)
    return _Folder(view, level.reach, _with_flows(hot)).sequence(items)


def fold_text(fold: Fold) -> str:
    """Return what a fold says: its name, and how many tasks it holds by look."""
    name = clean(fold.name)
    if not name:
        return _counted(fold.counts) or ELLIPSIS
    return f"{SIGNS[urgency(fold.counts)]} ▸{name} · {sum(count for _, count in fold.counts)}"


def _counted(counts: Sequence[tuple[str, int]]) -> str:
    if len(counts) == 1:
        look, count = counts[0]
        return f"{SIGNS[look]} {count} {WORDS[look]}"
    return " · ".join(f"{SIGNS[look]} {count}" for look, count in counts)


def count_looks(items: Sequence[Item], view: View) -> tuple[tuple[str, int], ...]:
    """Count the tasks in `items` by look, the most urgent first."""
    counted = Counter(view.look(leaf.path) for leaf in leaves(items) if isinstance(leaf.node, Task))
    for item in folds(items):
        counted.update(dict(item.counts))
    return tuple((look, counted[look]) for look in SIGNS if counted.get(look))


def folds(items: Sequence[Item]) -> list[Fold]:
    """Return the folds that stand directly in `items`."""
    return [item for item in items if isinstance(item, Fold)]


def first_path(item: Item) -> NodePath:
    """Return the node to which the way into `item` leads."""
    return item.target if isinstance(item, Jump) else item.path


def last_path(item: Item) -> NodePath:
    """Return the node from which the way leaves `item`."""
    return item.last if isinstance(item, Fold) else item.path


def urgency(counts: Sequence[tuple[str, int]]) -> str:
    """Return the look that a fold takes on."""
    looks: Mapping[str, int] = dict(counts)
    if set(looks) == {"done", "todo"}:
        return "todo"
    return urgent(looks)


def _both_ends(items: Sequence[Item]) -> dict[NodePath, int]:
    return {items[0].path: 0, items[-1].path: 1} if items else {}


def _with_flows(hot: Mapping[NodePath, int]) -> dict[NodePath, int]:
    """Add the subflows around each hot node, with the rank of their first one."""
    result = dict(hot)
    for path, rank in hot.items():
        flow = parent_path(path)
        while flow and flow not in result:
            result[flow] = rank
            flow = parent_path(flow)
    return result


class _Folder:
    """Folds one drawing; remembers how hot each fork is."""

    def __init__(self, view: View, reach: int, hot: Mapping[NodePath, int]) -> None:
        self.view = view
        self.reach = reach
        self.hot = hot
        self.known: dict[NodePath, int] = {}

    def rank(self, item: Item) -> int:
        """Return the rank of the hottest node in `item`; one past the last where none is hot."""
        cold = len(self.hot)
        if isinstance(item, Jump):
            return cold
        if not isinstance(item, Fork):
            return self.hot.get(item.path, cold)
        if item.path not in self.known:
            lanes = (self.lane_rank(lane) for lane in item.lanes)
            self.known[item.path] = min(self.hot.get(item.path, cold), *lanes, cold)
        return self.known[item.path]

    def lane_rank(self, lane: Lane) -> int:
        """Return the rank of the hottest node on a lane."""
        return min(map(self.rank, lane.items), default=len(self.hot))

    def is_hot(self, item: Item) -> bool:
        """Say whether `item` is hot or holds something hot."""
        return self.rank(item) < len(self.hot)

    def sequence(self, items: Sequence[Item]) -> tuple[Item, ...]:
        """Fold what is far; a jump stays, since it says where the way goes."""
        near = _within([self.is_hot(item) for item in items], self.reach)
        result: list[Item] = []
        run: list[Item] = []
        for item, close in zip(items, near, strict=True):
            if isinstance(item, Jump) or self.is_hot(item) or (close and _is_small(item)):
                result += self.folded(run)
                run = []
                result.append(self.inside(item))
            else:
                run.append(item)
        return (*result, *self.folded(run))

    def folded(self, run: Sequence[Item]) -> list[Item]:
        """Return `run` as one fold; a single node stays what it is."""
        if not run or (len(run) == 1 and isinstance(run[0], Leaf)):
            return [*run]
        name = display_name(run[0].node) if len(run) == 1 and isinstance(run[0], Frame) else ""
        return [Fold(run[0].path, last_path(run[-1]), count_looks(run, self.view), name)]

    def inside(self, item: Item) -> Item:
        """Fold what is in a fork or a frame that stays."""
        if isinstance(item, Frame):
            return Frame(item.path, item.node, self.sequence(item.items))
        if not isinstance(item, Fork):
            return item
        return Fork(item.path, item.node, self.lanes(item.lanes), item.join)

    def lanes(self, lanes: Sequence[Lane]) -> tuple[Lane, ...]:
        """Fold the lanes one by one, and the cold ones together where there are many."""
        if len(lanes) <= MOST_LANES:
            return tuple(Lane(lane.label, self.sequence(lane.items)) for lane in lanes)
        order = sorted(range(len(lanes)), key=lambda at: self.lane_rank(lanes[at]))
        chosen = sorted(order[: MOST_LANES - 1])
        kept = [lanes[at] for at in chosen]
        rest = [item for at in sorted(order[MOST_LANES - 1 :]) for item in lanes[at].items]
        label = f"{len(lanes) - len(kept)} more"
        drawn = [Lane(lane.label, self.sequence(lane.items)) for lane in kept]
        if not rest:
            return (*drawn, Lane(label, ()))
        folded = Fold(rest[0].path, last_path(rest[-1]), count_looks(rest, self.view))
        return (*drawn, Lane(label, (folded,)))


def _is_small(item: Item) -> bool:
    return isinstance(item, Leaf | Fold)


def _within(marks: Sequence[bool], reach: int) -> list[bool]:
    """Say of each place whether a mark stands at most `reach` places away."""
    near = [False] * len(marks)
    for places in (range(len(marks)), range(len(marks) - 1, -1, -1)):
        steps = reach + 1
        for at in places:
            steps = 0 if marks[at] else steps + 1
            near[at] = near[at] or steps <= reach
    return near
