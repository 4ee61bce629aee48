from pathlib import Path

import pytest
from pydantic import BaseModel, Field

from activities.catalogue import CORE, core_markdown, plugin_markdown, settings_markdown
from activities.registry import discover
from activities.sdk import AnyPlugin, Call, Inputs, Outputs, Secret, StillRunning, plugin

PAGE = Path(__file__).parents[3] / "docs" / "plugins-core.md"


class DeployInputs(Inputs):
    host: str = Field(description="Where | to")
    tries: int = Field(default=3, description="How often")
    token: Secret | None = None


class DeployOutputs(Outputs):
    job: int = Field(description="Its number")


class DeploySettings(BaseModel):
    url: str = Field(description="Where it listens")


@plugin("deploy", version="v2", name="Deploy", settings={"deploy": DeploySettings})
async def deploy(call: Call[DeployInputs]) -> DeployOutputs:
    """Deploy a release."""
    raise StillRunning(7)


def test_a_plugin_has_a_section_from_its_types() -> None:
    text = plugin_markdown(deploy)

    assert text.startswith("## `deploy` v2: Deploy\n\nDeploy a release.\n")
    assert "| `host` | string | **required** | Where \\| to |" in text
    assert "| `tries` | integer | `3` | How often |" in text
    assert "| `token` | *secret* |  |  |" in text
    assert "| `job` | integer | Its number |" in text
    assert 'Never repeated: a lost answer is "outcome unknown".' in text


def test_settings_have_a_table_of_their_own() -> None:
    text = settings_markdown("deploy", DeploySettings.model_json_schema())

    assert "[plugins.deploy]" in text
    assert "| `url` | string | **required** | Where it listens |" in text


def test_the_page_of_the_core_plugins_is_fresh() -> None:
    assert PAGE.read_text("utf-8") == core_markdown(discover()), (
        "run `python -m activities.catalogue > docs/plugins-core.md`"
    )


@pytest.mark.parametrize(
    "found", [p for p in discover().plugins() if p.group == CORE], ids=lambda p: p.ref.code
)
def test_every_input_and_output_of_a_core_plugin_has_a_meaning(found: AnyPlugin) -> None:
    assert "|  |\n" not in plugin_markdown(found)
