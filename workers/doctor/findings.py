"""What the doctor says: one finding for each check, of one of four kinds."""

from collections.abc import Awaitable, Callable
from typing import Literal, NamedTuple, TypeAlias

from workers.settings import Settings

State: TypeAlias = Literal["ok", "warning", "failure", "skipped"]


class Finding(NamedTuple):
    """What a check found: the state in a word, what is so, why it matters, and what mends it.

    `why` and `fix` are empty where all is well; `where` names a place, such as a file.
    """

    check: str
    state: State
    what: str
    why: str = ""
    fix: str = ""
    where: str = ""


class Check(NamedTuple):
    """A check: its name, why it matters, and how it looks."""

    name: str
    why: str
    look: Callable[[Settings], Awaitable[list[Finding]]]


def well(check: str, what: str, where: str = "") -> Finding:
    """Return that all is well."""
    return Finding(check, "ok", what, where=where)


def warning(check: str, what: str, why: str, fix: str, where: str = "") -> Finding:
    """Return what should be looked at, although runs go on."""
    return Finding(check, "warning", what, why, fix, where)


def failure(check: str, what: str, why: str, fix: str, where: str = "") -> Finding:
    """Return what keeps runs from going on."""
    return Finding(check, "failure", what, why, fix, where)


def skipped(check: str, what: str) -> Finding:
    """Return that there was nothing to look at."""
    return Finding(check, "skipped", what)
