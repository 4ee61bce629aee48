"""The way out: looks a name up once, judges its addresses, and connects to one that it judged.

Below the connection pool, so that nothing lies between the check and the connection: a name that
means something else a moment later, or another host's kept connection, changes nothing. The name
itself stays what TLS and the Host header are about.
"""

import asyncio
import socket
from collections.abc import Iterable
from typing import Final, TypeAlias, cast

import httpcore
import httpx

from activities.http_client.destinations import Destinations, read_address
from activities.http_client.faults import DestinationRefusedError

Option: TypeAlias = (
    tuple[int, int, int] | tuple[int, int, bytes | bytearray] | tuple[int, int, None, int]
)

MAX_CONNECTIONS: Final = 200
MAX_IDLE: Final = 40
IDLE_S: Final = 5.0

_UNBOUNDED_S: Final = 60.0
"""How long to try where the request sets no limit."""


class NetworkTransport(httpx.AsyncHTTPTransport):
    """httpx's own transport, on connections that go where they may go."""

    def __init__(self, destinations: Destinations, *, verify: bool) -> None:
        super().__init__(verify=verify)
        # httpx offers no way to hand this over; were the name another, the next line would fail
        # to find it, and no client would be made
        self._pool: httpcore.AsyncConnectionPool
        del self._pool
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=httpx.create_ssl_context(verify=verify),
            max_connections=MAX_CONNECTIONS,
            max_keepalive_connections=MAX_IDLE,
            keepalive_expiry=IDLE_S,
            retries=0,
            network_backend=JudgedNetwork(destinations),
        )


class JudgedNetwork(httpcore.AsyncNetworkBackend):
    """Opens connections to addresses that `destinations` lets through."""

    def __init__(self, destinations: Destinations) -> None:
        self._destinations = destinations
        # for a type checker it is what stands in where anyio is missing
        self._network = cast("httpcore.AsyncNetworkBackend", httpcore.AnyIOBackend())

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  as httpcore has it
        local_address: str | None = None,
        socket_options: Iterable[Option] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to a host; its addresses are tried in the system's order.

        Raises:
            DestinationRefusedError: the host, or one of its addresses, may not be reached.
            httpcore.ConnectError: none of them answers.
        """
        refused = self._destinations.host_refusal(host, port)
        if refused:
            raise _refused(host, port, refused)
        loop = asyncio.get_running_loop()
        end = loop.time() + (_UNBOUNDED_S if timeout is None else timeout)
        addresses = await _looked_up(host, port, end - loop.time())
        self._judge(host, port, addresses)
        error: Exception = httpcore.ConnectError(f"{host!r} has no address")
        for number, address in enumerate(addresses):
            share = max(end - loop.time(), 0) / (len(addresses) - number)
            try:
                return await self._network.connect_tcp(
                    address, port, share, local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as failed:
                error = failed
        raise error

    def _judge(self, host: str, port: int, addresses: list[str]) -> None:
        """Refuse a host with any address that is refused: an honest one has none such."""
        for text in addresses:
            why = self._destinations.refusal(host, port, read_address(text))
            if why:
                raise _refused(host, port, why, text)

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109  as httpcore has it
        socket_options: Iterable[Option] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Refuse: a socket of this machine is no destination."""
        del timeout, socket_options
        raise DestinationRefusedError(f"{path!r} is a socket of this machine; name a host")

    async def sleep(self, seconds: float) -> None:
        """Wait, for the pool's own retries (there are none)."""
        await asyncio.sleep(seconds)


async def _looked_up(host: str, port: int, limit_s: float) -> list[str]:
    """Return the addresses of a host, each once.

    Raises:
        httpcore.ConnectError: it has none, or the name service does not answer.
    """
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(limit_s):
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except TimeoutError:
        raise httpcore.ConnectTimeout(f"the name service has not told {host!r} in time") from None
    except OSError as error:
        raise httpcore.ConnectError(f"the host {host!r} is not found: {error.strerror}") from error
    except UnicodeError:  # Python's own idna refuses a label
        raise DestinationRefusedError(f"{host!r} is no host name; correct the address") from None
    return list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))


def _refused(host: str, port: int, why: str, address: str = "") -> DestinationRefusedError:
    at = f" (address {address})" if address not in ("", host) else ""
    return DestinationRefusedError(
        f"requests to {host}:{port}{at} are refused: {why}; whoever runs the workers may allow it "
        "by STDOPS_HTTP_ALLOW"
    )
