"""The command that replays histories with this build: the gate before a release."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from stdops import StdopsError
from workers.cli.app import app
from workers.cli.options import JsonFlag, epilog
from workers.cli.output import Code, await_now, complain, end, print_json, remark

if TYPE_CHECKING:
    from temporalio.client import WorkflowHistory

    from workers.replaying import Replayed

MOST_RUNS: Final = 1000


@app.command(
    epilog=epilog(
        "stdops replay release-1f2e3d4c",
        "stdops replay history.json other.json",
        "stdops replay --running --query 'StdopsTemplate=\"release\"'",
        codes=[Code.ERRORS, Code.REFUSED, Code.UNREACHABLE],
    )
)
def replay(
    histories: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[HISTORY]...",
            help="Files from `temporal workflow show --output json` or the Web UI, or runs' ids.",
            show_default=False,
        ),
    ] = None,
    *,
    running: Annotated[
        bool, typer.Option("--running", help="All open runs of the task queue.")
    ] = False,
    query: Annotated[
        str, typer.Option(help="With --running: only those a list filter finds.")
    ] = "",
    limit: Annotated[int, typer.Option(min=1, help="With --running: at most so many.")] = MOST_RUNS,
    as_json: JsonFlag = False,
) -> None:
    """Replay histories with this build, and say which runs it could not take on.

    Run it with the new build before it is deployed: a run that does not replay would stand still.
    """
    from workers.replaying import read_file

    named = histories or []
    if running == bool(named):
        raise StdopsError(
            "SOP551",
            "name histories, or give --running; one of the two",
            fix="`stdops replay --running` replays every open run",
        )
    files = [Path(name) for name in named if Path(name).is_file()]
    runs = [name for name in named if not Path(name).is_file()]
    wanted = [read_file(file) for file in files]
    found = await_now(_replayed(wanted, runs, query if running else None, limit))
    if as_json:
        print_json([as_object(one) for one in found])
    else:
        _tell(found)
    if not all(one.is_well for one in found):
        end(Code.ERRORS)


def as_object(replayed: "Replayed") -> dict[str, Any]:
    """Return what came of a history as the JSON that is printed."""
    return {**replayed._asdict(), "replays": replayed.is_well}


async def _replayed(
    given: "Sequence[WorkflowHistory]", runs: Sequence[str], query: str | None, limit: int
) -> "list[Replayed]":
    from workers.cli.wiring import connected
    from workers.payloads import data_converter
    from workers.replaying import histories_found, histories_of, replay
    from workers.settings import load_settings

    settings = load_settings()

    async def chosen() -> "AsyncIterator[WorkflowHistory]":
        for history in given:
            yield history
        if not runs and query is None:
            return
        client = (await connected(settings)).client
        queue = settings.task_queue
        found = (
            histories_of(client, runs)
            if runs
            else histories_found(client, queue, query or "", limit)
        )
        async for history in found:
            yield history

    return [one async for one in replay(chosen(), data_converter(settings))]


def _tell(found: "Sequence[Replayed]") -> None:
    for one in found:
        if one.is_well:
            typer.echo(f"{typer.style('✓', fg='green')} {one.name}  {one.events} events")
            continue
        complain(f"✗ {one.name}  {one.events} events: {one.problem}")
        typer.echo(f"  {one.fix}")
    bad = sum(not one.is_well for one in found)
    remark(f"{len(found) - bad} of {len(found)} replay" if found else "no histories")
