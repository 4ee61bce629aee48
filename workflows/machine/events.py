"""What happens to a run (events) and what is to be done about it (commands).

Both live in the Machine only; nothing here crosses the wire by itself. Every event and command that
concerns an execution of a node names (path, entry): an event of an earlier entry is stale.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, TypeAlias

from pydantic import JsonValue

from activities.contract import Outcome, PluginTraits, Unresolved
from translator.plan import FlowPath, NodePath, PluginRef, Variable, VariableKey

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

    `asked` is the step where it is known: an answer that comes too late is told apart by it, and
    what was started is stopped with its inputs.
    """

    path: NodePath
    entry: int
    outcome: Outcome
    asked: "RunTask | None" = None


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
    are values that are typed already.
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


Event: TypeAlias = TaskEnded | Evaluated | TimerFired | Verb


# --- commands ---------------------------------------------------------------------------------


class RunTask(NamedTuple):
    """Carry out one step of a plugin."""

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


class CancelNode(NamedTuple):
    """Stop whatever still runs for this execution of the node: activity, poll, timers."""

    path: NodePath
    entry: int


class Finish(NamedTuple):
    """The run is over."""

    state: Literal["finished", "revoked", "failed"]
    outputs: Mapping[VariableKey, JsonValue]
    error: str = ""


Command: TypeAlias = RunTask | Evaluate | SetTimer | CancelNode | Finish


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
