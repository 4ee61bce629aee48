"""Commands around the store itself: bring its tables up to date."""

import typer

from workers.cli.app import app
from workers.cli.options import JsonFlag, epilog
from workers.cli.output import Code, Commands, print_json

store = typer.Typer(
    cls=Commands, no_args_is_help=True, help="Look after the store.", rich_markup_mode=None
)
_EPILOG = epilog("stdops store migrate", codes=[Code.REFUSED])
app.add_typer(store, name="store", epilog=_EPILOG)


@store.callback()
def _group() -> None:
    """Look after the store."""


@store.command(epilog=_EPILOG)
def migrate(*, as_json: JsonFlag = False) -> None:
    """Make the store's tables, or bring them up to date; harmless when they are.

    Every command and worker does so when it opens the store; a deployment does it first, once.
    """
    from workers.settings import load_settings
    from workers.store import Store
    from workers.store.engine import look

    url = load_settings().store_url
    before = look(url)
    Store.open(url).close()
    if as_json:
        print_json({"before": before.found, "now": before.newest})
    elif before.is_current:
        typer.echo(f"up to date: shape {before.found}")
    else:
        typer.echo(f"{typer.style('✓', fg='green')} shape {before.newest}, was {before.found}")
