"""The `stdops` command: its groups of commands, and the options that come before them."""

import os
import sys
from contextlib import suppress
from typing import Annotated

import typer

from stdops import __version__
from workers.cli.output import Code, Commands

app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    # plain help: rich's costs a third of the time that `stdops --help` may take
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def _show_version(wanted: bool) -> None:  # noqa: FBT001  typer hands the flag over by position
    if wanted:
        typer.echo(f"stdops {__version__}")
        raise typer.Exit(Code.OK)


@app.callback()
def main(
    *,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Run bk-sops flow templates as durable Temporal workflows."""
    del debug, version  # read by `Commands` and by the callback


def run() -> None:
    """Run the command line, and end the process."""
    try:
        app(prog_name="stdops")
    except SystemExit as ending:
        if "temporalio" in sys.modules:
            _leave(ending.code)
        raise


def _leave(code: str | int | None) -> None:
    """End the process without unloading Python.

    The Temporal SDK's own threads may still be handing something over, and one that comes while
    Python unloads aborts the process (seen with temporalio 1.35). All contexts are closed by now.
    """
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # whoever read it may have gone
            stream.flush()
    os._exit(code if isinstance(code, int) else int(code is not None))
