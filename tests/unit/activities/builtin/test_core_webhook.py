import base64
import hashlib
import hmac

import httpx
import pytest
from pydantic import JsonValue

from activities.builtin.webhook import webhook
from activities.contract import Done, Failed
from activities.testing import START, Answer, Stage

URL = "http://outside.test/hook"
KEY = b"0123456789abcdef"
WRITTEN = f"whsec_{base64.b64encode(KEY).decode()}"


def event(**more: JsonValue) -> dict[str, JsonValue]:
    known: dict[str, JsonValue] = {"url": URL, "payload": {"事": "done"}, "secret": "hush-hush"}
    return known | more


def accepts(_: httpx.Request) -> httpx.Response:
    return httpx.Response(202, json={"ok": True})


def lost(request: httpx.Request) -> httpx.Response:
    raise httpx.ReadError("reset", request=request)


def times_out(_: httpx.Request) -> httpx.Response:
    return httpx.Response(504)


def expected_signature(request: httpx.Request, key: bytes) -> str:
    head = f"{request.headers['webhook-id']}.{request.headers['webhook-timestamp']}."
    digest = hmac.new(key, head.encode() + request.content, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"


@pytest.mark.parametrize(
    ("given", "key"),
    [({"secret": "hush-hush"}, b"hush-hush"), ({"secret": WRITTEN}, KEY)],
    ids=["text", "base64"],
)
async def test_the_event_is_signed(given: dict[str, JsonValue], key: bytes) -> None:
    async with Stage(accepts) as stage:
        outcome = await stage.run(webhook, event(**given))

    assert isinstance(outcome, Done)
    [request] = stage.requests
    assert request.content == '{"事":"done"}'.encode()
    assert request.headers["webhook-timestamp"] == str(int(START.timestamp()))
    assert request.headers["webhook-signature"] == expected_signature(request, key)


async def test_every_try_of_one_execution_has_the_same_id() -> None:
    replies = iter([httpx.Response(429), httpx.Response(200)])
    async with Stage(lambda _: next(replies)) as stage:
        await stage.run(webhook, event())

    assert [r.headers["webhook-id"] for r in stage.requests] == ["rehearsal:node:1"] * 2
    assert stage.requests[0].headers["idempotency-key"] == "rehearsal:node:1"


async def test_a_secret_of_the_workers_is_found_by_its_name() -> None:
    settings: dict[str, dict[str, JsonValue]] = {"webhook": {"secrets": {"ops": WRITTEN}}}
    async with Stage(accepts, settings=settings) as stage:
        await stage.run(webhook, event(secret="", secret_name="ops"))

    [request] = stage.requests
    assert request.headers["webhook-signature"] == expected_signature(request, KEY)


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"secret": ""}, "there is nothing to sign with"),
        ({"secret": "", "secret_name": "qa"}, "have no signing secret 'qa'; they have: none"),
        ({"secret": "whsec_!"}, "no base64 follows"),
    ],
)
async def test_nothing_is_sent_without_a_secret(given: dict[str, JsonValue], problem: str) -> None:
    async with Stage(accepts) as stage:
        outcome = await stage.run(webhook, event(**given))

    assert isinstance(outcome, Failed)
    assert problem in outcome.error
    assert stage.requests == []


@pytest.mark.parametrize("answer", [lost, times_out], ids=["lost", "504"])
async def test_of_a_lost_answer_nobody_knows(answer: Answer) -> None:
    async with Stage(answer) as stage:
        outcome = await stage.run(webhook, event())

    assert isinstance(outcome, Failed)
    assert outcome.error.startswith("outcome unknown")
    assert len(stage.requests) == 1


async def test_a_receiver_that_tells_repetitions_is_told_again() -> None:
    async with Stage(times_out) as stage:
        await stage.run(webhook, event(repeatable=True))

    assert len(stage.requests) == 5
