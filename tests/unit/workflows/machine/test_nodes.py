from typing import Any

import pytest

from activities.contract import Done
from tests.helpers.plans import flow, plan, settings, subflow, task, variable
from tests.helpers.runs import Run
from translator.plan import Flow, Plan
from workflows.machine.events import Evaluate

LAZY = variable("w", "${v + 1}")
V = variable("v", 1)


def gateway(name: str, first: str, second: str, *, default: bool = False) -> Run:
    """A gateway with two conditions, and perhaps a default."""
    chains = [f"{name} {to} join1" for to in ("a", "b", *(["c"] if default else []))]
    conditions = {f"{name}-a": first, f"{name}-b": second}
    return Run(plan(*chains, "join1 end", conditions=conditions, variables=[V, LAZY]))


@pytest.mark.parametrize(
    ("first", "second", "calling"),
    [("1 == 1", "1 == 2", ["a"]), ("1 == 2", "${v} == 1", ["b"]), ("1 == 2", "1 == 2", ["c"])],
)
@pytest.mark.parametrize("name", ["xor1", "some1"])
def test_a_gateway_takes_the_branch_that_holds_else_the_default(
    name: str, first: str, second: str, calling: list[str]
) -> None:
    assert gateway(name, first, second, default=True).calling == calling


def test_a_conditional_fork_takes_every_branch_that_holds() -> None:
    assert gateway("some1", "1 == 1", "${v} == 1").calling == ["a", "b"]


def test_an_exclusive_gateway_on_which_several_hold_fails() -> None:
    run = gateway("xor1", "1 == 1", "1 == 1", default=True)

    assert run.state.failed == {"xor1": "multiple conditions meet: ['xor1-a', 'xor1-b']"}


def test_first_hit_takes_the_first_and_never_sees_the_rest() -> None:
    chains = ("xor1 a join1", "xor1 b join1", "join1 end")
    conditions = {"xor1-a": "1 == 1", "xor1-b": "not a condition"}

    assert Run(plan(*chains, conditions=conditions), settings(first_hit=True)).calling == ["a"]


@pytest.mark.parametrize("name", ["xor1", "some1"])
def test_a_gateway_on_which_nothing_holds_fails_and_can_be_retried(name: str) -> None:
    run = gateway(name, "${v} == 2", "${v} == 3")
    assert run.state.failed == {name: "all conditions of branches are not meet"}
    run.do("set_variables", values={"v": 3})

    run.do("retry", name)

    assert run.calling == ["b"]


def test_a_condition_that_does_not_parse_fails_the_gateway_that_is_reached() -> None:
    run = gateway("xor1", "1 == 1", "not a condition", default=True)

    assert run.state.failed["xor1"].startswith("evaluate[not a condition] fail: ")


def test_a_condition_that_cannot_be_tested_fails_the_gateway() -> None:
    run = gateway("xor1", "1 < abc", "1 == 2")

    assert run.state.failed["xor1"].startswith("evaluate[1 < abc] fail message: ")


def test_a_condition_with_an_expression_is_evaluated_outside() -> None:
    run = gateway("xor1", "${w} == 2", "1 == 2")
    asked = run.pending(Evaluate, "xor1")[0]

    run.resolve("xor1", dict.fromkeys(asked.unresolved.values, 2))

    assert run.calling == ["a"]


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("start", "context hydrate failed(no luck)"),
        ("sub1", "context hydrate failed(no luck)"),
        ("xor1", "evaluation context hydrate failed(no luck)"),
        ("end", "outputs hydrate failed(no luck)"),
    ],
)
def test_a_failing_evaluation_fails_its_node_whatever_its_kind(path: str, words: str) -> None:
    run = Run(_evaluating_everywhere())
    for step in ("start", "sub1", "xor1", "end"):
        if step == path:
            run.resolve(step, error="no luck")
            break
        asked = run.pending(Evaluate, step)[0]
        run.resolve(step, dict.fromkeys(asked.unresolved.values, 2))

    assert run.state.failed[path].startswith(words)


def _evaluating_everywhere() -> Plan:
    inner = flow("show1")
    early = variable("x", "${v + 9}", pre_render=True)
    made = subflow("sub1", inner, {"y": "${v + 1}"})
    return plan(
        "sub1 xor1 end",
        nodes=[made],
        variables=[V, LAZY, early],
        conditions={"xor1-end": "${w} == 2"},
        outputs=["w"],
    )


def test_variables_that_are_rendered_at_the_start_are_plain_from_then_on() -> None:
    early = variable("w", "${v + 1}", pre_render=True)
    run = Run(plan("a", nodes=[task("a", {"x": "${w}"})], variables=[V, early]))

    run.resolve("start", {"w": 2})

    assert run.step("a").inputs["x"] == 2


def test_variables_that_refer_to_each_other_fail_the_node_that_reads_them() -> None:
    circle = [variable("v", "${w}"), variable("w", "${v}")]
    run = Run(plan("a", nodes=[task("a", {"x": "${v}"})], variables=circle))

    assert "refer to each other" in run.state.failed["a"]


# --- subflows ---------------------------------------------------------------------------------


def inner(**parts: Any) -> Flow:
    """A flow whose one task reads `v`."""
    return flow("n", nodes=[task("n", {"x": "${v}"}, to={"out": "v"})], **parts)


def test_parameters_come_from_the_parent_and_win_over_the_own_variables() -> None:
    made = subflow("sub1", inner(variables=[variable("v", "own")]), {"v": "${v}"})

    assert Run(plan("sub1", nodes=[made], variables=[V])).step("sub1/n").inputs["x"] == 1


def test_a_subflow_sees_nothing_of_its_parent() -> None:
    made = subflow("sub1", inner())

    assert Run(plan("sub1", nodes=[made], variables=[V])).step("sub1/n").inputs["x"] == "${v}"


def test_a_subflow_that_shares_the_context_gets_a_copy_of_it() -> None:
    made = subflow("sub1", inner(), shares_context=True)
    run = Run(plan("sub1", nodes=[made], variables=[V]))
    assert run.step("sub1/n").inputs["x"] == 1

    run.do("set_variables", "sub1", values={"v": 2})

    assert run.state.written == {"sub1": {"v": 2}}


def test_outputs_of_a_subflow_reach_the_variables_that_they_are_mapped_to() -> None:
    made = subflow("sub1", inner(outputs=["v"]), to={"v": "w"})
    run = Run(plan("sub1 b", nodes=[made, task("b", {"x": "${w}"})]))

    run.answer("sub1/n", Done(outputs={"out": 7}))

    assert run.step("b").inputs["x"] == 7


def test_variables_of_a_subflow_stay_from_pass_to_pass() -> None:
    made = subflow("sub1", inner(variables=[variable("v", "own")]))
    again = {"xor1-sub1": "1 == 1"}
    run = Run(plan("sub1 xor1 sub1", "xor1 end", nodes=[made], conditions=again))

    run.answer("sub1/n", Done(outputs={"out": 7}))

    assert run.step("sub1/n").inputs["x"] == 7


def test_a_node_deep_inside_is_addressed_by_its_path() -> None:
    deep = subflow("sub1", flow("sub2", nodes=[subflow("sub2", flow("n"))]))

    assert Run(plan("sub1", nodes=[deep])).calling == ["sub1/sub2/n"]
