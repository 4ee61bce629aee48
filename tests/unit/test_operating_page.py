"""What docs/operating.md tells people to send is what a run understands."""

import json
import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from workers.cli import app
from workflows.messages import ALIASES, MESSAGES, read_request

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE = (DOCS / "operating.md").read_text("utf-8")
LARGEST_PICTURE = 60 * 1024

IN_TEXT = re.compile(r"`(\w+) (\{[^`]*\})`")
NAMES = re.compile(r"(?:`\w+`(?:, )?)+")
OBJECT = re.compile(r"`(\{[^`]*\})`")
SENT = re.compile(r"--name (\w+)[\s\\]+--input '(\{.*?\})'")
PICTURE = re.compile(r"!\[[^]]*\]\((images/[\w-]+\.png)\)")
SHOWN = re.compile(r"!\[[^]]*\]\((images/[\w-]+\.\w+)\)")
COMMAND = re.compile(r"(?:`|^)stdops ([a-z][^`\n]*)", re.MULTILINE)
PLACEHOLDERS = {": value": ": 1", "{...}": "{}", '"..."': '"x"', "[...]": '["x"]'}


def objects() -> list[tuple[str, str]]:
    """Each name with the object that a page gives for it."""
    found: list[tuple[str, str]] = [*IN_TEXT.findall(PAGE), *SENT.findall(PAGE)]
    for line in PAGE.splitlines():
        found += in_row(line.strip("| ").split(" | "))
    return sorted({(name, text) for name, text in found if name in {**MESSAGES, **ALIASES}})


def in_row(cells: list[str]) -> list[tuple[str, str]]:
    """The names in the first cell of a row that has nothing else, with the objects behind it."""
    at = next((at for at, cell in enumerate(cells) if NAMES.fullmatch(cell)), len(cells))
    names = [name.strip("`") for name in "".join(cells[at : at + 1]).split(", ")]
    objects = OBJECT.findall(" ".join(cells[at + 1 :]))
    return [(name, text) for name in names for text in objects]


@pytest.mark.parametrize(("name", "text"), objects())
def test_an_object_of_the_page_is_understood(name: str, text: str) -> None:
    for placeholder, value in PLACEHOLDERS.items():
        text = text.replace(placeholder, value)

    request = read_request(name, json.loads(text))

    assert request is not None
    assert not isinstance(request.message, str), request.message


def test_the_page_gives_an_object_for_every_verb_and_every_other_name() -> None:
    assert {name for name, _ in objects()} == {*MESSAGES, *ALIASES}


@pytest.mark.parametrize("file", sorted(set(PICTURE.findall(PAGE))))
def test_a_picture_of_the_page_is_there_and_small(file: str) -> None:
    assert 0 < (DOCS / file).stat().st_size <= LARGEST_PICTURE


def test_every_picture_that_is_kept_is_shown() -> None:
    kept = {f"images/{file.name}" for file in (DOCS / "images").iterdir()}
    pages = [file.read_text("utf-8") for file in DOCS.glob("*.md")]

    assert kept == {name for page in pages for name in SHOWN.findall(page)}


@pytest.mark.parametrize("line", sorted(set(COMMAND.findall(PAGE))))
def test_a_command_of_the_page_exists_with_its_options(line: str) -> None:
    name, *words = shlex.split(line)

    shown = CliRunner().invoke(app, [name, "--help"])

    assert shown.exit_code == 0, shown.output
    assert [word for word in words if word.startswith("--") and word not in shown.output] == []
