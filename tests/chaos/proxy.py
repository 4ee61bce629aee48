"""A wire between the workers and the server that can be cut, slowed and left half open."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import Final, Literal, TypeAlias

Wire: TypeAlias = Literal["whole", "slow", "stalled", "cut"]

CHUNK: Final = 65_536
SLOW_S: Final = 0.3


class Proxy:
    """Carries bytes to a port of this machine, as its wire stands."""

    def __init__(self, target: int) -> None:
        self.port = 0
        self._target = target
        self._wire: Wire = "whole"
        self._flows = asyncio.Event()
        self._flows.set()
        self._open: set[asyncio.StreamWriter] = set()

    def become(self, wire: Wire) -> None:
        """Change the wire: `slow` delays bytes, `stalled` holds them, `cut` ends connections."""
        self._wire = wire
        if wire == "stalled":
            self._flows.clear()
        else:
            self._flows.set()
        if wire == "cut":
            for writer in self._open:
                writer.transport.abort()

    def hang_up(self) -> None:
        """End the connections that are open; new ones are as the wire stands."""
        for writer in self._open:
            writer.transport.abort()

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection both ways until a side ends it."""
        if self._wire == "cut":
            writer.transport.abort()
            return
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        self._open |= {writer, back}
        ways = [asyncio.ensure_future(self._pump(*w)) for w in ((reader, back), (there, writer))]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            for end in (writer, back):
                self._open.discard(end)
                end.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(CHUNK):
                await self._flows.wait()
                if self._wire == "slow":
                    await asyncio.sleep(SLOW_S)
                writer.write(data)
                await writer.drain()


@asynccontextmanager
async def proxy_to(port: int) -> AsyncGenerator[Proxy]:
    """Listen for as long as the context lasts."""
    proxy = Proxy(port)
    carrying: set[asyncio.Task[None]] = set()

    async def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        work = asyncio.ensure_future(proxy.carry(reader, writer))
        carrying.add(work)
        work.add_done_callback(carrying.discard)

    server = await asyncio.start_server(accepted, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        for work in list(carrying):
            work.cancel()
        if carrying:
            await asyncio.wait(list(carrying))
