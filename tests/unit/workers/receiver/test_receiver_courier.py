import asyncio
from collections.abc import Generator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from pydantic import JsonValue

from stdops import OperationRefused, StdopsError
from workers.client import Runs
from workers.receiver.courier import (
    AWAY_FOR,
    EARLY_FOR,
    KEPT_FOR,
    Courier,
    Kind,
    Tried,
    delivery,
    next_of,
    pause_s,
)
from workers.store import Callback, Store
from workers.store.inbox import Execution

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
HERE = Execution("release-1", "approve", 2)


@dataclass
class Post:
    """A courier on a scripted clock, with a run that answers as told, the last answer for ever."""

    store: Store
    answers: list[Tried | Exception] = field(default_factory=list[Tried | Exception])
    now: datetime = NOW
    delivered: list[JsonValue] = field(default_factory=list[JsonValue])

    def courier(self) -> Courier:
        return Courier(self.store.inbox, self.deliver, lambda: self.now)

    async def deliver(self, callback: Callback) -> Tried:
        self.delivered.append(callback.data)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def keep(self, data: JsonValue, execution: Execution = HERE) -> Callback:
        return self.store.inbox.keep(execution, data, repr(data).encode(), self.now).callback

    async def go_on(self, for_s: float) -> None:
        """Let the courier try what is due, second by second."""
        courier, end = self.courier(), self.now + timedelta(seconds=for_s)
        while self.now < end:
            while await courier.deliver_due():
                pass
            self.now += timedelta(seconds=1)

    def states(self) -> list[tuple[str, str, int]]:
        return [(one.state, one.reason, one.attempts) for one in self.store.inbox.find()]


@pytest.fixture
def post(tmp_path: Path) -> Generator[Post]:
    with Store.open(f"sqlite:///{tmp_path}/store.db") as store:
        yield Post(store)


async def test_a_callback_is_delivered_once(post: Post) -> None:
    post.answers = [Tried("delivered")]
    post.keep({"ok": 1})
    await post.go_on(10)

    assert post.delivered == [{"ok": 1}]
    assert post.states() == [("delivered", "", 1)]


async def test_a_refusal_by_the_run_is_final_and_kept_with_its_reason(post: Post) -> None:
    post.answers = [Tried("refused", "the callback is for attempt 1")]
    post.keep(1)
    await post.go_on(100)

    assert post.delivered == [1]
    assert post.states() == [("refused", "the callback is for attempt 1", 1)]


async def test_what_nobody_answers_is_tried_again_less_and_less_often(post: Post) -> None:
    post.answers = [*[Tried("away", "no Temporal server")] * 8, Tried("delivered")]
    post.keep(1)
    await post.go_on(200)

    # after 1, 2, 4, 8, 16, 32, 60 and 60 seconds
    assert len(post.delivered) == 9
    assert post.states() == [("delivered", "", 9)]


async def test_later_callbacks_of_the_same_execution_wait_for_the_first(post: Post) -> None:
    post.answers = [Tried("away"), Tried("away"), Tried("delivered")]
    for number in (1, 2, 3):
        post.keep(number)
    await post.go_on(10)

    assert post.delivered == [1, 1, 1, 2, 3]


async def test_a_crash_counts_as_nobody_answered_and_stops_no_other(post: Post) -> None:
    post.answers = [ZeroDivisionError("a bug"), Tried("delivered")]
    post.keep(1)
    post.keep(2, HERE._replace(node="other"))
    await post.go_on(5)

    assert sorted(map(str, post.delivered)) == ["1", "1", "2"]
    assert [state for state, *_ in post.states()] == ["delivered", "delivered"]


async def test_one_that_came_too_early_is_tried_for_a_bounded_time(post: Post) -> None:
    post.answers = [Tried("early", "attempt 2 has not begun")]
    post.keep(1)
    await post.go_on(EARLY_FOR.total_seconds() + 120)

    assert post.states()[0][:2] == ("refused", "attempt 2 has not begun")


def callback(received_at: datetime, attempts: int = 0) -> Callback:
    return Callback(
        id=1,
        key="k",
        execution=HERE,
        data=None,
        has_data=True,
        state="received",
        reason="",
        received_at=received_at,
        next_at=received_at,
        settled_at=None,
        attempts=attempts,
        copies=1,
    )


@pytest.mark.parametrize(
    ("kind", "waited", "state"),
    [
        ("delivered", timedelta(), "delivered"),
        ("refused", timedelta(), "refused"),
        ("early", EARLY_FOR - timedelta(seconds=1), "received"),
        ("early", EARLY_FOR, "refused"),
        ("away", AWAY_FOR - timedelta(seconds=1), "received"),
        ("away", AWAY_FOR, "dead"),
    ],
)
def test_what_follows_a_delivery(kind: Kind, waited: timedelta, state: str) -> None:
    assert next_of(Tried(kind, "why"), callback(NOW - waited), NOW).state == state


def test_pauses_grow_to_a_minute() -> None:
    assert [pause_s(n) for n in (1, 2, 3, 6, 7, 8, 10_000)] == [1, 2, 4, 32, 60, 60, 60]


async def test_what_was_settled_long_ago_is_forgotten(post: Post) -> None:
    kept = post.keep(1)
    post.store.inbox.settle(kept.id, "delivered", "", NOW)
    post.now += KEPT_FOR + timedelta(seconds=1)
    running = asyncio.ensure_future(post.courier().run())
    while post.store.inbox.find():  # noqa: ASYNC110  the courier tells nobody
        await asyncio.sleep(0)
    running.cancel()

    assert post.states() == []


async def test_a_courier_that_is_woken_delivers_at_once_and_goes_on(post: Post) -> None:
    post.answers = [Tried("delivered")]
    courier = post.courier()
    running = asyncio.ensure_future(courier.run())
    for number in (1, 2):
        post.keep(number)
        courier.wake()
        while len(post.delivered) < number:  # noqa: ASYNC110  it is what is waited for
            await asyncio.sleep(0)
    running.cancel()

    assert post.delivered == [1, 2]


async def test_a_courier_that_is_stopped_leaves_its_callback_to_the_next(post: Post) -> None:
    begun = asyncio.Event()

    async def never(_: Callback) -> Tried:
        begun.set()
        await asyncio.Event().wait()
        raise AssertionError

    kept = post.keep(1)
    running = asyncio.ensure_future(Courier(post.store.inbox, never, lambda: NOW).run())
    await begun.wait()
    running.cancel()
    await asyncio.wait((running,))

    assert [one.id for one in post.store.inbox.take_due(NOW, timedelta(seconds=9))] == [kept.id]


# --- by a client --------------------------------------------------------------------------------


class FakeRuns:
    """A client whose verbs end as told."""

    def __init__(self, error: StdopsError | None = None) -> None:
        self.error = error
        self.given: list[tuple[str, str, Any]] = []

    async def verb(self, run: str, name: str, payload: Any) -> None:
        self.given.append((run, name, payload))
        if self.error:
            raise self.error


async def tried(runs: FakeRuns) -> Tried:
    return await delivery(cast("Runs", runs))(callback(NOW))


def refused(reason: str) -> OperationRefused:
    error = OperationRefused("SOP300", "it does not apply")
    error.reason = reason
    return error


async def test_a_delivery_names_the_execution_and_may_be_given_twice() -> None:
    runs = FakeRuns()

    assert await tried(runs) == Tried("delivered")
    assert runs.given == [
        (
            "release-1",
            "callback",
            {
                "node": "approve",
                "data": None,
                "token": 2,
                "request_id": "k",
                "operator": "receiver",
                "reason": "HTTP callback 1",
            },
        )
    ]


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (refused("stale"), "refused"),
        (refused("ended"), "refused"),
        (refused("not_waiting"), "refused"),
        (refused("not_reached"), "early"),
        (refused(""), "away"),
        (StdopsError("SOP504", "unknown run"), "refused"),
        (StdopsError("SOP503", "no Temporal server"), "away"),
        (StdopsError("SOP505", "no worker answered in time"), "away"),
        (StdopsError("SOP506", "Temporal refused the request"), "away"),
    ],
    ids=str,
)
async def test_only_a_run_that_says_no_is_final(error: StdopsError, kind: str) -> None:
    assert (await tried(FakeRuns(error))).kind == kind
