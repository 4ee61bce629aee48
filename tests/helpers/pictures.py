"""Flows of any size and runs that stand in the middle of them, for tests of what the page draws."""

from collections.abc import Iterator, Sequence
from itertools import cycle
from typing import Final

from translator.plan import (
    Branch,
    Condition,
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
    PluginRef,
    Start,
    Subflow,
    Task,
    join_path,
    parent_path,
    targets_of,
)
from workflows.machine.state import JournalEntry, Live, NodeState, Phase, RunState

NOW: Final = 1_764_036_000.0
NAMES: Final = (
    "屏蔽告警",
    "Stop the service",
    "备份数据库",
    "Back up all configuration files of the hosts",
    "推送文件到所有目标服务器并校验摘要",
    "Roll out",
    "通知值班 on call",
    "人工审批",
)
PLUGINS: Final = ("job_fast_execute_script", "bk_http_request", "bk_notify")
STAGE: Final = 10
"""Tasks of a stage: one, a fork of three, a subflow in a loop with a subflow in it, a choice."""
UNDER_WAY: Final[Sequence[Phase]] = ("polling", "waiting", "sleeping", "calling", "retrying")


class _Grower:
    """Grows flows of named tasks; ids are as long as those of a canvas."""

    def __init__(self) -> None:
        self.names = cycle(NAMES)
        self.plugins = cycle(PLUGINS)
        self.count = 0

    def key(self) -> NodeId:
        self.count += 1
        return f"n{self.count * 2654435761 % 2**32:08x}{self.count:024x}"

    def task(self, then: NodeId) -> Task:
        plugin = PluginRef(code=next(self.plugins))
        return Task(id=self.key(), name=next(self.names), next=then, plugin=plugin)

    def chain(self, count: int, then: NodeId) -> list[Node]:
        """Return tasks in a row, the first first."""
        made: list[Node] = []
        for _ in range(count):
            made.insert(0, self.task(made[0].id if made else then))
        return made

    def inner(self, count: int, *more: Node) -> Flow:
        """Return a flow of tasks, then `more`."""
        end = End(id="end")
        after = [*more, end]
        nodes = self.chain(count, after[0].id)
        start = Start(id="start", next=nodes[0].id)
        return Flow(start="start", nodes={node.id: node for node in (start, *nodes, *after)})

    def stage(self, then: NodeId) -> list[Node]:
        """Return the nodes of a stage, the first first."""
        meet = Converge(id=self.key(), next=then)
        left, right = self.task(meet.id), self.task(meet.id)
        choice, loop, join = self.key(), self.key(), self.key()
        deep = Subflow(id=self.key(), name="逐台 each host", next="end", flow=self.inner(2))
        frame = Subflow(id=loop, name="分批发布", next=choice, flow=self.inner(1, deep))
        fork = [self.task(join) for _ in range(3)]
        parallel = Parallel(id=self.key(), branches=_ways(*fork), converge=join)
        ways = (_way("ok", left), _way("roll back", right), _way("next batch", frame))
        first = self.task(parallel.id)
        converge = Converge(id=join, next=loop)
        gate = Exclusive(id=choice, branches=ways)
        return [first, parallel, *fork, converge, frame, gate, left, right, meet]


def _ways(*targets: Node) -> tuple[Branch, ...]:
    return tuple(Branch(edge=f"e{node.id}", target=node.id) for node in targets)


def _way(name: str, target: Node) -> Branch:
    return Branch(edge=f"e{name}", target=target.id, name=name, condition=Condition(text="1 == 1"))


def large(tasks: int) -> Plan:
    """Return a flow of so many tasks: stages, then a chain."""
    grower = _Grower()
    nodes: list[Node] = [*grower.chain(tasks % STAGE or 1, "end"), End(id="end")]
    for _ in range(tasks // STAGE):
        nodes = [*grower.stage(nodes[0].id), *nodes]
    start = Start(id="start", next=nodes[0].id)
    flow = Flow(start="start", nodes={node.id: node for node in (start, *nodes)})
    return Plan(template_key="large", name="大型发布", version="7", flow=flow)


def in_order(flow: Flow, at: FlowPath = "") -> Iterator[tuple[NodePath, Node]]:
    """Yield every node at any depth, roughly as a run comes to it."""
    seen: dict[NodeId, None] = {}
    todo = [flow.start]
    while todo:
        key = todo.pop(0)
        if key in seen:
            continue
        seen[key] = None
        node = flow.nodes[key]
        yield join_path(at, key), node
        if isinstance(node, Subflow):
            yield from in_order(node.flow, join_path(at, key))
        todo += [target for target in targets_of(node) if target not in todo]


def half_way(plan: Plan, phases: Sequence[Phase] = UNDER_WAY) -> RunState:
    """Return a run whose middle has failed, beside which nodes are under way in these phases."""
    order = [*in_order(plan.flow)]
    middle = len(order) // 2
    state = RunState(started=NOW - 4000, context={"operator": "li"})
    state.nodes[""] = NodeState("running", entry=1, since=state.started)
    for at, (path, node) in enumerate(order[:middle]):
        _end(state, path, node, at)
    tasks = [path for path, node in order[middle:] if isinstance(node, Task)]
    for path, phase in zip(tasks[1:], phases, strict=False):
        _enter(state, path, phase)
    _fail(state, tasks[0], "HTTP 503 from deploy.internal")
    return state


def _end(state: RunState, path: NodePath, node: Node, at: int) -> None:
    ended = state.nodes[path] = NodeState("finished", entry=1, since=NOW - 2000 + at)
    if not isinstance(node, Task):
        return
    ended.took = (3, 72, 9, 400)[at % 4]
    ended.note = f"JOB {20000 + at}" if at % 2 else ""
    if at % 5 == 4:
        ended.status = "skipped"
        state.journal.append(JournalEntry(NOW - 1900, "skip", path, "li", "值班已通知"))


def _enter(state: RunState, path: NodePath, phase: Phase) -> None:
    status = "failed" if phase == "retrying" else "running"
    state.nodes[path] = NodeState(status, entry=1, since=NOW - 65)
    state.live[path] = Live(phase=phase, after_s=5, deadline=NOW + 130, started=NOW - 65)
    flow = parent_path(path)
    while flow and flow not in state.live:
        state.nodes[flow] = NodeState("running", entry=1, since=NOW - 100)
        state.live[flow] = Live(phase="inside", started=NOW - 100)
        flow = parent_path(flow)


def _fail(state: RunState, path: NodePath, error: str) -> None:
    _enter(state, path, "inside")
    state.nodes[path] = NodeState("failed", entry=2, retry=1, since=NOW - 180)
    state.live[path].error = state.failed[path] = error
