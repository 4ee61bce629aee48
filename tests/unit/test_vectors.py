"""The recorded vectors of the real system hold, file by file; and the runner tells when not."""

import json
from pathlib import Path

import pytest

from tests.helpers.shared import FIXTURES
from tests.vectors.__main__ import main
from tests.vectors.case import differ
from tests.vectors.runner import CHECKERS, run_file

VECTORS = FIXTURES / "vectors"


@pytest.mark.parametrize("name", sorted(CHECKERS))
def test_every_vector_holds(name: str) -> None:
    file = VECTORS / name
    if not file.is_file():
        pytest.skip(f"{name} is not at {VECTORS}; set STDOPS_SHARED to the folder that has it")

    outcomes = run_file(file)

    assert outcomes
    assert [each for each in outcomes if each.differences] == []


def write(folder: Path, name: str, content: object) -> None:
    (folder / name).write_text(json.dumps(content), "utf-8")


def test_the_runner_counts_and_shows_what_differs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    vectors = [
        {"expression": "1 == 1", "context": None, "expected": True},
        {"expression": "1 == 2", "context": None, "expected": True},
    ]
    write(tmp_path, "boolrule.json", vectors)
    write(tmp_path, "mine.json", [])

    assert main([str(tmp_path)]) == 1

    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        "FAILED boolrule.json: 1 1 == 2",
        "    value: expected True, found False",
        "boolrule.json: 1 passed, 1 failed",
        "unknown: mine.json",
        "1 passed, 2 failed",
    ]


def test_the_runner_succeeds_when_all_hold(tmp_path: Path) -> None:
    write(tmp_path, "constant_keys.json", [{"key": "${a}", "valid": True}])

    assert main([str(tmp_path)]) == 0


def test_a_file_of_another_shape_is_a_failure_not_a_crash(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, "schemes.json", [1])
    (tmp_path / "variables.json").write_text("{", "utf-8")

    assert main([str(tmp_path)]) == 1
    assert capsys.readouterr().out.splitlines()[-1] == "0 passed, 2 failed"


@pytest.mark.parametrize("arguments", [[], ["nowhere"], ["a", "b"]])
def test_the_runner_says_how_it_is_used(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    assert "PATH" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("expected", "found", "lines"),
    [
        ({"a": [1]}, {"a": [1]}, []),
        ({"a": [1]}, {"a": [2]}, ["/a/0: expected 1, found 2"]),
        ({"a": 1}, {"b": 1}, ["/a: missing, expected 1", "/b: not expected, found 1"]),
        ([1], [1, 2], ["value: expected [1], found [1, 2]"]),
        (1, True, ["value: expected 1, found True"]),
    ],
)
def test_differences_name_their_place(expected: object, found: object, lines: list[str]) -> None:
    assert differ(expected, found) == lines
