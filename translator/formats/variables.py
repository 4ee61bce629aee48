"""Variables of a tree, and the kind of every value: what is rendered, what is computed.

Source: bk-sops classify_constants and format_data_to_pipeline_inputs; differs: what it reads
without a default is reported here, and an output without a source is told from a missing one.
"""

import json
from collections.abc import Mapping
from typing import Final, Literal

from pydantic import JsonValue

from translator.formats.fields import Fields, bare_key, is_wrapped, pointer, shown
from translator.plan import VariableKey
from translator.template import SourceValue, SourceVariable
from translator.values import references

Origin = Literal["given", "input", "output", "system"]

ORIGINS: Final[Mapping[str, Origin]] = {
    "custom": "given",
    "component_inputs": "input",
    "component_outputs": "output",
    "system": "system",
}
"""Who writes a variable, by the web tree's `source_type`."""

LAZY_TYPES: Final = frozenset(
    {
        "password",
        "select",
        "text_value_select",
        "datatable",
        "time",
        "format_support_datetime",
        "current_time",
        "format_support_current_time",
        "staff_group_selector",
        "bk_user_selector",
        "ip",
        "ip_selector",
        "ip_filter",
        "attribute_query",
        "set_allocation",
        "set_module_ip_selector",
        "set_module_selector",
        "set_group_selector",
        "set_filter_selector",
    }
)
"""Custom types whose value is computed each time it is read; any other is rendered as it is."""

_TEXT_SELECT: Final = "text_value_select"
_NO_OPTIONS: Final = json.dumps([{"text": "", "value": ""}])
_REMOTE: Final = "1"
_SHOW: Final = ("show", "hide")
_KINDS: Final = ("plain", "splice", "lazy")


def rendered(value: JsonValue, at: str) -> SourceValue:
    """Return a value that is rendered where it refers to something, and else left alone."""
    plain = isinstance(value, str) and "${" not in value  # most values, so looked at first
    return SourceValue("plain" if plain or not _refers(value) else "splice", value, at)


def _refers(value: JsonValue) -> bool:
    """Whether `value` refers to a variable; a text without `${` is not scanned at all."""
    if isinstance(value, str):
        return "${" in value and bool(references(value))
    if isinstance(value, list):
        return any(map(_refers, value))
    return isinstance(value, dict) and any(map(_refers, value.values()))


# --- web trees ---------------------------------------------------------------------------------


def web_variables(tree: Fields) -> dict[VariableKey, SourceVariable]:
    """Return the variables of a web tree; an output that lost its node is left out."""
    found: dict[VariableKey, SourceVariable] = {}
    for key, constant in tree.objects("constants", "variable"):
        constant.check_key("key", key)
        if not is_wrapped(key):
            what = f"the variable key {shown(key)} is not of the form ${{name}}"
            fix = f"write it as {shown(f'${{{key}}}')}"
            tree.findings.error("SOP007", constant.at, what, fix)
        variable = _web_variable(bare_key(key), constant)
        if variable is not None:
            found[variable.key] = variable
    return found


def _web_variable(key: VariableKey, constant: Fields) -> SourceVariable | None:
    origin = ORIGINS[constant.choice("source_type", tuple(ORIGINS), "custom")]
    is_output = origin == "output"
    sources = _sources(constant) if is_output else ()
    if is_output and not sources:
        return None
    return SourceVariable(
        key=key,
        value=None if is_output else web_value(constant),
        at=constant.at,
        sources=sources,
        name=constant.text("name"),
        origin=origin,
        shown=is_shown(constant),
        custom_type=constant.text("custom_type"),
        pattern=constant.text("validation"),
        pre_render=not is_output and bool(constant.raw.get("pre_render_mako")),
    )


def is_shown(constant: Fields) -> bool:
    """Whether a person is asked for the variable, and a parent flow may give it."""
    return constant.choice("show_type", _SHOW, "hide") == "show"


def web_value(constant: Fields) -> SourceValue:
    """Return the value of a web variable that is not an output."""
    if "value" not in constant.raw:
        constant.missing("value")
    at = f"{constant.at}/value"
    value = chosen_value(constant.raw)
    custom_type = constant.text("custom_type")
    if custom_type not in LAZY_TYPES:
        return rendered(value, at)
    if custom_type == _TEXT_SELECT:
        value = {"meta_data": _options(constant), "info_value": value}
    return SourceValue("lazy", value, at, code=custom_type)


def chosen_value(constant: Mapping[str, JsonValue]) -> JsonValue:
    """Return what is chosen; a form that was never filled in gives its default.

    Source: bk-sops task creation, which turns a template's form into a task's choice.
    """
    value = constant.get("value")
    unfilled = constant.get("is_meta") and not constant.get("meta")
    if not unfilled or not isinstance(value, dict):
        return value
    return next((value[name] for name in ("default", "default_text") if name in value), "")


def _options(constant: Fields) -> JsonValue:
    """Return the options of a select as JSON text; they stand in its form."""
    meta = constant.entries("meta") or constant.raw
    form = meta.get("value")
    if not isinstance(form, dict):
        return _NO_OPTIONS
    if str(form.get("datasource")) != _REMOTE:
        return form.get("items_text") or _NO_OPTIONS
    if not form.get("remote_data"):
        what = f"the options of {constant.of} are not in the file, only their address"
        fix = "give the options in the template, else its text stays empty"
        constant.findings.warn("SOP027", constant.at, what, fix)
    return form.get("remote_data") or _NO_OPTIONS


def _sources(constant: Fields) -> tuple[tuple[str, str], ...]:
    """Return the first node and output that a variable is hooked to; bk-sops uses no other."""
    for node, names in constant.entries("source_info").items():
        at = pointer(f"{constant.at}/source_info", node)
        first = names[0] if isinstance(names, list) and names else names
        if isinstance(first, str):
            return ((node, first),)
        what = f"node {shown(node)} in 'source_info' of {constant.of} names no output"
        constant.findings.error("SOP007", at, what, 'write a list of names, as in ["_result"]')
        return ()
    return ()


# --- engine trees ------------------------------------------------------------------------------


def engine_variables(tree: Fields) -> dict[VariableKey, SourceVariable]:
    """Return the variables of an engine tree."""
    data = tree.part("data")
    pre_rendered = {bare_key(key) for key in data.ids("pre_render_keys")}
    found: dict[VariableKey, SourceVariable] = {}
    for wrapped, entry in data.objects("inputs", "variable"):
        key = bare_key(wrapped)
        sources = _engine_sources(entry)
        valued = not sources or entry.flag("need_initialization", default=False)
        found[key] = SourceVariable(
            key=key,
            value=engine_value(entry) if valued else None,
            at=entry.at,
            sources=sources,
            origin="output" if sources else "given",
            shown=entry.flag("is_param", default=False),
            custom_type=entry.text("custom_type"),
            pre_render=key in pre_rendered and not sources,
        )
    return found


def engine_value(entry: Fields) -> SourceValue:
    """Return a typed value of an engine tree; `need_render` false makes it plain."""
    if "value" not in entry.raw:
        entry.missing("value")
    at = f"{entry.at}/value"
    value = entry.raw.get("value")
    kind = entry.choice("type", _KINDS, "plain") if "type" in entry.raw else _untyped(entry)
    if not entry.flag("need_render", default=True):
        return SourceValue("plain", value, at)
    match kind:
        case "lazy":
            return SourceValue("lazy", value, at, code=entry.needed_text("custom_type"))
        case "splice":
            return SourceValue("splice", value, at)
        case _:
            return SourceValue("plain", value, at)


def _untyped(entry: Fields) -> str:
    entry.missing("type")
    return "plain"


def _engine_sources(entry: Fields) -> tuple[tuple[str, str], ...]:
    """Return the node outputs that write a variable."""
    act = entry.raw.get("source_act")
    if isinstance(act, str):
        return ((act, entry.needed_text("source_key")),) if act else ()
    if isinstance(act, list):
        return tuple(_source_pair(item, index, entry) for index, item in enumerate(act))
    if act is not None:
        entry.wrong("source_act", "a node id or a list")
    return ()


def _source_pair(item: JsonValue, index: int, entry: Fields) -> tuple[str, str]:
    at = pointer(f"{entry.at}/source_act", index)
    if not isinstance(item, dict):
        entry.not_an_object(item, at, f"source {index}")
        return "", ""
    pair = Fields(item, at, f"source {index}", entry.findings)
    pair.holder = entry
    return pair.needed_text("source_act"), pair.needed_text("source_key")
