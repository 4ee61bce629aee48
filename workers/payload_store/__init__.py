"""Large values outside of Temporal: kept in a folder, an S3 bucket or the store, by reference.

The SDK's external storage: what is larger than the setting `payload_store_from` (compressed, and
encrypted where that is on) is put where the setting `payload_store` says, and travels as a
reference. Whoever reads a run must be able to reach that place: workers, and the command line.

What is kept stands under the workflow id of the run that it belongs to, and is named by its own
digest, so that the same value is kept once a run and a step that is repeated writes nothing new.
"""

import asyncio
import hashlib
from collections.abc import Sequence
from typing import Final, assert_never
from urllib.parse import quote

from temporalio.api.common.v1 import Payload
from temporalio.converter import (
    ExternalStorage,
    StorageDriver,
    StorageDriverActivityInfo,
    StorageDriverClaim,
    StorageDriverRetrieveContext,
    StorageDriverStoreContext,
    StorageDriverWorkflowInfo,
)

from stdops import StdopsError
from workers.payload_address import Bucket, Database, Folder, read_address
from workers.payload_store.places import Place
from workers.settings import Settings

NAME: Final = "stdops"
"""How references name the driver; the place is not in them, so that it can be moved."""
NO_OWNER: Final = "-"
"""Stands for the workflow id of what belongs to no run, such as the input of a schedule."""

_LONGEST: Final = 150


class PayloadDriver(StorageDriver):
    """Puts payloads into a place and gets them back, checked against their digest."""

    def __init__(self, place: Place) -> None:
        self.place = place

    def name(self) -> str:
        """Return the name by which references find this driver again."""
        return NAME

    async def store(
        self, context: StorageDriverStoreContext, payloads: Sequence[Payload]
    ) -> list[StorageDriverClaim]:
        """Put payloads; returns how each is found again."""
        folder = folder_of(context.target)
        return [await self._put(folder, payload.SerializeToString()) for payload in payloads]

    async def _put(self, folder: str, data: bytes) -> StorageDriverClaim:
        digest = hashlib.sha256(data).hexdigest()
        key = f"{folder}/{digest}"
        await asyncio.to_thread(self.place.put, key, data)
        return StorageDriverClaim({"key": key, "sha256": digest, "bytes": str(len(data))})

    async def retrieve(
        self,
        context: StorageDriverRetrieveContext,  # noqa: ARG002  it says nothing
        claims: Sequence[StorageDriverClaim],
    ) -> list[Payload]:
        """Get payloads.

        Raises:
            StdopsError: one is not there any more, or is another (SOP531).
        """
        return [await self._get(claim) for claim in claims]

    async def _get(self, claim: StorageDriverClaim) -> Payload:
        key, digest = claim.claim_data.get("key", ""), claim.claim_data.get("sha256", "")
        data = await asyncio.to_thread(self.place.get, key)
        if data is None:
            raise _lost(f"the payload store has no {key!r}", self.place)
        if hashlib.sha256(data).hexdigest() != digest:
            raise _lost(f"what the payload store has as {key!r} was changed", self.place)
        return Payload.FromString(data)


def _lost(what: str, place: Place) -> StdopsError:
    return StdopsError(
        "SOP531",
        what,
        where=place.address,
        fix="restore it from a backup and the run goes on by itself, or terminate the run; "
        "all workers and clients must have the same payload_store",
    )


def folder_of(target: StorageDriverActivityInfo | StorageDriverWorkflowInfo | None) -> str:
    """Return under what a payload is kept: its namespace, and the run that it belongs to.

    A child's workflow id begins with its parent's and a slash: what is before it counts, since the
    parent's history refers to what the child has returned.
    """
    namespace = target.namespace if target else ""
    run = target.id if isinstance(target, StorageDriverWorkflowInfo) else ""
    return f"{_segment(namespace)}/{_segment((run or '').partition('/')[0])}"


def _segment(text: str) -> str:
    """Return a text as part of a key; of a long one the beginning and a digest, by a tilde."""
    if not text:
        return NO_OWNER
    name = quote(text, safe="").replace("~", "%7E").replace(".", "%2E")
    name = "%2D" if name == NO_OWNER else name
    if len(name) <= _LONGEST:
        return name
    return f"{name[:_LONGEST]}~{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def external_storage(settings: Settings) -> ExternalStorage | None:
    """Return where large values go by the settings, None where they stay with Temporal.

    Raises:
        StdopsError: the place cannot be used (SOP530).
    """
    place = open_place(settings)
    if place is None:
        return None
    return ExternalStorage(
        [PayloadDriver(place)], payload_size_threshold=settings.payload_store_from
    )


def open_place(settings: Settings) -> Place | None:
    """Return the place that the settings name, None where they name none.

    Raises:
        StdopsError: it cannot be used (SOP530).
    """
    address = read_address(settings.payload_store)
    match address:
        case None:
            return None
        case Folder():
            from workers.payload_store.folder import FolderPlace

            return FolderPlace(address.path)
        case Bucket():
            from workers.payload_store.s3 import open_bucket

            return open_bucket(address)
        case Database():
            from workers.payload_store.database import DatabasePlace

            return DatabasePlace.open(settings.store_url)
        case _:
            assert_never(address)
