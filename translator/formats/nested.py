"""Where a tree holds or calls other trees: subflows, and tasks that start a run of their own."""

from collections.abc import Iterator
from typing import Final, NamedTuple

from pydantic import JsonValue

from translator.formats.document import Json
from translator.formats.fields import pointer

SUBFLOW_TYPES: Final = ("SubProcess", "SubCanvas")
CHILD_PLUGIN: Final = "subprocess_plugin"
CHILD_INPUT: Final = "subprocess"


class Call(NamedTuple):
    """A node with a tree inside: `holder`, at the pointer `at`, has it as `pipeline` or names it.

    A subflow's node is its own holder; an independent child's is an input of its task.
    """

    node_id: str
    node: Json
    holder: Json
    at: str

    @property
    def is_child(self) -> bool:
        """Whether the tree is to be a run of its own."""
        return self.holder is not self.node

    @property
    def place(self) -> str:
        """The pointer of the tree inside."""
        return f"{self.at}/pipeline"


def calls(tree: Json, at: str) -> Iterator[Call]:
    """Yield the nodes of the tree at the pointer `at` that hold or call another one."""
    activities = tree.get("activities")
    for node_id, node in activities.items() if isinstance(activities, dict) else ():
        if isinstance(node, dict) and (found := call_of(node_id, node, at)):
            yield found


def call_of(node_id: str, node: Json, at: str) -> Call | None:
    """Return the call that a node of the tree at `at` makes, None for any other node."""
    place = pointer(f"{at}/activities", node_id)
    if node.get("type") in SUBFLOW_TYPES:
        return Call(node_id, node, node, place)
    holder: JsonValue = node
    steps = _way_to_holder(node)
    for step in steps:
        holder = holder.get(step) if isinstance(holder, dict) else None
    if not steps or not isinstance(holder, dict):
        return None
    return Call(node_id, node, holder, "/".join([place, *steps]))


def copied(node: JsonValue) -> JsonValue:
    """Copy a node that calls another tree down to what holds it; any other stays as it is."""
    if not isinstance(node, dict):
        return node
    if node.get("type") in SUBFLOW_TYPES:
        return dict(node)
    steps = _way_to_holder(node)
    return _copied_along(node, steps) if steps else node


def _copied_along(holder: Json, steps: tuple[str, ...]) -> Json:
    made = dict(holder)
    inner = made.get(steps[0]) if steps else None
    if isinstance(inner, dict):
        made[steps[0]] = _copied_along(inner, steps[1:])
    return made


def _way_to_holder(node: Json) -> tuple[str, ...]:
    """Return the steps to what holds a child's tree, none where the node calls another plugin.

    Engine trees have other names for the same.
    """
    component = node.get("component")
    if not isinstance(component, dict) or component.get("code") != CHILD_PLUGIN:
        return ()
    return ("component", "data" if "data" in component else "inputs", CHILD_INPUT, "value")
