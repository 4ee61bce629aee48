"""Formats: `.dat` digests, web and YAML validation, leaving nodes out."""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, cast

import yaml

from stdops import Diagnostic
from tests.vectors.case import Case, Differences, differ, numbered
from translator.check import check
from translator.formats import read
from translator.formats.dat import canonical, digests
from translator.formats.select import (
    SelectionError,
    exclude_nodes,
    nodes_except_appointed,
    nodes_to_exclude,
)
from translator.parse import parse
from translator.template import Scheme

_DAT_CODES: Final = {3546100: {"SOP003"}, 3540000: {"SOP001", "SOP002"}}
"""Our code for each error code of the real import."""

_YAML_MESSAGES: Final = {
    "meta字段需包含模版名称": "SOP008",
    "nodes字段必须为列表": "SOP007",
    "都必须包含id和type字段": "SOP008",
    "需缺少必须字段": "SOP008",
    "条件": "SOP015",
    "只能有一个next节点": "SOP016",
    "无法找到下一个节点": "SOP014",
    "is a required property": "SOP008",
    "is not of type": "SOP007",
}
"""Our code for each message of the real validation."""


def errors(diagnostics: Iterable[Diagnostic]) -> list[str]:
    """Return the findings that forbid a template."""
    return [str(found) for found in diagnostics if found.severity == "error"]


def beside(folder: Path, name: str) -> Path:
    """Return a file that a vector names, in the folder or in the one above it."""
    return next(
        (base / name for base in (folder, folder.parent) if (base / name).is_file()), folder / name
    )


# --- .dat --------------------------------------------------------------------------------------


def dat_digest(data: Any, folder: Path) -> Iterator[Case]:
    """Digests of inline values, and whole files: accepted or refused with the right code."""
    for name, entry in numbered(data["inline"], lambda each: each["serialized"][:40]):
        yield Case(f"inline {name}", partial(_inline_digest, entry))
    for entry in data["files"]:
        yield Case(entry["file"], partial(_dat_file, entry, folder))


def _inline_digest(entry: Any) -> Differences:
    given = entry["template_data"]
    wanted = [entry["serialized"], entry["digest"], entry["digest_old_salt"]]
    return differ(wanted, [canonical(given), *digests(given)])


def _dat_file(entry: Any, folder: Path) -> Differences:
    found = read(beside(folder, entry["file"]).read_bytes(), entry["file"])
    codes = {each.code for each in found.diagnostics if each.severity == "error"}
    if entry["valid"]:
        return differ([entry["templates"], []], [len(found.documents), sorted(codes)])
    return [] if codes & _DAT_CODES[entry["expect_code"]] else [f"refused with {sorted(codes)}"]


# --- validation --------------------------------------------------------------------------------


def web_validation(data: Any, folder: Path) -> Iterator[Case]:
    """A tree that the real server takes and converts has no errors; any other has a finding."""
    for entry in data:
        yield Case(entry["file"], partial(_web_file, entry, folder))


def _web_file(entry: Any, folder: Path) -> Differences:
    parsed = parse(beside(folder, entry["file"]).read_bytes(), entry["file"])
    checked = [found for template in parsed.templates for found in check(template)]
    findings = [*parsed.diagnostics, *checked]
    accepted = entry["valid"] and entry["convertible"]
    if accepted:
        return [f"refused: {line}" for line in errors(findings)]
    if not entry["convertible"]:
        return [] if errors(findings) else ["accepted, expected an error"]
    return [] if findings else [f"nothing found, expected: {entry['message']}"]


def yaml_validate(data: Any, _folder: Path) -> Iterator[Case]:
    """Documents are refused when the real validation refuses them, with the code of its reason."""
    for entry in data:
        yield Case(entry["name"], partial(_yaml_documents, entry))


def _yaml_documents(entry: Any) -> Differences:
    text = yaml.safe_dump_all(entry["docs"], sort_keys=False, allow_unicode=True)
    found = read(text.encode(), "vector.yaml").diagnostics
    refused = errors(found)
    if not entry.get("raises") and entry["result"]:
        return [f"refused: {line}" for line in refused]
    codes = {each.code for each in found}
    wanted = _yaml_codes(entry.get("message"))
    missing = sorted(wanted - codes)
    return [f"found {sorted(codes)}, expected {missing}"] if missing or not refused else []


def _yaml_codes(message: Any) -> set[str]:
    groups: list[list[str]] = [[message]] if isinstance(message, str) else []
    if isinstance(message, dict):
        groups = list(cast("dict[str, list[str]]", message).values())
    lines = [line for group in groups for line in group]
    return {
        next((code for words, code in _YAML_MESSAGES.items() if words in line), f"for {line!r}")
        for line in lines
    }


# --- node selection ----------------------------------------------------------------------------


def exclude(data: Any, _folder: Path) -> Iterator[Case]:
    """Trees without some nodes: wiring, variables and outputs, or the refusal."""
    for number, entry in enumerate(data["cases"]):
        left_out = ",".join(entry["exclude"])
        name = f"{number} input {entry['input']} without [{left_out}]"
        yield Case(name, partial(_excluded, data["inputs"][entry["input"]], entry))


def _excluded(tree: Any, entry: Any) -> Differences:
    keep = not entry["remove_outputs_without_refs"]
    try:
        rest: Any = exclude_nodes(tree, entry["exclude"], keep_outputs=keep)
    except SelectionError as refused:
        return [f"refused: {refused}"] if entry["result"]["ok"] else []
    if not entry["result"]["ok"]:
        return ["accepted, expected a refusal"]
    wanted = entry["result"]["tree"]
    found = _compact(rest) if entry.get("compact") else {key: rest.get(key) for key in wanted}
    return differ(wanted, found)


def _compact(tree: Any) -> dict[str, Any]:
    """Reduce a tree to its wiring."""

    def ways(node: Any, *fields: str) -> dict[str, Any]:
        return {field: node[field] for field in (*fields, "incoming", "outgoing")}

    return {
        "activities": {key: ways(node) for key, node in tree["activities"].items()},
        "gateways": {key: ways(node, "type") for key, node in tree["gateways"].items()},
        "flows": {key: [edge["source"], edge["target"]] for key, edge in tree["flows"].items()},
        "start_outgoing": tree["start_event"]["outgoing"],
        "end_incoming": tree["end_event"]["incoming"],
        "constants": sorted(tree["constants"]),
        "outputs": tree["outputs"],
    }


def schemes(data: Any, _folder: Path) -> Iterator[Case]:
    """Which nodes schemes and appointments leave out."""
    known = [Scheme(key, key, tuple(nodes)) for key, nodes in data["schemes"].items()]
    for name, entry in numbered(data["by_scheme"], lambda each: f"schemes {each['scheme_ids']}"):
        yield Case(name, partial(_by_scheme, data["tree"], known, entry))
    for name, entry in numbered(data["by_appoint"], lambda each: f"appointed {each['appoint']}"):
        yield Case(name, partial(_by_appointment, data["tree"], entry))


def _by_scheme(tree: Any, known: Sequence[Scheme], entry: Any) -> Differences:
    must_exist = entry["check_exist"]
    try:
        found = nodes_to_exclude(tree, known, entry["scheme_ids"], must_exist=must_exist)
    except SelectionError as refused:
        return [] if "raises" in entry else [f"refused: {refused}"]
    if "raises" in entry:
        return [f"accepted, expected: {entry['message']}"]
    return differ(entry["exclude"], sorted(found))


def _by_appointment(tree: Any, entry: Any) -> Differences:
    return differ(entry["exclude"], sorted(nodes_except_appointed(tree, entry["appoint"])))


CHECKERS = {
    "dat_digest.json": dat_digest,
    "exclude_nodes.json": exclude,
    "schemes.json": schemes,
    "web_validation.json": web_validation,
    "yaml_validate.json": yaml_validate,
}
