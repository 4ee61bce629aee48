"""The client itself: checks where a request goes, bounds its answer in size and time, logs it."""

import asyncio
import logging
import re
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractContextManager, aclosing, nullcontext
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Final, TypeAlias, cast

import httpx
import structlog
from structlog.typing import FilteringBoundLogger

from activities.http_client.destinations import Destinations
from activities.http_client.faults import (
    BodyTooLargeError,
    DestinationRefusedError,
    mark_taken,
    shown_headers,
    shown_url,
)
from activities.http_client.network import NetworkTransport

HttpClient: TypeAlias = httpx.AsyncClient
Watch: TypeAlias = Callable[[str, str], AbstractContextManager[Callable[[int], None]]]
"""Given method and address (without anything secret), a context for the request as it is under way;
what it gives is told the answer's status."""

MAX_BODY_BYTES: Final = 10 * 1024 * 1024
MAX_REQUEST_S: Final = 300.0
"""How long one request may last altogether, from the look-up to the last byte of its answer."""
TIMEOUT_S: Final = 30.0

_HOST: Final = re.compile(r"[\w.:-]+", re.ASCII)

_log: FilteringBoundLogger = structlog.get_logger(__name__)


def _unwatched(_method: str, _url: str) -> AbstractContextManager[Callable[[int], None]]:
    return nullcontext(lambda _status: None)


def create_client(  # noqa: PLR0913  each has its default, and is given by name
    *,
    transport: httpx.AsyncBaseTransport | None = None,
    timeout_s: float = TIMEOUT_S,
    max_body_bytes: int = MAX_BODY_BYTES,
    max_request_s: float = MAX_REQUEST_S,
    verify: bool = True,
    destinations: Destinations = Destinations(),  # noqa: B008  immutable
    watch: Watch = _unwatched,
) -> HttpClient:
    """Return the client that all plugins of a worker share; the caller closes it.

    Args:
        transport: what really sends; None is the network.
        timeout_s: default limit in seconds of each phase of a request; a plugin may set its own.
        max_body_bytes: largest answer, counted after decompression.
        max_request_s: limit in seconds of a request as a whole; an answer that trickles ends too.
        verify: check the certificates of the other side.
        destinations: where requests may go; by default not to the worker's own machine.
        watch: sees each request under way, one that follows a redirect too; for traces.
    """
    # httpx logs whole addresses at info, with whatever secret stands in their query
    logging.getLogger("httpx").setLevel(logging.WARNING)
    inner = transport or NetworkTransport(destinations, verify=verify)
    return httpx.AsyncClient(
        transport=_GuardedTransport(inner, max_body_bytes, max_request_s, watch),
        timeout=timeout_s,
        trust_env=False,  # proxies of the environment would go round the checks
        # kept cookies would carry the session of one run into the next
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        max_redirects=5,
        headers={"user-agent": "stdops"},
    )


def check_destination(url: httpx.URL) -> None:
    """Refuse addresses that a plugin may not reach; called for each request and each redirect.

    Raises:
        DestinationRefusedError: when the address is not plain HTTP(S) with a host.
    """
    host = url.raw_host.decode("ascii", "replace")
    if url.scheme not in {"http", "https"} or not _HOST.fullmatch(host):
        raise DestinationRefusedError(
            f"address {shown_url(url)!r} is not an http:// or https:// address with a host; "
            "write it in full"
        )


class _GuardedTransport(httpx.AsyncBaseTransport):
    """Checks where a request goes, logs it, and reads its answer up to a limit."""

    def __init__(
        self,
        inner: httpx.AsyncBaseTransport,
        max_body_bytes: int,
        max_request_s: float,
        watch: Watch,
    ) -> None:
        self._inner = inner
        self._max_body_bytes = max_body_bytes
        self._max_request_s = max_request_s
        self._watch = watch

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send `request` and return its answer, read and decoded."""
        check_destination(request.url)
        with self._watch(request.method, shown_url(request.url)) as answered:
            response, body = await self._within_limit(request)
            answered(response.status_code)
        _log.debug(
            "activities.http_answered",
            method=request.method,
            url=shown_url(request.url),
            status=response.status_code,
            size_bytes=len(body),
            headers=shown_headers(request.headers),
        )
        answer = _decoded(response, body)
        mark_taken(request, answer)
        return answer

    async def aclose(self) -> None:
        """Close the connections."""
        await self._inner.aclose()

    async def _within_limit(self, request: httpx.Request) -> tuple[httpx.Response, bytes]:
        try:
            async with asyncio.timeout(self._max_request_s):
                return await self._exchange(request)
        except TimeoutError:
            raise httpx.ReadTimeout(f"no end within {self._max_request_s:g} s") from None

    async def _exchange(self, request: httpx.Request) -> tuple[httpx.Response, bytes]:
        response = await self._inner.handle_async_request(request)
        response.request = request  # so that a fault of its body names its address
        try:
            return response, await self._read(response)
        finally:
            await response.aclose()

    async def _read(self, response: httpx.Response) -> bytes:
        body = bytearray()
        # an async generator, whatever httpx says; closing it at once frees the connection
        source = cast("AsyncGenerator[bytes, None]", response.aiter_bytes())
        async with aclosing(source) as chunks:
            async for chunk in chunks:
                body += chunk
                if len(body) > self._max_body_bytes:
                    raise BodyTooLargeError(
                        f"the answer is larger than {self._max_body_bytes} bytes; "
                        "ask for less of it",
                        response.request,
                    )
        return bytes(body)


def _decoded(response: httpx.Response, body: bytes) -> httpx.Response:
    gone = {b"content-encoding", b"content-length", b"transfer-encoding"}
    # as bytes: a name in Chinese in one of them could not be written back as text
    headers = [(k, v) for k, v in response.headers.raw if k.lower() not in gone]
    return httpx.Response(
        response.status_code,
        headers=headers,
        content=body,
        extensions={k: v for k, v in response.extensions.items() if k != "network_stream"},
    )
