"""The page docs/diagnostics.md, made from the rules; `python -m workers.codes` writes it."""

import inspect
import pathlib
import re
import textwrap
from collections.abc import Mapping
from functools import cache
from typing import Final

from translator.formats.codes import FORMAT_CODES, CodeDoc
from translator.formats.yaml_v1 import YAML_CODES
from translator.rules import SPECIFIED_RULES
from translator.rules.context import Rule

PAGE: Final = pathlib.Path(__file__).resolve().parents[2] / "docs" / "diagnostics.md"

_PARTS: Final = re.compile(
    r"(?P<requires>.*?)\n\nWhy: (?P<why>.*?)\nFails: (?P<example>.*?)\nFix: (?P<fix>.*)", re.DOTALL
)
_GROUPS: Final[Mapping[str, str]] = {
    "SOP0": "Formats",
    "SOP1": "Graph",
    "SOP2": "Variables and expressions",
    "SOP3": "Operations",
    "SOP4": "Plugins",
    "SOP5": "Installation and settings",
}
_HEAD: Final = """\
# Diagnostics

Every finding of stdops has a code that never changes its meaning. An error keeps a template from
being compiled; a warning and a note do not. What the real engine accepts is never an error. Codes
that are not about a template say what stands in the way of a run, a plugin or the installation.

This page is generated from the code: do not edit it, run `python -m workers.codes`.
"""


def doc_of(rule: Rule) -> CodeDoc:
    """Read the four parts of a rule's docstring.

    Raises:
        ValueError: The docstring has not the form `requirement`, Why, Fails, Fix.
    """
    text = inspect.cleandoc(rule.check.__doc__ or "")
    found = _PARTS.fullmatch(text)
    if not found:
        raise ValueError(f"docstring of rule {rule.code} lacks one of its parts Why, Fails, Fix")
    parts = {name: " ".join(part.split()) for name, part in found.groupdict().items()}
    return CodeDoc(rule.title, parts["requires"], parts["why"], parts["example"], parts["fix"])


@cache
def code_docs() -> Mapping[str, CodeDoc]:
    """Return the documentation of every code that a template can get, by code."""
    docs = {**FORMAT_CODES, **YAML_CODES, **{rule.code: doc_of(rule) for rule in SPECIFIED_RULES}}
    return dict(sorted(docs.items()))


def help_text(doc: CodeDoc) -> str:
    """Return the four parts of a code's documentation as paragraphs of Markdown."""
    parts = (
        doc.requires,
        f"Why: {doc.why}",
        f"Fails: {doc.example}",
        f"Fix: {doc.fix}",
    )
    return "\n\n".join(parts)


def page(more: Mapping[str, CodeDoc] | None = None) -> str:
    """Return the page; `more` are codes that other packages document."""
    docs = dict(sorted({**code_docs(), **(more or {})}.items()))
    parts = [_HEAD]
    for prefix, title in _GROUPS.items():
        group = {code: doc for code, doc in docs.items() if code.startswith(prefix)}
        if group:
            parts.append(f"## {title}\n")
            parts += [_section(code, doc) for code, doc in group.items()]
    return "\n".join(parts)


def _section(code: str, doc: CodeDoc) -> str:
    body = (textwrap.fill(part, 100) for part in help_text(doc).split("\n\n"))
    return f"### {code}: {doc.title}\n\n" + "\n\n".join(body) + "\n"
