from pathlib import Path

from activities.blueking.catalogue import components
from activities.blueking.plugins import plugins
from activities.blueking.reference import markdown
from activities.registry import Registry
from activities.sdk import LazyVariable

PAGE = Path(__file__).parents[4] / "docs" / "plugins-blueking.md"


def test_the_page_is_what_the_components_say() -> None:
    command = "python -m activities.blueking.reference > docs/plugins-blueking.md"

    assert PAGE.read_text(encoding="utf-8") == markdown(plugins()), f"write it anew: {command}"


def test_every_component_of_the_catalogue_is_served() -> None:
    registry = Registry(plugins())

    assert [row for row in components() if registry.plugin(*row) is None] == []
    assert registry.diagnostics == []


def test_a_component_that_nothing_serves_is_shown_as_such() -> None:
    assert markdown([]).count("| not served |") == len(components())


def test_each_variable_says_what_it_computes() -> None:
    found = [part for part in plugins() if isinstance(part, LazyVariable)]

    assert len(found) == 9
    assert markdown(found).count("` | th") == len(found)
