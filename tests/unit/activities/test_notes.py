"""What a plugin publishes on its node, and outcomes that nobody knows."""

import dataclasses
from typing import Any

import pytest
from pydantic import JsonValue
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.contract import NOTE_CHARS, Done, Failed, OutcomeMessage, PluginCall, Polling
from activities.dispatch import activities
from activities.expressions import Sandbox
from activities.registry import Registry
from activities.sdk import Call, Inputs, OutcomeUnknown, PluginError, Secret, StillRunning, plugin
from activities.steps import TryAgain
from activities.testing import Stage


class JobInputs(Inputs):
    say: str = "JOB 20031"
    token: Secret | None = None
    end: str = "running"


@plugin("job", idempotent=True)
async def job(call: Call[JobInputs]) -> None:
    call.note("first")
    call.note(call.inputs.say)
    match call.inputs.end:
        case "running":
            raise StillRunning(7)
        case "failed":
            raise PluginError("no disk")
        case _:
            return


@job.poll
async def _(call: Call[JobInputs], handle: JsonValue) -> None:
    if call.inputs.end == "running":
        call.note(call.inputs.say)
        raise StillRunning


async def lose(call: Call[JobInputs]) -> None:
    raise OutcomeUnknown("the line went dead", "host web-1")


once = plugin("once")(lose)
often = plugin("often", idempotent=True)(lose)


async def note_of(**inputs: JsonValue) -> str:
    async with Stage() as stage:
        return (await stage.call(job, inputs)).note


@pytest.mark.parametrize("end", ["running", "failed", "done"])
async def test_the_last_note_stands_at_the_node_however_it_ends(end: str) -> None:
    assert await note_of(end=end) == "JOB 20031"


async def test_a_note_is_one_line_that_fits() -> None:
    assert await note_of(say=" a\n b\t") == "a b"
    assert await note_of(say="x" * 500) == "x" * (NOTE_CHARS - 1) + "…"


async def test_a_secret_in_a_note_is_masked_before_it_is_cut() -> None:
    note = await note_of(say="x" * (NOTE_CHARS - 4) + "hush-hush", token="hush-hush")

    assert "hush" not in note
    assert "hus" not in note


async def test_a_note_without_a_say_leaves_the_old_one_alone() -> None:
    async with Stage() as stage:
        outcome = await stage.poll(job, {"end": "done"}, 7)

    assert outcome == Done()


async def test_of_an_outcome_that_is_unknown_the_place_to_look_at_is_told() -> None:
    async with Stage() as stage:
        outcome = await stage.call(once, {})

    assert isinstance(outcome, Failed)
    assert outcome.error == (
        "outcome unknown: the line went dead; the work may or may not have been started: "
        "look at host web-1, then retry or skip"
    )


async def test_an_unknown_outcome_of_an_idempotent_plugin_is_asked_for_again() -> None:
    async with Stage() as stage:
        outcome = await stage.call(often, {})

    assert outcome == TryAgain("no_answer", "the line went dead", outputs={})


async def attempt(beats: list[dict[str, Any]], **fields: Any) -> Any:
    """Take a step as Temporal takes it, after an attempt that left the last of `beats`."""
    env = ActivityEnvironment()
    env.info = dataclasses.replace(
        env.info, activity_type="job", attempt=len(beats) + 1, heartbeat_details=beats[-1:]
    )
    env.on_heartbeat = lambda *details: beats.append(details[0])
    async with Sandbox() as sandbox:
        run = activities(Registry([job]), sandbox)[0]
        result = await env.run(
            run, PluginCall(plugin=job.ref, run="r", node="n", entry=1, **fields)
        )
    assert isinstance(result, OutcomeMessage)
    return result.outcome


async def test_a_note_of_a_look_is_kept_until_the_work_has_ended() -> None:
    beats: list[dict[str, Any]] = []
    started = await attempt(beats, inputs={"say": "JOB 1"})
    with pytest.raises(ApplicationError):
        await attempt(beats, step="poll", handle=7, inputs={"say": "JOB 1, half done"})
    ended = await attempt(beats, step="poll", handle=7, inputs={"end": "done"})

    assert started == Polling(handle=7, after_s=5, note="JOB 1")
    assert beats[-1]["note"] == "JOB 1, half done"
    assert ended == Done(note="JOB 1, half done")
