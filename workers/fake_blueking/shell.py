"""The scripts that the fake understands: what they print, how they exit, how long they take. Pure.

Of a script only `echo`, `sleep`, `exit`, `job_success` and `job_fail` (JOB's own, which set a tag)
mean something; every other line is taken to have done its work in silence.
"""

import shlex
from typing import Final, NamedTuple

SUCCEEDED: Final = 9
EXIT_NOT_ZERO: Final = 104


class Ran(NamedTuple):
    """How a script has run on a host."""

    log: str
    exit_code: int = 0
    tag: str = ""
    seconds: float = 0

    @property
    def status(self) -> int:
        """The state of the host."""
        return EXIT_NOT_ZERO if self.exit_code else SUCCEEDED


def run(script: str, arguments: str = "") -> Ran:
    """Run a script with arguments, as far as it is understood."""
    given = _words(arguments)
    printed: list[str] = []
    seconds = 0.0
    for line in script.splitlines():
        name, *words = _words(_filled(line, given)) or [""]
        match name, words:
            case "echo", _:
                printed.append(" ".join(words))
            case "sleep", [number, *_] if _is_number(number):
                seconds += float(number)
            case "exit", [code, *_] if code.isdecimal():
                return Ran("\n".join(printed), int(code), "", seconds)
            case "job_success", [tag, *_]:
                return Ran("\n".join(printed), 0, tag, seconds)
            case "job_fail", [tag, *_]:
                return Ran("\n".join(printed), 1, tag, seconds)
            case _:
                pass
    return Ran("\n".join(printed), 0, "", seconds)


def _words(line: str) -> list[str]:
    try:
        return shlex.split(line, comments=True)
    except ValueError:  # a quote that is closed on a later line: none of the commands above
        return []


def _filled(line: str, arguments: list[str]) -> str:
    for at, argument in enumerate(arguments, start=1):
        line = line.replace(f"${at}", argument)
    return line


def _is_number(text: str) -> bool:
    return text.replace(".", "", 1).isdecimal()
