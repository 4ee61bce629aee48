"""Where files are: a folder of the worker, a host by SFTP, a bucket of S3; one way to use each.

A place is an address: `file:///folder/name`, `sftp://user@host/folder/name`, `s3://bucket/key`. It
is read into a file and written from one, so that a file of any size passes in pieces. What is
written appears under its name when it is whole.
"""

import hashlib
import os
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol
from urllib.parse import SplitResult, unquote, urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from activities.builtin.extras import missing
from activities.builtin.ssh import SSH_PORT, Peer, connected
from activities.builtin.threads import in_thread
from activities.sdk import Call, PluginError

if TYPE_CHECKING:
    from asyncssh import SFTPClient

CHUNK_BYTES: Final = 1024 * 1024

_NOT_FOUND: Final = frozenset({"404", "NoSuchKey", "NoSuchBucket", "NotFound"})


class S3Storage(BaseModel):
    """A storage that speaks S3."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    buckets: tuple[str, ...]
    endpoint_url: str | None = None
    region: str | None = None
    access_key: str | None = None
    secret_key: SecretStr | None = None


class FileSettings(BaseModel):
    """The table `[plugins.file_transfer]`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    folders: tuple[Path, ...] = Field(
        default=(), description="Folders of the worker whose files may be read and written"
    )
    s3: dict[str, S3Storage] = Field(
        default_factory=dict,
        description="Storages by name: the `buckets` that may be used, `endpoint_url`, `region`, "
        "`access_key` and `secret_key`; without keys what the worker's host offers",
    )
    max_bytes: int = Field(
        default=1024**3, ge=1, description="Largest file that a worker passes on"
    )
    folder: Path | None = Field(
        default=None, description="Where a file lies on its way; none is the system's"
    )


class Place(Protocol):
    """A file somewhere, which need not be there.

    What a method cannot do it says by a `PluginError`, retryable where the way there has failed:
    reading and writing a whole file may be repeated.
    """

    async def exists(self) -> bool:
        """Return whether it is there."""
        ...

    async def fetch(self, file: Path) -> None:
        """Read it into `file`."""
        ...

    async def put(self, file: Path) -> None:
        """Write it from `file`, in place of what is there."""
        ...


def place_at(address: str, call: Call[Any]) -> Place:
    """Return the place at an address.

    Raises:
        PluginError: it is no address, or none that the workers' settings allow.
    """
    parts = urlsplit(address.strip())
    makers: Mapping[str, Callable[[SplitResult, Call[Any]], Place]] = {
        "file": LocalFile,
        "sftp": RemoteFile,
        "s3": StoredObject,
    }
    maker = makers.get(parts.scheme)
    if maker is None or not parts.path.strip("/"):
        raise PluginError(
            f"{_shown(parts)!r} is no address of a file; write file:///folder/name, "
            "sftp://user@host/folder/name or s3://bucket/key"
        )
    if parts.password:
        raise PluginError(
            f"there is a password in the address {_shown(parts)!r}; give it as `password`"
        )
    return maker(parts, call)


class LocalFile:
    """A file of the worker, in a folder that the settings allow."""

    def __init__(self, parts: SplitResult, call: Call[Any]) -> None:
        folders = call.shelf.settings("file_transfer", FileSettings).folders
        self._file: Final = Path(unquote(parts.path)).resolve()
        if not any(self._file.is_relative_to(folder.resolve()) for folder in folders):
            allowed = ", ".join(map(str, folders)) or "none"
            raise PluginError(
                f"file {str(self._file)!r} is in no folder that may be used; allowed: {allowed} "
                "(folders in [plugins.file_transfer] of the workers' settings)"
            )
        self._call: Final = call
        self._part: Final = self._file.with_name(part_name(self._file.name, call.key))
        self._limit: Final = _limit(call)

    async def exists(self) -> bool:
        """Return whether it is there."""
        return await in_thread(self._call, self._file.is_file)

    async def fetch(self, file: Path) -> None:
        """Read it into `file`."""
        with self._told():
            check_size(self._file.stat().st_size, self._limit, str(self._file))
            await in_thread(self._call, _copy, self._file, file)

    async def put(self, file: Path) -> None:
        """Write it from `file`, in place of what is there."""
        with self._told():
            try:
                await in_thread(self._call, _copy, file, self._part)
                self._part.replace(self._file)
            finally:
                self._part.unlink(missing_ok=True)

    @contextmanager
    def _told(self) -> Generator[None, None, None]:
        try:
            yield
        except OSError as error:
            raise PluginError(f"file {str(self._file)!r}: {error.strerror or error}") from error


class RemoteFile:
    """A file of another host, by SFTP; `/~/` in front of its path is the user's own folder."""

    def __init__(self, parts: SplitResult, call: Call[Any]) -> None:
        if not parts.hostname or not parts.username:
            raise PluginError(
                f"{_shown(parts)!r} names no host or no user; write sftp://user@host/"
            )
        self._peer: Final = Peer(parts.hostname, unquote(parts.username), _port(parts))
        self._path: Final = unquote(parts.path).removeprefix("/~/")
        folder, _, name = self._path.rpartition("/")
        part = part_name(name, call.key)
        self._part: Final = f"{folder}/{part}" if "/" in self._path else part
        self._call: Final = call
        self._limit: Final = _limit(call)

    async def exists(self) -> bool:
        """Return whether it is there."""
        async with self._opened() as sftp:
            return await sftp.exists(self._path)

    async def fetch(self, file: Path) -> None:
        """Read it into `file`."""
        async with self._opened() as sftp:
            size = (await sftp.stat(self._path)).size or 0
            check_size(size, self._limit, f"{self._peer}:{self._path}")
            await sftp.get(self._path, str(file))

    async def put(self, file: Path) -> None:
        """Write it from `file`, in place of what is there."""
        async with self._opened() as sftp:
            await sftp.put(str(file), self._part)
            await sftp.posix_rename(self._part, self._path)

    @asynccontextmanager
    async def _opened(self) -> "AsyncGenerator[SFTPClient, None]":
        async with connected(self._call, self._peer) as connection:
            import asyncssh

            lost = (
                asyncssh.SFTPConnectionLost,
                asyncssh.SFTPNoConnection,
                asyncssh.DisconnectError,
            )
            try:
                async with connection.start_sftp_client() as sftp:
                    yield sftp
            except lost as error:
                raise PluginError(
                    f"{self._peer}: connection lost: {error}", retryable=True
                ) from error
            except (asyncssh.Error, OSError) as error:
                raise PluginError(f"{self._peer}:{self._path}: {error}") from error


class StoredObject:
    """An object in a bucket that the settings allow."""

    def __init__(self, parts: SplitResult, call: Call[Any]) -> None:
        self._call: Final = call
        self._bucket: Final = parts.netloc
        self._key: Final = unquote(parts.path).removeprefix("/")
        self._limit: Final = _limit(call)
        storages = call.shelf.settings("file_transfer", FileSettings).s3
        name = next((n for n, s in storages.items() if self._bucket in s.buckets), None)
        if name is None:
            allowed = ", ".join(b for s in storages.values() for b in s.buckets) or "none"
            raise PluginError(
                f"bucket {self._bucket!r} may not be used; allowed: {allowed} (buckets under s3 in "
                "[plugins.file_transfer] of the workers' settings)"
            )
        self._client: Final = call.shelf.shared((S3Storage, name), lambda: _s3(storages[name]))

    async def exists(self) -> bool:
        """Return whether it is there."""
        return await self._size() is not None

    async def fetch(self, file: Path) -> None:
        """Read it into `file`."""
        size = await self._size()
        if size is None:
            raise PluginError(f"{self} is not there")
        check_size(size, self._limit, str(self))
        await self._asked(self._client.download_file, self._bucket, self._key, str(file))

    async def put(self, file: Path) -> None:
        """Write it from `file`, in place of what is there."""
        await self._asked(self._client.upload_file, str(file), self._bucket, self._key)

    def __str__(self) -> str:
        return f"s3://{self._bucket}/{self._key}"

    async def _size(self) -> int | None:
        head = {"Bucket": self._bucket, "Key": self._key}
        found = await self._asked(lambda: self._client.head_object(**head), absent=_NOT_FOUND)
        return None if found is None else int(found["ContentLength"])

    async def _asked(
        self, ask: Callable[..., Any], *arguments: str, absent: frozenset[str] = frozenset()
    ) -> Any:
        from boto3.exceptions import Boto3Error
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            return await in_thread(self._call, ask, *arguments)
        except ClientError as error:
            # Any: the library's answer is a dictionary of its own kind
            answer: Any = error.response
            if str(answer["Error"].get("Code")) in absent:
                return None
            again = int(answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)) >= 500  # noqa: PLR2004  a status, read as such
            raise PluginError(f"{self}: {error}", retryable=again) from error
        except BotoCoreError as error:
            raise PluginError(f"{self}: {error}", retryable=True) from error
        except (Boto3Error, OSError) as error:
            raise PluginError(f"{self}: {error}") from error


def part_name(name: str, key: str) -> str:
    """Return the name of a file that is not whole yet; nobody else writes under it."""
    return f".{name}.{hashlib.sha256(key.encode()).hexdigest()[:12]}.part"


def check_size(size: int, limit: int, what: str) -> None:
    """Refuse a file that is too large.

    Raises:
        PluginError: it is.
    """
    if size > limit:
        raise PluginError(f"{what} has {size} bytes, at most {limit} are passed on")


def sha256_of(file: Path) -> str:
    """Return the checksum of a file's content."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _copy(source: Path, target: Path) -> None:
    """Copy a file and have it written down before it gets its name."""
    with source.open("rb") as opened, target.open("wb") as copy:
        while chunk := opened.read(CHUNK_BYTES):
            copy.write(chunk)
        copy.flush()
        os.fsync(copy.fileno())


def _s3(storage: S3Storage) -> Any:
    try:
        import boto3
        from botocore.config import Config
    except ImportError as error:
        raise missing("file_transfer", "s3", error) from error
    # Any: the library makes its clients at run time
    library: Any = boto3
    secret = storage.secret_key
    return library.client(
        "s3",
        endpoint_url=storage.endpoint_url,
        region_name=storage.region,
        aws_access_key_id=storage.access_key,
        aws_secret_access_key=secret.get_secret_value() if secret else None,
        config=Config(retries={"mode": "standard", "max_attempts": 3}, connect_timeout=15),
    )


def _limit(call: Call[Any]) -> int:
    return min(
        call.inputs.max_bytes,
        call.shelf.settings("file_transfer", FileSettings).max_bytes,
    )


def _port(parts: SplitResult) -> int:
    try:
        return parts.port or SSH_PORT
    except ValueError:
        raise PluginError(f"{_shown(parts)!r} has no port between 1 and 65535") from None


def _shown(parts: SplitResult) -> str:
    """Return an address without what stands before its host."""
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
