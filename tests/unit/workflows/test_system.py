from typing import Any

import pytest
from pydantic import JsonValue

from activities.contract import RunSettings
from tests.helpers.plans import flow, plan, subflow, task, variable
from tests.helpers.runs import Run
from translator.plan import Plan
from workflows.machine.events import Evaluate
from workflows.machine.machine import Given
from workflows.system import RunFacts, System, project_problems, system_of

FACTS = RunFacts(run="release-1", operator="ann", now=1_790_000_000)
PROJECT: dict[str, JsonValue] = {
    "project_id": 7,
    "project_name": "Shop",
    "bk_biz_id": 2,
    "executor": "robot",
    "env": {"region": "sz"},
}


def system(
    own: dict[str, JsonValue] | None = None, made: Plan | None = None, **options: Any
) -> System:
    return system_of(made or plan("n"), RunSettings(**options), own or {}, FACTS)


def fields(found: System) -> dict[str, JsonValue]:
    whole = found.inherited["_system"]
    assert isinstance(whole, dict)
    return whole


def test_every_field_of_the_system_has_a_value_even_if_nothing_is_told() -> None:
    assert fields(system()) == {
        "language": "zh-hans",
        "project_id": "",
        "project_name": "",
        "bk_biz_id": "",
        "bk_biz_name": "",
        "biz_cc_id": "",
        "biz_cc_name": "",
        "biz_supplier_account": "0",
        "operator": "ann",
        "executor": "ann",
        "task_id": "release-1",
        "task_name": "T",
        "task_url": "",
        "task_start_time": "2026-09-21 22:13:20",
    }


def test_the_project_is_told_by_its_fields_and_the_rest_follows() -> None:
    found = fields(system(PROJECT))

    assert (found["project_id"], found["biz_cc_id"], found["executor"]) == (7, 2, "robot")
    assert (found["bk_biz_name"], found["biz_cc_name"]) == ("Shop", "Shop")


def test_what_a_run_is_told_wins_over_the_settings_and_constants_are_merged() -> None:
    default: dict[str, JsonValue] = {
        "project_name": "Old",
        "language": "en",
        "env": {"a": 1, "b": 1},
    }

    found = system({"project_name": "New", "env": {"b": 2}}, project=default)

    assert (fields(found)["project_name"], fields(found)["language"]) == ("New", "en")
    assert (found.root["_env_a"], found.root["_env_b"]) == (1, 2)


@pytest.mark.parametrize(
    ("own", "start"),
    [({"time_zone": "UTC"}, "2026-09-21 14:13:20"), ({}, "2026-09-21 10:13:20")],
)
def test_the_start_is_told_in_the_zone_of_the_project(
    own: dict[str, JsonValue], start: str
) -> None:
    assert fields(system(own, timezone="America/New_York"))["task_start_time"] == start


def test_a_variable_of_the_template_is_not_hidden_unless_it_only_names_the_systems() -> None:
    own = [variable("_system", "mine"), variable("_env_region", "", origin="system")]
    made = plan("n", variables=own)

    found = system(PROJECT, made)

    assert "_system" not in found.root
    assert found.root["_env_region"] == "sz"
    assert "_system" in found.inherited


def test_plugins_get_the_same_fields_beside_their_inputs() -> None:
    context = system(PROJECT).context

    assert (context["project_name"], context["operator"], context["task_id"]) == (
        "Shop",
        "ann",
        "release-1",
    )
    assert "task_url" not in context


@pytest.mark.parametrize(
    ("project", "told"),
    [
        ({"a b": 1}, "project field 'a b' is no name; use letters, digits and underscores"),
        ({"project_id": [1]}, "project field 'project_id' is [1]; write it as text"),
        ({"env": []}, "project field 'env' is []; write an object such as {'region': 'sz'}"),
        ({"env": {"a-b": 1}}, "project constant 'a-b' is no name"),
        ({"env": {"a": float("nan")}}, "project constant 'a' is the number nan"),
        ({"language": "\ud800"}, "project field 'language' is half of a surrogate pair"),
        ({"time_zone": "Mars"}, "project field 'time_zone' is 'Mars'; name one such as"),
    ],
)
def test_a_description_that_cannot_be_used_says_what_and_how_to_mend_it(
    project: dict[str, JsonValue], told: str
) -> None:
    (problem,) = project_problems(project)

    assert problem.startswith(told)
    assert system(project).problems == (problem,)


def given(found: System) -> Given:
    return Given(variables=found.root, inherited=found.inherited, context=found.context)


def test_constants_of_the_project_reach_every_depth_without_an_activity() -> None:
    inner = flow("n", nodes=[task("n", {"x": "${_env_region}", "y": "in ${_env_region}"})])
    made = plan("a sub1", nodes=[task("a", {"x": "${_env_region}"}), subflow("sub1", inner)])
    run = Run(made, given=given(system(PROJECT, made)))

    assert run.step("a").inputs["x"] == "sz"
    run.answer("a")

    inside = run.step("sub1/n").inputs
    assert (inside["x"], inside["y"]) == ("sz", "in sz")


def test_fields_of_the_system_are_sent_with_what_reads_them() -> None:
    inner = flow("n", nodes=[task("n", {"x": "by ${_system.operator}"})])
    made = plan("sub1", nodes=[subflow("sub1", inner)])
    run = Run(made, given=given(system(PROJECT, made)))

    asked = run.step("sub1/n").unresolved

    assert list(asked.variables) == ["_system"]


def test_a_condition_may_read_the_system() -> None:
    chains = ("xor1 a end", "xor1 b end")
    made = plan(*chains, conditions={"xor1-a": '"${_system.operator}" == "ann"'})
    run = Run(made, given=given(system(PROJECT, made)))

    (asked,) = run.pending(Evaluate, "xor1")

    assert list(asked.unresolved.variables) == ["_system"]


def test_a_variable_that_names_the_systems_in_a_subflow_has_its_value() -> None:
    named = variable("_env_region", "stale", origin="system")
    inner = flow("n", nodes=[task("n", {"x": "${_env_region}"})], variables=[named])
    made = plan("sub1", nodes=[subflow("sub1", inner)])
    run = Run(made, given=given(system(PROJECT, made)))

    assert run.step("sub1/n").inputs["x"] == "sz"
