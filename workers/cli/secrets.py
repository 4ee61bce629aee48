"""Commands around secrets: seal a value for a client that cannot do it itself."""

import sys
from typing import Annotated, Final

import typer

from stdops import StdopsError
from workers.cli.app import app
from workers.cli.options import epilog
from workers.cli.output import Code, Commands

secret = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    help="Handle values that nobody may read.",
    rich_markup_mode=None,
)
_EPILOG: Final = epilog(
    "stdops secret seal", "pass show deploy | stdops secret seal -", codes=[Code.REFUSED]
)
app.add_typer(secret, name="secret", epilog=_EPILOG)


@secret.callback()
def _group() -> None:
    """Handle values that nobody may read."""


@secret.command(epilog=_EPILOG)
def seal(
    value: Annotated[
        str,
        typer.Argument(
            metavar="[VALUE|-]",
            help="The secret; - reads standard input, nothing asks for it. An argument stands in "
            "the shell's history.",
        ),
    ] = "",
) -> None:
    """Seal a secret: print the object that stands for it in a run's inputs, on one line."""
    import json

    from workers.secrets import secret_keys
    from workers.settings import load_settings

    settings = load_settings()
    text = value if value not in ("", "-") else _read(asked=value == "")
    typer.echo(json.dumps(secret_keys(settings).seal(text)))


def _read(*, asked: bool) -> str:
    """Return the secret from the terminal, unseen, or from standard input, without its line end."""
    if asked and sys.stdin.isatty():
        return typer.prompt("secret", hide_input=True, err=True)
    text = sys.stdin.read().removesuffix("\n").removesuffix("\r")
    if not text:
        fix = "give it as an argument, or on standard input"
        raise StdopsError("SOP541", "there is no secret to seal", where="stdin", fix=fix)
    return text
