"""Variables and node fields: classification, keys, cycles, inputs, policies, lazy types."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final, cast
from zoneinfo import ZoneInfo

from activities.builtin.variables import DEFAULT_ZONE, transform
from stdops import Diagnostic
from tests.vectors.case import Case, Differences, differ, numbered
from tests.vectors.format_checks import errors
from translator.check import check
from translator.formats import policies
from translator.formats.document import Document
from translator.formats.fields import Fields, Findings
from translator.formats.variables import web_variables
from translator.normalize import normalize
from translator.template import SourceTask, SourceValue, SourceVariable, Template, Tree
from translator.values import OBJECT_TEXT

_NOW: Final = datetime(2026, 3, 4, 20, 6, 7, tzinfo=UTC)
_CLOCK_FIELDS: Final = ("time_unit", "time_zone", "time_format")
_KEY_CODES: Final = {"SOP007", "SOP204"}
_CYCLE_CODES: Final = {"SOP205", "SOP206"}


def fields(raw: Any) -> Fields:
    """Look at raw JSON as the readers do."""
    return Fields(raw, "", "the vector", Findings())


def web_tree(task: Mapping[str, Any], constants: Mapping[str, Any]) -> dict[str, Any]:
    """Return the least web tree that holds a task's fields and variables."""
    node: dict[str, Any] = {
        "id": "n",
        "type": "ServiceActivity",
        "name": "n",
        "incoming": ["f1"],
        "outgoing": "f2",
        "component": {"code": "c", "data": {}},
        **task,
    }
    return {
        "start_event": {
            "id": "s",
            "type": "EmptyStartEvent",
            "name": "",
            "incoming": "",
            "outgoing": "f1",
        },
        "end_event": {
            "id": "e",
            "type": "EmptyEndEvent",
            "name": "",
            "incoming": ["f2"],
            "outgoing": "",
        },
        "activities": {"n": node},
        "gateways": {},
        "flows": {
            "f1": {"id": "f1", "source": "s", "target": "n", "is_default": False},
            "f2": {"id": "f2", "source": "n", "target": "e", "is_default": False},
        },
        "constants": dict(constants),
        "outputs": [],
    }


def normal(tree: dict[str, Any]) -> tuple[Tree, list[Diagnostic]]:
    """Normalise a whole tree."""
    document = Document("web", "vector.json", "v", "v", "v", tree, "", "")
    found, findings = normalize(document, tree)
    assert found is not None
    return found, findings


def findings_of(tree: dict[str, Any]) -> list[Diagnostic]:
    """Return what normalising and checking a tree finds."""
    made, findings = normal(tree)
    return [*findings, *check(Template("v", "v", "v", "vector.json", "web", made))]


def _bare(key: str) -> str:
    return key.removeprefix("${").removesuffix("}")


# --- classification ----------------------------------------------------------------------------


def classify_constants(data: Any, _folder: Path) -> Iterator[Case]:
    """Constants become typed variables, and outputs of nodes."""
    for name, entry in numbered(data, lambda each: each["name"]):
        yield Case(name, partial(_classified, entry))


def _classified(entry: Any) -> Differences:
    tree = fields({"constants": entry["constants"]})
    found = web_variables(tree)
    if "raises" in entry:
        return [] if errors(tree.findings.items) else [f"accepted, expected {entry['raises']}"]
    wanted = entry["expected"]
    made = {
        "data_inputs": {
            f"${{{key}}}": _as_input(each, nested=entry["is_subprocess"])
            for key, each in found.items()
        },
        "acts_outputs": _writers(found),
        "pre_render_keys": sorted(f"${{{key}}}" for key, each in found.items() if each.pre_render),
    }
    kept = {key: _without_tag(each) for key, each in wanted["data_inputs"].items()}
    expected = {**wanted, "data_inputs": kept}
    if "pre_render_keys" in entry:
        expected["pre_render_keys"] = entry["pre_render_keys"]
    return differ(expected, {key: made[key] for key in expected})


def _as_input(variable: SourceVariable, *, nested: bool) -> dict[str, Any]:
    """Say a variable in the words of an engine tree."""
    if variable.sources:
        ((node, output),) = variable.sources
        source = {"source_act": node, "source_key": output}
        return {"type": "splice", **source, "is_param": variable.shown}
    value = variable.value
    assert value is not None
    lazy = {"custom_type": value.code} if value.kind == "lazy" else {}
    is_param = variable.shown and (nested or value.kind == "lazy")
    return {"type": value.kind, "value": value.value, "is_param": is_param, **lazy}


def _without_tag(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Drop what no run depends on: the form's tag, and the value that an output never shows."""
    dropped = {"source_tag", *(["value"] if "source_act" in entry else [])}
    return {key: value for key, value in entry.items() if key not in dropped}


def _writers(found: Mapping[str, SourceVariable]) -> dict[str, dict[str, str]]:
    outputs: dict[str, dict[str, str]] = {}
    for key, variable in found.items():
        for node, output in variable.sources:
            outputs.setdefault(node, {})[output] = f"${{{key}}}"
    return outputs


# --- keys and cycles ---------------------------------------------------------------------------


def constant_keys(data: Any, _folder: Path) -> Iterator[Case]:
    """Which keys a variable may have."""
    for entry in data:
        yield Case(repr(entry["key"]), partial(_key, entry))


def _key(entry: Any) -> Differences:
    key = entry["key"]
    constant = {"key": key, "name": "k", "value": "", "show_type": "show", "source_type": "custom"}
    found = findings_of(web_tree({}, {key: {**constant, "custom_type": "input"}}))
    refused = [str(each) for each in found if each.code in _KEY_CODES and each.severity == "error"]
    if entry["valid"]:
        return [f"refused: {line}" for line in refused]
    return [] if refused else ["accepted, expected a refusal"]


def constants_cycle(data: Any, _folder: Path) -> Iterator[Case]:
    """Which references among variables the real server refuses."""
    for name, entry in numbered(data, lambda each: list(each["constants"])):
        yield Case(name, partial(_cycle, entry))


def _cycle(entry: Any) -> Differences:
    constants: dict[str, dict[str, Any]] = {
        # the real check takes what is no object for a variable without a value
        key: {
            "key": key,
            "name": _bare(key),
            "value": "",
            "show_type": "show",
            "source_type": "custom",
            "custom_type": "input",
            **(cast("dict[str, Any]", given) if isinstance(given, dict) else {}),
        }
        for key, given in entry["constants"].items()
    }
    found = findings_of(web_tree({}, constants))
    refused = [
        str(each) for each in found if each.code in _CYCLE_CODES and each.severity == "error"
    ]
    if entry["ok"]:
        return [f"refused: {line}" for line in refused]
    return [] if refused else [f"accepted, expected: {entry['message']}"]


# --- node fields -------------------------------------------------------------------------------


def node_inputs(data: Any, _folder: Path) -> Iterator[Case]:
    """Form fields become typed inputs."""
    for name, entry in numbered(data, lambda each: each["data"]):
        yield Case(name, partial(_inputs, entry))


def _inputs(entry: Any) -> Differences:
    constants = {
        key: {"key": key, "name": _bare(key), "show_type": "show", "source_type": "custom", **given}
        for key, given in entry["pipeline_inputs"].items()
    }
    tree = web_tree({"component": {"code": "c", "data": entry["data"]}}, constants)
    made, findings = normal(tree)
    if "raises" in entry:
        return [] if errors(findings) else [f"accepted, expected: {entry['message']}"]
    found = {key: _kind_and_value(each) for key, each in made.tasks["n"].inputs.items()}
    wanted = {key: _effective(each) for key, each in entry["component_inputs"].items()}
    return differ(wanted, found) + [f"refused: {line}" for line in errors(findings)]


def _kind_and_value(value: SourceValue) -> dict[str, Any]:
    return {"type": value.kind, "value": value.value, "custom_type": value.code}


def _effective(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Say an engine input by what happens to it: one that is not rendered is plain."""
    kind = entry["type"] if entry.get("need_render", True) else "plain"
    return {"type": kind, "value": entry["value"], "custom_type": entry.get("custom_type", "")}


def node_policies(data: Any, _folder: Path) -> Iterator[Case]:
    """Automatic retry, time limits, and which of them exclude each other."""
    for name, entry in numbered(data["auto_retry"], lambda each: each["auto_retry"]):
        yield Case(f"auto_retry {name}", partial(_retry, entry))
    for name, entry in numbered(data["timeout"], lambda each: each["timeout_config"]):
        yield Case(f"timeout {name}", partial(_timeout, entry))
    for name, entry in numbered(data["conflicts"], _flags):
        yield Case(f"conflict {name}", partial(_conflict, entry))


def _flags(entry: Any) -> str:
    flags = [name for name in ("error_ignorable", "auto_retry", "timeout") if entry[name]]
    return " ".join(flags) or "none"


def _retry(entry: Any) -> Differences:
    found = policies.auto_retry(fields({"auto_retry": entry["auto_retry"]}))
    shown = found and {"max_retry_times": found.times, "interval": found.interval_s}
    return differ(entry["strategy"], shown)


def _timeout(entry: Any) -> Differences:
    found = policies.timeout(fields({"timeout_config": entry["timeout_config"]}))
    actions = {ours: theirs for theirs, ours in policies.ACTIONS.items()}
    shown = found and {"action": actions[found.then], "timeout": found.after_s}
    return differ(entry["config"], shown)


def _conflict(entry: Any) -> Differences:
    task = {
        "error_ignorable": entry["error_ignorable"],
        "auto_retry": {"enable": entry["auto_retry"], "interval": 0, "times": 1},
        "timeout_config": {"enable": entry["timeout"], "seconds": 10, "action": "forced_fail"},
    }
    tree = web_tree(task, {})
    refused = [each for each in findings_of(tree) if each.code == "SOP301"]
    if not entry["ok"]:
        return [] if errors(refused) else [f"accepted, expected: {entry['error']}"]
    made: SourceTask = normal(tree)[0].tasks["n"]
    wanted = [entry["skippable"], entry["retryable"]]
    return [*errors(refused), *differ(wanted, [made.skippable, made.retryable])]


# --- lazy types --------------------------------------------------------------------------------


def variables(data: Any, _folder: Path) -> Iterator[Case]:
    """What lazy variables expose."""
    for name, entry in numbered(data, lambda each: each["custom_type"]):
        yield Case(name, partial(_transformed, entry))


def _transformed(entry: Any) -> Differences:
    value = entry.get("value", {key: entry[key] for key in _CLOCK_FIELDS if key in entry})
    try:
        found = transform(entry["custom_type"], value, entry.get("meta"), now=_NOW)
    except ValueError as problem:
        return [] if "raises" in entry else [f"raised {problem!r}"]
    if "raises" in entry:
        return [f"accepted, expected {entry['raises']}"]
    return differ(*_sides(entry, found))


def _sides(entry: Any, found: Any) -> tuple[Any, Any]:
    """Return what a vector expects, and what of our result it speaks of."""
    if "strftime_format" in entry:
        here = _NOW.astimezone(ZoneInfo(entry.get("time_zone") or DEFAULT_ZONE))
        return here.strftime(entry["strftime_format"]), found
    if "attributes" in entry:
        return {**entry["attributes"], OBJECT_TEXT: entry["str"]}, found
    return entry["expected"], found


CHECKERS = {
    "classify_constants.json": classify_constants,
    "constant_keys.json": constant_keys,
    "constants_cycle.json": constants_cycle,
    "node_inputs.json": node_inputs,
    "node_policies.json": node_policies,
    "variables.json": variables,
}
