from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from pydantic import JsonValue

from activities.builtin.kubernetes_job import job_name, kubernetes_job
from activities.contract import Done, Failed, Polling
from activities.steps import TryAgain
from activities.testing import Stage
from tests.helpers.fake_kubernetes import FakeKubernetes, fake_kubernetes

JOB = job_name("rehearsal:node:1")
INPUTS: dict[str, JsonValue] = {"image": "migrate:1", "namespace": "ops", "command": "make all"}


@pytest.fixture
async def cluster() -> AsyncGenerator[FakeKubernetes, None]:
    async with fake_kubernetes() as fake:
        yield fake


@pytest.fixture
async def stage(cluster: FakeKubernetes, tmp_path: Path) -> AsyncGenerator[Stage, None]:
    config = cluster.kubeconfig(tmp_path / "config")
    known: JsonValue = {"kubeconfig": str(config), "namespaces": ["ops"]}
    table: dict[str, JsonValue] = {"clusters": {"default": known}}
    async with Stage(settings={"kubernetes_job": table}) as found:
        yield found


async def test_a_job_is_created_as_the_node_says(cluster: FakeKubernetes, stage: Stage) -> None:
    more: dict[str, JsonValue] = {"environment": {"A": "1"}, "memory": "256Mi", "tries": 3}
    result = await stage.call(kubernetes_job, INPUTS | more)

    assert result == Polling(handle=JOB, after_s=5, note=f"job ops/{JOB}")
    [job] = cluster.created
    assert job["metadata"]["name"] == JOB
    assert job["spec"]["backoffLimit"] == 2
    [container] = job["spec"]["template"]["spec"]["containers"]
    assert container["command"] == ["/bin/sh", "-c", "make all"]
    assert container["env"] == [{"name": "A", "value": "1"}]
    assert container["resources"]["limits"] == {"memory": "256Mi"}


async def test_a_creation_that_is_repeated_finds_the_job(
    cluster: FakeKubernetes, stage: Stage
) -> None:
    await stage.call(kubernetes_job, INPUTS)
    result = await stage.call(kubernetes_job, INPUTS, sent_before=True)

    assert isinstance(result, Polling)
    assert len(cluster.created) == 1


async def test_its_end_brings_exit_code_and_log(cluster: FakeKubernetes, stage: Stage) -> None:
    await stage.call(kubernetes_job, INPUTS)
    cluster.end("Complete", 0, "all\n完成\n")

    result = await stage.poll(kubernetes_job, INPUTS, JOB)

    assert result == Done(
        outputs={
            "job": JOB,
            "namespace": "ops",
            "pod": f"{JOB}-abc",
            "exit_code": 0,
            "log": "all\n完成\n",
        }
    )


async def test_a_failed_job_fails_with_its_reason_and_log(
    cluster: FakeKubernetes, stage: Stage
) -> None:
    await stage.call(kubernetes_job, INPUTS)
    cluster.end("Failed", 3, "no disk", reason="BackoffLimitExceeded", message="too often")

    result = await stage.poll(kubernetes_job, INPUTS, JOB)

    assert isinstance(result, Failed)
    assert result.error == f"job {JOB} failed: BackoffLimitExceeded: too often"
    assert (result.outputs["exit_code"], result.outputs["log"]) == (3, "no disk")


async def test_while_it_waits_the_note_says_for_what(cluster: FakeKubernetes, stage: Stage) -> None:
    await stage.call(kubernetes_job, INPUTS)
    cluster.show_pod("new", {"waiting": {"reason": "ImagePullBackOff"}}, "2026-01-01T00:00:02Z")
    cluster.show_pod("old", {"terminated": {"exitCode": 1}}, "2026-01-01T00:00:01Z")

    result = await stage.poll(kubernetes_job, INPUTS, JOB)

    assert isinstance(result, TryAgain)
    assert (result.kind, result.note) == ("still_running", f"job ops/{JOB}: ImagePullBackOff")


async def test_a_job_that_somebody_deleted_is_told(stage: Stage) -> None:
    result = await stage.poll(kubernetes_job, INPUTS, JOB)

    assert isinstance(result, Failed)
    assert "is gone" in result.error


async def test_a_stop_deletes_the_job_and_may_be_repeated(
    cluster: FakeKubernetes, stage: Stage
) -> None:
    await stage.call(kubernetes_job, INPUTS)
    results = [await stage.stop(kubernetes_job, INPUTS, JOB) for _ in range(2)]

    assert cluster.deleted == [JOB]
    assert all(isinstance(result, Done) for result in results)


@pytest.mark.parametrize(("status", "is_repeated"), [(503, True), (429, True), (403, False)])
async def test_what_the_cluster_refuses_is_told(
    cluster: FakeKubernetes, stage: Stage, status: int, *, is_repeated: bool
) -> None:
    cluster.refuses = status

    result = await stage.call(kubernetes_job, INPUTS)

    assert isinstance(result, TryAgain) == is_repeated
    text = result.what if isinstance(result, TryAgain) else result.model_dump()["error"]
    assert text == f"the cluster answered {status}: not now"


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"cluster": "prod"}, "the workers have no cluster 'prod'; they have: default"),
        ({"namespace": "kube-system"}, "may not be used; allowed: ops"),
    ],
)
async def test_only_what_the_settings_allow_is_used(
    cluster: FakeKubernetes, stage: Stage, given: dict[str, JsonValue], problem: str
) -> None:
    result = await stage.call(kubernetes_job, INPUTS | given)

    assert isinstance(result, Failed)
    assert problem in result.error
    assert cluster.created == []


async def test_outside_of_a_cluster_a_kubeconfig_is_asked_for() -> None:
    table: dict[str, JsonValue] = {"clusters": {"default": {"namespaces": ["ops"]}}}
    async with Stage(settings={"kubernetes_job": table}) as stage:
        result = await stage.call(kubernetes_job, INPUTS)

    assert isinstance(result, Failed)
    assert "cluster 'default' of [plugins.kubernetes_job]" in result.error
