import json
from typing import Any

import pytest
from pydantic import JsonValue

from activities.contract import Done, Unresolved
from tests.helpers.plans import plan, task, variable
from tests.helpers.runs import Run
from translator.plan import Plan, Variable
from translator.values import classify
from workflows.inputs import read_inputs
from workflows.machine.events import RunTask
from workflows.machine.machine import Given
from workflows.machine.view import status, variables

SEALED: JsonValue = {"$sealed": "k.text"}
CLEAR = "hunter22"


def secret(key: str, value: JsonValue) -> Variable:
    return Variable(key=key, kind="lazy", value=classify(value), code="password", secret=True)


def gateway(*variables: Variable) -> Plan:
    rules = {"xor1-a": "${v} == 'x'"}
    return plan("xor1 a c", "xor1 b c", conditions=rules, variables=variables)


def test_a_reference_to_a_sealed_value_needs_no_activity() -> None:
    run = Run(plan("a", nodes=[task("a", {"in": "${v}"})], variables=[variable("v", SEALED)]))

    assert run.step("a").inputs["in"] == SEALED
    assert run.step("a").unresolved == Unresolved()


def test_text_around_a_sealed_value_is_made_in_the_activity() -> None:
    own = [variable("v", SEALED), variable("w", "${v}")]
    run = Run(plan("a", nodes=[task("a", {"in": "Bearer ${w}"})], variables=own))

    step: RunTask = run.step("a")

    assert step.inputs == {}
    assert set(step.unresolved.variables) == {"v", "w"}


@pytest.mark.parametrize("answer", [SEALED, {"$sealed": "other.text"}])
def test_a_condition_that_reads_a_secret_fails_its_gateway(answer: JsonValue) -> None:
    made = gateway(secret("v", SEALED))
    run = Run(made)

    run.resolve("xor1", {"0": answer})

    assert run.status("xor1") == "failed"
    assert run.state.failed["xor1"].startswith("condition reads secret variable 'v'")


def test_a_condition_that_reads_a_sealed_plain_variable_names_it() -> None:
    made = gateway(variable("v", SEALED))

    assert Run(made).state.failed["xor1"].startswith("condition reads secret variable 'v'")


def test_a_secret_in_clear_is_told_of_once_and_a_sealed_one_is_not() -> None:
    made = plan("pause1", variables=[secret("v", ""), secret("w", "")])
    given = read_inputs(made.flow, {"v": CLEAR, "w": SEALED}).variables
    run = Run(made, given=Given(replaced=given))

    text = "variable 'v' was given in clear; seal it with `stdops secret seal`"
    assert [one.text for one in status(made, run.state, run.now).warnings] == [text]
    assert [entry.reason for entry in run.state.journal] == [text]


def test_a_secret_that_is_set_in_clear_is_told_of() -> None:
    made = plan("pause1", variables=[secret("v", "")])
    run = Run(made)

    run.do("set_variables", values={"v": CLEAR})

    (warning,) = status(made, run.state, run.now).warnings
    assert "variable 'v' was given in clear" in warning.text


def test_a_value_that_a_secret_variable_got_from_a_node_stays_secret() -> None:
    own = [Variable(key="v", kind="output", secret=True)]
    made = plan("a b", nodes=[task("a", to={"o": "v"}), task("b", {"in": "x ${v}"})], variables=own)
    run = Run(made)

    run.answer("a", Done(outputs={"o": CLEAR}))

    assert run.step("b").unresolved.variables["v"].secret


def test_people_see_no_sealed_value() -> None:
    own = [variable("v", {"a": SEALED})]
    made = plan("pause1", variables=own, outputs=["v"])
    run = Run(made)

    shown: Any = variables(run.machine.core).model_dump(mode="json")
    run.do("callback", "pause1")

    assert "k.text" not in json.dumps(shown)
    assert status(made, run.state, run.now).outputs == {"v": {"a": "******"}}
