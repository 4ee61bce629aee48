"""Runs of its own that a run starts: begun, told verbs, and addressed from the parent."""

import datetime as dt
import zoneinfo
from dataclasses import replace
from typing import Final, NamedTuple

from pydantic import JsonValue

from translator.plan import ROOT, FlowPath, NodePath, Task
from workflows.machine.core import Core
from workflows.machine.events import StartChild, TellChild, Verb, VerbName
from workflows.machine.state import ChildRun

WHOLE: Final[tuple[VerbName, ...]] = ("pause", "resume", "set_variables")
"""Verbs on the node of a child that are meant for the child as a whole."""

STAMP: Final = "%Y%m%d%H%M%S"


class Way(NamedTuple):
    """How a verb reaches a child: by the node that started it, as the child knows it."""

    holder: NodePath
    verb: Verb


def begin(core: Core, path: NodePath, task: Task) -> None:
    """Ask for the run of its own of a task whose inputs are there.

    Source: bk-sops subprocess_plugin; differs: the child does not render again what was rendered.
    """
    if task.child is None:
        return
    live = core.set_phase(path, "child")
    live.child = ChildRun(since=core.now)
    core.state.polling += 1
    title = f"{task.child.name or task.name}_{stamp(core)}"
    values = {key: v for key, v in live.rendered.items() if key in task.child.flow.variables}
    live.outputs = {"task_name": title}
    core.record(path, values, {**live.outputs, "_result": True, **core.counters(path)})
    entry = core.state.nodes[path].entry
    name = task.name or path
    core.commands.append(StartChild(path, entry, name, title, values, task.executor))
    if is_paused(core, path):
        tell(core, path, Verb("pause", operator="parent", reason="the parent is paused"))


def stamp(core: Core) -> str:
    """Return the time of day as it stands in the name of a child."""
    zone = zoneinfo.ZoneInfo(core.settings.timezone)
    return dt.datetime.fromtimestamp(core.now, zone).strftime(STAMP)


def is_paused(core: Core, path: NodePath) -> bool:
    """Say whether a flow around a node is paused."""
    return any(not flow or path.startswith(f"{flow}/") for flow in core.paused)


def tell(core: Core, path: NodePath, verb: Verb) -> None:
    """Give a verb to the child of a node."""
    core.commands.append(TellChild(path, core.state.nodes[path].entry, verb))


def tell_all(core: Core, verb: Verb) -> None:
    """Give the verb that a flow was given to every child that is open in it."""
    passed_on = replace(verb, node=ROOT, request_id="")
    for path in below(core, verb.node):
        tell(core, path, passed_on)


def below(core: Core, at: FlowPath) -> list[NodePath]:
    """Return `at` and the nodes in it, at any depth, as far as a child of theirs is open."""
    inside = f"{at}/" if at else ""
    found = [path for path, live in core.state.live.items() if live.child is not None]
    return [path for path in found if path == at or path.startswith(inside)]


def way_of(core: Core, verb: Verb) -> Way | None:
    """Return how a verb reaches the child that it is meant for, None where it is for this run."""
    inner = core.program.inner.get(verb.node)
    if inner is not None:
        within = verb.node.removeprefix(f"{inner.holder}/")
        return Way(inner.holder, replace(verb, node=within))
    if verb.name in WHOLE and holds_child(core, verb.node):
        return Way(verb.node, replace(verb, node=ROOT))
    return None


def holds_child(core: Core, path: NodePath) -> bool:
    """Say whether a node of this run starts a run of its own."""
    place = core.program.places.get(path)
    return place is not None and isinstance(place.node, Task) and place.node.child is not None


def child_at(core: Core, path: NodePath) -> ChildRun | None:
    """Return the child of a node that is open."""
    live = core.state.live.get(path)
    return live.child if live is not None else None


def known_outputs(task: Task, outputs: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """Return those outputs of a child that its node exports, by the names it exports them by."""
    names = [write.output for write in task.writes]
    keys = {name: name.removeprefix("${").removesuffix("}") for name in names}
    return {name: outputs[key] for name, key in keys.items() if key in outputs}
