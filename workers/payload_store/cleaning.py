"""Forgetting what no run refers to any more.

A value is needed as long as the server knows the run that it belongs to, or a child of that run:
a history may be read until the namespace's retention is over. What is younger than a day is kept in
any case, since a run that starts is listed a moment later only; what belongs to no run (the input
of a schedule) is never removed.
"""

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

from temporalio.client import Client

from workers.listing import quoted
from workers.payload_store import NO_OWNER
from workers.payload_store.places import Kept, Place

DAY_S: Final = 24 * 3600


@dataclass(frozen=True, slots=True)
class Tally:
    """How many values, and their bytes together."""

    values: int = 0
    size: int = 0


@dataclass(frozen=True, slots=True)
class Cleaned:
    """What was there, and what of it was (or would be) removed."""

    kept: Tally
    removed: Tally


async def clean(
    place: Place, client: Client, *, age_s: float = DAY_S, is_dry: bool = False
) -> Cleaned:
    """Remove what was last put at least `age_s` seconds ago for runs that the server has forgotten.

    Only values of the client's namespace are touched. `is_dry` removes nothing.

    Raises:
        StdopsError: the place cannot be used.
        RPCError: the server is away.
    """
    before = time.time() - max(age_s, DAY_S)
    known: dict[str, bool] = {}
    kept, gone = list[Kept](), list[Kept]()
    for found in await asyncio.to_thread(list, place.kept()):
        namespace, owner, _ = found.key.split("/", 2)
        may_go = found.used_at < before and unquote(namespace) == client.namespace
        if may_go and owner != NO_OWNER and owner not in known:
            known[owner] = await _is_known(client, owner)
        is_free = may_go and owner != NO_OWNER and not known[owner]
        (gone if is_free else kept).append(found)
    for found in () if is_dry else gone:
        await asyncio.to_thread(place.remove, found.key)
    return Cleaned(_tally(kept), _tally(gone))


async def _is_known(client: Client, owner: str) -> bool:
    """Say whether the server knows a run whose id begins as the owner's does."""
    beginning = quoted(unquote(owner.partition("~")[0]))
    found = await client.count_workflows(f"WorkflowId STARTS_WITH {beginning}")
    return found.count > 0


def _tally(found: Iterable[Kept]) -> Tally:
    sizes = [each.size for each in found]
    return Tally(len(sizes), sum(sizes))
