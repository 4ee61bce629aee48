"""Starts and stops a receiver: its socket, its HTTP server, its courier."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import structlog

from activities.callbacks import PURPOSE
from stdops import StdopsError
from workers.client import Runs
from workers.health import store_check
from workers.http_serving import address_of, listen, server_of
from workers.receiver.app import make_app
from workers.receiver.courier import Courier, delivery
from workers.receiver.desk import Desk
from workers.settings import Settings

if TYPE_CHECKING:
    from temporalio.client import Client

    from activities.expressions.secrets import Keys
    from workers.store import Store

DEFAULT_PORT: Final = 8234
"""Where a receiver of its own listens if the settings do not say."""

_MOST_AT_ONCE: Final = 200
_DELIVERY_S: Final = 30
_STOP_S: Final = 5
"""How long a stopping receiver lets requests and deliveries end."""


@asynccontextmanager
async def receiving(
    client: "Client", settings: Settings, store: "Store", keys: "Keys"
) -> AsyncGenerator[str]:
    """Run a receiver for as long as the context lasts; gives the address at which it listens.

    Raises:
        StdopsError: the port cannot be had (SOP514).
    """
    port = settings.receiver_port or DEFAULT_PORT
    with _listening(settings.receiver_host, port) as listener:
        courier = Courier(store.inbox, delivery(Runs(client, settings, timeout_s=_DELIVERY_S)))
        desk = Desk(store.inbox, keys.derived(PURPOSE), settings.callback_bytes, _now)
        checks = {"store": store_check(store)}
        app = make_app(desk, urlsplit(settings.callback_url).path, courier.wake, checks)
        server = server_of(app, most_at_once=_MOST_AT_ONCE, stop_s=_STOP_S)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        carrying = asyncio.create_task(courier.run())
        address = address_of(listener)
        structlog.get_logger(__name__).info("workers.receiver_started", address=address)
        try:
            yield address
        finally:
            server.should_exit = True
            courier.stop()
            await asyncio.wait((serving, carrying), timeout=_STOP_S)
            carrying.cancel()
            await asyncio.gather(serving, carrying, return_exceptions=True)
            structlog.get_logger(__name__).info("workers.receiver_stopped", address=address)


@contextlib.contextmanager
def _listening(host: str, port: int) -> Generator[socket.socket]:
    try:
        listener = listen(host, port, _MOST_AT_ONCE)
    except OSError as error:
        raise StdopsError(
            "SOP514",
            f"the receiver of callbacks cannot listen: {error.strerror}",
            where=f"{host}:{port}",
            fix="free the port, or set STDOPS_RECEIVER_PORT and STDOPS_RECEIVER_HOST",
        ) from None
    with listener:
        yield listener


def _now() -> datetime:
    return datetime.now(UTC)
