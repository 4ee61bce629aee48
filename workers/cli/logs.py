"""The command that shows what workers have logged of a run."""

import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from workers.cli.app import app
from workers.cli.options import RunId, epilog
from workers.cli.output import Code, print_line, remark

PAUSE_S: Final = 0.3
_COLOURS: Final = {"error": "red", "critical": "red", "warning": "yellow", "debug": "bright_black"}
_CANDIDATES: Final = 10


@app.command(
    epilog=epilog(
        "stdops logs release-1f2e3d4c",
        "stdops logs release-1f2e3d4c deploy --follow",
        "stdops logs release-1f2e3d4c --file web-2/worker.log",
        codes=[Code.REFUSED, Code.INTERRUPTED],
    )
)
def logs(
    name: RunId,
    node: Annotated[
        str, typer.Argument(metavar="[NODE]", help="Only lines of a node: its path or id.")
    ] = "",
    *,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until Ctrl-C.")] = False,
    files: Annotated[
        list[Path],
        typer.Option("--file", metavar="FILE", help="Another worker's log; several may be given."),
    ] = [],  # noqa: B006  typer copies it
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the lines as they are kept, for programs.")
    ] = False,
) -> None:
    """Show what workers have logged of a run.

    What plugins say of their work stands there, too. A worker keeps its log as JSON lines in a file
    (STDOPS_LOG_FILE, else worker.log in its data folder); this reads that of the workers on this
    machine. It needs neither server nor worker.
    """
    from workers.logs import files_of
    from workers.settings import load_settings

    chosen = files or [load_settings().log_file]
    tails = [_tail(file) for file in chosen] if follow else []
    found = [one for file in chosen for one in files_of(file)]
    shown = _show(found, name, node, as_json=as_json)
    if not shown and not follow:
        _tell_where(name, node, chosen, found)
    if follow:
        _go_on(tails, name, node, as_json=as_json)


def _tail(file: Path) -> Any:
    from workers.log_lines import Tail

    return Tail(file)


def _show(files: Sequence[Path], run: str, node: str, *, as_json: bool) -> int:
    from workers.log_lines import lines_of, read_lines

    return _print(lines_of(read_lines(files), run), run, node, as_json=as_json)


def _print(lines: Iterable[Any], run: str, node: str, *, as_json: bool) -> int:
    """Print the lines of a node, "" for all; return how many."""
    from workers.log_lines import as_text, is_of

    count = 0
    for line in lines:
        if node and not is_of(line, node):
            continue
        count += 1
        if as_json:
            print_line(line)
        else:
            typer.secho(as_text(line, run), fg=_COLOURS.get(str(line.get("level"))))
    return count


def _go_on(tails: Sequence[Any], run: str, node: str, *, as_json: bool) -> None:
    from workers.log_lines import lines_of

    try:
        while True:
            for tail in tails:
                _print(lines_of(tail.new(), run), run, node, as_json=as_json)
            time.sleep(PAUSE_S)
    finally:
        for tail in tails:
            tail.close()


def _tell_where(run: str, node: str, chosen: Sequence[Path], found: Sequence[Path]) -> None:
    """Say where was looked, and which nodes the log has lines of."""
    from workers.log_lines import lines_of, read_lines

    told = dict.fromkeys(str(line.get("node", "")) for line in lines_of(read_lines(found), run))
    nodes = [path for path in told if path]
    if node and nodes:
        remark(f"no line of node {node!r}; there are lines of {', '.join(nodes[:_CANDIDATES])}")
    else:
        remark(f"no line of run {run!r}")
    for file in chosen:
        remark(f"  looked in {file}" if file in found else f"  there is no {file}")
    remark("  workers elsewhere keep their own: name it by --file, or set STDOPS_LOG_FILE")
