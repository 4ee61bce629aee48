"""Whether a process is alive and ready, over HTTP: `/healthz` and `/readyz`.

Alive is what answers: the event loop turns, and a worker that fails ends its process. Ready is what
can do its work now: the Temporal server and the store answer, and no stop was asked for.
"""

import asyncio
import contextlib
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, NamedTuple

import structlog
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from stdops import SettingsError, StdopsError, __version__
from workers.http_serving import listen, server_of
from workers.settings import Settings, read_listener

if TYPE_CHECKING:
    from temporalio.client import Client

    from workers.store import Store

Check = Callable[[], Awaitable[str]]
"""Asks something; returns "" when all is well, else what is wrong."""

LIMIT_S: Final = 3.0
"""How long one check may take."""

_MOST_AT_ONCE: Final = 50
_STOP_S: Final = 1


class Report(NamedTuple):
    """What the checks found: each by name, "" for what is well."""

    found: Mapping[str, str]

    @property
    def is_well(self) -> bool:
        """Say whether nothing is wrong."""
        return not any(self.found.values())

    @property
    def response(self) -> Response:
        """What is answered: 200 or 503, and each check in words."""
        told = {name: text or "ok" for name, text in self.found.items()}
        body = {"status": "ok" if self.is_well else "unavailable", "checks": told}
        return JSONResponse({**body, "version": __version__}, 200 if self.is_well else 503)


async def examine(checks: Mapping[str, Check]) -> Report:
    """Make all checks at the same time, each within `LIMIT_S`."""
    found = await asyncio.gather(*(_bounded(check) for check in checks.values()))
    return Report(dict(zip(checks, found, strict=True)))


async def _bounded(check: Check) -> str:
    try:
        async with asyncio.timeout(LIMIT_S):
            return await check()
    except TimeoutError:
        return f"no answer within {LIMIT_S:.0f} s"
    except StdopsError as error:
        return str(error)


def checks_of(
    client: "Client", store: "Store | None", stop: asyncio.Event, started: asyncio.Event
) -> dict[str, Check]:
    """Return what makes a worker ready; a worker of plugins alone has no store.

    `started` is set when it takes work, `stop` when it shall take no more.
    """

    async def takes_work() -> str:
        if stop.is_set():
            return "it is stopping: nothing new is taken"
        return "" if started.is_set() else "it is starting"

    async def has_server() -> str:
        return await server_problem(client)

    checks: dict[str, Check] = {"worker": takes_work, "temporal": has_server}
    if store is not None:
        checks["store"] = store_check(store)
    return checks


def store_check(store: "Store") -> Check:
    """Return what asks the store for an answer."""

    async def has_store() -> str:
        await asyncio.to_thread(store.check)
        return ""

    return has_store


async def server_problem(client: "Client") -> str:
    """Return why the Temporal server cannot be used, "" where it can."""
    from temporalio.service import RPCError

    try:
        return "" if await client.service_client.check_health() else "it does not serve now"
    except (RPCError, RuntimeError) as error:  # a lazy client's "cannot connect" is a RuntimeError
        return str(error).partition("\n")[0] or type(error).__name__


def make_app(checks: Mapping[str, Check]) -> Starlette:
    """Return the application with both addresses."""
    return Starlette(routes=routes_of(checks))


def routes_of(checks: Mapping[str, Check]) -> list[Route]:
    """Return both addresses, for an application that has others, too."""

    async def alive(_request: Request) -> Response:
        return JSONResponse({"status": "ok", "version": __version__})

    async def ready(_request: Request) -> Response:
        return (await examine(checks)).response

    return [Route("/healthz", alive, methods=["GET"]), Route("/readyz", ready, methods=["GET"])]


@asynccontextmanager
async def answering(settings: Settings, checks: Mapping[str, Check]) -> AsyncGenerator[None]:
    """Answer at the health address of the settings, if they have one, while the context lasts.

    Raises:
        SettingsError: the address cannot be had (SOP515).
    """
    if not settings.health_address:
        yield
        return
    with _listening(settings.health_address) as listener:
        server = server_of(make_app(checks), most_at_once=_MOST_AT_ONCE, stop_s=_STOP_S)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        structlog.get_logger(__name__).info(
            "workers.health_started", address=settings.health_address
        )
        try:
            yield
        finally:
            server.should_exit = True
            await asyncio.gather(serving, return_exceptions=True)


@contextlib.contextmanager
def _listening(address: str) -> Generator[socket.socket]:
    try:
        listener = listen(*read_listener(address), _MOST_AT_ONCE)
    except OSError as error:
        raise SettingsError(
            "SOP515",
            f"the health address cannot be had: {error.strerror}",
            where=f"STDOPS_HEALTH_ADDRESS={address}",
            fix="free the port, or choose another address; none (empty) answers nowhere",
        ) from None
    with listener:
        yield listener
