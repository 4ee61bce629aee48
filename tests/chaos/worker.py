"""A worker, or a receiver of callbacks, in a process of its own, there to be killed.

`python -m tests.chaos.worker worker|receiver SETTINGS SERVICE_URL TEMPORAL_ADDRESS`, the settings
as JSON. It says "ready" when it serves.
"""

import asyncio
import json
import logging
import sys

import structlog

from tests.chaos.flows import registry
from tests.helpers.faulty_service import end_with_parent, say
from workers.client import connect
from workers.receiver.serving import receiving
from workers.secrets import secret_keys
from workers.settings import Settings
from workers.store import Store
from workers.worker import serve


async def main(role: str, settings: Settings, url: str, address: str) -> None:
    """Work, or receive callbacks, until the end comes from outside."""
    end_with_parent()
    client = await connect(settings, address=address)
    with Store.open(settings.store_url) as store:
        if role == "receiver":
            async with receiving(client, settings, store, secret_keys(settings)):
                say("ready")
                await asyncio.Event().wait()
        say("ready")
        await serve(client, settings, store, registry(url), stop=asyncio.Event())


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    logging.getLogger("temporalio").setLevel(logging.ERROR)
    chosen, given, service_url, target = sys.argv[1:]
    asyncio.run(main(chosen, Settings(**json.loads(given)), service_url, target))
