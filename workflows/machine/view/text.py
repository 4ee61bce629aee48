"""The drawing of a flow for a terminal: an indented tree of steps, branches and subflows."""

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from translator.plan import Node, NodePath, Plan
from workflows.machine.state import RunState
from workflows.machine.view.blocks import Fold, Fork, Frame, Item, Jump, Lane, Leaf, blocks
from workflows.machine.view.fold import count_looks, fold_text, hot_paths, trim, urgency
from workflows.machine.view.signs import SIGNS, View, kind_word, remarks, view_of
from workflows.machine.view.width import clean, columns, cut_columns

_KINDS: Final = {
    "start": "●",
    "end": "●",
    "subflow": "▸",
    "parallel": "+",
    "conditional_parallel": "◇",
    "exclusive": "×",
    "converge": "○",
}
_ANSI: Final = {
    "failed": "31",
    "waiting": "35",
    "paused": "33",
    "running": "34",
    "revoked": "2",
    "done": "32",
    "skipped": "2",
}
_NAME_COLUMNS: Final = 28
_BROAD: Final = 80
"""Columns from which there is room to say what a node calls."""


def text(
    plan: Plan, state: RunState | None, now: float, width: int = 100, *, color: bool = False
) -> str:
    """Draw `plan` as lines of at most `width` columns, coloured by ANSI codes if `color`."""
    view = view_of(state, now)
    return draw_text(trim(blocks(plan.flow), view), view, width, color=color)


def draw_text(items: Sequence[Item], view: View, width: int, *, color: bool = False) -> str:
    """Draw blocks as lines, joined by line feeds."""
    writer = _Writer(view, width, color=color)
    return "\n".join(writer.sequence(items, "", ""))


def listing(items: Sequence[Item], view: View, fits: Callable[[str], bool]) -> str:
    """Return the hot nodes as a Markdown list, as many as fit; the last line counts the rest."""
    paths = [*hot_paths(view.state, None)]
    counts = " · ".join(f"{SIGNS[look]} {count}" for look, count in count_looks(items, view))
    rows = [f"- {SIGNS[view.look(path)]} `{clean(path).replace('`', '')}`" for path in paths[:50]]
    for count in range(len(rows), -1, -1):
        rest = [f"- and {len(paths) - count} more"] if len(paths) > count else []
        drawn = "\n".join([f"- {counts}", *rows[:count], *rest])
        if fits(drawn):
            return drawn
    return ""


class _Writer:
    """Writes blocks as lines; the first line of each has a prefix of its own."""

    def __init__(self, view: View, width: int, *, color: bool) -> None:
        self.view = view
        self.width = width
        self.color = color

    def sequence(self, items: Sequence[Item], first: str, rest: str) -> Iterator[str]:
        """Write blocks one below the other."""
        for number, item in enumerate(items):
            yield from self.item(item, rest if number else first, rest)

    def item(self, item: Item, first: str, rest: str) -> Iterator[str]:
        """Write one block."""
        match item:
            case Leaf():
                yield self.row(first, item.path, item.node)
            case Fork():
                yield self.row(first, item.path, item.node)
                yield from self.lanes(item, rest)
            case Frame():
                yield self.row(first, item.path, item.node)
                yield from self.sequence(item.items, f"{rest}┊  ", f"{rest}┊  ")
            case Jump():
                yield self.line(first, f"{'↺' if item.back else '→'} {clean(item.name)}", "todo")
            case Fold():
                yield self.line(first, fold_text(item), urgency(item.counts))

    def lanes(self, fork: Fork, rest: str) -> Iterator[str]:
        """Write the branches of a gateway."""
        for number, lane in enumerate(fork.lanes, start=1):
            is_last = number == len(fork.lanes)
            head, body = ("└─ ", "   ") if is_last else ("├─ ", "│  ")
            yield from self.lane(lane, rest + head, rest + body)

    def lane(self, lane: Lane, first: str, rest: str) -> Iterator[str]:
        """Write one branch: its label, if it has one, then what is on it."""
        label = clean(lane.label)
        if len(lane.items) == 1 and isinstance(lane.items[0], Jump):
            yield from self.item(lane.items[0], f"{first}{label} ".replace("  ", " "), rest)
            return
        if label or not lane.items:
            words = label if lane.items else f"{label} ↓".strip()
            yield self.line(first, words, "todo")
            first = rest
        yield from self.sequence(lane.items, first, rest)

    def row(self, prefix: str, path: NodePath, node: Node) -> str:
        """Write one node: signs, name, path, and what is to be said of it."""
        look = self.view.look(path)
        kind = _KINDS.get(node.kind, "")
        sign = SIGNS[look] if self.view.state is not None else "" if kind else "•"
        # A gateway's id says nothing to anybody, so it stands by its kind where it has no name.
        name = clean(node.name or (kind_word(node) if kind and node.kind != "subflow" else node.id))
        head = " ".join(part for part in (sign, kind, name) if part)
        gap = " " * max(2, _NAME_COLUMNS - columns(prefix + head))
        said = " · ".join(remarks(path, node, self.view, brief=self.width < _BROAD))
        tail = "  ".join(part for part in (clean(path), said) if part)
        return self.line(prefix, f"{head}{gap}{tail}", look)

    def line(self, prefix: str, words: str, look: str) -> str:
        """Write one line, its words coloured by look, the tree left plain."""
        # A tree may be nested deeper than the terminal is wide: its words matter more.
        prefix = prefix[: self.width // 2]
        shown = cut_columns(words.rstrip(), self.width - columns(prefix))
        code = _ANSI.get(look) if self.color else None
        return f"{prefix}\x1b[{code}m{shown}\x1b[0m" if code else prefix + shown
