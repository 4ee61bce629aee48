from tests.helpers.build import Harness, task, tree
from translator.rules import names_in_bounds
from translator.template import SourceTask

harness = Harness(names_in_bounds)
assert_valid, assert_diagnostics = harness.valid, harness.diagnostics


def test_fifty_characters_are_fine() -> None:
    assert_valid(tree("start a end", nodes=[named("x" * 50)]))


def test_a_longer_name_is_a_warning() -> None:
    assert_diagnostics(
        tree("start a end", nodes=[named("x" * 51)]),
        [("warning", "/activities/a", "name of node 'a' has 51 characters, allowed: 50")],
    )


def test_a_task_without_a_name_is_a_note() -> None:
    assert_diagnostics(
        tree("start a end", nodes=[named("")]), [("note", "/activities/a", "node 'a' has no name")]
    )


def named(name: str) -> SourceTask:
    return task("a")._replace(name=name)
