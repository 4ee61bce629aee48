"""With batches a run ends in the very state that it ends in when each task is called alone."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, cast

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn
from pydantic import ConfigDict, JsonValue
from temporalio.testing import ActivityEnvironment

from activities.contract import (
    BATCH,
    EVALUATE,
    BatchResult,
    EvaluateCall,
    OutcomeMessage,
    PluginBatch,
    PluginCall,
    RunSettings,
)
from activities.dispatch import activities
from activities.expressions import Sandbox
from activities.expressions.program import Piece
from activities.expressions.runner import Outcome
from activities.expressions.secrets import Keys
from activities.registry import Registry
from activities.sdk import AnyPlugin, Call, Inputs, Outputs, PluginError, plugin
from tests.helpers.plans import task, values, variable
from tests.helpers.runs import OVER, Run, stored
from tests.helpers.strategies import Drawn, Grower
from translator.plan import (
    AutoRetry,
    End,
    Flow,
    LoopConfig,
    Node,
    NodeId,
    Plan,
    PluginRef,
    Start,
    Timeout,
    Value,
    Variable,
    Write,
)
from translator.values import is_sealed
from workers.payloads import DATA_CONVERTER
from workflows.calls import batch_of, call_of
from workflows.machine.events import Evaluated, RunTask, SetTimer, TaskEnded
from workflows.machine.machine import Given

READS = (
    "text",
    "${v}",
    "${w}",
    "<${x}>",
    "${v} and ${w}",
    "${v + 1}",
    "${s}",
    "${deep}",
    "${early}",
    "${nope}",
    "${y} ${nope}",
    ["${v}", {"a": "${x}"}],
)
WRITES = (("out", "v"), ("out", "w"), ("out", "x"), ("half", "w"), ("_result", "x"), ("_loop", "y"))
KEYS = Keys.fresh()
MOST_ACTS = 12
CODES = (*("quick",) * 8, "other", "plain", "show")


# --- plans ------------------------------------------------------------------------------------


class Rows(Grower):
    """Flows without forks: what happens in another branch meanwhile is a matter of timing."""

    def __init__(self, draw: DrawFn, budget: int) -> None:
        super().__init__(Drawn(draw), budget)
        self.draw = draw

    def fork(self, nodes: dict[NodeId, Node], then: NodeId, depth: int) -> NodeId:
        return self.row(nodes, then, depth)

    def task(self, nodes: dict[NodeId, Node], then: NodeId, _depth: int) -> NodeId:
        draw = self.draw
        options = self.options() if draw(st.integers(0, 6)) == 0 else {}
        made = task(self.key("t"), plugin=draw(st.sampled_from(CODES)), **options)
        written = draw(st.lists(st.sampled_from(WRITES), max_size=2, unique=True))
        nodes[made.id] = made.model_copy(
            update={
                "next": then,
                "inputs": self.inputs(),
                "raw": ("r",) if draw(st.booleans()) else (),
                "writes": tuple(Write(output=out, variable=key) for out, key in written),
                "executor": draw(st.sampled_from(["", "", "zhou"])),
            }
        )
        return made.id

    def inputs(self) -> dict[str, Value]:
        x, r = self.draw(st.sampled_from(READS)), self.draw(st.sampled_from(READS))
        return values(
            {"x": cast("JsonValue", x), "r": cast("JsonValue", r)}, (*"vwxy", "s", "deep", "early")
        )

    def row(self, nodes: dict[NodeId, Node], then: NodeId, depth: int) -> NodeId:
        for _ in range(self.draw(st.integers(2, 6))):
            then = self.task(nodes, then, depth)
        return then

    def options(self) -> dict[str, Any]:
        some: dict[str, Any] = {
            "auto_retry": AutoRetry(times=1, interval_s=3),
            "timeout": Timeout(after_s=7),
            "error_ignorable": True,
            "loop": LoopConfig(times=2, outputs_key="v"),
        }
        name = self.draw(st.sampled_from(sorted(some)))
        return {name: some[name]}

    def flow(self, depth: int) -> Flow:
        nodes: dict[NodeId, Node] = {"end": End(id="end", name="end")}
        first = self.sequence(nodes, self.row(nodes, "end", depth), depth)
        nodes["start"] = Start(id="start", name="start", next=first)
        known: list[Variable] = [
            variable("v", 0),
            variable("w", "w", secret=self.draw(st.integers(0, 5)) == 0),
            Variable(key="x", kind="output"),
            variable("y", "y"),
            variable("s", "s ${v}"),
            Variable(key="deep", kind="splice", value=values({"": "${s} ${x}"}, "sx")[""]),
            variable("early", "e ${w}", pre_render=True),
        ]
        return Flow(
            start="start",
            nodes=nodes,
            variables={each.key: each for each in known},
            outputs=("v", "w", "deep"),
        )


class Case(NamedTuple):
    """A plan, which of its executions fail, and how many tasks of each batch are started."""

    plan: Plan
    failing: frozenset[tuple[str, int]]
    started: Sequence[int]
    strict: bool
    offset: int


@st.composite
def cases(draw: DrawFn) -> Case:
    plan = Plan(template_key="t", flow=Rows(draw, draw(st.integers(2, 10))).flow(0))
    numbers = draw(st.sets(st.tuples(st.integers(1, 20), st.integers(1, 2)), max_size=4))
    failing = frozenset((f"t{number}", entry) for number, entry in numbers)
    started = draw(st.lists(st.integers(1, 16), min_size=1, max_size=5))
    return Case(plan, failing, started, draw(st.booleans()), draw(st.integers(-1, 0)))


# --- playing one --------------------------------------------------------------------------------


class AnyInputs(Inputs):
    model_config = ConfigDict(extra="allow")


class Out(Outputs):
    out: str
    half: str | None = None


class Seen(NamedTuple):
    """What a plugin is called with."""

    node: str
    entry: int
    key: str
    inputs: str
    loop: int
    executor: str
    context: Mapping[str, JsonValue]


class Fragments:
    """Stands in for the processes that evaluate fragments."""

    async def run(
        self, ready: Mapping[str, Piece], values: Mapping[str, JsonValue]
    ) -> dict[str, Outcome]:
        return {inside: Outcome(f"[{inside}: {values.get('v')}]") for inside in ready}


class Played:
    """A run from start to end: operators retry once what failed, then skip it."""

    def __init__(self, case: Case, *, batched: bool) -> None:
        self.case = case
        self.calls: list[Seen] = []
        self.batches: list[int] = []
        self.acts = 0
        sandbox = Sandbox()
        sandbox._runner = Fragments()  # pyright: ignore[reportAttributeAccessIssue]
        plugins = [self.plugin(code, quick=code != "plain") for code in ("quick", "other", "plain")]
        found = activities(Registry(plugins), sandbox, keys=KEYS)
        self.by_type = {_name_of(each): each for each in found}
        traits = {f"{p.ref.code}/legacy": p.traits for p in plugins}
        traits["other/legacy"] = traits["other/legacy"].model_copy(update={"queue": "far"})
        traits["show/legacy"] = traits["quick/legacy"].model_copy(
            update={"plugin": PluginRef(code="show"), "inline": "display"}
        )
        self.run = Run(
            case.plan,
            RunSettings(
                traits=traits,
                rerun_limit=3,
                strict=case.strict,
                loop_offset=case.offset,
                batch_tasks=16 if batched else 1,
                timezone="UTC",
            ),
            Given(context={"operator": "li"}),
        )

    def plugin(self, code: str, *, quick: bool) -> AnyPlugin:
        @plugin(code, quick=quick)
        async def act(call: Call[AnyInputs]) -> Out:
            given = repr(sorted((call.inputs.model_extra or {}).items()))
            self.calls.append(
                Seen(call.node, call.entry, call.key, given, call.loop, call.executor, call.context)
            )
            text = f"{call.node}.{call.entry}({given[:300]})"
            if (call.node.rpartition("/")[2], call.entry) in self.case.failing:
                raise PluginError(f"no {text}", outputs={"half": "half"})
            return Out(out=text)

        return act

    async def play(self) -> "Played":
        run = self.run
        while run.status() not in OVER:
            if run.outstanding:
                await self.answer()
            else:
                self.operate()
        return self

    async def answer(self) -> None:
        run = self.run
        timers = [each for each in run.outstanding if isinstance(each, SetTimer)]
        first = next((each for each in run.outstanding if not isinstance(each, SetTimer)), None)
        if first is None:
            run.fire(timers[0].path, timers[0].kind)
            return
        run.outstanding.remove(first)
        if isinstance(first, RunTask):
            run.send(await self.ended(first))
            return
        assert not isinstance(first, SetTimer)
        ask = EvaluateCall(
            run="r",
            node=first.path,
            entry=first.entry,
            unresolved=first.unresolved,
            noun=first.noun,
            strict=run.state.strict,
        )
        answer = await self.carry_out(EVALUATE, ask)
        run.send(Evaluated(first.path, first.entry, answer.values, answer.error, answer.warnings))

    async def ended(self, step: RunTask) -> TaskEnded:
        machine = self.run.machine
        if not step.then:
            message = await self.carry_out(step.plugin.code, call_of(step, machine, "r"))
            return TaskEnded(step.path, step.entry, message.outcome, step)
        at_most = self.case.started[len(self.batches) % len(self.case.started)]
        batch = batch_of(step, machine, "r")
        batch = batch.model_copy(update={"calls": batch.calls[:at_most]})  # as if time were up
        outcome, *then = (await self.carry_out(BATCH, batch)).outcomes
        self.batches.append(1 + len(then))
        return TaskEnded(step.path, step.entry, outcome, step, then)

    async def carry_out(self, kind: str, given: object) -> Any:
        """Run an activity, the wire included."""
        wire = DATA_CONVERTER.payload_converter
        types: dict[str, tuple[type, type | None]] = {
            BATCH: (PluginBatch, BatchResult),
            EVALUATE: (EvaluateCall, None),
        }
        taken, answered = types.get(kind, (PluginCall, OutcomeMessage))
        [arrived] = wire.from_payloads(wire.to_payloads([given]), [taken])
        answer = await ActivityEnvironment().run(self.by_type[kind], arrived)
        if answered is None:
            return answer
        return wire.from_payloads(wire.to_payloads([answer]), [answered])[0]

    def operate(self) -> None:
        self.acts += 1
        if self.acts > MOST_ACTS:  # a loop that never ends by itself
            self.run.do("revoke")
            return
        path = next(iter(self.run.state.failed))
        again = self.run.state.nodes[path].retry < 1 and "/" not in path
        for name in ("retry", "skip") if again else ("skip", "retry", "revoke"):
            if not self.run.do(name, "" if name == "revoke" else path):
                return


def opened(value: JsonValue) -> JsonValue:
    """Open what is sealed: no two seals of a secret are the same."""
    if is_sealed(value):
        return {"secret": KEYS.open(cast("Any", value))}
    if isinstance(value, dict):
        return {key: opened(field) for key, field in value.items()}
    return [opened(item) for item in value] if isinstance(value, list) else value


def _name_of(found: Callable[..., Any]) -> str:
    definition: Any = getattr(found, "__temporal_activity_definition")
    return definition.name or ""


async def both(case: Case) -> tuple[Played, Played]:
    return await Played(case, batched=False).play(), await Played(case, batched=True).play()


@given(case=cases())
@settings(max_examples=30)
def test_batches_change_nothing_but_the_number_of_activities(case: Case) -> None:
    alone, batched = asyncio.run(both(case))

    assert batched.calls == alone.calls
    assert opened(stored(batched.run.state)) == opened(stored(alone.run.state))
    assert batched.run.state.executing == 0
