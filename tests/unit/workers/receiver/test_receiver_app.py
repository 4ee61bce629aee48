"""The receiver as the outside meets it: one HTTP request each, on a store of its own."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Generator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import JsonValue
from structlog.testing import capture_logs

from activities.callbacks import Claims, make_token
from stdops import StoreError
from workers.receiver.app import make_app
from workers.receiver.desk import FORM, Desk
from workers.store import Callback, Store

KEY, STRANGE = b"k" * 32, b"s" * 32
NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
LIMIT = 1000


@dataclass
class Receiver:
    """A receiver without a network: its clock, its inbox, what it woke."""

    store: Store
    now: datetime = NOW
    arrived: list[str] = field(default_factory=list[str])
    prefix: str = "/stdops"

    async def post(self, url: str, **options: Any) -> httpx.Response:
        desk = Desk(self.store.inbox, [KEY], LIMIT, lambda: self.now)
        app = make_app(desk, self.prefix, lambda: self.arrived.append("woken"))
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://here.test") as http:
            return await http.request(options.pop("method", "POST"), url, **options)

    def inbox(self) -> list[Callback]:
        return self.store.inbox.find()


@pytest.fixture
def receiver(tmp_path: Path) -> Generator[Receiver]:
    with Store.open(f"sqlite:///{tmp_path}/store.db") as store:
        yield Receiver(store)


def url(key: bytes = KEY, ttl_s: int = 60, node: str = "approve", run: str = "release-1") -> str:
    expires = int((NOW + timedelta(seconds=ttl_s)).timestamp())
    return f"/callback/{make_token([key], Claims(run, node, 2, expires))}"


async def test_a_callback_is_kept_before_it_is_acknowledged(receiver: Receiver) -> None:
    answer = await receiver.post(url(), json={"approved": True})

    assert answer.status_code == 200
    assert answer.json() == {
        "result": True,
        "state": "received",
        "message": "kept, and on its way to the node",
    }
    (kept,) = receiver.inbox()
    assert (kept.execution, kept.data) == (("release-1", "approve", 2), {"approved": True})
    assert receiver.arrived == ["woken"]


@pytest.mark.parametrize(
    ("content", "kind", "data"),
    [
        (b'{"a": [1, null]}', "application/json", {"a": [1, None]}),
        (b'{"a": 1}', "text/plain", {"a": 1}),
        (b'{"a": 1}', "", {"a": 1}),
        (b'{"a": 1}', FORM, {"a": 1}),
        (b"[1]", "application/json; charset=utf-8", [1]),
        (b"7", "application/json", 7),
        (b"", "application/json", None),
        (b"  \n", "", None),
        (b"\xef\xbb\xbf{}", "application/json", {}),
        ("报告=好&b=1&b=2&c=".encode(), FORM, {"报告": "好", "b": ["1", "2"], "c": ""}),
        (b"a=%E5%A5%BD+x", f"{FORM}; charset=UTF-8", {"a": "好 x"}),
    ],
)
async def test_json_and_forms_are_understood(
    receiver: Receiver, content: bytes, kind: str, data: JsonValue
) -> None:
    headers = {"content-type": kind} if kind else {}
    answer = await receiver.post(url(), content=content, headers=headers)

    assert answer.status_code == 200
    assert [one.data for one in receiver.inbox()] == [data]


@pytest.mark.parametrize(
    ("content", "kind", "why"),
    [
        (b"{", "application/json", "the body is not JSON"),
        (b"a=1", "application/json", "the body is not JSON"),
        (b"a=1", "multipart/form-data; boundary=x", "the body is not JSON"),
        (b"\xff\xfe", FORM, "the body is not a form"),
        (b'"\\ud800"', "", "surrogate"),
        (b"[" * 300 + b"]" * 300, "", "deep"),
        (b"NaN", "", "JSON cannot hold"),
        (b'{"a": 1e999}', "", "JSON cannot hold"),
    ],
)
async def test_a_body_that_no_run_can_hold_is_refused_and_noted(
    receiver: Receiver, content: bytes, kind: str, why: str
) -> None:
    answer = await receiver.post(url(), content=content, headers={"content-type": kind})

    assert answer.status_code == 400
    assert answer.json()["state"] == "malformed"
    assert why in answer.json()["message"]
    (noted,) = receiver.inbox()
    assert (noted.state, noted.has_data) == ("refused", False)
    assert receiver.arrived == []


async def test_the_same_again_is_acknowledged_but_not_kept_twice(receiver: Receiver) -> None:
    await receiver.post(url(), json={"a": 1})
    again = await receiver.post(url(ttl_s=120), json={"a": 1})
    other = await receiver.post(url(), json={"a": 2})

    assert (again.status_code, other.status_code) == (200, 200)
    assert again.json()["message"] == "already had it; it is on its way to the node"
    assert [one.copies for one in receiver.inbox()] == [2, 1]


async def test_the_same_again_is_told_what_became_of_the_first(receiver: Receiver) -> None:
    for number, state in enumerate(("delivered", "refused"), 1):
        await receiver.post(url(), json=number)
        receiver.store.inbox.settle(number, state, "node 'approve' has finished", NOW)

    delivered = await receiver.post(url(), json=1)
    refused = await receiver.post(url(), json=2)

    assert delivered.status_code == 200
    assert delivered.json()["message"] == "already had it; the node has it"
    assert refused.status_code == 409
    assert refused.json()["result"] is False
    assert "was refused: node 'approve' has finished" in refused.json()["message"]


async def test_an_expired_address_is_refused_with_its_date_and_noted(receiver: Receiver) -> None:
    receiver.now = NOW + timedelta(seconds=60)
    answer = await receiver.post(url(ttl_s=60), json=1)

    assert answer.status_code == 400
    assert answer.json()["state"] == "expired"
    assert "until 2026-01-01 12:01:00 UTC" in answer.json()["message"]
    assert [(one.state, one.reason) for one in receiver.inbox()] == [("refused", "expired")]


async def test_a_forged_address_is_refused_logged_and_noted_for_the_run_that_it_names(
    receiver: Receiver,
) -> None:
    with capture_logs() as logs:
        answer = await receiver.post(url(STRANGE), json=1)

    assert answer.status_code == 400
    assert answer.json()["state"] == "forged"
    assert [(each["event"], each["run"]) for each in logs] == [
        ("workers.callback_forged", "release-1")
    ]
    (noted,) = receiver.inbox()
    assert (noted.reason, noted.execution.run, noted.has_data) == ("forged", "release-1", False)


async def test_a_flood_of_forged_ones_is_not_written_down(receiver: Receiver) -> None:
    desk = Desk(receiver.store.inbox, [KEY], LIMIT, lambda: receiver.now)
    tokens = [url(STRANGE, run=f"run-{n}").rpartition("/")[2] for n in range(20)]

    for token in tokens:
        desk.admit(token)
    receiver.now += timedelta(seconds=1)
    desk.admit(tokens[-1])

    assert [one.execution.run for one in receiver.inbox()] == ["run-0", "run-19"]


@pytest.mark.parametrize("token", ["x", "A" * 60, "é", "a%2Fb", "."])
async def test_what_is_no_token_is_refused(receiver: Receiver, token: str) -> None:
    answer = await receiver.post(f"/callback/{token}", json=1)

    assert answer.status_code in {400, 404}
    assert receiver.inbox() == []


async def test_a_body_over_the_limit_is_refused_before_it_is_read(receiver: Receiver) -> None:
    read = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal read
        while True:
            read += 100
            yield b"x" * 100
            await asyncio.sleep(0)

    declared = await receiver.post(url(), content=b"x" * (LIMIT + 1))
    streamed = await receiver.post(url(), content=limited(endless(), 100 * LIMIT))

    assert [declared.status_code, streamed.status_code] == [413, 413]
    assert declared.json()["state"] == "too_large"
    (noted,) = receiver.inbox()
    assert (noted.reason, noted.copies) == (f"larger than {LIMIT} bytes", 2)


async def limited(parts: AsyncIterator[bytes], most: int) -> AsyncGenerator[bytes]:
    """Pass parts on up to a total that no test should come to."""
    total = 0
    async for part in parts:
        total += len(part)
        if total > most:
            return
        yield part


async def test_a_body_of_the_limit_is_taken(receiver: Receiver) -> None:
    answer = await receiver.post(url(), content=b'"' + b"x" * (LIMIT - 2) + b'"')

    assert answer.status_code == 200


async def test_a_strangers_body_is_not_read(receiver: Receiver) -> None:
    async def trap() -> AsyncIterator[bytes]:
        raise AssertionError("the body was read")
        yield b""

    desk = Desk(receiver.store.inbox, [KEY], LIMIT, lambda: NOW)
    app = make_app(desk)
    sent: list[Any] = []
    scope: dict[str, Any] = {
        "type": "http",
        "method": "POST",
        "path": url(STRANGE),
        "raw_path": url(STRANGE).encode(),
        "query_string": b"",
        "headers": [],
    }

    async def receive() -> Any:
        await anext(trap())

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope, receive, send)

    assert sent[0]["status"] == 400


async def test_a_store_that_is_away_asks_the_outside_to_come_again(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    def locked(*_: object) -> None:
        raise StoreError("SOP521", "the store is locked by another process")

    monkeypatch.setattr(receiver.store.inbox, "keep", locked)
    answer = await receiver.post(url(), json=1)

    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "5"
    assert answer.json()["result"] is False
    assert receiver.arrived == []


@pytest.mark.parametrize("shape", ["{}", "{}/", "/stdops{}", "/stdops{}/"])
async def test_a_path_of_the_public_address_may_stay_or_go(receiver: Receiver, shape: str) -> None:
    answer = await receiver.post(shape.format(url()), json=1)

    assert answer.status_code == 200


async def test_other_methods_and_places_are_refused(receiver: Receiver) -> None:
    assert (await receiver.post(url(), method="GET")).status_code == 405
    assert (await receiver.post("/callback/")).status_code == 404
    assert (await receiver.post("/healthz", method="GET")).json()["status"] == "ok"
