import httpx
import pytest
from pydantic import JsonValue

from activities.contract import Done, Failed, Waiting
from activities.sdk import Call, Inputs, Outputs, StillRunning, WaitForCallback, plugin
from activities.steps import TryAgain
from activities.testing import Stage


class CountInputs(Inputs):
    looks: int


class CountOutputs(Outputs):
    seen: int


@plugin("count")
async def count(call: Call[CountInputs]) -> CountOutputs:
    raise StillRunning(0, after_s=2)


@count.poll
async def _(call: Call[CountInputs], handle: JsonValue) -> CountOutputs:
    seen = int(str(handle)) + 1
    call.progress(seen=seen)
    if seen < call.inputs.looks:
        raise StillRunning(seen, after_s=10, outputs=CountOutputs(seen=seen))
    return CountOutputs(seen=seen)


@plugin("approve", multiple_callbacks=True)
async def approve(call: Call[CountInputs]) -> CountOutputs:
    msg = "ticket"
    raise WaitForCallback(msg)


@approve.callback
async def _(call: Call[CountInputs], data: JsonValue) -> CountOutputs:
    seen = int(str(call.outputs.get("seen", 0))) + 1
    if data == "no":
        raise WaitForCallback(outputs={"seen": seen})
    return CountOutputs(seen=seen)


async def test_a_stage_follows_the_polls_and_its_clock_their_delays() -> None:
    async with Stage() as stage:
        outcome = await stage.run(count, {"looks": 3})

    assert outcome == Done(outputs={"seen": 3})
    assert stage.elapsed_s == 2 + 10 + 10
    assert stage.progress == [{"seen": 1}, {"seen": 2}, {"seen": 3}]


async def test_a_stage_hands_over_callbacks_in_order() -> None:
    async with Stage() as stage:
        ended = await stage.run(approve, {"looks": 0}, callbacks=["no", "yes"])
        waits = await stage.run(approve, {"looks": 0}, callbacks=["no"])

    assert ended == Done(outputs={"seen": 2})
    assert waits == Waiting(handle="ticket", outputs={"seen": 1})


async def test_single_steps_can_be_taken() -> None:
    async with Stage() as stage:
        look = await stage.poll(count, {"looks": 9}, 4, {"a": 1})
        told = await stage.callback(approve, {"looks": 0}, "yes", {"seen": 4})
        halted = await stage.stop(count, {"looks": 1}, 0)

    assert isinstance(look, TryAgain)
    assert (look.handle, look.outputs) == (5, {"a": 1, "seen": 5})
    assert told == Done(outputs={"seen": 5})
    assert halted == Done()


async def test_a_stage_without_an_answer_has_no_outside() -> None:
    @plugin("ask")
    async def ask(call: Call[CountInputs]) -> None:
        await call.http.get("http://outside.test/")

    async with Stage() as stage:
        outcome = await stage.run(ask, {"looks": 1})

    assert isinstance(outcome, Failed)
    assert "give Stage an answer" in outcome.error
    assert "gave up after 5 attempts" in outcome.error
    assert stage.elapsed_s == 1 + 2 + 4 + 8


async def test_what_the_plugin_sent_is_kept() -> None:
    @plugin("ask")
    async def ask(call: Call[CountInputs]) -> None:
        await call.http.put("http://outside.test/x", json={"by": call.operator})

    async with Stage(lambda _: httpx.Response(204)) as stage:
        await stage.run(ask, {"looks": 1})

    assert [(r.method, r.content) for r in stage.requests] == [("PUT", b'{"by":"tester"}')]


async def test_a_plugin_that_never_ends_fails_the_test() -> None:
    async with Stage() as stage:
        with pytest.raises(AssertionError, match="has not ended after 1000 steps"):
            await stage.run(count, {"looks": 100_000})
