"""What happens to a run (events) and what is to be done about it (commands).

Both live in the Machine only; nothing here crosses the wire by itself. Every event and command that
concerns an execution of a node names (path, entry): an event of an earlier entry is stale.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, TypeAlias

from pydantic import JsonValue

from activities.contract import Outcome, PluginTraits, Unresolved
from translator.plan import FlowPath, NodePath, PluginRef, Variable, VariableKey, Write

Step: TypeAlias = Literal["call", "poll", "callback", "stop"]
TimerKind: TypeAlias = Literal["timeout", "retry", "wait"]
VerbName: TypeAlias = Literal[
    "pause",
    "resume",
    "revoke",
    "skip",
    "retry",
    "choose",
    "force_fail",
    "callback",
    "pause_node",
    "resume_node",
    "set_timer",
    "set_variables",
    "rerun_from",
]


# --- events -----------------------------------------------------------------------------------


class TaskEnded(NamedTuple):
    """A step of a plugin came back with an outcome (which may be: it goes on outside).

    asked: the step itself, where it is known: what it began after it was cancelled is stopped.
    then: the outcomes of those that travelled with it, as far as they were started, in order.
    """

    path: NodePath
    entry: int
    outcome: Outcome
    asked: "RunTask | None" = None
    then: Sequence[Outcome] = ()


class Unstarted(NamedTuple):
    """A call that was cut short came back before anybody had begun it."""

    path: NodePath
    entry: int


class Evaluated(NamedTuple):
    """Values asked for by `Evaluate` came back; `error` not empty says why they did not.

    `warnings` tell of fragments in them that stay as they are written.
    """

    path: NodePath
    entry: int
    values: Mapping[str, JsonValue]
    error: str = ""
    warnings: tuple[str, ...] = ()


class TimerFired(NamedTuple):
    """A timer of a node has ended."""

    path: NodePath
    entry: int
    kind: TimerKind


@dataclass(frozen=True, slots=True)
class Verb:
    """What a person (or an outside system, for `callback`) asks for; fields as in the wire form.

    `node` is a full path. `inputs` None keeps the inputs, `set_inputs` merges into them. `token` of
    a callback is the entry it belongs to; None means the present one. `this_pass` keeps a retry or
    skip to one pass of a node's own loop; None does so where the template allows it. `variables`
    are values that are typed already. `operator` is who asks by his own word, `client` as whom the
    client is known to the server; `alias` is the name that was used, where it was not the verb's.
    """

    name: VerbName
    node: NodePath = ""
    operator: str = ""
    reason: str = ""
    request_id: str = ""
    inputs: Mapping[str, JsonValue] | None = None
    set_inputs: Mapping[str, JsonValue] | None = None
    this_pass: bool | None = False
    branches: tuple[str, ...] = ()
    data: JsonValue = None
    token: int | None = None
    values: Mapping[VariableKey, JsonValue] = field(default_factory=dict[str, JsonValue])
    variables: Mapping[VariableKey, Variable] = field(default_factory=dict[str, Variable])
    client: str = ""
    alias: str = ""

    @property
    def who(self) -> str:
        """Who asks, as far as anything is known of him."""
        return self.operator or self.client


class ChildStarted(NamedTuple):
    """The run of its own that a node asked for has begun; `url` is its page."""

    path: NodePath
    entry: int
    id: str
    url: str = ""


class ChildChanged(NamedTuple):
    """The run that a node has started took another state; `error` says which node of it failed."""

    path: NodePath
    entry: int
    state: Literal["Running", "Waiting", "Paused", "Failed"]
    error: str = ""


class ChildEnded(NamedTuple):
    """The run that a node has started is over; `error` says how, where it did not finish."""

    path: NodePath
    entry: int
    outputs: Mapping[VariableKey, JsonValue]
    error: str = ""


Report: TypeAlias = ChildStarted | ChildChanged | ChildEnded
"""What is heard of a child."""

Event: TypeAlias = TaskEnded | Unstarted | Evaluated | TimerFired | Report | Verb


# --- commands ---------------------------------------------------------------------------------


class RunTask(NamedTuple):
    """Carry out one step of a plugin.

    then: calls that travel with this one; who does not know of them asks for each in its turn.
    writes: the outputs of this one that those take, and to which variable.
    """

    path: NodePath
    entry: int
    name: str
    plugin: PluginRef
    traits: PluginTraits
    step: Step
    inputs: Mapping[str, JsonValue]
    unresolved: Unresolved
    raw: tuple[str, ...]
    loop: int
    inner_loop: int
    executor: str
    handle: JsonValue = None
    outputs: Mapping[str, JsonValue] = {}
    data: JsonValue = None
    after_s: float = 0
    writes: tuple[Write, ...] = ()
    then: "tuple[Ahead, ...]" = ()


class Ahead(NamedTuple):
    """The call of a node that comes next, as it will be when the nodes before it have ended well.

    takes: the variables among those of its values that a node before it may write.
    """

    step: RunTask
    takes: tuple[VariableKey, ...] = ()


class CutShort(NamedTuple):
    """Let nothing start any more that travels with the call of a node, nor the call itself."""

    path: NodePath
    entry: int


class Evaluate(NamedTuple):
    """Resolve values that need the sandbox or a lazy variable; `noun` is what one is called."""

    path: NodePath
    entry: int
    name: str
    unresolved: Unresolved
    noun: str = "input"


class SetTimer(NamedTuple):
    """Fire `TimerFired(path, entry, kind)` at `at` (seconds since the epoch)."""

    path: NodePath
    entry: int
    kind: TimerKind
    at: float
    name: str


class StartChild(NamedTuple):
    """Start the flow that a task holds as a run of its own, with `values` of its variables.

    name: the node's; title: the child's own.
    """

    path: NodePath
    entry: int
    name: str
    title: str
    values: Mapping[VariableKey, JsonValue]
    executor: str


class WatchChild(NamedTuple):
    """Say when a child that is open ends, whatever becomes of it."""

    path: NodePath
    entry: int


class TellChild(NamedTuple):
    """Give a verb to a child; its node is as the child knows it."""

    path: NodePath
    entry: int
    verb: Verb


class LeaveChild(NamedTuple):
    """Revoke a child and hear no more of it."""

    path: NodePath
    entry: int
    verb: Verb


class CancelNode(NamedTuple):
    """Stop whatever still runs for this execution of the node: activity, poll, timers.

    A child goes on.
    """

    path: NodePath
    entry: int


class Finish(NamedTuple):
    """The run is over."""

    state: Literal["finished", "revoked", "failed"]
    outputs: Mapping[VariableKey, JsonValue]
    error: str = ""


ForChild: TypeAlias = StartChild | WatchChild | TellChild | LeaveChild
"""What is to be done about a child."""

Command: TypeAlias = RunTask | Evaluate | SetTimer | ForChild | CancelNode | CutShort | Finish


# --- what an observer is told (simulation, conformance) ---------------------------------------


class Entered(NamedTuple):
    """A node was entered (turned running) by the token named."""

    path: NodePath
    entry: int
    token: str


class Changed(NamedTuple):
    """A node, or the flow at a path, took another status."""

    path: NodePath | FlowPath
    status: str


class Recorded(NamedTuple):
    """A node's inputs or outputs now (None: as before; `merge`: besides those before)."""

    path: NodePath | FlowPath
    inputs: Mapping[str, JsonValue] | None
    outputs: Mapping[str, JsonValue] | None
    merge: bool = False


Trace: TypeAlias = Entered | Changed | Recorded
