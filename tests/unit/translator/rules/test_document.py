from collections.abc import Iterator

import pytest

from stdops import Diagnostic
from translator.formats.codes import FORMAT_CODES, CodeDoc
from translator.rules import SPECIFIED_RULES
from translator.rules.context import Context, Rule
from translator.rules.document import PAGE, code_docs, doc_of, page
from workers.codes import CODES


def test_the_page_is_up_to_date() -> None:
    fix = "run `python -m workers.codes`"

    assert PAGE.read_text("utf-8") == page(CODES), fix


@pytest.mark.parametrize("rule", SPECIFIED_RULES, ids=lambda rule: rule.code)
def test_every_rule_is_documented_in_four_parts(rule: Rule) -> None:
    doc = doc_of(rule)

    assert all(doc)
    assert doc.title[0].islower()
    assert not doc.title.endswith(".")


def test_the_codes_of_the_readers_are_there() -> None:
    assert set(FORMAT_CODES) <= set(code_docs())


def test_other_packages_may_add_their_codes() -> None:
    more = {"SOP501": CodeDoc("a package is shadowed", "requires", "why", "example", "fix")}

    assert "## Installation and settings\n\n### SOP501: a package is shadowed" in page(more)


def test_a_docstring_without_its_parts_is_refused() -> None:
    def check(_: Context) -> Iterator[Diagnostic]:
        """Says nothing more."""
        yield from ()

    with pytest.raises(ValueError, match="SOP999 lacks one of its parts"):
        doc_of(Rule("SOP999", "x", check))
