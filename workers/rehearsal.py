"""A rehearsal: a whole run of a plan without a server, its plugins played by mocks.

The same Machine that runs in Temporal, in virtual time. A mock is a list of attempts, one for each
call of a node; the last one stands for all that follow. A plugin without a mock ends well at once
and gives no outputs; who waits for a callback gets one, unless its mock says otherwise.
"""

import difflib
import heapq
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, Self, cast

from pydantic import BaseModel, ConfigDict, Field, JsonValue, TypeAdapter, ValidationError

from activities.contract import (
    Done,
    EvaluateResult,
    Failed,
    Outcome,
    PluginTraits,
    Polling,
    RunSettings,
    Unresolved,
    Waiting,
    warning_lines,
)
from stdops import StdopsError
from translator.plan import (
    ROOT,
    Child,
    Flow,
    FlowPath,
    Node,
    NodeId,
    NodePath,
    Plan,
    PluginRef,
    Subflow,
    Task,
    Variable,
    VariableKey,
    flows_of,
    join_path,
    node_at,
)
from workers.offline_lookup import computed
from workers.simulate import VirtualRun
from workflows.machine.addressing import Unclear, find_node
from workflows.machine.events import (
    Changed,
    Entered,
    Evaluate,
    Evaluated,
    Recorded,
    RunTask,
    Trace,
    Verb,
    VerbName,
)
from workflows.machine.machine import Given, Machine
from workflows.machine.program import Program, lay_out
from workflows.machine.view import WarningView
from workflows.machine.view.status import warnings_of
from workflows.system import RunFacts, system_of

if TYPE_CHECKING:
    from activities.expressions import ExpressionWarning, Sandbox
    from activities.registry import Registry

MOST_STEPS: Final = 200_000
POLL_S: Final = 5.0
_PLAYED: Final = " (played)"
_ENDED: Final = ("finished", "skipped", "failed", "revoked")


# --- mocks ------------------------------------------------------------------------------------


class Attempt(BaseModel):
    """What one call of a plugin does: ends well, fails, or works outside for `after` seconds first.

    `poll` is looked at until it ends; `wait` is called back with `callback` where that is given,
    and else waits for ever. Both fail where `error` is given.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    outcome: Literal["done", "fail", "poll", "wait"] = "done"
    outputs: dict[str, JsonValue] = Field(default_factory=dict)
    error: str = ""
    after: float = Field(default=0, ge=0)
    callback: JsonValue = None

    def end(self) -> Outcome:
        """Return how the work ends."""
        if self.outcome == "fail" or self.error:
            return Failed(error=self.error or "failed on purpose", outputs=self.outputs)
        return Done(outputs=self.outputs)

    def begin(self) -> Outcome:
        """Return what the call answers."""
        if self.outcome == "wait":
            return Waiting()
        after_s = self.after or (POLL_S if self.outcome == "poll" else 0)
        return Polling(handle="mock", after_s=after_s) if after_s else self.end()


Mocks = Mapping[str, Sequence[Attempt]]

_FILE: Final = TypeAdapter(dict[str, list[Attempt] | Attempt])


def read_mocks(data: object, where: str) -> dict[str, list[Attempt]]:
    """Return the mocks in a document: attempts by node (path, id or name) or plugin code.

    Raises:
        StdopsError: it has another form; every problem is told (SOP543).
    """
    try:
        found = _FILE.validate_python(data)
    except ValidationError as wrong:
        told = [_problem(error["loc"], error["msg"]) for error in wrong.errors()]
        fix = 'write {"<node or plugin>": [{"outcome": "fail", "error": "..."}, {}]}'
        text = f"the mocks are wrong: {'; '.join(dict.fromkeys(told))}"
        raise StdopsError("SOP543", text, where=where, fix=fix) from None
    return {key: one if isinstance(one, list) else [one] for key, one in found.items()}


def failing(times: int) -> list[Attempt]:
    """Return the mock of a node that fails `times` times and then ends well."""
    texts = [f"failed on purpose ({n} of {times})" for n in range(1, times + 1)]
    return [*(Attempt(outcome="fail", error=text) for text in texts), Attempt()]


def _problem(place: Sequence[object], message: str) -> str:
    steps = [str(step) for step in place if step not in {"list[Attempt]", "Attempt"}]
    return f"{'.'.join(steps) or 'the document'}: {message.lower()}"


class Cast:
    """Who plays what: the attempts for each node, by its path or by its plugin."""

    def __init__(self, program: Program, mocks: Mocks, lazy_codes: Iterable[str] = ()) -> None:
        self._codes: dict[str, Sequence[Attempt]] = {}
        self._paths: dict[NodePath, Sequence[Attempt]] = {}
        flows = list(flows_of(program.flows[ROOT]))
        tasks = [node for flow in flows for node in flow.nodes.values() if isinstance(node, Task)]
        plugins = {task.plugin.code for task in tasks}
        known = plugins | {v.code for flow in flows for v in flow.variables.values()}
        for key, attempts in mocks.items():
            if key in known or key in lazy_codes:
                self._codes[key] = attempts
            else:
                self._paths[_task_path(program, key, sorted(known - {""}))] = attempts

    def attempts(self, path: NodePath, code: str) -> Sequence[Attempt]:
        """Return the attempts of a node, empty where nothing is said about it."""
        return self._paths.get(path) or self._codes.get(code, ())

    def lazy(self, code: str) -> Attempt | None:
        """Return what stands in for a lazy variable of the type `code`."""
        return next(iter(self._codes.get(code, ())), None)


def _task_path(program: Program, named: str, codes: Sequence[str]) -> NodePath:
    found = find_node(program, named)
    if isinstance(found, Unclear):
        near = difflib.get_close_matches(named, codes, n=1) if not found.candidates else []
        hint = f"; did you mean the plugin {near[0]!r}?" if near else ""
        fix = "name a node by its path, id or name, or a plugin by its code"
        raise StdopsError("SOP544", found.text + hint, where="mocks", fix=fix)
    node = node_at(program.flows[ROOT], found) if found else None
    if not isinstance(node, Task):
        kind = node.kind.replace("_", " ") if node else "run"
        fix = "name a task: only plugins are played"
        raise StdopsError("SOP544", f"{named!r} is no task ({kind})", where="mocks", fix=fix)
    return found


# --- the plan and its settings ----------------------------------------------------------------


def rehearsable(
    plan: Plan, traits: Mapping[str, PluginTraits], cast_: Cast, settings: RunSettings
) -> tuple[Plan, RunSettings]:
    """Return plan and settings in which every plugin is there and every mock is asked.

    A plugin that nobody has is taken to be an ordinary one. What the workflow does by itself (a
    timer, a pause) asks no plugin, so where it has a mock it becomes one that does.
    """
    known = dict(traits)

    def played(path: NodePath, task: Task) -> Task:
        name = f"{task.plugin.code}/{task.plugin.version}"
        found = known.setdefault(name, PluginTraits(plugin=task.plugin))
        if not found.inline or not cast_.attempts(path, task.plugin.code):
            return task
        plugin = PluginRef(code=task.plugin.code, version=task.plugin.version + _PLAYED)
        known[f"{plugin.code}/{plugin.version}"] = PluginTraits(plugin=plugin)
        return task.model_copy(update={"plugin": plugin})

    def flow_of(flow: Flow, at: FlowPath) -> Flow:
        nodes: dict[NodeId, Node] = {}
        for key, node in flow.nodes.items():
            path = join_path(at, key)
            match node:
                case Task(child=Child() as child):
                    held = child.model_copy(update={"flow": flow_of(child.flow, path)})
                    nodes[key] = node.model_copy(update={"child": held})
                case Task():
                    nodes[key] = played(path, node)
                case Subflow():
                    nodes[key] = node.model_copy(update={"flow": flow_of(node.flow, path)})
                case _:
                    nodes[key] = node
        return flow.model_copy(update={"nodes": nodes})

    changed = plan.model_copy(update={"flow": flow_of(plan.flow, ROOT)})
    return changed, settings.model_copy(update={"traits": known})


# --- what was seen ----------------------------------------------------------------------------


@dataclass(slots=True)
class Row:
    """One execution of a node: when, how it ended, what came out; `ended` None while under way."""

    at: float
    path: NodePath
    entry: int
    kind: str
    name: str
    plugin: str = ""
    status: str = "running"
    ended: float | None = None
    outputs: dict[str, JsonValue] = field(default_factory=dict[str, JsonValue])
    error: str = ""


class Standing(NamedTuple):
    """A node that holds the run, why, and the verbs that would move it."""

    path: NodePath
    name: str
    reason: str
    verbs: tuple[VerbName, ...]


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """What a rehearsal showed; `state` is "finished", "failed", "waiting" or "endless"."""

    state: str
    elapsed_s: float
    rows: tuple[Row, ...]
    standing: tuple[Standing, ...]
    outputs: Mapping[VariableKey, JsonValue]
    warnings: tuple[WarningView, ...] = ()


class _Recorder:
    """Turns what the Machine tells into rows, in the order in which nodes were entered."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self._last: dict[NodePath, Row] = {}
        self.machine: Machine | None = None
        self.clock: Callable[[], float] = lambda: 0

    def __call__(self, seen: Trace) -> None:
        match seen:
            case Entered(path, entry, _):
                self._enter(path, entry)
            case Changed(path, status) if path in self._last:
                self._change(self._last[path], status)
            case Recorded(path, _, outputs, merge) if path in self._last and outputs is not None:
                row = self._last[path]
                row.outputs = {**(row.outputs if merge else {}), **outputs}
                row.error = str(outputs.get("ex_data", ""))
            case _:
                pass

    @property
    def _now(self) -> float:
        return self.clock()

    def _enter(self, path: NodePath, entry: int) -> None:
        if self.machine is None:
            return
        node = node_at(self.machine.plan.flow, path)
        if node is None:
            return
        plugin = node.plugin.code if isinstance(node, Task) else ""
        row = Row(self._now, path, entry, node.kind, node.name or node.id, plugin)
        self._last[path] = row
        self.rows.append(row)

    def _change(self, row: Row, status: str) -> None:
        if row.ended is not None and status not in _ENDED:
            return  # the node is about to be entered again: that is another row
        row.status = status
        row.ended = self._now if status in _ENDED else None


# --- the rehearsal ----------------------------------------------------------------------------


class Rehearsal:
    """One run under way; `async with` it, then `play`."""

    def __init__(
        self, plan: Plan, settings: RunSettings, cast_: Cast, registry: "Registry | None" = None
    ) -> None:
        self._recorder = _Recorder()
        self.machine = Machine(plan, settings, observer=self._recorder)
        self._recorder.machine = self.machine
        self._cast = cast_
        self._registry = registry
        self._virtual = VirtualRun(self.machine, self._perform, self._resolve)
        self._recorder.clock = lambda: self._virtual.clock
        self._calls: Counter[NodePath] = Counter()
        self._playing: dict[tuple[NodePath, int], Attempt] = {}
        self._callbacks: list[tuple[float, int, NodePath, int]] = []
        self._answered: set[tuple[NodePath, int, int]] = set()
        self._sandbox: Sandbox | None = None
        self._open = AsyncExitStack()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._open.aclose()

    async def play(self, variables: Mapping[VariableKey, Variable]) -> Rehearsed:
        """Run to the end, or until only a person could move it."""
        plan, settings = self.machine.plan, self.machine.core.settings
        system = system_of(plan, settings, {}, RunFacts("simulate", "simulate", self._virtual.now))
        self._virtual.begin(Given(system.root, variables, system.inherited, system.context))
        self._virtual.go()
        for _ in range(MOST_STEPS):
            self._plan_callbacks()
            if not await self._advance():
                return self._seen()
        return self._seen(endless=True)

    async def _advance(self) -> bool:
        """Let the next thing happen: a callback that is due, or a step of the run."""
        due = self._virtual.next_due
        if not self._callbacks or (due is not None and due < self._callbacks[0][0]):
            return await self._virtual.step()
        at, _, path, entry = heapq.heappop(self._callbacks)
        self._virtual.now = max(self._virtual.now, at)
        data = self._attempt_of(path, entry).callback
        self._virtual.operate(Verb("callback", path, operator="mock", data=data, token=entry))
        return True

    def _plan_callbacks(self) -> None:
        """Have each node that has begun to wait called back, unless its mock leaves it waiting."""
        for at, run in self._virtual.family():
            for inner, live in run.machine.state.live.items():
                path, entry = f"{at}/{inner}" if at else inner, run.machine.state.nodes[inner].entry
                key = path, entry, self._calls[path]  # a second child counts its entries anew
                if live.phase != "waiting" or key in self._answered:
                    continue
                self._answered.add(key)
                attempt = self._attempt_of(path, entry)
                if attempt.callback is not None:
                    due = self._virtual.now + attempt.after
                    heapq.heappush(self._callbacks, (due, len(self._answered), path, entry))

    def _attempt_of(self, path: NodePath, entry: int) -> Attempt:
        return self._playing.get((path, entry)) or Attempt(outcome="wait", callback={})

    # --- the stand-ins ---

    async def _perform(self, command: RunTask) -> Outcome:
        """Do one step of a plugin as its mock says."""
        if command.step == "stop":
            return Done()
        if command.step != "call":
            return self._attempt_of(command.path, command.entry).end()
        rendered = await self._values(command.unresolved, secret=command.traits.secrets)
        if rendered.error:
            text = f"inputs hydrate failed({rendered.error}), check node log for details"
            return Failed(error=text, rendering=True)
        attempts = self._cast.attempts(command.path, command.plugin.code) or (Attempt(),)
        attempt = attempts[min(self._calls[command.path], len(attempts) - 1)]
        self._calls[command.path] += 1
        self._playing[command.path, command.entry] = attempt
        told = {"inputs": {**command.inputs, **rendered.values}, "warnings": rendered.warnings}
        return attempt.begin().model_copy(update=told)

    async def _resolve(self, asked: Evaluate) -> Evaluated:
        found = await self._values(asked.unresolved, asked.noun)
        return Evaluated(asked.path, asked.entry, found.values, found.error, found.warnings)

    async def _values(
        self, unresolved: Unresolved, noun: str = "input", secret: Sequence[str] = ()
    ) -> EvaluateResult:
        """Evaluate in the real sandbox, which is started when the first expression is met."""
        if not unresolved.values:
            return EvaluateResult()
        from activities.expressions import EvaluationError, Sandbox

        if self._sandbox is None:
            self._sandbox = await self._open.enter_async_context(Sandbox())
        told: list[ExpressionWarning] = []
        strict = self.machine.state.strict
        try:
            values = await self._sandbox.evaluate(
                unresolved, self._look_up, warnings=told, strict=strict, secret=secret, noun=noun
            )
        except EvaluationError as error:
            return EvaluateResult(error=str(error))
        return EvaluateResult(values=values, warnings=warning_lines(one.text for one in told))

    async def _look_up(self, code: str, value: JsonValue) -> JsonValue:
        """Compute a lazy variable: by its mock, else for real where that needs no network."""
        mock = self._cast.lazy(code)
        if mock is not None:
            return mock.outputs.get("value", cast("JsonValue", mock.outputs))
        return await computed(self._registry, code, value)

    # --- the result ---

    def _seen(self, *, endless: bool = False) -> Rehearsed:
        standing = tuple(self._standing())
        finish = self._virtual.finish
        waits = "endless" if endless else "waiting"
        failed = any(one.path in self.machine.state.failed for one in standing)
        return Rehearsed(
            state=finish.state if finish else "failed" if failed else waits,
            elapsed_s=self._virtual.now,
            rows=tuple(self._recorder.rows),
            standing=standing,
            outputs=finish.outputs if finish else {},
            warnings=warnings_of(self.machine.plan, self.machine.state),
        )

    def _standing(self) -> Iterator[Standing]:
        for at, run in self._virtual.family():
            machine, state = run.machine, run.machine.state
            waiting = [path for path, live in state.live.items() if live.phase == "waiting"]
            for path in dict.fromkeys([*state.failed, *waiting]):
                node = machine.core.place(path).node
                reason = state.failed.get(path) or "waits for a callback"
                verbs = tuple(machine.allowed_on(path, self._virtual.now))
                yield Standing(f"{at}/{path}" if at else path, node.name or node.id, reason, verbs)


async def rehearse(
    plan: Plan,
    settings: RunSettings,
    mocks: Mocks,
    variables: Mapping[VariableKey, Variable],
    registry: "Registry | None" = None,
) -> Rehearsed:
    """Rehearse a plan with `mocks`, its variables as given at a start.

    Raises:
        StdopsError: a mock is for a node or plugin that is not there (SOP544).
    """
    codes = registry.lazy_codes() if registry else ()
    cast_ = Cast(lay_out(plan), mocks, codes)
    traits = registry.traits() if registry else {}
    changed, with_traits = rehearsable(plan, traits, cast_, settings)
    async with Rehearsal(changed, with_traits, cast_, registry) as rehearsal:
        return await rehearsal.play(variables)
