from typing import Any

import pytest

from activities.contract import Done, Failed, Polling, Waiting
from tests.helpers.plans import flow, plan, settings, subflow, task, variable
from tests.helpers.runs import Run
from translator.plan import AutoRetry, LoopConfig, Timeout
from workflows.machine.events import CancelNode, RunTask, SetTimer

POLLING = Polling(handle={"job": 1}, after_s=5)


def test_a_call_carries_rendered_inputs_and_loop_counters() -> None:
    made = task("a", {"x": "${v}", "y": "see ${v}"})
    run = Run(plan("a", nodes=[made], variables=[variable("v", 7)]))

    step = run.step("a")

    assert step.step == "call"
    assert step.inputs == {"x": 7, "y": "see 7", "_loop": 1, "_inner_loop": 1}


def test_an_expression_is_left_for_the_activity_to_render() -> None:
    run = Run(plan("a", nodes=[task("a", {"x": "${v + 1}"})], variables=[variable("v", 7)]))

    step = run.step("a")

    assert list(step.unresolved.values) == ["x"]
    assert step.unresolved.variables["v"].value.model_dump() == {"kind": "literal", "value": 7}


def test_outputs_reach_the_variables_that_they_are_mapped_to() -> None:
    run = Run(plan("a b", nodes=[task("a", to={"out": "v"}), task("b", {"x": "${v}"})]))

    run.answer("a", Done(outputs={"out": [1], "other": 2}))

    assert run.state.written[""] == {"v": [1]}
    assert run.step("b").inputs["x"] == [1]


def test_a_failed_node_exports_its_outputs_and_waits() -> None:
    run = Run(plan("a", nodes=[task("a", to={"out": "v"})]))

    run.answer("a", Failed(error="broken", outputs={"out": 1}))

    assert (run.status("a"), run.state.failed) == ("failed", {"a": "broken"})
    assert run.state.written[""] == {"v": 1}


def test_an_ignorable_failure_goes_on_and_is_remembered() -> None:
    run = Run(plan("a", nodes=[task("a", error_ignorable=True)]))

    run.lose("a")

    assert run.status() == "finished"
    assert run.state.nodes["a"].error_ignored


def test_a_failure_to_render_is_not_ignorable() -> None:
    run = Run(plan("a", nodes=[task("a", error_ignorable=True)]))

    run.answer("a", Failed(error="no value", rendering=True))

    assert run.status("a") == "failed"


def test_an_unknown_plugin_fails_its_node_and_says_so() -> None:
    run = Run(plan("a", nodes=[task("a", plugin="nobody_has_it")]))

    assert "unknown plugin 'nobody_has_it'" in run.state.failed["a"]


@pytest.mark.parametrize(("name", "phase"), [("pause1", "waiting"), ("timer1", "sleeping")])
def test_an_inline_plugin_needs_no_activity(name: str, phase: str) -> None:
    run = Run(plan(name))

    assert run.phase(name) == phase
    assert run.calling == []


def test_a_display_node_ends_at_once() -> None:
    assert Run(plan("show1")).status() == "finished"


def test_a_timer_that_cannot_be_read_fails_its_node() -> None:
    run = Run(plan("timer1", nodes=[task("timer1", {"for": "soon"})]))

    assert run.state.failed["timer1"].startswith("for: 'soon' is neither")


def test_a_timer_whose_time_needs_the_sandbox_is_evaluated_first() -> None:
    timer = task("timer1", {"for": "${v + 5}"})
    run = Run(plan("timer1", nodes=[timer], variables=[variable("v", 1)]))

    run.resolve("timer1", {"for": 6})
    run.fire("timer1", "wait")

    assert run.now == 1006
    assert run.status() == "finished"


# --- polls and callbacks ----------------------------------------------------------------------


def test_a_poll_carries_handle_delay_and_what_was_told_so_far() -> None:
    run = Run(plan("a"))

    run.answer("a", POLLING.model_copy(update={"outputs": {"seen": 1}}))

    step = run.step("a")
    assert (step.step, step.handle, step.after_s) == ("poll", {"job": 1}, 5)
    assert step.outputs == {"seen": 1}
    assert run.state.executing == 0


def test_outputs_of_a_poll_reach_no_variable_before_the_end() -> None:
    run = Run(plan("a", nodes=[task("a", to={"seen": "v"})]))

    run.answer("a", POLLING.model_copy(update={"outputs": {"seen": 1}}))
    before = dict(run.state.written)
    run.answer("a", Done())

    assert (before, run.state.written[""]) == ({}, {"v": 1})


def test_a_callback_on_a_polling_node_takes_the_place_of_the_poll() -> None:
    run = Run(plan("a"))
    run.answer("a", POLLING)

    run.do("callback", "a", data=7)

    assert [type(each) for each in run.commands] == [CancelNode, RunTask]
    assert (run.step("a").step, run.step("a").data) == ("callback", 7)


def test_a_node_that_was_called_back_may_poll_on() -> None:
    run = Run(plan("a"))
    run.answer("a", Waiting(handle="h"))
    run.do("callback", "a", data=7)

    run.answer("a", POLLING)

    assert run.step("a").step == "poll"


def test_an_early_callback_is_kept_until_the_node_waits() -> None:
    run = Run(plan("a"))

    accepted = run.do("callback", "a", data="early")
    run.answer("a", Waiting(handle="h"))

    assert accepted == ""
    assert (run.step("a").step, run.step("a").data) == ("callback", "early")


def test_an_early_callback_of_a_pause_ends_it_when_it_gets_there() -> None:
    made = task("pause1", {"x": "${v + 1}"})
    run = Run(plan("pause1", nodes=[made], variables=[variable("v", 1)]))

    run.do("callback", "pause1", data="early")
    run.resolve("pause1", {"x": 2})

    assert run.status() == "finished"


def test_a_doubled_callback_is_refused() -> None:
    run = Run(plan("a"))
    run.do("callback", "a")

    assert run.do("callback", "a") == "wrong_state"
    assert "already has its callback" in run.refusal


def test_a_callback_while_one_is_worked_on_is_refused() -> None:
    run = Run(plan("a"))
    run.answer("a", Waiting())
    run.do("callback", "a")

    assert run.do("callback", "a") == "wrong_state"
    assert "already working" in run.refusal


def test_a_plugin_of_several_callbacks_gets_each_in_order() -> None:
    run = Run(plan("multi1"))
    run.answer("multi1", Waiting())
    for number in range(3):
        assert run.do("callback", "multi1", data=number) == ""

    seen: list[Any] = []
    for outcome in (Waiting(), Waiting(), Done()):
        seen.append(run.step("multi1").data)
        run.answer("multi1", outcome)

    assert seen == [0, 1, 2]
    assert run.status() == "finished"


def test_a_callback_with_the_token_of_an_earlier_attempt_is_refused() -> None:
    run = Run(plan("a"))
    run.lose("a")
    run.do("retry", "a")

    assert run.do("callback", "a", token=1) == "stale"
    assert run.do("callback", "a", token=2) == ""


def test_a_callback_for_an_attempt_that_has_not_begun_may_come_again() -> None:
    run = Run(plan("a"))

    assert run.do("callback", "a", token=2) == "not_reached"
    run.lose("a")
    run.do("retry", "a")
    assert run.do("callback", "a", token=2) == ""


@pytest.mark.parametrize("value", [60, "${v + 60}"])
def test_a_timer_takes_no_callback(value: Any) -> None:
    timer = task("timer1", {"for": value})
    run = Run(plan("timer1", nodes=[timer], variables=[variable("v", 1)]))

    assert run.do("callback", "timer1") == "wrong_state"


# --- automatic retry and time limit -----------------------------------------------------------


def retried() -> Run:
    return Run(plan("a", nodes=[task("a", auto_retry=AutoRetry(times=1, interval_s=9))]))


def test_a_node_that_will_be_retried_is_failed_but_waits_for_nobody() -> None:
    run = retried()

    run.lose("a")

    assert (run.status("a"), run.phase("a"), run.state.failed) == ("failed", "retrying", {})
    assert run.pending(SetTimer, "a")[0].at == 1009


def test_an_automatic_retry_starts_the_node_again() -> None:
    run = retried()
    run.lose("a")

    run.fire("a", "retry")

    assert run.started == [("a", 1), ("a", 2)]
    assert (run.state.nodes["a"].retry, run.state.journal) == (1, [])


def test_an_exhausted_automatic_retry_leaves_the_node_to_a_person() -> None:
    run = retried()
    run.lose("a")
    run.fire("a", "retry")

    run.lose("a")

    assert run.state.failed == {"a": "broken"}


def test_a_manual_retry_comes_before_the_automatic_one() -> None:
    run = retried()
    run.lose("a")

    run.do("retry", "a")

    assert CancelNode("a", 1) in run.commands
    assert run.pending(SetTimer, "a") == []


def test_an_automatic_retry_during_a_pause_waits_for_the_resume() -> None:
    run = retried()
    run.lose("a")
    run.do("pause")

    run.fire("a", "retry")

    assert run.status("a") == "ready"
    run.do("resume")
    assert run.started[-1] == ("a", 2)


def limited(then: str, **options: Any) -> Run:
    limit = Timeout.model_validate({"after_s": 30, "then": then})
    return Run(plan("a b", nodes=[task("a", timeout=limit, **options)]))


def test_a_time_limit_fails_the_node_and_stops_it_outside() -> None:
    run = limited("fail")
    run.answer("a", POLLING)

    run.fire("a", "timeout")

    assert "Timeout Setting" in run.state.failed["a"]
    assert [each.handle for each in run.stops] == [{"job": 1}]
    assert run.calling == []


def test_a_time_limit_with_skip_goes_on_with_the_next_node() -> None:
    run = limited("skip")

    run.fire("a", "timeout")

    assert (run.status("a"), run.calling, run.state.failed) == ("skipped", ["b"], {})


def test_a_time_limit_with_skip_does_not_end_a_run_that_fails_fast() -> None:
    run = limited("skip")
    run.state.fail_fast = True

    run.fire("a", "timeout")

    assert (run.finish, run.calling) == (None, ["b"])


def test_a_time_limit_ends_with_its_node() -> None:
    run = limited("fail")

    run.answer("a")

    assert run.pending(SetTimer, "a") == []


def test_a_time_limit_goes_on_when_a_callback_cancels_a_poll() -> None:
    run = limited("fail")
    run.answer("a", POLLING)

    run.do("callback", "a")

    assert [each.at for each in run.pending(SetTimer, "a")] == [1030]


def test_each_attempt_has_a_time_limit_of_its_own() -> None:
    run = limited("fail")
    run.fire("a", "timeout")

    run.do("retry", "a")

    assert [(each.entry, each.at) for each in run.pending(SetTimer, "a")] == [(2, 1060)]


# --- own loop ---------------------------------------------------------------------------------


def looped(**options: Any) -> Run:
    loop = LoopConfig(times=3, outputs_key="v", **options)
    made = task("a", to={"outputs": "v"}, loop=loop)
    return Run(plan("a", nodes=[made], variables=[variable("v", [])]))


def test_a_loop_of_its_own_collects_every_pass() -> None:
    run = looped()

    for number in range(3):
        run.answer("a", Done(outputs={"outputs": {"n": number}}))

    passes = [{"n": n, "result": True, "inner_loop": n + 1} for n in range(3)]
    assert run.state.written[""]["v"] == passes
    assert run.status() == "finished"


def test_a_retry_of_one_pass_repeats_that_pass_alone() -> None:
    run = looped(retryable=True)
    run.answer("a")
    run.lose("a")

    run.do("retry", "a", this_pass=True)

    assert run.step("a").inner_loop == 2
    assert len(run.state.written[""]["v"]) == 1  # pyright: ignore[reportArgumentType]  a list


def test_a_plain_retry_begins_the_loop_anew() -> None:
    run = looped(retryable=True)
    run.answer("a")
    run.lose("a")

    run.do("retry", "a")

    assert run.step("a").inner_loop == 1
    assert run.state.written[""]["v"] == []


def test_a_skip_of_one_pass_goes_on_with_the_next() -> None:
    run = looped(skippable=True)
    run.lose("a")

    run.do("skip", "a", this_pass=True)

    assert run.step("a").inner_loop == 2


def test_a_plain_skip_ends_the_loop() -> None:
    run = looped(skippable=True)
    run.lose("a")

    run.do("skip", "a")

    assert run.status() == "finished"


@pytest.mark.parametrize("verb", ["retry", "skip"])
def test_a_single_pass_is_refused_where_the_loop_does_not_allow_it(verb: Any) -> None:
    run = looped()
    run.lose("a")

    assert run.do(verb, "a", this_pass=True) == "not_allowed"


def test_fail_skip_goes_on_after_a_failed_pass() -> None:
    run = looped(fail_skip=True)

    run.lose("a")

    assert run.step("a").inner_loop == 2


# --- slots ------------------------------------------------------------------------------------

WIDE = ("fork1 a join1", "fork1 b join1", "fork1 c join1", "join1 end")


def test_no_more_than_in_flight_are_called_and_the_queue_keeps_its_order() -> None:
    run = Run(plan(*WIDE), settings(in_flight=1))

    order: list[str] = []
    while run.calling:
        order += run.calling
        run.answer(run.calling[0])

    assert order == ["a", "b", "c"]


def test_a_poll_takes_no_slot() -> None:
    run = Run(plan(*WIDE), settings(in_flight=1))

    run.answer("a", POLLING)

    assert run.calling == ["a", "b"]


def test_no_more_polls_sleep_than_the_server_holds() -> None:
    run = Run(plan(*WIDE), settings(polls_asleep=2))
    run.answer("a", POLLING)
    run.answer("b", POLLING)
    before = run.phase("c")

    run.answer("a")

    assert (before, run.phase("c")) == ("queued", "calling")


def test_skipping_a_subflow_gives_its_slot_to_the_queue() -> None:
    inner = flow("fork1 x join1", "fork1 y join1", "join1 end")
    chains = ("fork1 sub1 join1", "fork1 pause1 c join1", "join1 end")
    run = Run(plan(*chains, nodes=[subflow("sub1", inner)]), settings(in_flight=1))
    run.lose("sub1/x")
    run.do("callback", "pause1")
    assert (run.calling, run.phase("c")) == (["sub1/y"], "queued")

    run.do("skip", "sub1")

    assert run.calling == ["c"]


def test_a_draining_run_calls_nothing_new_until_told_so() -> None:
    run = Run(plan("a b"))
    run.machine.drain(draining=True)
    run.answer("a")
    assert (run.calling, run.phase("b")) == ([], "queued")

    run.machine.drain(draining=False)
    run.go()

    assert run.calling == ["b"]
