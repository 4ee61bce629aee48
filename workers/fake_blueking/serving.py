"""Puts the platform behind a socket of this machine."""

import asyncio
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, Final, NamedTuple

import uvicorn
from pydantic import JsonValue

from stdops import StdopsError
from workers.fake_blueking.app import make_app
from workers.fake_blueking.platform import Platform
from workers.fake_blueking.world import APP_CODE, APP_SECRET
from workers.http_serving import Server

_HOST: Final = "127.0.0.1"
_BACKLOG: Final = 512
_STOP_S: Final = 2


class Served(NamedTuple):
    """A platform and the address at which it answers."""

    platform: Platform
    url: str

    def worker_settings(self, receiver_port: int) -> dict[str, Any]:
        """Return the settings by which a worker of this machine uses it, and is called back."""
        return {
            "plugins": {"blueking": self.settings},
            "project": {"bk_biz_id": 2, "bk_biz_name": "Shop", "project_name": "Shop"},
            "receiver_port": receiver_port,
            "callback_url": f"http://{_HOST}:{receiver_port}",
        }

    @property
    def settings(self) -> dict[str, JsonValue]:
        """What the workers' settings of BlueKing must say to reach it: the table `blueking`."""
        return {
            "esb_url": self.url,
            "gateway_url": f"{self.url}/gateway/{{api_name}}",
            "app_code": APP_CODE,
            "app_secret": APP_SECRET,
            "job_url": f"{self.url}/job",
            "nodeman_url": f"{self.url}/nodeman",
            "nodemgr_url": f"{self.url}/nodemgr",
            "gsekit_url": f"{self.url}/gsekit",
        }


@asynccontextmanager
async def serving(platform: Platform, port: int = 0) -> AsyncGenerator[Served]:
    """Serve a platform for as long as the context lasts; port 0 takes a free one.

    Raises:
        StdopsError: the port cannot be had (SOP514).
    """
    try:
        listener = socket.create_server((_HOST, port), backlog=_BACKLOG)
    except OSError as error:
        raise StdopsError(
            "SOP514",
            f"the fake BlueKing platform cannot listen: {error.strerror}",
            where=f"{_HOST}:{port}",
            fix="free the port, or take another one",
        ) from None
    with listener:
        platform.world.url = f"http://{_HOST}:{listener.getsockname()[1]}"
        server = Server(_config(make_app(platform)))
        running = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield Served(platform, platform.world.url)
        finally:
            server.should_exit = True
            await asyncio.wait((running,), timeout=_STOP_S)
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


def free_port() -> int:
    """Return a port of this machine that nothing listens on now."""
    with socket.create_server((_HOST, 0)) as listener:
        return listener.getsockname()[1]


def _config(app: object) -> uvicorn.Config:
    return uvicorn.Config(
        app,  # pyright: ignore[reportArgumentType]  # its own type names every kind of ASGI
        log_config=None,
        access_log=False,
        lifespan="on",
        timeout_graceful_shutdown=1,
    )
