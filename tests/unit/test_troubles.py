"""Troubles that users of the replaced system know: none of them here, one test for each.

The tests of a subject stand beside it; here are those that have no other home, and the check that
`docs/troubles.md` names a test for every number.
"""

import ast
import asyncio
import json
import re
from functools import cache
from pathlib import Path
from typing import Any, Final, cast

import pytest

from tests.conformance.__main__ import judge_pipeline
from tests.helpers import build
from tests.helpers.plans import plan, task, variable
from tests.helpers.runs import Run
from tests.helpers.shared import FIXTURES, needs_shared
from tests.tools.fault_table import SECTION, faulty, played
from translator.compile import compile_template
from translator.parse import parse
from translator.plan import AutoRetry, Task, Timeout
from workers.importing import load
from workers.store import Store
from workflows.machine.view import stdops_state

ROOT: Final = Path(__file__).resolve().parents[2]
PAGE: Final = ROOT / "docs" / "troubles.md"
NUMBERS: Final = range(1, 39)
ROW: Final = re.compile(r"^\| (\d+) \|(?:[^|]*)\|([^|]*)\|([^|]*)\|$", re.MULTILINE)
REFERENCE: Final = re.compile(r"`([\w/]+\.py)::(test_\w+)`")
CARRIERS_OF_CODE: Final = ("pickle", "marshal", "shelve", "dill", "cloudpickle")


# --- the table ----------------------------------------------------------------------------------


def rows() -> dict[int, tuple[str, str]]:
    """What happens here and what shows it, by number."""
    found = ROW.findall(PAGE.read_text("utf-8"))
    return {int(number): (here.strip(), shown.strip()) for number, here, shown in found}


@cache
def names_in(name: str) -> set[str]:
    """The tests of the one file that is called so."""
    [file] = (ROOT / "tests").rglob(name)
    tree = ast.parse(file.read_text("utf-8"))
    return {
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }


def test_every_trouble_has_one_row_in_order() -> None:
    numbers = [int(number) for number, *_ in ROW.findall(PAGE.read_text("utf-8"))]

    assert numbers == list(NUMBERS)


@pytest.mark.parametrize("number", NUMBERS)
def test_a_trouble_names_tests_that_exist_or_says_why_there_is_none(number: int) -> None:
    here, shown = rows()[number]

    named = REFERENCE.findall(shown)

    assert bool(named) != here.startswith("does not apply: ")
    assert [name for file, name in named if name not in names_in(file)] == []


# --- troubles without another home --------------------------------------------------------------


def test_a_run_that_will_retry_by_itself_does_not_show_as_failed() -> None:
    retrying = AutoRetry(times=1, interval_s=9)
    run = Run(plan("a", nodes=[task("a", auto_retry=retrying)]))

    run.lose("a")
    between = stdops_state(run.state)
    run.fire("a", "retry")
    run.lose("a")

    assert (between, stdops_state(run.state)) == ("Waiting", "Failed")


def test_a_node_held_with_the_start_is_never_called() -> None:
    run = Run(plan("a"), start=False)

    run.do("pause_node", "a")
    run.go()

    assert (run.calling, run.status("a")) == ([], "suspended")


@pytest.mark.parametrize("quoted", ['a"b', "a'b", 'x" == "x', "a\nb", "a\\"])
def test_a_quote_in_a_value_does_not_change_the_condition(quoted: str) -> None:
    conditions = {"xor1-a": '"${v}" == "other"'}

    run = Run(
        plan("xor1 a end", "xor1 b end", conditions=conditions, variables=[variable("v", quoted)])
    )

    assert run.calling == ["b"]


def test_policies_of_a_node_stand_in_the_plan_that_every_start_runs() -> None:
    retrying, limit = AutoRetry(times=2, interval_s=1), Timeout(after_s=5)
    nodes = [build.task("a", auto_retry=retrying), build.task("b", timeout=limit)]
    made = compile_template(build.template(build.tree("start a b end", nodes=nodes)))

    a, b = (made.flow.nodes[name] for name in "ab")

    assert isinstance(a, Task)
    assert isinstance(b, Task)
    assert (a.auto_retry, b.timeout) == (retrying, limit)


@needs_shared
def test_policies_that_a_conversion_adds_switch_nothing() -> None:
    file = FIXTURES / "web" / "independent_subprocess_after.web.json"

    parsed = parse(file.read_bytes(), file.name)

    tasks = [each for template in parsed.templates for each in template.tree.tasks.values()]
    assert tasks
    assert [(each.auto_retry, each.timeout) for each in tasks] == [(None, None)] * len(tasks)


def backwards(data: Any) -> Any:
    """The same JSON, the keys of every object the other way round."""
    if isinstance(data, list):
        return [backwards(each) for each in cast("list[Any]", data)]
    if isinstance(data, dict):
        pairs = cast("dict[str, Any]", data)
        return {key: backwards(pairs[key]) for key in reversed(pairs)}
    return data


@needs_shared
def test_a_file_that_is_written_otherwise_is_no_new_version() -> None:
    file = FIXTURES / "web" / "drawing_pipeline_without_gateways.web.json"
    other = json.dumps(backwards(json.loads(file.read_bytes())), indent=3).encode()

    with Store.open("sqlite://") as store:
        [first] = load(file.read_bytes(), file.name, store).templates
        [again] = load(other, file.name, store).templates

    assert (first.created, again.created, again.version) == (True, False, 1)


def test_nothing_of_ours_reads_what_can_carry_code() -> None:
    folders = ("translator", "activities", "workflows", "workers")
    files = [file for folder in folders for file in (ROOT / folder).rglob("*.py")]

    found = [
        (file.name, name)
        for file in files
        for name in imported(ast.parse(file.read_text("utf-8")))
        if name.partition(".")[0] in CARRIERS_OF_CODE
    ]

    assert files
    assert found == []


def imported(tree: ast.Module) -> list[str]:
    """The modules that a module imports, wherever it does."""
    names: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.append(node.module)
    return names


def test_changed_variables_are_named_in_the_journal_without_their_values() -> None:
    run = Run(plan("a", variables=[variable("v", "before")]))

    run.do("set_variables", values={"v": "a-new-value"}, operator="ann")

    [noted] = run.state.journal
    assert (noted.operator, noted.changed) == ("ann", ("v",))
    assert "a-new-value" not in repr(noted)


# --- faults of the real engine ------------------------------------------------------------------


def test_the_table_of_the_engines_faults_is_what_the_machine_does() -> None:
    page = PAGE.read_text("utf-8")

    assert SECTION.filled(page) == page, "run python -m tests.tools.fault_table --write"
    assert page.count("\n| ") > len(faulty()) > 0


def test_no_case_that_breaks_the_engine_leaves_a_run_that_nobody_can_move() -> None:
    for case, outcome in asyncio.run(played(faulty())):
        states = {row["state"] for row in outcome["states"].values()}
        assert outcome["pipeline_state"] == "FINISHED" or "FAILED" in states, case["id"]
        assert judge_pipeline(case, outcome).differences == []
