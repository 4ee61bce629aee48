"""The one HTTP client of a worker: bounded, redacted, and without retries of its own.

Temporal retries, so that nothing is asked twice without anybody knowing. What a failed request
means for the work behind it is decided here, in one place: refused, surely not taken, or unknown.
"""

import logging
import re
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final, Literal, NamedTuple, TypeAlias, cast

import httpx
import structlog
from structlog.typing import FilteringBoundLogger

HttpClient: TypeAlias = httpx.AsyncClient
Verdict: TypeAlias = Literal["refused", "broken", "not_taken", "unknown"]

MAX_BODY_BYTES: Final = 10 * 1024 * 1024
TIMEOUT_S: Final = 30.0
MAX_RETRY_AFTER_S: Final = 3600.0
HIDDEN: Final = "******"

_SECRET_NAME: Final = re.compile(
    r"authori[sz]ation|cookie|token|secret|passw|credential|api[-_]?key|app[-_]?code|ticket",
    re.IGNORECASE,
)
_HOST: Final = re.compile(r"[\w.:-]+", re.ASCII)
_SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
_NEVER_SENT: Final = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
)
_LOST: Final = (httpx.NetworkError, httpx.TimeoutException, httpx.RemoteProtocolError)
_GATEWAY_STATUSES: Final = frozenset({502, 504})

_log: FilteringBoundLogger = structlog.get_logger(__name__)


class BodyTooLargeError(Exception):
    """An answer is larger than a worker reads."""


class DestinationRefusedError(Exception):
    """A request goes where requests may not go."""


class HttpFault(NamedTuple):
    """What a failed request means.

    `verdict`: the other side has refused it; it answered that it broke down; the request was surely
    not taken, so that it may be sent again (after `after_s` seconds where the other side said so);
    or nobody knows. `where` is the method and address, without anything secret.
    """

    verdict: Verdict
    what: str
    where: str = ""
    after_s: float | None = None


def create_client(
    *,
    transport: httpx.AsyncBaseTransport | None = None,
    timeout_s: float = TIMEOUT_S,
    max_body_bytes: int = MAX_BODY_BYTES,
    verify: bool = True,
) -> HttpClient:
    """Return the client that all plugins of a worker share; the caller closes it.

    Args:
        transport: what really sends; None is the network.
        timeout_s: default limit in seconds of each phase of a request; a plugin may set its own.
        max_body_bytes: largest answer, counted after decompression.
        verify: check the certificates of the other side.
    """
    # httpx logs whole addresses at info, with whatever secret stands in their query
    logging.getLogger("httpx").setLevel(logging.WARNING)
    inner = transport or httpx.AsyncHTTPTransport(verify=verify, retries=0)
    return httpx.AsyncClient(
        transport=_GuardedTransport(inner, max_body_bytes),
        timeout=timeout_s,
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


def fault_of(error: BaseException) -> HttpFault | None:
    """Say what `error` means for the request behind it, or None when it is not about a request."""
    match error:
        case httpx.HTTPStatusError():
            return _status_fault(error.response, _where(error))
        case BodyTooLargeError() | DestinationRefusedError() | httpx.InvalidURL():
            return HttpFault("refused", str(error))
        case httpx.TransportError() if isinstance(error, _NEVER_SENT):
            return HttpFault("not_taken", f"no connection: {_reason(error)}", _where(error))
        case httpx.TransportError() if isinstance(error, _LOST):
            return _lost(error)
        case httpx.HTTPError():
            return HttpFault("refused", _reason(error), _where(error))
        case _:
            return None


def retry_after_s(response: httpx.Response) -> float | None:
    """Return how long `response` asks to wait, in seconds, when it says that it took nothing.

    That is status 429, or 503 with a Retry-After; None for every other answer.
    """
    if response.status_code not in {429, 503}:
        return None
    seconds = _seconds(response.headers.get("retry-after", ""))
    if seconds is None:
        return 1.0 if response.status_code == 429 else None  # noqa: PLR2004  a status, read as such
    return min(max(seconds, 1.0), MAX_RETRY_AFTER_S)


def shown_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers with the values of secret-looking ones hidden."""
    return {k: HIDDEN if _SECRET_NAME.search(k) else v for k, v in headers.items()}


def shown_url(url: httpx.URL) -> str:
    """Return the address without user, password and query."""
    return str(url.copy_with(username=None, password=None, query=None, fragment=None))


class _GuardedTransport(httpx.AsyncBaseTransport):
    """Checks where a request goes, logs it, and reads its answer up to a limit."""

    def __init__(self, inner: httpx.AsyncBaseTransport, max_body_bytes: int) -> None:
        self._inner = inner
        self._max_body_bytes = max_body_bytes

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send `request` and return its answer, read and decoded."""
        check_destination(request.url)
        response = await self._inner.handle_async_request(request)
        try:
            body = await self._read(response)
        finally:
            await response.aclose()
        _log.debug(
            "activities.http_answered",
            method=request.method,
            url=shown_url(request.url),
            status=response.status_code,
            size_bytes=len(body),
            headers=shown_headers(request.headers),
        )
        return _decoded(response, body)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._inner.aclose()

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
                        "ask for less of it"
                    )
        return bytes(body)


def _decoded(response: httpx.Response, body: bytes) -> httpx.Response:
    gone = {"content-encoding", "content-length", "transfer-encoding"}
    headers = [(k, v) for k, v in response.headers.multi_items() if k.lower() not in gone]
    return httpx.Response(
        response.status_code,
        headers=headers,
        content=body,
        extensions={k: v for k, v in response.extensions.items() if k != "network_stream"},
    )


def _status_fault(response: httpx.Response, where: str) -> HttpFault:
    what = f"{where} answered {response.status_code} {response.reason_phrase}".rstrip()
    after_s = retry_after_s(response)
    if after_s is not None:
        return HttpFault("not_taken", what, where, after_s)
    if response.status_code in _GATEWAY_STATUSES and not _is_safe(response.request):
        return HttpFault("unknown", what, where)
    return HttpFault("broken" if response.is_server_error else "refused", what, where)


def _lost(error: httpx.TransportError) -> HttpFault:
    """Nothing was changed by a request that only reads, so it counts as not taken."""
    request = _request_of(error)
    verdict: Verdict = "not_taken" if request is not None and _is_safe(request) else "unknown"
    return HttpFault(verdict, f"no answer: {_reason(error)}", _where(error))


def _is_safe(request: httpx.Request) -> bool:
    return request.method.upper() in _SAFE_METHODS


def _request_of(error: httpx.HTTPError) -> httpx.Request | None:
    try:
        return error.request
    except RuntimeError:  # httpx's way to say that there is none
        return None


def _where(error: httpx.HTTPError) -> str:
    request = _request_of(error)
    return f"{request.method} {shown_url(request.url)}" if request else ""


def _reason(error: Exception) -> str:
    name = type(error).__name__
    return f"{name}: {error}" if str(error) else name


def _seconds(text: str) -> float | None:
    """Read a Retry-After: seconds, or a date."""
    if text.strip().isdecimal():
        return float(text)
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return None
    aware = at if at.tzinfo else at.replace(tzinfo=UTC)
    return (aware - datetime.now(UTC)).total_seconds()
