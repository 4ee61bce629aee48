"""What a plugin is, as data: how it works, its schemas, what a node that calls it looks like."""

from collections.abc import Mapping
from typing import Any, Final, Literal, TypeAlias, cast

from pydantic import JsonValue

from activities.registry import Part, facts_of, input_schema, output_schema, type_of
from activities.sdk import AnyPlugin, LazyVariable, holds_secret

Kind: TypeAlias = Literal[
    "returns",
    "polls",
    "called back",
    "polls and called back",
    "quick",
    "inline",
    "lazy variable",
]

KINDS: Final[Mapping[Kind, str]] = {
    "returns": "its call does all of it",
    "polls": "it starts work outside and looks again until that has ended",
    "called back": "it starts work outside and is told of the end",
    "polls and called back": "it starts work outside, looks again, and may be told of the end",
    "quick": "it returns within a second, and may always be repeated",
    "inline": "the run itself decides it, without a worker",
    "lazy variable": "it computes a variable where that is read",
}
"""How a plugin works, by kind."""

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"

_ENGINE: Final[Mapping[str, JsonValue]] = {
    "_result": {"type": "boolean", "description": "Whether the node has ended well"},
    "_loop": {"type": "integer", "description": "How often a loop has come to the node, from 1"},
    "_inner_loop": {"type": "integer", "description": "Round of the node's own loop, from 1"},
    "ex_data": {"type": "string", "description": "Why it has failed, where it has"},
}
_EXAMPLES: Final[Mapping[str, JsonValue]] = {
    "string": "text",
    "integer": 1,
    "number": 1.5,
    "boolean": True,
    "array": [],
    "object": {},
    "any": "text",
}


def kind_of(part: Part) -> Kind:
    """Return how a plugin or lazy variable works, by its hooks and traits."""
    if isinstance(part, LazyVariable):
        return "lazy variable"
    if part.traits.inline:
        return "inline"
    if part.traits.quick:
        return "quick"
    if part.poll_fn and part.callback_fn:
        return "polls and called back"
    if part.poll_fn or part.callback_fn:
        return "polls" if part.poll_fn else "called back"
    return "returns"


def repetition_of(plugin: AnyPlugin) -> str:
    """Say what becomes of a call whose answer was lost."""
    if plugin.traits.idempotent or plugin.traits.quick:
        return "safe to repeat"
    if plugin.repeatable_fn is not None:
        return 'repeated where its inputs make that safe, else a lost answer is "outcome unknown"'
    return 'never repeated: a lost answer is "outcome unknown"'


def schemas_of(plugin: AnyPlugin) -> dict[str, JsonValue]:
    """Return the JSON Schemas (2020-12) of a plugin's inputs and outputs, secrets marked.

    The outputs have those that every node has by itself.
    """
    ref = plugin.ref
    title = f"{plugin.name} ({ref.code} {ref.version})"
    inputs = _schema(f"{title}: inputs", input_schema(plugin), plugin.inputs_model)
    outputs = _schema(f"{title}: outputs", output_schema(plugin), plugin.outputs_model)
    inputs["description"] = plugin.description
    outputs.pop("description", None)
    fields = cast("dict[str, JsonValue]", outputs["properties"])
    outputs["properties"] = {**fields, **_ENGINE}
    return {"inputs": inputs, "outputs": outputs}


def type_text(field: Mapping[str, JsonValue], schema: Mapping[str, JsonValue]) -> str:
    """Return the type of a field for people: its choices where it has some."""
    if field.get("writeOnly"):
        return "secret"
    choices = field.get("enum")
    if isinstance(choices, list):
        return ", ".join(map(str, choices))
    return type_of(field, schema)


def node_example(plugin: AnyPlugin) -> dict[str, JsonValue]:
    """Return a task that calls a plugin, as the web tree holds it, with its required inputs."""
    schema = input_schema(plugin)
    fields = cast("dict[str, dict[str, JsonValue]]", schema.get("properties", {}))
    needed = [given.name for given in facts_of(plugin).inputs if given.required]
    values = {name: _example(plugin, name, fields[name], schema) for name in needed}
    return {
        "id": "node1",
        "type": "ServiceActivity",
        "name": plugin.name,
        "component": {
            "code": plugin.ref.code,
            "version": plugin.ref.version,
            "data": {
                name: {"hook": False, "need_render": True, "value": value}
                for name, value in values.items()
            },
        },
    }


def _schema(
    title: str,
    schema: Mapping[str, JsonValue],
    model: Any,  # Any: a model's class, or None
) -> dict[str, JsonValue]:
    fields = cast("Mapping[str, dict[str, JsonValue]]", schema.get("properties", {}))
    known = model.model_fields.items() if model else ()
    secret = {f.alias or name for name, f in known if holds_secret(f.annotation)}
    marked = {name: _marked(f) if name in secret else f for name, f in fields.items()}
    rest = {key: value for key, value in schema.items() if key not in ("title", "properties")}
    return {"$schema": DIALECT, "title": title, **rest, "properties": cast("JsonValue", marked)}


def _marked(field: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """Mark a field that holds a secret; one with more around the secret keeps its form."""
    marked = {**field, "writeOnly": True}
    if "$ref" in field or field.get("type") in ("array", "object"):
        return marked
    return {**({} if "anyOf" in field else {"type": "string"}), **marked, "format": "password"}


def _example(
    plugin: AnyPlugin, name: str, field: Mapping[str, JsonValue], schema: Mapping[str, JsonValue]
) -> JsonValue:
    if name in plugin.traits.secrets:
        return "${password}"
    for key in ("examples", "enum"):
        choices = field.get(key)
        if isinstance(choices, list) and choices:
            return choices[0]
    return field.get("const", _EXAMPLES[type_of(field, schema)])
