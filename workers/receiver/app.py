"""The receiver's HTTP side, an ASGI application: `POST /callback/<token>`, and health."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

import structlog
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from activities.callbacks import PATH, Claims
from stdops import StoreError
from workers.health import Check, routes_of
from workers.http_serving import BodyTooLargeError, bounded_body
from workers.receiver.desk import Answer, Desk
from workers.telemetry import count_callback

READ_S: Final = 30.0
"""How long a body may take to arrive."""

RETRY_AFTER_S: Final = 5


def make_app(
    desk: Desk,
    prefix: str = "",
    arrived: Callable[[], None] = lambda: None,
    checks: Mapping[str, Check] = {},
) -> Starlette:
    """Return the application.

    Args:
        desk: says what a request means.
        prefix: path that the public address has before ours; with and without it is served.
        arrived: called when a callback was kept.
        checks: what makes it ready; of Temporal it needs nothing to keep what comes.
    """

    async def callback(request: Request) -> Response:
        try:
            answer = await _answer(desk, request)
        except StoreError as error:
            structlog.get_logger(__name__).error("workers.callback_not_kept", error=str(error))
            answer = Answer(503, "unavailable", "it could not be kept; send it again")
        count_callback(answer.state)
        if answer.state == "received":
            arrived()
        return _response(answer)

    routes = routes_of(checks)
    for before in dict.fromkeys(("", prefix.rstrip("/"))):
        for after in ("", "/"):
            path = f"{before}{PATH}{{token}}{after}"
            routes.append(Route(path, callback, methods=["POST"]))
    return Starlette(routes=routes)


async def _answer(desk: Desk, request: Request) -> Answer:
    """Take a request: its token before its body, so that a stranger's is not read."""
    admitted = await asyncio.to_thread(desk.admit, request.path_params["token"])
    if isinstance(admitted, Answer):
        return admitted
    return await _take(desk, admitted, request)


async def _take(desk: Desk, claims: Claims, request: Request) -> Answer:
    try:
        async with asyncio.timeout(READ_S):
            body = await bounded_body(request, desk.most_bytes)
    except BodyTooLargeError:
        return await asyncio.to_thread(desk.refuse_large, claims)
    except TimeoutError:
        return Answer(408, "too_slow", f"the body has not come within {READ_S:.0f} s")
    except ClientDisconnect:
        return Answer(400, "malformed", "the body ended too early")  # nobody is there to read it
    content_type = request.headers.get("content-type", "")
    return await asyncio.to_thread(desk.take, claims, content_type, body)


def _response(answer: Answer) -> Response:
    later = {"retry-after": str(RETRY_AFTER_S)} if answer.state == "unavailable" else {}
    return JSONResponse(answer.body, answer.status, headers=later)
