"""As whom the client that gives a verb is known to the server.

The SDK hides it from handlers. The worker's runner reads it from the job, which is made from the
history, and writes it into the headers of the handler's input; an interceptor puts it here for the
time of the handler. So it is the same when a run is replayed.
"""

from collections.abc import Mapping
from contextvars import ContextVar
from typing import Final, Protocol

HEADER: Final = "stdops-client"
MOST_CHARS: Final = 200

CLIENT: Final[ContextVar[str]] = ContextVar("stdops_client", default="")
"""The client of the handler under way, "" where nothing is known of it."""


class Encoded(Protocol):
    """A header's value: a payload, of which only the bytes matter here."""

    data: bytes


def to_header(identity: str) -> bytes:
    """Return an identity as it stands in the header, cut."""
    return identity[:MOST_CHARS].encode("utf-8", "replace")


def from_headers(headers: Mapping[str, Encoded]) -> str:
    """Return the identity that the runner wrote, "" where another runner was used."""
    found = headers.get(HEADER)
    return found.data.decode("utf-8", "replace") if found is not None else ""
