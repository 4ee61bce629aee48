"""Several calls in one activity: in order, as far as it goes, and what later ones take."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from pydantic import JsonValue
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.batches import supplied, take_batch
from activities.contract import (
    BATCH,
    BatchedCall,
    BatchResult,
    Done,
    Failed,
    Outcome,
    PluginBatch,
    PluginCall,
    Unresolved,
)
from activities.dispatch import activities
from activities.expressions import Sandbox
from activities.registry import Registry
from activities.sdk import Call, Inputs, Outputs, PluginError, plugin
from translator.plan import Literal, PluginRef, Ref, Splice, Variable, Write
from translator.values import SEALED


def call(node: str, **fields: Any) -> PluginCall:
    return PluginCall(plugin=PluginRef(code="calc"), run="r", node=node, entry=1, **fields)


def batch(*calls: BatchedCall | PluginCall, **fields: Any) -> PluginBatch:
    each = [one if isinstance(one, BatchedCall) else BatchedCall(call=one) for one in calls]
    return PluginBatch(calls=tuple(each), **fields)


class Taken:
    """Takes calls: answers in order, and notes what it is asked."""

    def __init__(self, *answers: Outcome | None) -> None:
        self.answers = list(answers)
        self.calls: list[PluginCall] = []

    async def __call__(self, asked: PluginCall, number: int) -> Outcome | None:
        assert number == len(self.calls)
        self.calls.append(asked)
        return self.answers[number]


async def took(
    given: PluginBatch,
    *answers: Outcome | None,
    goes_on: Callable[[], bool] = lambda: True,
    most: int = 10_000,
) -> tuple[BatchResult, list[PluginCall]]:
    taken = Taken(*answers)
    return await take_batch(given, taken, goes_on, most), taken.calls


def done(**outputs: JsonValue) -> Done:
    return Done(outputs=outputs)


def reading(node: str, *takes: str, kind: str = "output", value: JsonValue = "") -> BatchedCall:
    """A call whose input `x` is `<${v}>`."""
    known = Variable.model_validate({"key": "v", "kind": kind, "value": Literal(value=value)})
    unresolved = Unresolved(
        values={"x": Splice(parts=("<", Ref(key="v"), ">"))}, variables={"v": known}
    )
    return BatchedCall(call=call(node, unresolved=unresolved), takes=takes)


def given_v(asked: PluginCall) -> Variable:
    return asked.unresolved.variables["v"]


# --- how far it goes ----------------------------------------------------------------------------


async def test_all_are_taken_in_order() -> None:
    result, calls = await took(batch(call("a"), call("b")), done(), done())

    assert [each.node for each in calls] == ["a", "b"]
    assert len(result.outcomes) == 2


@pytest.mark.parametrize(
    ("answers", "outcomes", "asked"),
    [
        ([Failed(error="no"), None, None], 1, 1),
        ([Done(), Failed(error="no"), None], 2, 2),
        ([Done(), None, None], 1, 2),
    ],
    ids=["first fails", "second fails", "second must begin again"],
)
async def test_it_ends_with_the_first_that_does_not_end_well(
    answers: Sequence[Outcome | None], outcomes: int, asked: int
) -> None:
    result, calls = await took(batch(call("a"), call("b"), call("c")), *answers)

    assert (len(result.outcomes), len(calls)) == (outcomes, asked)


async def test_when_time_is_up_no_other_starts() -> None:
    result, calls = await took(batch(call("a"), call("b")), done(), done(), goes_on=lambda: False)

    assert (len(result.outcomes), len(calls)) == (1, 1)


async def test_outcomes_that_do_not_fit_together_are_left_out_but_for_the_first() -> None:
    large = done(text="x" * 600)

    result, _ = await took(batch(call("a"), call("b"), call("c")), large, large, large, most=1500)

    assert len(result.outcomes) == 2
    alone, _ = await took(batch(call("a")), large, most=10)
    assert len(alone.outcomes) == 1


async def test_what_all_share_of_their_context_stands_once() -> None:
    given = batch(
        call("a", context={"executor": "li"}),
        call("b", context={"executor": "zhou"}),
        context={"project": 2, "executor": "nobody"},
    )

    _, calls = await took(given, done(), done())

    assert [each.context for each in calls] == [
        {"project": 2, "executor": "li"},
        {"project": 2, "executor": "zhou"},
    ]


# --- what later ones take -----------------------------------------------------------------------


def writing(node: str, output: str, **fields: Any) -> BatchedCall:
    return BatchedCall(call=call(node, **fields), writes=(Write(output=output, variable="v"),))


async def test_a_later_call_takes_what_an_earlier_one_wrote() -> None:
    _, calls = await took(batch(writing("a", "out"), reading("b", "v")), done(out=[1]), done())

    assert given_v(calls[1]) == Variable(key="v", kind="plain", value=Literal(value=[1]))


async def test_an_output_that_is_missing_writes_nothing() -> None:
    given = batch(writing("a", "out"), reading("b", "v", kind="plain", value="before"))

    _, calls = await took(given, done(), done())

    assert given_v(calls[1]).value == Literal(value="before")


@pytest.mark.parametrize(
    ("output", "value"), [("_result", "yes"), ("_loop", 3), ("_inner_loop", 2)]
)
async def test_what_the_engine_adds_to_outputs_can_be_taken(output: str, value: JsonValue) -> None:
    given = batch(writing("a", output, loop=2, inner_loop=1), reading("b", "v"), loop_offset=-1)

    _, calls = await took(given, Done(result="yes"), done())

    assert given_v(calls[1]).value == Literal(value=value)


async def test_a_value_that_is_not_taken_stays_as_it_came() -> None:
    _, calls = await took(batch(writing("a", "out"), reading("b")), done(out=1), done())

    assert given_v(calls[1]).kind == "output"


async def test_a_sealed_output_is_left_to_the_workflow() -> None:
    given = batch(writing("a", "out"), reading("b", "v"))

    result, calls = await took(given, done(out={SEALED: "k.abc"}), done())

    assert (len(result.outcomes), len(calls)) == (1, 1)


def test_a_variable_that_was_written_over_is_not_looked_into_any_more() -> None:
    given = Unresolved(
        values={"x": Ref(key="v")},
        variables={
            "w": Variable(key="w", kind="plain", value=Literal(value=1)),
            "v": Variable(key="v", kind="splice", value=Ref(key="w")),
        },
    )

    found = supplied(given, {"v": 5})

    assert list(found.variables) == ["v"]


# --- as an activity -----------------------------------------------------------------------------


class Numbers(Inputs):
    x: str = ""


class Out(Outputs):
    out: str


@plugin("calc", quick=True, heartbeat_s=3)
async def calc(call: Call[Numbers]) -> Out:
    match call.node:
        case "busy":
            raise PluginError("come back", retryable=True, after_s=7)
        case "stuck":
            call.progress(at="stuck")
            await asyncio.Event().wait()
        case _:
            pass
    return Out(out=f"{call.node}{call.inputs.x}")


class Env:
    def __init__(self) -> None:
        self.env = ActivityEnvironment()
        self.heard = asyncio.Event()
        self.env.on_heartbeat = lambda *_: self.heard.set()
        found = activities(Registry([calc]), Sandbox())
        self.by_name: dict[Any, Any] = {
            getattr(each, "__temporal_activity_definition").name: each for each in found
        }

    async def run(self, given: PluginBatch) -> BatchResult:
        return await self.env.run(self.by_name[BATCH], given)


async def test_a_batch_renders_what_a_call_takes() -> None:
    result = await Env().run(batch(writing("a", "out"), reading("b", "v")))

    first, second = result.outcomes
    assert first.outputs == {"out": "a"}
    assert second.outputs == {"out": "b<a>"}
    assert second.inputs == {"x": "<a>", "_loop": 1, "_inner_loop": 1}


async def test_a_later_call_that_must_begin_again_is_left_out() -> None:
    result = await Env().run(batch(call("a"), call("busy"), call("c")))

    assert [each.kind for each in result.outcomes] == ["done"]


async def test_a_first_call_that_must_begin_again_is_repeated_by_the_server() -> None:
    with pytest.raises(ApplicationError) as caught:
        await Env().run(batch(call("busy"), call("b")))

    assert caught.value.next_retry_delay is not None
    assert caught.value.next_retry_delay.total_seconds() == 7


async def test_a_batch_that_is_cancelled_tells_what_has_ended() -> None:
    worker = Env()
    running = asyncio.ensure_future(worker.run(batch(call("a"), call("stuck"), call("c"))))
    await worker.heard.wait()

    worker.env.cancel()
    result = await running

    assert [each.outputs for each in result.outcomes] == [{"out": "a"}]


async def test_no_call_starts_after_its_time() -> None:
    result = await Env().run(batch(call("a"), call("b"), limit_ms=0))

    assert len(result.outcomes) == 1
