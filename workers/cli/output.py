"""What commands print and how they end: exit codes, errors in one line, JSON, tables."""

import enum
import json
import sys
import traceback
from collections.abc import Coroutine, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar

import typer
from typer.core import TyperGroup

from stdops import Diagnostic, OperationRefused, StdopsError, TranslationError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

T = TypeVar("T")

LOG_NAME: Final = "stdops-error.log"
_COLOURS: Final = {"error": "red", "warning": "yellow", "note": "cyan"}


class Code(enum.IntEnum):
    """How a command ends."""

    OK = 0
    ERRORS = 1
    REFUSED = 2
    STANDING = 3
    UNREACHABLE = 4
    INTERRUPTED = 130


MEANINGS: Final = {
    Code.OK: "done",
    Code.ERRORS: "a template or a plugin has errors, a run failed, or stdops itself did",
    Code.REFUSED: "wrong use, or refused: nothing was changed",
    Code.STANDING: "the run stands: nodes failed or wait, and a person must act",
    Code.UNREACHABLE: "no Temporal server, or no worker, answers",
    Code.INTERRUPTED: "ended by Ctrl-C",
}

_BY_CODE: Final = {
    "SOP502": Code.UNREACHABLE,
    "SOP503": Code.UNREACHABLE,
    "SOP505": Code.UNREACHABLE,
    "SOP507": Code.ERRORS,
    "SOP545": Code.UNREACHABLE,
}


class Commands(TyperGroup):
    """The commands; whatever goes wrong in one becomes a line on stderr and an exit code."""

    def invoke(self, ctx: Any) -> Any:  # Any: the signature of the base class
        """Run the command that was named."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise  # whoever read our output has gone; typer ends quietly
        except (StdopsError, OSError) as error:
            code = tell(error)
        except KeyboardInterrupt:
            typer.echo(err=True)  # the terminal has just written ^C
            code = Code.INTERRUPTED
        except Exception as error:
            if _is_typers(error):
                raise
            # the last stop before the user: a traceback is for the log, not for the terminal
            code = _tell_fault(error)
        if ctx.params.get("debug"):
            traceback.print_exc()
        raise typer.Exit(code)


def exit_code(error: StdopsError | OSError) -> Code:
    """Return how a command ends on an error."""
    match error:
        case TranslationError():
            return Code.ERRORS
        case OperationRefused():
            return Code.REFUSED
        case StdopsError():
            return _BY_CODE.get(error.code, Code.REFUSED)
        case _:
            return Code.REFUSED


def tell(error: StdopsError | OSError) -> Code:
    """Print an error, each part of it that matters, and return the exit code."""
    if isinstance(error, TranslationError):
        from translator.report import as_text

        typer.echo(coloured(as_text(error.diagnostics)), err=True)
    else:
        complain(str(error) if isinstance(error, StdopsError) else _about_file(error))
    return exit_code(error)


def tell_findings(found: Iterable[Diagnostic]) -> None:
    """Print findings beside the result, one a line, each with its place and its cure."""
    for each in found:
        typer.echo(coloured(str(each)), err=True)


def complain(text: str) -> None:
    """Print one line that says what is wrong."""
    typer.echo(f"{typer.style('error', fg='red', bold=True)} {' '.join(text.split())}", err=True)


def remark(text: str) -> None:
    """Print a line beside the result, where it does not disturb what reads the result."""
    typer.secho(text, err=True, dim=True)


def end(code: Code) -> None:
    """End the command with `code` unless that is 0."""
    if code is not Code.OK:
        raise typer.Exit(code)


def await_now(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end; asyncio is loaded here, since help has no need of it."""
    import asyncio

    return asyncio.run(work)


def print_json(value: object) -> None:
    """Print a value as JSON, readable and with its Chinese text as it is."""
    typer.echo(json.dumps(value, ensure_ascii=False, indent=2, default=str))


def print_line(value: object) -> None:
    """Print a value as JSON on one line, for what is read line by line."""
    typer.echo(json.dumps(value, ensure_ascii=False, default=str))


def short(value: object, most: int = 60) -> str:
    """Return a value as one line of at most `most` characters."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[: most - 1]}…"


def coloured(report: str) -> str:
    """Colour the severities in a text report; where output is no terminal nothing is coloured."""
    for word, colour in _COLOURS.items():
        report = report.replace(f" {word} SOP", f" {typer.style(word, fg=colour)} SOP")
    return report


def console() -> "Console":
    """Return the terminal, as wide as it is; 120 columns where output is no terminal."""
    from rich.console import Console

    width = None if sys.stdout.isatty() else 120
    return Console(width=width, highlight=False, soft_wrap=False, emoji=False)


def table(*columns: str, narrow: Sequence[str] = (), right: Sequence[str] = ()) -> "Table":
    """Return an empty table without lines; columns in `narrow` never wrap."""
    from rich.table import Table

    made = Table(box=None, pad_edge=False, header_style="bold dim", padding=(0, 2, 0, 0))
    for column in columns:
        justify = "right" if column in right else "left"
        made.add_column(column, no_wrap=column in narrow, justify=justify, overflow="fold")
    return made


def show_table(made: "Table", title: str = "") -> None:
    """Print a table below its title."""
    out = console()
    if title:
        out.print(title, style="bold", markup=False)
    out.print(made)


def plain(words: Iterable[object]) -> "list[Any]":
    """Return cells whose text is shown as it is, without markup."""
    from rich.text import Text

    return [word if isinstance(word, Text) else Text(str(word)) for word in words]


def _about_file(error: OSError) -> str:
    reason = (error.strerror or str(error) or type(error).__name__).lower()
    if error.filename is None:
        return f"SOP540 the system refuses: {reason}; look at what it names, then try again"
    return f"SOP540 {reason} ({error.filename}); check the name and the permissions of the file"


def _is_typers(error: Exception) -> bool:
    """Say whether an exception is how typer ends a command (usage errors, exits)."""
    # the common base of usage errors has moved between typer's releases and has no public name
    usage_error = typer.BadParameter.__mro__[2]
    return isinstance(error, (typer.Exit, typer.Abort, usage_error))


def _tell_fault(error: Exception) -> Code:
    """Keep the traceback of a fault of ours in a file, and say where."""
    import tempfile
    from pathlib import Path

    file = Path(tempfile.gettempdir()) / LOG_NAME
    kept = f"the traceback is in {file}"
    try:
        with file.open("a", encoding="utf-8") as log:
            traceback.print_exception(error, file=log)
    except OSError:
        kept = "run it again with `stdops --debug` for the traceback"
    said = str(error).strip().splitlines()
    what = f"{type(error).__name__}: {said[0]}" if said else type(error).__name__
    complain(f"SOP599 stdops has failed: {what}; {kept}, please report it")
    return Code.ERRORS
