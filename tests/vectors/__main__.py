"""`python -m tests.vectors PATH`: print what differs, counts per file, and the sum."""

import sys
from pathlib import Path

from tests.vectors.runner import CHECKERS, Outcome, run_file, vector_files


def main(arguments: list[str]) -> int:
    """Run the vectors in the folder given; return the exit code."""
    folder = Path(arguments[0]) if len(arguments) == 1 else None
    if folder is None or not folder.is_dir():
        print("usage: python -m tests.vectors PATH, where PATH is a folder of vector files")
        return 2
    passed = failed = 0
    for file in vector_files(folder):
        outcomes = run_file(file)
        bad = [each for each in outcomes if each.differences]
        report(file, outcomes, bad)
        passed += len(outcomes) - len(bad)
        failed += len(bad)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


def report(file: Path, outcomes: list[Outcome], bad: list[Outcome]) -> None:
    """Print what failed in a file, then its line."""
    if file.name not in CHECKERS:
        print(f"unknown: {file.name}")
        return
    for each in bad:
        print(f"FAILED {file.name}: {' '.join(each.case.splitlines())}")
        for line in each.differences:
            print(f"    {' '.join(line.splitlines())}")
    print(f"{file.name}: {len(outcomes) - len(bad)} passed, {len(bad)} failed")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
