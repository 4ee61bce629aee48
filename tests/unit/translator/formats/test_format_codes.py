"""The table of codes and the readers that raise them belong together."""

import re
from pathlib import Path

import pytest

import translator
from translator.formats.codes import FORMAT_CODES, CodeDoc
from translator.formats.yaml_v1 import YAML_CODES

ROOT = Path(translator.__file__).parent
PARTS = ("normalize.py", "unfold.py", "parse.py")
READERS = [*sorted((ROOT / "formats").glob("*.py")), *(ROOT / part for part in PARTS)]


def raised() -> set[str]:
    sources = [path.read_text() for path in READERS if path.name != "codes.py"]
    return {code for text in sources for code in re.findall(r'"(SOP[03]\d\d)"', text)}


def test_every_code_that_a_reader_raises_is_documented() -> None:
    assert raised() <= {*FORMAT_CODES, *YAML_CODES}


def test_every_documented_code_is_raised() -> None:
    assert set(FORMAT_CODES) <= raised()


def test_no_code_has_two_meanings() -> None:
    assert not {*FORMAT_CODES} & {*YAML_CODES}


@pytest.mark.parametrize("doc", FORMAT_CODES.values(), ids=FORMAT_CODES)
def test_every_code_says_what_why_and_how(doc: CodeDoc) -> None:
    assert all(part and part == part.strip() for part in doc)
    assert doc.title == doc.title.rstrip(".")
