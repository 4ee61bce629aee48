"""A worker that uses a fake BlueKing platform, and the receiver that the platform calls back."""

import secrets
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import JsonValue
from temporalio.client import Client

from activities.blueking.plugins import plugins
from activities.expressions import Sandbox
from activities.registry import Registry
from tests.helpers.flows import Run, worker_on
from translator.plan import Plan
from workers.fake_blueking import Platform, Served, free_port, serving
from workers.plans import PlanLoader
from workers.receiver.serving import receiving
from workers.settings import load_settings
from workers.store import Store
from workers.worker import http_client, worker_parts


@dataclass
class Site:
    """A fake platform, a worker that uses it, and a receiver that it calls back."""

    client: Client
    queue: str
    store: Store
    served: Served

    @property
    def platform(self) -> Platform:
        """The platform."""
        return self.served.platform

    async def start(self, chosen: Plan, **inputs: JsonValue) -> Run:
        """Start a run that ends with the first node that fails."""
        digest = self.store.save_plan(chosen)
        given = {
            "template": chosen.template_key,
            "digest": digest,
            "operator": "admin",
            "inputs": inputs,
            "project": {"bk_biz_id": 2},
            "on_failure": "fail",
        }
        name = f"job-{secrets.token_hex(5)}"
        return await self.client.start_workflow("RunFlow", given, id=name, task_queue=self.queue)


@asynccontextmanager
async def blueking_site(
    client: Client, folder: Path, platform: Platform, pace: int, **table: JsonValue
) -> AsyncGenerator[Site]:
    """Run a worker as long as the context lasts; it calls at most `pace` times a second.

    `table` are further settings of BlueKing; `{bk}` in them is the platform's address.
    """
    async with serving(platform) as served:
        chosen = served.worker_settings(free_port())
        more = {key: _placed(value, served.url) for key, value in table.items()}
        plugin = {**served.settings, "calls_per_second": pace, "file_manager": "job_repo", **more}
        given = {
            **chosen,
            "plugins": {"blueking": plugin},
            "task_queue": f"bk-{secrets.token_hex(3)}",
            "store_url": f"sqlite:///{folder / 'store.db'}",
            "data_dir": folder,
            "http_allow": ("127.0.0.1",),
        }
        settings = load_settings(**given)
        with Store.open(settings.store_url) as store:
            loader = PlanLoader(store, Registry(plugins()), settings)
            async with (
                Sandbox(processes=1) as sandbox,
                http_client(settings) as http,
                receiving(client, settings, store, loader.keys),
            ):
                parts = worker_parts(Registry(plugins()), sandbox, loader, http)
                async with worker_on(client, settings.task_queue, parts, 600):
                    yield Site(client, settings.task_queue, store, served)


def _placed(value: JsonValue, url: str) -> JsonValue:
    return value.replace("{bk}", url) if isinstance(value, str) else value
