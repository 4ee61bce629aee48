"""Steps that the outside does not take: the server waits as asked, and people are told why."""

import asyncio
import secrets
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from pydantic import JsonValue
from temporalio.client import Client

from activities.expressions import Sandbox
from activities.registry import Registry
from activities.sdk import AnyPlugin, Call, Inputs, Outputs, StillRunning, plugin
from tests.helpers import build
from tests.helpers.faulty import Exchange, serving
from tests.helpers.flows import Run, plan, result, verb, worker_on
from workers.client import Runs
from workers.plans import PlanLoader
from workers.settings import Settings
from workers.store import Store
from workers.troubles import Trouble
from workers.worker import http_client, worker_parts

WAIT_S = 30


class Address(Inputs):
    url: str = ""
    look_url: str = ""


class Nothing(Outputs):
    pass


def job() -> AnyPlugin:
    @plugin("job", heartbeat_s=5)
    async def start(call: Call[Address]) -> Nothing:
        (await call.http.post(call.inputs.url)).raise_for_status()
        if call.inputs.look_url:
            raise StillRunning("job 7", 0.1)
        return Nothing()

    @start.poll
    async def _(call: Call[Address], handle: JsonValue) -> Nothing:
        (await call.http.get(call.inputs.look_url)).raise_for_status()
        return Nothing()

    return start


@asynccontextmanager
async def running(
    client: Client, folder: Path, **inputs: JsonValue
) -> AsyncGenerator[tuple[Run, Runs]]:
    """Run a flow of one job, with a worker whose plugins may reach this machine."""
    made = plan("start job end", nodes=[build.task("job", code="job", inputs=inputs)])
    queue = f"backoff-{secrets.token_hex(3)}"
    url = f"sqlite:///{folder / 'store.db'}"
    settings = Settings(task_queue=queue, store_url=url, data_dir=folder, http_allow=("127.0.0.1",))
    registry = Registry([job()])
    with Store.open(url) as store:
        given = {"template": "flow", "digest": store.save_plan(made), "operator": "tester"}
        async with Sandbox(processes=1) as sandbox, http_client(settings) as http:
            parts = worker_parts(registry, sandbox, PlanLoader(store, registry, settings), http)
            async with worker_on(client, queue, parts, 100):
                run = await client.start_workflow("RunFlow", given, id=queue, task_queue=queue)
                yield run, Runs(client, settings)


async def trouble_of(runs: Runs, run: Run, fits: Callable[[Trouble], bool]) -> Trouble:
    """Wait until the server knows of a trouble that fits."""
    async with asyncio.timeout(WAIT_S):
        while True:
            for found in await runs.troubles(run.id):
                if fits(found):
                    return found


def busy_until(number: int, *, retry_after: int) -> Any:
    """Answer 503 with Retry-After before the request with that number, and then well."""
    seen: list[str] = []

    async def serve(exchange: Exchange) -> None:
        seen.append(exchange.line)
        if len(seen) < number:
            await exchange.answer("503 Service Unavailable", retry_after=str(retry_after))
        else:
            await exchange.answer("200 OK")

    return serve


async def test_a_busy_outside_is_asked_again_when_it_said_and_people_see_why(
    client: Client, tmp_path: Path
) -> None:
    async with (
        serving(busy_until(2, retry_after=3)) as outside,
        running(client, tmp_path, url=outside.url) as (run, runs),
    ):
        found = await trouble_of(runs, run, lambda each: each.next_at is not None)
        [waits] = (await run.describe()).raw_description.pending_activities
        ended = await result(run)

    tried_at = waits.last_attempt_complete_time.ToDatetime()
    pause = waits.next_attempt_schedule_time.ToDatetime() - tried_at
    assert (found.node, found.step, found.attempt) == ("job", "call", 2)
    assert "answered 503 Service Unavailable" in found.reason
    assert timedelta(seconds=2.9) < pause < timedelta(seconds=3.1)
    assert ended["state"] == "finished"
    assert outside.opened == 2


async def test_a_poll_that_does_not_reach_the_outside_says_so_while_it_goes_on(
    client: Client, tmp_path: Path
) -> None:
    async with serving(busy_until(0, retry_after=0)) as gone:
        look_url = gone.url
    async with (
        serving(busy_until(0, retry_after=0)) as outside,
        running(client, tmp_path, url=outside.url, look_url=look_url) as (run, runs),
    ):
        found = await trouble_of(runs, run, lambda each: each.attempt > 1)
        await verb(run, "revoke")
        await result(run)

    assert (found.node, found.step) == ("job", "poll")
    assert found.reason.startswith("no connection: ")
