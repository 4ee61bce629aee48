"""How much room blocks take in a picture, found from the inside out, in user units.

Each block has an axis on which the way enters and leaves it, and a reach to the left and to the
right of it. Loops take room on the right of what they pass.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from translator.plan import (
    ConditionalParallel,
    Converge,
    End,
    Exclusive,
    Node,
    NodePath,
    Parallel,
    Start,
)
from workflows.machine.view.blocks import Fold, Fork, Frame, Item, Jump, Lane, Leaf
from workflows.machine.view.width import clean, cut_units, units

WIDTH: Final = 660
MARGIN: Final = 8
BOX_WIDTHS: Final = (196, 182, 168, 156, 146, 138, 130, 122, 114, 106, 98)
BOX_HEIGHT: Final = 46
FOLD_HEIGHT: Final = 28
DIAMOND: Final = 30
DOT: Final = 14
GAP: Final = 16
BETWEEN: Final = 28
BUS: Final = 11
LABEL_DROP: Final = 21
SMALL: Final = 0.72
"""The scale of the second lines and labels: text on the page is 16 units high."""

FRAME_PAD: Final = 12
FRAME_HEAD: Final = 28
_LOOP_STEP: Final = 14
_LOOP_LABEL: Final = 40
_MOST_LOOPS: Final = 4
_THIN: Final = 14


class Sized(NamedTuple):
    """A block with its reach to the left and right of its axis, and its height."""

    item: Item
    left: int
    right: int
    height: int
    lanes: tuple[tuple["Sized", ...], ...] = ()


class Extent(NamedTuple):
    """The reach and height of a sequence."""

    left: int
    right: int
    height: int


def is_shown(item: Item) -> bool:
    """Say whether `item` takes room of its own; a loop's jump is drawn in the margin."""
    return not isinstance(item, Jump) or not item.back


def drawn_lanes(fork: Fork) -> list[Lane]:
    """Return the lanes that take room; one that only leads back is a line in the margin."""
    return [
        lane for lane in fork.lanes if not lane.items or any(is_shown(item) for item in lane.items)
    ]


def extent_of(sized: Sequence[Sized]) -> Extent:
    """Return the extent of a sequence without its loops."""
    shown = [part for part in sized if is_shown(part.item)]
    left = max((part.left for part in shown), default=0)
    right = max((part.right for part in shown), default=0)
    height = sum(part.height for part in shown) + GAP * max(0, len(shown) - 1)
    return Extent(left, right, height)


def full_extent(sized: Sequence[Sized]) -> Extent:
    """Return the extent of a sequence and, on the right, of the loops that close in it."""
    left, right, height = extent_of(sized)
    for slot, loop in enumerate(loops_of(sized)):
        right = max(right, loop.edge + slot_of(slot) + _LOOP_LABEL)
    return Extent(left, right, height)


class Loop(NamedTuple):
    """A loop of a sequence; `edge` is how far the blocks that it passes reach to the right."""

    jump: Jump
    edge: int


def slot_of(number: int) -> int:
    """Return how far outside a loop runs, so that loops do not cover each other."""
    return _LOOP_STEP * (number % _MOST_LOOPS + 1)


class _Survey(NamedTuple):
    """Where the nodes of a sequence stand in it, and the jumps back in it or in its lanes.

    `within` close in this sequence, `out` lead further out; each with the place where it starts.
    """

    places: dict[NodePath, int]
    within: list[tuple[int, Jump]]
    out: list[tuple[int, Jump]]


def _survey(items: Sequence[Item]) -> _Survey:
    found = _Survey({}, [], [])
    jumps: list[tuple[int, Jump]] = []
    for at, item in enumerate(items):
        if not isinstance(item, Jump):
            found.places[item.path] = at
        elif item.back:
            jumps.append((at, item))
        for inner in map(_survey, (lane.items for lane in _lanes(item))):
            found.places.update(dict.fromkeys(inner.places, at))
            jumps += [(at, jump) for _, jump in inner.out]
    for at, jump in jumps:
        (found.within if jump.target in found.places else found.out).append((at, jump))
    return found


def _lanes(item: Item) -> tuple[Lane, ...]:
    return item.lanes if isinstance(item, Fork) else ()


def loops_of(sized: Sequence[Sized]) -> list[Loop]:
    """Return the loops that close in a sequence and not in a lane of it, the shortest first."""
    survey = _survey([part.item for part in sized])
    known = [(survey.places[jump.target], at, jump) for at, jump in survey.within]
    known.sort(key=lambda loop: loop[1] - loop[0])
    return [Loop(jump, _passed(sized, low, high, jump)) for low, high, jump in known]


def _passed(sized: Sequence[Sized], low: int, high: int, jump: Jump) -> int:
    """Return the reach of what a loop passes; from a gateway itself it starts above its lanes."""
    if sized[high].item.path == jump.path and low < high:
        return max(extent_of(sized[low:high]).right, DIAMOND // 2)
    return extent_of(sized[low : high + 1]).right


class Measure:
    """Finds the size of blocks, from the inside out."""

    def __init__(self, box_width: int) -> None:
        self.box_width = box_width

    def sequence(self, items: Sequence[Item]) -> tuple[Sized, ...]:
        """Return `items` with their sizes."""
        return tuple(self.item(item) for item in items)

    def item(self, item: Item) -> Sized:
        """Return one block with its size."""
        half = self.box_width // 2
        match item:
            case Leaf():
                width, height = leaf_size(item.node, self.box_width)
                return Sized(item, width // 2, width // 2, height)
            case Fold():
                return Sized(item, half, half, FOLD_HEIGHT)
            case Jump():
                return Sized(item, half if is_shown(item) else 0, half, FOLD_HEIGHT // 2)
            case Frame():
                return self.frame(item)
            case Fork():
                return self.fork(item)

    def frame(self, frame: Frame) -> Sized:
        """Return a frame: its flow, padded, below a title."""
        inner = self.sequence(frame.items)
        left, right, height = full_extent(inner)
        least = self.box_width // 2
        return Sized(
            frame,
            max(left, least) + FRAME_PAD,
            max(right, least) + FRAME_PAD,
            height + FRAME_HEAD + FRAME_PAD,
            (inner,),
        )

    def fork(self, fork: Fork) -> Sized:
        """Return a fork: a diamond above its lanes, the axis in the middle of them."""
        lanes = tuple(self.sequence(lane.items) for lane in drawn_lanes(fork))
        extents = [
            self.lane(lane, sized) for lane, sized in zip(drawn_lanes(fork), lanes, strict=True)
        ]
        if not extents:
            return Sized(fork, DIAMOND // 2, DIAMOND // 2, DIAMOND)
        axes, total = lane_axes(extents)
        middle = middle_axis(axes, lanes)
        height = DIAMOND + drop(fork) + max(extent.height for extent in extents) + 2 * BUS
        return Sized(
            fork, max(middle, DIAMOND // 2), max(total - middle, DIAMOND // 2), height, lanes
        )

    def lane(self, lane: Lane, sized: Sequence[Sized]) -> Extent:
        """Return the extent of a lane; an empty one is as wide as its label."""
        left, right, height = full_extent(sized)
        words = int(units(self.lane_label(lane)) * SMALL) + 10 if lane.label else 0
        return Extent(max(left, _THIN), max(right, _THIN, words), height)

    def lane_label(self, lane: Lane) -> str:
        """Return what stands at the head of a lane."""
        return label_text(lane.label, self.box_width)


def leaf_size(node: Node, box_width: int) -> tuple[int, int]:
    """Return the width and height of a node by its kind."""
    match node:
        case Start() | End():
            return DOT, DOT
        case Converge() | Parallel() | ConditionalParallel() | Exclusive():
            return DIAMOND, DIAMOND
        case _:
            return box_width, BOX_HEIGHT


def label_text(text: str, box_width: int) -> str:
    """Return a label as it is drawn: no wider than half a box."""
    return cut_units(clean(text), box_width * 0.5 / SMALL)


def drop(fork: Fork) -> int:
    """Return how far lanes hang below their bus: further where a label stands between."""
    return LABEL_DROP if any(lane.label for lane in drawn_lanes(fork)) else BUS


def lane_axes(extents: Sequence[Extent]) -> tuple[list[int], int]:
    """Return where the lanes' axes stand, from the left end of the first, and the whole width."""
    axes: list[int] = []
    edge = 0
    for extent in extents:
        axes.append(edge + extent.left)
        edge += extent.left + extent.right + BETWEEN
    return axes, edge - BETWEEN


def middle_axis(axes: Sequence[int], lanes: Sequence[Sequence[Sized]]) -> int:
    """Return the axis of a fork: a lane that goes straight on, else the middle of all."""
    for axis, lane in zip(axes, lanes, strict=True):
        if not lane:
            return axis
    return (axes[(len(axes) - 1) // 2] + axes[len(axes) // 2]) // 2
