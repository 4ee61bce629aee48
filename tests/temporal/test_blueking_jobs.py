"""JOB's components against the fake platform, on the real server: all of them, and very many."""

import asyncio
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from temporalio.client import Client

from activities.blueking.catalogue import components
from tests.helpers import build
from tests.helpers.blueking_site import blueking_site
from tests.helpers.flows import Run, plan
from translator.plan import Plan
from translator.template import SourceVariable
from workers.fake_blueking import Platform, shop
from workers.fake_blueking.faults import Fault
from workers.fake_blueking.timeline import view

pytestmark = pytest.mark.slow

Json = dict[str, Any]

COUNT = 500
LIMIT_S = 900
"""Longer than other tests may take: so many runs on two cores."""

HOSTS = "10.0.1.1,10.0.1.2"
IN_AREAS = "0:10.0.1.1,0:10.0.1.2"
UPLOADED = {"result": True, "tag": {"type": "job_repo", "tags": {"file_path": "a/web.tgz"}}}
SET_ROW = {"bk_cloud_id": 0, "ip": HOSTS, "files": "/build/web.tgz", "account": "root"}
VARIABLES = [
    {"id": 71, "category": 1, "type": 1, "name": "service", "value": "web"},
    {"id": 72, "category": 3, "type": 3, "name": "hosts", "value": IN_AREAS},
]
SCRIPT: Json = {
    "job_script_source": "manual",
    "job_script_type": "1",
    "job_content": "echo '<SOPS_VAR>done:yes</SOPS_VAR>'",
    "job_script_timeout": "60",
    "job_ip_list": HOSTS,
    "job_account": "root",
}
PUSH: Json = {
    "job_source_files_origin": "server",
    "job_source_files": [{"ip": "10.0.1.3", "files": "/build/web.tgz", "account": "root"}],
    "job_server": [{"ip": "10.0.1.3", "files": "/build/web.tgz", "account": "root"}],
    "job_ip_list": HOSTS,
    "job_account": "root",
    "job_target_path": "/data",
    "job_dispatch_attr": [
        {"job_ip_list": HOSTS, "job_target_path": "/data", "job_account": "root"}
    ],
}
SET_TARGET: Json = {
    "bk_cloud_id": 0,
    "job_ip_list": HOSTS,
    "job_target_path": "/data",
    "job_target_account": "root",
}
FORMS: dict[str, Json] = {
    "job_fast_execute_script": SCRIPT,
    "job_execute_task": {"job_task_id": "1000", "job_global_var": VARIABLES},
    "job_fast_push_file": PUSH,
    "job_cron_task": {
        "job_cron_job_id": "1000",
        "job_cron_name": "nightly",
        "job_cron_expression": "0 3 * * *",
        "job_cron_status": "1",
    },
    "job_local_content_upload": {
        "local_name": "web.conf",
        "local_content": "x = 1",
        "job_ip_list": HOSTS,
        "file_account": "root",
        "file_path": "/data",
    },
    "job_push_local_files": {
        "job_target_ip_list": HOSTS,
        "job_target_account": "root",
        "job_target_path": "/data",
        "job_local_files": [{"response": UPLOADED}],
        "job_local_files_info": {
            "job_push_multi_local_files_table": [
                {"file_info": [{"response": UPLOADED}], "target_path": "/data"}
            ]
        },
    },
    "all_biz_execute_job_plan": {
        "all_biz_job_config": {
            "all_biz_cc_id": 9,
            "job_plan_id": 1000,
            "job_global_var": VARIABLES,
        }
    },
    "all_biz_job_fast_execute_script": {
        **SCRIPT,
        "all_biz_cc_id": 9,
        "job_target_account": "root",
        "job_target_ip_table": [{"bk_cloud_id": 0, "ip": HOSTS}],
    },
    "all_biz_job_fast_push_file": {
        "all_biz_cc_id": 9,
        "job_source_files": [SET_ROW],
        "job_dispatch_attr": [SET_TARGET],
    },
}
"""What each component is filled in with; a version reads of it what it knows."""


def _platform() -> Platform:
    world = shop()
    world.pace.pending_s, world.pace.running_s = 0.1, 0.3
    world.business_sets[9] = "all shops"
    return Platform(world)


def _one(code: str, version: str, inputs: Json, *variables: SourceVariable) -> Plan:
    nodes = [build.task("job", code=code, version=version, inputs=inputs)]
    return plan("start job end", nodes=nodes, variables=variables, key=f"{code}-{version}")


def _starting() -> Iterator[tuple[str, str]]:
    """Yield the components that FORMS fills in."""
    yield from (key for key in components() if key[0] in FORMS)


def test_every_component_of_job_is_tried() -> None:
    known = {code for code, _ in components() if code.startswith(("job_", "all_biz_"))}

    assert known - set(FORMS) == {"job_fetch_task_log"}  # which needs a job: tried below


async def test_every_component_of_job_works_through_the_real_server(
    client: Client, tmp_path: Path
) -> None:
    platform = _platform()
    async with blueking_site(client, tmp_path, platform, 50) as site:
        runs = {key: await site.start(_one(*key, FORMS[key[0]])) for key in _starting()}
        ends = await asyncio.gather(*map(_end, runs.values()))
        jobs = platform.world.jobs.values()
        job = next(job.id for job in jobs if job.scope["bk_scope_type"] == "biz")
        log = await site.start(_one("job_fetch_task_log", "v1.0", {"job_task_id": str(job)}))
        fetched = await _end(log)

    wrong = {key: end for key, end in zip(runs, ends, strict=True) if end != "finished"}
    assert wrong == {}
    assert fetched == "finished"
    assert [entry.what for entry in platform.ledger if entry.end == "refused"] == []


async def test_500_jobs_at_once_with_faults_end_right_or_say_that_nobody_knows(
    client: Client, tmp_path: Path
) -> None:
    signal.alarm(LIMIT_S)
    platform, pace, count = _platform(), 40, COUNT
    script = {**SCRIPT, "job_content": "echo number ${number}", "job_ip_list": IN_AREAS}
    numbered = _one("job_fast_execute_script", "v2.1", script, build.variable("number"))
    kinds = ("lost", "drop", "busy", "gateway")
    platform.faults += [
        Fault("jobv3.fast_execute_script", kind, probability=0.03, seed=at)
        for at, kind in enumerate(kinds)
    ]
    platform.faults += [
        Fault("jobv3.get_*", "drop", probability=0.05, seed=11),
        Fault("callback.job", "lost", probability=0.1, seed=12),
        Fault("callback.job", "twice", probability=0.1, seed=13),
        Fault("callback.job", "early", probability=0.1, seed=14),
    ]
    async with blueking_site(client, tmp_path, platform, pace) as site:
        begun_at = time.monotonic()
        runs = [await site.start(numbered, number=str(at)) for at in range(count)]
        ends = await asyncio.gather(*map(_end, runs))
        took_s = time.monotonic() - begun_at

    counted = Counter("unknown" if "outcome unknown" in end else end for end in ends)
    print(
        f"{count} jobs in {took_s:.0f} s: {dict(counted)}, {len(platform.ledger)} calls, "
        f"{_most_a_second(platform)} in the busiest second of {pace} allowed, "
        f"{len(_started_more_than_once(platform))} started more than once"
    )
    assert set(counted) <= {"finished", "unknown"}, counted
    assert counted["finished"] > count * 0.85, counted
    assert _started_more_than_once(platform) == []
    assert {view(j, platform.world.pace, 1e12).status for j in platform.world.jobs.values()} == {3}
    assert _most_a_second(platform) <= pace


def _started_more_than_once(platform: Platform) -> list[str]:
    """Return the logs of jobs of which there are two."""
    logs = Counter(job.steps[0].hosts[0].log for job in platform.world.jobs.values())
    return [log for log, count in logs.items() if count > 1]


def _most_a_second(platform: Platform) -> int:
    """Return how many calls came in the busiest second."""
    times = [entry.at for entry in platform.ledger]
    first, most = 0, 0
    for last, at in enumerate(times):
        while at - times[first] >= 1:
            first += 1
        most = max(most, last - first + 1)
    return most


async def _end(run: Run) -> str:
    """Return `finished`, or what the failed node says."""
    from temporalio.client import WorkflowFailureError

    try:
        found = cast("Json", await run.result())
    except WorkflowFailureError as error:
        return str(error.cause)
    return str(found.get("state", found)).lower()
