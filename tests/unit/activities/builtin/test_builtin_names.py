import json
from typing import Any

import pytest

from activities.registry import Registry, discover
from tests.helpers.shared import SHARED, needs_shared

pytestmark = needs_shared

OURS = [
    ("bk_http_request", "legacy"),
    ("bk_http_request", "v1.0"),
    ("sleep_timer", "legacy"),
    ("pause_node", "legacy"),
    ("bk_display", "1.0"),
    ("remote_plugin", "1.0.0"),
]


@pytest.fixture(scope="module")
def reference() -> dict[tuple[str, str], dict[str, Any]]:
    rows = json.loads((SHARED / "reference" / "plugins.json").read_text())
    return {(row["code"], row["version"]): row for row in rows}


@pytest.fixture(scope="module")
def registry() -> Registry:
    return discover()


@pytest.mark.parametrize(("code", "version"), OURS)
def test_a_plugin_has_the_names_that_templates_use(
    reference: dict[tuple[str, str], dict[str, Any]], registry: Registry, code: str, version: str
) -> None:
    row, facts = reference[code, version], registry.facts(code, version)

    assert facts is not None
    assert {i.name for i in facts.inputs} == {i["key"] for i in row["inputs"]}
    outputs = [o for o in row["outputs"] if not o.get("engine") and not o.get("internal")]
    assert set(facts.outputs) == {o["key"] for o in outputs}
