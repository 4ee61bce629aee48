"""The platform behind HTTP, an ASGI application: its APIs, its pages, `/_fake/...` to drive it."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.requests import Request as HttpRequest
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from workers.fake_blueking.asked import RefusedError
from workers.fake_blueking.control import CONTROLS
from workers.fake_blueking.courier import Courier
from workers.fake_blueking.pages import page_at
from workers.fake_blueking.platform import Platform, Reply, Request


class BrokenOff(Response):
    """An answer that breaks off: it promises more than comes, and the line is closed."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002  ASGI names them
        """Send the start and nothing more."""
        headers = [(b"content-length", b"1000")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"{", "more_body": True})


def make_app(platform: Platform) -> Starlette:
    """Return the application; while it lives, it calls back what is due."""
    courier = Courier(platform)

    async def api(http: HttpRequest) -> Response:
        page = page_at(platform.world, http.url.path) if http.method == "GET" else None
        if page is not None:
            return HTMLResponse(page)
        request = Request(
            http.method,
            http.url.path,
            dict(http.query_params),
            {name.lower(): value for name, value in http.headers.items()},
            await http.body(),
        )
        reply = platform.reply(request)
        if http.method != "GET":  # what only reads makes nothing due
            courier.wake()
        await asyncio.sleep(reply.after_s)
        return _response(reply)

    async def control(http: HttpRequest) -> Response:
        handler = CONTROLS.get(f"{http.method} {http.path_params['name']}")
        if handler is None:
            known = ", ".join(sorted(CONTROLS))
            return JSONResponse({"error": f"there is no such control; there are: {known}"}, 404)
        try:
            fields = await http.json() if await http.body() else dict(http.query_params)
            answer = handler(platform, fields)
        except (RefusedError, ValueError) as wrong:
            return JSONResponse({"error": str(wrong)}, 400)
        courier.wake()
        return JSONResponse(answer)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncGenerator[None]:
        async with courier.running():
            yield

    methods = ["GET", "POST", "PUT"]
    routes = [
        Route("/_fake/{name}", control, methods=methods),
        Route("/{path:path}", api, methods=methods),
    ]
    return Starlette(routes=routes, lifespan=lifespan)


def _response(reply: Reply) -> Response:
    if reply.hangs_up:
        return BrokenOff()
    return Response(reply.body, reply.status, media_type=reply.content_type)
