"""HTTP servers inside a process that has its own signals: callbacks, codec, health."""

import contextlib
import socket
from collections.abc import Generator

import uvicorn
from starlette.requests import Request


class Server(uvicorn.Server):
    """uvicorn without its own signal handlers: the process has some already."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """Leave the signals to the process."""
        yield


def server_of(app: object, *, most_at_once: int, stop_s: int) -> Server:
    """Return a server of an ASGI application, not yet serving.

    Args:
        app: the application.
        most_at_once: connections beyond that are answered 503.
        stop_s: seconds that a stopping server lets requests end.
    """
    return Server(
        uvicorn.Config(
            app,  # pyright: ignore[reportArgumentType]  # its own type names every kind of ASGI
            log_config=None,
            access_log=False,  # its lines would hold the tokens of callbacks
            lifespan="off",
            server_header=False,
            limit_concurrency=most_at_once,
            timeout_keep_alive=5,
            timeout_graceful_shutdown=stop_s,
        )
    )


def listen(host: str, port: int, backlog: int) -> socket.socket:
    """Return a socket that listens on an IPv4 or IPv6 address, or a name; port 0 takes a free one.

    Raises:
        OSError: the port cannot be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=backlog)


def address_of(listener: socket.socket) -> str:
    """Return the address at which a socket is reached by HTTP."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class BodyTooLargeError(Exception):
    """A request's body is larger than what is read."""


async def bounded_body(request: Request, most_bytes: int) -> bytes:
    """Return the body of a request; never holds more of it than `most_bytes` and one part.

    Raises:
        BodyTooLargeError: there is more.
        ClientDisconnect: it ended too early.
    """
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > most_bytes:
        raise BodyTooLargeError
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > most_bytes:
            raise BodyTooLargeError
    return bytes(body)
