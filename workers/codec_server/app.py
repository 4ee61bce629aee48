"""The HTTP side of the codec server, by Temporal's protocol for remote codecs.

`POST /encode` and `/decode`, with or without the namespace before, take and give `{"payloads": []}`
in protobuf's JSON; `GET /healthz` says that it lives. What it reads and writes is never logged.
"""

from collections.abc import Callable, Sequence
from typing import Final

import structlog
from google.protobuf.json_format import MessageToDict, Parse, ParseError
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from structlog.typing import FilteringBoundLogger
from temporalio.api.common.v1 import Payload, Payloads

from stdops import __version__
from workers.codec import Codec, CodecError
from workers.codec_server.access import Access, refusal
from workers.http_serving import BodyTooLargeError, bounded_body
from workers.payloads import inflated

MOST_BYTES: Final = 64 * 1024 * 1024
"""Largest request: base64 of some values of the largest size."""

_MOST_PAYLOADS: Final = 10_000

Change = Callable[[Payload], Payload]

_log: FilteringBoundLogger = structlog.get_logger(__name__)


class RequestError(Exception):
    """A request cannot be answered; the text is for a person. `status` is HTTP's."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def make_app(codec: Codec, access: Access) -> Starlette:
    """Return the application."""

    def decoded(payload: Payload) -> Payload:
        return inflated(codec.decrypted(payload))

    routes = [Route("/healthz", _health, methods=["GET"])]
    changes: list[tuple[str, Change]] = [("encode", codec.encrypted), ("decode", decoded)]
    for name, change in changes:
        endpoint = _endpoint(name, change, access)
        routes += [Route(f"/{name}", endpoint, methods=["POST"])]
        routes += [Route(f"/{{namespace}}/{name}", endpoint, methods=["POST"])]
    cors = Middleware(
        CORSMiddleware,
        allow_origins=list(access.origins),
        allow_methods=["POST", "GET"],
        allow_headers=["Authorization", "Content-Type", "X-Namespace"],
        allow_credentials=True,
    )
    return Starlette(routes=routes, middleware=[cors])


async def _health(_request: Request) -> Response:
    return JSONResponse({"status": "ok", "version": __version__})


def _endpoint(name: str, change: Change, access: Access) -> Callable[[Request], object]:
    async def endpoint(request: Request) -> Response:
        namespace = request.headers.get("x-namespace") or request.path_params.get("namespace", "")
        refused = refusal(access, request.headers, namespace)
        if refused is not None:
            _log.warning("workers.codec_refused", step=name, reason=refused.message)
            return _told(refused.status, refused.message)
        try:
            payloads = _read(await _body(request))
            changed = _changed(payloads, change)
        except RequestError as error:
            return _told(error.status, str(error))
        _log.info("workers.codec_answered", step=name, namespace=namespace, payloads=len(changed))
        return JSONResponse(MessageToDict(Payloads(payloads=changed)) or {"payloads": []})

    return endpoint


def _changed(payloads: Sequence[Payload], change: Change) -> list[Payload]:
    try:
        return [change(payload) for payload in payloads]
    except (CodecError, ValueError) as error:
        raise RequestError(400, str(error)) from None


def _read(body: bytes) -> Sequence[Payload]:
    try:
        found = Parse(body, Payloads()).payloads
    except (ParseError, UnicodeDecodeError, RecursionError):
        raise RequestError(400, 'send {"payloads": [...]} in JSON as protobuf writes it') from None
    if len(found) > _MOST_PAYLOADS:
        raise RequestError(413, f"there are more than {_MOST_PAYLOADS} payloads")
    return found


async def _body(request: Request) -> bytes:
    try:
        return await bounded_body(request, MOST_BYTES)
    except BodyTooLargeError:
        raise RequestError(413, f"the request is larger than {MOST_BYTES} bytes") from None
    except ClientDisconnect:
        raise RequestError(400, "the request ended too early") from None


def _told(status: int, message: str) -> Response:
    headers = {"www-authenticate": "Bearer"} if status == 401 else {}  # noqa: PLR2004  a status, read as such
    return JSONResponse({"message": message}, status, headers=headers)
