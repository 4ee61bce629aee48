"""The picture of a flow as SVG, made for the Temporal Web UI's pane of current details.

The page allows no style attribute, draws every text 16 units high, and gets the whole text in an
address, URL-encoded: a quote or a blank costs three bytes there. So all boxes of one look share one
path, whose thick, round stroke makes their corners round; gateways carry strokes for signs;
small texts share one scaled group; and the page, which reads HTML, needs no quotes around a plain
attribute. A flow that does not fit loses second lines, then is folded around what is hot.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from string import ascii_letters, digits
from typing import Final, Literal, TypeAlias
from xml.sax.saxutils import escape

from translator.plan import ConditionalParallel, Converge, Exclusive, Node, Parallel, Plan
from workflows.machine.state import RunState
from workflows.machine.view.blocks import Fold, Item, blocks, display_name, leaves
from workflows.machine.view.fold import LEVELS, fold, fold_text, hot_paths, trim, urgency
from workflows.machine.view.layout import (
    Box,
    FrameBox,
    Label,
    Layout,
    Line,
    lay_out,
)
from workflows.machine.view.measure import DIAMOND, DOT, SMALL
from workflows.machine.view.signs import (
    COLOURS,
    SIGNS,
    View,
    kind_word,
    remarks,
    span,
    view_of,
)
from workflows.machine.view.text import listing
from workflows.machine.view.width import clean, cut_parts, cut_units, units

Detail: TypeAlias = Literal["all", "brief", "hot", "none"]
"""Which second lines are drawn: all, those with news of this run, those of hot nodes, none."""

DETAILS: Final[tuple[Detail, ...]] = ("all", "brief", "hot")
MAX_BYTES: Final = 6000
_PLAIN_BYTES: Final = (ascii_letters + digits + "_.-~").encode()
_AT_END: Final = ' text-anchor="end"'
_ROUND: Final = 14
_CORNER: Final = _ROUND // 2
_PLAIN: Final = "#4a90d9"
_GREY: Final = "#9e9e9e"
_SCALE: Final = f"{SMALL:g}".lstrip("0")
_TINY_WIDTHS: Final = (64, 44, 32)
_LEAST_BYTES: Final = 100
"""What a node costs at the least, encoded: saves drawing what cannot fit."""
_USUAL_BYTES: Final = 150
"""What a node and its line cost mostly: saves folding a large flow to what hardly ever fits."""

_XMLNS: Final = 'xmlns="http://www.w3.org/2000/svg"'
_TAG: Final = re.compile(r"<\w[^<>]*>")
_QUOTED: Final = re.compile(r'="([^"\s]+)"(?=[\s>])')
"""Not before `/>`: a bare value would take the slash in."""

_MARKS: Final[Mapping[type[Node], str]] = {
    Parallel: "m0-6v12m-6-6h12",
    ConditionalParallel: "m0-6l6 6-6 6-6-6z",
    Exclusive: "m-5-5l10 10m0-10l-10 10",
    Converge: "m-5 0a5 5 0 1 0 0-.1z",
}


def svg(
    plan: Plan,
    state: RunState | None,
    now: float,
    *,
    max_bytes: int | None = MAX_BYTES,
    names: bool = True,
) -> str:
    """Draw `plan` as it stands in `state` at `now` (seconds since the epoch).

    Without a state it is the plain picture of the template, of any size. With one it takes at most
    `max_bytes` when URL-encoded (None for no bound): folded where needed, and a list where no
    picture fits. `names` False draws signs only, for an overview.
    """
    view = view_of(state, now)
    items = trim(blocks(plan.flow), view)
    if state is None or max_bytes is None:
        return draw(items, view, names=names)
    drawn = fitted(items, view, max_bytes, names=names)
    return drawn or listing(items, view, lambda drawn: encoded_size(drawn) <= max_bytes)


def fitted(
    items: Sequence[Item], view: View, max_bytes: int, *, names: bool = True, html: bool = False
) -> str:
    """Return the richest drawing of at most `max_bytes`, "" where none is that small.

    `html` spares what XML asks for and HTML does not.
    """
    for shown, details in _candidates(items, view, max_bytes):
        # The least is drawn first: where that does not fit, nothing does.
        *richer, least = details
        made = drawings(shown, view, (least, *richer), names=names, html=html)
        fallback = next(made)
        if encoded_size(fallback) <= max_bytes:
            return next((drawn for drawn in made if encoded_size(drawn) <= max_bytes), fallback)
    return ""


def whole(items: Sequence[Item], view: View, max_bytes: int) -> list[str]:
    """Return the drawings of all nodes as HTML, the richest first; none where none can fit."""
    if least_size(items) > max_bytes:
        return []
    return [*drawings(items, view, DETAILS, html=True)]


def drawings(
    items: Sequence[Item],
    view: View,
    details: Sequence[Detail],
    *,
    names: bool = True,
    html: bool = False,
) -> Iterator[str]:
    """Draw blocks in several details; where everything stands is found but once."""
    placed = _placed(items, names=names)
    for detail in details:
        drawn = _draw(placed, view, detail, names=names)
        yield _bare(drawn) if html else drawn


def _bare(drawn: str) -> str:
    """Leave out what HTML does not need: the name space, and quotes around what has no blanks.

    Only within tags: in texts every `<` and `>` is escaped.
    """
    drawn = drawn.replace(f" {_XMLNS}", "", 1)
    return _TAG.sub(lambda tag: _QUOTED.sub(r"=\1", tag[0]), drawn)


def encoded_size(text: str) -> int:
    """Return how many bytes `text` takes in an address, where all but plain letters take three."""
    raw = text.encode("utf-8", "replace")
    return len(raw) + 2 * len(raw.translate(None, _PLAIN_BYTES))


def draw(items: Sequence[Item], view: View, *, names: bool = True) -> str:
    """Draw blocks as one SVG element, with all that there is to say."""
    return _draw(_placed(items, names=names), view, "all", names=names)


def _placed(items: Sequence[Item], *, names: bool) -> Layout:
    return lay_out(items) if names else lay_out(items, _TINY_WIDTHS)


def _draw(placed: Layout, view: View, detail: Detail, *, names: bool) -> str:
    pen = _Pen(view, placed, detail if names else "none", names=names)
    head = f'<svg {_XMLNS} viewBox="0 0 {placed.width} {placed.height}" width="100%">\n'
    return head + pen.lines() + pen.frames() + pen.shapes() + pen.texts() + "</svg>"


def _candidates(
    items: Sequence[Item], view: View, max_bytes: int
) -> Iterable[tuple[Sequence[Item], tuple[Detail, ...]]]:
    """Yield what could be drawn, from all there is to the least."""
    if least_size(items) <= max_bytes:
        yield items, DETAILS
    for level in LEVELS:
        if (2 * level.reach + 1) * _USUAL_BYTES > max_bytes:
            continue
        shown = fold(items, view, level)
        if least_size(shown) <= max_bytes:
            yield shown, DETAILS
    yield fold(items, view, LEVELS[-1]), ("none",)


def least_size(items: Sequence[Item]) -> int:
    """Return how many bytes a drawing takes at the least."""
    return _LEAST_BYTES * sum(1 for _ in leaves(items))


class _Pen:
    """Writes one layout as SVG."""

    def __init__(self, view: View, placed: Layout, detail: Detail, *, names: bool) -> None:
        self.view = view
        self.placed = placed
        self.detail = detail
        self.names = names
        self.hot = hot_paths(view.state, len(placed.boxes))
        self.worst = _worst_inside(view)

    def look(self, box: Box) -> str:
        """Return how a box looks; without a state nothing is done and nothing to do."""
        return urgency(box.fold.counts) if box.fold else self.view.look(box.path)

    def lines(self) -> str:
        """Draw the ways: those taken solid, the others dashed."""
        taken = [line for line in self.placed.lines if self.is_taken(line)]
        other = [line for line in self.placed.lines if not self.is_taken(line)]
        dashes = "" if self.view.state is None else ' stroke-dasharray="4 4"'
        paths = (
            _path(map(_line_path, other), f'stroke="{_GREY}"{dashes}'),
            _path(map(_line_path, taken), 'stroke="#607d8b" stroke-width="2"'),
        )
        return f'<g fill="none">{"".join(paths)}</g>'

    def is_taken(self, line: Line) -> bool:
        """Say whether the run went this way."""
        view = self.view
        if line.loop:
            found = view.node(line.target)
            return found is not None and found.loop > 1 and view.reached(line.source)
        if not (view.reached(line.source) and view.reached(line.target)):
            return False
        return not any(view.reached(rival) for rival in line.rivals)

    def frames(self) -> str:
        """Draw the dashed frames of subflows, those of one colour together."""
        by_colour: dict[str, list[str]] = {}
        for frame in self.placed.frames:
            by_colour.setdefault(self.frame_colour(frame), []).append(_frame_path(frame))
        paths = "".join(_path(found, f'stroke="{colour}"') for colour, found in by_colour.items())
        return paths and f'<g fill="none" stroke-dasharray="5 4">{paths}</g>'

    def frame_colour(self, frame: FrameBox) -> str:
        """Return the colour of a subflow: that of the most urgent in it."""
        if self.view.state is None:
            return _PLAIN
        return COLOURS[self.worst.get(frame.path) or self.view.look(frame.path)]

    def shapes(self) -> str:
        """Draw all boxes, those of one look as one path, and the signs of the gateways."""
        by_look: dict[str, list[Box]] = {}
        for box in self.placed.boxes:
            by_look.setdefault(self.look(box), []).append(box)
        to_go = [] if self.view.state is None else by_look.pop("todo", [])
        colours = dict.fromkeys(by_look, _PLAIN) if self.view.state is None else COLOURS
        paths = [
            _path(map(_box_path, boxes), f'fill="{colours[look]}" stroke="{colours[look]}"')
            for look, boxes in by_look.items()
        ]
        round_ends = 'stroke-linejoin="round" stroke-linecap="round"'
        solid = _group("".join(paths), f'stroke-width="{_ROUND}" {round_ends}')
        outlined = _path(map(_outline_path, to_go), f'fill="none" stroke="{_GREY}"')
        return solid + outlined + self.marks()

    def marks(self) -> str:
        """Draw the signs in the diamonds."""
        bright: list[str] = []
        plain: list[str] = []
        for box in self.placed.boxes:
            if box.kind == "diamond" and box.node is not None:
                (plain if self.look(box) == "todo" else bright).append(_mark_path(box, box.node))
        paths = _path(bright, 'stroke="#fff"') + _path(plain, f'stroke="{_GREY}"')
        return paths and f'<g fill="none" stroke-width="2">{paths}</g>'

    def texts(self) -> str:
        """Write names on boxes, then all that is small."""
        bright: list[str] = []
        plain: list[str] = []
        small_bright: list[str] = []
        small: list[str] = []
        for box in self.placed.boxes:
            name, second = self.words(box)
            todo = self.look(box) == "todo"
            beside = box.kind in ("diamond", "dot")
            (plain if todo or beside else bright).extend(name)
            (small if todo or beside else small_bright).extend(second)
        small += [_small(frame.x + 12, frame.y + 18, self.title(frame)) for frame in self.frames_()]
        small += [_small(label.x, label.y, self.label(label)) for label in self.placed.labels]
        return _group(_joined(bright) + _scaled(small_bright), 'fill="#fff"') + _group(
            _joined(plain) + _scaled(small), 'fill="currentColor" opacity=".8"'
        )

    def frames_(self) -> Sequence[FrameBox]:
        """Return the frames whose titles are drawn."""
        return self.placed.frames if self.names else ()

    def words(self, box: Box) -> tuple[list[str], list[str]]:
        """Return the name and the second line of a box, where it has them."""
        if box.fold is not None:
            return self.words_of_fold(box, box.fold)
        if box.node is None:
            return [], []
        if box.kind != "box":
            return self.words_beside(box, box.node)
        second = self.second(box, box.node)
        name = clean(display_name(box.node)) if self.names else ""
        first = cut_units(f"{self.sign(box)} {name}".strip(), box.width - 20)
        y = box.y + (21 if second else 29)
        lines = [_small(box.x + 12, box.y + 38, second)] if second else []
        return [_text(box.x + 12, y, first)], lines

    def sign(self, box: Box) -> str:
        """Return the sign of a box; that of what is to come is its outline, where it has a name."""
        look = self.look(box)
        return "" if self.view.state is None or (look == "todo" and self.names) else SIGNS[look]

    def words_of_fold(self, box: Box, fold: Fold) -> tuple[list[str], list[str]]:
        """Return what a fold says, in small letters where it would not fit else."""
        words, room = fold_text(fold), box.width - 20
        if units(words) <= room:
            return [_text(box.x + 11, box.y + 20, words)], []
        return [], [_small(box.x + 11, box.y + 18, cut_units(words, room / SMALL))]

    def words_beside(self, box: Box, node: Node) -> tuple[list[str], list[str]]:
        """Say left of a gateway, start or end what is wrong with it, where it is hot."""
        if box.path not in self.hot:
            return [], []
        name = clean(node.name or kind_word(node))
        x, y = box.x - 5, box.y + box.height // 2
        room = self.placed.box_width // 2 - 12
        sign = SIGNS[self.look(box)]
        words = f"{sign} {name}"
        first = _text(x, y, words if units(words) <= room else sign, _AT_END)
        second = cut_parts(remarks(box.path, node, self.view), room / SMALL)
        return [first], [_small(x, y + 14, second, _AT_END)]

    def second(self, box: Box, node: Node) -> str:
        """Return the second line of a box."""
        if self.detail == "none" or (self.detail == "hot" and box.path not in self.hot):
            return ""
        parts = remarks(box.path, node, self.view, brief=self.detail == "brief")
        return cut_parts(parts, (box.width - 20) / SMALL)

    def title(self, frame: FrameBox) -> str:
        """Return a frame's title: its sign, name and round."""
        found = self.view.node(frame.path)
        if found is None:
            return f"▸ {frame.title}"
        round_ = f"round {found.loop}" if found.loop > 1 else ""
        age = span(self.view.now - found.since) if found.status == "running" else ""
        took = span(found.took, exact=True) if found.status == "finished" and found.took else ""
        said = [f"{SIGNS[self.view.look(frame.path)]} {frame.title}", round_, age, took]
        return cut_parts([part for part in said if part], (frame.width - 24) / SMALL)

    def label(self, label: Label) -> str:
        """Return a label's text; that of a loop counts its rounds."""
        found = self.view.node(label.loop) if label.loop else None
        return f"↺ {found.loop}" if found is not None and found.loop > 1 else label.text


def _worst_inside(view: View) -> dict[str, str]:
    """Return, for each subflow that holds something failed, that look."""
    worst: dict[str, str] = {}
    for path in view.state.failed if view.state else ():
        parts = path.split("/")
        worst.update({"/".join(parts[:count]): "failed" for count in range(1, len(parts))})
    return worst


def _path(parts: Iterable[str], attributes: str) -> str:
    d = "".join(parts)
    return f'<path {attributes} d="{d}"/>' if d else ""


def _group(content: str, attributes: str) -> str:
    return f"<g {attributes}>{content}</g>" if content else ""


def _joined(texts: Sequence[str]) -> str:
    return "".join(texts)


def _scaled(texts: Sequence[str]) -> str:
    return _group("".join(texts), f'transform="scale({_SCALE})" opacity=".85"')


def _text(x: float, y: float, text: str, attributes: str = "") -> str:
    if not text:
        return ""
    return f'<text x="{round(x)}" y="{round(y)}"{attributes}>{escape(text)}</text>'


def _small(x: float, y: float, text: str, attributes: str = "") -> str:
    """Write a text that stands in a scaled group: its place is given in that group's units."""
    return _text(x / SMALL, y / SMALL, text, attributes)


def _box_path(box: Box) -> str:
    """Return the path of a box, inside by half the stroke that rounds its corners."""
    inset = _CORNER
    if box.kind == "dot":
        return f"M{box.x + inset} {box.y + inset}h0z"
    if box.kind == "diamond":
        half = DIAMOND // 2 - inset
        return f"M{box.x + DIAMOND // 2} {box.y + inset}l{half} {half}-{half} {half}-{half}-{half}z"
    width, height = box.width - _ROUND, box.height - _ROUND
    return f"M{box.x + inset} {box.y + inset}h{width}v{height}h-{width}z"


def _outline_path(box: Box) -> str:
    """Return the path of a thin outline with round corners; a diamond's are sharp."""
    x, y = box.x, box.y
    if box.kind == "dot":
        return f"M{x} {y + DOT // 2}a7 7 0 1 1 0 .1z"
    if box.kind == "diamond":
        half = DIAMOND // 2
        return f"M{x + half} {y}l{half} {half}-{half} {half}-{half}-{half}z"
    width, height = box.width - 2 * _CORNER, box.height - 2 * _CORNER
    return (
        f"M{x + _CORNER} {y}h{width}q7 0 7 7v{height}q0 7-7 7h-{width}q-7 0-7-7v-{height}q0-7 7-7z"
    )


def _frame_path(frame: FrameBox) -> str:
    return f"M{frame.x} {frame.y}h{frame.width}v{frame.height}h-{frame.width}z"


def _mark_path(box: Box, node: Node) -> str:
    return f"M{box.x + box.width // 2} {box.y + box.height // 2}{_MARKS.get(type(node), '')}"


def _line_path(line: Line) -> str:
    """Return the path of a line: straight pieces, and an arrow where a loop ends."""
    (x, y), *rest = line.corners
    path = f"M{x} {y}"
    for next_x, next_y in rest:
        if next_x == x and next_y != y:
            path += f"V{next_y}"
        elif next_x != x:
            path += f"H{next_x}"
        x, y = next_x, next_y
    return path + ("m6-4l-6 4 6 4" if line.loop else "")
