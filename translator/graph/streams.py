"""Checks that no edge crosses the border of a parallel block."""

from collections import deque
from collections.abc import Iterator, Mapping
from typing import Final, TypeAlias

from translator.graph.model import Graph, GraphProblem, is_fork
from translator.plan import NodeId

Stream: TypeAlias = tuple[NodeId, int]
"""A branch: the fork that opened it, and which of its branches it is."""

_MAIN: Final[Stream] = ("", 0)


def crossings(graph: Graph, converge: Mapping[NodeId, NodeId | None]) -> Iterator[GraphProblem]:
    """Check that no edge crosses the border of a parallel block, then that nothing is left out.

    Each branch of a fork is a stream; the converge goes on in the stream of its fork. A node that
    two streams enter joins branches outside of their converge.
    """
    blocks = _blocks(graph, converge)
    stream: dict[NodeId, Stream] = {graph.start: _MAIN, graph.end: _MAIN}
    waiting, seen = deque([graph.start]), {graph.start}
    while waiting:
        node = waiting.popleft()
        for target, wanted in _flows(graph, node, (stream[node], converge, blocks)):
            if stream.setdefault(target, wanted) != wanted:
                what = f"node {graph.label(target)} is entered from different parallel branches"
                yield _stream_problem(graph, target, what, "SOP107")
                return
        lost = next((target for target in graph.targets[node] if target not in stream), None)
        if lost is not None:  # the block's converge is entered before its fork has run
            what = f"node {graph.label(lost)} ends a parallel block that was never entered"
            yield _stream_problem(graph, lost, what, "SOP107")
            return
        fresh = [target for target in dict.fromkeys(graph.targets[node]) if target not in seen]
        seen.update(fresh)
        waiting.extend(fresh)
    for node in graph.nodes:
        if node not in stream:
            what = f"node {graph.label(node)} cannot be reached from the start"
            yield _stream_problem(graph, node, what, "SOP104")


_STREAM_FIXES: Final = {
    "SOP104": "connect it, or delete it",
    "SOP107": "enter a parallel block by its fork and leave it by its converge only",
}


def _stream_problem(graph: Graph, node: NodeId, what: str, code: str) -> GraphProblem:
    return GraphProblem(
        "StreamValidateError", node, what, code, _STREAM_FIXES[code], graph.at(node)
    )


def _blocks(
    graph: Graph, converge: Mapping[NodeId, NodeId | None]
) -> dict[NodeId, tuple[NodeId, int]]:
    """Return per converge of a fork that fork and the number of its branches."""
    forks = ((node, converge.get(node)) for node in graph.nodes if is_fork(graph, node))
    return {end: (node, len(graph.targets[node])) for node, end in forks if end is not None}


def _flows(
    graph: Graph,
    node: NodeId,
    facts: tuple[Stream, Mapping[NodeId, NodeId | None], Mapping[NodeId, tuple[NodeId, int]]],
) -> Iterator[tuple[NodeId, Stream]]:
    """Yield which stream `node` brings to which target; a branch brings none to its converge."""
    stream, converge, blocks = facts
    fork = is_fork(graph, node)
    own = converge.get(node)
    if fork and own is not None:
        yield own, stream
    for place, target in enumerate(graph.targets[node]):
        opener = blocks.get(target)
        closes = opener is not None and stream[0] == opener[0] and stream != _MAIN
        if not closes and not (opener and own == target):
            yield target, (node, place) if fork else stream
