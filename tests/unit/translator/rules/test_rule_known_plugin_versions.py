from tests.helpers.build import Harness, Plugins, plugin, task, tree
from translator.rules import known_plugin_versions

harness = Harness(known_plugin_versions)
assert_valid, assert_diagnostics = harness.valid, harness.diagnostics


CATALOG = Plugins(plugin("echo"), plugin("echo", version="v1.0"))


def test_a_known_version_is_fine() -> None:
    assert_valid(tree("start a end", nodes=[task("a", version="v1.0")]), CATALOG)


def test_an_unknown_plugin_is_left_to_its_own_rule() -> None:
    assert_valid(tree("start a end", nodes=[task("a", code="other")]), CATALOG)


def test_an_unknown_version_is_a_warning() -> None:
    what = "node 'a' asks for version 'v1.1' of plugin 'echo', which is unknown"

    assert_diagnostics(
        tree("start a end", nodes=[task("a", version="v1.1")]),
        [("warning", "/activities/a", what)],
        CATALOG,
    )
