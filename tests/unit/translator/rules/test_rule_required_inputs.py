from tests.helpers.build import Harness, Plugins, plugin, task, tree
from translator.rules import required_inputs
from translator.rules.context import PluginInput

harness = Harness(required_inputs)
assert_valid, assert_diagnostics = harness.valid, harness.diagnostics


CATALOG = Plugins(
    plugin(
        "echo",
        PluginInput("url", "string", required=True),
        PluginInput("body", "string", required=False),
    )
)


def test_a_given_input_is_fine() -> None:
    assert_valid(tree("start a end", nodes=[task("a", inputs={"url": "${u}"})]), CATALOG)


def test_a_missing_one_is_a_warning() -> None:
    assert_diagnostics(
        tree("start a end"),
        [("warning", "/activities/a", "node 'a' lacks the input 'url' that 'echo' requires")],
        CATALOG,
    )
