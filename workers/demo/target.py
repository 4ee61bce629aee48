"""The small HTTP service that the demo releases to; it refuses the rollout until it is mended."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, NamedTuple, Self

from pydantic import JsonValue

_HOST: Final = "127.0.0.1"
_READ_S: Final = 10.0
_MOST_BODY: Final = 64 * 1024
_REASONS: Final = {200: "OK", 400: "Bad Request", 404: "Not Found", 503: "Service Unavailable"}


class Answer(NamedTuple):
    """A status and a JSON body."""

    status: int
    body: Mapping[str, JsonValue]


@dataclass(slots=True)
class Target:
    """The service for as long as its context lasts, on a free port of this machine alone.

    mended: whether `/deploy/all` works. deployed: what was released, in order.
    """

    mended: bool = False
    port: int = 0
    deployed: list[str] = field(default_factory=list[str])
    _server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        """Its address; known once it was entered."""
        return f"http://{_HOST}:{self.port}"

    async def __aenter__(self) -> Self:
        """Start to listen."""
        self._server = await asyncio.start_server(self._serve, _HOST, 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Take no more requests."""
        if self._server is not None:
            self._server.close()

    def answer(self, method: str, path: str) -> Answer:
        """Return what a request is answered with, and do what it asks for."""
        match method, path.strip("/").split("/"):
            case "POST", ["mend"]:
                self.mended = True
                return Answer(200, {"mended": True})
            case "GET", ["health"]:
                return Answer(200, {"healthy": True, "deployed": [*self.deployed]})
            case "GET", ["versions", version]:
                return Answer(200, {"version": version, "released": False})
            case "POST", ["build" | "backup", *what]:
                return Answer(200, {"done": "/".join(what) or "backup"})
            case "POST", ["deploy", slot]:
                return self._deploy(slot)
            case _:
                return Answer(404, {"error": f"nothing at {method} {path}"})

    def _deploy(self, slot: str) -> Answer:
        if slot == "all" and not self.mended:
            error = (
                "the load balancer is down; POST /mend repairs it, /deploy/standby goes round it"
            )
            return Answer(503, {"error": error})
        self.deployed.append(slot)
        return Answer(200, {"deployed": slot, "release": len(self.deployed)})

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request and close."""
        try:
            async with asyncio.timeout(_READ_S):
                answer = await self._read(reader)
                writer.write(_encoded(answer))
                await writer.drain()
        except (TimeoutError, ConnectionError, asyncio.IncompleteReadError, ValueError):
            pass  # who asks badly or goes away gets no answer; the demo does neither
        finally:
            writer.close()

    async def _read(self, reader: asyncio.StreamReader) -> Answer:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        words = head[0].split(" ")
        if len(words) != 3:  # noqa: PLR2004  method, path, version
            return Answer(400, {"error": "no HTTP request"})
        length = next(
            (line[15:] for line in head if line.lower().startswith("content-length:")), ""
        )
        await reader.readexactly(min(int(length.strip() or 0), _MOST_BODY))
        return self.answer(words[0], words[1].partition("?")[0])


def _encoded(answer: Answer) -> bytes:
    body = json.dumps(answer.body, ensure_ascii=False).encode()
    head = (
        f"HTTP/1.1 {answer.status} {_REASONS[answer.status]}\r\n"
        "Content-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body
