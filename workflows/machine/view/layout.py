"""Where everything stands in a picture: boxes, frames, lines and labels, in user units.

Top to bottom. Blocks of a sequence share their axis; lanes of a fork stand side by side; a frame is
a padded sequence. Sizes are known (see `measure`), so places are given from the outside in, and two
boxes never meet. Loops go up on the right side of what they pass.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, TypeAlias

from translator.plan import End, Node, NodePath, Parallel, Plan
from workflows.machine.view.blocks import (
    Fold,
    Fork,
    Frame,
    Item,
    Jump,
    Lane,
    Leaf,
    blocks,
    display_name,
)
from workflows.machine.view.fold import first_path, last_path
from workflows.machine.view.measure import (
    BOX_HEIGHT,
    BOX_WIDTHS,
    BUS,
    DIAMOND,
    DOT,
    FOLD_HEIGHT,
    FRAME_HEAD,
    GAP,
    MARGIN,
    SMALL,
    WIDTH,
    Extent,
    Measure,
    Sized,
    drawn_lanes,
    drop,
    full_extent,
    is_shown,
    label_text,
    lane_axes,
    leaf_size,
    loops_of,
    middle_axis,
    slot_of,
)
from workflows.machine.view.width import clean, cut_units

Kind: TypeAlias = Literal["box", "diamond", "dot", "fold"]


@dataclass(frozen=True, slots=True)
class Box:
    """One node or fold; x and y are its upper left corner."""

    path: NodePath
    kind: Kind
    x: int
    y: int
    width: int
    height: int
    node: Node | None = None
    fold: Fold | None = None


@dataclass(frozen=True, slots=True)
class FrameBox:
    """The dashed frame around a subflow, with its title."""

    path: NodePath
    x: int
    y: int
    width: int
    height: int
    title: str


@dataclass(frozen=True, slots=True)
class Line:
    """A way from one node to another, as the corners it passes, each a pair of x and y.

    rivals: the first nodes of the gateway's other ways, where only one of them is taken. A line
    with `loop` closes a loop and ends in an arrow.
    """

    source: NodePath
    target: NodePath
    corners: tuple[tuple[int, int], ...]
    rivals: tuple[NodePath, ...] = ()
    loop: bool = False


@dataclass(frozen=True, slots=True)
class Label:
    """A small text; `loop` is the node whose passes it counts, "" for none."""

    x: int
    y: int
    text: str
    loop: NodePath = ""


@dataclass(slots=True)
class Layout:
    """A whole drawing; all figures are whole user units, the origin is the upper left corner."""

    width: int = WIDTH
    height: int = 0
    box_width: int = BOX_WIDTHS[0]
    boxes: list[Box] = field(default_factory=list[Box])
    frames: list[FrameBox] = field(default_factory=list[FrameBox])
    lines: list[Line] = field(default_factory=list[Line])
    labels: list[Label] = field(default_factory=list[Label])


def layout(plan: Plan, box_widths: Sequence[int] = BOX_WIDTHS) -> Layout:
    """Lay out the whole flow of `plan`."""
    return lay_out(blocks(plan.flow), box_widths)


def lay_out(items: Sequence[Item], box_widths: Sequence[int] = BOX_WIDTHS) -> Layout:
    """Lay out blocks with the widest boxes that fit the page's width, else a wider picture."""
    for width in box_widths:
        sized = Measure(width).sequence(items)
        extent = full_extent(sized)
        if extent.left + extent.right <= WIDTH - 2 * MARGIN:
            break
    else:
        width = box_widths[-1]
        sized = Measure(width).sequence(items)
        extent = full_extent(sized)
    return _Placer(width).run(sized, extent)


class _Placer:
    """Gives blocks their places, from the outside in."""

    def __init__(self, box_width: int) -> None:
        self.out = Layout(box_width=box_width)
        self.box_width = box_width
        self.places: dict[NodePath, tuple[int, int, int]] = {}

    def run(self, sized: Sequence[Sized], extent: Extent) -> Layout:
        """Place everything; the axis is in the middle of the page where there is room."""
        self.out.width = max(WIDTH, extent.left + extent.right + 2 * MARGIN)
        half = self.out.width // 2
        axis = min(max(half, extent.left + MARGIN), self.out.width - MARGIN - extent.right)
        bottom = self.flow(sized, axis, MARGIN)
        self.out.height = bottom + MARGIN
        return self.out

    def flow(self, sized: Sequence[Sized], axis: int, top: int) -> int:
        """Place a flow or lane and the loops beside it; return where it ends below."""
        bottom = self.sequence(sized, axis, top)
        for slot, loop in enumerate(loops_of(sized)):
            self.loop(loop.jump, axis + loop.edge + slot_of(slot))
        return bottom

    def sequence(self, sized: Sequence[Sized], axis: int, top: int) -> int:
        """Place blocks below each other, joined by lines; return where they end below."""
        previous: Sized | None = None
        bottom = top
        for part in sized:
            if not is_shown(part.item):
                continue
            if previous is not None:
                self.join(previous.item, part.item, axis, bottom)
                bottom += GAP
            self.place(part, axis, bottom)
            bottom += part.height
            previous = part
        return bottom

    def join(self, above: Item, below: Item, axis: int, bottom: int) -> None:
        """Draw the line between two blocks of a sequence; a fork joins its lanes itself."""
        if isinstance(above, Fork):
            self.line(above.path, first_path(below), ((axis, bottom), (axis, bottom + GAP)))
            return
        self.line(last_path(above), first_path(below), ((axis, bottom), (axis, bottom + GAP)))

    def line(
        self,
        source: NodePath,
        target: NodePath,
        corners: tuple[tuple[int, int], ...],
        rivals: tuple[NodePath, ...] = (),
    ) -> None:
        """Note a line."""
        self.out.lines.append(Line(source, target, corners, rivals))

    def place(self, sized: Sized, axis: int, top: int) -> None:
        """Place one block."""
        match sized.item:
            case Leaf() as leaf:
                self.leaf(leaf, axis, top)
            case Fold() as fold:
                half = self.box_width // 2
                self.box(
                    Box(
                        fold.path,
                        "fold",
                        axis - half,
                        top,
                        self.box_width,
                        FOLD_HEIGHT,
                        fold=fold,
                    )
                )
            case Jump() as jump:
                text = cut_units(f"→ {clean(jump.name)}", (self.box_width // 2 + 6) / SMALL)
                self.out.labels.append(Label(axis + 5, top + 10, text))
            case Frame() as frame:
                self.frame(frame, sized, axis, top)
            case Fork() as fork:
                self.fork(fork, sized, axis, top)

    def leaf(self, leaf: Leaf, axis: int, top: int) -> None:
        """Place a single node."""
        width, height = leaf_size(leaf.node, self.box_width)
        kind: Kind = "box" if width == self.box_width else "dot" if width == DOT else "diamond"
        self.box(Box(leaf.path, kind, axis - width // 2, top, width, height, leaf.node))

    def box(self, box: Box) -> None:
        """Note a box, and where a loop may dock: its right side and its middle."""
        self.out.boxes.append(box)
        self.dock(box.path, box.x + box.width, box.y, box.height)

    def dock(self, path: NodePath, right: int, top: int, height: int) -> None:
        """Remember the right side of a node."""
        self.places[path] = (right, top, height)

    def frame(self, frame: Frame, sized: Sized, axis: int, top: int) -> None:
        """Place a subflow: its frame, then what is in it."""
        width = sized.left + sized.right
        title = cut_units(clean(display_name(frame.node)), (width - 30) / SMALL)
        box = FrameBox(frame.path, axis - sized.left, top, width, sized.height, title)
        self.out.frames.append(box)
        inner = sized.lanes[0]
        self.flow(inner, axis, top + FRAME_HEAD)
        self.dock(frame.path, box.x + width, top, sized.height)

    def fork(self, fork: Fork, sized: Sized, axis: int, top: int) -> None:
        """Place a gateway, its lanes, and the lines to and from them."""
        half = DIAMOND // 2
        self.box(Box(fork.path, "diamond", axis - half, top, DIAMOND, DIAMOND, fork.node))
        lanes = drawn_lanes(fork)
        measure = Measure(self.box_width)
        extents = [
            measure.lane(lane, parts) for lane, parts in zip(lanes, sized.lanes, strict=True)
        ]
        if not extents:
            return
        axes, _ = lane_axes(extents)
        left = axis - middle_axis(axes, sized.lanes)
        for lane, parts, offset in zip(lanes, sized.lanes, axes, strict=True):
            self.lane(fork, lane, parts, _Lines(axis, left + offset, top, sized.height))

    def lane(self, fork: Fork, lane: Lane, parts: Sequence[Sized], at: "_Lines") -> None:
        """Place one lane with its label and lines."""
        bus, head = at.bus, at.bus + drop(fork)
        if lane.label:
            text = label_text(lane.label, self.box_width)
            self.out.labels.append(Label(at.x + 5, bus + 14, text))
        shown = [part.item for part in parts if is_shown(part.item)]
        rivals = _rivals(fork, lane)
        if not shown:
            corners = at.straight() if at.x == at.axis else at.around()
            self.line(fork.path, fork.join, corners, rivals)
            return
        self.line(fork.path, first_path(shown[0]), at.down_to(head), rivals)
        bottom = self.flow(parts, at.x, head)
        if fork.join and not _leaves(parts[-1].item):
            self.line(last_path(shown[-1]), fork.join, at.up_to(bottom))

    def loop(self, jump: Jump, x: int) -> None:
        """Draw one loop: out to the right, up, and back to its target."""
        right, top, height = self.places[jump.path]
        target_right, target_top, target_height = self.places[jump.target]
        low, high = top + height // 2, target_top + min(target_height // 2, BOX_HEIGHT // 2)
        low = low + 6 if jump.path == jump.target else low
        corners = ((right, low), (x, low), (x, high), (target_right, high))
        self.out.lines.append(Line(jump.path, jump.target, corners, loop=True))
        slot = (low + high) // 2 + 4
        self.out.labels.append(Label(x + 4, slot, "↺", jump.target))


class _Lines(NamedTuple):
    """The measures that the lines of one lane need."""

    axis: int
    x: int
    top: int
    height: int

    @property
    def bus(self) -> int:
        """The height of the line from which the lanes hang."""
        return self.top + DIAMOND + BUS

    @property
    def end(self) -> int:
        """Where the fork ends below."""
        return self.top + self.height

    def down_to(self, head: int) -> tuple[tuple[int, int], ...]:
        """From the diamond to the head of the lane."""
        start = (self.axis, self.top + DIAMOND)
        if self.x == self.axis:
            return (start, (self.axis, head))
        return (start, (self.axis, self.bus), (self.x, self.bus), (self.x, head))

    def up_to(self, bottom: int) -> tuple[tuple[int, int], ...]:
        """Between the join and the foot of the lane, from the axis so that all dashes coincide."""
        if self.x == self.axis:
            return ((self.axis, self.end), (self.x, bottom))
        return ((self.axis, self.end), (self.x, self.end), (self.x, bottom))

    def straight(self) -> tuple[tuple[int, int], ...]:
        """An empty lane on the axis."""
        return ((self.axis, self.top + DIAMOND), (self.axis, self.end))

    def around(self) -> tuple[tuple[int, int], ...]:
        """An empty lane beside the axis."""
        return (*self.down_to(self.end), (self.axis, self.end))


def _rivals(fork: Fork, lane: Lane) -> tuple[NodePath, ...]:
    """Return where the other ways begin, for a lane with no node of its own to tell by.

    Such a lane leads right to the join, or jumps; the run took it if it took none of the others.
    """
    if isinstance(fork.node, Parallel) or (lane.items and not isinstance(lane.items[0], Jump)):
        return ()
    others = [other.items[0].path for other in fork.lanes if _has_node(other)]
    straight = any(not other.items for other in fork.lanes)
    return (*others, fork.join) if lane.items and straight else tuple(others)


def _has_node(lane: Lane) -> bool:
    return bool(lane.items) and not isinstance(lane.items[0], Jump)


def _leaves(item: Item) -> bool:
    """Say whether the lane does not lead to the join: it jumps, or ends the flow."""
    return isinstance(item, Jump) or (isinstance(item, Leaf) and isinstance(item.node, End))
