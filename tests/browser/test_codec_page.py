"""The Web UI on encrypted runs: readable with the codec server, and only with it."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydantic import SecretStr

from activities.registry import discover
from tests.helpers.browser import RunPage
from tests.helpers.site import keep_upgrade
from workers.cli.wiring import Connection, everything, has_worker
from workers.client import StartRequest
from workers.codec import fresh_key
from workers.codec_server.serving import codec_beside
from workers.demo.target import Target
from workers.server import EmbeddedServer, server_binary
from workers.settings import Settings
from workers.store import Store

WORDS = "canary-9e1b-words"


@dataclass(frozen=True, slots=True)
class Encrypted:
    """A server, a worker and a Web UI that was told of the codec server."""

    connection: Connection
    settings: Settings


@asynccontextmanager
async def encrypted(folder: Path) -> AsyncGenerator[Encrypted]:
    settings = Settings(
        data_dir=folder,
        store_url=f"sqlite:///{folder / 'store.db'}",
        codec_keys=SecretStr(fresh_key()),
        codec_port=0,
        graceful_shutdown_s=2,
        http_allow=("127.0.0.1",),
    )
    codec = codec_beside(settings)
    server = EmbeddedServer(ui_port=0, codec_endpoint=codec.endpoint)
    with Store.open(settings.store_url) as store:
        keep_upgrade(store)
        async with everything(settings, server, store, discover()) as connection:
            shown = settings.model_copy(update={"ui_url": server.ui_url})
            async with codec.serving(shown):
                yield Encrypted(connection, shown)


async def until_seen(connection: Connection) -> None:
    """Wait until the server tells of the worker: the page asks no run that has none."""
    async with asyncio.timeout(60):
        while not await has_worker(connection):
            pass  # each answer takes its time
    await connection.runs.list()


@pytest.mark.skipif(server_binary() is None, reason="the server binary is missing")
@pytest.mark.slow
async def test_an_encrypted_run_is_read_in_the_web_ui_by_the_codec_server(
    page: RunPage, target: Target, tmp_path: Path, shots: Path
) -> None:
    async with encrypted(tmp_path) as site:
        inputs = {"target": target.url, "when": WORDS}
        request = StartRequest("upgrade", inputs=inputs, operator="ann")
        started = await site.connection.runs.start(request)

        await until_seen(site.connection)
        await page.open(started.url)
        await page.until("Migrate database")
        await page.shot(shots / "encrypted-page.png")
        await page.page.goto(started.url.replace("/user-metadata", "/timeline"))
        shown = page.page.get_by_text(WORDS).first
        await shown.wait_for()
        await page.page.screenshot(path=shots / "encrypted-timeline.png")
        await page.page.goto(started.url.replace("/user-metadata", "/history"))
        await page.page.get_by_text("Migrate database").first.wait_for()
