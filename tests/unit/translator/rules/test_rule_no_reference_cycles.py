import json
from typing import Any

import pytest
from pydantic import JsonValue

from tests.helpers.build import Harness, template, tree, variable, variables
from tests.helpers.shared import FIXTURES
from translator.check import check
from translator.rules import no_reference_cycles, no_self_reference
from translator.template import Tree

harness = Harness(no_reference_cycles)
assert_valid, assert_diagnostics = harness.valid, harness.diagnostics


def cases() -> list[Any]:
    file = FIXTURES / "vectors" / "constants_cycle.json"
    if not file.is_file():
        reason = f"the recorded constants are not at {file}"
        return [pytest.param({}, marks=pytest.mark.skip(reason=reason), id="absent")]
    return json.loads(file.read_text("utf-8"))


def test_a_chain_of_references_is_fine() -> None:
    assert_valid(flow(a="${b}", b="${c}", c="x"))


def test_a_circle_is_an_error_at_any_depth() -> None:
    assert_diagnostics(
        flow(a={"k": "${b}"}, b=["${c}"], c="${a}", d="${a}"),
        [("error", "/constants/a", CIRCLE)],
    )


def test_a_circle_that_the_server_does_not_see_is_a_warning() -> None:
    assert_diagnostics(flow(a="${b.x}", b="${c}", c="${a}"), [("warning", "/constants/a", CIRCLE)])


def test_the_engine_takes_a_circle() -> None:
    assert_diagnostics(
        flow(a="${b}", b="${c}", c="${a}"),
        [("warning", "/constants/a", CIRCLE)],
        file_format="engine",
    )


@pytest.mark.parametrize("case", cases())
def test_the_server_refuses_the_same_circles(case: dict[str, Any]) -> None:
    constants: dict[str, Any] = case["constants"]
    given = {key[2:-1]: each for key, each in constants.items() if "value" in each}
    found = flow(**{key: each["value"] for key, each in given.items()})
    rules = [no_self_reference, no_reference_cycles]

    errors = [each for each in check(template(found), rules=rules) if each.severity == "error"]

    assert bool(errors) is not case["ok"]


CIRCLE = "variables 'a', 'b', 'c' refer to each other in a circle"


def flow(**values: JsonValue) -> Tree:
    given = (variable(key, value) for key, value in values.items())
    return tree("start n end", variables=variables(*given))
