"""A flow as nested blocks: what a person sees as steps, branches, frames and jumps.

A flow is a graph; a drawing needs a structure. Edges that lead back are found by a depth-first
walk in plan order and become jumps. In what is left every gateway has a join, the nearest node that
all its branches reach, and what lies between is its lanes. Where branches cross in a way that
nesting cannot say, the node is placed once and the other ways to it become jumps too.

An early exit (a branch that soon ends the flow while another goes on for long) does not nest the
rest of the flow into a branch: the long branch is the main line, the short one a lane beside it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from translator.plan import (
    ROOT,
    Branch,
    ConditionalParallel,
    End,
    Exclusive,
    Flow,
    FlowPath,
    Node,
    NodeId,
    NodePath,
    Parallel,
    Start,
    Subflow,
    join_path,
    targets_of,
)

Gateway: TypeAlias = Parallel | ConditionalParallel | Exclusive

DEEPEST: Final = 40
"""Forks nested deeper than this are drawn in one line: nobody could read them side by side."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """One node that holds nothing."""

    path: NodePath
    node: Node


@dataclass(frozen=True, slots=True)
class Jump:
    """The way leads to a node that stands elsewhere; `back` means that it closes a loop."""

    path: NodePath
    target: NodePath
    name: str
    back: bool


@dataclass(frozen=True, slots=True)
class Lane:
    """One branch of a gateway up to where the branches meet; empty when it leads right there."""

    label: str
    items: tuple["Item", ...]


@dataclass(frozen=True, slots=True)
class Fork:
    """A gateway and its lanes; `join` is where they meet, "" when they never do."""

    path: NodePath
    node: Gateway
    lanes: tuple[Lane, ...]
    join: NodePath


@dataclass(frozen=True, slots=True)
class Frame:
    """A subflow and what is in it."""

    path: NodePath
    node: Subflow
    items: tuple["Item", ...]


@dataclass(frozen=True, slots=True)
class Fold:
    """Several nodes drawn as one, from `path` to `last`; `counts` are tasks by look.

    `name` is that of the subflow, where the fold stands for one.
    """

    path: NodePath
    last: NodePath
    counts: tuple[tuple[str, int], ...]
    name: str = ""


Item: TypeAlias = Leaf | Jump | Fork | Frame | Fold


def blocks(flow: Flow, at: FlowPath = ROOT) -> tuple[Item, ...]:
    """Return `flow`, which lives at path `at`, as blocks in the order of its run."""
    return _Builder(flow, at).items()


def display_name(node: Node) -> str:
    """Return what to call `node`: its name, else its id; a word for the start and the end."""
    match node:
        case Start() | End():
            return node.name or node.kind
        case _:
            return node.name or node.id


def leaves(items: Sequence[Item]) -> Iterator[Leaf]:
    """Yield the nodes of `items` and of all that is nested in them, gateways left out."""
    stack = [*reversed(items)]
    while stack:
        match stack.pop():
            case Leaf() as leaf:
                yield leaf
            case Fork() as fork:
                stack.extend(item for lane in reversed(fork.lanes) for item in reversed(lane.items))
            case Frame() as frame:
                stack.extend(reversed(frame.items))
            case Jump() | Fold():
                pass


def branches_of(node: Gateway) -> tuple[Branch, ...]:
    """Return the branches of a gateway, the default last."""
    if isinstance(node, Parallel) or node.default is None:
        return node.branches
    return (*node.branches, node.default)


@dataclass(slots=True)
class _Graph:
    """A flow without its back edges, and where its branches meet.

    order: successors come before their predecessors. meets: the nearest node that every way from a
    node leads to, None for none. first, last: a numbering of the tree that `meets` forms, by
    which "lies on the way from" is one comparison.
    """

    flow: Flow
    ways: dict[NodeId, list[NodeId]] = field(default_factory=dict[NodeId, list[NodeId]])
    back: dict[tuple[NodeId, NodeId], bool] = field(
        default_factory=dict[tuple[NodeId, NodeId], bool]
    )
    order: list[NodeId] = field(default_factory=list[NodeId])
    meets: dict[NodeId, NodeId | None] = field(default_factory=dict[NodeId, NodeId | None])
    depth: dict[NodeId, int] = field(default_factory=dict[NodeId, int])
    height: dict[NodeId, int] = field(default_factory=dict[NodeId, int])
    first: dict[NodeId, int] = field(default_factory=dict[NodeId, int])
    last: dict[NodeId, int] = field(default_factory=dict[NodeId, int])

    def lies_after(self, node: NodeId, other: NodeId) -> bool:
        """Say whether every way from `other` leads to `node`, or it is `node` itself."""
        return self.first[node] <= self.first[other] <= self.last[node]


def _graph(flow: Flow) -> _Graph:
    graph = _Graph(flow)
    _walk(graph)
    for node in graph.order:
        _meet(graph, node)
    _number(graph)
    return graph


def _walk(graph: _Graph) -> None:
    """Visit depth first, in plan order: tell back edges apart and note the order."""
    nodes = graph.flow.nodes
    start = graph.flow.start
    if start not in nodes:
        return
    under_way = {start: True}
    stack = [(start, iter(targets_of(nodes[start])))]
    graph.ways[start] = []
    while stack:
        node, targets = stack[-1]
        target = next(targets, None)
        if target is None:
            stack.pop()
            under_way[node] = False
            graph.order.append(node)
        elif under_way.get(target):
            graph.back[node, target] = True
        elif target in nodes:
            graph.ways[node].append(target)
            if target not in under_way:
                under_way[target] = True
                graph.ways[target] = []
                stack.append((target, iter(targets_of(nodes[target]))))


def _meet(graph: _Graph, node: NodeId) -> None:
    """Find where the ways from `node` meet; its successors are known already."""
    known = graph.flow.nodes[node]
    alive = [way for way in graph.ways[node] if graph.height[way] >= 0]
    longest = max((graph.height[way] for way in alive), default=-1)
    graph.height[node] = 0 if isinstance(known, End) else longest + 1 if alive else -1
    meet = _common(graph, alive)
    if isinstance(known, Parallel | ConditionalParallel) and known.converge in graph.depth:
        meet = known.converge
    elif isinstance(known, Exclusive) and (meet is None or _is_end(graph, meet)):
        meet = _main_line(graph, alive) or meet
    graph.meets[node] = meet
    graph.depth[node] = graph.depth[meet] + 1 if meet is not None else 1


def _common(graph: _Graph, ways: Sequence[NodeId]) -> NodeId | None:
    if not ways:
        return None
    meet: NodeId | None = ways[0]
    for way in ways[1:]:
        meet = _nearest(graph, meet, way)
    return meet


def _nearest(graph: _Graph, left: NodeId | None, right: NodeId | None) -> NodeId | None:
    while left != right:
        if left is None or right is None:
            return None
        if graph.depth[left] >= graph.depth[right]:
            left = graph.meets[left]
        else:
            right = graph.meets[right]
    return left


def _main_line(graph: _Graph, ways: Sequence[NodeId]) -> NodeId | None:
    """Return the way that goes on when all others soon end the flow, else None."""
    tall = sorted(dict.fromkeys(ways), key=lambda way: -graph.height[way])
    if len(tall) > 1 and graph.height[tall[0]] > 2 * graph.height[tall[1]]:
        return tall[0]
    return None


def _is_end(graph: _Graph, node: NodeId) -> bool:
    return isinstance(graph.flow.nodes[node], End)


def _number(graph: _Graph) -> None:
    """Number the tree of meeting points; predecessors come last in `order`, so reverse it."""
    below: dict[NodeId | None, list[NodeId]] = {}
    for node in graph.order:
        below.setdefault(graph.meets[node], []).append(node)
    count = 0
    stack: list[tuple[NodeId, bool]] = [(node, False) for node in below.get(None, ())]
    while stack:
        node, left = stack.pop()
        if left:
            graph.last[node] = count
            continue
        count += 1
        graph.first[node] = count
        stack.append((node, True))
        stack.extend((child, False) for child in below.get(node, ()))


class _Builder:
    """Turns one flow into blocks; every node is placed once."""

    def __init__(self, flow: Flow, at: FlowPath) -> None:
        self.graph = _graph(flow)
        self.at = at
        self.placed: dict[NodeId, bool] = {}

    def items(self) -> tuple[Item, ...]:
        """Return the blocks of the whole flow."""
        return tuple(self.sequence(self.graph.flow.start, None, 0))

    def path(self, node: NodeId) -> NodePath:
        """Address a node of this flow from the root."""
        return join_path(self.at, node)

    def sequence(
        self, node: NodeId | None, stop: NodeId | None, depth: int, previous: NodeId | None = None
    ) -> list[Item]:
        """Place nodes from `node` on until `stop`, or what is placed elsewhere."""
        items: list[Item] = []
        while node is not None and node in self.graph.ways and not self.is_elsewhere(node, stop):
            self.placed[node] = True
            items += self.place(node, depth)
            previous, node = node, self.following(node)
        if previous is not None and node is not None and node != stop:
            items.append(self.jump(previous, node))
        return items

    def is_elsewhere(self, node: NodeId, stop: NodeId | None) -> bool:
        """Say whether `node` is placed already, or belongs to a line further out."""
        return node in self.placed or (stop is not None and self.graph.lies_after(node, stop))

    def following(self, node: NodeId) -> NodeId | None:
        """Return where the line goes on after `node` and its lanes."""
        if isinstance(self.graph.flow.nodes[node], Gateway):
            return self.graph.meets[node]
        return next(iter(targets_of(self.graph.flow.nodes[node])), None)

    def place(self, node: NodeId, depth: int) -> list[Item]:
        """Return the block of `node`; several in a row where it is too deep to nest."""
        known = self.graph.flow.nodes[node]
        path = self.path(node)
        match known:
            case Parallel() | ConditionalParallel() | Exclusive():
                return self.fork(known, path, depth)
            case Subflow():
                return [Frame(path, known, blocks(known.flow, path))]
            case _:
                return [Leaf(path, known)]

    def fork(self, node: Gateway, path: NodePath, depth: int) -> list[Item]:
        """Return a gateway with its lanes, or in one line when it is nested too deep."""
        if depth >= DEEPEST:
            return self.in_line(node, path)
        join = self.graph.meets[node.id]
        lanes = tuple(self.lane(node.id, branch, join, depth) for branch in branches_of(node))
        return [Fork(path, node, lanes, self.path(join) if join is not None else "")]

    def lane(self, gateway: NodeId, branch: Branch, join: NodeId | None, depth: int) -> Lane:
        """Return one branch: a jump back, nothing at all, or its nodes."""
        label = branch.name or (branch.condition.text if branch.condition else "")
        if (gateway, branch.target) in self.graph.back:
            return Lane(label, (self.jump(gateway, branch.target),))
        if branch.target == join:
            return Lane(label, ())
        return Lane(label, tuple(self.sequence(branch.target, join, depth + 1, gateway)))

    def in_line(self, node: Gateway, path: NodePath) -> list[Item]:
        """Place all that lies between `node` and its join in one line."""
        join = self.graph.meets[node.id]
        items: list[Item] = [Leaf(path, node)]
        stack = [*reversed(self.graph.ways[node.id])]
        while stack:
            at = stack.pop()
            if self.is_elsewhere(at, join):
                continue
            self.placed[at] = True
            inner = self.graph.flow.nodes[at]
            items.append(Leaf(self.path(at), inner))
            stack.extend(reversed(self.graph.ways[at]))
        return items

    def jump(self, source: NodeId, target: NodeId) -> Jump:
        """Return a jump to a node of this flow."""
        known = self.graph.flow.nodes.get(target)
        name = display_name(known) if known else target
        back = (source, target) in self.graph.back
        return Jump(self.path(source), self.path(target), name, back)
