"""Algorithms on directed graphs, linear in nodes and edges; none recurses on Python's stack."""

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from typing import TypeAlias, TypeVar

from translator.plan import NodeId

Key = TypeVar("Key")
Answer = TypeVar("Answer")
Step: TypeAlias = Generator[Key, Answer, Answer]
Targets: TypeAlias = Mapping[NodeId, Sequence[NodeId]]


def recurse(step: Callable[[Key], Step[Key, Answer]], first: Key) -> Answer:
    """Run the recursion `step(first)` without Python's stack.

    `step` is a generator that yields the argument of each inner call and is sent its answer.
    """
    stack = [step(first)]
    answer: Answer | None = None
    while True:
        try:
            # the first send to a generator must be None, later ones carry an answer
            asked = stack[-1].send(answer)  # pyright: ignore[reportArgumentType]
        except StopIteration as stop:
            stack.pop()
            answer = stop.value
            if not stack:
                return stop.value
        else:
            stack.append(step(asked))
            answer = None


def reachable(targets: Targets, start: NodeId) -> set[NodeId]:
    """Return what can be reached from `start`, itself included."""
    seen = {start}
    waiting = [start]
    while waiting:
        for target in targets.get(waiting.pop(), ()):
            if target not in seen:
                seen.add(target)
                waiting.append(target)
    return seen


def _walk(targets: Targets, start: NodeId) -> Iterator[tuple[NodeId, NodeId | None]]:
    """Search depth first; yield (node, None) when it is left, (node, open node) for a way back."""
    seen, open_nodes = {start}, {start}
    stack = [(start, iter(targets.get(start, ())))]
    while stack:
        node, ways = stack[-1]
        for target in ways:
            if target in open_nodes:
                yield node, target
            elif target not in seen:
                seen.add(target)
                open_nodes.add(target)
                stack.append((target, iter(targets.get(target, ()))))
                break
        else:
            stack.pop()
            open_nodes.discard(node)
            yield node, None


def order(targets: Targets, start: NodeId) -> list[NodeId]:
    """Return what `start` reaches, each node before its targets where no loop forbids it."""
    left = [node for node, back in _walk(targets, start) if back is None]
    return left[::-1]


def back_edges(targets: Targets, start: NodeId) -> set[tuple[NodeId, NodeId]]:
    """Return the edges that lead back to a node on the way from `start`: each closes a loop."""
    return {(node, back) for node, back in _walk(targets, start) if back is not None}


def components(targets: Targets) -> list[list[NodeId]]:
    """Return the strongly connected components, each after those that it leads to."""
    alone, rest = _peel(targets)
    return [*([node] for node in alone), *_tangled({node: targets[node] for node in rest})]


def _peel(targets: Targets) -> tuple[list[NodeId], list[NodeId]]:
    """Take away what leads to nothing, again and again; what stays leads to loops."""
    sources: dict[NodeId, list[NodeId]] = {node: [] for node in targets}
    open_ways: dict[NodeId, int] = {}
    for node, ways in targets.items():
        known = [target for target in ways if target in targets]
        open_ways[node] = len(known)
        for target in known:
            sources[target].append(node)
    peeled = [node for node, count in open_ways.items() if not count]
    for node in peeled:  # grows while it is walked
        for source in sources[node]:
            open_ways[source] -= 1
            if not open_ways[source]:
                peeled.append(source)
    return peeled, [node for node, count in open_ways.items() if count]


def _tangled(targets: Targets) -> list[list[NodeId]]:
    """Return the components of a graph that has loops. Source: Tarjan's algorithm."""
    index: dict[NodeId, int] = {}
    low: dict[NodeId, int] = {}
    held: dict[NodeId, None] = {}  # an ordered set: the nodes whose component is not complete
    found: list[list[NodeId]] = []

    def enter(node: NodeId) -> tuple[NodeId, Iterator[NodeId]]:
        index[node] = low[node] = len(index)
        held[node] = None
        return node, (target for target in targets[node] if target in targets)

    for root in targets:
        stack = [enter(root)] if root not in index else []
        while stack:
            node, ways = stack[-1]
            fresh = _descend(node, ways, (index, low, held))
            if fresh is not None:
                stack.append(enter(fresh))
                continue
            stack.pop()
            if stack:
                low[stack[-1][0]] = min(low[stack[-1][0]], low[node])
            if low[node] == index[node]:
                found.append(_release(node, held))
    return found


def _descend(
    node: NodeId,
    ways: Iterator[NodeId],
    state: tuple[dict[NodeId, int], dict[NodeId, int], dict[NodeId, None]],
) -> NodeId | None:
    """Follow `ways` to the next node not seen yet, lowering `node` by those that are held."""
    index, low, held = state
    for target in ways:
        if target not in index:
            return target
        if target in held:
            low[node] = min(low[node], index[target])
    return None


def _release(node: NodeId, held: dict[NodeId, None]) -> list[NodeId]:
    """Take from `held` everything down to `node`: one component."""
    taken: list[NodeId] = []
    while not taken or taken[-1] != node:
        taken.append(held.popitem()[0])
    return taken[::-1]


def loops(targets: Targets) -> list[list[NodeId]]:
    """Return the components that hold a loop: several nodes, or one that leads to itself."""
    onward = {node: ways for node, ways in targets.items() if ways}
    return [part for part in components(onward) if len(part) > 1 or part[0] in onward[part[0]]]


def dominators(targets: Targets, start: NodeId) -> dict[NodeId, NodeId]:
    """Return the nearest node that every way from `start` passes, per node; `start` has itself."""
    line = order(targets, start)
    rank = {node: place for place, node in enumerate(line)}
    sources: dict[NodeId, list[NodeId]] = {node: [] for node in line}
    for node in line:
        for target in targets.get(node, ()):
            sources[target].append(node)
    nearest = {start: start}
    changed = True
    while changed:
        changed = False
        for node in line[1:]:
            known = [source for source in sources[node] if source in nearest]
            best = known[0]
            for other in known[1:]:
                best = meet(best, other, nearest, rank)
            changed |= nearest.get(node) != best
            nearest[node] = best
    return nearest


def meet(
    one: NodeId, other: NodeId, nearest: Mapping[NodeId, NodeId], rank: Mapping[NodeId, int]
) -> NodeId:
    """Return the nearest node that dominates both; `rank` is their place in `order`."""
    while one != other:
        if rank[one] > rank[other]:
            one = nearest[one]
        else:
            other = nearest[other]
    return one
