"""Rehearsals with mocks, and the demo's parts, without a process of their own."""

from typing import Any

import pytest
from pydantic import JsonValue

from activities.contract import Done, Failed, Polling, RunSettings, Waiting
from stdops import StdopsError
from tests.helpers.build import subflow, task, tree, variable, variables
from tests.helpers.build import template as wrapped
from translator.compile import compile_template
from translator.plan import Plan
from workers.cli.follow import headline, stands
from workers.cli.templates import Source, choose, examine
from workers.demo.release import template
from workers.demo.target import Target
from workers.rehearsal import Attempt, Mocks, Rehearsed, failing, read_mocks, rehearse


def plan_of(*chains: str, **more: Any) -> Plan:
    return compile_template(wrapped(tree(*chains, **more)))


async def played(plan: Plan, mocks: Mocks | None = None) -> Rehearsed:
    return await rehearse(plan, RunSettings(), mocks or {}, {})


# --- mocks ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("attempt", "first", "last"),
    [
        (Attempt(), Done(), Done()),
        (Attempt(outcome="fail", error="no"), Failed(error="no"), Failed(error="no")),
        (Attempt(after=3), Polling(handle="mock", after_s=3), Done()),
        (Attempt(outcome="poll"), Polling(handle="mock", after_s=5), Done()),
        (Attempt(outcome="wait", error="no"), Waiting(), Failed(error="no")),
    ],
    ids=["done", "fail", "slow", "poll", "wait"],
)
def test_an_attempt_begins_and_ends_as_it_says(attempt: Attempt, first: Any, last: Any) -> None:
    assert (attempt.begin(), attempt.end()) == (first, last)


def test_one_attempt_needs_no_list() -> None:
    assert read_mocks({"a": {"outcome": "fail"}}, "") == {"a": [Attempt(outcome="fail")]}


@pytest.mark.parametrize("data", [None, [], "x", {"a": 1}, {"a": [{"after": -1}]}], ids=repr)
def test_what_is_no_mock_is_refused(data: JsonValue) -> None:
    with pytest.raises(StdopsError) as refused:
        read_mocks(data, "mocks.json")

    assert refused.value.code == "SOP543"


def test_failing_times_then_well() -> None:
    assert [one.outcome for one in failing(2)] == ["fail", "fail", "done"]


# --- rehearsals -------------------------------------------------------------------------------


async def test_parallel_work_takes_as_long_as_its_longest_branch() -> None:
    plan = plan_of("start fork1", "fork1 a join1", "fork1 b join1", "join1 end")

    seen = await played(plan, {"a": [Attempt(after=30)], "b": [Attempt(after=50)]})

    assert (seen.state, seen.elapsed_s) == ("finished", 50)


async def test_a_plugin_mock_is_for_all_its_nodes_and_a_node_mock_wins() -> None:
    plan = plan_of("start a b end")

    seen = await played(plan, {"echo": [Attempt(after=10)], "b": [Attempt(after=1)]})

    assert seen.elapsed_s == 11


async def test_an_output_reaches_the_condition_that_reads_it() -> None:
    plan = plan_of(
        "start a xor1",
        "xor1 b end",
        "xor1 c end",
        conditions={"xor1-b": "${n} > 1", "xor1-c": "${n} <= 1"},
        variables=variables(variable("n", sources=[("a", "count")])),
    )

    seen = await played(plan, {"a": [Attempt(outputs={"count": 2})]})

    assert [row.path for row in seen.rows if row.plugin] == ["a", "b"]


async def test_a_node_in_a_subflow_is_played_by_its_path() -> None:
    plan = plan_of("start sub1 end", nodes=[subflow("sub1", tree("start inner end"))])

    seen = await played(plan, {"sub1/inner": failing(1)})

    assert (seen.state, seen.standing[0].path) == ("failed", "sub1/inner")


async def test_a_node_that_is_passed_again_has_a_row_for_each_pass() -> None:
    plan = plan_of(
        "start a xor1 end",
        "xor1 a",
        conditions={"xor1-end": "${n} >= 2", "xor1-a": "${n} < 2"},
        variables=variables(variable("n", sources=[("a", "_loop")])),
    )

    seen = await played(plan)

    rows = [(row.entry, row.status) for row in seen.rows if row.path == "a"]
    assert rows == [(1, "finished"), (2, "finished")]


async def test_an_ignored_failure_goes_on() -> None:
    plan = plan_of("start a end", nodes=[task("a", error_ignorable=True)])

    assert (await played(plan, {"a": failing(1)})).state == "finished"


async def test_an_endless_wait_is_told_with_what_would_end_it() -> None:
    seen = await played(plan_of("start a end"), {"a": [Attempt(outcome="wait")]})

    assert (seen.state, seen.standing[0].reason) == ("waiting", "waits for a callback")


# --- the demo ---------------------------------------------------------------------------------


def test_the_demo_template_has_no_findings() -> None:
    checked = examine(Source(template(), "release.json"))

    assert checked.diagnostics == ()
    assert choose(checked).template_key == "release"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/health", 200),
        ("GET", "/versions/1", 200),
        ("POST", "/build/web", 200),
        ("POST", "/backup", 200),
        ("POST", "/deploy/canary", 200),
        ("POST", "/deploy/all", 503),
        ("GET", "/deploy/all", 404),
        ("GET", "/", 404),
    ],
)
def test_the_target_answers(method: str, path: str, status: int) -> None:
    assert Target().answer(method, path).status == status


def test_a_mended_target_takes_the_rollout() -> None:
    target = Target()

    target.answer("POST", "/mend")

    assert target.answer("POST", "/deploy/all").status == 200
    assert target.deployed == ["all"]


# --- following --------------------------------------------------------------------------------

FAILED = {"path": "a", "name": "A"}


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ({"failed": [FAILED]}, True),
        ({"failed": [FAILED], "waiting": [{"path": "b", "deadline": 0}]}, True),
        ({"failed": [FAILED], "waiting": [{"path": "b", "deadline": 9.0}]}, False),
        ({"failed": [FAILED], "running": [{"path": "b"}]}, False),
        ({"running": [{"path": "b"}]}, False),
        ({}, False),
    ],
    ids=["failed", "and callback", "and timer", "and running", "running", "empty"],
)
def test_a_run_stands_when_only_a_person_can_move_it(
    status: dict[str, Any], expected: bool
) -> None:
    assert stands(status) is expected


def test_the_headline_counts_and_names() -> None:
    status = {"state": "Failed", "counts": {"done": 3, "failed": 1}, "failed": [FAILED]}

    assert headline(status) == "✗ Failed  3/4  failed: A"


# --- warnings ---------------------------------------------------------------------------------


def unfilled(text: str) -> Plan:
    nodes = [task("a", inputs={"text": text})]
    return plan_of("start a end", nodes=nodes, variables=variables(variable("port", "80")))


@pytest.mark.parametrize("text", ["${port + 1}", "${prot}"])
async def test_a_rehearsal_tells_of_what_stays_text(text: str) -> None:
    seen = await played(unfilled(text))

    (warning,) = seen.warnings
    assert (seen.state, warning.path) == ("finished", "a")
    assert f"'{text}' in input 'text' stays text" in warning.text


@pytest.mark.parametrize("text", ["${port + 1}", "${prot}"])
async def test_a_strict_rehearsal_fails_the_node(text: str) -> None:
    seen = await rehearse(unfilled(text), RunSettings(strict=True), {}, {})

    assert (seen.state, seen.warnings) == ("failed", ())
    assert "cannot be evaluated" in seen.standing[0].reason
