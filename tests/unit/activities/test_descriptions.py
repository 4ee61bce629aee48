from typing import Any

import pytest
from pydantic import BaseModel, Field, JsonValue

from activities.descriptions import DIALECT, KINDS, kind_of, node_example, schemas_of, type_text
from activities.registry import Part, discover
from activities.sdk import (
    AnyPlugin,
    Call,
    Inputs,
    Lookup,
    Outputs,
    Secret,
    lazy_variable,
    plugin,
)


class Login(BaseModel):
    user: str
    password: Secret


class TwoInputs(Inputs):
    host: str = Field(description="Where", examples=["web-1"])
    mode: str = Field(alias="bk_mode", json_schema_extra={"enum": ["fast", "slow"]})
    count: int = 1
    token: Secret
    spare: Secret | None = None
    login: Login | None = None


class TwoOutputs(Outputs):
    ticket: Secret
    job: int


def made(*hooks: str, **traits: Any) -> AnyPlugin:
    @plugin("two", version="v1", name="Two", **traits)
    async def two(call: Call[TwoInputs]) -> TwoOutputs:
        """Do two things."""
        raise AssertionError

    async def hook(call: Call[TwoInputs], given: JsonValue) -> TwoOutputs:
        raise AssertionError

    for name in hooks:
        getattr(two, name)(hook)
    return two


@lazy_variable("hosts")
async def hosts(lookup: Lookup) -> JsonValue:
    return lookup.value


@pytest.mark.parametrize(
    ("part", "kind"),
    [
        (made(), "returns"),
        (made("poll"), "polls"),
        (made("callback"), "called back"),
        (made("poll", "callback"), "polls and called back"),
        (made(quick=True), "quick"),
        (made("callback", inline="pause"), "inline"),
        (hosts, "lazy variable"),
    ],
    ids=lambda given: given if isinstance(given, str) else "",
)
def test_the_kind_follows_from_hooks_and_traits(part: Part, kind: str) -> None:
    assert kind_of(part) == kind
    assert kind in KINDS


def test_the_schemas_mark_what_is_secret() -> None:
    found: Any = schemas_of(made())
    inputs, outputs = found["inputs"], found["outputs"]

    assert inputs["$schema"] == outputs["$schema"] == DIALECT
    assert inputs["title"] == "Two (two v1): inputs"
    assert inputs["description"] == "Do two things."
    assert inputs["required"] == ["host", "bk_mode", "token"]
    secret = {"type": "string", "format": "password", "writeOnly": True}
    assert secret.items() <= inputs["properties"]["token"].items()
    assert secret.items() <= outputs["properties"]["ticket"].items()
    assert inputs["properties"]["spare"]["writeOnly"]
    assert inputs["properties"]["login"]["writeOnly"]
    assert "writeOnly" not in inputs["properties"]["host"]


def test_the_outputs_have_those_of_every_node() -> None:
    found: Any = schemas_of(made())["outputs"]

    assert {"_result", "_loop", "_inner_loop", "ex_data", "job"} <= found["properties"].keys()


def test_a_secret_within_a_model_makes_its_input_secret() -> None:
    assert made().traits.secrets == ("token", "spare", "login")


def test_types_are_told_for_people() -> None:
    schema: Any = schemas_of(made())["inputs"]
    fields = schema["properties"]

    told = {name: type_text(field, schema) for name, field in fields.items()}

    assert told["bk_mode"] == "fast, slow"
    assert told["count"] == "integer"
    assert told["token"] == told["login"] == "secret"


def test_an_example_has_what_is_required() -> None:
    component: Any = node_example(made())["component"]

    assert (component["code"], component["version"]) == ("two", "v1")
    values = {name: given["value"] for name, given in component["data"].items()}
    assert values == {"host": "web-1", "bk_mode": "fast", "token": "${password}"}


@pytest.mark.parametrize("found", discover().plugins(), ids=repr)
def test_every_plugin_has_schemas(found: AnyPlugin) -> None:
    both: Any = schemas_of(found)

    for schema in both.values():
        assert schema["type"] == "object"
        assert all(isinstance(field, dict) for field in schema["properties"].values())
