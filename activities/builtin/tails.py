"""What a program writes, kept in bounds: its end, for outputs and progress."""

from collections import deque
from typing import Final, Protocol, final

CHUNK_BYTES: Final = 64 * 1024


class Readable(Protocol):
    """Where a program's output comes from, such as a pipe; b"" is its end."""

    async def read(self, n: int = ..., /) -> bytes:
        """Return what is there, at most `n` bytes."""
        ...


@final
class Tail:
    """The last `limit` bytes of an output, whatever its length."""

    def __init__(self, limit: int) -> None:
        self._limit: Final = limit
        self._chunks: deque[bytes] = deque()
        self._kept = 0
        self.total = 0

    def add(self, chunk: bytes) -> None:
        """Take in what was written."""
        self.total += len(chunk)
        self._chunks.append(chunk)
        self._kept += len(chunk)
        while self._chunks and self._kept - len(self._chunks[0]) >= self._limit:
            self._kept -= len(self._chunks.popleft())

    async def follow(self, source: Readable) -> None:
        """Take in all that is written until the end."""
        while chunk := await source.read(CHUNK_BYTES):
            self.add(chunk)

    @property
    def truncated(self) -> bool:
        """Whether the begin is lost."""
        return self.total > self._limit

    def text(self) -> str:
        """Return the end as text; what is no UTF-8 is replaced."""
        joined = b"".join(self._chunks)
        return joined[max(len(joined) - self._limit, 0) :].decode("utf-8", "replace")
