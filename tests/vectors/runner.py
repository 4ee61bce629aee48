"""Runs every vector file of a folder by its checker and counts."""

import json
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from tests.vectors import engine_checks, format_checks, variable_checks
from tests.vectors.case import Case, Checker, Differences

CHECKERS: Final[Mapping[str, Checker]] = {
    **engine_checks.CHECKERS,
    **format_checks.CHECKERS,
    **variable_checks.CHECKERS,
}
"""The checker of each vector file, by its name."""


class Outcome(NamedTuple):
    """What became of one case; no differences means that it passed."""

    case: str
    differences: Differences


def run_file(file: Path) -> list[Outcome]:
    """Run one vector file; a file without a checker is one failure."""
    checker = CHECKERS.get(file.name)
    if checker is None:
        return [Outcome(file.name, ["no checker knows this file"])]
    try:
        cases = list(checker(json.loads(file.read_text("utf-8")), file.parent))
    except Exception as problem:  # noqa: BLE001  a file of another shape must not end the run
        return [Outcome(file.name, [f"cannot be read as {file.stem} vectors: {_brief(problem)}"])]
    return [Outcome(case.name, _run(case)) for case in cases]


def vector_files(folder: Path) -> Iterator[Path]:
    """Yield the vector files of a folder by name."""
    yield from sorted(folder.glob("*.json"))


def _run(case: Case) -> Differences:
    try:
        return case.run()
    except Exception as problem:  # noqa: BLE001  a crash is a difference like any other
        return [f"crashed: {_brief(problem)}"]


def _brief(problem: Exception) -> str:
    frames = traceback.extract_tb(problem.__traceback__)
    place = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return f"{problem!r}{place}"
