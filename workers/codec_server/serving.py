"""Starts and stops a codec server: its socket and its HTTP server."""

import asyncio
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final, NamedTuple

import structlog

from stdops import StdopsError
from workers import http_serving
from workers.codec import codec_of
from workers.codec_server.access import access_of, require_safe
from workers.codec_server.app import make_app
from workers.http_serving import address_of, server_of
from workers.settings import Settings

_MOST_AT_ONCE: Final = 100
_STOP_S: Final = 5


@asynccontextmanager
async def codec_serving(
    settings: Settings, listener: socket.socket | None = None
) -> AsyncGenerator[str]:
    """Run a codec server for as long as the context lasts; gives the address where it listens.

    `listener` is a socket from `listen`, where the address must be known before.

    Raises:
        StdopsError: there is no key or no token, or the port cannot be had (SOP519).
    """
    codec = codec_of(settings)
    require_safe(settings, codec)
    with listener or listen(settings) as bound:
        app = make_app(codec, access_of(settings))
        server = server_of(app, most_at_once=_MOST_AT_ONCE, stop_s=_STOP_S)
        serving = asyncio.create_task(server.serve(sockets=[bound]))
        address = address_of(bound)
        log = structlog.get_logger(__name__)
        log.info("workers.codec_server_started", address=address, keys=list(codec.key_ids))
        try:
            yield address
        finally:
            server.should_exit = True
            await asyncio.wait((serving,), timeout=_STOP_S)
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)


class Beside(NamedTuple):
    """A codec server beside an embedded server, whose Web UI must know it before it starts.

    `endpoint` is "" where nothing is encrypted, and no server needed.
    """

    endpoint: str
    listener: socket.socket | None = None

    @asynccontextmanager
    async def serving(self, settings: Settings) -> AsyncGenerator[None]:
        """Run it for as long as the context lasts; `settings` know the Web UI by now."""
        if self.listener is None:
            yield
            return
        async with codec_serving(settings, self.listener):
            yield


def codec_beside(settings: Settings) -> Beside:
    """Return a codec server to run beside an embedded one, its port taken already.

    Raises:
        StdopsError: the port cannot be had (SOP519), or the keys cannot be read (SOP513).
    """
    if not codec_of(settings).encrypts:
        return Beside("")
    listener = listen(settings)
    return Beside(address_of(listener), listener)


def listen(settings: Settings) -> socket.socket:
    """Return the socket of a codec server.

    Raises:
        StdopsError: the port cannot be had (SOP519).
    """
    host, port = settings.codec_host, settings.codec_port
    try:
        return http_serving.listen(host, port, _MOST_AT_ONCE)
    except OSError as error:
        what = f"the codec server cannot listen: {error.strerror}"
        fix = "free the port, or set STDOPS_CODEC_PORT and STDOPS_CODEC_HOST"
        raise StdopsError("SOP519", what, where=f"{host}:{port}", fix=fix) from None
