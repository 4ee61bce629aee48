"""Tokens on the move: before a node, into a fork, out at its converge.

A token stands before the node that it will enter next. `drive` moves every token that can move
until each sleeps at a node, is held by a pause, or has arrived; it does not recurse, so a chain of
ten thousand nodes without activities costs no stack.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from translator.plan import ROOT, NodeId, NodePath, Subflow, Task, join_path, parent_path
from workflows.machine import journal
from workflows.machine.core import ENDED, Core
from workflows.machine.events import Entered, Finish
from workflows.machine.state import JournalEntry, Live, NodeState, Token

Enter = Callable[[Core, NodePath], None]


class Pass(NamedTuple):
    """Which execution of a node it is, as `NodeState` counts them."""

    entry: int
    loop: int
    inner_loop: int


def drive(core: Core, enter: Enter) -> None:
    """Move every token that is ready as far as it goes, in the order they became ready."""
    position = 0
    while position < len(core.ready) and core.fatal is None:
        token_id = core.ready[position]
        position += 1
        token = core.state.tokens.get(token_id)
        if token is None:
            continue
        if token.destination and token.node == token.destination:
            arrive(core, token_id, token)
        else:
            step(core, token_id, token, enter)
    core.ready.clear()


def arrive(core: Core, token_id: str, token: Token) -> None:
    """End a forked token at its converge; the last one sends its parent on to it."""
    del core.state.tokens[token_id]
    parent = core.state.tokens[token.parent]
    parent.pending -= 1
    if parent.pending == 0:
        parent.node = token.destination
        core.ready.append(token.parent)


def step(core: Core, token_id: str, token: Token, enter: Enter) -> None:
    """Let a token enter the node before it, unless something holds it."""
    path = token.node
    found = core.state.nodes.get(path)
    token.held_by = holder(core, path, found)
    if token.held_by is not None and has_started(core, path, found):
        token.held_by = None
    if token.held_by is not None:
        core.held.setdefault(token.held_by, []).append(token_id)
        # the stored order is the order of holding, so that a reloaded run frees them alike
        core.state.tokens[token_id] = core.state.tokens.pop(token_id)
        return
    if found is not None and found.status in ENDED and over_limit(core, path, found):
        limit = core.settings.rerun_limit
        core.state.live[path] = Live(phase="inside", token=token_id, started=core.now)
        fail(core, path, f"node execution exceed rerun limit {limit}", exported=False)
        return
    begin(core, path, found or core.node_state(path), token_id)
    enter(core, path)


def holder(core: Core, path: NodePath, found: NodeState | None) -> str | None:
    """Return what keeps a token from entering `path`: the outermost paused flow, or the node."""
    if core.paused:
        if ROOT in core.paused:
            return ROOT
        steps = parent_path(path).split("/")
        for depth in range(1, len(steps) + 1):
            flow_path = "/".join(steps[:depth])
            if flow_path in core.paused:
                return flow_path
    return path if found is not None and found.status == "suspended" else None


def has_started(core: Core, path: NodePath, found: NodeState | None) -> bool:
    """Say whether a node that is held now has started before, with the call of another."""
    if core.brought_to(path, found.entry + 1 if found else 1) is None:
        return False
    if found is not None and found.status == "suspended":
        text = "it had started with the node before it when it was held; what it did counts"
        journal.note(core.state, JournalEntry(core.now, journal.NOTICE, path, "", text))
    return True


def over_limit(core: Core, path: NodePath, found: NodeState) -> bool:
    """Say whether a node that has ended may not be entered once more.

    Source: bamboo-engine Engine.execute; subflows do not count, a node runs limit + 1 times.
    """
    return found.loop > core.settings.rerun_limit and not isinstance(core.place(path).node, Subflow)


def begin(core: Core, path: NodePath, found: NodeState, token_id: str) -> None:
    """Start an execution of a node: a new entry, and a new pass where it had ended before."""
    if found.status in ENDED:
        if not repeats_itself(core, path, found):
            found.retry = found.auto_retries = 0
        found.error_ignored = False
    found.entry, found.loop, found.inner_loop = next_pass(core, path, found)
    found.round = current_round(core, path)
    found.note = ""
    if core.state.warnings:
        core.state.warnings.pop(path, None)  # those of the execution before
    core.state.live[path] = Live(phase="inside", token=token_id, started=core.now)
    core.change(path, "running")
    if core.observer:
        core.observer(Entered(path, found.entry, token_id))


def current_round(core: Core, path: NodePath) -> int:
    """Return how often the flow around a node was entered."""
    return core.state.rounds.get(core.program.places[path].flow_path, 0)


def next_pass(core: Core, path: NodePath, found: NodeState) -> Pass:
    """Return the counters of the execution that begins when a node is entered now."""
    again = found.status in ENDED
    is_known = found.round == current_round(core, path)
    inner_loop = found.inner_loop + again if is_known else 1
    return Pass(found.entry + 1, found.loop + again, inner_loop)


def repeats_itself(core: Core, path: NodePath, found: NodeState) -> bool:
    """Say whether a node that has ended is entered again by its own loop."""
    node = core.place(path).node
    return isinstance(node, Task) and node.loop is not None and found.inner_loop < node.loop.times


def send(core: Core, token_id: str, path: NodePath) -> None:
    """Put a token before a node; `drive` moves it."""
    core.state.tokens[token_id].node = path
    core.ready.append(token_id)


def leave(core: Core, path: NodePath, target: NodeId) -> None:
    """End a node well and send its token to another node of the same flow."""
    live = core.close(path)
    core.change(path, "finished")
    if live is not None:
        send(core, live.token, join_path(core.place(path).flow_path, target))


def fork(core: Core, path: NodePath, targets: Sequence[NodeId], converge: NodeId) -> None:
    """Send one new token to each distinct target; the forking one waits for them at `converge`."""
    live = core.state.live[path]
    flow_path = core.place(path).flow_path
    distinct = list(dict.fromkeys(targets))
    parent = core.state.tokens[live.token]
    parent.pending = len(distinct)
    destination = join_path(flow_path, converge)
    for number, target in enumerate(distinct):
        child = f"{live.token}.{number}"
        core.state.tokens[child] = Token(
            node=join_path(flow_path, target), parent=live.token, destination=destination
        )
        core.ready.append(child)
    core.close(path)


def fail(core: Core, path: NodePath, error: str, *, exported: bool = True) -> None:
    """Fail a node: it waits for an operator, or ends the run where the run is told to fail fast.

    `exported` False says that the text did not come out of the node's own outputs.
    """
    live = core.set_phase(path, "inside")
    live.error = error
    core.change(path, "failed")
    core.state.failed[path] = error
    if not exported:
        core.record(path, None, {"ex_data": error}, merge=True)
    if core.state.fail_fast and core.fatal is None:
        name = core.place(path).node.name or path
        core.fatal = Finish("failed", {}, f"node {name!r} ({path}) failed: {error}")
