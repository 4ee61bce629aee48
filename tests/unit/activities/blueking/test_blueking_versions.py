"""Every component-version that bk-sops has, and what becomes of versions that it has not."""

import json
from typing import Any

import pytest

from activities.blueking.reference import markdown
from activities.registry import Registry, discover
from tests.helpers.blueking_families.table import ELSEWHERE, every_row, uncovered
from tests.helpers.shared import SHARED, needs_shared

pytestmark = needs_shared

BY_THE_TRANSLATOR = ("subprocess_plugin", "1.0.0")
"""No plugin: the translator makes a subflow of it."""

ALSO_OURS = {("bk_display", "v1.0")}
"""Versions that some templates name although bk-sops's catalogue has only another spelling."""

Versions = dict[tuple[str, str], dict[str, Any]]


@pytest.fixture(scope="module")
def reference() -> Versions:
    rows = json.loads((SHARED / "reference" / "plugins.json").read_text())
    return {(row["code"], row["version"]): row for row in rows}


@pytest.fixture(scope="module")
def registry() -> Registry:
    return discover()


def test_all_99_component_versions_are_served(reference: Versions, registry: Registry) -> None:
    missing = [each for each in reference if registry.plugin(*each) is None]

    assert len(reference) == 99
    assert missing == [BY_THE_TRANSLATOR]


def test_no_component_has_a_version_that_bk_sops_has_not(
    reference: Versions, registry: Registry
) -> None:
    codes = {code for code, _ in reference}
    ours = {(code, version) for code in codes for version in registry.versions(code)}

    assert ours - reference.keys() == ALSO_OURS


def test_the_page_names_each_component(reference: Versions, registry: Registry) -> None:
    page = markdown(registry.plugins())

    assert [code for code, _ in reference if f"`{code}`" not in page] == []
    assert "| not served |" not in page
    assert f"all {len(reference)} component-versions" in page


def test_versions_are_compared_literally(reference: Versions, registry: Registry) -> None:
    others = {"v1.0": "1.0", "1.0": "v1.0", "legacy": "", "v2.0": "2.0", "1.0.0": "1.0"}
    wrong = [(code, others[v]) for code, v in reference if v in others]
    wrong = [each for each in wrong if each not in reference and each not in ALSO_OURS]

    assert wrong
    assert [each for each in wrong if registry.plugin(*each) is not None] == []


def test_a_version_that_is_not_there_is_answered_with_those_that_are(registry: Registry) -> None:
    text = registry.missing_text("job_fast_execute_script", "v9")

    assert text.startswith("unknown version 'v9' of plugin 'job_fast_execute_script'; this worker")
    assert all(repr(each) in text for each in ("legacy", "v1.0", "v1.1", "v1.2", "v2.0", "v2.1"))


def test_what_calls_something_is_run_on_the_real_server(reference: Versions) -> None:
    calling = [each for each, row in reference.items() if row["apis"] and each[0] not in ELSEWHERE]

    assert len(calling) == 92
    assert uncovered(calling, every_row()) == []
