import json

import httpx
import pytest
from pydantic import JsonValue

from activities.builtin.bk_http_request import http_request, http_request_legacy, limit_s
from activities.contract import Done, Failed
from activities.sdk import AnyPlugin
from activities.steps import TryAgain
from activities.testing import Answer, Stage

URL = "http://outside.test/api"


def asked(**more: JsonValue) -> dict[str, JsonValue]:
    return {"bk_http_request_url": URL} | {f"bk_http_{name}": v for name, v in more.items()}


def answers(status: int, body: object = None, **headers: str) -> Answer:
    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(status, json=body, headers=headers)

    return answer


@pytest.mark.parametrize("which", [http_request, http_request_legacy])
async def test_a_json_answer_is_the_output(which: AnyPlugin) -> None:
    async with Stage(answers(201, {"code": 0})) as stage:
        outcome = await stage.run(which, asked())

    assert outcome == Done(outputs={"data": {"code": 0}, "status_code": 201})


async def test_the_request_is_what_the_form_says() -> None:
    rows: JsonValue = [{"name": "X-Trace", "value": "七"}, {"name": " ", "value": "left out"}]
    inputs = asked(
        request_method="post", request_header=rows, request_body='{"名": 1}', timeout="60"
    )
    async with Stage(answers(200, {})) as stage:
        await stage.run(http_request, inputs)

    [request] = stage.requests
    assert (request.method, str(request.url)) == ("POST", URL)
    assert request.headers["x-trace"] == "七"
    assert request.headers["content-type"] == "application/json"
    assert json.loads(request.content) == {"名": 1}
    assert request.extensions["timeout"]["read"] == 60


async def test_a_get_has_no_body() -> None:
    async with Stage(answers(200, {})) as stage:
        await stage.run(http_request, asked(request_body="ignored"))

    assert stage.requests[0].content == b""


async def test_a_body_that_a_variable_made_an_object_is_sent_as_json() -> None:
    async with Stage(answers(200, {})) as stage:
        await stage.run(http_request, asked(request_method="PUT", request_body={"a": [1]}))

    assert stage.requests[0].content == b'{"a": [1]}'


@pytest.mark.parametrize(("given", "seconds"), [(0, 60), (-3, 3), (5, 5), (61, 60)])
def test_the_limit_is_at_most_a_minute(given: int, seconds: int) -> None:
    assert limit_s(given) == seconds


async def test_a_status_that_is_no_success_fails_with_the_answer() -> None:
    async with Stage(answers(404, {"why": "gone"})) as stage:
        outcome = await stage.run(http_request, asked())

    assert outcome == Failed(
        error='the request failed with status 404: {"why":"gone"}',
        outputs={"data": {"why": "gone"}, "status_code": 404},
    )


async def test_the_legacy_version_keeps_no_outputs_of_a_failure() -> None:
    async with Stage(answers(500, {"why": "down"})) as stage:
        outcome = await stage.run(http_request_legacy, asked())

    assert isinstance(outcome, Failed)
    assert outcome.outputs == {}


async def test_an_answer_that_is_not_json_fails() -> None:
    async with Stage(lambda _: httpx.Response(200, text="<html>")) as stage:
        outcome = await stage.run(http_request, asked())

    assert outcome == Failed(error="the answer is not JSON (status 200): <html>")


@pytest.mark.parametrize(
    ("rule", "code", "error"),
    [
        ("resp.code==0", 0, None),
        ("resp.code==0", 1, "the answer is no success by the rule 'resp.code==0'"),
        ("resp.code==", 0, "the success rule 'resp.code==' cannot be judged"),
    ],
)
async def test_the_rule_decides(rule: str, code: int, error: str | None) -> None:
    async with Stage(answers(200, {"code": code})) as stage:
        outcome = await stage.run(http_request, asked(success_exp=rule))

    known = {"data": {"code": code}, "status_code": 200}
    assert outcome.outputs == known
    assert isinstance(outcome, Done) if error is None else error in getattr(outcome, "error", "")


async def test_an_outside_that_is_busy_is_asked_again_when_it_says() -> None:
    busy = iter([httpx.Response(503, headers={"retry-after": "9"}), httpx.Response(200, json=1)])
    async with Stage(lambda _: next(busy)) as stage:
        outcome = await stage.run(http_request, asked(request_method="POST"))

    assert outcome == Done(outputs={"data": 1, "status_code": 200})
    assert stage.elapsed_s == 9


async def test_an_outside_that_is_always_busy_fails_in_the_end() -> None:
    async with Stage(answers(429, {}, **{"retry-after": "2"})) as stage:
        outcome = await stage.run(http_request, asked())

    assert isinstance(outcome, Failed)
    assert "gave up after 5 attempts" in outcome.error
    assert len(stage.requests) == 5


def silent(request: httpx.Request) -> httpx.Response:
    msg = "silence"
    raise httpx.ReadTimeout(msg, request=request)


async def test_a_lost_answer_is_asked_for_again_only_if_the_request_reads() -> None:
    async with Stage(silent) as stage:
        got = await stage.call(http_request, asked(request_method="GET"))
        posted = await stage.call(http_request, asked(request_method="POST"))

    assert isinstance(got, TryAgain)
    assert isinstance(posted, Failed)
    assert posted.error.startswith("outcome unknown: no answer: ReadTimeout")


async def test_after_a_crash_only_a_request_that_reads_is_sent_again() -> None:
    async with Stage(answers(200, {})) as stage:
        got = await stage.call(http_request, asked(), sent_before=True)
        posted = await stage.call(http_request, asked(request_method="POST"), sent_before=True)

    assert isinstance(got, Done)
    assert isinstance(posted, Failed)


@pytest.mark.parametrize(
    "inputs",
    [
        {"bk_http_request_url": "no address"},
        {"bk_http_request_url": "http://[bad"},
        {"bk_http_request_url": ""},
        {},
        asked(request_method="NO WORD", request_body="x"),
        asked(request_header=[{"name": "bad name", "value": "a"}]),
        asked(request_header=[{"name": "x", "value": "a\nb"}]),
        asked(request_header="text"),
        asked(timeout="soon"),
    ],
)
async def test_a_request_that_cannot_be_made_fails_with_a_reason(
    inputs: dict[str, JsonValue],
) -> None:
    async with Stage(answers(200, {})) as stage:
        outcome = await stage.run(http_request, inputs)

    assert isinstance(outcome, Failed), outcome
    assert "bug in plugin" not in outcome.error
