"""What a place for large values can do: keep bytes by key, and tell what it keeps."""

from collections.abc import Iterable
from typing import NamedTuple, Protocol


class Kept(NamedTuple):
    """One value that is kept; `used_at` is when it was last put, in seconds since the epoch."""

    key: str
    size: int
    used_at: float


class Place(Protocol):
    """Keeps bytes by key. A key is `namespace/run/digest`, of letters, digits and `%-_~`.

    Every method blocks, is called in any thread, and raises a StdopsError (SOP530) where the place
    cannot be used.
    """

    @property
    def address(self) -> str:
        """Where it is, for people."""
        ...

    def put(self, key: str, data: bytes) -> None:
        """Keep bytes whole or not at all; of a key that is there already, note the use."""
        ...

    def get(self, key: str) -> bytes | None:
        """Return what is kept under a key, None for nothing."""
        ...

    def remove(self, key: str) -> None:
        """Forget a key; one that is not there is no error."""
        ...

    def kept(self) -> Iterable[Kept]:
        """Tell all that is kept, in any order."""
        ...
