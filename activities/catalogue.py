"""What a plugin is, as a page: from its types and docstrings, for the docs and the command line.

`python -m activities.catalogue` writes the page of the core plugins, `docs/plugins-core.md`.
"""

import json
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final, TypeAlias, cast

from pydantic import JsonValue

from activities.descriptions import KINDS, kind_of, repetition_of
from activities.registry import Registry, discover, input_schema, output_schema, type_of
from activities.sdk import AnyPlugin

Schema: TypeAlias = Mapping[str, JsonValue]

CORE: Final = "Core"
"""The group of the plugins that every flow may want."""

_HEAD: Final = """\
# Core plugins

What comes with stdops, besides the plugins for BlueKing. Written from the plugins by
`python -m activities.catalogue > docs/plugins-core.md`.

A template names a plugin by its code and version. A plugin's settings stand in a table of the
workers' settings file, or as JSON in `STDOPS_PLUGINS`. What is marked *secret* is taken from a
password variable and shows nowhere.
"""
_ENGINE_OUTPUTS: Final = "`_result`, `_loop`, and `ex_data` where it fails, as every plugin has."


def plugin_markdown(plugin: AnyPlugin) -> str:
    """Return the section of a page about `plugin`: what it does, its inputs, its outputs."""
    parts = [
        f"## `{plugin.ref.code}` {plugin.ref.version}: {plugin.name}",
        plugin.description,
        _manner(plugin),
        "Inputs:\n\n" + _table(input_schema(plugin), plugin.traits.secrets, is_input=True),
        "Outputs:\n\n" + _table(output_schema(plugin), (), is_input=False),
        f"Further outputs: {_ENGINE_OUTPUTS}",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def settings_markdown(name: str, schema: Schema) -> str:
    """Return the section about a table of settings, `[plugins.<name>]`, by its JSON Schema."""
    return f"### Settings `[plugins.{name}]`\n\n{_table(schema, (), is_input=True)}\n"


def core_markdown(registry: Registry) -> str:
    """Return the page of the core plugins; of several versions the newest stands last."""
    core = [plugin for plugin in registry.plugins() if plugin.group == CORE]
    sections = [f"{plugin_markdown(plugin)}{_settings_of(plugin)}" for plugin in core]
    return "\n".join([_HEAD, *sections])


def _settings_of(plugin: AnyPlugin) -> str:
    found = plugin.settings.items()
    return "".join(
        f"\n{settings_markdown(name, model.model_json_schema())}" for name, model in found
    )


def _manner(plugin: AnyPlugin) -> str:
    """Say how it works, in one line."""
    kind = kind_of(plugin)
    if kind == "inline":
        return f"Kind: {kind}; {KINDS[kind]}."
    stops = ["it stops the work outside when the node is cancelled"] if plugin.stop_fn else []
    return "; ".join([f"Kind: {kind}", repetition_of(plugin), *stops]) + "."


def _table(schema: Schema, secrets: Collection[str], *, is_input: bool) -> str:
    fields = cast("Mapping[str, Schema]", schema.get("properties") or {})
    if not fields:
        return "none."
    required = cast("Collection[str]", schema.get("required") or ())
    columns = ["name", "type", "default", "meaning"] if is_input else ["name", "type", "meaning"]
    rows = [
        [f"`{name}`", _type_text(field, schema, is_secret=name in secrets)]
        + ([_default(field, is_required=name in required)] if is_input else [])
        + [str(field.get("description") or "")]
        for name, field in fields.items()
    ]
    return table(columns, rows)


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table in Markdown; cells may hold anything."""
    return "\n".join(map(_line, [columns, ["---"] * len(columns), *rows]))


def _line(cells: Iterable[str]) -> str:
    escaped = [" ".join(cell.replace("|", "\\|").split()) for cell in cells]
    return f"| {' | '.join(escaped)} |"


def _type_text(field: Schema, schema: Schema, *, is_secret: bool) -> str:
    if is_secret:
        return "*secret*"
    choices = field.get("enum")
    if isinstance(choices, list):
        return ", ".join(f"`{choice}`" for choice in choices)
    return type_of(field, schema)


def _default(field: Schema, *, is_required: bool) -> str:
    if is_required:
        return "**required**"
    default = field.get("default")
    return "" if default in (None, "") else f"`{json.dumps(default, ensure_ascii=False)}`"


def main() -> None:
    """Print the page of the core plugins."""
    sys.stdout.write(core_markdown(discover()))


if __name__ == "__main__":
    main()
