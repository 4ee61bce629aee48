"""The command that draws a flow: a template as it is, or a run as it stands."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stdops import StdopsError
from workers.cli.app import app
from workers.cli.offline import chosen_plan
from workers.cli.options import ChosenTemplate, PrintTemporal, epilog
from workers.cli.output import Code, await_now, console, remark

if TYPE_CHECKING:
    from pydantic import JsonValue

    from translator.plan import Plan

_ASK_S = 5.0
"""How long a server may take to say whether there is a run of that name, too."""


class DrawingFormat(StrEnum):
    """How a flow is drawn."""

    SVG = "svg"
    TEXT = "text"


@app.command(
    epilog=epilog(
        "stdops graph release.json",
        "stdops graph release --format svg -o release.svg",
        "stdops graph release-1f2e3d4c",
        codes=[Code.ERRORS, Code.REFUSED, Code.UNREACHABLE],
    )
)
def graph(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE", help="An export (- is stdin), a stored template's key, or a run's id."
        ),
    ],
    template: ChosenTemplate = "",
    *,
    form: Annotated[
        DrawingFormat | None,
        typer.Option("--format", help="svg or text; by default what -o is called, else text."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", metavar="FILE", help="Write there instead.")
    ] = None,
    is_run: Annotated[
        bool | None,
        typer.Option("--run/--template", help="Which of the two, where both have that name."),
    ] = None,
    print_temporal: PrintTemporal = False,
) -> None:
    """Draw a template, or a run as it stands, as text or as SVG."""
    in_svg = form is DrawingFormat.SVG or (form is None and out is not None and _is_svg(out))
    argument: dict[str, JsonValue] | None = {"format": "svg"} if in_svg else None
    if print_temporal:
        from workers.cli.temporal_command import query, show
        from workers.settings import load_settings

        show(load_settings(), query(source, "diagram", argument))
    elif is_run if is_run is not None else _means_a_run(source, template):
        drawing = await_now(_drawn_run(source, argument))
        _put(drawing, out, signed=not in_svg)
    else:
        _put(_drawn(chosen_plan(source, template), in_svg=in_svg, coloured=out is None), out)


def _put(drawing: str, out: Path | None, *, signed: bool = False) -> None:
    """Print a drawing, or write it to a file; `signed` colours its lines by their signs."""
    if out is not None:
        out.write_text(drawing + "\n", "utf-8")
        remark(f"wrote {out} ({len(drawing.encode())} bytes)")
    elif signed:
        from workers.cli.follow import drawing_of

        console().print(drawing_of(drawing))
    else:
        typer.echo(drawing)


def _is_svg(out: Path) -> bool:
    return out.suffix.lower() == ".svg"


# --- what is meant ------------------------------------------------------------------------------


def _means_a_run(name: str, template: str) -> bool:
    """Say whether `name` is a run's id; a file or a template in it never is.

    Raises:
        StdopsError: it is both a run and a stored template, or neither (SOP541).
    """
    from workers.cli.templates import is_stored, looks_like_a_file

    if template or looks_like_a_file(name):
        return False
    stored = is_stored(name)
    try:
        known = await_now(_is_known(name))
    except (StdopsError, TimeoutError) as error:
        if stored:
            return False
        raise _neither(name, error) from None
    if stored and known:
        what = f"{name!r} is a stored template and a run, too"
        raise StdopsError("SOP541", what, fix="say which by --template or --run")
    return known


def _neither(name: str, error: StdopsError | TimeoutError) -> StdopsError:
    """Return the error for a name that means nothing."""
    hint = error.fix if isinstance(error, StdopsError) and error.code == "SOP504" else ""
    no_run = "nor a run" if hint else "and no server answers whether it is a run"
    fix = hint or "give the path of an export, a key from `stdops import`, or a run's id"
    return StdopsError(
        "SOP541", f"{name!r} is neither a file nor a template here, {no_run}", fix=fix
    )


async def _is_known(name: str) -> bool:
    """Say whether there is a run of that name; with a name that means nothing it is an error."""
    import asyncio

    from workers.client import Runs, connect
    from workers.settings import load_settings

    settings = load_settings()
    async with asyncio.timeout(_ASK_S):  # loading the client, above, does not count as waiting
        client = await connect(settings)
        described = client.get_workflow_handle(name).describe()
        await Runs(client, settings).ask(name, described)
    return True


# --- drawing ------------------------------------------------------------------------------------


async def _drawn_run(name: str, argument: Any) -> str:
    from workers.cli.wiring import connected
    from workers.settings import load_settings

    connection = await connected(load_settings())
    return str(await connection.runs.query(name, "diagram", argument))


def _drawn(chosen: "Plan", *, in_svg: bool, coloured: bool) -> str:
    import shutil
    import sys

    from workflows.machine.view import svg, text

    if in_svg:
        return svg(chosen, None, 0)
    width = shutil.get_terminal_size((100, 24)).columns
    return text(chosen, None, 0, max(width, 40), color=coloured and sys.stdout.isatty())
