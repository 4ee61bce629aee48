"""What comes back when nobody waits for it any more: it moves nothing and leaves nothing behind."""

from activities.contract import Done, Failed, Outcome, Polling, Waiting
from tests.helpers.plans import plan
from tests.helpers.runs import Run
from workflows.machine.events import RunTask, TaskEnded

POLLING = Polling(handle={"job": 1}, after_s=5, outputs={"id": 1})


def late(run: Run, call: RunTask, outcome: Outcome) -> list[RunTask]:
    """Let a call answer that was given up before; returns what is asked for then."""
    return [
        each for each in run.send(TaskEnded("a", 1, outcome, call)) if isinstance(each, RunTask)
    ]


def test_work_that_a_revoked_call_has_started_is_stopped() -> None:
    run = Run(plan("a"))
    call = run.step("a")
    run.do("revoke")

    [stop] = late(run, call, POLLING)

    assert (stop.step, stop.handle, stop.entry) == ("stop", {"job": 1}, 1)
    assert (stop.inputs, stop.outputs) == (call.inputs, {"id": 1})
    assert run.status() == "revoked"


def test_work_of_an_earlier_execution_is_stopped_beside_the_present_one() -> None:
    run = Run(plan("a"))
    call = run.step("a")
    run.do("force_fail", "a")
    run.do("retry", "a")

    [stop] = late(run, call, Waiting(handle="ticket"))

    assert (stop.step, stop.handle, stop.entry) == ("stop", "ticket", 1)
    assert (run.step("a").step, run.step("a").entry) == ("call", 2)


def test_a_late_answer_with_rendered_inputs_is_stopped_with_them() -> None:
    run = Run(plan("a"))
    call = run.step("a")
    run.do("revoke")

    [stop] = late(run, call, POLLING.model_copy(update={"inputs": {"host": "web-1"}}))

    assert stop.inputs == {"host": "web-1"}


def test_a_late_answer_that_leaves_nothing_under_way_asks_for_nothing() -> None:
    run = Run(plan("a"))
    call = run.step("a")
    run.do("revoke")

    answers: list[Outcome] = [Done(), Failed(error="no"), Waiting()]
    assert [late(run, call, each) for each in answers] == [[], [], []]


def test_a_late_failure_of_a_call_is_told_because_its_work_may_go_on() -> None:
    run = Run(plan("a"))
    call = run.step("a")
    run.do("revoke")

    late(run, call, Failed(error="outcome unknown: no answer"))

    assert run.machine.state.warnings == {
        "a": ["it was stopped during its call, which gave no handle: outcome unknown: no answer"]
    }


def test_a_poll_that_a_callback_has_overtaken_says_nothing_any_more() -> None:
    run = Run(plan("a"))
    run.answer("a", POLLING)
    poll = run.step("a")
    run.do("callback", "a", data="done")

    run.send(TaskEnded("a", 1, Failed(error="gave up"), poll))
    before = run.status("a")
    run.answer("a", Done())

    assert (before, run.status("a")) == ("running", "finished")
