"""What the payload store keeps is removed when the server has forgotten the run, not before."""

import os
from pathlib import Path

from tests.helpers.build import task
from tests.helpers.flows import open_flows, plan, result
from workers.client import connect
from workers.payload_store import NO_OWNER
from workers.payload_store.cleaning import Cleaned, clean
from workers.payload_store.folder import FolderPlace
from workers.server import EmbeddedServer
from workers.settings import Settings

DIGEST = "a" * 64
LARGE = plan("start a end", nodes=[task("a", code="noise", inputs={"text": 1_000_000})])


def aged(folder: Path) -> int:
    """Let all values be of long ago; returns how many there are."""
    files = list(folder.glob("*/*/*"))
    for file in files:
        os.utime(file, (0, 0))
    return len(files)


async def test_values_are_removed_with_the_last_run_that_may_need_them(
    server: EmbeddedServer, tmp_path: Path
) -> None:
    place, uri = FolderPlace(tmp_path), tmp_path.as_uri()
    client = await connect(
        Settings(payload_store=uri), address=server.address, namespace=server.namespace
    )
    async with open_flows(client, payload_store=uri) as flows:
        run = await flows.start(LARGE)
        await result(run)
    needed = {found.key for found in place.kept()}
    needed |= {f"{NO_OWNER}/{NO_OWNER}/{DIGEST}", f"elsewhere/gone/{DIGEST}"}
    for key in (*needed, f"{client.namespace}/gone/{DIGEST}"):
        place.put(key, b"value")

    young = await clean(place, client)
    count = aged(tmp_path)
    foreseen = await clean(place, client, is_dry=True)
    removed = await clean(place, client)

    assert run.id in str(needed)
    assert counts(young) == (0, count)
    assert [counts(each) for each in (foreseen, removed)] == [(1, count - 1)] * 2
    assert {found.key for found in place.kept()} == needed


def counts(cleaned: Cleaned) -> tuple[int, int]:
    """Return how many values were removed and kept."""
    return cleaned.removed.values, cleaned.kept.values
