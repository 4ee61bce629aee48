"""Fragments that the workflow cannot fill: warnings of a node, or why it fails in a strict run."""

from collections.abc import Sequence

import pytest

from activities.contract import Done, Failed, PluginTraits, Waiting
from tests.helpers.plans import flow, plan, settings, subflow, task, variable
from tests.helpers.runs import Run
from translator.plan import Literal, Plan, Variable
from workflows.machine.events import Evaluate
from workflows.machine.machine import Given, Machine
from workflows.machine.state import RunState
from workflows.machine.telling import MOST_CHARS, MOST_NODES, keep

STRICT = settings(strict=True)
NAME = variable("name", "web")
LATER = Variable(key="later", kind="output", value=Literal(value=""))
NOPE = "'${nmae}' in input 'cmd' stays text: it refers to 'nmae', which has no value"


def one(text: object, *variables: Variable) -> Plan:
    """One task with one input."""
    node = task("a", {"cmd": text})  # pyright: ignore[reportArgumentType]  a test's JSON
    return plan("a", nodes=[node], variables=[NAME, *variables])


def warned(run: Run, path: str = "a") -> list[str]:
    return run.state.warnings.get(path, [])


@pytest.mark.parametrize("text", ["${nmae}", "-n ${nmae} ${name}", ["${nmae}"], {"k": "${nmae}"}])
def test_a_reference_to_nothing_stays_text_and_is_told_of(text: object) -> None:
    run = Run(one(text))

    assert run.calling == ["a"]
    assert len(warned(run)) == 1
    assert "${nmae}" in str(run.step("a").inputs["cmd"])
    assert warned(run)[0].startswith(f"{NOPE}; did you mean 'name'?; ")


def test_values_that_are_all_filled_are_not_told_of() -> None:
    run = Run(one("${name} costs $5 and ${ "))

    assert run.state.warnings == {}


def test_a_fragment_that_can_never_be_evaluated_is_told_of_beside_the_workflow_s_own() -> None:
    run = Run(one("echo ${x:-y}"))

    assert warned(run)[0].startswith("'${x:-y}' in input 'cmd' stays text: it ")


def test_an_output_without_a_value_is_told_of_as_one() -> None:
    run = Run(one("${later}", LATER))

    assert "refers to 'later', which has no value yet: it is the output" in warned(run)[0]


def test_a_variable_whose_own_text_stays_unfilled_is_named() -> None:
    run = Run(one("${v}", variable("v", "x-${nmae}")))

    assert "'${nmae}' in variable 'v' stays text" in warned(run)[0]


def test_of_a_secret_variable_nothing_is_shown() -> None:
    run = Run(one("${v}", variable("v", "${nmae}", secret=True)))

    (text,) = warned(run)
    assert text.startswith("'***' in variable 'v' stays text: it holds a fragment that is not")
    assert "nmae" not in text


def test_of_a_secret_input_nothing_is_shown() -> None:
    known = settings()
    traits = known.traits["echo/legacy"].model_copy(update={"secrets": ("cmd",)})
    bent = known.model_copy(update={"traits": {"echo/legacy": traits}})

    run = Run(one("pa${nmae}ss"), bent)

    assert isinstance(traits, PluginTraits)
    assert "nmae" not in warned(run)[0]


# --- strict -------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["${nmae}", "-n ${nmae}", ["${nmae}"], "${x:-y}", "${later}"])
def test_in_a_strict_run_what_stays_unfilled_fails_the_node(text: object) -> None:
    run = Run(one(text, LATER), STRICT)

    assert "input 'cmd' cannot be evaluated: it" in run.state.failed["a"]
    assert run.state.warnings == {}


def test_strict_is_a_failure_to_render_so_it_is_not_ignorable() -> None:
    node = task("a", {"cmd": "${nmae}"}, error_ignorable=True)

    run = Run(plan("a", nodes=[node]), STRICT)

    assert list(run.state.failed) == ["a"]


def test_a_strict_failure_passes_once_the_variable_has_a_value() -> None:
    run = Run(one("${later}", LATER), STRICT)

    run.do("set_variables", values={"later": 5})
    run.do("retry", "a")

    assert run.step("a").inputs["cmd"] == 5


def gateway(name: str, strict: bool) -> Run:
    chains = (f"{name} a join1", f"{name} b join1", "join1 end")
    conditions = {f"{name}-a": "${nmae} == 1"}
    made = plan(*chains, conditions=conditions, variables=[NAME])
    return Run(made, settings(strict=strict))


@pytest.mark.parametrize("name", ["xor1", "some1"])
def test_an_operand_without_a_value_is_told_of_or_fails_the_gateway(name: str) -> None:
    loose, strict = gateway(name, strict=False), gateway(name, strict=True)

    assert "'${nmae}' in condition operand '0' stays text" in warned(loose, name)[0]
    assert "'${nmae}' in condition operand '0' cannot be" in strict.state.failed[name]


@pytest.mark.parametrize("strict", [False, True])
def test_a_parameter_without_a_value_is_told_of_or_fails_the_subflow(strict: bool) -> None:
    nodes = [subflow("sub", flow("n"), {"p": "${nmae}"})]

    run = Run(plan("sub", nodes=nodes, variables=[NAME]), settings(strict=strict))

    told = run.state.failed["sub"] if strict else warned(run, "sub")[0]
    assert "'${nmae}' in parameter 'p'" in told


@pytest.mark.parametrize("strict", [False, True])
def test_an_output_of_the_run_without_a_value_is_told_of_or_fails_its_end(strict: bool) -> None:
    run = Run(plan("show", variables=[LATER], outputs=["later"]), settings(strict=strict))

    told = run.state.failed["end"] if strict else warned(run, "end")[0]
    assert "'${later}' in output 'later'" in told
    assert (run.finish is None) is strict


def test_what_the_sandbox_is_asked_tells_what_its_values_are_called() -> None:
    nodes = [subflow("sub", flow("n"), {"p": "${v + 1}"})]

    run = Run(plan("sub", nodes=nodes, variables=[variable("v", 1)]))

    assert run.pending(Evaluate, "sub")[0].noun == "parameter"


def test_the_sandbox_is_told_of_an_output_that_has_no_value_yet() -> None:
    run = Run(one("${later + 1}", LATER))

    assert run.step("a").unresolved.variables == {"later": LATER}


@pytest.mark.parametrize(("given", "expected"), [(None, True), (False, False), (True, True)])
def test_the_run_s_own_input_is_over_the_setting(given: bool | None, expected: bool) -> None:
    run = Run(one("x"), STRICT, Given(strict=given))

    assert run.state.strict is expected


def test_strict_is_fixed_for_the_run() -> None:
    run = Run(one("${v}", variable("v", "${nmae}")), STRICT)

    again = Machine(run.plan, settings(strict=False), run.state)

    assert again.state.strict


# --- what is kept -------------------------------------------------------------------------------


def test_warnings_of_the_activity_are_kept() -> None:
    run = Run(one("${name + 1}"))

    run.answer("a", Done(warnings=("it raises TypeError",)))

    assert run.state.warnings == {"a": ["it raises TypeError"]}


def test_warnings_of_an_evaluation_are_kept() -> None:
    run = gateway("xor1", strict=False)

    keep(run.state, "xor1", ["another"])

    assert warned(run, "xor1") == ["another"]


def test_a_later_step_without_warnings_leaves_those_of_the_call() -> None:
    run = Run(one("${name + 1}"))
    run.answer("a", Waiting(warnings=("told",)))

    run.do("callback", "a")

    assert warned(run) == ["told"]


def test_the_next_execution_starts_without_warnings() -> None:
    run = Run(one("${nmae}"))
    run.answer("a", Failed(error="broken"))

    run.do("retry", "a", set_inputs={"cmd": "mended"})

    assert run.state.warnings == {}


def test_warnings_survive_the_stored_state() -> None:
    run = Run(one("${nmae}"))
    before = dict(run.state.warnings)

    run.reload()

    assert run.state.warnings == before != {}


def many(state: RunState, count: int, texts: Sequence[str]) -> None:
    for number in range(count):
        keep(state, f"n{number}", texts)


def test_only_the_latest_nodes_keep_theirs_and_the_rest_is_counted() -> None:
    state = RunState()

    many(state, MOST_NODES + 3, ["one", "two"])

    assert len(state.warnings) == MOST_NODES
    assert next(iter(state.warnings)) == "n3"
    assert state.warnings_dropped == 6


def test_all_together_are_bounded_by_their_length() -> None:
    state = RunState()

    many(state, MOST_NODES, [f"{number} {'x' * 400}" for number in range(50)])

    assert sum(len(text) for texts in state.warnings.values() for text in texts) <= MOST_CHARS
    assert all(len(texts) <= 20 for texts in state.warnings.values())
    assert all(len(text) <= 300 for texts in state.warnings.values() for text in texts)
    assert state.warnings["n199"][-1] == "and 31 more warnings"
