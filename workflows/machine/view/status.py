"""What a run does, in words: its state, what holds it, and what a person can do about it."""

from collections import Counter
from collections.abc import Mapping
from itertools import islice
from typing import Final, Literal, TypeAlias

from pydantic import Field, JsonValue

from translator.plan import (
    ROOT,
    ConditionalParallel,
    Exclusive,
    Flow,
    FlowPath,
    Model,
    Node,
    NodePath,
    Plan,
    Start,
    Subflow,
    Task,
    VariableKey,
    join_path,
)
from translator.values import without_sealed
from workflows.machine.state import RunState
from workflows.machine.view.blocks import display_name
from workflows.machine.view.signs import SIGNS, View, reason_of, view_of, waits_for
from workflows.machine.view.signs import span as span_text
from workflows.machine.view.width import clean

StateWord: TypeAlias = Literal["Running", "Waiting", "Paused", "Failed", "Finished", "Revoked"]

MASK: Final = "******"
MOST_HOLDERS: Final = 50
MOST_WARNINGS: Final = 100

_WAITS: Final = ("waiting", "sleeping", "retrying")
_OVER: Final[Mapping[str, StateWord]] = {
    "finished": "Finished",
    "skipped": "Finished",
    "revoked": "Revoked",
    "failed": "Failed",
}
_VERBS_BY_PHASE: Final[Mapping[str, tuple[str, ...]]] = {
    "waiting": ("callback", "force_fail"),
    "sleeping": ("set_timer", "force_fail"),
    "retrying": ("retry", "skip"),
}


class NodeView(Model):
    """One node that a person may have to look at; `since` is in seconds since the epoch.

    look: one of the words in `signs`. held_by: the paused flow ("" is the run) or node that keeps
    the way to it closed, None for none. deadline: when its timer fires, 0 for none.
    """

    path: NodePath
    name: str
    look: str
    plugin: str = ""
    attempt: int = 1
    loop: int = 1
    since: float = 0
    reason: str = ""
    note: str = ""
    waits_for: str = ""
    deadline: float = 0
    held_by: NodePath | None = None
    verbs: tuple[str, ...] = ()


class WarningView(Model):
    """What is told of a fragment in a node's values that stays as it is written."""

    path: NodePath
    name: str
    text: str


class Status(Model):
    """A run at one moment; `counts` are tasks by look, `since` when the run took this state.

    `warnings` are of the latest executions, the newest node first; `warnings_count` counts those
    that are not shown, too.
    """

    state: StateWord
    since: float = 0
    started: float = 0
    template: str = ""
    version: str = ""
    counts: dict[str, int] = Field(default_factory=dict)
    failed: tuple[NodeView, ...] = ()
    running: tuple[NodeView, ...] = ()
    waiting: tuple[NodeView, ...] = ()
    outputs: dict[VariableKey, JsonValue] | None = None
    warnings: tuple[WarningView, ...] = ()
    warnings_count: int = 0


class Holder(Model):
    """What holds a run: a node, or a subflow and what holds it inside."""

    path: NodePath
    name: str
    look: str
    since: float = 0
    note: str = ""
    waits_for: str = ""
    release: str = ""
    inside: tuple["Holder", ...] = ()


class Explanation(Model):
    """Why a run is where it is: one paragraph, and the nodes that hold it as a tree."""

    text: str
    holders: tuple[Holder, ...] = ()


def stdops_state(state: RunState) -> StateWord:
    """Return a run's state in the words of the search attribute `StdopsState`."""
    root = state.nodes.get(ROOT)
    if root is not None and root.status in _OVER:
        return _OVER[root.status]
    if state.failed:
        return "Failed"
    if root is not None and root.status == "suspended":
        return "Paused"
    return "Waiting" if _all_wait(state) else "Running"


def status(plan: Plan, state: RunState, now: float) -> Status:
    """Return a run's status at `now`, seconds since the epoch."""
    view = view_of(state, now)
    word = stdops_state(state)
    nodes = [_node_view(plan, path, view) for path in _holding(state)]
    failed = tuple(node for node in nodes if node.look == "failed")
    running = tuple(node for node in nodes if node.look == "running")
    waiting = tuple(node for node in nodes if node.look not in ("failed", "running"))
    return Status(
        state=word,
        since=_since(state, word, failed or waiting or running),
        started=state.started,
        template=plan.name or plan.template_key,
        version=plan.version,
        counts=_counts(plan, view),
        failed=failed,
        running=running,
        waiting=waiting,
        outputs=_outputs(plan, state) if word == "Finished" else None,
        warnings=warnings_of(plan, state),
        warnings_count=state.warnings_dropped + sum(map(len, state.warnings.values())),
    )


def warnings_of(plan: Plan, state: RunState, most: int = MOST_WARNINGS) -> tuple[WarningView, ...]:
    """Return what is told of nodes' values, the newest node first."""
    newest = ((path, text) for path, texts in reversed(state.warnings.items()) for text in texts)
    return tuple(
        WarningView(path=path, name=_name_at(plan, path), text=text)
        for path, text in islice(newest, most)
    )


def _name_at(plan: Plan, path: NodePath) -> str:
    node = node_at(plan, path)
    return display_name(node) if node else path


def explain(plan: Plan, state: RunState, now: float) -> Explanation:
    """Return what holds a run, since when, and what would release it."""
    found = status(plan, state, now)
    nodes = [*found.failed, *found.waiting, *found.running]
    holders = [_holder(node) for node in nodes[:MOST_HOLDERS]]
    return Explanation(
        text=_paragraph(found, nodes, now),
        holders=_tree(plan, holders, view_of(state, now), ROOT),
    )


def node_at(plan: Plan, path: NodePath) -> Node | None:
    """Return the node at `path`, or None where the plan has none."""
    flow: Flow | None = plan.flow
    node: Node | None = None
    for step in path.split("/"):
        node = flow.nodes.get(step.replace("~1", "/").replace("~0", "~")) if flow else None
        flow = node.flow if isinstance(node, Subflow) else None
    return node


def allowed_verbs(node: Node | None, path: NodePath, view: View) -> tuple[str, ...]:
    """Return the verbs that a person would give to a node as it stands now."""
    live, look = view.live(path), view.look(path)
    if look == "failed":
        return _verbs_when_failed(node)
    if look == "paused":
        own = view.held.get(path, path) == path and not isinstance(node, Subflow)
        return ("resume_node",) if own else ("resume",)
    if live is not None and live.phase in _VERBS_BY_PHASE:
        return _VERBS_BY_PHASE[live.phase]
    return ("force_fail",) if isinstance(node, Task) and live is not None else ()


def _verbs_when_failed(node: Node | None) -> tuple[str, ...]:
    match node:
        case Task(retryable=retryable, skippable=skippable):
            return tuple(verb for verb, may in (("retry", retryable), ("skip", skippable)) if may)
        case Start():
            return ("retry", "skip")
        case Exclusive() | ConditionalParallel():
            return ("retry", "choose")
        case _:
            return ("retry",)


def _all_wait(state: RunState) -> bool:
    """Say whether nothing moves by itself: every live node waits, or a pause holds the rest."""
    busy = [live.phase for live in state.live.values() if live.phase != "inside"]
    if busy:
        return all(phase in _WAITS for phase in busy)
    return any(token.held_by is not None for token in state.tokens.values())


def _holding(state: RunState) -> list[NodePath]:
    """Return the nodes that hold a run: failed, held before they start, or under way."""
    if stdops_state(state) in ("Finished", "Revoked"):
        return []
    held = [token.node for token in state.tokens.values() if token.held_by is not None]
    busy = [path for path, live in state.live.items() if live.phase != "inside"]
    return [*dict.fromkeys([*state.failed, *held, *busy])]


def _node_view(plan: Plan, path: NodePath, view: View) -> NodeView:
    node, found, live, look = node_at(plan, path), view.node(path), view.live(path), view.look(path)
    return NodeView(
        path=path,
        name=display_name(node) if node else path,
        look=look,
        plugin=node.plugin.code if isinstance(node, Task) else "",
        attempt=found.retry + 1 if found else 1,
        loop=found.loop if found else 1,
        since=found.since if found else 0,
        reason=reason_of(path, view),
        note=clean(found.note) if found else "",
        waits_for=_waits_for(path, view),
        deadline=live.deadline if live else 0,
        held_by=view.held.get(path),
        verbs=allowed_verbs(node, path, view),
    )


def _waits_for(path: NodePath, view: View) -> str:
    live, look = view.live(path), view.look(path)
    if look == "failed":
        return "a person"
    if look == "paused":
        holder = view.held.get(path, path)
        return f"a resume of {'the run' if holder == ROOT else repr(holder)}"
    return waits_for(live, view.now) if live else ""


def _since(state: RunState, word: StateWord, nodes: tuple[NodeView, ...]) -> float:
    """Return since when a run is in its state: of its root, or of the nodes that make it so."""
    root = state.nodes.get(ROOT)
    if root is not None and word in ("Finished", "Revoked", "Paused"):
        return root.since
    known = [node.since for node in nodes if node.since]
    if not known or word == "Running":
        return state.started
    return min(known) if word == "Failed" else max(known)


def _counts(plan: Plan, view: View) -> dict[str, int]:
    counted = Counter(view.look(path) for path in _task_paths(plan))
    return {look: counted[look] for look in SIGNS if counted[look]}


def _task_paths(plan: Plan) -> list[NodePath]:
    """Return the paths of all tasks at any depth."""
    paths: list[NodePath] = []
    stack: list[tuple[FlowPath, Flow]] = [(ROOT, plan.flow)]
    while stack:
        at, flow = stack.pop()
        for key, node in flow.nodes.items():
            if isinstance(node, Task):
                paths.append(join_path(at, key))
            elif isinstance(node, Subflow):
                stack.append((join_path(at, key), node.flow))
    return paths


def _outputs(plan: Plan, state: RunState) -> dict[VariableKey, JsonValue]:
    """Return the run's outputs, secret ones masked."""
    variables = plan.flow.variables
    return {
        key: MASK if key in variables and variables[key].secret else without_sealed(value)
        for key, value in (state.outputs or {}).items()
    }


def _holder(node: NodeView) -> Holder:
    reason = f": {clean(node.reason)}" if node.reason else ""
    return Holder(
        path=node.path,
        name=node.name,
        look=node.look,
        since=node.since,
        note=node.note,
        waits_for=f"{node.waits_for}{reason}",
        release=_release(node),
    )


def _release(node: NodeView) -> str:
    """Return what would let the run go on past a node."""
    verbs = [verb for verb in node.verbs if verb != "force_fail"]
    if verbs:
        asked = " or ".join(verbs)
        return f"by itself, or {asked}" if node.deadline else asked
    if node.verbs:
        # how a try went knows the server alone: a run is told of the last one only
        tries = "Pending Activities shows a try that failed"
        return f"by itself, when its work ends ({tries}); force_fail ends it early"
    return "by itself"


def _tree(plan: Plan, holders: list[Holder], view: View, at: FlowPath) -> tuple[Holder, ...]:
    """Sort holders into the subflows that they stand in."""
    grouped: dict[NodePath, list[Holder]] = {}
    for holder in holders:
        grouped.setdefault(_step_below(at, holder.path), []).append(holder)
    return tuple(_branch(plan, path, found, view) for path, found in grouped.items())


def _branch(plan: Plan, path: NodePath, holders: list[Holder], view: View) -> Holder:
    own = [holder for holder in holders if holder.path == path]
    inside = _tree(plan, [holder for holder in holders if holder.path != path], view, path)
    if own:
        return own[0].model_copy(update={"inside": inside})
    node, found = node_at(plan, path), view.node(path)
    return Holder(
        path=path,
        name=display_name(node) if node else path,
        look=view.look(path),
        since=found.since if found else 0,
        inside=inside,
    )


def _step_below(at: FlowPath, path: NodePath) -> NodePath:
    """Return the node of the flow `at` that is `path` or holds it."""
    rest = path.removeprefix(f"{at}/") if at else path
    return _join_step(at, rest.split("/")[0])


def _join_step(at: FlowPath, step: str) -> NodePath:
    """Join a flow's path and a step that is escaped already."""
    return f"{at}/{step}" if at else step


def _paragraph(found: Status, nodes: list[NodeView], now: float) -> str:
    """Say in a few sentences where the run stands."""
    age = f" for {span_text(now - found.since)}" if found.since else ""
    done = sum(found.counts.get(look, 0) for look in ("done", "skipped"))
    progress = f"{done} of {sum(found.counts.values())} tasks are done."
    if found.state in ("Finished", "Revoked"):
        return f"The run is {found.state.lower()}{age}; {progress}"
    first = [f"{clean(node.name)!r} ({node.path}) {_says(node, now)}." for node in nodes[:3]]
    more = [f"{len(nodes) - 3} more hold it as well."] if len(nodes) > 3 else []  # noqa: PLR2004  as many as a person reads
    return " ".join([f"The run is {found.state.lower()}{age}; {progress}", *first, *more])


def _says(node: NodeView, now: float) -> str:
    age = f" for {span_text(now - node.since)}" if node.since else ""
    reason = f" ({clean(node.reason)[:120]})" if node.reason else ""
    note = f" [{node.note}]" if node.note else ""
    waits = f", waits for {node.waits_for}" if node.waits_for else ""
    return f"is {node.look}{age}{note}{reason}{waits}; released {_how(node)}"


def _how(node: NodeView) -> str:
    release = _release(node)
    return release if release.startswith("by itself") else f"by {release}"
