"""What a YAML v1 document must hold before it can be converted; every finding at once.

Source: bk-sops YAML schema converter v1, `validate_data`; differs: `next` may be one text, and what
ends there in a crash (an unknown node type, a field of the wrong type) is a finding here.
"""

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Final, TypeAlias

from pydantic import JsonValue

from stdops import Diagnostic, Location, Severity
from translator.formats.fields import pointer

Json: TypeAlias = dict[str, JsonValue]

FORKS: Final = frozenset({"ExclusiveGateway", "ConditionalParallelGateway", "ParallelGateway"})
END: Final = "EmptyEndEvent"
START: Final = "EmptyStartEvent"

MAX_HINTS: Final = 20
MAX_NAME: Final = 100

_REQUIRED: Final[Mapping[str, tuple[str, ...]]] = {
    START: (),
    END: (),
    "ServiceActivity": ("name", "component"),
    "SubProcess": ("name", "template_id"),
    "ExclusiveGateway": ("conditions",),
    "ConditionalParallelGateway": ("conditions",),
    "ParallelGateway": ("converge_gateway_id",),
    "ConvergeGateway": (),
}
"""Fields without a default by node type; `id` and `type` are required of all."""
_OBJECTS: Final = ("component", "conditions", "default_condition", "data", "output", "auto_retry")


@dataclass(slots=True)
class Source:
    """A document under conversion.

    listed: the ids in the file's order, also of nodes that cannot be used; `below` is the node
    listed after each. nodes: the usable ones by id; `places` are their JSON pointers.
    """

    file: str
    at: str
    id: str = ""
    name: str = ""
    spec: Json = field(default_factory=dict[str, JsonValue])
    nodes: dict[str, Json] = field(default_factory=dict[str, Json])
    places: dict[str, str] = field(default_factory=dict[str, str])
    listed: list[str] = field(default_factory=list[str])
    below: dict[str, str] = field(default_factory=dict[str, str])
    findings: list[Diagnostic] = field(default_factory=list[Diagnostic])

    def find(
        self, code: str, what: str, fix: str, at: str = "", severity: Severity = "error"
    ) -> None:
        """Note what is wrong at the JSON pointer `at` below this document."""
        where = Location(self.file, self.at + at)
        self.findings.append(Diagnostic(code, severity, what, fix, where))

    @property
    def broken(self) -> bool:
        """Whether something was found that forbids the conversion."""
        return any(finding.severity == "error" for finding in self.findings)


def check_document(document: JsonValue, file: str, at: str) -> Source:
    """Check the parts of one document that the conversion relies on."""
    source = Source(file, at)
    if not isinstance(document, dict):
        source.find("SOP007", "the document is not an object", "give it schema_version, meta, spec")
        return source
    _check_version(document, source)
    meta, spec = _section(document, "meta", source), _section(document, "spec", source)
    if meta is not None:
        _check_meta(meta, source)
    if spec is not None:
        source.spec = spec
        _check_nodes(source)
        _check_variables(source)
    return source


def check_ids(sources: Sequence[Source]) -> None:
    """Report templates of one file that cannot be told apart."""
    seen: set[str] = set()
    for source in sources:
        if source.id and source.id in seen:
            what = f"template id {source.id!r} is given twice"
            source.find("SOP006", what, "rename one of them", "/meta/id")
        seen.add(source.id)


def successors(node: Json, source: Source) -> list[str]:
    """Return the ids that a node leads to: its `next`, else the node listed below it."""
    given = node.get("next")
    if isinstance(given, list):
        return [str(way) for way in given]
    if given is not None and given != "":
        return [str(given)]
    below = source.below.get(str(node["id"]))
    return [] if below is None or node["type"] == END else [below]


def as_object(value: JsonValue) -> Json:
    """Return `value` when it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def _section(document: Json, name: str, source: Source) -> Json | None:
    section = document.get(name)
    if isinstance(section, dict):
        return section
    if section is None:
        source.find("SOP008", f"{name!r} is missing", f"add {name!r} to the document")
    else:
        source.find("SOP007", f"{name!r} is not an object", "write it as key: value", f"/{name}")
    return None


def _check_version(document: Json, source: Source) -> None:
    version = document.get("schema_version")
    if version is None:
        source.find("SOP008", "'schema_version' is missing", "add 'schema_version: v1'")
    elif version != "v1":
        what = f"unknown schema_version {version!r}"
        source.find("SOP009", what, "write 'v1', the only one known", "/schema_version")


def _check_meta(meta: Json, source: Source) -> None:
    for name in ("id", "name"):
        given = meta.get(name)
        if given is None or given == "":
            source.find("SOP008", f"'meta.{name}' is missing or empty", f"give the {name}", "/meta")
        elif isinstance(given, dict | list):
            source.find("SOP007", f"'meta.{name}' is not a text", "write a text", f"/meta/{name}")
    source.id, source.name = str(meta.get("id") or ""), str(meta.get("name") or "")


def _check_nodes(source: Source) -> None:
    nodes = source.spec.get("nodes")
    if nodes is None:
        source.find("SOP008", "'spec.nodes' is missing", "list the nodes there", "/spec")
        return
    if not isinstance(nodes, list):
        source.find(
            "SOP007", "'spec.nodes' is not a list", "write '- id: ...' lines", "/spec/nodes"
        )
        return
    for index, node in enumerate(nodes):
        _take_node(node, f"/spec/nodes/{index}", source)
    source.below = dict(itertools.pairwise(source.listed))
    for node_id, node in source.nodes.items():
        _check_fields(node, source.places[node_id], source)
        _check_ways(node, source.places[node_id], source)
        _check_conditions(node, source.places[node_id], source)
    _check_ends(source)


def _take_node(node: JsonValue, at: str, source: Source) -> None:
    """Keep a node that has an id of its own and a known type; else say what is wrong with it."""
    if not isinstance(node, dict):
        source.find("SOP007", "a node is not an object", "give it at least id and type", at)
        return
    node_id, kind = node.get("id"), node.get("type")
    if isinstance(node_id, str):
        source.listed.append(node_id)
    if not isinstance(node_id, str) or not isinstance(kind, str) or not node_id:
        what = (
            f"node {node_id or node.get('name')!r} lacks its id or type, or has none that is text"
        )
        source.find("SOP008", what, "give every node both, as texts", at)
    elif node_id in source.nodes:
        source.find("SOP006", f"node id {node_id!r} is given twice", "rename one", f"{at}/id")
    elif kind not in _REQUIRED:
        what = f"node {node_id!r} is of the unknown type {kind!r}"
        source.find("SOP011", what, f"use one of {_words(_REQUIRED)}", f"{at}/type")
    else:
        source.nodes[node_id] = node
        source.places[node_id] = at


def _check_fields(node: Json, at: str, source: Source) -> None:
    """Report the fields that a node of its type lacks, and those of a wrong type."""
    lacking = [name for name in _REQUIRED[str(node["type"])] if node.get(name) is None]
    if lacking:
        what = f"node {node['id']!r} of type {node['type']!r} lacks {_words(lacking)}"
        source.find("SOP008", what, "add what is missing", at)
    for name in _OBJECTS:
        if not isinstance(node.get(name) or {}, dict):
            what = f"{name!r} of node {node['id']!r} is not an object"
            source.find("SOP007", what, "write it as key: value", f"{at}/{name}")
    for place, fields in _definition_groups(node):
        _check_definitions(fields, at + place, source)


def _definition_groups(node: Json) -> Iterator[tuple[str, JsonValue]]:
    """Yield the groups of a node's fields whose members are objects."""
    yield "/component/data", as_object(node.get("component")).get("data")
    for name in ("data", "output", "conditions", "default_condition"):
        yield f"/{name}", as_object(node.get(name))


def _check_definitions(fields: JsonValue, at: str, source: Source) -> None:
    name = at.rpartition("/")[2]
    if not isinstance(fields or {}, dict):
        source.find("SOP007", f"{name!r} is not an object", "write it as key: value", at)
    for key, given in as_object(fields).items():
        if not isinstance(given, dict):
            what, fix = f"{key!r} is not an object", f"write '{key}: {{value: ...}}'"
            source.find("SOP007", what, fix, pointer(at, key))
        elif not isinstance(given.get("key") or "", str):
            what = f"the key of {key!r} is not a text"
            source.find("SOP007", what, "write it as '${name}'", pointer(at, key) + "/key")


def _check_ways(node: Json, at: str, source: Source) -> None:
    """Report successors that do not exist or are too many."""
    ways = successors(node, source)
    for way in ways:
        if not _is_listed(way, source):
            what = f"'next' of node {node['id']!r} leads to the unknown node {way!r}"
            source.find("SOP014", what, _cure(way, source), f"{at}/next")
    if len(ways) > 1 and node["type"] not in FORKS:
        what = f"node {node['id']!r} of type {node['type']!r} has {len(ways)} next nodes"
        source.find("SOP016", what, "put a gateway behind it", f"{at}/next")
    if not ways and node["type"] != END:
        what = f"node {node['id']!r} is the last one listed and has no 'next'"
        source.find("SOP014", what, "name its successor under 'next'", at)


def _check_conditions(node: Json, at: str, source: Source) -> None:
    """Report conditions for nodes that this one does not lead to."""
    ways = set(successors(node, source))
    for name in ("conditions", "default_condition"):
        for target in as_object(node.get(name)):
            if target not in ways:
                what = (
                    f"condition of node {node['id']!r} for {target!r}, which is not its successor"
                )
                place = pointer(f"{at}/{name}", target)
                fix = f"list {target!r} under 'next'"
                cure = fix if target in source.nodes else _cure(target, source)
                source.find("SOP015", what, cure, place)


def _check_ends(source: Source) -> None:
    """Report when there is not one start and one end; unless a node was left out already."""
    if source.broken:
        return
    for kind in (START, END):
        count = sum(node["type"] == kind for node in source.nodes.values())
        if count != 1:
            what = f"the template has {count} nodes of type {kind!r}"
            source.find("SOP008", what, "keep exactly one", "/spec/nodes")


def _check_variables(source: Source) -> None:
    for name in ("constants", "dummy_component_inputs"):
        _check_definitions(source.spec.get(name), f"/spec/{name}", source)
    outputs = source.spec.get("outputs")
    if not isinstance(outputs or [], list):
        source.find("SOP007", "'outputs' is not a list", "write '- ${key}' lines", "/spec/outputs")


def _is_listed(node_id: str, source: Source) -> bool:
    return node_id in source.below or node_id in source.listed[-1:]


def _cure(node_id: str, source: Source) -> str:
    # Looking for a near name costs a walk over all of them: not for the hundredth finding.
    few = len(source.findings) < MAX_HINTS
    near = get_close_matches(node_id[:MAX_NAME], source.listed, n=1) if few else []
    return f"did you mean {near[0]!r}?" if near else "correct the id or add the node"


def _words(names: Iterable[str]) -> str:
    return ", ".join(repr(name) for name in names)
