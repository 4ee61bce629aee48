"""Which plugins a worker has: found by entry points, resolved by code and version.

A distribution that offers plugins names, in the entry-point group `stdops.plugins`, a module (every
plugin in it and, for a package, in its modules), a plugin, or a callable that returns plugins. What
cannot be loaded, or is written wrongly, is reported with its place, and the rest load.
"""

import difflib
import importlib
import pkgutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType
from typing import Final, Literal, NamedTuple, TypeAlias, cast, final

from pydantic import BaseModel, JsonValue

from activities.contract import PluginTraits
from activities.mistakes import GROUP, load_problem, mistakes_of, nothing_offered, owner_of
from activities.sdk import AnyPlugin, LazyVariable, Plugin, source_of
from stdops import Diagnostic, Location
from translator.values import InputType

Part: TypeAlias = AnyPlugin | LazyVariable

_INPUT_TYPES: Final[Mapping[str, InputType]] = {
    "string": "string",
    "integer": "integer",
    "number": "number",
    "boolean": "boolean",
    "array": "array",
    "object": "object",
}


class PluginInput(NamedTuple):
    """An input as a template's author sees it.

    `choices`: what it may be, or what its items may be; empty where it is no choice. `pattern`: a
    regular expression that finds something in every usable text, "" for none.
    """

    name: str
    type: InputType
    required: bool
    choices: tuple[JsonValue, ...] = ()
    pattern: str = ""


class PluginFacts(NamedTuple):
    """What the checks of a template must know of a plugin.

    `open_inputs`: inputs that are not listed are fine too.
    """

    code: str
    version: str
    name: str
    inputs: tuple[PluginInput, ...]
    outputs: tuple[str, ...]
    open_inputs: bool


class Found(NamedTuple):
    """What the entry points gave."""

    parts: tuple[Part, ...]
    diagnostics: tuple[Diagnostic, ...]
    owner: str = ""


@final
class Registry:
    """The plugins and lazy variables of a worker; of two with one name the first wins.

    `owners` names the distribution that offers a part, with its version.
    """

    def __init__(
        self,
        parts: Iterable[Part],
        diagnostics: Iterable[Diagnostic] = (),
        owners: Mapping[Part, str] | None = None,
    ) -> None:
        self._owners = dict(owners or {})
        self._plugins: dict[tuple[str, str], AnyPlugin] = {}
        self._variables: dict[str, LazyVariable] = {}
        self.diagnostics: list[Diagnostic] = list(diagnostics)
        for part in parts:
            self._add(part)

    def plugin(self, code: str, version: str) -> AnyPlugin | None:
        """Return the plugin of that very version, or None."""
        return self._plugins.get((code, version))

    def plugins(self) -> list[AnyPlugin]:
        """Return all plugins, by code and then in the order in which they were found."""
        return sorted(self._plugins.values(), key=lambda found: found.ref.code)

    def codes(self) -> tuple[str, ...]:
        """Return the codes, in alphabetical order."""
        return tuple(sorted({code for code, _ in self._plugins}))

    def versions(self, code: str) -> tuple[str, ...]:
        """Return the versions of `code` in the order in which they were found."""
        return tuple(version for known, version in self._plugins if known == code)

    def lazy(self, code: str) -> LazyVariable | None:
        """Return what computes variables of the custom type `code`, or None."""
        return self._variables.get(code)

    def lazy_codes(self) -> tuple[str, ...]:
        """Return the custom types that are computed, in alphabetical order."""
        return tuple(sorted(self._variables))

    def owner_of(self, part: Part) -> str:
        """Return the distribution that offers a part, with its version; "" where none is known."""
        return self._owners.get(part, "")

    def traits(self) -> dict[str, PluginTraits]:
        """Return the traits of every plugin by `code/version`, as `RunSettings` holds them."""
        return {f"{code}/{version}": p.traits for (code, version), p in self._plugins.items()}

    def facts(self, code: str, version: str) -> PluginFacts | None:
        """Return what the checks must know of a plugin, or None when there is no such plugin."""
        found = self.plugin(code, version)
        return facts_of(found) if found else None

    def missing_text(self, code: str, version: str) -> str:
        """Say that a plugin is not there, and what is there instead."""
        versions = self.versions(code)
        if versions:
            have = ", ".join(map(repr, versions))
            return f"unknown version {version!r} of plugin {code!r}; this worker has {have}"
        if any(repr(code) in found.what for found in self.diagnostics):
            hint = "it could not be loaded: see `stdops plugins list`"
        elif near := difflib.get_close_matches(code, self.codes(), n=1):
            hint = f"did you mean {near[0]!r}?"
        else:
            hint = "install the package that offers it"
        return f"unknown plugin {code!r} (version {version!r}); {hint}"

    def _add(self, part: Part) -> None:
        if isinstance(part, LazyVariable):
            present = self._variables.setdefault(part.code, part)
        else:
            present = self._plugins.setdefault((part.ref.code, part.ref.version), part)
        if present is not part:
            self.diagnostics.append(_doubled(part, self._offer(present), self._offer(part)))

    def _offer(self, part: Part) -> str:
        """Return where a part comes from, for people."""
        found = source_of_part(part)
        place = f"{found.file}:{found.line}" if found.file else ""
        return " at ".join(text for text in (self.owner_of(part), place) if text)


def discover(points: Iterable[EntryPoint] | None = None) -> Registry:
    """Return the registry of everything installed, its `diagnostics` saying what did not load.

    Args:
        points: the entry points to load; None takes the installed ones.
    """
    chosen = entry_points(group=GROUP) if points is None else points
    found = [load(point) for point in chosen]
    return Registry(
        [part for one in found for part in one.parts],
        dict.fromkeys(problem for one in found for problem in one.diagnostics),
        {part: one.owner for one in found for part in one.parts},
    )


def load(point: EntryPoint) -> Found:
    """Load one entry point; never raises."""
    parts: dict[Part, None] = {}
    problems: dict[Diagnostic, None] = {}
    for name, source in _sources(point):
        try:
            parts |= dict.fromkeys(collect(source()))
        except (Exception, SystemExit) as error:  # noqa: BLE001  another package may raise anything
            problems[load_problem(name, point, error)] = None
    wrong: dict[Part, list[Diagnostic]] = {
        part: mistakes_of(part) for part in parts if isinstance(part, Plugin)
    }
    problems |= dict.fromkeys(mistake for found in wrong.values() for mistake in found)
    if not parts and not problems:
        problems[nothing_offered(point)] = None
    sound = tuple(part for part in parts if not wrong.get(part))
    return Found(sound, tuple(problems), owner_of(point) if point.dist else "")


def collect(source: object) -> list[Part]:
    """Return the plugins and lazy variables in a module, an iterable, or what a callable returns.

    Raises:
        TypeError: when there is something else in it.
    """
    match source:
        case Plugin() | LazyVariable():
            return [cast("Part", source)]
        case ModuleType():
            return [part for value in vars(source).values() for part in _parts_of(value)]
        case Iterable() if not isinstance(source, str | bytes):
            return [part for item in cast("Iterable[object]", source) for part in collect(item)]
        case _ if callable(source):
            return collect(source())
        case _:
            raise TypeError(f"{source!r} is no plugin, module, or callable that returns plugins")


def source_of_part(part: Part) -> Location:
    """Return the file and line where a plugin or lazy variable is written."""
    return source_of(part.look_up if isinstance(part, LazyVariable) else part.call_fn)


def facts_of(plugin: AnyPlugin) -> PluginFacts:
    """Return what the checks of a template must know of `plugin`."""
    schema = input_schema(plugin)
    required = _names(schema.get("required"))
    fields = cast("dict[str, dict[str, JsonValue]]", schema.get("properties", {}))
    outputs = output_schema(plugin).get("properties", {})
    return PluginFacts(
        code=plugin.ref.code,
        version=plugin.ref.version,
        name=plugin.name,
        inputs=tuple(
            _input(name, field, schema, required=name in required) for name, field in fields.items()
        ),
        outputs=_names(outputs),
        open_inputs=plugin.inputs_model.model_config.get("extra") == "allow",
    )


def input_schema(plugin: AnyPlugin) -> dict[str, JsonValue]:
    """Return the JSON Schema of the plugin's inputs, by the names that templates use."""
    return _schema(plugin.inputs_model, "validation")


def output_schema(plugin: AnyPlugin) -> dict[str, JsonValue]:
    """Return the JSON Schema of the plugin's outputs; an empty object where it has none."""
    model = plugin.outputs_model
    return _schema(model, "serialization") if model else {"type": "object", "properties": {}}


def _schema(
    model: type[BaseModel], mode: Literal["validation", "serialization"]
) -> dict[str, JsonValue]:
    return model.model_json_schema(by_alias=True, mode=mode)


def type_of(field: Mapping[str, JsonValue], schema: Mapping[str, JsonValue]) -> InputType:
    """Return the type of a field of a schema; a choice of one type and null is that type."""
    kind = _resolved(field, schema).get("type")
    return _INPUT_TYPES.get(kind, "any") if isinstance(kind, str) else "any"


def _input(
    name: str, field: Mapping[str, JsonValue], schema: Mapping[str, JsonValue], *, required: bool
) -> PluginInput:
    found = _resolved(field, schema)
    choices = found.get("enum", _items_of(found, schema).get("enum"))
    pattern = found.get("pattern", field.get("pattern"))
    return PluginInput(
        name,
        type_of(field, schema),
        required,
        tuple(choices) if isinstance(choices, list) else (),
        str(pattern or ""),
    )


def _items_of(
    field: Mapping[str, JsonValue], schema: Mapping[str, JsonValue]
) -> Mapping[str, JsonValue]:
    items = field.get("items")
    return _resolved(items, schema) if isinstance(items, dict) else {}


def _resolved(
    field: Mapping[str, JsonValue], schema: Mapping[str, JsonValue]
) -> Mapping[str, JsonValue]:
    """Return the one thing that a field is besides null; nothing where it may be several."""
    if isinstance(reference := field.get("$ref"), str):
        definitions = cast("dict[str, dict[str, JsonValue]]", schema.get("$defs", {}))
        return _resolved(definitions[reference.rpartition("/")[2]], schema)
    ways = field.get("anyOf")
    if isinstance(ways, list):
        kinds = [way for way in ways if isinstance(way, dict) and way.get("type") != "null"]
        return _resolved(kinds[0], schema) if len(kinds) == 1 else {}
    return field


def _doubled(part: Part, first: str, second: str) -> Diagnostic:
    what = f"{part!r} is offered twice"
    if first and second:
        what += f": by {first}, which is used, and by {second}"
    return Diagnostic(
        "SOP412",
        "error",
        what,
        "give one of them another version, or remove one of the packages",
        source_of_part(part),
    )


def _names(value: object) -> tuple[str, ...]:
    return tuple(cast("Iterable[str]", value)) if isinstance(value, Iterable) else ()


def _parts_of(value: object) -> list[Part]:
    """A module offers what stands in it by itself, or in a tuple of nothing else."""
    items = cast("tuple[object, ...]", value if isinstance(value, tuple) else (value,))
    are_parts = all(isinstance(item, Plugin | LazyVariable) for item in items)
    return [cast("Part", item) for item in items] if are_parts else []


def _sources(point: EntryPoint) -> Iterator[tuple[str, Callable[[], object]]]:
    """Yield what to load by name: the entry point, and each module of a package by itself."""
    yield point.value, point.load
    if not point.attr:
        yield from _module_loaders(point.module)


def _module_loaders(name: str) -> Sequence[tuple[str, Callable[[], ModuleType]]]:
    try:
        package = importlib.import_module(name)
    except Exception:  # noqa: BLE001  reported when the entry point itself is loaded
        return []
    found = pkgutil.iter_modules(getattr(package, "__path__", []), f"{name}.")
    return [(module.name, _importer(module.name)) for module in found]


def _importer(name: str) -> Callable[[], ModuleType]:
    return lambda: importlib.import_module(name)
