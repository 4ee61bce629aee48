"""Builds minimal Plans for tests from chains of node names.

`plan("a fork1", "fork1 b join1", "fork1 c join1", "join1 d")`: each string is a chain of edges;
the first begins at `start`, the last ends at `end`. How a name begins says what the node is: `fork`
a parallel gateway, `some` a conditional one, `xor` an exclusive one, `join` a converge (`join1` is
that of `fork1` or `some1`), `sub` a subflow; anything else is a task, whose plugin is the one of
`PLUGINS` that its name begins with, else `echo`. An edge is `<source>-<target>`.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any, Final

from pydantic import JsonValue

from activities.contract import PluginTraits, RunSettings
from translator.plan import (
    Branch,
    ConditionalParallel,
    Converge,
    End,
    Exclusive,
    Flow,
    Node,
    NodeId,
    Parallel,
    Plan,
    PluginRef,
    Start,
    Subflow,
    Task,
    Value,
    Variable,
    Write,
)
from translator.values import classify, parse_condition

PLUGINS: Final[Mapping[str, Mapping[str, Any]]] = {
    "echo": {},
    "quick": {"quick": True},
    "multi": {"multiple_callbacks": True},
    "show": {"inline": "display"},
    "pause": {"inline": "pause"},
    "timer": {"inline": "timer", "inline_input": "for"},
}


def settings(**options: Any) -> RunSettings:
    """Settings that know the plugins of `PLUGINS`, in UTC."""
    traits = {
        f"{code}/legacy": PluginTraits.model_validate({"plugin": {"code": code}, **extra})
        for code, extra in PLUGINS.items()
    }
    return RunSettings.model_validate({"traits": traits, "timezone": "UTC", **options})


def writes(mapped: Mapping[str, str]) -> tuple[Write, ...]:
    """Outputs by name, to the variables that they go to."""
    return tuple(Write(output=output, variable=key) for output, key in mapped.items())


def values(raw: Mapping[str, JsonValue], declared: Iterable[str] = "vwxyz") -> dict[str, Value]:
    """Classify values as the compiler does."""
    return {key: classify(value, tuple(declared)) for key, value in raw.items()}


def plugin_of(name: str) -> str:
    """The plugin that a task's name asks for."""
    return next((code for code in PLUGINS if name.startswith(code)), "echo")


def task(
    name: str,
    inputs: Mapping[str, JsonValue] | None = None,
    *,
    to: Mapping[str, str] | None = None,
    **options: Any,
) -> Task:
    """A task; `to` maps outputs to variables. Its way on is filled in by `flow`."""
    code = str(options.pop("plugin", plugin_of(name)))
    given: dict[str, JsonValue] = {"for": 60} if inputs is None and code == "timer" else {}
    return Task(
        id=name,
        name=name.upper(),
        next="",
        plugin=PluginRef(code=code),
        inputs=values(inputs or given),
        writes=writes(to or {}),
        **options,
    )


def subflow(
    name: str,
    inner: Flow,
    params: Mapping[str, JsonValue] | None = None,
    *,
    to: Mapping[str, str] | None = None,
    **options: Any,
) -> Subflow:
    """A subflow; its way on is filled in by `flow`."""
    return Subflow(
        id=name,
        name=name.upper(),
        next="",
        flow=inner,
        params=values(params or {}),
        writes=writes({f"${{{key}}}": target for key, target in (to or {}).items()}),
        **options,
    )


def variable(key: str, raw: JsonValue = "", **options: Any) -> Variable:
    """A variable: plain, or a splice where its value refers to another one."""
    value = classify(raw, tuple("vwxyz"))
    kind = "plain" if value.kind == "literal" else "splice"
    return Variable.model_validate({"key": key, "kind": kind, "value": value, **options})


def flow(
    *chains: str,
    nodes: Iterable[Task | Subflow] = (),
    conditions: Mapping[str, str] | None = None,
    variables: Iterable[Variable] = (),
    outputs: Sequence[str] = (),
) -> Flow:
    """Build a flow from `chains`; `nodes` are those that need more than a name.

    `conditions` by edge; a gateway's edge without one is its default.
    """
    given = {node.id: node for node in nodes}
    ways = _ways(chains)
    built = {
        name: _node(name, targets, given.get(name), conditions or {})
        for name, targets in ways.items()
    }
    return Flow(
        start="start",
        nodes=built,
        variables={each.key: each for each in variables},
        outputs=tuple(outputs),
    )


def plan(*chains: str, **parts: Any) -> Plan:
    """Build a plan whose root flow is `flow(*chains, **parts)`."""
    return Plan(template_key="t", name="T", flow=flow(*chains, **parts))


def _ways(chains: Sequence[str]) -> dict[str, list[str]]:
    """The targets of each name, in order; `start` and `end` where the chains lack them."""
    lines = [chain.split() for chain in chains]
    if lines[0][0] != "start":
        lines[0] = ["start", *lines[0]]
    if not any("end" in line for line in lines):
        lines[-1] = [*lines[-1], "end"]
    ways: dict[str, list[str]] = {name: [] for line in lines for name in line}
    for line in lines:
        for source, target in pairwise(line):
            ways[source].append(target)
    return ways


def _node(
    name: str,
    targets: Sequence[NodeId],
    given: Task | Subflow | None,
    conditions: Mapping[str, str],
) -> Node:
    if given is None and name.startswith(("fork", "some", "xor")):
        return _gateway(name, targets, conditions)
    if name == "end":
        return End(id=name, name=name)
    return (given or _plain(name)).model_copy(update={"next": targets[0]})


def _plain(name: str) -> Start | Converge | Subflow | Task:
    """A node that needs no more than its name, without its way on."""
    if name == "start":
        return Start(id=name, name=name, next="")
    if name.startswith("join"):
        return Converge(id=name, name=name, next="")
    return subflow(name, flow("n")) if name.startswith("sub") else task(name)


def _gateway(name: str, targets: Sequence[NodeId], conditions: Mapping[str, str]) -> Node:
    branches = [Branch(edge=f"{name}-{target}", target=target) for target in targets]
    converge = name.replace("fork", "join").replace("some", "join")
    if name.startswith("fork"):
        return Parallel(id=name, name=name, branches=tuple(branches), converge=converge)
    tested = tuple(
        each.model_copy(update={"condition": parse_condition(conditions[each.edge], "vwxyz")})
        for each in branches
        if each.edge in conditions
    )
    default = next((each for each in branches if each.edge not in conditions), None)
    if name.startswith("xor"):
        return Exclusive(id=name, name=name, branches=tested, default=default)
    return ConditionalParallel(
        id=name, name=name, branches=tested, default=default, converge=converge
    )
