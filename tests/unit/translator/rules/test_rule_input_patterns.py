import pytest
from pydantic import JsonValue

from tests.helpers.build import Harness, Plugins, plugin, task, tree
from translator.rules import input_patterns
from translator.rules.context import InputType, PluginInput
from translator.template import Tree

harness = Harness(input_patterns)
assert_valid, assert_diagnostics = harness.valid, harness.diagnostics


@pytest.mark.parametrize("given", [5, "5", " 5 ", "", None, "${n}", "soon " * 2001])
def test_what_has_the_form_is_fine(given: JsonValue) -> None:
    assert_valid(flow(given), catalog())


def test_an_input_without_a_pattern_has_any_form() -> None:
    assert_valid(flow("soon"), catalog(pattern=""))


@pytest.mark.parametrize(
    ("given", "shown"), [("soon", "'soon'"), ("5m", "'5m'"), ([5], "an array"), (True, "True")]
)
def test_another_form_is_a_warning(given: JsonValue, shown: str) -> None:
    what = f"input 'n' of node 'a' is {shown}, which is not of the form that 'echo' reads"

    assert_diagnostics(flow(given), [("warning", "/activities/a/inputs/n", what)], catalog())


def test_a_wrong_type_is_told_once_by_the_rule_of_types() -> None:
    assert_valid(flow([5]), catalog("string"))


def catalog(kind: InputType = "any", pattern: str = r"^\s*\d+\s*$") -> Plugins:
    return Plugins(plugin("echo", PluginInput("n", kind, required=False, pattern=pattern)))


def flow(given: JsonValue) -> Tree:
    return tree("start a end", nodes=[task("a", inputs={"n": given})])
