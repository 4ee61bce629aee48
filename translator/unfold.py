"""Unfold: every subflow of a web tree gets the tree of the template that it calls.

So does every task that starts a run of its own. What is called is found by `template_id` (or, by a
task, as `template`, its key) in the same file, else in the library. It goes top down with a
list of what is still to be unfolded, so that depth costs no stack.

Source: bk-sops task creation (unfold_subprocess); differs: a missing scheme and another version
than the pinned one are reported, and a template inside itself is an error instead of a crash.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from pydantic import JsonValue

from stdops import Diagnostic
from translator.formats.document import Document, Json
from translator.formats.fields import Fields, Findings, pointer, shown
from translator.formats.nested import Call, calls, copied
from translator.normalize import normalize
from translator.template import Library, Scheme

MAX_LEVELS: Final = 200
MAX_NODES: Final = 100_000


class Unfolded(NamedTuple):
    """A tree without open subflows; `places` are the pointers of trees that stand elsewhere."""

    tree: Json
    diagnostics: tuple[Diagnostic, ...]
    places: Mapping[str, str]


def unfold(
    document: Document, siblings: Sequence[Document], library: Library | None = None
) -> Unfolded:
    """Return a copy of the document's tree in which each subflow holds its child's tree."""
    known = {each.key: each for each in siblings} | {each.id: each for each in siblings if each.id}
    work = _Work(document, known, library)
    tree = work.open(_Child(document.tree, document.at, document.id or document.key))
    return Unfolded(tree, tuple(work.findings.items), work.places)


@dataclass(frozen=True, slots=True)
class _Child:
    """A template to be nested: where its tree stands, and how it is called.

    `version` and `schemes` are "" and None where they are not known.
    """

    tree: Json
    at: str
    template_id: str
    version: str = ""
    schemes: tuple[Scheme, ...] | None = None


class _Task(NamedTuple):
    """A copied tree whose subflows are still open; `line` are the templates around it."""

    tree: Json
    at: str
    line: tuple[str, ...]


@dataclass(slots=True)
class _Work:
    document: Document
    siblings: Mapping[str, Document]
    library: Library | None
    nodes: int = 0
    places: dict[str, str] = field(default_factory=dict[str, str])
    findings: Findings = field(default_factory=Findings)
    open_tasks: list[_Task] = field(default_factory=list[_Task])

    def open(self, root: _Child) -> Json:
        """Unfold `root`, and with it all that it calls."""
        self.findings.file = self.document.file
        tree = _copied(root.tree)
        self.open_tasks.append(_Task(tree, root.at, (root.template_id,)))
        self.nodes = _size(tree)
        while self.open_tasks and self.nodes <= MAX_NODES:
            self._unfold_one(self.open_tasks.pop())
        if self.nodes > MAX_NODES:
            what = f"the template has more than {MAX_NODES:,} nodes when it is unfolded"
            fix = "call large sub-templates less often"
            self.findings.error("SOP025", root.at, what, fix)
            return root.tree  # to read the part that was unfolded would take long and say nothing
        return tree

    def _unfold_one(self, task: _Task) -> None:
        for call in calls(task.tree, task.at):
            name = call.node.get("name")
            fields = Fields(call.holder, call.at, "node", self.findings)
            fields.key = name if isinstance(name, str) and name else call.node_id
            if isinstance(call.holder.get("pipeline"), dict):  # a task's tree is unfolded already
                self._nest(call, _Child(_object(call.holder["pipeline"]), call.place, ""), task)
            elif (child := self._child(fields, task.line)) is not None:
                self._nest(call, self._prepared(child, fields), task)

    def _nest(self, call: Call, child: _Child, task: _Task) -> None:
        tree = _copied(child.tree)
        tree["id"] = tree.get("id") if not child.template_id else call.node.get("id")
        call.holder["pipeline"] = tree
        self.nodes += _size(tree)
        if child.at != call.place:
            self.places[call.place] = child.at
        line = (*task.line, child.template_id) if child.template_id else task.line
        self.open_tasks.append(_Task(tree, child.at, line))

    def _child(self, node: Fields, line: tuple[str, ...]) -> _Child | None:
        """Return the template that a subflow calls, or None after a finding."""
        template_id = node.label("template_id") or node.label("template")
        if not template_id:
            if "template_id" in node.raw:
                node.missing("template_id")
            return None  # without that field, `normalize` asks for the pipeline
        if template_id in line:
            self._report_circle(node, (*line[line.index(template_id) :], template_id))
            return None
        if len(line) > MAX_LEVELS:
            what = f"{node.of} is nested more than {MAX_LEVELS} levels deep"
            self.findings.error("SOP021", node.at, what, "nest fewer templates")
            return None
        pinned = "" if node.flag("always_use_latest", default=False) else node.label("version")
        child = self._sibling(template_id, node) or self._stored(template_id, pinned, node)
        if child is None:
            self._report_missing(template_id, node)
        elif pinned and child.version and pinned != child.version:
            self._report_version(pinned, node)
        return child

    def _sibling(self, template_id: str, node: Fields) -> _Child | None:
        found = self.siblings.get(template_id)
        if found is None or found.tree is node.raw:
            return None
        known_as = found.id or found.key
        return _Child(found.tree, found.at, known_as, found.version, found.schemes)

    def _stored(self, template_id: str, pinned: str, node: Fields) -> _Child | None:
        if self.library is None:
            return None
        stands = f"{node.at}/pipeline"
        tree = self.library.find(template_id, pinned or None)
        if tree is None and pinned:
            tree = self.library.find(template_id, None)
            if tree is not None:
                self._report_version(pinned, node)
        return None if tree is None else _Child(dict(tree), stands, template_id)

    def _report_missing(self, template_id: str, node: Fields) -> None:
        what = f"the template {shown(template_id)} that {node.of} calls is not found"
        fix = "export it along with this one, or import it first"
        self.findings.error("SOP020", pointer(node.at, _naming(node)), what, fix)

    def _report_circle(self, node: Fields, circle: Sequence[str]) -> None:
        way = " -> ".join(shown(each) for each in circle[:10])
        what = f"{node.of} calls a template that it is itself inside of: {way}"
        self.findings.error("SOP021", pointer(node.at, _naming(node)), what, "break the circle")

    def _report_version(self, pinned: str, node: Fields) -> None:
        what = f"{node.of} is pinned to version {shown(pinned)}, but another one is found"
        fix = "update the subflow in this template, or set 'always_use_latest'"
        self.findings.warn("SOP022", pointer(node.at, "version"), what, fix)

    # --- what the node does to its child --------------------------------------------------------

    def _prepared(self, child: _Child, node: Fields) -> _Child:
        """Return the child with the node's values and without the nodes it leaves out."""
        tree: Json = {**child.tree, "constants": _merged_constants(child.tree, node)}
        tree = self._chosen(tree, child, node)
        return _Child(tree, child.at, child.template_id, child.version, child.schemes)

    def _chosen(self, tree: Json, child: _Child, node: Fields) -> Json:
        """Leave out what the schemes of the node do not keep."""
        ids = _scheme_ids(node)
        if not ids or is_broken(self.document, tree):
            return tree
        from translator.formats.select import SelectionError, exclude_nodes, nodes_to_exclude

        known = {scheme.id for scheme in child.schemes or ()}
        for missing in [each for each in ids if each not in known]:
            what = f"{node.of} names scheme {shown(missing)}, which its template does not have"
            fix = "export the schemes too, or choose one that exists"
            self.findings.warn("SOP023", pointer(node.at, "scheme_id_list"), what, fix)
        try:
            leave_out = nodes_to_exclude(tree, child.schemes or (), ids)
            return exclude_nodes(tree, leave_out, keep_outputs=True)
        except SelectionError as refused:
            self.findings.error(refused.code, node.at, refused.what, refused.fix)
            return tree


def is_broken(document: Document, tree: Json) -> bool:
    """Whether a tree has structural errors, which are reported when it is read."""
    return any(found.severity == "error" for found in normalize(document, tree)[1])


def _naming(node: Fields) -> str:
    """Return the field by which a node names the template that it calls."""
    return "template" if "template" in node.raw and "template_id" not in node.raw else "template_id"


def _merged_constants(child: Json, node: Fields) -> Json:
    """Lay the node's variables over the child's; what the node does not say is the child's word.

    Always the latest version: variables that the child has no more are dropped, and what they are
    hooked to is the child's word. A pinned version takes all that the node has.
    """
    merged: Json = dict(_object(child.get("constants")))
    latest = node.raw.get("always_use_latest") is True
    for key, given in node.entries("constants").items():
        own = merged.get(key)
        if latest and own is None:
            continue
        merged[key] = _laid_over(own, given, hooks_of_own=latest)
    return merged


def _laid_over(own: JsonValue, given: JsonValue, *, hooks_of_own: bool) -> JsonValue:
    if not isinstance(given, dict):
        return given
    hooks = {"source_info": _object(own).get("source_info", {})} if hooks_of_own else {}
    return {**_object(own), **given, **hooks}


def _scheme_ids(node: Fields) -> list[str]:
    given = node.raw.get("scheme_id_list")
    if given is None:
        return []
    if not isinstance(given, list):
        node.wrong("scheme_id_list", "a list of scheme ids")
        return []
    return [str(each) for each in given if isinstance(each, int | str)]


def _copied(tree: Json) -> Json:
    """Copy a tree down to its calls of other trees, which are what changes; the rest is shared."""
    activities = tree.get("activities")
    if not isinstance(activities, dict):
        return dict(tree)
    return {**tree, "activities": {key: copied(node) for key, node in activities.items()}}


def _size(tree: Json) -> int:
    return len(_object(tree.get("activities"))) + len(_object(tree.get("gateways"))) + 2


def _object(value: JsonValue) -> Json:
    return value if isinstance(value, dict) else {}
