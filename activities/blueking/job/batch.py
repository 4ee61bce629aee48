"""Several jobs of one node: all started together, watched until the last has ended.

Source: plugins' reference, section 3.2, batch poll protocol; differs: a look that gets no answer is
repeated instead of counting as a failed job, looks come ever later, every failed job is told at the
end and not only those of the last look, and a node of which some request was refused fails in every
version.
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple, NoReturn, cast

import httpx
from pydantic import JsonValue

from activities.blueking.catalogue import blueking
from activities.blueking.client import BlueKing, Json, texts_of
from activities.blueking.form import Form, Written
from activities.blueking.job.instance import (
    FIRST_LOOK_S,
    SUCCEEDED,
    UNDER_WAY,
    Job,
    failed_text,
    page_of,
    pause_s,
    state_of,
    stop_job,
)
from activities.blueking.job.starting import NO_JOB, scope_fields, start
from activities.calls import Call, OutcomeUnknown, PluginError, StillRunning
from activities.http_client import fault_of
from activities.sdk import AnyPlugin

TRANSFER: Final = "jobv3.fast_transfer_file"
_NOTED: Final = 3
_NO_STATE: Final = -1
_NOTHING: Final = "nothing is to be pushed: the form has no row with files and a target"


class Batch(NamedTuple):
    """The jobs of a node: where JOB keeps them, which go on or have failed, what was refused."""

    scope: Json
    running: list[int]
    failed: list[int]
    refused: list[str]
    looks: int = 0


class _Refused(NamedTuple):
    """Why a request has no job, and whether JOB has surely not taken it."""

    what: str
    surely: bool


async def start_batch(
    bk: BlueKing, call: Call[Form], requests: Sequence[Json], *, findable: bool = False
) -> NoReturn:
    """Start a job a request; `findable`: the jobs' names are theirs alone.

    Raises:
        StillRunning: at least one was started.
        PluginError: none was; it may be tried again where JOB has surely taken none.
    """
    if not requests:
        raise PluginError(_NOTHING)
    answers = await bk.at_once(lambda each: _try(bk, call, each, findable=findable), requests)
    running = [answer for answer in answers if isinstance(answer, int)]
    refused = [
        answer if isinstance(answer, _Refused) else _refusal(answer)
        for answer in answers
        if not isinstance(answer, int)
    ]
    told = [each.what for each in refused]
    if not running:
        raise PluginError(_requests_text(told), retryable=all(each.surely for each in refused))
    call.note(f"JOB {', '.join(map(str, running[:_NOTED]))}{' …' if len(running) > _NOTED else ''}")
    known: Json = {
        "task_count": len(requests),
        "job_instance_id_list": [*running],
        "job_inst_url": [page_of(bk, number) for number in running],
        "request_success_count": len(running),
        "success_count": 0,
    }
    handle = Batch(scope_fields(requests[0]), running, [], told)._asdict()
    raise StillRunning(handle, after_s=FIRST_LOOK_S, outputs=known)


async def look_at_batch(bk: BlueKing, call: Call[Form], handle: JsonValue) -> Written:
    """Look at the jobs that go on.

    Raises:
        StillRunning: some go on.
        PluginError: all have ended, and not all of them well.
    """
    batch = Batch(**cast("dict[str, Any]", handle))
    found = await bk.at_once(lambda each: _state(bk, batch, each), batch.running)
    states = [_state_or_refused(each) for each in found]
    seen = list(zip(batch.running, states, strict=True))
    running = [number for number, state in seen if state in UNDER_WAY]
    failed = [*batch.failed, *(n for n, s in seen if s not in UNDER_WAY and s != SUCCEEDED)]
    good = cast("int", call.outputs.get("success_count", 0))
    outputs: Json = {**call.outputs, "success_count": good + states.count(SUCCEEDED)}
    if running:
        onward = batch._replace(running=running, failed=failed, looks=batch.looks + 1)
        raise StillRunning(onward._asdict(), after_s=pause_s(onward.looks), outputs=outputs)
    if failed or batch.refused:
        pages: list[JsonValue] = [page_of(bk, number) for number in failed]
        lines = [failed_text(bk, number) for number in failed]
        refused = [_requests_text(batch.refused)] if batch.refused else []
        text = "\n".join([*refused, *lines])
        raise PluginError(text, outputs={**outputs, "failure_inst_url": pages})
    return Written.model_validate(outputs)


def with_batch(plugin: AnyPlugin) -> AnyPlugin:
    """Add to a component that starts several jobs what follows: looks, stop."""

    @plugin.poll
    async def poll(call: Call[Form], handle: JsonValue) -> Written:
        return await look_at_batch(blueking(call), call, handle)

    @plugin.stop
    async def stop(call: Call[Form], handle: JsonValue) -> None:
        batch, bk = Batch(**cast("dict[str, Any]", handle)), blueking(call)
        ends = await bk.at_once(lambda each: _end(bk, batch, each), batch.running)
        if errors := texts_of(ends):
            raise PluginError("\n".join(errors))

    return plugin


async def _try(bk: BlueKing, call: Call[Form], request: Json, *, findable: bool) -> int | _Refused:
    """Start one job and return its id; one that may have been started is not surely refused."""
    try:
        started = await start(bk, call, TRANSFER, request, findable=findable)
    except OutcomeUnknown as lost:
        return _Refused(f"outcome unknown: {lost.what}: look at {lost.where}", surely=False)
    number = started.get("job_instance_id")
    return number if isinstance(number, int) else _Refused(NO_JOB, surely=False)


def _refusal(error: PluginError | httpx.HTTPError) -> _Refused:
    fault = fault_of(error)
    if fault is not None:
        return _Refused(fault.what, surely=fault.verdict == "not_taken")
    told = isinstance(error, PluginError)
    return _Refused(error.what if told else str(error), surely=told and error.retryable)


async def _state(bk: BlueKing, batch: Batch, number: int) -> int:
    return await state_of(bk, Job(batch.scope, number))


def _state_or_refused(found: int | PluginError | httpx.HTTPError) -> int:
    """Return the state of a job; one of which JOB tells none counts as failed, as in bk-sops.

    Raises:
        PluginError: nothing is known of it, and JOB may be asked again.
        httpx.HTTPError: JOB has not answered.
    """
    if isinstance(found, int):
        return found
    if isinstance(found, httpx.HTTPError) or found.retryable:
        raise found
    return _NO_STATE


async def _end(bk: BlueKing, batch: Batch, number: int) -> None:
    """Stop a job, unless it has ended: the handle of a stop is as old as the start."""
    if await _state(bk, batch, number) in UNDER_WAY:
        await stop_job(bk, Job(batch.scope, number))


def _requests_text(refused: Sequence[str]) -> str:
    return "\n".join(["Request Error:", *refused])
