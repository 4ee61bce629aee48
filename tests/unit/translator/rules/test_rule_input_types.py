import pytest
from pydantic import JsonValue

from tests.helpers.build import Harness, Plugins, plugin, task, tree
from translator.rules import input_types
from translator.rules.context import PluginInput
from translator.template import Tree
from translator.values import InputType

harness = Harness(input_types)
assert_valid, assert_diagnostics = harness.valid, harness.diagnostics


@pytest.mark.parametrize(
    ("wanted", "given"),
    [
        ("string", "x"),
        ("integer", 5),
        ("number", 5),
        ("number", 1.5),
        ("boolean", True),
        ("array", []),
        ("object", {}),
        ("any", [1]),
        ("integer", ""),
        ("integer", None),
        ("integer", "${n}"),
    ],
)
def test_the_declared_type_is_fine(wanted: InputType, given: JsonValue) -> None:
    assert_valid(flow(given), catalog(wanted))


@pytest.mark.parametrize(
    ("wanted", "given"),
    [
        ("integer", "5"),
        ("integer", 5.0),
        ("integer", True),
        ("number", "1.5"),
        ("boolean", "true"),
        ("boolean", 1),
        ("string", 5),
        ("string", True),
        ("array", "[1]"),
        ("object", '{"a": 1}'),
    ],
)
def test_what_converts_is_a_warning(wanted: InputType, given: JsonValue) -> None:
    found = harness.found(flow(given), catalog(wanted))

    assert [severity for severity, *_ in found] == ["warning"]


@pytest.mark.parametrize(
    ("wanted", "given", "shown"),
    [
        ("integer", "soon", "'soon'"),
        ("integer", 1.5, "1.5"),
        ("number", [], "an array"),
        ("boolean", "maybe", "'maybe'"),
        ("string", {"a": 1}, "an object"),
        ("array", 5, "5"),
        ("object", "x" * 99, f"'{'x' * 36}..."),
    ],
)
def test_anything_else_is_an_error(wanted: InputType, given: JsonValue, shown: str) -> None:
    what = f"input 'x' of node 'a' is {shown}, 'echo' needs {wanted}"

    assert_diagnostics(flow(given), [("error", "/activities/a/inputs/x", what)], catalog(wanted))


def catalog(wanted: InputType) -> Plugins:
    return Plugins(plugin("echo", PluginInput("x", wanted, required=False)))


def flow(given: JsonValue) -> Tree:
    return tree("start a end", nodes=[task("a", inputs={"x": given})])
