"""RunState: everything a run needs to go on, as plain values that survive JSON.

Changed only by the Machine that owns it. A finished node costs a few dozen bytes: its inputs and
outputs live in the history, the variables that it wrote in `written`.
"""

from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from pydantic import JsonValue, TypeAdapter

from translator.plan import FlowPath, NodePath, Value, Variable, VariableKey

Status: TypeAlias = Literal[
    "ready", "running", "suspended", "finished", "skipped", "failed", "revoked"
]
Phase: TypeAlias = Literal[
    "evaluating",
    "queued",
    "calling",
    "polling",
    "waiting",
    "sleeping",
    "retrying",
    "inside",
    "child",
]

Origin: TypeAlias = Literal["given", "pre_rendered", "output", "parameter", "operator"]
"""Where a value that was written comes from: given at the start, rendered once by the start event,
an output of a node, a parameter of a subflow, a person."""


@dataclass(slots=True)
class NodeState:
    """Where a node stands.

    entry: counts every start, never reset. loop: passes of a loop, from 1; inner_loop: the same
    since the enclosing subflow was entered, valid while `round` is that subflow's round. retry:
    retries of this pass, of which `auto_retries` were automatic. since: seconds since the epoch of
    the last change. note: what the plugin last said of itself for people, one short line. took:
    whole seconds of the execution that ended last.
    """

    status: Status = "ready"
    entry: int = 0
    loop: int = 1
    inner_loop: int = 1
    retry: int = 0
    round: int = 0
    auto_retries: int = 0
    error_ignored: bool = False
    since: float = 0
    note: str = ""
    took: int = 0


def _no_values() -> dict[str, JsonValue]:
    """Return an empty object; made once a node, where calling `dict[...]` costs five times more."""
    return {}


def _no_data() -> list[JsonValue]:
    """Return an empty list, as cheaply."""
    return []


@dataclass(slots=True)
class ChildRun:
    """The run of its own that a node has started, while it is open.

    id: its workflow id, "" until it has begun. state: in the words of `StdopsState`, since when in
    seconds since the epoch.
    """

    id: str = ""
    state: str = "Running"
    since: float = 0


@dataclass(slots=True)
class Live:
    """What is known of a node between its start and its end; kept while it is failed.

    phase: `inside` is a subflow whose flow is under way, `child` a run of its own. token: the
    branch that stands here. deadline: when the timer of this phase fires, timeout_at: when the
    node's time limit ends, both seconds since the epoch, 0 for none. rendered: the inputs as handed
    to the plugin. early: callbacks that came before the node could take them. answering: a callback
    is being worked on. ahead: how many nodes after this one travel with its call.
    child: the run of its own, which may be open while the node is failed.
    """

    phase: Phase = "calling"
    started: float = 0
    token: str = ""
    handle: JsonValue = None
    after_s: float = 0
    deadline: float = 0
    timeout_at: float = 0
    error: str = ""
    rendered: dict[str, JsonValue] = field(default_factory=_no_values)
    outputs: dict[str, JsonValue] = field(default_factory=_no_values)
    answering: bool = False
    ahead: int = 0
    early: list[JsonValue] = field(default_factory=_no_data)
    child: ChildRun | None = None


@dataclass(slots=True)
class Token:
    """A branch under way. `node` is where it stands or what it will enter next.

    parent: the token that forked it, "" for the first. pending: forked children not yet arrived.
    held_by: the suspended flow or node that keeps it from entering `node`; None when free.
    """

    node: NodePath
    parent: str = ""
    destination: NodePath = ""
    pending: int = 0
    held_by: str | None = None


@dataclass(slots=True)
class JournalEntry:
    """One verb: who, when, what, on which node, accepted or refused and why.

    operator: who asked by his own word; client: as whom the client is known to the server. alias:
    the name that was used, where it is another system's name for the verb. changed: the names of
    the inputs or variables that were given, never values; the branches chosen; a timer's new end.
    """

    at: float
    verb: str
    node: NodePath
    operator: str
    reason: str
    refusal: str = ""
    request_id: str = ""
    client: str = ""
    alias: str = ""
    changed: tuple[str, ...] = ()

    @property
    def who(self) -> str:
        """Who asked, as far as anything is known of him."""
        return self.operator or self.client


class Writer(NamedTuple):
    """Who gave a variable its value: a node by its path, or a person; `at` in epoch seconds."""

    origin: Origin
    by: str
    at: float


@dataclass(slots=True)
class RunState:
    """The state of one run.

    nodes: by path; the path "" is the root flow, and a subflow's node stands for its flow too.
    written: plain values by flow and key, over the plan's own. retyped: variables that an operator
    or a shared context replaced. writers: who wrote either last. inherited: plain variables that
    every subflow sees. rounds: how often a subflow's flow was entered. overrides: inputs that a
    retry replaced, for good, of which raw_overrides are not rendered. context: what the engine
    calls parent data. failed: error by path of the nodes that wait for an operator, in the order
    they failed. queued: tasks that wait for one of the slots counted by `executing`; `polling`
    counts the polls asleep and the children that are open. fail_fast: the first failure ends the
    run. strict: a fragment that cannot be evaluated fails its node; else `warnings` tell of it, by
    the path of the node, of its latest execution, the newest last; of `warnings_dropped` more there
    is only the count.
    journal: the latest entries of `journal_count`, with texts of `journal_chars` together;
    journal_accepted, journal_refused: how many by verb, of all; journal_requests: what the latest
    request ids that were accepted had asked for.
    """

    version: Literal[1] = 1
    started: float = 0
    fail_fast: bool = False
    strict: bool = False
    context: dict[str, JsonValue] = field(default_factory=dict[str, JsonValue])
    inherited: dict[VariableKey, JsonValue] = field(default_factory=dict[VariableKey, JsonValue])
    rounds: dict[FlowPath, int] = field(default_factory=dict[FlowPath, int])
    nodes: dict[NodePath, NodeState] = field(default_factory=dict[NodePath, NodeState])
    live: dict[NodePath, Live] = field(default_factory=dict[NodePath, Live])
    failed: dict[NodePath, str] = field(default_factory=dict[NodePath, str])
    tokens: dict[str, Token] = field(default_factory=dict[str, Token])
    written: dict[FlowPath, dict[VariableKey, JsonValue]] = field(
        default_factory=dict[FlowPath, dict[VariableKey, JsonValue]]
    )
    retyped: dict[FlowPath, dict[VariableKey, Variable]] = field(
        default_factory=dict[FlowPath, dict[VariableKey, Variable]]
    )
    writers: dict[FlowPath, dict[VariableKey, Writer]] = field(
        default_factory=dict[FlowPath, dict[VariableKey, Writer]]
    )
    overrides: dict[NodePath, dict[str, Value]] = field(
        default_factory=dict[NodePath, dict[str, Value]]
    )
    raw_overrides: dict[NodePath, list[str]] = field(default_factory=dict[NodePath, list[str]])
    queued: list[NodePath] = field(default_factory=list[NodePath])
    executing: int = 0
    polling: int = 0
    outputs: dict[VariableKey, JsonValue] | None = None
    journal: list[JournalEntry] = field(default_factory=list[JournalEntry])
    journal_count: int = 0
    journal_chars: int = 0
    journal_accepted: dict[str, int] = field(default_factory=dict[str, int])
    journal_refused: dict[str, int] = field(default_factory=dict[str, int])
    journal_requests: dict[str, str] = field(default_factory=dict[str, str])
    warnings: dict[NodePath, list[str]] = field(default_factory=dict[NodePath, list[str]])
    warnings_dropped: int = 0


_ADAPTER = TypeAdapter(RunState)
VERSION: Final = 1
"""The shape of the state; a change of it adds a function from the one before."""


def dump_state(state: RunState) -> dict[str, Any]:
    """Return the state as JSON data, without what has its default.

    Values keep theirs: the `kind` that tells them apart when they are read is one.
    """
    data = _ADAPTER.dump_python(state, mode="json", exclude_defaults=True)
    if state.retyped or state.overrides:
        data |= _ADAPTER.dump_python(state, mode="json", include={"retyped", "overrides"})
    return data


def load_state(data: dict[str, Any]) -> RunState:
    """Return the state that `dump_state` gave.

    Raises:
        ValueError: a newer release wrote it; the run must go on there.
    """
    version = data.get("version", VERSION)
    if version != VERSION:
        raise ValueError(
            f"the run's state has shape {version}, this stdops reads shape {VERSION}: let workers "
            "of the release that wrote it take the run; see docs/releases.md"
        )
    return _ADAPTER.validate_python(data)
