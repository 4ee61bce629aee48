"""stdops: bk-sops flow templates as durable Temporal workflows.

The one name that people import: plugin authors write `from stdops import plugin`, operators run
`stdops`. It holds what every package shares (errors and diagnostics) and loads the rest lazily.
"""

import importlib
import importlib.metadata
import importlib.util
import pathlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:  # at run time `__getattr__` loads them, so that `import stdops` stays cheap
    from activities.sdk import (
        Call,
        Inputs,
        Lookup,
        OutcomeUnknown,
        Outputs,
        PluginDefinitionError,
        PluginError,
        Secret,
        StillRunning,
        WaitForCallback,
        lazy_variable,
        plugin,
    )
    from activities.testing import Stage

__all__ = [
    "Call",
    "Diagnostic",
    "Inputs",
    "Location",
    "Lookup",
    "OperationRefused",
    "OutcomeUnknown",
    "Outputs",
    "PluginDefinitionError",
    "PluginError",
    "Secret",
    "SettingsError",
    "Severity",
    "Stage",
    "StdopsError",
    "StillRunning",
    "StoreError",
    "TranslationError",
    "WaitForCallback",
    "__version__",
    "lazy_variable",
    "plugin",
]

__version__ = "0.1.0"

Severity = Literal["error", "warning", "note"]

_PACKAGES: Final = ("translator", "activities", "workflows", "workers")
_LAZY: Final = {
    "Call": "activities.sdk",
    "Inputs": "activities.sdk",
    "Lookup": "activities.sdk",
    "OutcomeUnknown": "activities.sdk",
    "Outputs": "activities.sdk",
    "PluginDefinitionError": "activities.sdk",
    "PluginError": "activities.sdk",
    "Secret": "activities.sdk",
    "Stage": "activities.testing",
    "StillRunning": "activities.sdk",
    "WaitForCallback": "activities.sdk",
    "lazy_variable": "activities.sdk",
    "plugin": "activities.sdk",
}


@dataclass(frozen=True, slots=True)
class Location:
    """Where something stands in a template file.

    `path` is a JSON pointer into the document ("" is the whole document); `line` and `column` are
    1-based and None where the text has no lines of its own (a `.dat` export).
    """

    file: str = ""
    path: str = ""
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        """Return `file:line:column (pointer)`, leaving out what is not known."""
        place = self.file or "<input>"
        if self.line is not None:
            place += f":{self.line}:{self.column or 1}"
        return f"{place} ({self.path})" if self.path else place


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding: what is wrong, where, and how to mend it; data, never raised."""

    code: str
    severity: Severity
    what: str
    fix: str
    where: Location = Location()

    def __str__(self) -> str:
        """Return the one-line form that the command line prints."""
        return f"{self.where}: {self.severity} {self.code} {self.what}; {self.fix}"


class StdopsError(Exception):
    """Root of the errors that tell a person something: what, where and how to mend it."""

    def __init__(self, code: str, what: str, *, where: str = "", fix: str = "") -> None:
        super().__init__(what)
        self.code = code
        self.what = what
        self.where = where
        self.fix = fix

    def __str__(self) -> str:
        """Return the one-line form `CODE what (where); fix`."""
        place = f" ({self.where})" if self.where else ""
        cure = f"; {self.fix}" if self.fix else ""
        return f"{self.code} {self.what}{place}{cure}"


class TranslationError(StdopsError):
    """A template cannot be compiled; carries every diagnostic, not only the first."""

    def __init__(self, diagnostics: Sequence[Diagnostic]) -> None:
        first = next((d for d in diagnostics if d.severity == "error"), diagnostics[0])
        count = sum(d.severity == "error" for d in diagnostics)
        more = f" (and {count - 1} more)" if count > 1 else ""
        super().__init__(first.code, first.what + more, where=str(first.where), fix=first.fix)
        self.diagnostics = tuple(diagnostics)


class SettingsError(StdopsError):
    """A setting is unknown or wrong."""


class StoreError(StdopsError):
    """The store cannot be used, or does not hold what was asked for."""


class OperationRefused(StdopsError):  # noqa: N818  the glossary's word: a verb is refused
    """A verb does not apply to the run or node as it is now.

    `reason` is the run's own word for why, such as `stale`; "" where the run gave none.
    """

    reason: str = ""


def __getattr__(name: str) -> object:
    """Load a plugin author's name on first use."""
    if name not in _LAZY:
        raise AttributeError(f"module 'stdops' has no attribute {name!r}")
    return getattr(importlib.import_module(_LAZY[name]), name)


def __dir__() -> list[str]:
    """List the names that are loaded lazily, too."""
    return sorted({*globals(), *_LAZY})


def guard() -> None:
    """Exit with SOP501 when one of our package names belongs to somebody else's distribution."""
    here = pathlib.Path(__file__).resolve().parent
    owners = _owners()
    for name in _PACKAGES:
        spec = importlib.util.find_spec(name)
        origin = pathlib.Path(spec.origin).resolve().parent if spec and spec.origin else None
        others = owners[name]
        if origin != here / name or others:
            rival = f"also comes from {others[0]}" if others else _elsewhere(origin)
            sys.exit(
                f"SOP501 package {name!r} {rival}: install stdops in an environment of its own"
            )


def _owners() -> dict[str, list[str]]:
    """Return, for each of our packages, the other distributions that install into it.

    Looks for the name in each list of installed files: parsing them all would cost every start
    a quarter of a second.
    """
    found: dict[str, list[str]] = {name: [] for name in _PACKAGES}
    for distribution in importlib.metadata.distributions():
        installed = "\n" + (distribution.read_text("RECORD") or "")
        for name in _PACKAGES:
            if f"\n{name}/" in installed and distribution.name != "stdops":
                found[name].append(distribution.name)
    return found


def _elsewhere(origin: pathlib.Path | None) -> str:
    return f"is shadowed by {origin}" if origin else "is missing"


def main() -> None:
    """Run the command line."""
    guard()
    from workers.cli import run

    run()


if __name__ == "__main__":
    main()
