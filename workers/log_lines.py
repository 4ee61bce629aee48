"""The lines of workers' logs that tell of one run: found, filtered, followed."""

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, TextIO, cast

Line = Mapping[str, Any]

_LEFT_OUT: Final = ("timestamp", "level", "event", "logger", "run", "node", "exception")


def read_lines(files: Iterable[Path]) -> Iterator[str]:
    """Yield the lines of files, in their order; one that goes away meanwhile ends there."""
    for file in files:
        try:
            with file.open(encoding="utf-8", errors="replace") as stream:
                yield from stream
        except FileNotFoundError:
            continue


def lines_of(texts: Iterable[str], run: str) -> Iterator[Line]:
    """Yield the lines that tell of a run or of a child that it has started."""
    # the text first: a log holds many runs, and parsing each line would take ten times as long
    needle = json.dumps(run, ensure_ascii=False)[1:-1]
    for text in texts:
        if needle in text and (line := _parsed(text)) is not None:
            told = str(line.get("run", ""))
            if told == run or told.startswith(f"{run}/"):
                yield line


def is_of(line: Line, node: str) -> bool:
    """Say whether a line is of a node, named by its path or id, or of what is in a subflow."""
    path = str(line.get("node", ""))
    steps = path.split("/")
    return path == node or path.startswith(f"{node}/") or node in steps


def as_text(line: Line, run: str) -> str:
    """Return a line for people: when, how severe, what, where, and what else it says."""
    own, told = str(line.get("run", "")), str(line.get("node", ""))
    where = [told] if own == run else [f"{own} {told}".strip()]
    rest = [f"{key}={_shown(value)}" for key, value in line.items() if key not in _LEFT_OUT]
    time, level = str(line.get("timestamp", "")), str(line.get("level", ""))
    words = [time[:23].replace("T", " "), f"{level:<7}", *where, str(line.get("event", "")), *rest]
    text = "  ".join(word for word in words if word)
    trace = str(line.get("exception") or "")
    return f"{text}\n{trace}" if trace else text


class Tail:
    """What is written to a file from now on, also after it was replaced by a new one."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._stream = self._opened()
        if self._stream is not None:
            self._stream.seek(0, os.SEEK_END)

    def new(self) -> list[str]:
        """Return the whole lines that came since the last question."""
        lines = self._rest()
        if self._is_replaced():
            self.close()
            self._stream = self._opened()
            lines += self._rest()
        return lines

    def close(self) -> None:
        """Let the file go."""
        if self._stream is not None:
            self._stream.close()

    def _rest(self) -> list[str]:
        if self._stream is None:
            return []
        lines: list[str] = []
        while True:
            start = self._stream.tell()
            line = self._stream.readline()
            if not line.endswith("\n"):
                self._stream.seek(start)  # half a line: the rest is still being written
                return lines
            lines.append(line)

    def _opened(self) -> TextIO | None:
        try:
            return self._file.open(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return None

    def _is_replaced(self) -> bool:
        if self._stream is None:
            return self._file.exists()
        try:
            there, ours = self._file.stat(), os.fstat(self._stream.fileno())
        except FileNotFoundError:
            return False
        return (there.st_dev, there.st_ino) != (ours.st_dev, ours.st_ino)


def _parsed(text: str) -> Line | None:
    """Return the object on a line, None for anything else."""
    try:
        line: Any = json.loads(text)
    except ValueError:
        return None
    return cast("Line", line) if isinstance(line, dict) else None


def _shown(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
