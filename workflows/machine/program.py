"""The plan laid out by path, so that one look-up finds a node, its flow and its flow's path."""

from dataclasses import dataclass
from typing import NamedTuple

from translator.plan import ROOT, Flow, FlowPath, Node, NodePath, Plan, Subflow, join_path


class Place(NamedTuple):
    """A node, the flow it stands in, and that flow's path."""

    node: Node
    flow: Flow
    flow_path: FlowPath


@dataclass(frozen=True, slots=True)
class Program:
    """All nodes of a plan by path, all flows by path."""

    places: dict[NodePath, Place]
    flows: dict[FlowPath, Flow]


def lay_out(plan: Plan) -> Program:
    """Index `plan`; once a run, linear in the number of nodes."""
    places: dict[NodePath, Place] = {}
    flows: dict[FlowPath, Flow] = {}
    todo: list[tuple[FlowPath, Flow]] = [(ROOT, plan.flow)]
    while todo:
        flow_path, flow = todo.pop()
        flows[flow_path] = flow
        for node in flow.nodes.values():
            path = join_path(flow_path, node.id)
            places[path] = Place(node, flow, flow_path)
            if isinstance(node, Subflow):
                todo.append((path, node.flow))
    return Program(places, flows)
