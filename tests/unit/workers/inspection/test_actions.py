from pydantic import JsonValue

from tests.unit.workers.inspection.history_events import at, began, entries, signaled, updated
from workers.inspection.actions import actions_of, journal_of
from workers.inspection.parts import Part


async def test_an_update_has_who_asked_and_as_whom_the_server_knows_him() -> None:
    events = [began(3), updated(4, "skip", {"node": "a", "operator": "ann", "reason": "by hand"})]

    (found,) = await actions_of(events, [])

    assert (found.at, found.verb, found.node, found.accepted) == (3, "skip", "a", True)
    assert (found.operator, found.client, found.reason) == ("ann", "7@host", "by hand")


async def test_the_journal_says_what_became_of_a_signal() -> None:
    events = [signaled(3, "skip", {"node": "A", "operator": "ann"})]
    journal = entries(
        {"at": 4, "verb": "skip", "node": "sub/a", "operator": "ann", "refusal": "it runs"}
    )

    (found,) = await actions_of(events, journal)

    assert (found.node, found.accepted, found.refusal) == ("sub/a", False, "it runs")
    assert (found.client, found.channel) == ("7@host", "signal")


async def test_of_a_signal_that_the_journal_has_dropped_nobody_can_say() -> None:
    events = [signaled(n, "skip", {"node": "a", "operator": "ann"}) for n in (3, 5, 7)]
    journal = entries({"at": 7, "verb": "skip", "node": "a", "operator": "ann"})

    found = await actions_of(events, journal)

    assert [(each.at, each.accepted) for each in found] == [(3, None), (5, None), (7, True)]


async def test_an_alias_is_found_under_its_own_name() -> None:
    events = [signaled(3, "forced_fail", {"node_id": "a"})]
    journal = entries({"at": 3, "verb": "force_fail", "alias": "forced_fail", "node": "a"})

    (found,) = await actions_of(events, journal)

    assert (found.verb, found.alias) == ("force_fail", "forced_fail")


async def test_a_malformed_signal_is_told_once() -> None:
    journal = entries({"at": 3, "verb": "skip", "refusal": "field 'node' is missing"})

    (found,) = await actions_of([signaled(3, "skip", ["x"])], journal)

    assert (found.accepted, found.client) == (False, "7@host")


async def test_a_dry_run_and_a_request_given_twice_do_nothing() -> None:
    again = {"node": "a", "request_id": "q"}
    events = [
        began(2),
        updated(3, "skip", {"node": "a", "dry_run": True}),
        updated(4, "retry", again),
        updated(5, "retry", again),
    ]

    assert [each.verb for each in await actions_of(events, [])] == ["retry"]


async def test_what_only_the_journal_knows_is_told_too() -> None:
    journal = entries(
        {"at": 9, "verb": "revoke", "operator": "Temporal"}, {"at": 9, "verb": "warning"}
    )

    (found,) = await actions_of([], journal)

    assert (found.verb, found.who) == ("revoke", "Temporal")


async def test_what_is_done_by_means_of_the_server_is_told() -> None:
    event = at(5)
    told = event.workflow_execution_terminated_event_attributes
    told.identity, told.reason = "bob@host", "runaway"

    (found,) = await actions_of([event], [])

    assert (found.verb, found.client, found.reason) == ("terminate", "bob@host", "runaway")


def test_the_journals_of_all_parts_are_one() -> None:
    old: list[JsonValue] = [{"at": 1, "verb": "pause"}, {"at": 2, "verb": "resume"}]
    part = Part("x", (), {"journal": old, "journal_count": 2})
    answer = {"entries": [{"at": 2, "verb": "resume"}, {"at": 3, "verb": "skip"}], "count": 3}

    found = journal_of([part], answer)

    assert [entry["verb"] for entry in found] == ["pause", "resume", "skip"]
    assert journal_of([], None) == []
