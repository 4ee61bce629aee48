import base64
import json

import httpx
import pytest
from pydantic import JsonValue

from activities.builtin.http_request import http_request, read_statuses
from activities.contract import Done, Failed
from activities.steps import TryAgain
from activities.testing import Answer, Stage

URL = "http://outside.test/api"


def answers(status: int, body: object = None, **headers: str) -> Answer:
    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(status, json=body, headers=headers)

    return answer


def lost(request: httpx.Request) -> httpx.Response:
    raise httpx.ReadError("reset", request=request)


async def test_an_answer_becomes_outputs() -> None:
    async with Stage(answers(200, {"state": "up"}, **{"X-Id": "7"})) as stage:
        outcome = await stage.run(http_request, {"url": URL})

    assert isinstance(outcome, Done)
    assert outcome.outputs["status"] == 200
    assert outcome.outputs["json"] == {"state": "up"}
    assert outcome.outputs["text"] == '{"state":"up"}'
    headers = outcome.outputs["headers"]
    assert isinstance(headers, dict)
    assert headers["x-id"] == "7"


async def test_an_answer_that_is_no_json_has_text_alone() -> None:
    async with Stage(lambda _: httpx.Response(200, text="七")) as stage:
        outcome = await stage.run(http_request, {"url": URL})

    assert outcome.outputs["text"] == "七"
    assert outcome.outputs["json"] is None


async def test_a_long_answer_is_cut_and_says_so() -> None:
    async with Stage(lambda _: httpx.Response(200, text="七" * 10)) as stage:
        outcome = await stage.run(http_request, {"url": URL, "max_answer_bytes": 10})

    assert outcome.outputs["text"] == "七七七"
    assert outcome.outputs["truncated"] is True


@pytest.mark.parametrize(
    ("inputs", "body", "kind"),
    [
        ({"json": {"a": [1]}}, b'{"a":[1]}', "application/json"),
        ({"json": '{"a": 1}'}, b'{"a":1}', "application/json"),
        ({"form": {"a": "1 2"}}, b"a=1+2", "application/x-www-form-urlencoded"),
        ({"text": "a: 1", "content_type": "text/yaml"}, b"a: 1", "text/yaml"),
    ],
    ids=["json", "json as text", "form", "text"],
)
async def test_a_body_is_sent_as_its_kind(
    inputs: dict[str, JsonValue], body: bytes, kind: str
) -> None:
    async with Stage(answers(200)) as stage:
        await stage.run(http_request, {"url": URL, "method": "post", **inputs})

    [request] = stage.requests
    assert (request.method, request.content) == ("POST", body)
    assert request.headers["content-type"] == kind


async def test_query_and_headers_are_added_to_the_request() -> None:
    rows: JsonValue = [{"name": "X-Trace", "value": "七"}, {"name": " ", "value": "left out"}]
    inputs: dict[str, JsonValue] = {"url": f"{URL}?a=1", "query": {"b": ["2", "3"]}}
    async with Stage(answers(200)) as stage:
        await stage.run(http_request, {**inputs, "headers": rows})

    assert str(stage.requests[0].url) == f"{URL}?a=1&b=2&b=3"
    assert stage.requests[0].headers["x-trace"] == "七"


async def test_user_and_password_or_a_token_say_who_we_are() -> None:
    async with Stage(answers(200)) as stage:
        await stage.run(http_request, {"url": URL, "user": "ops", "password": "pässword"})
        await stage.run(http_request, {"url": URL, "token": {"tag": "value", "value": "abc"}})

    basic, bearer = (request.headers["authorization"] for request in stage.requests)
    assert base64.b64decode(basic.removeprefix("Basic ")).decode() == "ops:pässword"
    assert bearer == "Bearer abc"


@pytest.mark.parametrize(
    ("inputs", "problem"),
    [
        ({"json": "{no"}, "it is not JSON"),
        ({"json": 1, "text": "x"}, "give one of json, form and text"),
        ({"token": "a1b2c3", "user": "u"}, "give a token, or a user and a password"),
        ({"expect": "2xx, fine"}, "'fine' is no status"),
        ({"success_if": "json.code = 0"}, "is no condition"),
        ({"headers": {"a b": "c"}}, "header 'a b' is not a name"),
    ],
)
async def test_wrong_inputs_are_told_before_anything_is_sent(
    inputs: dict[str, JsonValue], problem: str
) -> None:
    async with Stage(answers(200)) as stage:
        outcome = await stage.run(http_request, {"url": URL, **inputs})

    assert isinstance(outcome, Failed)
    assert problem in outcome.error
    assert "a1b2c3" not in outcome.error
    assert stage.requests == []


async def test_an_expected_status_is_a_success() -> None:
    async with Stage(answers(404)) as stage:
        outcome = await stage.run(http_request, {"url": URL, "expect": [200, 404]})

    assert isinstance(outcome, Done)


async def test_another_status_fails_with_the_answer() -> None:
    async with Stage(answers(404, {"why": "gone"})) as stage:
        outcome = await stage.run(http_request, {"url": URL})

    assert isinstance(outcome, Failed)
    assert outcome.error == 'the request failed with status 404 Not Found: {"why":"gone"}'
    assert outcome.outputs["json"] == {"why": "gone"}


@pytest.mark.parametrize(
    ("condition", "is_success"),
    [
        ("json.code == 0", True),
        ("json.code == 0 and headers.x_id == 7", True),
        ('status == 200 and json.state == "down"', False),
    ],
)
async def test_a_condition_judges_the_answer(condition: str, *, is_success: bool) -> None:
    async with Stage(answers(200, {"code": 0, "state": "up"}, **{"X-Id": "7"})) as stage:
        outcome = await stage.run(http_request, {"url": URL, "success_if": condition})

    assert isinstance(outcome, Done) == is_success


async def test_a_condition_over_what_is_not_there_fails_with_the_answer() -> None:
    async with Stage(answers(200, {})) as stage:
        outcome = await stage.run(http_request, {"url": URL, "success_if": "json.code == 0"})

    assert isinstance(outcome, Failed)
    assert "no value supplied for json.code" in outcome.error
    assert outcome.outputs["status"] == 200


@pytest.mark.parametrize(
    ("inputs", "kind"),
    [
        ({"method": "PUT"}, "no_answer"),
        ({"method": "DELETE"}, "no_answer"),
        ({"method": "POST", "repeatable": True}, "no_answer"),
        ({"method": "GET"}, "not_taken"),
    ],
)
async def test_a_lost_answer_is_asked_for_again_where_that_is_safe(
    inputs: dict[str, JsonValue], kind: str
) -> None:
    async with Stage(lost) as stage:
        result = await stage.call(http_request, {"url": URL, **inputs})

    assert isinstance(result, TryAgain)
    assert result.kind == kind


@pytest.mark.parametrize("answer", [lost, answers(502)], ids=["lost", "bad gateway"])
async def test_of_a_lost_post_nobody_knows(answer: Answer) -> None:
    async with Stage(answer) as stage:
        outcome = await stage.run(http_request, {"url": URL, "method": "POST"})

    assert isinstance(outcome, Failed)
    assert outcome.error.startswith("outcome unknown")
    assert len(stage.requests) == 1


async def test_a_breakdown_is_tried_again_where_that_is_safe() -> None:
    statuses = iter([500, 503, 200])
    async with Stage(lambda _: httpx.Response(next(statuses))) as stage:
        outcome = await stage.run(http_request, {"url": URL, "method": "PUT"})

    assert isinstance(outcome, Done)


async def test_too_many_requests_are_tried_again_when_the_other_side_says() -> None:
    replies = iter([httpx.Response(429, headers={"retry-after": "7"}), httpx.Response(200)])
    async with Stage(lambda _: next(replies)) as stage:
        outcome = await stage.run(http_request, {"url": URL, "method": "POST"})

    assert isinstance(outcome, Done)
    assert stage.elapsed_s == 7


async def test_a_repeatable_post_carries_an_idempotency_key() -> None:
    inputs: dict[str, JsonValue] = {"url": URL, "method": "POST", "json": 1, "repeatable": True}
    async with Stage(answers(200)) as stage:
        await stage.run(http_request, inputs)

    assert stage.requests[0].headers["idempotency-key"] == "rehearsal:node:1"


async def test_secrets_do_not_show_in_a_failure() -> None:
    async with Stage(lambda r: httpx.Response(400, text=r.headers["authorization"])) as stage:
        outcome = await stage.run(http_request, {"url": URL, "token": "hush-hush"})

    assert "hush-hush" not in json.dumps(outcome.model_dump(include={"error"}))


def test_statuses_are_read_as_lists_ranges_and_hundreds() -> None:
    assert read_statuses("200-202, 404") == {200, 201, 202, 404}
    assert read_statuses("2xx") == set(range(200, 300))
