"""Several jobs of one node: all started together, watched until the last has ended.

Source: plugins' reference, section 3.2, batch poll protocol; differs: a look that gets no answer is
repeated instead of counting as a failed job, every failed job is told at the end and not only
those of the last look, and a node of which some request was refused fails in every version.
"""

import asyncio
from collections.abc import Sequence
from typing import Any, Final, NamedTuple, NoReturn, cast

import httpx
from pydantic import JsonValue

from activities.blueking.catalogue import blueking
from activities.blueking.client import BlueKing, Json, as_object, texts_of
from activities.blueking.form import Form, Written
from activities.blueking.job.instance import SUCCEEDED, UNDER_WAY, Job, page_of, status_of, stop_job
from activities.blueking.scope import job_scope
from activities.calls import Call, PluginError, StillRunning
from activities.http_client import fault_of
from activities.sdk import AnyPlugin

LOOK_S: Final = 5.0
_TRANSFER: Final = "jobv3.fast_transfer_file"


class Batch(NamedTuple):
    """The jobs of a node: where JOB keeps them, which go on or have failed, what was refused."""

    scope: Json
    running: list[int]
    failed: list[int]
    refused: list[str]


async def start_batch(
    bk: BlueKing, call: Call[Form], requests: Sequence[Json], api: str = _TRANSFER
) -> NoReturn:
    """Start a job a request.

    Raises:
        StillRunning: at least one was started.
        PluginError: none was; it may be tried again where JOB has surely taken none.
    """
    answers = await bk.at_once(lambda request: bk.object(api, request), requests)
    numbers = [
        a["job_instance_id"] for a in answers if isinstance(a, dict) and "job_instance_id" in a
    ]
    errors = [answer for answer in answers if isinstance(answer, Exception)]
    refused = [_told(error) for error in errors]
    if not numbers:
        surely = bool(errors) and all(map(_not_taken, errors))
        raise PluginError("Request Error:\n" + "\n".join(refused), retryable=surely)
    running = cast("list[int]", numbers)
    scope = {key: requests[0][key] for key in job_scope(0)}
    call.note(f"JOB {', '.join(map(str, running[:3]))}{' …' if len(running) > 3 else ''}")  # noqa: PLR2004  as many as fit
    known: Json = {
        "task_count": len(requests),
        "job_instance_id_list": [*running],
        "job_inst_url": [page_of(bk, number) for number in running],
        "request_success_count": len(running),
        "success_count": 0,
    }
    handle = Batch(scope, running, [], refused)._asdict()
    raise StillRunning(handle, after_s=LOOK_S, outputs=known)


async def look_at_batch(bk: BlueKing, call: Call[Form], handle: JsonValue) -> Written:
    """Look at the jobs that go on.

    Raises:
        StillRunning: some go on.
        PluginError: all have ended, and not all of them well.
    """
    batch = Batch(**cast("dict[str, Any]", handle))
    found = await asyncio.gather(*(status_of(bk, Job(batch.scope, n)) for n in batch.running))
    states = [as_object(details.get("job_instance")).get("status") for details in found]
    seen = list(zip(batch.running, states, strict=True))
    failed = [*batch.failed, *(n for n, s in seen if s not in UNDER_WAY and s != SUCCEEDED)]
    running = [number for number, state in seen if state in UNDER_WAY]
    good = cast("int", call.outputs.get("success_count", 0))
    outputs: Json = {**call.outputs, "success_count": good + states.count(SUCCEEDED)}
    if running:
        onward = batch._replace(running=running, failed=failed)._asdict()
        raise StillRunning(onward, after_s=LOOK_S, outputs=outputs)
    if failed or batch.refused:
        pages = [page_of(bk, number) for number in failed]
        told = [f"任务执行失败，前往作业平台(JOB)查看详情: {page}" for page in pages]
        text = "\n".join([*batch.refused, *told])
        raise PluginError(text, outputs={**outputs, "failure_inst_url": [*pages]})
    return Written.model_validate(outputs)


def with_batch(plugin: AnyPlugin) -> AnyPlugin:
    """Add to a component that starts several jobs what follows: looks, stop."""

    @plugin.poll
    async def poll(call: Call[Form], handle: JsonValue) -> Written:
        return await look_at_batch(blueking(call), call, handle)

    @plugin.stop
    async def stop(call: Call[Form], handle: JsonValue) -> None:
        batch = Batch(**cast("dict[str, Any]", handle))
        bk = blueking(call)
        ends = await bk.at_once(lambda n: stop_job(bk, Job(batch.scope, n)), batch.running)
        if errors := texts_of(ends):
            raise PluginError("\n".join(errors))

    return plugin


def _told(error: Exception) -> str:
    """Return what an operator reads of a request without a job; a lost answer is told as such."""
    fault = fault_of(error)
    if fault is not None and fault.verdict == "unknown":
        return f"outcome unknown: {fault.what}; look in JOB whether the job was started"
    return fault.what if fault is not None else texts_of([error])[0]


def _not_taken(error: Exception) -> bool:
    fault = fault_of(error) if isinstance(error, httpx.HTTPError) else None
    return fault is not None and fault.verdict == "not_taken"
