"""What the doctor sees on the real server."""

import asyncio
from pathlib import Path

import pytest
from temporalio.client import Client

from tests.helpers.flows import open_flows
from workers.doctor.findings import Finding
from workers.doctor.server import examine_server
from workers.server import EmbeddedServer
from workers.settings import Settings


def by_check(found: list[Finding]) -> dict[str, list[Finding]]:
    return {each.check: [one for one in found if one.check == each.check] for each in found}


async def test_a_server_without_workers_is_well_but_for_them(
    server: EmbeddedServer, task_queue: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", server.address)
    routed = {"job_*": f"{task_queue}-b"}
    given = Settings(task_queue=task_queue, data_dir=tmp_path, plugin_queues=routed)

    found = by_check(await examine_server(given))

    for check in ("server", "namespace", "attributes", "clock"):
        assert [one.state for one in found[check]] == ["ok"], found[check]
    assert [one.state for one in found["workers"]] == ["failure"] * 3
    assert f"`stdops worker --queue {task_queue}-b`" in found["workers"][2].fix


async def test_a_worker_is_seen(
    client: Client, server: EmbeddedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", server.address)

    async with open_flows(client) as flows, asyncio.timeout(30):
        while True:  # the server shows a poller some moments after its first poll
            found = by_check(await examine_server(Settings(task_queue=flows.queue)))
            if {one.state for one in found["workers"]} == {"ok"}:
                break

    assert len(found["workers"]) == 2


async def test_a_namespace_that_is_not_there_is_said_with_the_command(
    server: EmbeddedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", server.address)
    monkeypatch.setenv("TEMPORAL_NAMESPACE", "nope")

    found = by_check(await examine_server(Settings()))

    assert found["namespace"][0].state == "failure"
    assert "temporal operator namespace create --namespace nope" in found["namespace"][0].fix
    assert "workers" not in found
