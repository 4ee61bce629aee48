from tests.helpers.build import Harness, Plugins, plugin, task, tree
from translator.rules import known_plugins

harness = Harness(known_plugins)
assert_valid, assert_diagnostics = harness.valid, harness.diagnostics


CATALOG = Plugins(plugin("echo"))


def test_a_known_plugin_is_fine() -> None:
    assert_valid(tree("start a end"), CATALOG)


def test_nothing_is_said_without_a_catalog() -> None:
    assert_valid(tree("start a end", nodes=[task("a", code="no_such")]))


def test_an_unknown_plugin_is_a_warning() -> None:
    assert_diagnostics(
        tree("start a end", nodes=[task("a", code="ecko")]),
        [("warning", "/activities/a", "node 'a' calls the unknown plugin 'ecko'")],
        CATALOG,
    )
