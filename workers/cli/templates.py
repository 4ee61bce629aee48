"""Templates as commands name them: a file, or the key of a stored one; read, checked, compiled.

Beside `workers.importing`, which brings files into the store: here nothing needs the store, unless
a template is named that lies there.
"""

import difflib
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from pydantic import JsonValue

from stdops import Diagnostic, StdopsError, TranslationError
from translator.plan import Plan

if TYPE_CHECKING:
    from translator.rules.context import Catalog
    from translator.template import Library, Template
    from workers.settings import Settings
    from workers.store import Store

STDIN: Final = "-"
_LOOKS_LIKE_A_FILE: Final = frozenset({".json", ".dat", ".yaml", ".yml"})


class Source(NamedTuple):
    """The bytes of an export and what to call them; `template` is chosen in it, "" for any."""

    data: bytes
    file: str
    template: str = ""


@dataclass(frozen=True, slots=True)
class Checked:
    """What a file holds and what is wrong with it; `plans` is empty when there are errors."""

    file: str
    templates: "tuple[Template, ...]"
    plans: tuple[Plan, ...]
    diagnostics: tuple[Diagnostic, ...]

    @property
    def has_errors(self) -> bool:
        """Whether anything keeps the file from being used."""
        return any(found.severity == "error" for found in self.diagnostics)


class StoreLibrary:
    """Looks children up in the store, which is opened at the first question and never made."""

    def find(self, template_id: str, version: str | None) -> Mapping[str, JsonValue] | None:
        """Return the web tree of a stored template, or None."""
        from workers.settings import load_settings
        from workers.store import Store

        settings = load_settings()
        if not has_local_store(settings):
            return None
        with Store.open(settings.store_url) as store:
            return store.find(template_id, version)


def has_local_store(settings: "Settings") -> bool:
    """Say whether there is a store on this machine: reading it opens no connection."""
    url = settings.store_url
    return url.startswith("sqlite:///") and Path(url.removeprefix("sqlite:///")).is_file()


def read_source(name: str) -> Source:
    """Return the bytes of a file; `-` is standard input.

    Raises:
        OSError: it cannot be read.
    """
    if name == STDIN:
        return Source(sys.stdin.buffer.read(), "<stdin>")
    return Source(Path(name).read_bytes(), name)


def looks_like_a_file(name: str) -> bool:
    """Say whether a name is one of a file, there or not, or of standard input."""
    path = Path(name)
    return name == STDIN or path.exists() or path.suffix.lower() in _LOOKS_LIKE_A_FILE


def is_stored(key: str) -> bool:
    """Say whether the store on this machine holds a template of that key."""
    from workers.settings import load_settings
    from workers.store import Store

    settings = load_settings()
    if not has_local_store(settings):
        return False
    with Store.open(settings.store_url) as store:
        return any(each.key == key for each in store.list_templates())


def find_source(name: str, template: str = "", *, store: "Store | None" = None) -> Source:
    """Return what `name` means: a file, or a stored template by its key.

    Raises:
        StdopsError: neither is there (SOP541).
        OSError: the file cannot be read.
    """
    path = Path(name)
    if name == STDIN or path.exists():
        return read_source(name)._replace(template=template)
    if path.suffix.lower() in _LOOKS_LIKE_A_FILE or len(path.parts) > 1:
        fix = "give the path of an export, or the key of an imported template"
        raise StdopsError("SOP541", f"there is no file {name!r}", fix=fix)
    if store is not None:
        return _stored(store, name)
    return _stored_here(name)


def examine(
    source: Source,
    *,
    catalog: "Catalog | None" = None,
    library: "Library | None" = None,
    exclude: Collection[str] = (),
) -> Checked:
    """Parse, check and compile an export without saving anything."""
    from translator.check import check
    from translator.compile import compile_template
    from translator.formats.positions import with_positions
    from translator.parse import parse

    parsed = parse(source.data, source.file, library or StoreLibrary(), exclude)
    found = [*parsed.diagnostics, *(f for t in parsed.templates for f in check(t, catalog))]
    if parsed.templates and found:
        found = [*with_positions(found, source.data, parsed.templates[0].format)]
    checked = Checked(source.file, tuple(parsed.templates), (), tuple(found))
    if checked.has_errors or not parsed.templates:
        return checked
    plans = tuple(map(compile_template, parsed.templates))
    return Checked(source.file, checked.templates, plans, checked.diagnostics)


def choose(checked: Checked, wanted: str = "") -> Plan:
    """Return the plan of the template that is wanted; "" is the one that no other calls.

    Raises:
        TranslationError: the file has errors.
        StdopsError: the file has no such template (SOP541), or several to choose from (SOP542).
    """
    if not checked.plans:
        raise TranslationError(checked.diagnostics)
    if wanted:
        return _named(checked, wanted)
    roots = _roots(checked)
    if len(roots) == 1:
        return roots[0]
    listed = ", ".join(map(_called, checked.templates))
    what = f"the file holds {len(checked.plans)} templates: {listed}"
    raise StdopsError(
        "SOP542", what, where=checked.file, fix="name the one you mean after the file"
    )


def warnings_of(diagnostics: Sequence[Diagnostic]) -> str:
    """Return how many findings there are beside errors, "" for none."""
    count = sum(found.severity == "warning" for found in diagnostics)
    return f"{count} warning{'s' if count > 1 else ''}" if count else ""


def _called(template: "Template") -> str:
    """Return a template's key, and its name where that says more."""
    name = f" ({template.name})" if template.name not in ("", template.key) else ""
    return f"{template.key!r}{name}"


def _named(checked: Checked, wanted: str) -> Plan:
    for template, plan in zip(checked.templates, checked.plans, strict=True):
        if wanted in (template.key, template.id, template.name):
            return plan
    keys = [template.key for template in checked.templates]
    near = difflib.get_close_matches(wanted, keys, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise StdopsError(
        "SOP541",
        f"there is no template {wanted!r}{hint}",
        where=checked.file,
        fix=f"it holds {', '.join(map(repr, keys))}",
    )


def _roots(checked: Checked) -> list[Plan]:
    """Return the templates that no other template of the file calls."""
    called = {
        subflow.template_key
        for template in checked.templates
        for subflow in template.tree.subflows.values()
    }
    pairs = zip(checked.templates, checked.plans, strict=True)
    return [plan for template, plan in pairs if not template.id or template.id not in called]


def _stored(store: "Store", key: str) -> Source:
    from workers.documents import opened_document
    from workers.secrets import secret_keys
    from workers.settings import load_settings

    found = store.template(key)
    kept = store.document(found.document_digest)
    data = opened_document(kept, secret_keys(load_settings()))
    return Source(data, key, found.name if found.source_id == "" else found.source_id)


def _stored_here(key: str) -> Source:
    from workers.settings import load_settings

    settings = load_settings()
    if not has_local_store(settings):
        fix = "give the path of an export, or bring it in by `stdops import FILE`"
        raise StdopsError("SOP541", f"there is no file {key!r}, and no store to look in", fix=fix)
    from workers.store import Store

    with Store.open(settings.store_url) as store:
        return _stored(store, key)
