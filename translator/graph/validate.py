"""The real engine's own checks of a tree, in its order."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from translator.graph.algorithms import loops, reachable
from translator.graph.matching import match_gateways
from translator.graph.model import FORKS, Graph, GraphProblem, graph_of
from translator.graph.streams import crossings
from translator.plan import EdgeId, NodeId
from translator.template import SourceNode, Tree

MAX_DEGREE: Final = 1000
"""Most ways in or out of one node that the real engine accepts."""


def validate_tree(
    tree: Tree, *, cycle_tolerate: bool = True, start_node: NodeId | None = None
) -> list[GraphProblem]:
    """Return why the real engine would refuse `tree`, in its order: nested trees first.

    The first problem is the one that it would raise; an empty list means that it accepts the tree,
    and a run that begins at `start_node`.
    """
    problems: list[GraphProblem] = []
    for nested in nested_trees(tree):
        problems += tree_problems(nested, cycle_tolerate=cycle_tolerate)
    if start_node is not None and not problems and start_node not in start_positions(tree):
        what = f"a run cannot begin at node {start_node!r}"
        fix = "begin at a task or a fork outside of every parallel block"
        problems.append(
            GraphProblem("StartPositionInvalidException", start_node, what, "SOP102", fix)
        )
    return problems


def nested_trees(tree: Tree) -> list[Tree]:
    """Return the trees of all subflows at any depth, inner before outer, and `tree` as the last."""
    found: list[Tree] = []
    waiting = [tree]
    while waiting:
        last = waiting.pop()
        found.append(last)
        waiting += [sub.tree for sub in last.subflows.values() if sub.tree]
    return found[::-1]


def tree_problems(
    tree: Tree, graph: Graph | None = None, *, cycle_tolerate: bool = True
) -> list[GraphProblem]:
    """Return the problems of one tree without its subflows; a later check needs the earlier.

    `graph` saves resolving the edges again where it is at hand.
    """
    missing = list(_missing(tree))
    if missing:
        return missing
    graph = graph or graph_of(tree)
    problems = list(_connections(tree, graph))
    if not problems and not cycle_tolerate:
        problems = list(_cycles(tree, graph))
    if problems:
        return problems
    matching = match_gateways(tree, graph)
    return list(matching.problems) or list(crossings(graph, matching.converge))


def start_positions(tree: Tree) -> set[NodeId]:
    """Return the nodes at which a run may begin: those of the main line, not inside a block."""
    graph = graph_of(tree)
    converge = match_gateways(tree).converge
    main = {node: _jump(tree, node, converge) or targets for node, targets in graph.targets.items()}
    line = reachable(main, graph.start)
    barred = {node for node, gateway in tree.gateways.items() if gateway.kind == "converge"}
    return line - barred - set(tree.subflows) - {graph.end}


def _jump(tree: Tree, node: NodeId, converge: Mapping[NodeId, NodeId | None]) -> tuple[NodeId, ...]:
    """Return the converge of a fork, over its branches; nothing for any other node."""
    gateway = tree.gateways.get(node)
    found = converge.get(node) if gateway and gateway.kind in FORKS else None
    return (found,) if found else ()


def _missing(tree: Tree) -> Iterator[GraphProblem]:
    """Report each edge that a node lists and that does not exist or leads to an unknown node."""
    nodes = {tree.start.id, tree.end.id, *tree.tasks, *tree.subflows, *tree.gateways}
    fix = "draw the edge again, or delete it from the node"
    seen: set[EdgeId] = set()
    for node in _all_nodes(tree):
        for edge in (*node.incoming, *node.outgoing):
            found = tree.edges.get(edge)
            if found is None:
                what = f"node {node.name or node.id!r} lists edge {edge!r}, which does not exist"
                yield GraphProblem("KeyError", node.id, what, "SOP101", fix, node.at)
            elif edge not in seen:
                for end in (found.source, found.target):
                    if end not in nodes:
                        what = f"edge {edge!r} names node {end!r}, which does not exist"
                        yield GraphProblem("KeyError", node.id, what, "SOP101", fix, found.at)
                seen.add(edge)


def _all_nodes(tree: Tree) -> Iterator[SourceNode]:
    """Yield every node as written, so also those that share an id."""
    yield tree.start
    yield tree.end
    yield from tree.tasks.values()
    yield from tree.subflows.values()
    yield from tree.gateways.values()


def _connections(tree: Tree, graph: Graph) -> Iterator[GraphProblem]:
    """Check who may lead to whom and how often; like the engine, only nodes that lead somewhere."""
    ends = {graph.start, graph.end}
    for node, targets in graph.targets.items():
        if not targets:
            continue
        text = _wrong_target(graph, node, targets) or _wrong_degree(tree, graph, node)
        if text:
            outer = node in ends or graph.start in targets
            code, fix = ("SOP102", _END_FIX) if outer else ("SOP103", _DEGREE_FIX)
            yield GraphProblem("ConnectionValidateError", node, text, code, fix, graph.at(node))


_END_FIX: Final = "lead from the start to one first node, and from the last nodes to the end"
_DEGREE_FIX: Final = "connect the node; use a gateway where a flow forks"


def _wrong_target(graph: Graph, node: NodeId, targets: Sequence[NodeId]) -> str:
    """Say which node must not follow `node`, or return nothing."""
    if node == graph.end:
        return f"the end event leads to {graph.label(targets[0])}"
    if graph.start in targets:
        return f"node {graph.label(node)} leads back to the start event"
    if node == graph.start and graph.end in targets:
        return "the start event leads directly to the end event"
    return ""


def _wrong_degree(tree: Tree, graph: Graph, node: NodeId) -> str:
    """Say what is wrong with the number of ways in or out of `node`, or return nothing."""
    gateway = tree.gateways.get(node)
    most_out = MAX_DEGREE if gateway and gateway.kind != "converge" else 1
    least_in, most_in = (0, 0) if node == graph.start else (1, MAX_DEGREE)
    ways_in, ways_out = len(graph.sources[node]), len(graph.targets[node])
    if not least_in <= ways_in <= most_in:
        allowed = f"{least_in} to {most_in}" if most_in else "none"
        return f"node {graph.label(node)} has {ways_in} ways in, allowed: {allowed}"
    if ways_out > most_out:
        allowed = f"1 to {most_out}" if most_out > 1 else "exactly 1"
        return f"node {graph.label(node)} has {ways_out} ways out, allowed: {allowed}"
    return ""


def _cycles(tree: Tree, graph: Graph) -> Iterator[GraphProblem]:
    """Report each loop, where loops are not tolerated; by all edges, listed or not."""
    targets: dict[NodeId, list[NodeId]] = {node: [] for node in graph.nodes}
    for edge in tree.edges.values():
        targets.setdefault(edge.source, []).append(edge.target)
    for loop in loops(targets):
        what = f"the flow loops through {', '.join(map(graph.label, loop[:5]))}"
        fix = "remove the edge that leads back, or allow loops"
        yield GraphProblem("TreeInvalidException", loop[0], what, "SOP109", fix, graph.at(loop[0]))
