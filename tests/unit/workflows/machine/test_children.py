"""A task that starts a run of its own: its end, its failures, verbs that reach it, late news."""

from typing import Any

import pytest
from pydantic import JsonValue

from tests.helpers.plans import flow, plan, settings, subflow, task, variable
from tests.helpers.runs import Run
from translator.plan import AutoRetry, Child, Flow, LoopConfig, Plan, Task, Timeout, part_of
from workflows.machine.addressing import Unclear, find_failed, find_node
from workflows.machine.events import ChildChanged, ChildEnded, ChildStarted
from workflows.machine.machine import Given


def child(inner: Flow | None = None, **options: Any) -> Task:
    """A task `c` whose child has the nodes `n1` and `sub1/n`, and a child of its own, `c2`."""
    inputs: dict[str, JsonValue] = options.pop("inputs", {})
    found = inner or flow("n1 sub1", variables=[variable("v"), variable("w")], outputs=["v"])
    held = Child(flow=found, name="Inner", template_key="inner", version="7")
    return task("c", inputs, plugin="subprocess_plugin", child=held, **options)


def running(*chains: str, given: Given = Given(), **options: Any) -> Run:  # noqa: B008  immutable
    """A run in which the child of `c` has begun."""
    made = plan(*(chains or ("c z",)), nodes=[child(**options)], variables=[variable("x", 1)])
    run = Run(made, settings(), given)
    run.child_starts("c")
    return run


def test_a_child_is_asked_for_with_the_values_that_its_parent_renders() -> None:
    made = plan(
        "c", nodes=[child(inputs={"v": "${x}!", "w": [1], "nope": 3})], variables=[variable("x", 1)]
    )

    run = Run(made)

    asked = run.children["c"]
    assert dict(asked.values) == {"v": "1!", "w": [1]}
    assert (asked.entry, asked.name) == (1, "C")
    assert asked.title == "Inner_19700101001640"
    assert run.phase("c") == "child"


def test_values_that_need_the_sandbox_are_evaluated_before_the_child_starts() -> None:
    run = Run(plan("c", nodes=[child(inputs={"v": "${x + 1}"})], variables=[variable("x", 1)]))
    assert run.children == {}

    run.resolve("c", {"v": 2})

    assert dict(run.children["c"].values) == {"v": 2}


def test_values_that_cannot_be_had_fail_the_node_before_a_child_starts() -> None:
    run = Run(plan("c", nodes=[child(inputs={"v": "${x + 1}"})], variables=[variable("x", 1)]))

    run.resolve("c", error="no")

    assert (run.status("c"), run.children) == ("failed", {})


def test_the_outputs_of_a_child_that_the_node_exports_reach_the_variables() -> None:
    made = plan(
        "c",
        nodes=[child(to={"${v}": "x", "w": "y", "task_id": "z", "${u}": "v"})],
        variables=[variable(key, 0) for key in "xyzv"],
        outputs=["x", "y", "z", "v"],
    )
    run = Run(made)
    run.child_starts("c")

    run.child_ends("c", {"v": 5, "w": 6, "other": 7})

    assert run.finish is not None
    assert run.finish.outputs == {"x": 5, "y": 6, "z": "t/c", "v": 0}


def test_a_node_tells_people_which_run_it_is_and_how_it_stands() -> None:
    run = running()
    run.now += 60

    run.child_is("c", "Paused")

    assert run.state.nodes["c"].note == "paused as t/c"
    held = run.state.live["c"].child
    assert held is not None
    assert (held.id, held.state, held.since) == ("t/c", "Paused", run.now)


def test_a_failed_node_of_the_child_fails_its_node_and_names_it() -> None:
    run = running()

    run.child_is("c", "Failed", "node 'N1' (n1) failed: boom")

    assert run.status("c") == "failed"
    assert run.state.failed["c"] == (
        "node 'N1' (n1) failed: boom; the child t/c waits there for a person"
    )
    assert run.left == []


@pytest.mark.parametrize("state", ["Running", "Waiting", "Paused"])
def test_a_node_goes_on_by_itself_when_its_child_does(state: str) -> None:
    run = running()
    run.child_is("c", "Failed", "boom")

    run.child_is("c", state)

    assert (run.status("c"), run.phase("c"), run.state.failed) == ("running", "child", {})
    run.child_ends("c")
    assert run.calling == ["z"]


def test_a_child_that_ends_well_finishes_a_node_that_had_failed() -> None:
    run = running()
    run.child_is("c", "Failed", "boom")

    run.child_ends("c", {"v": 1})

    assert (run.status("c"), run.state.failed, run.calling) == ("finished", {}, ["z"])


def test_an_automatic_retry_is_called_off_when_the_child_goes_on() -> None:
    run = running(auto_retry=AutoRetry(times=1, interval_s=30))
    run.child_is("c", "Failed", "boom")
    assert run.phase("c") == "retrying"

    run.child_is("c", "Running")

    assert (run.phase("c"), run.pending(object, "c")) == ("child", [])


def test_an_automatic_retry_revokes_the_child_and_starts_another() -> None:
    run = running(auto_retry=AutoRetry(times=1, interval_s=30))
    run.child_is("c", "Failed", "boom")

    run.fire("c", "retry")

    assert run.left == ["c"]
    assert run.children["c"].entry == 2


def test_an_ignored_failure_leaves_the_child_and_goes_on() -> None:
    run = running(error_ignorable=True)

    run.child_is("c", "Failed", "boom")

    assert (run.status("c"), run.left, run.calling) == ("finished", ["c"], ["z"])
    assert run.state.nodes["c"].error_ignored


def test_a_time_limit_revokes_the_child() -> None:
    run = running(timeout=Timeout(after_s=60))

    run.fire("c", "timeout")

    assert (run.status("c"), run.left) == ("failed", ["c"])


def test_a_time_limit_counts_anew_when_the_child_goes_on() -> None:
    run = running(timeout=Timeout(after_s=60))
    run.child_is("c", "Failed", "boom")
    run.now += 3600

    run.child_is("c", "Running")

    [timer] = run.pending(object, "c")
    assert timer.at == run.now + 60


@pytest.mark.parametrize("failed_before", [False, True])
def test_a_child_that_ends_badly_fails_its_node_with_the_reason(*, failed_before: bool) -> None:
    run = running()
    if failed_before:
        run.child_is("c", "Failed", "boom")

    run.child_ends("c", error="the child t/c was terminated: by mistake")

    assert run.state.failed == {"c": "the child t/c was terminated: by mistake"}
    assert run.do("retry", "c") == ""
    assert run.left == []
    assert run.children["c"].entry == 2


def test_a_failure_of_the_child_ends_a_run_that_fails_fast() -> None:
    run = running(given=Given(fail_fast=True))

    run.child_is("c", "Failed", "boom")

    assert run.finish is not None
    assert (run.finish.state, run.left) == ("failed", ["c"])


def test_a_loop_collects_a_pass_once_when_its_child_is_mended() -> None:
    looped = child(to={"v": "x"}, loop=LoopConfig(times=2, outputs_key="x"))
    run = Run(plan("c", nodes=[looped], variables=[variable("x")], outputs=["x"]))
    run.child_starts("c")
    run.child_is("c", "Failed", "boom")
    run.child_is("c", "Running")
    run.child_ends("c")
    run.child_starts("c")
    run.child_ends("c")

    assert run.finish is not None
    passes = run.finish.outputs["x"]
    assert isinstance(passes, list)
    assert [isinstance(each, dict) and each["inner_loop"] for each in passes] == [1, 2]


# --- verbs ------------------------------------------------------------------------------------


def test_retry_revokes_the_child_and_starts_another_with_other_values() -> None:
    run = running()
    run.child_is("c", "Failed", "boom")

    assert run.do("retry", "c", set_inputs={"v": "${x}"}) == ""

    assert (run.left, dict(run.children["c"].values)) == (["c"], {"v": 1})


def test_retry_with_a_variable_that_the_child_does_not_have_is_refused() -> None:
    run = running()
    run.child_is("c", "Failed", "boom")

    assert run.do("retry", "c", set_inputs={"vv": 1}) == "wrong_value"
    assert "did you mean 'v'?" in run.refusal


def test_skip_revokes_the_child_and_goes_on() -> None:
    run = running()
    run.child_is("c", "Failed", "boom")

    assert run.do("skip", "c") == ""

    assert (run.status("c"), run.left, run.calling) == ("skipped", ["c"], ["z"])


@pytest.mark.parametrize("verb", ["force_fail", "revoke"])
def test_a_running_child_is_stopped_and_its_node_failed(verb: Any) -> None:
    run = running()

    assert run.do(verb, "c", operator="ann") == ""

    assert (run.status("c"), run.left) == ("failed", ["c"])
    assert "ann" in run.state.failed["c"]


@pytest.mark.parametrize("node", ["", "sub9"])
def test_pause_and_resume_of_a_flow_reach_the_children_in_it(node: str) -> None:
    inner = flow("c z", nodes=[child()])
    run = Run(plan("sub9", nodes=[subflow("sub9", inner)]))
    run.child_starts("sub9/c")

    run.do("pause", node)
    run.do("resume", node)

    assert run.told == [("sub9/c", "pause", ""), ("sub9/c", "resume", "")]


def test_a_child_that_starts_in_a_pause_is_paused() -> None:
    run = Run(plan("c", nodes=[child(inputs={"v": "${x + 1}"})], variables=[variable("x", 1)]))
    run.do("pause")

    run.resolve("c", {"v": 2})

    assert run.told == [("c", "pause", "")]


@pytest.mark.parametrize("verb", ["pause", "resume", "set_variables"])
def test_a_verb_for_the_whole_child_is_passed_on(verb: Any) -> None:
    run = running()

    assert run.do(verb, "c", values={"v": 1}) == ""

    assert run.told == [("c", verb, "")]


def test_revoking_the_run_revokes_its_children_failed_ones_too() -> None:
    run = running("fork1 c join1", "fork1 a join1")
    run.child_is("c", "Failed", "boom")

    run.do("revoke")

    assert (run.left, run.finish is not None) == (["c"], True)


def test_revoking_a_subflow_revokes_the_children_in_it() -> None:
    run = Run(plan("sub9", nodes=[subflow("sub9", flow("c", nodes=[child()]))]))

    run.do("revoke", "sub9")

    assert run.left == ["sub9/c"]


def test_starting_again_before_a_child_revokes_it() -> None:
    run = running("a c", given=Given(start_at="c"))
    run.do("rerun_from", "c")

    assert run.left == ["c"]
    assert run.children["c"].entry == 2


def test_a_verb_on_a_node_of_the_child_is_passed_on_and_noted() -> None:
    run = running()

    assert run.do("skip", "c/sub1/n") == ""

    assert run.told == [("c", "skip", "sub1/n")]
    assert [(e.verb, e.node, e.refusal) for e in run.state.journal] == [("skip", "c/sub1/n", "")]


def test_a_verb_on_a_node_of_a_child_that_is_not_open_is_refused() -> None:
    run = Run(plan("a c", nodes=[child()]))

    assert run.do("skip", "c/n1") == "not_reached"
    assert "has no child that is open" in run.refusal


def test_a_child_takes_no_callback() -> None:
    assert running().do("callback", "c", data=1) == "wrong_state"


def test_nodes_of_children_are_found_at_any_depth_by_path_id_and_name() -> None:
    deepest = child(flow("leaf"))
    made = plan("c", nodes=[child(flow("n1 c", nodes=[deepest]))])
    program = Run(made).machine.core.program

    assert find_node(program, "c/c/leaf") == "c/c/leaf"
    assert find_node(program, "leaf") == "c/c/leaf"
    assert find_node(program, "LEAF") == "c/c/leaf"
    assert find_node(program, "c/n") == "c/n1"
    unclear = find_node(program, "c/c/")
    assert isinstance(unclear, Unclear)
    assert set(unclear.candidates) == {"c/c/start", "c/c/leaf", "c/c/end"}
    assert program.inner["c/c/leaf"].holder == "c"


# --- late news --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "late",
    [
        ChildStarted("c", 1, "t/c"),
        ChildChanged("c", 1, "Failed", "boom"),
        ChildChanged("c", 1, "Running"),
        ChildEnded("c", 1, {"v": 1}),
        ChildEnded("c", 1, {}, "terminated"),
    ],
)
@pytest.mark.parametrize("what", ["retried", "skipped", "finished", "forced", "revoked"])
def test_news_of_an_earlier_child_changes_nothing(what: str, late: Any) -> None:
    run = running()
    if what in ("retried", "skipped"):
        run.child_is("c", "Failed", "boom")
    verbs: dict[str, Any] = {"retried": "retry", "skipped": "skip", "forced": "force_fail"}
    if what in verbs:
        run.do(verbs[what], "c")
    elif what == "finished":
        run.child_ends("c")
    else:
        run.do("revoke")
    before = (run.status("c"), dict(run.state.failed), run.calling, dict(run.children))

    run.send(late)

    assert (run.status("c"), dict(run.state.failed), run.calling, dict(run.children)) == before


@pytest.mark.parametrize("failed", [False, True])
def test_a_run_that_goes_on_from_its_state_watches_its_children(*, failed: bool) -> None:
    run = running()
    if failed:
        run.child_is("c", "Failed", "boom")

    commands = run.reload()

    assert [type(each).__name__ for each in commands] == ["WatchChild"]
    run.child_ends("c")
    assert run.calling == ["z"]


# --- the plan of a child ------------------------------------------------------------------------


def test_the_plan_of_a_child_is_cut_out_of_its_parents() -> None:
    whole = plan("sub9", nodes=[subflow("sub9", flow("c", nodes=[child()]))])

    found = part_of(whole, "sub9/c")

    assert (found.template_key, found.name, found.version) == ("inner", "Inner", "7")
    assert list(found.flow.nodes) == ["start", "n1", "sub1", "end"]
    with pytest.raises(KeyError):
        part_of(whole, "sub9")


def test_a_plan_without_children_says_nothing_of_them() -> None:
    made = plan("a")
    assert "child" not in made.model_dump_json()

    with_child = plan("c", nodes=[child()])
    assert Plan.model_validate_json(with_child.model_dump_json()) == with_child


def test_a_verb_without_a_node_never_starts_a_whole_child_anew() -> None:
    unclear = find_failed(Run(plan("c", nodes=[child()])).machine.core.program, ["c"])

    assert isinstance(unclear, Unclear)
    assert "a node in child c" in unclear.text
