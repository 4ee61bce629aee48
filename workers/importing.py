"""From a file's bytes to stored templates: parse, check, compile, save; a whole file or nothing."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from pydantic import JsonValue

from activities.contract import PluginTraits
from stdops import Diagnostic
from translator.plan import Plan
from translator.template import FormatName, Library, Template
from workers.documents import sealed_document, sealed_tree
from workers.secrets import sealed_plan
from workers.store import NewTemplate, Saved, Store

if TYPE_CHECKING:
    from activities.expressions.secrets import Keys
    from translator.rules.context import Catalog


@dataclass(frozen=True, slots=True)
class Checked:
    """What a file holds and what is wrong with it; `plans` is empty when there are errors."""

    templates: tuple[Template, ...]
    plans: tuple[Plan, ...]
    diagnostics: tuple[Diagnostic, ...]

    @property
    def has_errors(self) -> bool:
        """Whether anything keeps the file from being imported."""
        return has_errors(self.diagnostics)


class Seals(NamedTuple):
    """What seals the secrets of a template: keys, and the plugins' traits by `code/version`."""

    keys: "Keys"
    traits: Mapping[str, PluginTraits] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Imported:
    """What importing a file gave; `templates` and `plans` are empty when it had errors."""

    templates: tuple[Saved, ...]
    plans: tuple[Plan, ...]
    diagnostics: tuple[Diagnostic, ...]


def examine(
    data: bytes, file: str, library: Library | None = None, catalog: "Catalog | None" = None
) -> Checked:
    """Parse, check and compile a file without saving anything.

    Args:
        data: The file's bytes.
        file: Its name, for findings and for the key of a lone template without a name.
        library: Where children are looked up that the file does not hold.
        catalog: The plugins that exist; None says nothing about plugins.
    """
    from translator.check import check
    from translator.compile import compile_template
    from translator.formats.detect import form_of
    from translator.formats.positions import with_positions
    from translator.parse import parse

    parsed = parse(data, file, library)
    found = [*parsed.diagnostics]
    for template in parsed.templates:
        found += check(template, catalog)
    diagnostics = with_positions(found, data, form_of(data)) if found else ()
    compiles = parsed.templates and not has_errors(diagnostics)
    plans = tuple(map(compile_template, parsed.templates)) if compiles else ()
    return Checked(tuple(parsed.templates), plans, diagnostics)


def load(
    data: bytes,
    file: str,
    store: Store,
    catalog: "Catalog | None" = None,
    *,
    operator: str = "",
    seals: Seals | None = None,
) -> Imported:
    """Import a file: with an error in any of its templates none is saved, and all errors are told.

    With `seals` the secrets in plans and trees are sealed, and the file as a whole where it holds
    any.

    Raises:
        StoreError: the store cannot be used.
    """
    checked = examine(data, file, store, catalog)
    if not checked.plans:
        return Imported((), (), checked.diagnostics)
    trees = _trees(data, file)
    pairs = zip(checked.templates, checked.plans, strict=True)
    clear = [_new_template(template, plan, trees.get(template.key)) for template, plan in pairs]
    new = [_sealed(each, seals) for each in clear] if seals else clear
    kept = data if new == clear or seals is None else sealed_document(data, seals.keys)
    digest = hashlib.sha256(data).hexdigest()
    saved = store.save_templates(new, kept, file, operator, digest=digest)
    return Imported(tuple(saved), checked.plans, checked.diagnostics)


def has_errors(diagnostics: Sequence[Diagnostic]) -> bool:
    """Whether any finding is an error."""
    return any(found.severity == "error" for found in diagnostics)


def _trees(data: bytes, file: str) -> dict[str, dict[str, JsonValue]]:
    """Return the web trees in the file by their template's key, to serve as children later."""
    from translator.formats import read
    from translator.formats.stored import is_engine_tree

    documents = read(data, file).documents
    return {d.key: d.tree for d in documents if not is_engine_tree(d.tree)}


def _new_template(
    template: Template, plan: Plan, tree: Mapping[str, JsonValue] | None
) -> NewTemplate:
    """Return what to save; told from other versions by what it is before it is sealed."""
    form: FormatName = template.format
    return NewTemplate(
        key=template.key,
        name=template.name,
        source_id=template.id,
        format=form,
        digest=template_digest(template, plan, tree),
        plan=plan,
        source_version=template.version,
        tree=tree,
    )


def _sealed(template: NewTemplate, seals: Seals) -> NewTemplate:
    plan = sealed_plan(template.plan, seals.keys, seals.traits)
    tree = template.tree
    sealed = sealed_tree(tree, seals.keys, seals.traits) if tree is not None else None
    return replace(template, plan=plan, tree=sealed)


def template_digest(template: Template, plan: Plan, tree: Mapping[str, JsonValue] | None) -> str:
    """Return what tells this template from another version of it, whatever file it comes in.

    A file's own digest would give all templates of an export a new version when one has changed.
    """
    flow = plan.flow.model_dump(mode="json")
    content = json.dumps([template.name, tree, flow], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()
