"""What a soak has found, each as the shortest run that shows it."""

from activities.contract import Polling, Waiting
from tests.helpers.plans import flow, plan, settings, task
from tests.helpers.runs import Run
from translator.plan import Child
from workflows.machine.events import TaskEnded


def test_a_queued_node_that_is_failed_and_retried_stands_in_the_queue_once() -> None:
    run = Run(plan("fork a join", "fork b join", "join"), settings(in_flight=1))

    run.do("force_fail", "b")
    assert run.state.queued == []
    run.do("retry", "b")

    assert run.state.queued == ["b"]


def test_a_call_answered_twice_does_not_hide_the_callback_being_worked_on() -> None:
    run = Run(plan("a"))
    step = run.step("a")
    run.answer("a", Waiting())
    run.do("callback", "a", data=1)

    run.send(TaskEnded("a", 1, Waiting(), step))
    run.answer("a")

    assert run.status() == "finished"


def test_a_call_answered_twice_does_not_stop_the_work_that_it_began() -> None:
    run = Run(plan("a"))
    step, began = run.step("a"), Polling(handle={"job": 7}, after_s=5)
    run.answer("a", began)

    assert run.send(TaskEnded("a", 1, began, step)) == []
    assert run.stops == []


def test_a_request_id_is_used_once_for_a_child_too() -> None:
    held = Child(flow=flow("n"), name="Inner")
    made = plan("c", nodes=[task("c", {}, plugin="subprocess_plugin", child=held)])
    run = Run(made)

    assert run.do("pause", request_id="r") == ""
    assert run.do("resume", "c", request_id="r") == "used_before"
