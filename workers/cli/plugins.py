"""Commands around plugins: what is installed, and what each of them is."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from stdops import StdopsError
from workers.cli.app import app
from workers.cli.options import JsonFlag, epilog
from workers.cli.output import (
    Code,
    Commands,
    end,
    plain,
    print_json,
    remark,
    short,
    show_table,
    table,
    tell_findings,
)

if TYPE_CHECKING:
    from activities.registry import Part, Registry
    from activities.sdk import AnyPlugin, LazyVariable

    Schema = Mapping[str, Any]

plugins = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    help="Look at plugins, call one, begin one.",
    rich_markup_mode=None,
)
app.add_typer(
    plugins,
    name="plugins",
    epilog=epilog(
        "stdops plugins list",
        "stdops plugins show http_request",
        "stdops plugins new acme-deploy --kind polls",
        codes=[Code.ERRORS, Code.REFUSED],
    ),
)

LAZY_GROUP: Final = "Lazy variables"
NO_GROUP: Final = "Other"

PluginCode = Annotated[str, typer.Argument(metavar="CODE", help="What templates call it by.")]


@plugins.callback()
def _group() -> None:
    """Look at plugins, call one, begin one."""


# --- list -------------------------------------------------------------------------------------


@plugins.command(
    "list",
    epilog=epilog(
        "stdops plugins list --group core",
        "stdops plugins list --schema > schemas.json",
        codes=[Code.ERRORS],
    ),
)
def list_plugins(
    group: Annotated[str, typer.Option(help="Only those of a group.")] = "",
    *,
    schema: Annotated[
        bool, typer.Option("--schema", help="Print the JSON Schemas, by CODE/VERSION.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Show the plugins and lazy variables that are installed, and what could not be loaded.

    Exit code 1 says that some could not.
    """
    from activities.registry import discover

    registry = discover()
    parts = [part for part in all_parts(registry) if _is_of(part, group)]
    if schema:
        print_json(_schemas(parts))
    elif as_json:
        print_json([as_object(part, registry) for part in parts])
    else:
        _show_list(parts, registry)
    tell_findings(registry.diagnostics)
    failed = any(found.severity == "error" for found in registry.diagnostics)
    end(Code.ERRORS if failed else Code.OK)


def all_parts(registry: "Registry") -> "list[Part]":
    """Return everything that is installed: by group, plugins before lazy variables."""
    found = sorted(registry.plugins(), key=lambda each: _group_of(each).casefold())
    lazy = [registry.lazy(code) for code in registry.lazy_codes()]
    return [*found, *(each for each in lazy if each is not None)]


def as_object(part: "Part", registry: "Registry") -> dict[str, Any]:
    """Return a plugin or lazy variable as the JSON that is printed."""
    from activities.descriptions import kind_of
    from activities.registry import source_of_part
    from activities.sdk import LazyVariable

    lazy = isinstance(part, LazyVariable)
    place = source_of_part(part)
    return {
        "code": part.code if lazy else part.ref.code,
        "version": "" if lazy else part.ref.version,
        "name": part.name,
        "group": _group_of(part),
        "kind": kind_of(part),
        "distribution": registry.owner_of(part),
        "source": f"{place.file}:{place.line}" if place.file else "",
    }


def _group_of(part: "Part") -> str:
    from activities.sdk import LazyVariable

    return LAZY_GROUP if isinstance(part, LazyVariable) else part.group or NO_GROUP


def _is_of(part: "Part", group: str) -> bool:
    return not group or _group_of(part).casefold() == group.casefold()


def _schemas(parts: "Iterable[Part]") -> dict[str, Any]:
    from activities.descriptions import schemas_of
    from activities.sdk import Plugin

    found = [part for part in parts if isinstance(part, Plugin)]
    return {f"{each.ref.code}/{each.ref.version}": schemas_of(each) for each in found}


def _show_list(parts: "Sequence[Part]", registry: "Registry") -> None:
    rows = [as_object(part, registry) for part in parts]
    for group, members in groupby(rows, key=lambda row: row["group"]):
        made = table("CODE", "VERSION", "NAME", "KIND", "FROM", narrow=("CODE", "VERSION", "KIND"))
        for row in members:
            cells = [row[key] for key in ("code", "version", "name", "kind", "distribution")]
            made.add_row(*plain(cells))
        show_table(made, group)
        typer.echo()
    if not rows:
        remark("no plugins")


# --- show -------------------------------------------------------------------------------------


@plugins.command(
    epilog=epilog(
        "stdops plugins show http_request",
        "stdops plugins show http_request v1.0 --schema",
        "stdops plugins show http_request --markdown > http_request.md",
        codes=[Code.REFUSED],
    )
)
def show(
    code: PluginCode,
    version: Annotated[str, typer.Argument(help="The last one found by default.")] = "",
    *,
    schema: Annotated[
        bool, typer.Option("--schema", help="Print the JSON Schemas of inputs and outputs.")
    ] = False,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print a section of a page.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Show what a plugin does, what it takes and gives, and how a template calls it."""
    from activities.catalogue import plugin_markdown
    from activities.descriptions import schemas_of
    from activities.registry import discover

    registry = discover()
    lazy = registry.lazy(code)
    if lazy is not None and code not in registry.codes():
        _show_lazy(lazy, registry, as_json=as_json)
        return
    plugin = find_plugin(registry, code, version)
    if schema:
        print_json(schemas_of(plugin))
    elif markdown:
        typer.echo(plugin_markdown(plugin), nl=False)
    elif as_json:
        print_json(details_of(plugin, registry))
    else:
        _show_plugin(plugin, registry)


def find_plugin(registry: "Registry", code: str, version: str = "") -> "AnyPlugin":
    """Return a plugin by its code; of several versions the last one found, unless one is named.

    Raises:
        StdopsError: there is none (SOP401).
    """
    versions = registry.versions(code)
    wanted = version or (versions[-1] if versions else "")
    found = registry.plugin(code, wanted)
    if found is None:
        what = registry.missing_text(code, version) if versions else _unknown(registry, code)
        raise StdopsError("SOP401", what, fix="`stdops plugins list` lists those that are there")
    if not version and len(versions) > 1:
        others = ", ".join(each for each in versions if each != wanted)
        remark(f"{code} {wanted}; there is also {others}")
    return found


def _unknown(registry: "Registry", code: str) -> str:
    import difflib

    near = difflib.get_close_matches(code, [*registry.codes(), *registry.lazy_codes()], n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"there is no plugin {code!r}{hint}"


def details_of(plugin: "AnyPlugin", registry: "Registry") -> dict[str, Any]:
    """Return all that is known of a plugin, as the JSON that is printed."""
    from activities.descriptions import node_example, repetition_of, schemas_of

    traits = plugin.traits
    return {
        **as_object(plugin, registry),
        "description": plugin.description,
        "idempotent": traits.idempotent or traits.quick,
        "repetition": repetition_of(plugin),
        "stops": plugin.stop_fn is not None,
        "timeout_s": traits.call_timeout_s,
        "heartbeat_s": traits.heartbeat_s,
        "secrets": list(traits.secrets),
        "settings": list(plugin.settings),
        **schemas_of(plugin),
        "example": node_example(plugin),
    }


def _show_lazy(lazy: "LazyVariable", registry: "Registry", *, as_json: bool) -> None:
    found = {**as_object(lazy, registry), "description": lazy.description}
    if as_json:
        print_json(found)
        return
    _show_head(lazy.name, lazy.code, lazy.description)
    _show_facts(_origin(found))


def _show_plugin(plugin: "AnyPlugin", registry: "Registry") -> None:
    import json

    from activities.descriptions import KINDS, kind_of

    found = details_of(plugin, registry)
    _show_head(plugin.name, f"{plugin.ref.code} {plugin.ref.version}", plugin.description)
    stops = "; its work outside is stopped when the node is cancelled" if found["stops"] else ""
    facts = {
        "kind": f"{found['kind']}: {KINDS[kind_of(plugin)]}",
        "repeated": f"{found['repetition']}{stops}",
        "limits": f"{found['timeout_s']} s a step, {found['heartbeat_s']} s without a sign of life",
        "settings": ", ".join(f"[plugins.{name}]" for name in plugin.settings),
    }
    _show_facts({**{k: v for k, v in facts.items() if v}, **_origin(found)})
    typer.echo()
    _show_fields("INPUT", found["inputs"], with_defaults=True)
    typer.echo()
    _show_fields("OUTPUT", found["outputs"], with_defaults=False)
    typer.secho("\nin a template's activities", bold=True)
    typer.echo(json.dumps(found["example"], ensure_ascii=False, indent=2))


def _show_head(name: str, code: str, description: str) -> None:
    typer.echo(f"{typer.style(name, bold=True)}  {code}")
    if description:
        typer.echo(description)
    typer.echo()


def _show_facts(facts: Mapping[str, str]) -> None:
    for name, told in facts.items():
        typer.echo(f"{typer.style(f'{name:<10}', dim=True)}{told}")


def _origin(found: Mapping[str, Any]) -> dict[str, str]:
    return {"from": ", ".join(filter(None, (found["distribution"], found["source"])))}


def _show_fields(title: str, schema: "Schema", *, with_defaults: bool) -> None:
    from activities.descriptions import type_text

    columns = [title, "TYPE", *(["DEFAULT"] if with_defaults else []), "MEANING"]
    made = table(*columns, narrow=(title,))
    required = schema.get("required", ())
    for name, field in schema["properties"].items():
        cells = [name, type_text(field, schema)]
        if with_defaults:
            default = field.get("default")
            cells.append(
                "required" if name in required else "" if default is None else _as_text(default)
            )
        made.add_row(*plain([*cells, field.get("description", "")]))
    show_table(made)


def _as_text(value: object) -> str:
    return '""' if value == "" else short(value)
