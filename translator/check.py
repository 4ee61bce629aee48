"""Checks a template against every rule, like a compiler: all findings at once, none raised."""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Final

from stdops import Diagnostic, Location
from translator.rules import SPECIFIED_RULES
from translator.rules.context import Catalog, Context, Rule
from translator.template import Template

MAX_FINDINGS: Final = 1000
"""Most findings of one check; a template with more is hostile or not a template."""

_TOO_MANY: Final = "SOP028"


def check(
    template: Template,
    catalog: Catalog | None = None,
    rules: Sequence[Rule] = SPECIFIED_RULES,
) -> list[Diagnostic]:
    """Return what is wrong with `template` and its nested flows, by rule and then by place.

    Without a `catalog` nothing is said about plugins. Never raises on any template; after 1,000
    findings it stops and says so.
    """
    contexts = list(Context(template, template.tree, catalog).family())
    found = _findings(contexts, rules)
    kept = list(islice(found, MAX_FINDINGS))
    if next(found, None) is not None:
        kept.append(_too_many(template))
    return kept


def _findings(contexts: Sequence[Context], rules: Sequence[Rule]) -> Iterator[Diagnostic]:
    """Yield the findings rule by rule, each rule's own in the order of their places."""
    for each in rules:
        found = (finding for context in contexts for finding in each.check(context))
        # what a hostile template could produce is cut before it is sorted, not after
        yield from sorted(islice(found, MAX_FINDINGS + 1), key=_place)


def _place(finding: Diagnostic) -> list[tuple[int, str]]:
    """Return a key that sorts pointers by steps, with numbers by their value."""
    return [
        (int(step), "") if step.isdecimal() and step.isascii() else (-1, step)
        for step in finding.where.path.split("/")
    ]


def _too_many(template: Template) -> Diagnostic:
    what = f"more than {MAX_FINDINGS} findings, the rest is not shown"
    fix = "mend what is shown, then check again"
    return Diagnostic(_TOO_MANY, "warning", what, fix, Location(template.file))
