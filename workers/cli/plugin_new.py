"""The command `plugins new`: begins a package of plugins."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from workers.cli.options import epilog
from workers.cli.output import Code, remark
from workers.cli.plugins import plugins


class NewKind(StrEnum):
    """How the first plugin of a new package works."""

    RETURNS = "returns"
    POLLS = "polls"
    CALLBACK = "callback"


@plugins.command(
    epilog=epilog(
        "stdops plugins new acme-deploy",
        "stdops plugins new acme-deploy --kind polls --into ~/src",
        codes=[Code.REFUSED],
    )
)
def new(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="Name of the package, such as acme-deploy.")
    ],
    *,
    kind: Annotated[NewKind, typer.Option(help="How its plugin works.")] = NewKind.RETURNS,
    into: Annotated[Path, typer.Option(metavar="DIR", help="Folder to make it in.")] = Path(),
) -> None:
    """Begin a package of plugins: one that works, with its tests and a service to try it on.

    It makes the folder NAME, which must not be there.
    """
    from workers.scaffold import create

    folder, files = create(name, kind.value, into)
    for file in files:
        typer.echo(f"{typer.style('✓', fg='green')} {folder / file}")
    remark(f"\nnext: cd {folder} && pip install -e '.[dev]' && pytest")
