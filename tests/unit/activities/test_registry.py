import importlib
import sys
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import ConfigDict, Field, JsonValue

from activities.registry import (
    PluginInput,
    Registry,
    collect,
    discover,
    facts_of,
    input_schema,
    output_schema,
)
from activities.sdk import (
    Call,
    Inputs,
    LazyVariable,
    Lookup,
    Outputs,
    Secret,
    lazy_variable,
    plugin,
)


class Row(Inputs):
    name: str


class AllInputs(Inputs):
    text: str
    number: int = 1
    share: float = 0.5
    flag: bool | None = None
    rows: list[Row] = Field(default_factory=list[Row], alias="bk_rows")
    row: Row | None = None
    either: int | str = 0
    anything: JsonValue = None
    secret: Secret | None = None


class AllOutputs(Outputs):
    job: int = Field(alias="job_inst_id")
    log: str | None = None


@plugin("all", version="v1.0", name="Everything")
async def everything(call: Call[AllInputs]) -> AllOutputs:
    return AllOutputs(job_inst_id=1)


@plugin("all")
async def everything_legacy(call: Call[AllInputs]) -> None: ...


@lazy_variable("pick")
async def pick(lookup: Lookup) -> JsonValue:
    return lookup.value


@pytest.fixture
def registry() -> Registry:
    return Registry([everything, everything_legacy, pick])


def test_versions_stand_side_by_side(registry: Registry) -> None:
    assert registry.plugin("all", "v1.0") is everything
    assert registry.plugin("all", "legacy") is everything_legacy
    assert registry.plugin("all", "1.0") is None
    assert registry.versions("all") == ("v1.0", "legacy")
    assert registry.codes() == ("all",)


def test_traits_are_keyed_as_run_settings_hold_them(registry: Registry) -> None:
    traits = registry.traits()

    assert set(traits) == {"all/v1.0", "all/legacy"}
    assert traits["all/v1.0"].secrets == ("secret",)


def test_facts_name_inputs_by_what_templates_call_them(registry: Registry) -> None:
    facts = registry.facts("all", "v1.0")

    assert facts is not None
    assert (facts.code, facts.version, facts.name) == ("all", "v1.0", "Everything")
    assert facts.inputs == (
        PluginInput("text", "string", required=True),
        PluginInput("number", "integer", required=False),
        PluginInput("share", "number", required=False),
        PluginInput("flag", "boolean", required=False),
        PluginInput("bk_rows", "array", required=False),
        PluginInput("row", "object", required=False),
        PluginInput("either", "any", required=False),
        PluginInput("anything", "any", required=False),
        PluginInput("secret", "string", required=False),
    )
    assert facts.outputs == ("job_inst_id", "log")
    assert not facts.open_inputs
    assert registry.facts("all", "v9") is None


def test_inputs_that_allow_more_are_open() -> None:
    class OpenInputs(Inputs):
        model_config = ConfigDict(extra="allow")

    @plugin("open")
    async def opened(call: Call[OpenInputs]) -> None: ...

    assert facts_of(opened).open_inputs


def test_choices_and_patterns_are_facts_of_an_input() -> None:
    class Choosing(Inputs):
        way: Literal["topo", "text"] | None = None
        ways: tuple[Literal["mail", "sms"], ...] = ()
        number: str = Field(default="", json_schema_extra={"pattern": r"^\d*$"})

    @plugin("choosing")
    async def choosing(call: Call[Choosing]) -> None: ...

    assert facts_of(choosing).inputs == (
        PluginInput("way", "string", required=False, choices=("topo", "text")),
        PluginInput("ways", "array", required=False, choices=("mail", "sms")),
        PluginInput("number", "string", required=False, pattern=r"^\d*$"),
    )


def test_schemas_use_the_names_of_templates() -> None:
    inputs: Any = input_schema(everything)
    outputs: Any = output_schema(everything)

    assert inputs["properties"]["bk_rows"]["type"] == "array"
    assert inputs["properties"]["secret"]["anyOf"][0]["writeOnly"] is True
    assert outputs["properties"]["job_inst_id"]["type"] == "integer"
    assert output_schema(everything_legacy)["properties"] == {}


def test_a_missing_plugin_is_explained(registry: Registry) -> None:
    assert "this worker has 'v1.0', 'legacy'" in registry.missing_text("all", "v9")
    assert "did you mean 'all'?" in registry.missing_text("alll", "legacy")
    assert "install the package" in registry.missing_text("zzzzzz", "legacy")


def test_a_plugin_offered_twice_is_reported_and_the_first_wins() -> None:
    @plugin("all")
    async def other(call: Call[AllInputs]) -> None: ...

    registry = Registry([everything_legacy, other, everything_legacy])

    assert registry.plugin("all", "legacy") is everything_legacy
    assert [found.code for found in registry.diagnostics] == ["SOP412"]


def offered() -> list[object]:
    return [everything, pick]


def test_a_callable_may_return_plugins() -> None:
    assert collect(offered) == [everything, pick]


@pytest.mark.parametrize("source", ["text", 7, [everything, None]])
def test_something_else_is_no_plugin(source: object) -> None:
    with pytest.raises(TypeError, match="is no plugin"):
        collect(source)


GOOD = """
from stdops import Call, Inputs, plugin

class Empty(Inputs):
    pass

@plugin("from_{name}")
async def it(call: Call[Empty]) -> None: ...
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "company_plugins"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "good.py").write_text(GOOD.replace("{name}", "good"))
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    importlib.invalidate_caches()
    for name in ("company_plugins", "company_plugins.good", "company_plugins.bad"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return folder


def point(value: str) -> EntryPoint:
    return EntryPoint("company", value, "stdops.plugins")


@pytest.mark.usefixtures("package")
def test_every_module_of_a_package_is_looked_into() -> None:
    registry = discover([point("company_plugins")])

    assert registry.codes() == ("from_good",)
    assert registry.diagnostics == []


@pytest.mark.parametrize("value", ["nowhere_at_all", "activities.contract:NOTHING"])
def test_an_entry_point_that_leads_nowhere_is_reported_once(value: str) -> None:
    registry = discover([point(value)])

    assert [found.code for found in registry.diagnostics] == ["SOP410"]


def test_our_own_plugins_are_found_by_their_entry_point() -> None:
    registry = discover([EntryPoint("builtin", "activities.builtin", "stdops.plugins")])

    assert registry.diagnostics == []
    assert registry.versions("bk_http_request") == ("legacy", "v1.0")
    assert {"bk_display", "pause_node", "sleep_timer"} < set(registry.codes())
    assert isinstance(registry.lazy("select"), LazyVariable)
    assert registry.traits()["sleep_timer/legacy"].inline_input == "bk_timing"


def test_the_installed_distribution_names_the_group() -> None:
    assert "bk_http_request" in discover().codes()
