"""Quick tasks in a row: which travel together, and what verbs do to them on the way."""

from collections.abc import Sequence
from typing import Any

import pytest
from pydantic import JsonValue

from activities.contract import Done, Failed, Outcome, PluginTraits, Polling, RunSettings
from tests.helpers.plans import flow as flow_of
from tests.helpers.plans import plan, settings, subflow, task, variable
from tests.helpers.runs import Run
from translator.plan import AutoRetry, LoopConfig, PluginRef, Task, Timeout
from workflows.machine import journal
from workflows.machine.events import CutShort, RunTask, TaskEnded, Unstarted


def quick(name: str, text: JsonValue = "x", **options: Any) -> Task:
    return task(name, {"x": text}, plugin="quick", **options)


def row(*tasks: Task, **options: Any) -> Run:
    """A run of tasks in a row over `v`, `w` and an output `x`."""
    known = [variable("v", 0), variable("w", "w"), variable("z", "z ${v}")]
    made = plan(" ".join(each.id for each in tasks), nodes=tasks, variables=known)
    return Run(made, settings(**options))


def travelling(run: Run) -> list[str]:
    """The nodes of the call under way."""
    [step] = [each for each in run.outstanding if isinstance(each, RunTask)]
    return [step.path, *(each.step.path for each in step.then)]


def done(text: JsonValue = "out") -> Done:
    return Done(outputs={"out": text})


# --- which travel -------------------------------------------------------------------------------


def test_quick_tasks_in_a_row_travel_together() -> None:
    run = row(quick("a"), quick("b"), quick("c"))

    assert travelling(run) == ["a", "b", "c"]
    assert run.state.executing == 1
    assert run.status("b") == "not reached"


def test_a_batch_has_at_most_as_many_tasks_as_the_settings_say() -> None:
    assert travelling(row(*(quick(f"n{n}") for n in range(20)))) == [f"n{n}" for n in range(16)]
    assert travelling(row(quick("a"), quick("b"), quick("c"), batch_tasks=2)) == ["a", "b"]
    assert travelling(row(quick("a"), quick("b"), batch_tasks=1)) == ["a"]


@pytest.mark.parametrize(
    "other",
    [
        task("b"),
        task("show1", plugin="show"),
        quick("b", timeout=Timeout(after_s=9)),
        quick("b", loop=LoopConfig(times=2)),
        quick("b", "${nope}"),
        quick("b", "y" * 200_001),
    ],
    ids=["not quick", "inline", "time limit", "own loop", "told of", "large"],
)
def test_a_task_that_needs_the_run_between_does_not_travel(other: Task) -> None:
    assert travelling(row(quick("a"), other, quick("c"))) == ["a"]


@pytest.mark.parametrize(
    "options", [{"timeout": Timeout(after_s=9)}, {"loop": LoopConfig(times=2)}]
)
def test_nothing_travels_with_a_task_that_is_watched(options: dict[str, Any]) -> None:
    assert travelling(row(quick("a", **options), quick("b"))) == ["a"]


def test_a_task_of_another_queue_does_not_travel() -> None:
    traits = {
        f"{code}/legacy": PluginTraits(plugin=PluginRef(code=code), quick=True, queue=queue)
        for code, queue in (("near", ""), ("far", "zone-b"))
    }
    made = plan(
        "a b c d",
        nodes=[
            task(n, plugin=p) for n, p in zip("abcd", ("near", "near", "far", "far"), strict=True)
        ],
    )
    run = Run(made, RunSettings(traits=traits))

    assert travelling(run) == ["a", "b"]
    run.answer_batch("a", done(), done())
    assert travelling(run) == ["c", "d"]


def test_a_held_task_does_not_travel() -> None:
    run = Run(plan("quick1 quick2 quick3"), start=False)
    run.do("pause_node", "quick2")
    run.go()

    assert travelling(run) == ["quick1"]


def test_tasks_travel_inside_a_subflow_and_not_out_of_it() -> None:
    made = plan("sub1 quick3", nodes=[subflow("sub1", flow_of("quick1 quick2"))])

    assert travelling(Run(made)) == ["sub1/quick1", "sub1/quick2"]


def test_what_needs_a_secret_of_another_task_does_not_travel() -> None:
    made = plan(
        "a b",
        nodes=[quick("a", to={"out": "v"}), quick("b", "${v}")],
        variables=[variable("v", "", secret=True)],
    )

    assert travelling(Run(made)) == ["a"]


def test_a_call_says_what_it_takes_and_gives() -> None:
    run = row(quick("a", to={"out": "v", "more": "w"}), quick("b", "${z}"), quick("c", "${w}"))

    [step] = run.outstanding
    assert isinstance(step, RunTask)
    assert [each.takes for each in step.then] == [("v",), ("w",)]
    assert [write.output for write in step.writes] == ["out", "more"]
    assert list(step.then[0].step.unresolved.variables) == ["v", "z"]


# --- what comes back ----------------------------------------------------------------------------


def test_the_outcomes_land_one_after_the_other() -> None:
    run = row(quick("a", to={"out": "v"}), quick("b"), quick("c", to={"out": "w"}), task("d"))

    run.answer_batch("a", done(1), done(2), done(3))

    assert [run.status(path) for path in "abcd"] == ["finished"] * 3 + ["running"]
    assert run.state.written[""] == {"v": 1, "w": 3}
    assert run.state.nodes["c"].entry == 1
    assert run.state.executing == 1


def test_what_was_not_started_is_called_in_its_turn() -> None:
    run = row(quick("a"), quick("b"), quick("c"))

    run.answer_batch("a", done(), done())

    assert run.calling == ["c"]


def test_a_failure_stands_where_it_happened() -> None:
    run = row(quick("a"), quick("b", auto_retry=AutoRetry(times=1, interval_s=3)), quick("c"))

    run.answer_batch("a", done(), Failed(error="broken"))

    assert (run.status("a"), run.status("b"), run.status("c")) == (
        "finished",
        "failed",
        "not reached",
    )
    run.fire("b", "retry")
    assert travelling(run) == ["b", "c"]


def test_an_ignorable_failure_goes_on_with_the_next_batch() -> None:
    run = row(quick("a"), quick("b", error_ignorable=True), quick("c"), quick("d"))

    run.answer_batch("a", done(), Failed(error="broken"))

    assert run.state.nodes["b"].error_ignored
    assert travelling(run) == ["c", "d"]


def test_a_quick_plugin_that_works_on_outside_is_polled() -> None:
    run = row(quick("a"), quick("b"), quick("c"))

    run.answer_batch("a", done(), Polling(handle="job", after_s=1))

    assert run.phase("b") == "polling"


def test_a_batch_counts_as_one_slot() -> None:
    made = plan("fork1 quick1 quick2 join1", "fork1 quick3 join1")
    run = Run(made, settings(in_flight=1))

    assert travelling(run) == ["quick1", "quick2"]
    assert run.phase("quick3") == "queued"
    run.answer_batch("quick1", done(), done())
    assert run.calling == ["quick3"]


def test_an_answer_to_an_earlier_execution_brings_nothing() -> None:
    run = row(quick("a"), quick("b"))
    step = run.step("a")
    run.do("force_fail", "a")
    run.do("retry", "a")

    run.send(TaskEnded("a", 1, done(), step, [done()]))

    assert run.phase("a") == "calling"
    assert run.status("b") == "not reached"


# --- verbs on the way ---------------------------------------------------------------------------


def outcomes(number: int) -> Sequence[Outcome]:
    return [done() for _ in range(number)]


def test_a_pause_cuts_short_what_travels_and_holds_what_was_not_started() -> None:
    run = row(quick("a"), quick("b"), quick("c"))

    run.do("pause")
    cut = [each for each in run.commands if isinstance(each, CutShort)]
    run.answer_batch("a", *outcomes(2))

    assert cut == [CutShort("a", 1)]
    assert [run.status(path) for path in "abc"] == ["finished", "finished", "not reached"]
    run.do("resume")
    assert run.calling == ["c"]


def test_a_call_that_nobody_had_begun_is_asked_for_again_alone_while_the_run_is_paused() -> None:
    run = row(quick("a"), quick("b"))
    run.do("pause")

    run.come_back("a")

    assert travelling(run) == ["a"]
    assert run.state.executing == 1


def test_a_hold_cuts_short_the_batch_that_the_node_travels_in() -> None:
    run = row(quick("a"), quick("b"), quick("c"))

    run.do("pause_node", "b")

    assert run.commands == [CutShort("a", 1)]
    run.come_back("a")
    assert travelling(run) == ["a"]
    run.answer("a", done())
    assert (run.calling, run.status("b")) == ([], "suspended")


def test_a_hold_that_comes_too_late_says_so() -> None:
    run = row(quick("a"), quick("b"), quick("c"))
    run.do("pause_node", "b")

    run.answer_batch("a", *outcomes(2))

    assert run.status("b") == "finished"
    last = run.state.journal[-1]
    assert (last.verb, last.node) == (journal.NOTICE, "b")
    assert "had started" in last.reason
    assert run.calling == ["c"]


def test_new_values_reach_what_was_not_started() -> None:
    run = row(quick("a"), quick("b", "${v}"), quick("c", "${v}"))

    run.do("set_variables", values={"v": 7})
    run.answer_batch("a", *outcomes(2))

    assert run.step("c").inputs["x"] == 7


def test_a_pause_elsewhere_lets_a_batch_be() -> None:
    made = plan(
        "fork1 sub1 join1", "fork1 quick1 quick2 join1", nodes=[subflow("sub1", flow_of("n"))]
    )
    run = Run(made)

    run.do("pause", "sub1")

    assert not run.cut


def test_a_batch_is_cut_short_once() -> None:
    run = row(quick("a"), quick("b"))
    run.do("pause")
    run.do("resume")

    run.do("pause")

    assert run.cut == [("a", 1)]


def test_a_stale_return_changes_nothing() -> None:
    run = row(quick("a"), quick("b"))
    run.answer_batch("a", done(), done())

    assert run.send(Unstarted("a", 1)) == []
