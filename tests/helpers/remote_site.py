"""A worker on a real server with the remote plugin alone, and a receiver of callbacks beside it."""

import secrets
import socket
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import JsonValue
from temporalio.client import Client

from activities.builtin.remote_plugin import remote_plugin
from activities.expressions import Sandbox
from activities.registry import Registry
from tests.helpers import build
from tests.helpers.flows import Run, plan, told, worker_on
from translator.plan import Plan
from workers.plans import PlanLoader
from workers.receiver.serving import receiving
from workers.settings import Settings
from workers.store import Store
from workers.worker import http_client, worker_parts


@dataclass
class Site:
    """The worker's queue, and where it keeps plans."""

    client: Client
    settings: Settings
    store: Store

    async def start(self, made: Plan, **fields: JsonValue) -> Run:
        """Start a run of a plan."""
        digest = self.store.save_plan(made)
        given = {"template": made.template_key, "digest": digest, "operator": "ann", **fields}
        name, queue = f"remote-{secrets.token_hex(4)}", self.settings.task_queue
        return await self.client.start_workflow("RunFlow", given, id=name, task_queue=queue)


def flow(inputs: Mapping[str, JsonValue], *outputs: str, **options: bool) -> Plan:
    """Build a flow of one remote plugin, whose outputs of these names become the run's."""
    node = build.task("call", code="remote_plugin", version="1.0.0", inputs=inputs, **options)
    # a variable of its own name would hide what a variable is made of
    variables = [told(f"seen_{name}", "call", name) for name in outputs]
    return plan(
        "start call end",
        nodes=[node],
        variables=variables,
        outputs=[f"seen_{name}" for name in outputs],
    )


@asynccontextmanager
async def open_site(
    client: Client, folder: Path, table: Mapping[str, JsonValue], *, is_called: bool = True
) -> AsyncGenerator[Site]:
    """Run the worker as long as the context lasts; `table` are the remote plugins' settings."""
    port, queue = _free_port(), f"remote-{secrets.token_hex(3)}"
    settings = Settings(
        task_queue=queue,
        store_url=f"sqlite:///{folder / 'store.db'}",
        data_dir=folder,
        callback_url=f"http://127.0.0.1:{port}" if is_called else "",
        receiver_port=port,
        http_allow=("127.0.0.1",),
        plugins={"remote_plugin": dict(table)},
    )
    with Store.open(settings.store_url) as store:
        loader = PlanLoader(store, Registry([remote_plugin]), settings)
        async with (
            Sandbox(processes=1) as sandbox,
            http_client(settings) as http,
            receiving(client, settings, store, loader.keys),
        ):
            parts = worker_parts(Registry([remote_plugin]), sandbox, loader, http)
            async with worker_on(client, queue, parts, 100):
                yield Site(client, settings, store)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]
