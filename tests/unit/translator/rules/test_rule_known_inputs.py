from tests.helpers.build import Harness, Plugins, plugin, task, tree
from translator.rules import known_inputs
from translator.rules.context import PluginInput
from translator.template import Tree

harness = Harness(known_inputs)
assert_valid, assert_diagnostics = harness.valid, harness.diagnostics


CATALOG = Plugins(plugin("echo", PluginInput("script", "string", required=False)))


def test_declared_inputs_are_fine() -> None:
    assert_valid(flow("script"), CATALOG)


def test_inputs_of_the_engine_are_fine() -> None:
    assert_valid(flow("__executor_proxy"), CATALOG)


def test_a_plugin_may_take_any_input() -> None:
    assert_valid(flow("anything"), Plugins(plugin("echo")._replace(open_inputs=True)))


def test_an_unknown_input_is_a_warning() -> None:
    assert_diagnostics(
        flow("scrpt"),
        [
            (
                "warning",
                "/activities/a/inputs/scrpt",
                "input 'scrpt' of node 'a' is unknown to 'echo'",
            )
        ],
        CATALOG,
    )


def flow(name: str) -> Tree:
    return tree("start a end", nodes=[task("a", inputs={name: "x"})])
