from typing import Any

import pytest
from pydantic import JsonValue

from activities.contract import Polling
from tests.helpers.plans import flow, plan, subflow, task, variable
from tests.helpers.runs import Run
from translator.plan import Plan
from workflows.machine.events import SetTimer
from workflows.machine.verbs import VERBS

FORKED = ("fork1 a join1", "fork1 b join1", "join1 c")
NESTED = ("sub1 z",)


def nested() -> Plan:
    """A subflow that forks, with a nested subflow in one branch."""
    deep = subflow("sub2", flow("d"))
    inner = flow("fork1 a join1", "fork1 sub2 join1", "join1 end", nodes=[deep])
    return plan(*NESTED, nodes=[subflow("sub1", inner)])


# --- pause and resume -------------------------------------------------------------------------


def test_a_pause_lets_what_runs_land_and_starts_nothing_new() -> None:
    run = Run(plan("a b"))
    run.do("pause")

    run.answer("a")
    assert (run.status("a"), run.calling) == ("finished", [])

    run.do("resume")
    assert run.calling == ["b"]


def test_a_paused_subflow_holds_only_its_own_nodes() -> None:
    run = Run(plan("fork1 sub1 join1", "fork1 b c join1", "join1 end"))
    run.do("pause", "sub1")

    run.answer("b")
    run.answer("sub1/n")

    assert run.calling == ["c"]
    assert run.status("sub1/end") == "not reached"


@pytest.mark.parametrize("order", [("", "sub1"), ("sub1", "")])
def test_a_node_paused_at_both_levels_goes_on_when_both_are_resumed(order: tuple[str, str]) -> None:
    run = Run(plan("sub1", nodes=[subflow("sub1", flow("n m"))]))
    run.do("pause", "sub1")
    run.do("pause")
    run.answer("sub1/n")

    run.do("resume", order[0])
    assert run.calling == []
    run.do("resume", order[1])

    assert run.calling == ["sub1/m"]


def test_a_subflow_paused_while_its_parameters_are_evaluated_still_gets_them() -> None:
    made = subflow("sub1", flow("n"), {"v": "${v + 1}"})
    run = Run(plan("sub1", nodes=[made], variables=[variable("v", 1)]))
    run.do("pause", "sub1")

    run.resolve("sub1", {"v": 2})
    run.do("resume", "sub1")

    assert run.calling == ["sub1/n"]
    assert run.state.written["sub1"] == {"v": 2}


def test_a_subflow_that_ends_while_paused_is_not_paused_when_it_is_entered_again() -> None:
    inner = flow("n", variables=[variable("w", "${v + 1}")], outputs=["w"])
    made = subflow("sub1", inner)
    run = Run(plan("a sub1 xor1 a", "xor1 end", nodes=[made], conditions={"xor1-a": "1 == 1"}))
    run.answer("a")
    run.answer("sub1/n")
    run.do("pause", "sub1")
    run.resolve("sub1/end", {"w": 2})

    run.answer("a")

    assert run.calling == ["sub1/n"]


@pytest.mark.parametrize("node", ["a", "join1", "end", "fork1"])
def test_a_held_node_starts_when_it_is_freed(node: str) -> None:
    run = Run(plan(*FORKED), start=False)
    run.do("pause_node", node)
    for path in ("a", "b", "c"):
        if path in run.calling:
            run.answer(path)
    assert run.status() == "running"

    run.do("resume_node", node)

    while run.calling:
        run.answer(run.calling[0])
    assert run.status() == "finished"


# --- retry and its inputs ---------------------------------------------------------------------


def failed(inputs: dict[str, JsonValue], **options: Any) -> Run:
    """A run whose node `a` has failed."""
    made = task("a", inputs, **options)
    run = Run(plan("a", nodes=[made], variables=[variable("v", "V")]))
    run.lose("a")
    return run


def retried_inputs(run: Run, **fields: Any) -> dict[str, JsonValue]:
    """What the plugin is given after a retry."""
    assert run.do("retry", "a", **fields) == ""
    counters = ("_loop", "_inner_loop")
    return {key: each for key, each in run.step("a").inputs.items() if key not in counters}


def test_a_retry_keeps_the_inputs() -> None:
    assert retried_inputs(failed({"x": "${v}"})) == {"x": "V"}


def test_a_retry_with_inputs_replaces_all_and_renders_them() -> None:
    run = failed({"x": 1, "y": 2})

    assert retried_inputs(run, inputs={"z": "to ${v}"}) == {"z": "to V"}


def test_a_retry_with_no_inputs_at_all_empties_them() -> None:
    assert retried_inputs(failed({"x": 1}), inputs={}) == {}


def test_a_retry_with_set_keeps_the_other_inputs() -> None:
    assert retried_inputs(failed({"x": 1, "y": "${v}"}), set_inputs={"x": 5}) == {"x": 5, "y": "V"}


def test_replaced_inputs_stay_for_later_retries() -> None:
    run = failed({"x": 1})
    retried_inputs(run, inputs={"x": 5})
    run.lose("a")

    assert retried_inputs(run) == {"x": 5}


def test_escaped_keys_are_not_rendered() -> None:
    fields = {"x": "${v}", "y": "${v}", "_escape_render_keys": ["x"]}

    assert retried_inputs(failed({}), inputs=fields) == {"x": "${v}", "y": "V"}


def test_verbatim_inputs_stay_as_they_are_written() -> None:
    run = failed({"x": "${v}"}, raw=("x",), verbatim=("x",))

    assert retried_inputs(run, set_inputs={"x": "new ${v}"}) == {"x": "new ${v}"}


def test_a_raw_input_that_is_kept_stays_raw() -> None:
    run = failed({"x": "${v}", "y": 1}, raw=("x",))

    assert retried_inputs(run, set_inputs={"y": 2}) == {"x": "${v}", "y": 2}


def test_the_executor_is_kept_when_all_inputs_are_replaced() -> None:
    run = failed({"__executor_proxy": "li", "x": 1})

    assert retried_inputs(run, inputs={"x": 2}) == {"__executor_proxy": "li", "x": 2}


def test_replaced_inputs_survive_a_reload() -> None:
    run = failed({"x": 1})
    run.do("pause")
    run.do("retry", "a", inputs={"x": "${v}"})

    run.reload()
    run.do("resume")

    assert run.step("a").inputs["x"] == "V"


# --- whole subflows ---------------------------------------------------------------------------


def running_inside() -> Run:
    """A subflow with one node failed, and one polling in a nested subflow."""
    run = Run(nested())
    run.answer("sub1/sub2/d", Polling(handle=1, after_s=5))
    run.lose("sub1/a")
    return run


def test_a_retry_of_a_subflow_stops_what_runs_inside_and_enters_it_again() -> None:
    run = running_inside()

    assert run.do("retry", "sub1") == ""

    assert [each.path for each in run.stops] == ["sub1/sub2/d"]
    assert run.calling == ["sub1/a", "sub1/sub2/d"]
    assert run.state.nodes["sub1"].entry == 2
    assert run.state.failed == {}


def test_a_skip_of_a_subflow_goes_on_behind_it() -> None:
    run = running_inside()

    assert run.do("skip", "sub1") == ""

    assert (run.status("sub1"), run.calling) == ("skipped", ["z"])
    assert run.status("sub1/sub2/d") == "revoked"


@pytest.mark.parametrize("verb", ["retry", "skip"])
def test_a_revoked_subflow_has_failed_and_can_be_moved(verb: Any) -> None:
    run = Run(nested())

    run.do("revoke", "sub1", operator="li")

    assert run.state.failed == {"sub1": "stopped by li"}
    assert run.do(verb, "sub1") == ""


@pytest.mark.parametrize("verb", ["retry", "skip"])
def test_a_subflow_without_a_failure_inside_is_left_alone(verb: Any) -> None:
    run = Run(nested())

    assert run.do(verb, "sub1") == "wrong_state"


def test_a_paused_subflow_that_is_retried_is_no_longer_paused() -> None:
    run = running_inside()
    run.do("pause", "sub1")

    run.do("retry", "sub1")

    assert run.calling == ["sub1/a", "sub1/sub2/d"]


def test_revoke_ends_the_run_cancels_and_stops_outside() -> None:
    run = running_inside()

    run.do("revoke")

    assert run.finish is not None
    assert run.finish.state == "revoked"
    assert [each.path for each in run.stops] == ["sub1/sub2/d"]


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_every_verb_is_refused_after_the_end(verb: Any) -> None:
    run = Run(plan("a"))
    run.do("revoke")

    assert run.do(verb, "a") == "ended"


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_every_verb_on_a_node_that_is_not_there_is_refused(verb: Any) -> None:
    assert Run(plan("a")).do(verb, "nope") == "unknown_node"


# --- the others -------------------------------------------------------------------------------


def test_a_forced_failure_says_who_and_keeps_what_was_told() -> None:
    run = Run(plan("a"))

    run.do("force_fail", "a", operator="li")

    assert run.state.failed == {"a": "The node has been terminated by li."}


def test_a_late_answer_after_a_forced_failure_changes_nothing() -> None:
    run = Run(plan("a"))
    step = run.step("a")
    run.do("force_fail", "a")
    run.outstanding.append(step)

    assert run.answer("a") == []
    assert run.status("a") == "failed"


def chosen(name: str) -> Run:
    chains = (f"{name} a join1", f"{name} b join1", "join1 end")
    return Run(plan(*chains, conditions={f"{name}-a": "1 == 2", f"{name}-b": "1 == 2"}))


def test_an_exclusive_gateway_goes_along_the_chosen_branch() -> None:
    run = chosen("xor1")

    assert run.do("choose", "xor1", branches=("xor1-b",)) == ""
    assert run.calling == ["b"]


@pytest.mark.parametrize("branches", [(), ("nope",), ("xor1-a", "xor1-b")])
def test_a_choice_that_makes_no_sense_is_refused(branches: tuple[str, ...]) -> None:
    assert chosen("xor1").do("choose", "xor1", branches=branches) == "no_branch"


def test_a_conditional_fork_goes_along_all_chosen_branches() -> None:
    run = chosen("some1")

    run.do("choose", "some1", branches=("some1-a", "some1-b"))

    assert run.calling == ["a", "b"]


def test_another_time_replaces_the_timer() -> None:
    run = Run(plan("timer1"))

    run.do("set_timer", "timer1", data=5)

    assert [each.at for each in run.pending(SetTimer, "timer1")] == [1005]


def test_a_time_that_cannot_be_read_is_refused() -> None:
    assert Run(plan("timer1")).do("set_timer", "timer1", data="soon") == "wrong_value"


@pytest.mark.parametrize(
    ("value", "seen"), [(1, 1), ("see ${w}", "see W"), ({"k": ["${w}"]}, {"k": ["W"]})]
)
def test_set_variables_are_read_by_the_nodes_that_follow(value: Any, seen: Any) -> None:
    declared = [variable("v", "old"), variable("w", "W")]
    run = Run(plan("a b", nodes=[task("b", {"x": "${v}"})], variables=declared))

    run.do("set_variables", values={"v": value})
    run.reload()
    run.answer("a")

    assert run.step("b").inputs["x"] == seen


def test_a_variable_that_is_not_there_is_refused_with_a_hint() -> None:
    run = Run(plan("a", variables=[variable("host", "old")]))

    assert run.do("set_variables", values={"hsot": 1, "host": 2}) == "wrong_value"

    assert run.refusal == "the run has no variable 'hsot'; did you mean 'host'?"
    assert run.state.written == {}


def test_set_variables_in_a_subflow_change_only_its_own() -> None:
    inner = flow("m n", nodes=[task("n", {"x": "${v}"})], variables=[variable("v", 1)])
    made = subflow("sub1", inner)
    run = Run(plan("sub1", nodes=[made], variables=[variable("v", 0)]))

    run.do("set_variables", "sub1", values={"v": 2})
    run.answer("sub1/m")

    assert run.step("sub1/n").inputs["x"] == 2
    assert run.state.written == {"sub1": {"v": 2}}


def test_a_rerun_stops_what_runs_and_starts_at_the_node() -> None:
    run = Run(plan("a b c"))
    run.answer("a")
    run.answer("b", Polling(handle=1, after_s=5))

    run.do("rerun_from", "a")

    assert run.calling == ["a"]
    assert [each.path for each in run.stops] == ["b"]
    assert run.started == [("a", 1), ("b", 1), ("a", 2)]


def test_a_rerun_from_a_fork_runs_all_its_branches_again() -> None:
    run = Run(plan(*FORKED))
    run.answer("a")

    run.do("rerun_from", "fork1")

    assert run.calling == ["a", "b"]
    assert run.started[-2:] == [("a", 2), ("b", 2)]


def test_a_rerun_inside_a_subflow_leaves_the_rest_alone() -> None:
    inner = flow("m n")
    chains = ("fork1 sub1 join1", "fork1 b join1", "join1 end")
    run = Run(plan(*chains, nodes=[subflow("sub1", inner)]))
    run.answer("sub1/m")

    run.do("rerun_from", "sub1/m")

    assert sorted(run.calling) == ["b", "sub1/m"]


@pytest.mark.parametrize(
    ("node", "code"), [("a", "wrong_kind"), ("c", "not_reached"), ("end", "wrong_kind")]
)
def test_a_rerun_is_refused_inside_a_fork_and_before_a_node_was_reached(
    node: str, code: str
) -> None:
    assert Run(plan(*FORKED)).do("rerun_from", node) == code


def test_a_rerun_is_refused_while_the_subflow_is_being_entered() -> None:
    made = subflow("sub1", flow("n"), {"v": "${v + 1}"})
    chains, loop = ("sub1 xor1 sub1", "xor1 end"), {"xor1-sub1": "1 == 1"}
    run = Run(plan(*chains, nodes=[made], variables=[variable("v", 1)], conditions=loop))
    run.resolve("sub1", {"v": 2})
    run.answer("sub1/n")

    assert run.do("rerun_from", "sub1/n") == "wrong_state"
    assert run.resolve("sub1", {"v": 3})
    assert run.calling == ["sub1/n"]


def test_what_may_be_done_is_what_is_accepted() -> None:
    run = Run(plan("a b"))
    run.lose("a")

    assert run.machine.allowed_on("a", run.now) == ["retry", "skip", "rerun_from"]
    assert run.machine.allowed_on("", run.now) == ["pause", "revoke"]


@pytest.mark.parametrize("value", [float("nan"), [float("inf")], "\ud800", {"k": ["\udfff"]}])
def test_a_value_that_no_run_holds_is_refused_by_every_verb_that_takes_values(value: Any) -> None:
    run = Run(plan("a", variables=[variable("v", 1)]))
    run.lose("a")

    assert run.do("set_variables", values={"v": value}) == "wrong_value"
    assert run.do("retry", "a", set_inputs={"x": value}) == "wrong_value"
    assert run.do("retry", "a", inputs={"x": value}) == "wrong_value"
