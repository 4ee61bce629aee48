"""What went wrong between us and the outside, and what it means for the work behind a request.

Refused, broken down, surely not taken, or unknown: what may be sent again follows from that.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final, Literal, NamedTuple, TypeAlias

import httpx

Verdict: TypeAlias = Literal["refused", "broken", "not_taken", "unknown"]

MAX_RETRY_AFTER_S: Final = 3600.0
HIDDEN: Final = "******"

TAKEN: Final = "stdops.taken"
"""Extension of a request that a redirect has made, and of its answer, where the request before it
was taken: what is lost from then on is not a reason to send all of it again."""

_SECRET_NAME: Final = re.compile(
    r"authori[sz]ation|cookie|token|secret|passw|credential|api[-_]?key|app[-_]?code|ticket",
    re.IGNORECASE,
)
_SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
_NEVER_SENT: Final = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
)
_LOST: Final = (httpx.NetworkError, httpx.TimeoutException, httpx.RemoteProtocolError)
_GATEWAY_STATUSES: Final = frozenset({502, 504})
_TAKING_REDIRECTS: Final = frozenset({301, 302, 303})
"""Those that end a request and send on to its result; 307 and 308 send the request itself on."""


class BodyTooLargeError(Exception):
    """An answer to `request` is larger than a worker reads."""

    def __init__(self, what: str, request: httpx.Request) -> None:
        super().__init__(what)
        self.request = request


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


def fault_of(error: BaseException) -> HttpFault | None:
    """Say what `error` means for the request behind it, or None when it is not about a request."""
    match error:
        case httpx.HTTPStatusError():
            return _status_fault(error.response, _where(error))
        case BodyTooLargeError() | httpx.DecodingError():
            return _unread(error)
        case DestinationRefusedError() | httpx.InvalidURL():
            return HttpFault("refused", str(error))
        case httpx.TransportError() if isinstance(error, _NEVER_SENT + _LOST):
            return _lost(error)
        case httpx.HTTPError():
            return HttpFault("refused", _reason(error), _where(error))
        case _:
            return None


def retry_after_s(response: httpx.Response) -> float | None:
    """Return how long `response` asks to wait, in seconds, when it says that it took nothing.

    That is status 429, or 503 with a Retry-After; None for every other answer, and where an earlier
    answer has only sent us on.
    """
    if response.status_code not in {429, 503} or TAKEN in response.extensions:
        return None
    seconds = _seconds(response.headers.get("retry-after", ""))
    if seconds is None:
        return 1.0 if response.status_code == 429 else None  # noqa: PLR2004  a status, read as such
    return min(max(seconds, 1.0), MAX_RETRY_AFTER_S)


def mark_taken(request: httpx.Request, response: httpx.Response) -> None:
    """Note whether what asked for more than reading was taken; redirects hand the note on."""
    if TAKEN in request.extensions:
        response.extensions[TAKEN] = True
    elif not _is_safe(request) and response.status_code in _TAKING_REDIRECTS:
        request.extensions[TAKEN] = True


def shown_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers with the values of secret-looking ones hidden."""
    return {k: HIDDEN if _SECRET_NAME.search(k) else v for k, v in headers.items()}


def shown_url(url: httpx.URL) -> str:
    """Return the address without user, password and query."""
    return str(url.copy_with(username=None, password=None, query=None, fragment=None))


def _status_fault(response: httpx.Response, where: str) -> HttpFault:
    what = f"{where} answered {response.status_code} {response.reason_phrase}".rstrip()
    after_s = retry_after_s(response)
    if after_s is not None:
        return HttpFault("not_taken", what, where, after_s)
    if TAKEN in response.extensions:
        return HttpFault("unknown", f"after a redirect {what}", where)
    if response.status_code in _GATEWAY_STATUSES and not _is_safe(response.request):
        return HttpFault("unknown", what, where)
    return HttpFault("broken" if response.is_server_error else "refused", what, where)


def _lost(error: httpx.TransportError) -> HttpFault:
    """Nothing was changed by a request that only reads, so it counts as not taken."""
    request, where = _request_of(error), _where(error)
    if request is not None and TAKEN in request.extensions:
        return HttpFault("unknown", f"lost after a redirect: {_reason(error)}", where)
    if isinstance(error, _NEVER_SENT):
        return HttpFault("not_taken", f"no connection: {_reason(error)}", where)
    verdict: Verdict = "not_taken" if request is not None and _is_safe(request) else "unknown"
    return HttpFault(verdict, f"no answer: {_reason(error)}", where)


def _unread(error: BodyTooLargeError | httpx.DecodingError) -> HttpFault:
    """An answer came and cannot be used: what asked for more than reading may have been done."""
    request = error.request
    verdict: Verdict = "refused" if _is_safe(request) else "unknown"
    return HttpFault(verdict, _reason(error), f"{request.method} {shown_url(request.url)}")


def _is_safe(request: httpx.Request) -> bool:
    return request.method.upper() in _SAFE_METHODS and TAKEN not in request.extensions


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
