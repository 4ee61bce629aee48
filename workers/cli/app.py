"""The `stdops` command: its groups of commands, and the options that come before them."""

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
    debug: Annotated[bool, typer.Option(help="Show the traceback of an error.")] = False,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Run bk-sops flow templates as durable Temporal workflows."""
    del debug, version  # read by `Commands` and by the callback


def run() -> None:
    """Run the command line."""
    app(prog_name="stdops")
