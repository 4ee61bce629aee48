import json

import httpx
import pytest
from pydantic import JsonValue

from activities.blueking.ci_builds import bk_ci_build
from activities.blueking.log_search import bk_log_search
from activities.contract import Done, Failed
from activities.steps import TryAgain
from activities.testing import Answer, Stage
from tests.helpers.job_platform import SETTINGS, Json, Platform, on_stage, refusal

BUILD: Json = {"project_id": "shop", "pipeline_id": "p-1", "variables": {"version": "1.10"}}
API = "https://devops.test/prod/v4/apigw-app/projects/shop"


class Pipelines:
    """A BK-CI whose build is in these states one after another; an answer that is lost is None."""

    def __init__(self, *states: str, start: JsonValue = "b-7") -> None:
        self.states = list(states)
        self.start = start

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("build_start") and self.start is None:
            raise httpx.ReadTimeout("lost", request=request)
        if request.url.path.endswith("build_start"):
            return self.good({"id": self.start})
        if request.url.path.endswith("build_stop"):
            return self.good(data=True)
        return self.good({"status": self.states.pop(0)})

    def good(self, data: JsonValue) -> httpx.Response:
        return httpx.Response(200, json={"status": 0, "message": "", "data": data})


def stage_of(answer: Answer) -> Stage:
    settings = {**SETTINGS, "gateway_url": "https://{api_name}.test"}
    context: Json = {"operator": "ann", "executor": "bob"}
    return Stage(answer, settings={"blueking": settings}, context=context)


async def test_a_build_is_started_and_looked_at_until_it_has_ended() -> None:
    async with stage_of(Pipelines("QUEUE", "RUNNING", "SUCCEED")) as stage:
        outcome = await stage.run(bk_ci_build, BUILD)

    assert outcome == Done(outputs={"build_id": "b-7", "status": "SUCCEED"})
    start, look, *_ = stage.requests
    assert (start.method, str(start.url)) == ("POST", f"{API}/build_start?pipelineId=p-1")
    assert json.loads(start.content) == {"version": "1.10"}
    assert start.headers["X-DEVOPS-UID"] == "bob"
    assert str(look.url) == f"{API}/build_status?pipelineId=p-1&buildId=b-7"


@pytest.mark.parametrize("status", ["FAILED", "CANCELED", "QUALITY_CHECK_FAIL"])
async def test_a_build_that_ends_badly_fails_its_node(status: str) -> None:
    async with stage_of(Pipelines(status)) as stage:
        outcome = await stage.run(bk_ci_build, BUILD)

    assert isinstance(outcome, Failed)
    assert outcome.error == f"build b-7 has ended as {status}"
    assert outcome.outputs == {"build_id": "b-7", "status": status}


async def test_a_lost_start_is_not_sent_again() -> None:
    async with stage_of(Pipelines(start=None)) as stage:
        outcome = await stage.call(bk_ci_build, BUILD)

    assert isinstance(outcome, Failed)
    assert "outcome unknown" in outcome.error


async def test_a_lost_look_is_repeated() -> None:
    def lost(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadTimeout("lost", request=request)

    async with stage_of(lost) as stage:
        assert isinstance(await stage.poll(bk_ci_build, BUILD, "b-7"), TryAgain)


async def test_a_build_is_stopped_by_its_id() -> None:
    async with stage_of(Pipelines()) as stage:
        await stage.stop(bk_ci_build, BUILD, "b-7")

    assert str(stage.requests[0].url) == f"{API}/build_stop?pipelineId=p-1&buildId=b-7"


async def test_a_project_s_name_cannot_lead_elsewhere() -> None:
    async with stage_of(Pipelines()) as stage:
        await stage.call(bk_ci_build, {**BUILD, "project_id": "../x", "pipeline_id": "p&q"})

    asked = stage.requests[0].url.raw_path.decode()
    assert asked == "/prod/v4/apigw-app/projects/..%2Fx/build_start?pipelineId=p%26q"


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ({"status": 2101, "message": "no such pipeline"}, "no such pipeline"),
        ({"status": 0, "data": {}}, "names no build"),
    ],
)
async def test_a_start_that_gives_no_build_says_why(answer: Json, text: str) -> None:
    def answered(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json=answer)

    async with stage_of(answered) as stage:
        outcome = await stage.call(bk_ci_build, BUILD)

    assert isinstance(outcome, Failed)
    assert text in outcome.error


@pytest.mark.parametrize("total", [2, {"value": 2, "relation": "eq"}])
async def test_lines_of_logs_are_found(total: JsonValue) -> None:
    rows: JsonValue = [{"_id": "1", "_source": {"log": "a"}}, {"_source": {"log": "b"}}]
    platform = Platform(bk_log__esquery_search={"hits": {"total": total, "hits": rows}})
    async with on_stage(platform) as stage:
        outcome = await stage.run(bk_log_search, {"indices": "2_bklog.app", "size": "5"})

    assert outcome == Done(outputs={"total": 2, "logs": [{"log": "a"}, {"log": "b"}]})
    assert platform.params_of("bk_log.esquery_search") == [
        {
            "indices": "2_bklog.app",
            "query_string": "*",
            "scenario_id": "log",
            "time_range": "15m",
            "time_field": "dtEventTimeStamp",
            "size": 5,
            "use_time_range": True,
            "start": 0,
        }
    ]


async def test_a_refused_search_fails_with_the_platform_s_words() -> None:
    async with on_stage(Platform(bk_log__esquery_search=refusal("no index"))) as stage:
        outcome = await stage.run(bk_log_search, {"indices": "x"})

    assert isinstance(outcome, Failed)
    assert "no index" in outcome.error
