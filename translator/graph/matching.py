"""Matches each fork, and each exclusive gateway, to the converge where its branches meet."""

from collections.abc import Generator, Iterable, Sequence
from typing import Final, NamedTuple

from translator.graph.algorithms import Step, recurse
from translator.graph.model import FORKS, Graph, GraphProblem, graph_of
from translator.plan import NodeId
from translator.template import Tree


class Matching(NamedTuple):
    """The converge of every fork and exclusive gateway (None: it has none), and what is wrong."""

    converge: dict[NodeId, NodeId | None]
    problems: tuple[GraphProblem, ...]


def match_gateways(tree: Tree, graph: Graph | None = None) -> Matching:
    """Find the converge of every fork and exclusive gateway of `tree` (not of its subflows).

    `graph` saves resolving the edges again where it is at hand.
    """
    return _Matcher(tree, graph or graph_of(tree)).match_all()


class _Mismatch(Exception):  # noqa: N818  not an error of ours: it unwinds the search to its block
    """A gateway of the current block does not match; `problem` None: that was said already."""

    def __init__(self, problem: GraphProblem | None) -> None:
        super().__init__()
        self.problem = problem


class _Meeting(NamedTuple):
    """Where the branches of a gateway meet; `shared`: other gateways' branches come there too."""

    converge: NodeId | None
    shared: bool


class _Matcher:
    """Matches gateways block by block, outer before inner, nearest to the start first.

    `ways[gateway]` holds per branch the first gateway or end that it meets, then, as the search
    goes on, where that leads once inner blocks are jumped over; None leads back to earlier nodes.
    """

    def __init__(self, tree: Tree, graph: Graph) -> None:
        self.tree, self.graph = tree, graph
        self.depth = _depths(graph, tree.gateways)
        landing = _landings(tree, graph)
        self.ways: dict[NodeId, list[NodeId | None]] = {
            node: [landing[target] for target in graph.targets[node]] for node in tree.gateways
        }
        self.forward_in = self._forward_in()
        self.meetings: dict[NodeId, _Meeting] = {}
        self.forks_of: dict[NodeId, list[NodeId]] = {}
        self.settled: set[NodeId | None] = set()
        self.block: set[NodeId | None] = set()
        self.failed = set(tree.gateways) - set(self.depth)
        self.stack: dict[NodeId, int] = {}  # open gateways, with the number of forks before each

    def match_all(self) -> Matching:
        """Match every gateway; a block in which one fails hides only its own further problems."""
        problems = [self._unreachable(node) for node in self.tree.gateways if node in self.failed]
        starts = [node for node in self.tree.gateways if not self._is_converge(node)]
        for gateway in sorted(starts, key=lambda node: self.depth.get(node, 0)):
            self.block = set()
            try:
                recurse(self._match, gateway)
            except _Mismatch as mismatch:
                self.failed.update(self.stack)
                self.stack.clear()
                problems += [mismatch.problem] if mismatch.problem else []
            else:
                self.settled |= self.block
        found = {node: self.meetings.get(node, _NOWHERE).converge for node in starts}
        return Matching(found, tuple(problems))

    def _forward_in(self) -> dict[NodeId, int]:
        """Count, per converge, the branches that come to it from nearer to the start."""
        count: dict[NodeId, int] = {}
        for node, ways in self.ways.items():
            for way in ways:
                if way is not None and self._is_converge(way):
                    ahead = self.depth.get(way, 0) > self.depth.get(node, 0)
                    count[way] = count.get(way, 0) + ahead
        return count

    def _match(self, gateway: NodeId) -> Step[NodeId, _Meeting]:
        """Find where the branches of `gateway` meet; asks for inner gateways by yielding them."""
        if gateway in self.failed:
            raise _Mismatch(None)
        found = self.meetings.get(gateway, _NOWHERE)
        if found.converge is not None:
            return found
        ways = self.ways[gateway]
        self.stack[gateway] = self._open_forks()
        for place, way in enumerate(ways):
            ways[place] = yield from self._follow(gateway, way)
        del self.stack[gateway]
        self.failed.add(gateway)  # until it is known to match
        found = self._meeting(gateway, ways)
        self.failed.discard(gateway)
        self.meetings[gateway] = found
        self.block.add(gateway)
        return found

    def _follow(
        self, gateway: NodeId, way: NodeId | None
    ) -> Generator[NodeId, _Meeting, NodeId | None]:
        """Follow one branch over the blocks inside it, to a converge, the end, or back (None)."""
        if way in self.settled:
            return None
        self.block.add(way)
        passed: set[NodeId] = set()
        while way is not None and self._is_opening(way) and way != gateway:
            if way in self.stack or way in passed:
                return self._lead_back(gateway, way)
            passed.add(way)
            way = self._beyond(gateway, (yield way))
        return None if way is not None and self._is_earlier(way, gateway) else way

    def _is_earlier(self, way: NodeId, gateway: NodeId) -> bool:
        """Say whether `way` is a converge that stands nearer to the start than `gateway`."""
        if not self._is_converge(way):
            return False
        if way not in self.depth:  # its own edges do not say how it is reached; that is reported
            raise _Mismatch(None)
        return self.depth[way] < self.depth[gateway]

    def _lead_back(self, gateway: NodeId, way: NodeId) -> None:
        """Accept a way back to an open gateway, unless it would leave a parallel block."""
        if way in self.stack and self._open_forks() > self.stack[way]:
            raise _Mismatch(self._problem(gateway, "leads out of a parallel block", "SOP110"))

    def _beyond(self, gateway: NodeId, inner: _Meeting) -> NodeId | None:
        """Return where a branch of `gateway` goes on behind an inner gateway."""
        if inner.converge is None:
            return self.graph.end
        if inner.shared and (not self._is_fork(gateway) or not self.forks_of.get(inner.converge)):
            return inner.converge
        return next(iter(self.ways[inner.converge]), None)

    def _meeting(self, gateway: NodeId, ways: Sequence[NodeId | None]) -> _Meeting:
        """Decide where the followed `ways` meet; raises _Mismatch where they may not part."""
        met = dict.fromkeys(way for way in ways if way is not None and self._is_converge(way))
        if self._is_fork(gateway):
            return self._meeting_of_fork(gateway, list(met), ways)
        if self.graph.end in ways and self._open_forks():
            raise _Mismatch(self._problem(gateway, "leaves its parallel block", "SOP110"))
        if len(met) > 1:
            text = f"has branches that meet at different converges: {self._labels(met)}"
            raise _Mismatch(self._problem(gateway, text, "SOP110"))
        stray = [way for way in ways if way not in {*met, None, gateway, self.graph.end}]
        if stray:
            raise _Mismatch(self._problem(gateway, "has a branch that meets nothing", "SOP110"))
        if not met:
            return _NOWHERE
        converge = next(iter(met))
        coming = sum(way is not None and way != gateway for way in ways)
        shared = self.forward_in.get(converge, 0) > coming or converge in self.forks_of
        self.forks_of.setdefault(converge, [])
        return _Meeting(converge, shared)

    def _meeting_of_fork(
        self, gateway: NodeId, met: Sequence[NodeId], ways: Sequence[NodeId | None]
    ) -> _Meeting:
        """Check that all branches of a fork meet at one converge, which no other fork has."""
        if len(met) != 1 or any(way != met[0] for way in ways):
            raise _Mismatch(self._problem(gateway, self._apart(ways), "SOP105"))
        converge, [*rivals] = met[0], self.forks_of.get(met[0], ())
        incoming = len(self.tree.gateways[converge].incoming)
        if incoming > len(ways) and rivals:
            text = f"ends several forks: {self._labels([*rivals, gateway])}"
            raise _Mismatch(self._problem(converge, text, "SOP106"))
        if incoming < len(ways):
            text = f"has {incoming} ways in, its fork has {len(ways)} branches"
            raise _Mismatch(self._problem(converge, text, "SOP106"))
        self.forks_of.setdefault(converge, []).append(gateway)
        return _Meeting(converge, incoming > len(ways))

    def _apart(self, ways: Sequence[NodeId | None]) -> str:
        """Say where the branches of a fork go that do not meet."""
        if all(way == self.graph.end for way in ways):
            return "has no converge: its branches run to the end"
        places = self._labels(way for way in ways if way is not None)
        return (
            f"has branches that do not all meet in one converge: they reach {places or 'nothing'}"
        )

    def _labels(self, nodes: Iterable[NodeId]) -> str:
        return ", ".join(map(self.graph.label, [*dict.fromkeys(nodes)][:5]))

    def _problem(self, node: NodeId, text: str, code: str) -> GraphProblem:
        kind = self.tree.gateways[node].kind.replace("_", " ")
        what = f"{kind} gateway {self.graph.label(node)} {text}"
        return GraphProblem(
            "ConvergeMatchError", node, what, code, _MATCH_FIXES[code], self.graph.at(node)
        )

    def _unreachable(self, node: NodeId) -> GraphProblem:
        return self._problem(node, "cannot be reached from the start", "SOP104")

    def _is_converge(self, node: NodeId) -> bool:
        gateway = self.tree.gateways.get(node)
        return gateway is not None and gateway.kind == "converge"

    def _is_opening(self, node: NodeId) -> bool:
        return node in self.ways and not self._is_converge(node)

    def _is_fork(self, node: NodeId) -> bool:
        return self.tree.gateways[node].kind in FORKS

    def _open_forks(self) -> int:
        """Return how many forks the search is inside of."""
        if not self.stack:
            return 0
        last, before = next(reversed(self.stack.items()))
        return before + self._is_fork(last)


_NOWHERE: Final = _Meeting(None, shared=False)
_MATCH_FIXES: Final = {
    "SOP104": "connect it, or delete it",
    "SOP105": "lead every branch to one converge gateway of its own",
    "SOP106": "give each fork a converge gateway of its own that all its branches reach",
    "SOP110": "let its branches meet at one converge gateway inside the same block",
}


def _landings(tree: Tree, graph: Graph) -> dict[NodeId, NodeId | None]:
    """Return per node the first gateway or event from it on; None where it comes to none."""
    landing: dict[NodeId, NodeId | None] = {tree.start.id: tree.start.id, tree.end.id: tree.end.id}
    landing |= {node: node for node in tree.gateways}
    for node in graph.nodes:
        passed: dict[NodeId, None] = {}
        here: NodeId | None = node
        while here is not None and here not in landing and here not in passed:
            passed[here] = None
            here = next(iter(graph.targets[here]), None)
        place = landing.get(here) if here is not None else None
        landing |= dict.fromkeys(passed, place)
    return landing


def _depths(graph: Graph, gateways: Iterable[NodeId]) -> dict[NodeId, int]:
    """Return the longest distance from the start to each of `gateways` that it reaches.

    Where the flow loops, a way is cut where it comes back to itself; which way that is depends on
    the order of the search, so the order is the real engine's: by gateway, then by incoming edge.
    """
    depth: dict[NodeId, int] = {}
    visited: set[NodeId] = set()

    def distance(node: NodeId) -> Step[NodeId, int | None]:
        if node in depth or node == graph.start:
            return depth.get(node, 0)
        if node in visited:
            return None
        visited.add(node)
        before: list[int] = []
        for source in graph.sources[node]:
            found = yield source
            before += [] if found is None else [found]
        if before:
            depth[node] = max(before) + 1
        return depth.get(node)

    for gateway in gateways:
        visited.clear()
        recurse(distance, gateway)
    return depth
