"""Plans and states for the tests of the view: small builders, and the flows they draw."""

from collections.abc import Sequence

from translator.plan import (
    Branch,
    Condition,
    Converge,
    End,
    Exclusive,
    Flow,
    Literal,
    Node,
    Parallel,
    Plan,
    PluginRef,
    Start,
    Subflow,
    Task,
    Value,
)
from workflows.machine.state import JournalEntry, Live, NodeState, RunState, Status, Token

NOW = 1_700_000_000.0


def task(key: str, then: str, name: str = "", plugin: str = "job_fast_execute_script") -> Task:
    inputs: dict[str, Value] = {"url": Literal(value="secret-value")}
    return Task(id=key, name=name, next=then, plugin=PluginRef(code=plugin), inputs=inputs)


def ways(*targets: str | tuple[str, str]) -> tuple[Branch, ...]:
    pairs = [(each, "") if isinstance(each, str) else each for each in targets]
    return tuple(
        Branch(edge=f"e{at}", target=target, name=name, condition=Condition(text="1 == 1"))
        if name
        else Branch(edge=f"e{at}", target=target)
        for at, (target, name) in enumerate(pairs)
    )


def flow(*nodes: Node) -> Flow:
    first = nodes[0].id
    known = [Start(id="start", next=first), *nodes, End(id="end")]
    return Flow(start="start", nodes={node.id: node for node in known})


def plan(*nodes: Node, name: str = "发布") -> Plan:
    return Plan(template_key="release", name=name, version="3", flow=flow(*nodes))


def chain(count: int, name: str = "step") -> Plan:
    keys = [f"n{at}" for at in range(count)]
    after = [*keys[1:], "end"]
    return plan(*(task(key, then, f"{name} {key}") for key, then in zip(keys, after, strict=True)))


def release() -> Plan:
    """A release of 16 tasks and gateways: a parallel, a subflow in a loop, a branch."""
    inner = flow(task("n8", "n9", "推送文件"), task("n9", "end", "更新进程", "bk_http_request"))
    return plan(
        task("n1", "p1", "屏蔽告警", "monitor_alarm_shield"),
        Parallel(id="p1", branches=ways("n2", "n3", "n4"), converge="c1"),
        task("n2", "c1", "备份数据库"),
        task("n3", "c1", "备份配置"),
        task("n4", "c1", "通知值班", "bk_notify"),
        Converge(id="c1", next="n5"),
        task("n5", "sub1", "停止服务"),
        Subflow(id="sub1", name="分批发布", next="x1", flow=inner),
        Exclusive(id="x1", branches=ways(("n6", "ok"), ("n7", "rollback"), ("sub1", "next"))),
        task("n6", "n10", "启动服务"),
        task("n10", "c2", "人工审批", "pause_node"),
        task("n7", "c2", "回滚"),
        Converge(id="c2", next="n11"),
        task("n11", "end", "解除屏蔽"),
    )


def stand(state: RunState, paths: Sequence[str], status: Status = "finished") -> None:
    for at, path in enumerate(paths):
        state.nodes[path] = NodeState(status=status, entry=1, since=NOW - 600 + at)


def failed_release() -> RunState:
    """The release with a failed node in the second round of its subflow."""
    state = RunState(started=NOW - 900)
    state.nodes[""] = NodeState(status="running", entry=1, since=NOW - 900)
    done = ["start", "n1", "p1", "n2", "n3", "c1", "n5", "sub1/start", "sub1/n8", "x1"]
    stand(state, done)
    stand(state, ["n4"], "skipped")
    stand(state, ["sub1"], "running")
    state.nodes["sub1"].loop = 2
    state.nodes["sub1/n9"] = NodeState(status="failed", entry=2, retry=1, since=NOW - 180)
    state.live["sub1"] = Live(phase="inside", started=NOW - 300)
    error = "HTTP 503 from deploy.internal"
    state.live["sub1/n9"] = Live(phase="inside", error=error, started=NOW - 190)
    state.failed["sub1/n9"] = error
    state.tokens["t"] = Token(node="sub1/n9")
    state.journal = [
        JournalEntry(NOW - 500, "skip", "n4", "li", "值班已通知"),
        JournalEntry(NOW - 200, "retry", "sub1/n9", "li", ""),
    ]
    return state
