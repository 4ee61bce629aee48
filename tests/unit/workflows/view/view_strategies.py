"""Random plans and states for the properties of the view."""

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from tests.unit.workflows.view.view_plans import NOW, task
from translator.plan import (
    ROOT,
    Branch,
    ConditionalParallel,
    Converge,
    End,
    Exclusive,
    Flow,
    FlowPath,
    Node,
    NodeId,
    NodePath,
    Parallel,
    Plan,
    Start,
    Subflow,
    join_path,
)
from workflows.machine.state import JournalEntry, Live, NodeState, Phase, RunState, Status, Token

NAMES = st.text(st.sampled_from("发布备份abcXYZ<>&`*_\"'\n\t 🚀"), max_size=20)
PHASES: tuple[Phase, ...] = ("calling", "polling", "waiting", "sleeping", "retrying", "queued")
STATUSES: tuple[Status, ...] = ("running", "finished", "skipped", "failed", "suspended", "ready")


class Grower:
    """Grows one flow from choices, block by block, until its budget of nodes is used."""

    def __init__(self, draw: DrawFn, budget: int) -> None:
        self.draw = draw
        self.budget = budget
        self.count = 0

    def key(self) -> NodeId:
        self.count += 1
        self.budget -= 1
        return f"k{self.count}"

    def flow(self, depth: int) -> Flow:
        nodes: dict[NodeId, Node] = {}
        ends = End(id=f"end{self.count}")
        first = self.sequence(nodes, ends.id, [ends.id], depth)
        start = Start(id=f"start{self.count}", next=first)
        return Flow(start=start.id, nodes={start.id: start, **nodes, ends.id: ends})

    def sequence(
        self, nodes: dict[NodeId, Node], then: NodeId, known: list[NodeId], depth: int
    ) -> NodeId:
        """Grow blocks backwards, so that each knows what comes after it."""
        for _ in range(self.draw(st.integers(1, 6))):
            if self.budget <= 0:
                break
            then = self.block(nodes, then, known, depth)
            known.append(then)
        return then

    def block(
        self, nodes: dict[NodeId, Node], then: NodeId, known: list[NodeId], depth: int
    ) -> NodeId:
        kinds = ["task", "task"] if depth > 3 else ["task", "task", "fork", "choice", "subflow"]
        kind = self.draw(st.sampled_from(kinds))
        key = self.key()
        if kind == "task":
            nodes[key] = task(key, then, self.draw(NAMES))
        elif kind == "subflow":
            nodes[key] = Subflow(
                id=key, name=self.draw(NAMES), next=then, flow=self.flow(depth + 1)
            )
        elif kind == "fork":
            self.fork(nodes, key, then, depth)
        else:
            self.choice(nodes, key, then, known, depth)
        return key

    def fork(self, nodes: dict[NodeId, Node], key: NodeId, then: NodeId, depth: int) -> None:
        join = self.key()
        nodes[join] = Converge(id=join, next=then)
        targets = [
            self.sequence(nodes, join, [join], depth + 1)
            for _ in range(self.draw(st.integers(1, 9)))
        ]
        branches = tuple(Branch(edge=f"{key}{at}", target=to) for at, to in enumerate(targets))
        make = self.draw(st.sampled_from([Parallel, ConditionalParallel]))
        nodes[key] = make(id=key, branches=branches, converge=join)

    def choice(
        self, nodes: dict[NodeId, Node], key: NodeId, then: NodeId, known: list[NodeId], depth: int
    ) -> None:
        """A gateway whose ways may also lead to any node that comes later, or back to itself."""
        targets = [then, self.sequence(nodes, then, [*known], depth + 1)]
        targets += self.draw(st.lists(st.sampled_from([*known, key]), max_size=2))
        again = self.key()
        nodes[again] = task(again, key, "again")
        branches = tuple(
            Branch(edge=f"{key}{at}", target=to, name=self.draw(NAMES))
            for at, to in enumerate([*targets, again])
        )
        nodes[key] = Exclusive(id=key, branches=branches)


@st.composite
def plans(draw: DrawFn, most: int = 40) -> Plan:
    budget = draw(st.integers(1, most))
    return Plan(template_key="t", name=draw(NAMES), flow=Grower(draw, budget).flow(0))


def paths_of(flow: Flow, at: FlowPath = ROOT) -> list[NodePath]:
    found: list[NodePath] = []
    for key, node in flow.nodes.items():
        found.append(join_path(at, key))
        if isinstance(node, Subflow):
            found += paths_of(node.flow, join_path(at, key))
    return found


@st.composite
def states(draw: DrawFn, plan: Plan) -> RunState:
    state = RunState(started=NOW - 5000)
    state.nodes[ROOT] = NodeState(status="running", entry=1, since=NOW - 5000)
    paths = paths_of(plan.flow)
    for path in paths[: draw(st.integers(0, len(paths)))]:
        status = draw(st.sampled_from(STATUSES))
        state.nodes[path] = NodeState(status=status, entry=1, retry=2, since=NOW - 100)
        if status == "failed":
            state.failed[path] = draw(NAMES)
            state.live[path] = Live(phase="inside", error=state.failed[path])
        elif status == "running":
            state.live[path] = Live(phase=draw(st.sampled_from(PHASES)), deadline=NOW + 60)
        elif status == "suspended":
            state.tokens[f"t{len(state.tokens)}"] = Token(node=path, held_by=path)
    state.journal = [JournalEntry(NOW - 9, "skip", paths[0], draw(NAMES), draw(NAMES))]
    return state


@st.composite
def runs(draw: DrawFn, most: int = 40) -> tuple[Plan, RunState]:
    plan = draw(plans(most))
    return plan, draw(states(plan))
