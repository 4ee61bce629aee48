"""Where the flows are in a parsed file: bare, wrapped, in an API answer, or in an export."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from pydantic import JsonValue

from translator.formats.document import Document, Json
from translator.formats.fields import Fields, Findings, pointer
from translator.formats.json_text import parse_json
from translator.template import FormatName, Scheme

EXPORTER_VERSION: Final = 1

_TREE_KEYS: Final = ("activities", "gateways", "flows", "start_event", "end_event")
_WRAPPERS: Final = ("pipeline_tree", "tree")
_MAX_WRAPS: Final = 4
"""How deep a flow may be wrapped; deeper there is another product's JSON."""


@dataclass(frozen=True, slots=True)
class _Row:
    """What stands around a tree."""

    id: str = ""
    name: str = ""
    version: str = ""
    category: str = ""
    schemes: tuple[Scheme, ...] = ()


@dataclass(slots=True)
class _Search:
    findings: Findings
    digest: str
    packed: bool
    found: list[Document]

    def take(self, tree: Json, at: str, row: _Row) -> None:
        """Add the flow of `tree`."""
        form: FormatName = "engine" if is_engine_tree(tree) else "web"
        own_name, own_id = tree.get("name"), tree.get("id")
        self.found.append(
            Document(
                format="dat" if self.packed else form,
                file=self.findings.file,
                key="",
                id=row.id or (own_id if isinstance(own_id, str) else ""),
                name=row.name or (own_name if isinstance(own_name, str) else ""),
                tree=tree,
                at=at,
                digest=self.digest,
                version=row.version,
                category=row.category,
                schemes=row.schemes,
            )
        )


def find_documents(
    value: JsonValue, findings: Findings, digest: str, *, packed: bool
) -> list[Document]:
    """Return the flows in `value`, in the order of the file; `packed` in a `.dat`."""
    search = _Search(findings, digest, packed, [])
    _look(value, "", search, 0)
    return search.found


def is_engine_tree(tree: Mapping[str, JsonValue]) -> bool:
    """Whether a tree is the engine's: its variables are in `data.inputs`."""
    data = tree.get("data")
    return isinstance(data, dict) and "inputs" in data


def is_tree(value: Mapping[str, JsonValue]) -> bool:
    """Whether an object looks like a pipeline tree, be it damaged."""
    return sum(key in value for key in _TREE_KEYS) >= min(3, len(_TREE_KEYS))


def _look(value: JsonValue, at: str, search: _Search, wraps: int) -> bool:
    """Add the flows in `value`; returns whether there is something of ours in it."""
    if wraps > _MAX_WRAPS:
        return False
    if isinstance(value, list):
        items = [_look(item, pointer(at, n), search, wraps + 1) for n, item in enumerate(value)]
        return any(items)
    return isinstance(value, dict) and _look_in_object(value, at, search, wraps)


def _look_in_object(value: Json, at: str, search: _Search, wraps: int) -> bool:
    fields = Fields(value, at, "the export", search.findings)
    if "template_data" in value:
        return _look(value["template_data"], f"{at}/template_data", search, wraps + 1)
    if "pipeline_template_data" in value:
        _export(fields, search)
    elif is_tree(value):
        search.take(value, at, _Row())
    elif (wrapper := next((key for key in _WRAPPERS if key in value), None)) is not None:
        _wrapped(fields, wrapper, search)
    elif value.get("result") is False:
        _failed_answer(fields, search)
    elif "data" in value and "result" in value:
        return _look(value["data"], f"{at}/data", search, wraps + 1)
    else:
        items = [_look(item, pointer(at, key), search, wraps + 1) for key, item in value.items()]
        return any(items)
    return True


def _failed_answer(answer: Fields, search: _Search) -> None:
    what = "the file is an API answer that reports a failure"
    search.findings.error("SOP012", answer.at, what, "repeat the request until it succeeds")


def _wrapped(row: Fields, name: str, search: _Search) -> None:
    """Take the tree in a row of a table, an API answer or a request."""
    tree = row.raw[name]
    at = f"{row.at}/{name}"
    if isinstance(tree, str):  # requests carry the tree as JSON text
        attempt = Findings(search.findings.file)
        tree = parse_json(tree, attempt, inside=f" in {name!r}")
        for found in attempt.items:
            search.findings.error(found.code, at, found.what, found.fix)
    if isinstance(tree, dict):
        search.take(tree, at, _row(row))
    elif tree is not None:
        row.wrong(name, "an object")
    elif row.raw[name] is None:
        row.missing(name)


def _row(row: Fields) -> _Row:
    """Return what a row says about its tree; here nothing is worth an error."""

    def text(name: str) -> str:
        value = row.raw.get(name)
        return str(value) if isinstance(value, str | int) and value is not True else ""

    return _Row(
        id=text("id") or text("template_id"),
        name=text("name") or text("template_name"),
        version=text("version"),
        category=text("category"),
        schemes=_schemes(row),
    )


# --- template_data -----------------------------------------------------------------------------


def _export(export: Fields, search: _Search) -> None:
    """Take every template of an export."""
    version = export.raw.get("exporter_version", EXPORTER_VERSION)
    if version != EXPORTER_VERSION:
        what = f"exporter_version is {str(version)[:20]!r}"
        fix = f"export with version {EXPORTER_VERSION}, or update stdops"
        export.findings.error("SOP009", pointer(export.at, "exporter_version"), what, fix)
    categories = _categories(export)
    pipelines = export.needed_part("pipeline_template_data")
    if pipelines is None:
        return
    if not pipelines.needed_entries("template"):
        _nothing_exported(pipelines)
    for key, row in pipelines.objects("template", "template"):
        _exported(key, row, categories.get(key, ""), search)


def _nothing_exported(pipelines: Fields) -> None:
    if pipelines.raw.get("template") == {}:
        what = "the export holds no template"
        fix = "choose at least one template when exporting"
        pipelines.findings.error("SOP012", f"{pipelines.at}/template", what, fix)


def _exported(key: str, row: Fields, category: str, search: _Search) -> None:
    row.check_key("template_id", key)
    tree = row.raw.get("tree")
    if isinstance(tree, dict):
        said = _row(row)
        about = _Row(key, said.name, said.version, category or said.category, said.schemes)
        search.take(tree, f"{row.at}/tree", about)
    elif tree is None:
        row.missing("tree")
    else:
        row.wrong("tree", "an object")


def _categories(export: Fields) -> dict[str, str]:
    """Return the category of each template by its pipeline id."""
    found: dict[str, str] = {}
    for _, row in export.objects("template", "row"):
        row_id = row.text("pipeline_template_str_id") or row.label("pipeline_template_id")
        found[row_id] = row.text("category")
    return found


def _schemes(row: Fields) -> tuple[Scheme, ...]:
    """Return the execution schemes of a template."""
    rows = row.raw.get("schemes")
    if rows is None:
        return ()
    if not isinstance(rows, list):
        row.wrong("schemes", "a list")
        return ()
    found: list[Scheme] = []
    for index, raw in enumerate(rows):
        at = pointer(f"{row.at}/schemes", index)
        if isinstance(raw, dict):
            scheme = Fields(raw, at, f"scheme {index}", row.findings)
            scheme.holder = row if row.key else None
            found.append(Scheme(scheme.label("id"), scheme.text("name"), _scheme_nodes(scheme)))
        else:
            row.not_an_object(raw, at, f"scheme {index}")
    return tuple(found)


def _scheme_nodes(scheme: Fields) -> tuple[str, ...]:
    """Return the nodes of a scheme, which may be written as JSON text."""
    data = scheme.raw.get("data")
    if isinstance(data, str):
        try:
            data = json.loads(data)
        except (ValueError, RecursionError):
            scheme.wrong("data", "a list of node ids")
            return ()
    return Fields({"data": data}, scheme.at, scheme.of, scheme.findings).ids("data")
