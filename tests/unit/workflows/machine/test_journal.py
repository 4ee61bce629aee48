import json
from typing import Any

import pytest

from activities.contract import Polling
from tests.helpers.plans import flow, plan, subflow, variable
from tests.helpers.runs import Run
from workflows.machine.events import Verb
from workflows.machine.journal import (
    COUNTED_NAMES,
    JOURNAL_CHARS,
    JOURNAL_LENGTH,
    REQUESTS_KEPT,
    history,
    note,
)
from workflows.machine.state import JournalEntry, RunState


def entry(**fields: Any) -> JournalEntry:
    """An entry of a refused skip."""
    given: dict[str, Any] = {
        "verb": "skip",
        "node": "a",
        "operator": "",
        "reason": "",
        "refusal": "no",
        **fields,
    }
    return JournalEntry(at=1, **given)


# --- what an entry says -------------------------------------------------------------------------


def test_an_entry_names_the_client_and_the_name_that_was_used() -> None:
    run = Run(plan("a"))

    run.do("force_fail", "a", client="ann@laptop", alias="forced_fail")

    [noted] = history(run.state)["entries"]
    assert (noted["client"], noted["alias"], noted["verb"]) == (
        "ann@laptop",
        "forced_fail",
        "force_fail",
    )
    assert noted["accepted"] is True
    assert run.state.failed["a"] == "The node has been terminated by ann@laptop."


def test_who_asked_is_his_own_word_before_what_the_server_knows() -> None:
    assert entry(client="c").who == "c"
    assert entry(client="c", operator="ann").who == "ann"


@pytest.mark.parametrize(
    ("name", "node", "fields", "changed"),
    [
        ("retry", "a", {"inputs": {"x": "s3cret"}, "set_inputs": {"y": 1}}, ("x", "y")),
        ("set_variables", "", {"values": {"v": "s3cret"}}, ("v",)),
        ("choose", "xor1", {"branches": ("xor1-b",)}, ("xor1-b",)),
        ("skip", "a", {}, ()),
    ],
)
def test_an_entry_names_what_changed_and_no_value(
    name: Any, node: str, fields: dict[str, Any], changed: tuple[str, ...]
) -> None:
    chains = ("fork1 a join1", "fork1 xor1 b join1", "xor1 c join1", "join1 end")
    never = {"xor1-b": "1 == 2", "xor1-c": "1 == 2"}
    run = Run(plan(*chains, conditions=never, variables=[variable("v")]))
    run.lose("a")

    assert run.do(name, node, **fields) == ""

    assert run.state.journal[-1].changed == changed
    assert "s3cret" not in str(run.state.journal)


def test_an_entry_tells_the_new_time_of_a_timer() -> None:
    run = Run(plan("timer1"))

    run.do("set_timer", "timer1", data=60)

    assert run.state.journal[-1].changed == ("1970-01-01 00:17:40 +0000",)


# --- bounds -------------------------------------------------------------------------------------


def test_a_text_of_any_length_is_cut() -> None:
    state = RunState()

    note(state, entry(node="n" * 10**6, refusal="x" * 10**6, changed=("c" * 99,) * 99))

    [noted] = state.journal
    assert len(str(noted)) < 3000
    assert noted.changed[-1] == "and 79 more"


def test_half_a_character_does_not_reach_the_state() -> None:
    state = RunState()

    note(state, entry(operator="\ud800"))

    assert json.dumps(state.journal[0].operator, ensure_ascii=False).encode()


def test_long_entries_leave_before_short_ones_would() -> None:
    state = RunState()

    for number in range(JOURNAL_LENGTH):
        note(state, entry(reason=f"{number:03}" + "r" * 997, refusal="x" * 500))

    told = history(state)
    assert sum(len(e["reason"]) + len(e["refusal"]) for e in told["entries"]) <= JOURNAL_CHARS
    assert (told["count"], told["dropped"]) == (500, 500 - len(told["entries"]))
    assert told["entries"][-1]["reason"].startswith("499")


def test_counts_by_verb_outlast_the_entries() -> None:
    run = Run(plan("a"))

    for _ in range(JOURNAL_LENGTH + 5):
        run.machine.handle(Verb("skip", "a"), run.now)
    run.do("pause")
    run.reload()

    told = history(run.state)
    assert (told["accepted"], told["refused"]) == ({"pause": 1}, {"skip": 505})
    assert (told["count"], told["dropped"]) == (506, 6)


def test_made_up_names_do_not_fill_the_state() -> None:
    state = RunState()

    for number in range(COUNTED_NAMES * 3):
        note(state, entry(verb=f"made-up-{number}"))

    assert len(state.journal_refused) == COUNTED_NAMES + 1
    assert sum(state.journal_refused.values()) == COUNTED_NAMES * 3


# --- requests -----------------------------------------------------------------------------------


def test_a_request_is_done_once_also_after_its_entry_has_left() -> None:
    run = Run(plan("a"))
    run.do("pause", request_id="r1")
    run.do("resume")
    for _ in range(JOURNAL_LENGTH):
        run.machine.handle(Verb("skip", "a"), run.now)
    run.reload()

    run.send(Verb("pause", request_id="r1"))

    assert run.status() == "running"
    assert run.state.journal_accepted == {"pause": 1, "resume": 1}


@pytest.mark.parametrize(("name", "node"), [("resume", ""), ("pause", "sub1")])
def test_a_request_id_of_something_else_is_refused(name: Any, node: str) -> None:
    run = Run(plan("sub1", nodes=[subflow("sub1", flow("n"))]))
    run.do("pause", request_id="r1")

    assert run.do(name, node, request_id="r1") == "used_before"

    assert run.refusal == "request id 'r1' was used before, for pause; take a fresh one"


def test_only_the_latest_request_ids_are_kept() -> None:
    run = Run(plan("a"))
    run.answer("a", Polling(handle=1, after_s=1))

    for number in range(REQUESTS_KEPT + 2):
        name = "resume" if number % 2 else "pause"
        run.machine.handle(Verb(name, request_id=f"r{number}"), run.now)

    assert len(run.state.journal_requests) == REQUESTS_KEPT
    assert "r1" not in run.state.journal_requests
    assert "r2" in run.state.journal_requests
