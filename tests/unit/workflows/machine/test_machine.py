import sys
from collections.abc import Callable
from typing import Any

import pytest

from activities.contract import Done, Polling, Waiting
from tests.helpers.plans import flow, plan, settings, subflow, task, variable
from tests.helpers.runs import Run, stored
from translator.plan import AutoRetry, Literal, Timeout, Variable
from workflows.machine.events import Evaluated, Event, TaskEnded, TimerFired, Verb
from workflows.machine.journal import JOURNAL_LENGTH
from workflows.machine.machine import Given


def test_a_run_is_given_variables_context_and_a_first_node() -> None:
    retyped = Variable(key="w", kind="plain", value=Literal(value="W"))
    made = task("b", {"x": "${v}${w}"})
    declared = [variable("v", "old"), variable("w", "old")]
    given = Given(variables={"v": "V"}, replaced={"w": retyped}, context={"k": 1}, start_at="b")

    run = Run(plan("a b", nodes=[made], variables=declared), given=given)

    assert run.calling == ["b"]
    assert run.step("b").inputs["x"] == "VW"
    assert run.state.context == {"k": 1}


def test_inherited_variables_are_seen_by_subflows_and_not_by_the_root() -> None:
    made = [task("a", {"x": "${v}"}), subflow("sub1", flow("n", nodes=[task("n", {"x": "${v}"})]))]
    run = Run(plan("a sub1", nodes=made), given=Given(inherited={"v": "V"}))

    root = run.step("a").inputs["x"]
    run.answer("a")

    assert (root, run.step("sub1/n").inputs["x"]) == ("${v}", "V")


def test_a_run_that_fails_fast_ends_at_the_first_failure() -> None:
    chains = ("fork1 a join1", "fork1 b join1", "join1 end")
    run = Run(plan(*chains), given=Given(fail_fast=True))

    run.lose("a")

    assert run.finish is not None
    assert (run.finish.state, run.finish.error) == ("failed", "node 'A' (a) failed: broken")
    assert (run.outstanding, run.status("b")) == ([], "revoked")


def test_failing_fast_tells_outside_work_to_stop() -> None:
    chains = ("fork1 a join1", "fork1 b join1", "join1 end")
    run = Run(plan(*chains), given=Given(fail_fast=True))
    run.answer("b", Polling(handle="job 7", after_s=5))

    run.lose("a")

    assert [(stop.path, stop.handle) for stop in run.stops] == [("b", "job 7")]


def test_failing_fast_waits_for_automatic_retries() -> None:
    made = task("a", auto_retry=AutoRetry(times=1, interval_s=1))
    run = Run(plan("a", nodes=[made]), given=Given(fail_fast=True))
    run.lose("a")
    before = run.finish

    run.fire("a", "retry")
    run.lose("a")

    assert (before, run.status()) == (None, "failed")


def test_outputs_of_the_run_stand_in_its_end() -> None:
    run = Run(plan("a", variables=[variable("v", [1])], outputs=["v"]))

    run.answer("a")

    assert run.finish is not None
    assert run.finish.outputs == {"v": [1]}


# --- stale and strange events -----------------------------------------------------------------

STRANGE: tuple[Event, ...] = (
    TaskEnded("nope", 1, Done()),
    TaskEnded("", 1, Done()),
    TaskEnded("start", 1, Done()),
    TaskEnded("a", 2, Done()),
    TaskEnded("b", 1, Done()),
    Evaluated("nope", 1, {}),
    Evaluated("", 1, {}),
    Evaluated("a", 1, {}),
    Evaluated("start", 1, {}),
    TimerFired("nope", 1, "wait"),
    TimerFired("a", 1, "wait"),
    TimerFired("a", 1, "retry"),
    TimerFired("a", 1, "timeout"),
    TimerFired("", 1, "timeout"),
)


@pytest.mark.parametrize("event", STRANGE, ids=repr)
def test_an_event_that_nothing_waits_for_changes_nothing(event: Event) -> None:
    run = Run(plan("a b"))
    before = stored(run.state)

    assert run.send(event) == []
    assert stored(run.state) == before


def test_a_doubled_evaluation_of_a_subflow_enters_it_once() -> None:
    made = subflow("sub1", flow("n"), {"v": "${v + 1}"})
    run = Run(plan("sub1", nodes=[made], variables=[variable("v", 1)]))
    run.resolve("sub1", {"v": 2})

    assert run.send(Evaluated("sub1", 1, {"v": 2})) == []


# --- journal ----------------------------------------------------------------------------------


def test_the_journal_keeps_who_when_what_and_why_not() -> None:
    run = Run(plan("a"))

    run.do("skip", "a", operator="li", reason="tired", request_id="r1")

    entry = run.state.journal[0]
    assert (entry.at, entry.verb, entry.node, entry.operator) == (1000, "skip", "a", "li")
    assert (entry.reason, entry.request_id) == ("tired", "r1")
    assert entry.refusal == "skip needs it to be failed, node 'a' is running"


def test_the_journal_keeps_the_last_entries_and_counts_them_all() -> None:
    run = Run(plan("a"))

    for number in range(JOURNAL_LENGTH + 5):
        run.machine.handle(Verb("skip", "a", operator=str(number)), run.now)

    assert len(run.state.journal) == JOURNAL_LENGTH == 500
    assert (run.state.journal[0].operator, run.state.journal_count) == ("5", 505)


def test_a_request_that_was_accepted_is_not_done_twice() -> None:
    run = Run(plan("a"))
    run.lose("a")
    run.send(Verb("retry", "a", request_id="r1"))
    run.lose("a")

    run.send(Verb("retry", "a", request_id="r1"))

    assert run.started == [("a", 1), ("a", 2)]
    assert len(run.state.journal) == 1


def test_a_request_that_was_refused_may_be_asked_again() -> None:
    run = Run(plan("a"))
    run.send(Verb("retry", "a", request_id="r1"))
    run.lose("a")

    run.send(Verb("retry", "a", request_id="r1"))

    assert run.started == [("a", 1), ("a", 2)]


def test_verbs_come_before_the_first_node_when_the_run_has_not_gone() -> None:
    run = Run(plan("a"), start=False)
    run.machine.fold(Verb("set_variables", values={"v": 1}), run.now)
    run.machine.fold(Verb("pause_node", "a"), run.now)

    run.go()

    assert run.calling == []
    assert run.status("a") == "suspended"


def test_two_verbs_folded_before_a_move_start_a_node_once() -> None:
    run = Run(plan("a b"))
    run.do("pause")
    run.answer("a")
    run.machine.fold(Verb("resume"), run.now)
    run.machine.fold(Verb("rerun_from", "a"), run.now)

    run.go()

    assert run.started == [("a", 1), ("a", 2)]


# --- going on from a stored state -------------------------------------------------------------


def calling(run: Run) -> None:
    run.do("pause_node", "b")


def polling(run: Run) -> None:
    run.answer("a", Polling(handle=1, after_s=5))


def waiting(run: Run) -> None:
    run.answer("a", Waiting(handle=1))


def answering(run: Run) -> None:
    waiting(run)
    run.do("callback", "a")


def sleeping(run: Run) -> None:
    run.answer("a")
    run.do("set_timer", "timer1", data=30)


def evaluating(run: Run) -> None:
    sleeping(run)
    run.fire("timer1", "wait")


def retrying(run: Run) -> None:
    evaluating(run)
    run.resolve("sub1", {"v": 1})
    run.lose("sub1/n")


def failed(run: Run) -> None:
    retrying(run)
    run.fire("sub1/n", "retry")
    run.lose("sub1/n")


def held(run: Run) -> None:
    run.do("pause")
    run.answer("a")


def queued(run: Run) -> None:
    run.machine.drain(draining=True)
    run.answer("a")
    run.fire("timer1", "wait")
    run.resolve("sub1", {"v": 1})
    assert run.phase("sub1/n") == "queued"


PHASES = (
    calling,
    polling,
    waiting,
    answering,
    sleeping,
    evaluating,
    retrying,
    failed,
    held,
    queued,
)


def winding() -> Run:
    """A run that comes through every phase."""
    limit = Timeout(after_s=900)
    inner = flow("n", nodes=[task("n", auto_retry=AutoRetry(times=1, interval_s=9))])
    nodes = [task("a", timeout=limit), subflow("sub1", inner, {"v": "${v + 1}"})]
    return Run(plan("a timer1 sub1", nodes=nodes, variables=[variable("v", 1)]))


@pytest.mark.parametrize("come_to", PHASES)
def test_a_run_that_is_reloaded_waits_for_the_same(come_to: Callable[[Run], None]) -> None:
    run = winding()
    come_to(run)
    before = [repr(each) for each in run.outstanding]
    run.machine.drain(draining=False)

    run.reload()

    if come_to is queued:
        assert run.calling == ["sub1/n"]
    else:
        assert sorted(repr(each) for each in run.outstanding) == sorted(before)


def test_a_reload_goes_on_when_what_was_asked_for_needs_no_evaluation_any_more() -> None:
    chains = ("fork1 xor1 a join1", "fork1 xor2 b join1", "join1 end")
    lazy = [variable("v", "${w + 1}"), variable("w", 1)]
    conditions = {"xor1-a": "${v} == 5", "xor2-b": "${v} == 5"}
    run = Run(plan(*chains, variables=lazy, conditions=conditions))
    run.do("set_variables", values={"v": 5})

    run.reload()

    assert run.calling == ["a", "b"]


# --- cost -------------------------------------------------------------------------------------


OURS = ("workflows.", "translator.", "activities.")


def cost(size: int) -> tuple[int, int, int]:
    """The most commands, traces and calls of our own functions that one event of a chain costs.

    What the interpreter does beside (collecting garbage) is not the Machine's.
    """
    run = Run(plan(" ".join(f"n{at}" for at in range(size))), settings(first_hit=True))
    machine, worst = run.machine, (0, 0, 0)
    calls = 0

    def count(frame: Any, event: str, _arg: Any) -> None:
        nonlocal calls
        calls += event == "call" and frame.f_globals["__name__"].startswith(OURS)

    for at in range(size - 1):
        seen, calls = len(run.traces), 0
        sys.setprofile(count)
        commands = machine.handle(TaskEnded(f"n{at}", 1, Done(outputs={"x": at})), 1)
        sys.setprofile(None)
        spent = (len(commands), len(run.traces) - seen, calls)
        worst = (max(worst[0], spent[0]), max(worst[1], spent[1]), max(worst[2], spent[2]))
    return worst


def test_an_event_costs_the_same_in_a_long_chain_as_in_a_short_one() -> None:
    assert cost(500) == cost(2_000)


@pytest.mark.slow
def test_an_event_costs_the_same_in_a_very_long_chain() -> None:
    assert cost(2_000) == cost(8_000)


def test_an_entry_of_a_full_journal_costs_no_more_than_one_of_a_short_one() -> None:
    def calls_of(entries: int) -> int:
        run = Run(plan("a"))
        for number in range(entries):
            run.do("skip", "a", reason=str(number))
        calls = 0

        def count(frame: Any, event: str, _arg: object) -> None:
            nonlocal calls
            calls += event == "call" and frame.f_globals["__name__"].startswith(OURS)

        sys.setprofile(count)
        run.machine.handle(Verb("skip", "a", reason="last"), run.now)
        sys.setprofile(None)
        return calls

    assert calls_of(JOURNAL_LENGTH + 10) <= calls_of(10) + 20
