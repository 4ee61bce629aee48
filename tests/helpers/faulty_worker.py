"""A worker in a process of its own, whose plugins work with the faulty service.

`python -m tests.helpers.faulty_worker worker|receiver SETTINGS SERVICE_URL TEMPORAL_ADDRESS`, the
settings as JSON. It says "ready" when it serves, and is there to be killed.
"""

import asyncio
import json
import logging
import sys
from collections.abc import Callable, Sequence
from typing import Final

import structlog
from pydantic import JsonValue

from activities.registry import Registry
from activities.sdk import AnyPlugin, Call, Inputs, Outputs, StillRunning, plugin
from tests.helpers.build import task
from tests.helpers.faulty_service import end_with_parent, say
from tests.helpers.flows import plan, told
from translator.plan import Plan
from workers.client import connect
from workers.receiver.serving import receiving
from workers.secrets import secret_keys
from workers.settings import Settings
from workers.store import Store
from workers.worker import serve

HEARTBEAT_S: Final = 5
OFTEN_S: Final = 0.4
SELDOM_S: Final = 2.0

ONCE: Final = ("watched", "called")
"""Plugins whose call may not be repeated; of the other two the service knows the key."""
CODES: Final = ("watched", "found", "called", "either")


class Nothing(Inputs):
    pass


class Result(Outputs):
    result: str = ""
    job: int | None = None


def plugins(url: str) -> Sequence[AnyPlugin]:
    """Return four plugins: polled, found again by its key, called back, and all of it."""
    return (
        worker_plugin(url, "watched", idempotent=False, called_back=False, look_s=OFTEN_S),
        worker_plugin(url, "found", idempotent=True, called_back=False, look_s=OFTEN_S),
        worker_plugin(url, "called", idempotent=False, called_back=True, look_s=SELDOM_S),
        worker_plugin(url, "either", idempotent=True, called_back=True, look_s=OFTEN_S),
    )


def worker_plugin(
    url: str, code: str, *, idempotent: bool, called_back: bool, look_s: float
) -> AnyPlugin:
    """Return a plugin that starts work at the service and polls it, called back or not."""

    @plugin(code, idempotent=idempotent, heartbeat_s=HEARTBEAT_S, timeout_s=20)
    async def start(call: Call[Nothing]) -> Result:
        wanted = {"key": call.key, "once": idempotent}
        if called_back:
            wanted["callback"] = call.callback_url
        answer = await call.http.post(f"{url}/start", json=wanted)
        answer.raise_for_status()
        job = answer.json()["job"]
        call.note(f"job {job}")
        raise StillRunning(job, look_s, {"job": job})

    @start.poll
    async def _(call: Call[Nothing], handle: JsonValue) -> Result:
        answer = await call.http.get(f"{url}/job/{handle}")
        answer.raise_for_status()
        seen = answer.json()
        if not seen["done"]:
            raise StillRunning(after_s=look_s)
        return Result(result=seen["result"])

    @start.stop
    async def _(call: Call[Nothing], handle: JsonValue) -> None:
        (await call.http.post(f"{url}/stop/{handle}")).raise_for_status()

    if called_back:

        @start.callback
        async def _(call: Call[Nothing], data: JsonValue) -> Result:
            assert isinstance(data, dict)
            return Result(result=str(data["result"]))

    return start


def flow() -> Plan:
    """Return a plan with each plugin in a branch of its own."""
    branches = [f"fork {code} join" for code in CODES[1:]]
    return plan(
        "start fork watched join end",
        *branches,
        nodes=[task(code, code=code) for code in CODES],
        variables=[told(f"{code}_result", code, "result") for code in CODES],
        outputs=[f"{code}_result" for code in CODES],
    )


async def main(role: str, settings: Settings, registry: Registry, address: str) -> None:
    """Work, or receive callbacks, until the end comes from outside."""
    end_with_parent()
    client = await connect(settings, address=address)
    with Store.open(settings.store_url) as store:
        if role == "receiver":
            async with receiving(client, settings, store, secret_keys(settings)):
                say("ready")
                await asyncio.Event().wait()
        say("ready")
        await serve(client, settings, store, registry, stop=asyncio.Event())


def run(registry_of: Callable[[str], Registry]) -> None:
    """Be the process that the command line asks for; its plugins work with a service's address."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    logging.getLogger("temporalio").setLevel(logging.ERROR)
    role, given, url, address = sys.argv[1:]
    asyncio.run(main(role, Settings(**json.loads(given)), registry_of(url), address))


if __name__ == "__main__":
    run(lambda url: Registry(plugins(url)))
