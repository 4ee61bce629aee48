"""What the setting `payload_store` says: a folder, an S3 bucket, or the store; pure."""

import re
from pathlib import Path
from typing import NamedTuple, TypeAlias
from urllib.parse import unquote, urlsplit


class Folder(NamedTuple):
    """A folder that all workers and clients see under the same path."""

    path: Path


class Bucket(NamedTuple):
    """An S3 bucket; `prefix` has no slash at its ends, "" is the whole bucket."""

    name: str
    prefix: str


class Database(NamedTuple):
    """The store's database."""


Address: TypeAlias = Folder | Bucket | Database


def read_address(text: str) -> Address | None:
    """Return the place that a text names, None for an empty one.

    Raises:
        ValueError: it names none; says what would.
    """
    if text in ("", "store"):
        return Database() if text else None
    parts = urlsplit(text)
    path = unquote(parts.path)
    if parts.scheme == "file" and parts.netloc in ("", "localhost") and len(path) > 1:
        return Folder(Path(path))
    if parts.scheme == "s3" and re.fullmatch(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", parts.netloc):
        return Bucket(parts.netloc, path.strip("/"))
    raise ValueError("write it as file:///FOLDER, s3://BUCKET/PREFIX or store")
