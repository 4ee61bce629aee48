import pytest

from activities.contract import Polling
from tests.helpers.plans import plan, task, variable
from tests.helpers.runs import Run, stored
from translator.plan import Expression, Ref, Splice
from workflows.machine.state import RunState, dump_state, load_state


def test_an_empty_state_costs_nothing() -> None:
    assert dump_state(RunState()) == {}


def test_a_finished_node_costs_a_few_dozen_bytes() -> None:
    run = Run(plan("a b"))

    run.answer("a")

    assert stored(run.state)["nodes"]["a"] == {
        "status": "finished",
        "entry": 1,
        "round": 1,
        "since": 1000.0,
    }


def test_a_state_comes_back_as_it_was() -> None:
    run = Run(plan("a", nodes=[task("a", to={"out": "v"})], variables=[variable("v")]))
    run.do("callback", "a", data={"k": [1, None]})
    run.answer("a", Polling(handle={"job": 1}, after_s=2.5, outputs={"seen": 1}))

    assert load_state(stored(run.state)) == run.state


def test_values_of_every_kind_come_back_as_they_were() -> None:
    declared = [variable(key, "") for key in "vwx"]
    run = Run(plan("a", nodes=[task("a", {"x": 1})], variables=declared))
    run.lose("a")
    run.do("pause")
    run.do("set_variables", values={"v": "${w}", "w": "to ${x}", "x": "${len('a')}"})
    run.do("retry", "a", inputs={"x": ["${v}", {"k": "${w}"}], "y": 2})

    again = load_state(stored(run.state))

    assert again == run.state
    kinds = [type(each.value) for each in again.retyped[""].values()]
    assert kinds == [Ref, Splice, Expression]


def test_a_state_of_a_newer_release_is_refused_with_what_to_do() -> None:
    with pytest.raises(ValueError, match="let workers of the release that wrote it take the run"):
        load_state({"version": 2})
