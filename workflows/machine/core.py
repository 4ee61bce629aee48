"""What every part of the Machine works with: the state, the plan's index, and the small moves.

A `Core` belongs to one run. It collects the commands of the event under way in `commands`.
"""

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from pydantic import JsonValue

from activities.contract import Outcome, PluginTraits, RunSettings, Unresolved
from translator.plan import (
    ROOT,
    FlowPath,
    Literal,
    Node,
    NodePath,
    PluginRef,
    Ref,
    Task,
    Value,
    Variable,
    VariableKey,
    Write,
)
from translator.values import closure, is_pure, reads, resolve_all, source
from workflows.machine.events import (
    CancelNode,
    Changed,
    Command,
    Evaluate,
    Finish,
    LeaveChild,
    Recorded,
    RunTask,
    Trace,
    Verb,
)
from workflows.machine.program import Inputs, Place, Program, part
from workflows.machine.state import Live, NodeState, Origin, Phase, RunState, Status, Writer
from workflows.machine.unfilled import Unfilled, may_hold, unfilled

ENDED: Final = ("finished", "skipped")
FOLLOWED: Final[tuple[Phase, ...]] = (
    "calling",
    "queued",
    "evaluating",
    "polling",
    "waiting",
    "sleeping",
    "child",
)
"""Phases in which something other than a person is expected to move the node."""

CHILD: Final = PluginTraits(plugin=PluginRef(code="subprocess_plugin"), inline="child")
REVOKE: Final = Verb("revoke", operator="parent", reason="its node in the parent's run is over")
NOTHING: Final[Mapping[str, JsonValue]] = {}
MASK: Final = "******"

Observer = Callable[[Trace], None]


class Brought(NamedTuple):
    """How a node that travelled with another's call was called, and what came of it."""

    step: RunTask
    outcome: Outcome


class Resolved(NamedTuple):
    """Values that could be had without the sandbox, and what stays unfilled in them."""

    values: dict[str, JsonValue]
    left: tuple[Unfilled, ...] = ()


def read_in(
    values: Mapping[str, Value], variables: Mapping[VariableKey, Variable]
) -> list[VariableKey]:
    """Return the names that values read, and the variables among `variables` that are rendered."""
    looked_into = [v.value for v in variables.values() if v.kind in ("splice", "lazy")]
    return [key for value in (*values.values(), *looked_into) for key in reads(value)]


def is_system(variable: Variable) -> bool:
    """Say whether a template only names a variable that the system gives."""
    return variable.origin == "system"


class Core:
    """State, plan and settings of one run, and the moves that all node kinds share."""

    __slots__ = (
        "brought",
        "commands",
        "draining",
        "fatal",
        "held",
        "now",
        "observer",
        "paused",
        "program",
        "ready",
        "settings",
        "state",
    )

    def __init__(
        self, program: Program, settings: RunSettings, state: RunState, observer: Observer | None
    ) -> None:
        self.program = program
        self.settings = settings
        self.state = state
        self.observer = observer
        self.now: float = 0
        self.draining = False
        self.fatal: Finish | None = None
        self.brought: dict[NodePath, Brought] = {}
        self.commands: list[Command] = []
        self.ready: list[str] = []
        self.held: dict[str, list[str]] = {}
        self.paused: dict[FlowPath, None] = {}
        self._index()

    def _index(self) -> None:
        """Rebuild what follows from the state: who is held by whom, which flows are paused."""
        for token_id, token in self.state.tokens.items():
            if token.held_by is not None:
                self.held.setdefault(token.held_by, []).append(token_id)
        for path in self.program.flows:
            found = self.state.nodes.get(path)
            if found is not None and found.status == "suspended":
                self.paused[path] = None

    # --- nodes ---

    def place(self, path: NodePath) -> Place:
        """Return where `path` stands in the plan."""
        return self.program.places[path]

    def node_state(self, path: NodePath) -> NodeState:
        """Return the state of a node, made when it has none."""
        found = self.state.nodes.get(path)
        if found is None:
            found = self.state.nodes[path] = NodeState(since=self.now)
        return found

    def change(self, path: NodePath, status: Status) -> NodeState:
        """Give a node (or the flow at a path) another status."""
        found = self.node_state(path)
        found.status = status
        found.since = self.now
        if self.paused:
            self.paused.pop(path, None)  # a flow that ends or fails while paused holds nobody
        if self.observer:
            self.observer(Changed(path, status))
        return found

    def brought_to(self, path: NodePath, entry: int) -> Brought | None:
        """Return the outcome of an execution that is there already when it starts."""
        found = self.brought.get(path) if self.brought else None
        return found if found is not None and found.step.entry == entry else None

    def record(
        self,
        path: NodePath,
        inputs: Mapping[str, JsonValue] | None,
        outputs: Mapping[str, JsonValue] | None,
        *,
        merge: bool = False,
    ) -> None:
        """Tell the observer what went into a node and came out of it."""
        if self.observer:
            self.observer(Recorded(path, inputs, outputs, merge))

    def inner_loop_of(self, path: NodePath) -> int:
        """Return the passes since the enclosing subflow was entered; 0 when not yet in this one."""
        found = self.node_state(path)
        current = self.state.rounds.get(self.place(path).flow_path, 0)
        return found.inner_loop if found.round == current else 0

    def counters(self, path: NodePath) -> dict[str, JsonValue]:
        """Return `_loop` and `_inner_loop` of a node as they stand in its outputs."""
        found = self.state.nodes[path]
        return {"_loop": found.loop, "_inner_loop": found.inner_loop}

    def awaiting(self, path: NodePath, entry: int, *phases: Phase) -> Node | None:
        """Return the node at `path` if its execution `entry` stands in one of `phases`.

        A subflow that is paused while its parameters are evaluated still waits for them.
        """
        live = self.state.live.get(path)
        if live is None or live.phase not in phases or self.state.nodes[path].entry != entry:
            return None
        return self.program.places[path].node

    def traits(self, plugin: PluginRef) -> PluginTraits | None:
        """Return the traits of a plugin, None when the run does not know it."""
        return self.settings.traits_of(plugin)

    def traits_of(self, task: Task) -> PluginTraits | None:
        """Return the traits of what a task does; one that starts a run of its own has no plugin."""
        return CHILD if task.child is not None else self.traits(task.plugin)

    def inputs_of(self, path: NodePath, task: Task) -> Inputs:
        """Return a task's inputs in force: the plan's, or what a retry put in their place."""
        override = self.state.overrides.get(path)
        if override is not None:
            return part(override, self.state.raw_overrides.get(path, ()), task.writes)
        found = self.program.places[path].inputs
        return found if found is not None else part(task.inputs, task.raw, task.writes)

    # --- phases and slots ---

    def has_slot(self) -> bool:
        """Say whether a plugin may be called now."""
        state, settings = self.state, self.settings
        return (
            not self.draining
            and self.fatal is None
            and state.executing < settings.in_flight
            and state.executing + state.polling < settings.polls_asleep
        )

    def set_phase(self, path: NodePath, phase: Phase) -> Live:
        """Move a live node to another phase, keeping count of the slots in use."""
        live, state = self.state.live[path], self.state
        if live.phase == "queued":
            state.queued.remove(path)
        state.executing += (phase == "calling") - (live.phase == "calling")
        state.polling += (phase == "polling") - (live.phase == "polling")
        live.phase = phase
        live.ahead = 0
        return live

    def close(self, path: NodePath) -> Live | None:
        """Forget what is known of a live node: it has ended, or starts again."""
        live = self.state.live.pop(path, None)
        if live is not None:
            self.leave_child(path, live)
            if live.phase == "queued":
                self.state.queued.remove(path)
            self.state.executing -= live.phase == "calling"
            self.state.polling -= live.phase == "polling"
            self.state.nodes[path].took = round(self.now - live.started)
        self.state.failed.pop(path, None)
        return live

    def cancel(self, path: NodePath) -> None:
        """Stop what runs for the node's present execution."""
        live = self.state.live.get(path)
        if live is not None and (live.phase in FOLLOWED or live.phase == "retrying"):
            self.commands.append(CancelNode(path, self.state.nodes[path].entry))

    # --- children ---

    def forget_child(self, live: Live) -> None:
        """Expect nothing more of a node's child."""
        self.state.polling -= live.child is not None
        live.child = None

    def leave_child(self, path: NodePath, live: Live, verb: Verb = REVOKE) -> None:
        """Revoke a node's child, if one is open: nobody would look after it any more."""
        if live.child is not None:
            self.forget_child(live)
            self.commands.append(LeaveChild(path, self.state.nodes[path].entry, verb))

    # --- variables ---

    def find(self, flow_path: FlowPath, key: VariableKey) -> Variable | None:
        """Return the variable `key` of a flow as it stands now, None when it has no value."""
        state = self.state
        written = state.written.get(flow_path)
        if written is not None and key in written:
            own = self.program.flows[flow_path].variables.get(key)
            secret = own is not None and own.secret
            return Variable(key=key, kind="plain", value=Literal(value=written[key]), secret=secret)
        retyped = state.retyped.get(flow_path)
        if retyped is not None and key in retyped:
            return retyped[key]
        known = self.program.flows[flow_path].variables.get(key)
        inherits = flow_path != ROOT and key in state.inherited
        if known is not None and known.kind != "output" and not (inherits and is_system(known)):
            return known
        if inherits:
            return Variable(key=key, kind="plain", value=Literal(value=state.inherited[key]))
        return None

    def write(
        self,
        flow_path: FlowPath,
        key: VariableKey,
        value: JsonValue,
        origin: Origin | None = None,
        by: str = "",
    ) -> None:
        """Give a variable a plain value; without an origin, one that the system gives."""
        if origin is not None:
            self.sign(flow_path, key, origin, by)
        self.state.written.setdefault(flow_path, {})[key] = value
        retyped = self.state.retyped.get(flow_path)
        if retyped is not None:
            retyped.pop(key, None)

    def sign(self, flow_path: FlowPath, key: VariableKey, origin: Origin, by: str) -> None:
        """Note who gives a variable its value, and when."""
        signed = self.state.writers.setdefault(flow_path, {})
        signed[key] = Writer(origin, by, self.now)

    def export(
        self, path: NodePath, writes: tuple[Write, ...], outputs: Mapping[str, JsonValue]
    ) -> None:
        """Write the outputs that a node maps to variables; one that is missing changes nothing."""
        flow_path = self.program.places[path].flow_path
        for write in writes:
            if write.output in outputs:
                self.write(flow_path, write.variable, outputs[write.output], "output", path)

    def gather(
        self,
        flow_path: FlowPath,
        values: Mapping[str, Value],
        also: Mapping[VariableKey, JsonValue] | None = None,
    ) -> Resolved | Unresolved:
        """Resolve `values` in a flow's context if that needs no sandbox, else say what it needs.

        `also` are plain values that count before the flow's own for this reading.

        Raises:
            ReferenceCycle: when variables refer to each other in a circle.
        """
        quick = self._quick(flow_path, values, also or {})
        if quick is not None:
            return Resolved(quick)

        variables = self.needed(flow_path, values, also or NOTHING)
        if is_pure(values.values(), variables):
            return Resolved(resolve_all(values, variables), unfilled(values, variables))
        return self.left_open(flow_path, values, variables)

    def needed(
        self,
        flow_path: FlowPath,
        values: Mapping[str, Value],
        also: Mapping[VariableKey, JsonValue] = NOTHING,
    ) -> dict[VariableKey, Variable]:
        """Return every variable with a value that `values` need, `also` before the flow's own.

        Raises:
            ReferenceCycle: when variables refer to each other in a circle.
        """

        def find(key: VariableKey) -> Variable | None:
            if key in also:
                return Variable(key=key, kind="plain", value=Literal(value=also[key]))
            return self.find(flow_path, key)

        return closure(values.values(), find)

    def left_open(
        self,
        flow_path: FlowPath,
        values: Mapping[str, Value],
        variables: Mapping[VariableKey, Variable],
    ) -> Unresolved:
        """Return values to be resolved elsewhere; outputs without a value are told of as such."""
        declared = self.program.flows[flow_path].variables
        names = read_in(values, variables)
        pending = {key: declared[key] for key in names if key not in variables and key in declared}
        return Unresolved(values=dict(values), variables={**pending, **variables})

    def _quick(
        self,
        flow_path: FlowPath,
        values: Mapping[str, Value],
        also: Mapping[VariableKey, JsonValue],
    ) -> dict[str, JsonValue] | None:
        """Resolve values that are literals, or references to plain variables; None if one is not.

        Most values are; this spares them the closure, and the look for what stays unfilled.
        """
        written = self.state.written.get(flow_path, NOTHING)
        retyped = self.state.retyped.get(flow_path, NOTHING)
        variables = self.program.flows[flow_path].variables
        found: dict[str, JsonValue] = {}
        for name, value in values.items():
            if type(value) is Literal:
                plain = value.value
                # most are texts, which a call for each would make a third slower
                if "${" in plain if type(plain) is str else may_hold(plain):
                    return None  # a fragment that is never evaluated is told of
                found[name] = plain
                continue
            if type(value) is not Ref:
                return None
            key = value.key
            if key in also:
                found[name] = also[key]
            elif key in written:
                found[name] = written[key]
            else:
                known = variables.get(key)
                if known is None or known.kind != "plain" or key in retyped or is_system(known):
                    return None
                found[name] = source(known.value)
        return found

    def ask(self, path: NodePath, unresolved: Unresolved, noun: str = "input") -> None:
        """Have values evaluated outside; the answer comes as `Evaluated`."""
        self.set_phase(path, "evaluating")
        entry = self.state.nodes[path].entry
        self.commands.append(Evaluate(path, entry, self.place(path).node.name, unresolved, noun))

    # --- the end ---

    def end_run(self, finish: Finish) -> None:
        """End the run: nothing that still runs may go on."""
        for path, live in list(self.state.live.items()):
            self.cancel(path)
            self.leave_child(path, live)
            if self.state.nodes[path].status not in ("failed", *ENDED):
                self.change(path, "revoked")
        self.state.live.clear()
        self.state.tokens.clear()
        self.state.queued.clear()
        self.state.executing = self.state.polling = 0
        self.held.clear()
        self.ready.clear()
        self.change(ROOT, finish.state)
        self.commands.append(finish)
