"""Commands around the payload store: forget what no run refers to any more."""

from typing import TYPE_CHECKING, Annotated, Final

import typer

from stdops import StdopsError
from workers.cli.app import app
from workers.cli.options import JsonFlag, epilog
from workers.cli.output import Code, Commands, await_now, print_json, remark

if TYPE_CHECKING:
    from workers.payload_store.cleaning import Cleaned, Tally

payloads = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    help="Look after the values that are too large for Temporal's history.",
    rich_markup_mode=None,
)
_EPILOG: Final = epilog(
    "stdops payloads clean --dry-run",
    "stdops payloads clean --older-than 30",
    codes=[Code.REFUSED, Code.UNREACHABLE],
)
app.add_typer(payloads, name="payloads", epilog=_EPILOG)


@payloads.callback()
def _group() -> None:
    """Look after the values that are too large for Temporal's history."""


@payloads.command(epilog=_EPILOG)
def clean(
    *,
    older_than: Annotated[
        int, typer.Option(min=1, metavar="DAYS", help="Keep what is younger than that.")
    ] = 1,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Remove nothing, say what would go.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Remove the values of runs that the server has forgotten, after the namespace's retention."""
    await_now(_clean(older_than, is_dry=dry_run, as_json=as_json))


async def _clean(days: int, *, is_dry: bool, as_json: bool) -> None:
    from dataclasses import asdict

    from workers.cli.wiring import connected
    from workers.payload_store import open_place
    from workers.payload_store.cleaning import DAY_S, clean
    from workers.settings import load_settings

    settings = load_settings()
    place = open_place(settings)
    if place is None:
        raise StdopsError(
            "SOP530", "there is no payload store", fix="set STDOPS_PAYLOAD_STORE as the workers"
        )
    connection = await connected(settings)
    found = await connection.runs.ask(
        "", clean(place, connection.client, age_s=days * DAY_S, is_dry=is_dry)
    )
    if as_json:
        print_json({"removed": asdict(found.removed), "kept": asdict(found.kept)})
    else:
        remark(_told(found, "would be removed" if is_dry else "removed"))


def _told(found: "Cleaned", word: str) -> str:
    """Say what was removed and what is left."""
    return f"{_counted(found.removed)} {word}, {_counted(found.kept)} kept"


def _counted(tally: "Tally") -> str:
    noun = "value" if tally.values == 1 else "values"
    return f"{tally.values} {noun} ({tally.size / 1_000_000:.1f} MB)"
