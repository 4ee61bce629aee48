"""YAML v1 exports: one document per template, turned into web trees.

Node ids stay as the file gives them, so that people meet in a run the names that they wrote; edges
get ids from the nodes that they join. A document with errors gives no tree.

Source: bk-sops YAML schema converter v1, import; differs: ids are kept, nothing is drawn, and a
child that is not in the file is left for the store to find.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from pydantic import JsonValue

from stdops import Diagnostic, Location
from translator.formats.codes import CodeDoc
from translator.formats.document import Document, Read, with_keys
from translator.formats.fields import capped, pointer
from translator.formats.yaml_check import (
    END,
    FORKS,
    START,
    Json,
    Source,
    as_object,
    check_document,
    check_ids,
    successors,
)
from translator.formats.yaml_text import load_documents

_RENAMED: Final[Mapping[str, str]] = {
    "ignore_error": "error_ignorable",
    "can_retry": "retryable",
    "can_skip": "skippable",
}
_CONVERTED: Final = frozenset({"next", "output", "data", "conditions", "default_condition"})
"""Node fields that are not copied as they are."""

_KEPT: Final = ("desc", "validation", "version", "is_meta", "value", "plugin_code")
"""Fields of a variable's definition that are copied as they are."""

_FORM_TAGS: Final[Mapping[str, str]] = {
    "text_value_select": "select.select",
    "staff_group_selector": "staff_group_multi_selector.staff_group_selector",
    "bk_user_selector": "bk_manage_user_selector.bk_user_selector",
    "ip": "var_ip_picker.ip_picker",
    "ip_selector": "var_cmdb_ip_selector.ip_selector",
    "ip_filter": "var_cmdb_ip_filter.ip_filter",
    "attribute_query": "var_cmdb_attr_query.attr_query",
    "set_allocation": "var_cmdb_resource_allocation.set_allocation",
    "set_module_ip_selector": "set_module_ip_selector.ip_selector",
    "set_module_selector": "var_set_module_selector.set_module_selector",
    "set_group_selector": "var_set_group_selector.set_group_selector",
    "set_filter_selector": "var_set_filter_selector.set_filter_selector",
}
"""Form tags of the custom types whose tag is not `<type>.<type>`."""

YAML_CODES: Final[dict[str, CodeDoc]] = {
    "SOP014": CodeDoc(
        title="`next` leads to an unknown node",
        requires="every id under `next` is the id of a node of the same document",
        why="a flow that leads nowhere cannot be followed",
        example="{id: a, type: ServiceActivity, ..., next: [ghost]}",
        fix="correct the id, or add the node; without `next` a node leads to the one below it",
    ),
    "SOP015": CodeDoc(
        title="condition for a node that is not a successor",
        requires="every key of `conditions` and of `default_condition` is listed under `next`",
        why="the condition would never be looked at, and the branch meant would be missing",
        example="{id: g, type: ExclusiveGateway, next: [a], conditions: {b: {evaluate: '1 == 1'}}}",
        fix="list the node under `next`, or remove the condition",
    ),
    "SOP016": CodeDoc(
        title="more than one `next` on a node that may have one",
        requires="only exclusive, conditional parallel and parallel gateways have several `next`",
        why="anything else has one way out, so that it would be unclear which one is meant",
        example="{id: a, type: ServiceActivity, ..., next: [b, c]}",
        fix="put a gateway between the node and its successors",
    ),
    "SOP017": CodeDoc(
        title="value for a variable that the child template does not have",
        requires="every key under `data` of a SubProcess is a variable of the child template",
        why="nothing in the child reads it: most often the child's variable was renamed",
        example="{id: s, type: SubProcess, template_id: child, data: {'${gone}': {value: 1}}}",
        fix="use the child's name of the variable, or remove the value",
    ),
}


def read_yaml(text: str, file: str, digest: str) -> Read:
    """Read a YAML v1 export; `digest` is that of the file's bytes. Never raises."""
    documents, diagnostics = load_documents(text, file)
    sources = [
        check_document(document, file, f"/{index}")
        for index, document in enumerate(documents)
        if document is not None  # what stands after a trailing `---`
    ]
    check_ids(sources)
    converted = _convert_all([source for source in sources if not source.broken], digest)
    findings = [*diagnostics, *(finding for source in sources for finding in source.findings)]
    if not sources and not findings:
        findings.append(_empty(file))
    return Read(converted, capped(findings, file))


def _empty(file: str) -> Diagnostic:
    fix = "write one document per template, each with schema_version, meta and spec"
    return Diagnostic("SOP012", "error", "the file holds no template", fix, Location(file))


def _convert_all(sources: Sequence[Source], digest: str) -> tuple[Document, ...]:
    """Convert documents, each of which may be the child of another."""
    variables = {source.id: _variables(source) for source in sources}
    return with_keys([_document(source, variables, digest) for source in sources])


def _document(source: Source, variables: Mapping[str, Json], digest: str) -> Document:
    return Document(
        format="yaml",
        file=source.file,
        key="",
        id=source.id,
        name=source.name,
        tree=_tree(source, variables),
        at=source.at,
        digest=digest,
    )


# --- the graph ---------------------------------------------------------------------------------


@dataclass(slots=True)
class _Edges:
    """The edges of a tree as they are drawn; ids by source and by target, in order."""

    flows: Json = field(default_factory=dict[str, JsonValue])
    leaving: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    arriving: dict[str, list[str]] = field(default_factory=dict[str, list[str]])

    def draw(self, source: str, target: str) -> None:
        """Add the edge from `source` to `target`."""
        stem = name = f"line_{source}_{target}"
        count = 1
        while name in self.flows:  # two ways to one node, or ids that run into each other
            count += 1
            name = f"{stem}_{count}"
        self.flows[name] = {"id": name, "is_default": False, "source": source, "target": target}
        self.leaving.setdefault(source, []).append(name)
        self.arriving.setdefault(target, []).append(name)

    def target(self, edge: str) -> str:
        """Return where an edge leads."""
        return str(as_object(self.flows[edge])["target"])


def _tree(source: Source, variables: Mapping[str, Json]) -> Json:
    """Return the web tree of a checked document."""
    edges = _Edges()
    for node_id, node in source.nodes.items():
        for target in successors(node, source):
            edges.draw(node_id, target)
    groups: dict[str, Json] = {"activities": {}, "gateways": {}}
    events: Json = {}
    for node_id, node in source.nodes.items():
        converted = _node(node, edges, source, variables)
        if node["type"] in {START, END}:
            events["start_event" if node["type"] == START else "end_event"] = converted
        else:
            group = "gateways" if str(node["type"]).endswith("Gateway") else "activities"
            groups[group][node_id] = converted
    outputs = source.spec.get("outputs") or []
    constants = variables[source.id]
    return {**events, **groups, "flows": edges.flows, "constants": constants, "outputs": outputs}


def _node(node: Json, edges: _Edges, source: Source, variables: Mapping[str, Json]) -> Json:
    """Return the web form of a node."""
    kind, node_id = str(node["type"]), str(node["id"])
    copied = {
        _RENAMED.get(name, name): value for name, value in node.items() if name not in _CONVERTED
    }
    made: Json = {**_defaults(kind), **copied, **_wiring(kind, node_id, edges)}
    if kind == "ServiceActivity":
        made["component"] = _component(as_object(node["component"]))
    elif kind == "SubProcess":
        made["template_id"] = str(node["template_id"])
        made["constants"] = _child_values(node, source, variables)
    elif kind in FORKS:
        made |= _conditions(node, edges)
    return made


def _defaults(kind: str) -> Json:
    """Return what a node of this type has when the file does not say it."""
    if kind not in {"ServiceActivity", "SubProcess"}:
        return {"name": "", "labels": []}
    common: Json = {
        "error_ignorable": False,
        "labels": [],
        "loop": None,
        "optional": True,
        "retryable": True,
        "skippable": True,
        "stage_name": "",
    }
    if kind == "SubProcess":
        return {**common, "hooked_constants": []}
    return {**common, "auto_retry": {"enable": False, "times": 0, "interval": 0}}


def _wiring(kind: str, node_id: str, edges: _Edges) -> Json:
    arriving: list[JsonValue] = [*edges.arriving.get(node_id, [])]
    leaving: list[JsonValue] = [*edges.leaving.get(node_id, [])]
    return {
        "incoming": "" if kind == START and not arriving else arriving,
        "outgoing": leaving if kind in FORKS else next(iter(leaving), ""),
    }


def _conditions(node: Json, edges: _Edges) -> Json:
    """Return a fork's conditions by edge, in the order in which the file gives them."""
    by_target = {edges.target(edge): edge for edge in edges.leaving.get(str(node["id"]), [])}

    def tagged(target: str, given: JsonValue) -> Json:
        return {**as_object(given), "tag": f"branch_{node['id']}_{target}"}

    made: Json = {}
    if node["type"] != "ParallelGateway":
        given = as_object(node.get("conditions"))
        made["conditions"] = {
            by_target[target]: {"evaluate": "", "name": "", **tagged(target, condition)}
            for target, condition in given.items()
        }
    for target, default in as_object(node.get("default_condition")).items():
        made["default_condition"] = {**tagged(target, default), "flow_id": by_target[target]}
    return made


def _component(component: Json) -> Json:
    """Return a plugin call; a field with a `key` is hooked to that variable."""
    fields = as_object(component.get("data"))
    data: Json = {name: _form_field(as_object(given)) for name, given in fields.items()}
    return {"version": "legacy", **component, "data": data}


def _form_field(given: Json) -> Json:
    """Return a form field; `need_render` is kept where the file has it."""
    key = given.get("key")
    made: Json = {"hook": bool(key), "value": key or given.get("value")}
    if "need_render" in given:
        made["need_render"] = given["need_render"]
    return made


# --- variables ---------------------------------------------------------------------------------


@dataclass(slots=True)
class _Variables:
    """The variables of a document as they are met; `index` is the order of their creation."""

    made: dict[str, Json] = field(default_factory=dict[str, Json])

    def define(self, key: str, given: Json, origin: str, form_tag: str) -> None:
        """Add a variable, unless a node or the file has defined it before."""
        custom_type = str(given.get("type") or "")
        written = given.get("source_tag")
        tag = _form_tag(custom_type) if custom_type else str(written or form_tag)
        kept = {name: given[name] for name in _KEPT if name in given}
        self.made.setdefault(
            key,
            {
                "desc": "",
                "validation": "",
                "version": "legacy",
                "is_meta": False,
                "value": "",
                **kept,
                "name": given.get("name") or key.removeprefix("${").removesuffix("}"),
                "key": key,
                "custom_type": custom_type,
                "show_type": "hide" if given.get("hide") else "show",
                "source_tag": tag,
                "source_type": origin,
                "source_info": {},
                "index": len(self.made),
            },
        )

    def hook(self, key: str, node_id: str, name: str) -> None:
        """Note that field `name` of a node is hooked to the variable."""
        hooks = as_object(self.made[key]["source_info"])
        names = hooks.setdefault(node_id, [])
        if isinstance(names, list):
            names.append(name)


def _variables(source: Source) -> Json:
    """Return the variables of a document: hooked ones in node order, then its own."""
    variables = _Variables()
    for node_id, node in source.nodes.items():
        for name, given, origin in _hooks(node):
            key = str(given["key"])
            variables.define(key, given, origin, _hooked_tag(node, name))
            variables.hook(key, node_id, name)
    for section, origin in (
        ("constants", "custom"),
        ("dummy_component_inputs", "component_inputs"),
    ):
        for key, given in as_object(source.spec.get(section)).items():
            variables.define(key, as_object(given), origin, "")
    return {**variables.made}


def _hooks(node: Json) -> Iterator[tuple[str, Json, str]]:
    """Yield the fields of a node that define a variable, with the variable's origin."""
    inputs = as_object(as_object(node.get("component")).get("data") or node.get("data"))
    for name, given in inputs.items():
        if isinstance(given, dict) and given.get("key"):
            yield name, given, "component_inputs"
    for name, given in as_object(node.get("output")).items():
        if isinstance(given, dict) and given.get("key"):
            output = {field: value for field, value in given.items() if field != "value"}
            yield name, output, "component_outputs"


def _hooked_tag(node: Json, name: str) -> str:
    """Return the form tag of a hooked field: its plugin's, of a remote plugin the remote one's."""
    component = as_object(node.get("component"))
    remote = as_object(as_object(component.get("data")).get("plugin_code")).get("value")
    code = remote if component.get("code") == "remote_plugin" and remote else component.get("code")
    return f"{code}.{name}" if code else ""


def _form_tag(custom_type: str) -> str:
    return _FORM_TAGS.get(custom_type, f"{custom_type}.{custom_type}")


def _child_values(node: Json, source: Source, variables: Mapping[str, Json]) -> Json:
    """Return the child's variables as this node gives them.

    Of a child that is not in the file only what the node says is known: the key, the value, and
    that it is shown, since it is given here.
    """
    child = variables.get(str(node["template_id"]))
    made: Json = {
        key: {**as_object(variable)}
        for key, variable in (child or {}).items()
        if as_object(variable)["source_type"] != "component_outputs"
    }
    for key, given in as_object(node.get("data")).items():
        value = as_object(given).get("key") or as_object(given).get("value")
        if child is not None and key not in made:
            _warn_of_stranger(key, node, source)
        made[key] = {"key": key, "show_type": "show", **as_object(made.get(key)), "value": value}
    return made


def _warn_of_stranger(key: str, node: Json, source: Source) -> None:
    node_id = str(node["id"])
    what = f"node {node_id!r} gives {key!r}, which template {node['template_id']!r} does not have"
    place = pointer(f"{source.places[node_id]}/data", key)
    source.find("SOP017", what, "use the child's name of it or remove it", place, "warning")
