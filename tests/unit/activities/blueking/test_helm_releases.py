import json

import httpx
import pytest

from activities.blueking.helm_releases import bk_bcs_helm_upgrade
from activities.contract import Done, Failed, Polling
from activities.steps import TryAgain
from activities.testing import Answer, Stage
from tests.helpers.job_platform import SETTINGS, Json, good, refusal

UPGRADE: Json = {
    "project_code": "demo",
    "cluster_id": "BCS-K8S-00000",
    "namespace": "shop",
    "release": "web",
    "repository": "demo",
    "chart": "web",
    "version": "2.0.0",
    "values": ["replicas: 2"],
}
OLD: Json = {"revision": 1, "status": "deployed", "updateTime": "2026-01-01 10:00:00"}
BUSY: Json = {**OLD, "status": "pending-upgrade", "updateTime": "2026-01-02 10:00:00"}
NEW: Json = {**BUSY, "revision": 2, "status": "deployed"}
API = (
    "https://bcs-api-gateway.test/prod/helmmanager/v1/projects/demo/clusters/BCS-K8S-00000"
    "/namespaces/shop/releases/web"
)


class Releases:
    """A BK-BCS that shows these states of a release, one after another."""

    def __init__(self, *shown: Json, upgrade: httpx.Response | None = None) -> None:
        self.shown = list(shown)
        self.upgrade = upgrade

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.method == "PUT":
            return self.upgrade or good(None)
        return good(self.shown.pop(0) if len(self.shown) > 1 else self.shown[0])


def stage_of(answer: Answer) -> Stage:
    settings = {**SETTINGS, "gateway_url": "https://{api_name}.test"}
    context: Json = {"operator": "ann", "executor": "bob"}
    return Stage(answer, settings={"blueking": settings}, context=context)


async def test_a_release_is_read_then_upgraded_then_watched_to_its_end() -> None:
    async with stage_of(Releases(OLD, BUSY, NEW)) as stage:
        outcome = await stage.run(bk_bcs_helm_upgrade, UPGRADE)

    assert outcome == Done(outputs={"revision": 2, "status": "deployed"})
    asked = [(request.method, str(request.url)) for request in stage.requests]
    assert asked == [("GET", API), ("PUT", API), ("GET", API), ("GET", API)]
    assert json.loads(stage.requests[1].content) == {
        "repository": "demo",
        "chart": "web",
        "version": "2.0.0",
        "values": ["replicas: 2"],
        "args": [],
    }


async def test_the_state_from_before_is_not_the_end() -> None:
    async with stage_of(Releases(OLD)) as stage:
        begun = await stage.call(bk_bcs_helm_upgrade, UPGRADE)
        assert isinstance(begun, Polling)
        again = await stage.poll(bk_bcs_helm_upgrade, UPGRADE, begun.handle, begun.outputs)

    assert isinstance(again, TryAgain)
    assert again.kind == "still_running"


@pytest.mark.parametrize("status", ["failed", "failed-upgrade", "unknown", "uninstalled"])
async def test_every_other_end_fails_the_node_with_what_helm_says(status: str) -> None:
    ended: Json = {**BUSY, "status": status, "message": "timed out"}
    async with stage_of(Releases(OLD, ended)) as stage:
        outcome = await stage.run(bk_bcs_helm_upgrade, UPGRADE)

    assert isinstance(outcome, Failed)
    assert outcome.error == f"release web has ended as {status}: timed out"
    assert outcome.outputs == {"revision": 1, "status": status}


async def test_a_refused_upgrade_fails_with_the_platforms_words() -> None:
    async with stage_of(Releases(OLD, upgrade=refusal("chart not found"))) as stage:
        outcome = await stage.run(bk_bcs_helm_upgrade, UPGRADE)

    assert isinstance(outcome, Failed)
    assert outcome.error.startswith(
        "调用容器管理平台(BK-BCS)接口bcs-api-gateway.upgrade_release返回失败, error=chart not found"
    )


async def test_a_name_cannot_lead_elsewhere() -> None:
    async with stage_of(Releases(OLD)) as stage:
        await stage.call(bk_bcs_helm_upgrade, {**UPGRADE, "release": "../x?y"})

    assert str(stage.requests[0].url).endswith("/releases/..%2Fx%3Fy")
