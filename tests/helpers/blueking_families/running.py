"""Runs many rows as the nodes of one flow, and tells how each has ended and what it asked."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple, cast

from pydantic import JsonValue
from temporalio.api.common.v1 import Payload
from temporalio.client import Client

from tests.helpers import build
from tests.helpers.blueking_families.rows import Json, Row, Sent
from tests.helpers.blueking_families.town import Heard, Town
from tests.helpers.blueking_site import Site, blueking_site
from tests.helpers.flows import Run, plan
from workflows.activity_ids import read_activity_id

PACE: Final = 2000
"""So many calls a second that the limit is none."""

AT_ONCE: Final = 60
"""Rows of one flow: with more, a job is looked at before its callback was taken."""

PROJECT: Final[dict[str, JsonValue]] = {"bk_biz_id": 2}


class Ended(NamedTuple):
    """How a row's node has ended; the platform's address in texts is `{bk}`."""

    kind: str
    outputs: Json
    error: str
    heard: Sequence[Heard]

    @property
    def sent(self) -> list[Sent]:
        """What it asked, in order."""
        return [each.sent for each in self.heard]


async def run_rows(
    client: Client, folder: Path, rows: Sequence[Row], **settings: JsonValue
) -> dict[str, Ended]:
    """Run rows to their ends, on one worker, and return each one's end by its name."""
    users = {f"r{at}": row for at, row in enumerate(rows)}
    town = Town(users)
    async with blueking_site(client, folder, town, PACE, **settings) as site:
        ends: dict[str, Json] = {}
        for part in _parts({user: row for user, row in users.items() if not _is_slow(row)}):
            ends |= await _run(site, part)
        slow = _parts({user: row for user, row in users.items() if _is_slow(row)})
        for found in await asyncio.gather(*(_run(site, part) for part in slow)):
            ends |= found
        url = site.served.url
    return {
        row.name: _ended(ends.get(user, {}), town.homes[user].heard, url)
        for user, row in users.items()
    }


def _is_slow(row: Row) -> bool:
    """Say whether a row waits for its next look, which costs seconds and hardly any work."""
    return bool(row.faults) or any(each.is_look for each in row.sent)


def _parts(users: Mapping[str, Row]) -> list[dict[str, Row]]:
    items = list(users.items())
    return [dict(items[at : at + AT_ONCE]) for at in range(0, len(items), AT_ONCE)]


async def _run(site: Site, users: Mapping[str, Row]) -> dict[str, Json]:
    """Run rows as the branches of one flow; a node that fails does not keep it from its end."""
    nodes = [
        build.task(
            user,
            code=row.code,
            version=row.version,
            inputs=row.inputs,
            executor=user,
            error_ignorable=True,
        )
        for user, row in users.items()
    ]
    chains = [f"fork {user} join" for user in users]
    run = await site.start(plan("start fork", *chains, "join end", nodes=nodes, key="families"))
    await run.result()
    return await _outcomes(run)


async def _outcomes(run: Run) -> dict[str, Json]:
    """Return the last outcome of each node that ended it."""
    history = await run.fetch_history()
    names: dict[int, str] = {}
    found: dict[str, list[Sequence[Payload]]] = {}
    for event in history.events:
        if event.HasField("activity_task_scheduled_event_attributes"):
            names[event.event_id] = event.activity_task_scheduled_event_attributes.activity_id
        if event.HasField("activity_task_completed_event_attributes"):
            done = event.activity_task_completed_event_attributes
            name = read_activity_id(names[done.scheduled_event_id])
            if name is not None:
                found.setdefault(name.path, []).append(done.result.payloads)
    converter = run._client.data_converter
    decoded = {
        node: [cast("Json", (await converter.decode(each))[0])["outcome"] for each in payloads]
        for node, payloads in found.items()
    }
    return {
        node: next(
            (each for each in reversed(all_) if each["kind"] in ("done", "failed")), all_[-1]
        )
        for node, all_ in decoded.items()
    }


def _ended(outcome: Json, heard: Sequence[Heard], url: str) -> Ended:
    told = json.loads(json.dumps(outcome, ensure_ascii=False).replace(url, "{bk}"))
    return Ended(told.get("kind", ""), told.get("outputs", {}), told.get("error", ""), heard)
