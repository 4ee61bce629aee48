"""Large values in a folder: a file each, written whole or not at all."""

import os
import tempfile
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from stdops import StdopsError
from workers.payload_store.places import Kept

_DIGEST: Final = 64
"""How long a value's file name is; any other file is none of ours."""


class FolderPlace:
    """A folder, made when the first value is put; see `Place`."""

    def __init__(self, root: Path) -> None:
        self._root = root

    @property
    def address(self) -> str:
        """The folder."""
        return str(self._root)

    def put(self, key: str, data: bytes) -> None:
        """Write a file; of one that is there, renew the time."""
        file = self._root / key
        with _told(self.address):
            with suppress(FileNotFoundError):
                if file.stat().st_size == len(data):
                    os.utime(file)
                    return
            file.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=file.parent, delete=False) as part:
                part.write(data)
                part.flush()
                os.fsync(part.fileno())
            Path(part.name).replace(file)

    def get(self, key: str) -> bytes | None:
        """Read a file."""
        with _told(self.address):
            try:
                return (self._root / key).read_bytes()
            except FileNotFoundError:
                return None

    def remove(self, key: str) -> None:
        """Remove a file, and its folder with the last one."""
        file = self._root / key
        with _told(self.address):
            file.unlink(missing_ok=True)
            with suppress(OSError):  # it holds others
                file.parent.rmdir()

    def kept(self) -> list[Kept]:
        """Tell the files."""
        with _told(self.address):
            return list(self._files())

    def _files(self) -> Generator[Kept]:
        for file in self._root.glob("*/*/*"):
            with suppress(FileNotFoundError):  # removed meanwhile
                if len(file.name) == _DIGEST:
                    told = file.stat()
                    yield Kept(file.relative_to(self._root).as_posix(), told.st_size, told.st_mtime)


@contextmanager
def _told(address: str) -> Generator[None]:
    """Turn what the system says into our error."""
    try:
        yield
    except OSError as error:
        raise StdopsError(
            "SOP530",
            f"the payload store cannot be used: {error.strerror or error}",
            where=address,
            fix="make the folder readable and writable for the workers, with room left",
        ) from None
