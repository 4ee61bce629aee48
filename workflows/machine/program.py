"""The plan laid out by path, so that one look-up finds a node, its flow and its flow's path."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from pydantic import JsonValue

from translator.plan import (
    ROOT,
    ConditionalParallel,
    Exclusive,
    Flow,
    FlowPath,
    Node,
    NodePath,
    Parallel,
    Plan,
    Subflow,
    Task,
    Value,
    Write,
    flow_in,
    join_path,
    targets_of,
)
from translator.values import source

COUNTERS = ("_loop", "_inner_loop")
FORKING = (Parallel, ConditionalParallel, Exclusive)


class Inputs(NamedTuple):
    """A task's inputs, parted once: those that are rendered, and the values of those that are not.

    counted: the variables that the task's own loop counters go to, by counter.
    """

    rendered: dict[str, Value]
    raw: dict[str, JsonValue]
    counted: tuple[Write, ...] = ()


class Place(NamedTuple):
    """A node, the flow it stands in, that flow's path, the one node after it, a task's inputs."""

    node: Node
    flow: Flow
    flow_path: FlowPath
    next: NodePath
    inputs: Inputs | None = None


class Inner(NamedTuple):
    """A node of an independent child, at any depth; `holder` is the task that starts the child."""

    name: str
    holder: NodePath


@dataclass(frozen=True, slots=True)
class Program:
    """All nodes of a plan by path, all flows by path; `inner` are the nodes of its children."""

    places: dict[NodePath, Place]
    flows: dict[FlowPath, Flow]
    inner: dict[NodePath, Inner]


def lay_out(plan: Plan) -> Program:
    """Index `plan`; once a run, linear in the number of nodes."""
    places: dict[NodePath, Place] = {}
    flows: dict[FlowPath, Flow] = {}
    inner: dict[NodePath, Inner] = {}
    todo: list[tuple[FlowPath, Flow]] = [(ROOT, plan.flow)]
    while todo:
        flow_path, flow = todo.pop()
        flows[flow_path] = flow
        for node in flow.nodes.values():
            path = join_path(flow_path, node.id)
            inputs = None
            if isinstance(node, Task):
                inputs = part(node.inputs, node.raw, node.writes)
                inner.update(nodes_within(path, node) if node.child else {})
            elif isinstance(node, Subflow):
                todo.append((path, node.flow))
            ways = () if isinstance(node, FORKING) else targets_of(node)
            onward = join_path(flow_path, ways[0]) if ways else ""
            places[path] = Place(node, flow, flow_path, onward, inputs)
    return Program(places, flows, inner)


def nodes_within(holder: NodePath, task: Task) -> dict[NodePath, Inner]:
    """Return the nodes of the child that a task starts, and of the children in it."""
    found: dict[NodePath, Inner] = {}
    todo: list[tuple[NodePath, Node]] = [(holder, task)]
    while todo:
        at, outer = todo.pop()
        flow = flow_in(outer)
        for node in flow.nodes.values() if flow else ():
            path = join_path(at, node.id)
            found[path] = Inner(node.name, holder)
            todo.append((path, node))
    return found


def part(values: Mapping[str, Value], raw: Collection[str], writes: tuple[Write, ...]) -> Inputs:
    """Part a task's inputs into those that are rendered and those that are not."""
    never = dict.fromkeys(raw)
    return Inputs(
        rendered={key: value for key, value in values.items() if key not in never},
        raw={key: source(values[key]) for key in never if key in values},
        counted=tuple(write for write in writes if write.output in COUNTERS),
    )
