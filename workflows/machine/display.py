"""What bk-sops shows people for the states of an engine: one tree of states turned into another.

For callers that were written against bk-sops's `get_task_status`: the engine knows that a node
runs, people want to know that it waits for them. State words are those of bk-sops.

Source: bk-sops task status, the rule with pending states and the older one without.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from pydantic import JsonValue

Json: TypeAlias = dict[str, JsonValue]

PENDING: Final = "PENDING_PROCESSING"

_PAUSED: Final = frozenset({"SUSPENDED", "NODE_SUSPENDED"})
_WAITS_FOR_A_PERSON: Final = {
    "pause_node": "PENDING_CONFIRMATION",
    "bk_approve": "PENDING_APPROVAL",
}
_PENDING_STATES: Final = frozenset({PENDING, *_WAITS_FOR_A_PERSON.values()})
_CHILD_RUN: Final = "subprocess_plugin"


@dataclass(frozen=True, slots=True)
class Facts:
    """What the states alone do not say, by node id.

    plugins: the plugin's code. child_states: the state of the independent child that a node
    started, where it has one. retrying: failed nodes that are going to be retried by themselves;
    they count only where a child is asked about on behalf of its parent (`for_parent`).
    """

    plugins: Mapping[str, str] = field(default_factory=dict[str, str])
    child_states: Mapping[str, str] = field(default_factory=dict[str, str])
    retrying: Collection[str] = ()
    for_parent: bool = False


def display_state(tree: Mapping[str, JsonValue], facts: Facts = Facts()) -> Json:
    """Return `tree` (`{id, state, children: {id: tree}}`) with the states that people see.

    A node whose state comes from a suspension or from an independent child keeps the original
    under `subprocess_state`. Depth is that of the nested flows, at most a few dozen.
    """
    return _parent_shown({**tree}, facts)


def display_state_legacy(tree: Mapping[str, JsonValue]) -> Json:
    """Return `tree` by the older rule: no pending states, a paused node shows in its parents."""
    children = _children(tree, display_state_legacy)
    states = {str(child["state"]) for child in children.values()}
    shown = tree["state"]
    if shown == "RUNNING":
        paused = "NODE_SUSPENDED" if states & _PAUSED else shown
        shown = "FAILED" if "FAILED" in states else paused
    return {**tree, "state": shown, "children": {**children}}


def _parent_shown(node: Json, facts: Facts) -> Json:
    """Let a node that holds others show the worst of theirs."""
    children = _children(node, lambda child: _parent_shown(_child_shown(child, facts), facts))
    states = {str(child["state"]) for child in children.values()}
    shown = node["state"]
    if shown in {"RUNNING", "SUSPENDED"} and "FAILED" in states:
        shown = "FAILED"
    elif shown == "RUNNING" and states & _PENDING_STATES:
        shown = PENDING
    return {**node, "state": shown, "children": {**children}}


def _child_shown(node: Mapping[str, JsonValue], facts: Facts) -> Json:
    """Return a node within a flow with the state that it shows by itself."""
    node_id, state = str(node.get("id")), node["state"]
    plugin = facts.plugins.get(node_id, "")
    if state == "SUSPENDED":
        return {**node, "state": PENDING, "subprocess_state": state}
    if state == "NODE_SUSPENDED":
        return {**node, "state": PENDING}
    if state == "FAILED" and facts.for_parent and node_id in facts.retrying:
        return {**node, "state": "RUNNING"}
    if state == "RUNNING" and plugin == _CHILD_RUN and node_id in facts.child_states:
        below = facts.child_states[node_id]
        return {**node, "state": PENDING if below in _PAUSED else below, "subprocess_state": below}
    if state == "RUNNING" and plugin in _WAITS_FOR_A_PERSON:
        return {**node, "state": _WAITS_FOR_A_PERSON[plugin]}
    return {**node}


def _children(
    node: Mapping[str, JsonValue], show: Callable[[Mapping[str, JsonValue]], Json]
) -> dict[str, Json]:
    given = node.get("children")
    nodes = given if isinstance(given, dict) else {}
    return {key: show(child) for key, child in nodes.items() if isinstance(child, dict)}
