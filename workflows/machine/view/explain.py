"""Why a run is where it is: a paragraph, and the nodes that hold it as a tree.

From the state alone; what only the server knows (pollers, the next attempt of an activity, its own
pause) is added by whoever can ask it.
"""

import shlex
from typing import Final, NamedTuple

from activities.contract import RunSettings
from translator.plan import (
    ROOT,
    ConditionalParallel,
    Exclusive,
    FlowPath,
    Model,
    Node,
    NodePath,
    Plan,
    Subflow,
    Task,
    join_path,
    parent_path,
    targets_of,
)
from workflows.machine.state import RunState, Token
from workflows.machine.view.blocks import display_name
from workflows.machine.view.outside import Outside, outside_of
from workflows.machine.view.signs import View, span, view_of
from workflows.machine.view.status import NodeView, StateWord, Status, node_at, status
from workflows.machine.view.width import clean

MOST_HOLDERS: Final = 50

_TOLD: Final = 3
_SHOWN_BRANCHES: Final = 5
_REASON_CHARS: Final = 120


class Holder(Model):
    """What holds a run: a node, or a subflow and what holds it inside.

    entry: which start of the node this is, as activity ids have it. phase: what a live node is at.
    queue: the task queue of its plugin, "" that of the run. since, deadline: seconds since the
    epoch, 0 for none. url, work: page and id of the work outside; for a child, of its run. release:
    in words; commands: what a person would type for it.
    """

    path: NodePath
    name: str
    look: str
    since: float = 0
    entry: int = 0
    attempt: int = 1
    phase: str = ""
    plugin: str = ""
    queue: str = ""
    deadline: float = 0
    waits_for: str = ""
    reason: str = ""
    note: str = ""
    url: str = ""
    work: str = ""
    release: str = ""
    commands: tuple[str, ...] = ()
    inside: tuple["Holder", ...] = ()


class Explanation(Model):
    """Why a run is where it is: one paragraph, and the nodes that hold it as a tree.

    `more` counts the holders that are not shown.
    """

    text: str
    state: StateWord = "Running"
    since: float = 0
    holders: tuple[Holder, ...] = ()
    more: int = 0


class _Scene(NamedTuple):
    """What holders are made from."""

    plan: Plan
    state: RunState
    view: View
    settings: RunSettings
    run_id: str


def explain(
    plan: Plan,
    state: RunState,
    now: float,
    settings: RunSettings | None = None,
    run_id: str = "RUN",
) -> Explanation:
    """Return what holds a run, since when, and what would release it."""
    found = status(plan, state, now)
    nodes = [*found.failed, *found.waiting, *found.running]
    scene = _Scene(plan, state, view_of(state, now), settings or RunSettings(), run_id)
    holders = [_holder(scene, node) for node in nodes[:MOST_HOLDERS]]
    joins = _joins(scene)
    return Explanation(
        text=_paragraph(found, nodes, _paused_by(state, now) if found.paused else "", now),
        state=found.state,
        since=found.since,
        holders=_tree(scene, [*holders, *joins[:MOST_HOLDERS]], ROOT),
        more=max(0, len(nodes) - MOST_HOLDERS),
    )


# --- holders ------------------------------------------------------------------------------------


def _holder(scene: _Scene, node: NodeView) -> Holder:
    found, live = scene.state.nodes.get(node.path), scene.state.live.get(node.path)
    place = node_at(scene.plan, node.path)
    outside = _outside(scene, node.path)
    return Holder(
        path=node.path,
        name=node.name,
        look=node.look,
        since=node.since,
        entry=found.entry if found else 0,
        attempt=node.attempt,
        phase=live.phase if live else "",
        plugin=node.plugin,
        queue=_queue(scene.settings, place),
        deadline=node.deadline,
        waits_for=node.waits_for,
        reason=clean(node.reason),
        note=node.note,
        url=outside.url,
        work=outside.id,
        release=_release(node),
        commands=_commands(scene, node, place),
    )


def _outside(scene: _Scene, path: NodePath) -> Outside:
    live = scene.state.live.get(path)
    if live is None:
        return Outside()
    found = outside_of(live.handle, live.outputs)
    return found._replace(id=clean(live.child.id)) if live.child else found


def _queue(settings: RunSettings, node: Node | None) -> str:
    traits = settings.traits_of(node.plugin) if isinstance(node, Task) else None
    return traits.queue if traits else ""


def _release(node: NodeView) -> str:
    """Return what would let the run go on past a node."""
    verbs = [verb for verb in node.verbs if verb != "force_fail"]
    if verbs:
        asked = " or ".join(verbs)
        return f"by itself, or {asked}" if node.deadline else asked
    if node.verbs:
        return "by itself, when its work ends; force_fail ends it early"
    return "by itself"


def _commands(scene: _Scene, node: NodeView, place: Node | None) -> tuple[str, ...]:
    """Return the commands for the verbs of a node; for a child, the one that explains it."""
    commands = [_command(scene, verb, node, place) for verb in node.verbs]
    live = scene.state.live.get(node.path)
    child = live.child.id if live and live.child else ""
    return (*([f"stdops explain {shlex.quote(child)}"] if child else []), *commands)


def _command(scene: _Scene, verb: str, node: NodeView, place: Node | None) -> str:
    name = f"stdops {verb.replace('_', '-')} {shlex.quote(scene.run_id)}"
    path = shlex.quote(node.path)
    match verb:
        case "resume":
            held = node.path if node.held_by is None else node.held_by
            return f"{name} {shlex.quote(held)}" if held else name
        case "choose":
            ways = _ways(place)
            return f"{name} {path} {shlex.quote(ways[0]) if ways else 'BRANCH'}"
        case "callback":
            return f"{name} {path} --data '{{}}'"
        case "set_timer":
            return f"{name} {path} --seconds 0"
        case _:
            return f"{name} {path}"


def _ways(node: Node | None) -> list[str]:
    """Return the edges that a gateway can be sent along."""
    if not isinstance(node, Exclusive | ConditionalParallel):
        return []
    default = [node.default.edge] if node.default else []
    return [*(branch.edge for branch in node.branches), *default]


# --- joins --------------------------------------------------------------------------------------


def _joins(scene: _Scene) -> list[Holder]:
    """Return the converges at which a branch has arrived and waits for others."""
    children: dict[str, list[Token]] = {}
    for token in scene.state.tokens.values():
        children.setdefault(token.parent, []).append(token)
    made = (
        _join(scene, token.node, children[token_id])
        for token_id, token in scene.state.tokens.items()
        if token.pending and token_id in children
    )
    return [holder for holder in made if holder is not None]


def _join(scene: _Scene, fork: NodePath, awaited: list[Token]) -> Holder | None:
    path = awaited[0].destination
    since = _first_arrival(scene, fork, path)
    node = node_at(scene.plan, path)
    if not since or node is None:
        return None
    named = [_called(scene.plan, token.node) for token in awaited]
    more = len(named) - _SHOWN_BRANCHES
    shown = ", ".join(named[:_SHOWN_BRANCHES]) + (f" and {more} more" if more > 0 else "")
    word = "another branch" if len(named) == 1 else f"{len(named)} other branches"
    return Holder(
        path=path,
        name=display_name(node),
        look="waiting",
        since=since,
        phase="joining",
        waits_for=f"{word}, at {shown}",
        release="by itself, when they arrive",
    )


def _first_arrival(scene: _Scene, fork: NodePath, join: NodePath) -> float:
    """Return since when a branch of this opening of the fork stands at its converge, 0 for none."""
    at = parent_path(join)
    flow = node_at(scene.plan, at) if at else scene.plan
    opened = scene.state.nodes.get(fork)
    if opened is None or not isinstance(flow, Plan | Subflow):
        return 0
    last = join.removeprefix(f"{at}/") if at else join
    sources = [join_path(at, key) for key, n in flow.flow.nodes.items() if last in targets_of(n)]
    states = [scene.state.nodes[path] for path in sources if path in scene.state.nodes]
    ended = ("finished", "skipped")
    times = [n.since for n in states if n.status in ended and n.since >= opened.since]
    return min(times, default=0)


def _called(plan: Plan, path: NodePath) -> str:
    node = node_at(plan, path)
    return f"{clean(display_name(node))!r} ({path})" if node else path


# --- the tree -----------------------------------------------------------------------------------


def _tree(scene: _Scene, holders: list[Holder], at: FlowPath) -> tuple[Holder, ...]:
    """Sort holders into the subflows that they stand in."""
    grouped: dict[NodePath, list[Holder]] = {}
    for holder in holders:
        grouped.setdefault(_step_below(at, holder.path), []).append(holder)
    return tuple(_branch(scene, path, found) for path, found in grouped.items())


def _branch(scene: _Scene, path: NodePath, holders: list[Holder]) -> Holder:
    own = [holder for holder in holders if holder.path == path]
    inside = _tree(scene, [holder for holder in holders if holder.path != path], path)
    if own:
        return own[0].model_copy(update={"inside": inside})
    node, found = node_at(scene.plan, path), scene.view.node(path)
    return Holder(
        path=path,
        name=display_name(node) if node else path,
        look=scene.view.look(path),
        since=found.since if found else 0,
        inside=inside,
    )


def _step_below(at: FlowPath, path: NodePath) -> NodePath:
    """Return the node of the flow `at` that is `path` or holds it; steps are escaped already."""
    rest = path.removeprefix(f"{at}/") if at else path
    step = rest.split("/")[0]
    return f"{at}/{step}" if at else step


# --- the paragraph ------------------------------------------------------------------------------


def _paragraph(found: Status, nodes: list[NodeView], paused: str, now: float) -> str:
    """Say in a few sentences where the run stands."""
    age = f" for {span(now - found.since)}" if found.since else ""
    done = sum(found.counts.get(look, 0) for look in ("done", "skipped"))
    progress = f"{done} of {sum(found.counts.values())} tasks are done."
    if found.state in ("Finished", "Revoked"):
        return f"The run is {found.state.lower()}{age}; {progress}"
    first = [f"{clean(node.name)!r} ({node.path}) {_says(node, now)}." for node in nodes[:_TOLD]]
    more = [f"{len(nodes) - _TOLD} more hold it as well."] if len(nodes) > _TOLD else []
    head = f"The run is {found.state.lower()}{age}; {progress}"
    return " ".join(part for part in (head, paused, *first, *more) if part)


def _paused_by(state: RunState, now: float) -> str:
    """Say who has paused the run, as far as the journal still knows."""
    for entry in reversed(state.journal):
        if (entry.verb, entry.node, entry.refusal) == ("pause", ROOT, ""):
            who = clean(entry.who) or "somebody"
            reason = f" ({clean(entry.reason)[:_REASON_CHARS]})" if entry.reason else ""
            return f"It was paused by {who} {span(now - entry.at)} ago{reason}; released by resume."
    return "It is paused; released by resume."


def _says(node: NodeView, now: float) -> str:
    age = f" for {span(now - node.since)}" if node.since else ""
    reason = f" ({clean(node.reason)[:_REASON_CHARS]})" if node.reason else ""
    note = f" [{node.note}]" if node.note else ""
    waits = f", waits for {node.waits_for}" if node.waits_for else ""
    return f"is {node.look}{note}{age}{reason}{waits}; released {_how(node)}"


def _how(node: NodeView) -> str:
    release = _release(node)
    return release if release.startswith("by itself") else f"by {release}"
