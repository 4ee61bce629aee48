import threading
from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import JsonValue

from workers.receiver.view import inbox_of, told
from workers.store import Callback, Store
from workers.store.inbox import FORGED, MOST_FORGED, Execution, Inbox, State, key_of

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
LEASE = timedelta(seconds=90)
HERE = Execution("release-1", "sub/approve", 1)


@pytest.fixture
def store(tmp_path: Path) -> Generator[Store]:
    with Store.open(f"sqlite:///{tmp_path}/store.db") as opened:
        yield opened


@pytest.fixture
def inbox(store: Store) -> Inbox:
    return store.inbox


def keep(
    inbox: Inbox, data: JsonValue = None, at: datetime = NOW, execution: Execution = HERE
) -> Callback:
    return inbox.keep(execution, data, repr(data).encode(), at).callback


def due(inbox: Inbox, after_s: float = 0) -> list[int]:
    taken = inbox.take_due(NOW + timedelta(seconds=after_s), LEASE)
    return [one.id for one in taken]


@pytest.mark.parametrize("data", [None, 0, "", "报告", [1, {"a": [None]}], {"ok": True}])
def test_what_is_kept_comes_back_as_it_was(inbox: Inbox, data: JsonValue) -> None:
    kept = keep(inbox, data)

    assert inbox.get(kept.id) == kept
    assert (kept.execution, kept.data, kept.has_data) == (HERE, data, True)
    assert (kept.state, kept.received_at, kept.attempts) == ("received", NOW, 0)


def test_the_same_body_for_the_same_execution_is_kept_once(inbox: Inbox) -> None:
    first = inbox.keep(HERE, 1, b"1", NOW)
    second = inbox.keep(HERE, 1, b"1", NOW + timedelta(hours=1))

    assert (first.is_new, second.is_new) == (True, False)
    assert second.callback.copies == 2
    assert second.callback.received_at == NOW
    assert len(inbox.find()) == 1


@pytest.mark.parametrize(
    "execution", [HERE._replace(entry=2), HERE._replace(node="x"), HERE._replace(run="y")]
)
def test_the_same_body_for_another_execution_is_another_callback(
    inbox: Inbox, execution: Execution
) -> None:
    keep(inbox, 1)

    assert inbox.keep(execution, 1, b"1", NOW).is_new


def test_no_two_callbacks_share_a_key() -> None:
    executions = [Execution("a", "b", 1), Execution("a b", "", 1), Execution("a", "b1", 1)]
    keys = {key_of(each, body) for each in executions for body in (b"", b"1", b"\0")}

    assert len(keys) == 9


def test_copies_that_come_at_once_are_kept_once(inbox: Inbox) -> None:
    new: list[bool] = []
    senders = [
        threading.Thread(target=lambda: new.append(inbox.keep(HERE, 1, b"1", NOW).is_new))
        for _ in range(8)
    ]
    for each in senders:
        each.start()
    for each in senders:
        each.join()

    assert sorted(new) == [False] * 7 + [True]
    assert [one.copies for one in inbox.find()] == [8]


def test_what_is_taken_is_nobody_elses_until_its_lease_ends(inbox: Inbox) -> None:
    kept = keep(inbox)

    assert due(inbox) == [kept.id]
    assert due(inbox) == []
    assert due(inbox, after_s=89) == []
    assert due(inbox, after_s=91) == [kept.id]
    assert [one.attempts for one in inbox.find()] == [2]


def test_callbacks_of_one_execution_are_taken_in_their_order(inbox: Inbox) -> None:
    first, second = keep(inbox, 1), keep(inbox, 2)
    other = keep(inbox, 3, execution=HERE._replace(node="other"))

    assert due(inbox) == [first.id, other.id]
    inbox.defer(first.id, "nobody answers", NOW + timedelta(seconds=5))
    assert due(inbox) == []
    assert due(inbox, after_s=6) == [first.id]
    inbox.settle(first.id, "delivered", "", NOW)
    assert due(inbox, after_s=6) == [second.id]


def test_the_next_one_due_is_known(inbox: Inbox) -> None:
    assert inbox.next_due() is None

    kept = keep(inbox)
    inbox.defer(kept.id, "away", NOW + timedelta(seconds=9))

    assert inbox.next_due() == NOW + timedelta(seconds=9)


@pytest.mark.parametrize("state", ["delivered", "refused", "dead"])
def test_what_is_settled_is_not_due(inbox: Inbox, state: State) -> None:
    kept = keep(inbox)
    inbox.settle(kept.id, state, "why", NOW)

    assert due(inbox) == []
    assert inbox.next_due() is None
    found = inbox.find(states=[state])
    assert [(one.reason, one.settled_at) for one in found] == [("why", NOW)]


def test_one_that_was_given_up_is_tried_again_when_it_comes_again(inbox: Inbox) -> None:
    kept = keep(inbox, 1)
    inbox.settle(kept.id, "dead", "given up", NOW)

    again = inbox.keep(HERE, 1, b"1", NOW + timedelta(days=8))

    assert again.is_new
    assert again.callback.state == "received"
    assert due(inbox, after_s=8 * 24 * 3600) == [kept.id]


def test_one_that_was_refused_is_not(inbox: Inbox) -> None:
    kept = keep(inbox, 1)
    inbox.settle(kept.id, "refused", "stale", NOW)

    assert not inbox.keep(HERE, 1, b"1", NOW).is_new
    assert due(inbox) == []


def test_an_operator_may_have_it_tried_again(inbox: Inbox) -> None:
    kept = keep(inbox, 1)
    inbox.settle(kept.id, "refused", "stale", NOW)

    fresh = inbox.requeue(kept.id, NOW, LEASE)

    assert fresh is not None
    assert (fresh.state, fresh.attempts, fresh.settled_at) == ("received", 0, None)
    assert due(inbox) == [], "whoever queued it tries it first"
    assert due(inbox, after_s=91) == [kept.id]


def test_what_could_not_be_taken_is_noted_and_counted_but_never_delivered(inbox: Inbox) -> None:
    inbox.note(HERE, "expired", NOW)
    inbox.note(HERE, "expired", NOW)

    (found,) = inbox.find()
    assert (found.state, found.reason, found.copies) == ("refused", "expired", 2)
    assert not found.has_data
    assert inbox.requeue(found.id, NOW, LEASE) is None
    assert inbox.get(found.id) == found


def test_whoever_forges_callbacks_cannot_fill_the_store(inbox: Inbox) -> None:
    mine = keep(inbox)
    for number in range(MOST_FORGED + 20):
        inbox.note(Execution(f"run-{number}", "n", 1), FORGED, NOW)

    found = inbox.find(limit=1000)
    assert len(found) == MOST_FORGED + 1
    assert found[0] == mine
    assert found[-1].execution.run == f"run-{MOST_FORGED + 19}"


def test_old_ones_are_forgotten_once_they_are_settled(inbox: Inbox) -> None:
    done, waiting = keep(inbox, 1), keep(inbox, 2)
    inbox.settle(done.id, "delivered", "", NOW)

    assert inbox.forget(NOW) == 0
    assert inbox.forget(NOW + timedelta(seconds=1)) == 1
    assert [one.id for one in inbox.find()] == [waiting.id]


def test_a_run_is_told_of_its_own_callbacks_in_one_line_each(store: Store) -> None:
    kept = keep(store.inbox, 1)
    keep(store.inbox, 2, execution=HERE._replace(run="other"))
    store.inbox.keep(HERE, 1, b"1", NOW)
    store.inbox.settle(kept.id, "refused", "the callback is for attempt 1", NOW)

    lines = [told(one, NOW + timedelta(minutes=5)) for one in inbox_of(store, "release-1")]

    assert lines == [
        (
            "callback 1 for sub/approve (attempt 1) came 5 min ago, 2 times and was refused: the "
            "callback is for attempt 1; `stdops callbacks redeliver 1` tries it again"
        )
    ]
