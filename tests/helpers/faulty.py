"""A real HTTP server on this machine that does what it is told, faults included."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

Serve = Callable[["Exchange"], Awaitable[None]]


@dataclass
class Exchange:
    """One connection: its request, and the way back."""

    line: str
    headers: dict[str, str]
    body: bytes
    writer: asyncio.StreamWriter

    @property
    def path(self) -> str:
        return self.line.split(" ")[1]

    async def write(self, text: str | bytes) -> None:
        self.writer.write(text.encode("latin-1") if isinstance(text, str) else text)
        await self.writer.drain()

    async def answer(self, status: str, body: str = "", **headers: str) -> None:
        named = {k.replace("_", "-"): v for k, v in headers.items()}
        fields = {"content-length": str(len(body)), "connection": "close", **named}
        lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        await self.write(f"HTTP/1.1 {status}\r\n{lines}\r\n{body}")


@dataclass
class LocalServer:
    """What listens; `seen` are the request lines, `opened` counts connections."""

    host: str = ""
    port: int = 0
    opened: int = 0
    seen: list[str] = field(default_factory=list[str])

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"


@asynccontextmanager
async def serving(
    serve: Serve, host: str = "127.0.0.1", *, before: Callable[[], bool] = lambda: False
) -> AsyncGenerator[LocalServer]:
    """Serve for as long as the context lasts; `before` says to hang up without reading."""
    found = LocalServer(host)
    working: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        found.opened += 1
        work = asyncio.ensure_future(work_on(reader, writer))
        working.add(work)
        await asyncio.wait((work,))
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
        working.discard(work)

    async def work_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            if not before():
                exchange = await _read(reader, writer)
                found.seen.append(exchange.line)
                await serve(exchange)

    server = await asyncio.start_server(connected, host, 0)
    found.port = server.sockets[0].getsockname()[1]
    async with server:
        yield found
        for work in working:
            work.cancel()  # one that never ends by itself
        while working:  # noqa: ASYNC110  each takes itself off the list
            await asyncio.sleep(0)


async def _read(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Exchange:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    pairs = (line.partition(":") for line in head[1:] if line)
    headers = {name.lower(): value.strip() for name, _, value in pairs}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Exchange(head[0], headers, body, writer)
