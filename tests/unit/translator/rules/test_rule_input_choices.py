import pytest
from pydantic import JsonValue

from tests.helpers.build import Harness, Plugins, plugin, task, tree
from translator.rules import input_choices
from translator.rules.context import InputType, PluginInput
from translator.template import Tree

harness = Harness(input_choices)
assert_valid, assert_diagnostics = harness.valid, harness.diagnostics

CHOICES = ("topo", "1", True)


@pytest.mark.parametrize("given", ["topo", 1, "1", True, "true", "", None, "${way}", ["topo", "1"]])
def test_a_choice_is_fine_as_its_text_or_its_number(given: JsonValue) -> None:
    assert_valid(flow(given), catalog())


def test_an_input_without_choices_may_be_anything() -> None:
    assert_valid(
        flow("tree"), Plugins(plugin("echo", PluginInput("way", "string", required=False)))
    )


def test_what_is_no_choice_is_a_warning_with_the_near_one() -> None:
    assert_diagnostics(flow("tpo"), [warning("'tpo'")], catalog())


def test_each_item_of_a_list_is_a_choice_of_its_own() -> None:
    assert_diagnostics(flow(["1", "2", "3"]), [warning("'2'"), warning("'3'")], catalog("array"))


def test_text_where_a_list_is_wanted_is_not_compared() -> None:
    assert_valid(flow("2"), catalog("array"))


def warning(shown: str) -> tuple[str, str, str]:
    what = f"input 'way' of node 'a' is {shown}, which is none of its choices"
    return ("warning", "/activities/a/inputs/way", what)


def catalog(kind: InputType = "string") -> Plugins:
    return Plugins(plugin("echo", PluginInput("way", kind, required=False, choices=CHOICES)))


def flow(given: JsonValue) -> Tree:
    return tree("start a end", nodes=[task("a", inputs={"way": given})])
