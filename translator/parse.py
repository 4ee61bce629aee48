"""Parse: bytes of an export to Templates, with every finding of the way; never raises."""

from collections.abc import Collection
from dataclasses import replace
from typing import NamedTuple

from stdops import Diagnostic
from translator.formats.detect import form_of, read
from translator.formats.document import Document
from translator.formats.fields import Findings, capped, shown
from translator.formats.positions import with_positions
from translator.normalize import normalize
from translator.template import Library, NodeId, Template
from translator.unfold import is_broken, unfold


class Parsed(NamedTuple):
    """The templates of a file, and what is wrong with it.

    A template with errors is there too, as far as it could be read; it must not be compiled.
    """

    templates: tuple[Template, ...]
    diagnostics: tuple[Diagnostic, ...]


def parse(
    data: bytes,
    file: str = "",
    library: Library | None = None,
    exclude: Collection[NodeId] = (),
) -> Parsed:
    """Return the templates in `data`, in the order of the file.

    `library` has the children that the file does not hold; `exclude` are optional nodes to leave
    out. Templates that others of the file call are templates of their own too.
    """
    found = read(data, file)
    documents, refused = _selected(found.documents, exclude, file)
    diagnostics = [*found.diagnostics, *refused]
    templates: list[Template] = []
    for document in documents:
        template, findings = _template(document, documents, library)
        templates += [template] if template is not None else []
        diagnostics += findings
    unique = capped(dict.fromkeys(diagnostics), file)
    return Parsed(tuple(templates), with_positions(unique, data, form_of(data)))


def _template(
    document: Document, siblings: Collection[Document], library: Library | None
) -> tuple[Template | None, list[Diagnostic]]:
    unfolded = unfold(document, tuple(siblings), library)
    tree, findings = normalize(document, unfolded.tree, unfolded.places)
    findings = [*unfolded.diagnostics, *findings]
    if tree is None:
        return None, findings
    template = Template(
        key=document.key,
        id=document.id,
        name=document.name,
        file=document.file,
        format=document.format,
        tree=tree,
        digest=document.digest,
        version=document.version,
        category=document.category,
        schemes=document.schemes,
    )
    return template, findings


# --- leaving nodes out ---------------------------------------------------------------------------


def _selected(
    documents: tuple[Document, ...], exclude: Collection[NodeId], file: str
) -> tuple[tuple[Document, ...], tuple[Diagnostic, ...]]:
    """Leave out, in each flow, those of the nodes that it has."""
    if not exclude:
        return documents, ()
    findings = Findings(file)
    kept = tuple(_without(document, exclude, findings) for document in documents)
    there = {node for document in documents for node in _activities(document)}
    for node in exclude:
        if node not in there:
            what = f"the node {shown(node)} to leave out is in no template of the file"
            findings.error("SOP024", "", what, "name the id of an optional node")
    return kept, tuple(findings.items)


def _without(document: Document, exclude: Collection[NodeId], findings: Findings) -> Document:
    from translator.formats.select import SelectionError, exclude_nodes

    ids = [node for node in exclude if node in _activities(document)]
    if not ids or is_broken(document, document.tree):
        return document
    try:
        return replace(document, tree=exclude_nodes(document.tree, ids, keep_outputs=False))
    except SelectionError as refused:
        findings.error(refused.code, document.at + refused.where, refused.what, refused.fix)
        return document


def _activities(document: Document) -> Collection[NodeId]:
    activities = document.tree.get("activities")
    return activities.keys() if isinstance(activities, dict) else ()
