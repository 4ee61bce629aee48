from typing import Any

import pytest
from pydantic import JsonValue

from activities.contract import Done
from tests.helpers.plans import flow, plan, subflow, task, variable
from tests.helpers.runs import Run, stored
from translator.plan import Variable
from workflows.inputs import read_inputs
from workflows.machine.events import Evaluate
from workflows.machine.machine import Given
from workflows.machine.state import load_state
from workflows.machine.view.variables import (
    MAX_VALUE,
    Variables,
    VariableView,
    described,
    variables,
)

SYSTEM: dict[str, JsonValue] = {
    "_system": {"operator": "ann"},
    "_system.operator": "ann",
    "_env_a": 1,
}


def seen(run: Run, key: str, path: str = "") -> VariableView:
    (at,) = (each for each in variables(run.machine.core).flows if each.path == path)
    (found,) = (each for each in at.variables if each.key == key)
    return found


def story(view: VariableView) -> tuple[Any, ...]:
    return (view.kind, view.value, view.source, view.writer, view.written_at)


def test_a_variable_of_the_template_is_shown_as_it_is_written() -> None:
    declared = [
        variable("v", 1, name="Vee"),
        variable("w", "to ${v}"),
        variable("x", kind="output"),
    ]
    run = Run(plan("a", variables=declared))

    assert story(seen(run, "v")) == ("plain", 1, "template", "", 0)
    assert seen(run, "v").name == "Vee"
    assert story(seen(run, "w")) == ("splice", "to ${v}", "template", "", 0)
    assert story(seen(run, "x")) == ("output", None, "nothing", "", 0)


def test_a_value_given_at_the_start_names_who_started() -> None:
    made = plan("a", variables=[variable("v"), variable("w")])
    read = read_inputs(made.flow, {"v": 5, "w": "${v}"})
    run = Run(made, given=Given(replaced=read.variables, context={"operator": "ann"}))

    assert story(seen(run, "v")) == ("plain", 5, "given", "ann", 1000)
    assert story(seen(run, "w")) == ("splice", "${v}", "given", "ann", 1000)


def test_an_output_names_its_node_and_the_time() -> None:
    run = Run(
        plan("a b", nodes=[task("a", to={"out": "v"})], variables=[variable("v", kind="output")])
    )
    run.now = 1500

    run.answer("a", Done(outputs={"out": [1]}))

    assert story(seen(run, "v")) == ("plain", [1], "output", "a", 1500)


def test_what_an_operator_set_names_the_operator() -> None:
    run = Run(plan("a", variables=[variable("v"), variable("w")]))

    run.do("set_variables", values={"v": 1, "w": "${v}"}, operator="bob")

    assert story(seen(run, "v")) == ("plain", 1, "operator", "bob", 1000)
    assert story(seen(run, "w")) == ("splice", "${v}", "operator", "bob", 1000)


def test_a_subflow_under_way_shows_its_parameters_and_a_finished_one_is_gone() -> None:
    inner = flow("n", variables=[variable("v", 0)])
    sub = subflow("sub1", inner, {"v": "${w}"})
    run = Run(plan("sub1 b", nodes=[sub], variables=[variable("w", 7)]))

    assert story(seen(run, "v", "sub1")) == ("plain", 7, "parameter", "sub1", 1000)
    run.answer("sub1/n")

    assert [each.path for each in variables(run.machine.core).flows] == [""]


def test_what_the_start_renders_once_names_the_start() -> None:
    run = Run(plan("a", variables=[variable("v", 1), variable("w", "to ${v}", pre_render=True)]))

    assert story(seen(run, "w")) == ("plain", "to 1", "pre_rendered", "start", 1000)


def test_the_systems_and_the_projects_are_told_apart() -> None:
    given = Given(variables=SYSTEM, inherited=SYSTEM)
    run = Run(plan("sub1", nodes=[subflow("sub1", flow("n"))]), given=given)

    for path in ("", "sub1"):
        assert story(seen(run, "_system", path)) == ("plain", {"operator": "ann"}, "system", "", 0)
        assert story(seen(run, "_env_a", path)) == ("plain", 1, "project", "", 0)
    listed = [each.key for each in variables(run.machine.core).flows[0].variables]
    assert "_system.operator" not in listed


def secret(key: str, raw: str = "hunter2") -> Variable:
    return variable(key, raw, secret=True)


def test_a_secret_is_masked_wherever_it_is_handed_on() -> None:
    inner = flow("n", variables=[variable("x"), variable("y", "${x}", pre_render=True)])
    deeper = subflow("sub1", inner, {"x": "pw=${w}"})
    declared = [secret("v"), variable("w", "to ${v}", pre_render=True), variable("z", "${v}")]
    run = Run(plan("sub1", nodes=[deeper], variables=declared))

    while asked := [each for each in run.outstanding if isinstance(each, Evaluate)]:
        run.resolve(asked[0].path, dict.fromkeys(asked[0].unresolved.values, "hunter2"))
    whole = variables(run.machine.core).model_dump_json()

    assert "hunter2" not in whole
    assert seen(run, "v").value == "******"
    assert seen(run, "y", "sub1").value == "******"


def test_who_wrote_survives_the_stored_state() -> None:
    run = Run(
        plan("a b", nodes=[task("a", to={"out": "v"})], variables=[variable("v", kind="output")])
    )
    run.answer("a", Done(outputs={"out": 1}))
    before = variables(run.machine.core)

    run.reload()

    assert variables(run.machine.core) == before


def test_a_state_of_a_release_that_kept_no_writers_is_still_read() -> None:
    run = Run(
        plan("a b", nodes=[task("a", to={"out": "v"})], variables=[variable("v", kind="output")])
    )
    run.answer("a", Done(outputs={"out": 1}))
    old = stored(run.state)
    del old["writers"]

    assert load_state(old).writers == {}


@pytest.mark.parametrize("value", ["x" * 1_000_000, ["x" * 1_000_000]])
def test_a_huge_value_is_cut_so_that_the_answer_stays_small(value: JsonValue) -> None:
    run = Run(plan("a", variables=[variable("v", value)]))

    shown = seen(run, "v").value

    assert isinstance(shown, str)
    assert len(shown) < MAX_VALUE + 50
    assert shown.endswith(" characters)")


def test_a_run_that_has_not_begun_has_none() -> None:
    run = Run(plan("a"), start=False)

    assert [each.path for each in variables(run.machine.core).flows] == [""]
    assert Variables().flows == ()


def test_where_a_value_comes_from_is_said_in_words() -> None:
    view = VariableView(key="v", kind="plain", source="operator", writer="bob")

    assert described(view) == "set by bob"
    assert described(view.model_copy(update={"source": "template"})) == "the template"
