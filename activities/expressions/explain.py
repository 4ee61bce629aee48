"""Why a fragment stays as it is written, and what to do about it, for a person.

The real engine leaves such a fragment in the text without a word; so does ours, and tells of it.
"""

import difflib
import reprlib
from collections.abc import Iterable
from typing import Final, NamedTuple

from pydantic import JsonValue

from activities.expressions.filling import Known
from activities.expressions.runner import Outcome
from translator.values import MODULES, NEVER_OFFERED, check

MASK: Final = "***"
"""What is shown in the place of a secret."""

_COMPARED: Final = 300
_SEEN_CHARS: Final = 40
_SHOWN_CHARS: Final = 80
_COMPUTE: Final = "compute the value in a task and read its output"
_CORRECT: Final = f"correct the expression, or {_COMPUTE}"
_TYPES: Final = "turn it into what is needed, as by int(x), float(x) or str(x)"
_REACH: Final = f"nothing outside of the expression can be reached; {_COMPUTE}"
_CURES: Final = {
    "AttributeError": "correct the name; a method is called, with brackets",
    "IndexError": "look at how long the value is",
    "KeyError": "correct the key, or use .get(key, what to take instead)",
    "NotImplementedError": _COMPUTE,
    "PermissionError": _REACH,
    "OSError": _REACH,
    "TypeError": _TYPES,
    "ValueError": _TYPES,
    "ZeroDivisionError": "test for 0 first: (a / b if b else 0)",
}


class ExpressionWarning(NamedTuple):
    """A fragment that stays as it is written: where, what, why, what it saw, what to do.

    `place` is "variable 'x'", "input 'x'", or nothing where there is only one value. `seen` are the
    variables in the expression, each value cut to 40 characters, a secret masked.
    """

    place: str
    expression: str
    reason: str
    seen: dict[str, str]
    fix: str

    @property
    def text(self) -> str:
        """All of it in one line."""
        return self._line("stays text")

    @property
    def refusal(self) -> str:
        """All of it in one line, for a run in which it is an error."""
        return self._line("cannot be evaluated")

    def _line(self, what: str) -> str:
        where = f" in {self.place}" if self.place else ""
        saw = ", ".join(f"{key} = {value}" for key, value in self.seen.items())
        with_saw = f" (with {saw})" if saw else ""
        expression = shortened(self.expression)
        return f"{expression!r}{where} {what}: it {self.reason}{with_saw}; {self.fix}"


def explain(
    place: str, inside: str, known: Known, outcome: Outcome | None = None
) -> ExpressionWarning:
    """Return why the fragment with `inside` stays text; `outcome` is that of its evaluation."""
    reason, fix = _why(inside, known, outcome)
    return ExpressionWarning(place, f"${{{inside}}}", reason, seen(inside, known), fix)


def hidden(place: str) -> ExpressionWarning:
    """Return the warning of a secret's own text, of which nothing may be shown."""
    return ExpressionWarning(place, MASK, "holds a fragment that is not evaluated", {}, _CORRECT)


def seen(inside: str, known: Known) -> dict[str, str]:
    """Return the variables that a fragment reads, with their values as a person may see them."""
    read = sorted(_read(inside, known))
    return {k: MASK if k in known.secrets else _short(known.values[k]) for k in read}


def shortened(expression: str) -> str:
    """Return an expression, cut where it is too long for a message."""
    if len(expression) <= _SHOWN_CHARS:
        return expression
    return f"{expression[: _SHOWN_CHARS - 3]}..."


def _read(inside: str, known: Known) -> Iterable[str]:
    return (name for name in check(inside).names if name in known.values)


def _why(inside: str, known: Known, outcome: Outcome | None) -> tuple[str, str]:
    checked = check(inside)
    if inside.rstrip() in known.pending:
        return _why_pending(inside.rstrip(), known, "refers to")
    if checked.problem:
        return checked.problem, checked.fix
    missing = checked.unknown(known.values, known.offered)
    if missing:
        return _why_unknown(missing, known, "refers to" if inside.rstrip() in missing else "reads")
    if outcome is None:
        return _why_never_run(inside, known)
    if outcome.failure == "SyntaxError":
        return f"uses what the sandbox's Python lacks: {outcome.message}", _CORRECT
    told = _told(outcome, any(key in known.secrets for key in _read(inside, known)))
    return f"raises {told}", _CURES.get(outcome.failure, _CORRECT)


def _told(outcome: Outcome, reads_secret: bool) -> str:  # noqa: FBT001  one caller, beside it
    """Return an exception as text; its message may quote a value, so not beside a secret."""
    if reads_secret:
        return f"{outcome.failure}, whose text is not shown because it reads a secret"
    message = " ".join(outcome.message.split())
    return f"{outcome.failure}: {message}" if message else outcome.failure


def _why_unknown(missing: list[str], known: Known, verb: str) -> tuple[str, str]:
    pending = next((name for name in missing if name in known.pending), None)
    if pending is not None:
        return _why_pending(pending, known, verb)
    name = missing[0]
    if name in MODULES:
        return f"uses the module {name!r}, which is not offered here", _COMPUTE
    if name in NEVER_OFFERED:
        return f"uses the name {name!r}, which is not offered", _COMPUTE
    near = difflib.get_close_matches(name, list(known.values)[:_COMPARED], 1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return (
        f"{verb} {name!r}, which has no value{hint}",
        "correct the name, or declare a variable",
    )


def _why_pending(key: str, known: Known, verb: str) -> tuple[str, str]:
    why = f"{verb} {key!r}, which has no value yet: {known.pending[key]}"
    return why, f"read it later, or give {key!r} a value"


def _why_never_run(inside: str, known: Known) -> tuple[str, str]:
    names = check(inside).names
    if "os" in names and "os" not in known.values:
        return "uses 'os' itself, of which only os.path is offered", _COMPUTE
    if inside.rstrip() in known.values:
        return "reads a value that cannot be written as text: a number in it is too long", _COMPUTE
    return "is nested too deeply", _COMPUTE


def _short(value: JsonValue) -> str:
    """Return a value as Python writes it, at most 40 characters, without writing all of it."""
    writer = reprlib.Repr()
    writer.maxstring = writer.maxother = writer.maxlong = _SEEN_CHARS
    try:
        text = writer.repr(value)
    except ValueError:
        return "a number of very many digits"
    return text if len(text) <= _SEEN_CHARS else f"{text[: _SEEN_CHARS - 3]}..."
