"""Shows a run while it goes on: redrawn in place on a terminal, else a line for each change."""

import asyncio
import shutil
import sys
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

import typer

from stdops import StdopsError
from workers.cli.output import Code, console, short

if TYPE_CHECKING:
    from rich.console import RenderableType

    from workers.client import Runs
    from workers.troubles import Trouble

PAUSE_S: Final = 0.5
SIGNS: Final[Mapping[str, tuple[str, str]]] = {
    "Running": ("▶", "blue"),
    "Waiting": ("◷", "magenta"),
    "Paused": ("‖", "yellow"),
    "Failed": ("✗", "red"),
    "Finished": ("✓", "green"),
    "Revoked": ("⊘", "dim"),
}
_BY_SIGN: Final = {
    "✗": "red",
    "◷": "magenta",
    "‖": "yellow",
    "▶": "blue",
    "⊘": "dim",
    "✓": "green",
    "↷": "dim",
    "○": "dim",
}
_SHOWN_NODES: Final = 4
_SHOWN_FAILED: Final = 2
_SHOWN: Final = 10
WARNED: Final = "⚠"

Status = Mapping[str, Any]


class Screen(Protocol):
    """Where a run is shown."""

    def show(self, status: Status, drawing: str) -> None:
        """Show where the run stands now."""
        ...


async def follow(runs: "Runs", run: str, *, drawn: bool | None = None) -> Code:
    """Show a run until it ends or stands with failed nodes, and return how.

    `drawn` None draws where output is a terminal. A result is printed below the last picture.

    Raises:
        StdopsError: the run failed, or cannot be read.
    """
    in_place = sys.stdout.isatty() if drawn is None else drawn
    with _screen(run, in_place=in_place) as screen:
        result = await watch(runs, run, screen, in_place=in_place)
    return Code.STANDING if result is None else tell_result(result)


async def watch(
    runs: "Runs", run: str, screen: "Screen | None" = None, *, in_place: bool = False
) -> Mapping[str, Any] | None:
    """Wait for the end of a run and return its result, or None where it stands.

    Raises:
        StdopsError: the run failed, or cannot be read.
    """
    result = asyncio.ensure_future(runs.result(run))
    try:
        while not result.done():
            status = await _show(runs, run, screen, in_place=in_place)
            if stands(status):
                return None
            await asyncio.wait({result}, timeout=PAUSE_S)
        await _show(runs, run, screen, in_place=in_place)
        return await result
    finally:
        result.cancel()


async def moved(runs: "Runs", run: str) -> None:
    """Wait until a run that stands goes on, or has ended."""
    while True:
        status = await runs.query(run, "status")
        if not stands(status):
            return
        await asyncio.sleep(PAUSE_S)


def stands(status: Status) -> bool:
    """Say whether only a person can move a run: nodes have failed and nothing else goes on."""
    waiting = _nodes(status, "waiting")
    by_itself = _nodes(status, "running") or [node for node in waiting if node.get("deadline")]
    return bool(_nodes(status, "failed")) and not by_itself


def tell_result(result: Mapping[str, Any]) -> Code:
    """Print how a run ended."""
    state = str(result.get("state", "")).capitalize()
    sign, colour = SIGNS.get(state, ("•", "white"))
    typer.secho(f"{sign} {state.lower()}", fg=None if colour == "dim" else colour, bold=True)
    for word in ("skipped", "ignored"):
        if result.get(word):
            typer.echo(f"  {word}: {', '.join(result[word])}")
    for path, texts in cast("dict[str, list[str]]", result.get("warnings") or {}).items():
        for text in texts:
            typer.secho(f"  {WARNED} {path}: {text}", fg="yellow")
    for key, value in cast("dict[str, Any]", result.get("outputs") or {}).items():
        typer.echo(f"  {key} = {short(value)}")
    return Code.OK if state == "Finished" else Code.ERRORS


def headline(status: Status) -> str:
    """Return a run's state, its progress and its nodes under way in one line."""
    state = str(status.get("state", ""))
    counts = cast("dict[str, int]", status.get("counts") or {})
    done = counts.get("done", 0) + counts.get("skipped", 0)
    words = [f"{SIGNS.get(state, ('•', ''))[0]} {state}"]
    if counts:
        words.append(f"{done}/{sum(counts.values())}")
    for group in ("failed", "waiting", "running"):
        names = [str(node.get("name") or node.get("path")) for node in _nodes(status, group)]
        if names:
            more = f" and {len(names) - _SHOWN_NODES} more" if len(names) > _SHOWN_NODES else ""
            words.append(f"{group}: {', '.join(names[:_SHOWN_NODES])}{more}")
    return "  ".join([*words, str(status.get("reason") or "")]).rstrip()


def failures(status: Status) -> list[str]:
    """Return a line for each failed node: what, where, why."""
    return [
        f"✗ {node.get('name')} ({node.get('path')}): {short(node.get('reason', ''), 200)}"
        for node in _nodes(status, "failed")
    ]


def warnings(status: Status) -> list[str]:
    """Return a line for each of the latest warnings of nodes, and one for those left out."""
    told = _nodes(status, "warnings")
    lines = [f"{WARNED} {one['name']} ({one['path']}): {one['text']}" for one in told[:_SHOWN]]
    more = int(status.get("warnings_count", 0)) - len(lines)
    return [*lines, *([f"{WARNED} and {more} more warnings"] if more > 0 else [])]


def trouble_lines(troubles: "Sequence[Trouble]") -> list[str]:
    """Return a line for each of the first steps that are tried again, and for those left out."""
    from workers.troubles import told

    now = datetime.now().astimezone()
    lines = [f"{WARNED} {told(trouble, now)}" for trouble in troubles[:_SHOWN]]
    more = len(troubles) - len(lines)
    return [*lines, *([f"{WARNED} and {more} more steps that are tried again"] if more else [])]


def next_steps(run: str, status: Status, prefix: str = "") -> list[str]:
    """Return the commands that would move a run that stands."""
    steps: list[str] = []
    for node in _nodes(status, "failed")[:2]:
        for verb in node.get("verbs", ()):
            branch = " BRANCH" if verb == "choose" else ""
            steps.append(f"{prefix}stdops {verb} {run} {node['path']}{branch}")
    return [*steps, f"{prefix}stdops revoke {run}"]


def drawing_of(text: str) -> "RenderableType":
    """Return a drawing with its lines coloured by their signs."""
    from rich.text import Text

    lines: list[Text] = []
    for line in text.splitlines():
        sign = next((char for char in line if char in _BY_SIGN), "")
        lines.append(Text(line, style=_BY_SIGN.get(sign, ""), no_wrap=True, overflow="ellipsis"))
    return Text("\n").join(lines)


# --- screens ----------------------------------------------------------------------------------


async def _show(runs: "Runs", run: str, screen: Screen | None, *, in_place: bool) -> Status:
    """Read the run and show it; a run that has just ended may have no worker left to ask."""
    try:
        status: Status = await runs.query(run, "status")
        drawing = str(await runs.query(run, "diagram")) if in_place else ""
    except StdopsError as error:
        if error.code != "SOP505":
            raise
        status = {"state": "Running", "reason": f"no worker answers: `stdops explain {run}`"}
        drawing = ""
    if screen is not None:
        screen.show(status, drawing)
    return status


def _screen(run: str, *, in_place: bool) -> AbstractContextManager[Screen]:
    return _Picture(run) if in_place else nullcontext(_Lines())


class _Lines:
    """Prints a line with the time whenever something has changed."""

    def __init__(self) -> None:
        self._last = ""

    def show(self, status: Status, drawing: str) -> None:  # noqa: ARG002  see `Screen`
        line = headline(status)
        if line != self._last:
            self._last = line
            typer.echo(f"{datetime.now().astimezone():%H:%M:%S}  {line}")


class _Picture:
    """Redraws the flow in place; the last picture stays."""

    def __init__(self, run: str) -> None:
        self._run = run
        self._drawing: Sequence[str] = ()

    def __enter__(self) -> Screen:
        from rich.live import Live

        self._live = Live(
            console=console(), auto_refresh=False, transient=False, vertical_overflow="crop"
        )
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def show(self, status: Status, drawing: str) -> None:
        """Draw the flow below its headline, and what has failed below it; as high as fits."""
        from rich.console import Group
        from rich.text import Text

        colour = SIGNS.get(str(status.get("state")), ("", "white"))[1]
        head = Text(headline(status), style=f"bold {colour}", no_wrap=True, overflow="ellipsis")
        self._drawing = drawing.splitlines() or self._drawing
        foot = footer(self._run, status)
        room = max(shutil.get_terminal_size().lines - 4 - len(foot), 8)
        cut = _window(self._drawing, room)
        told = Text("\n".join(foot), style="red", no_wrap=True, overflow="ellipsis")
        parts = [head, drawing_of("\n".join(cut)), *([told] if foot else [])]
        self._live.update(Group(*parts), refresh=True)


def footer(run: str, status: Status) -> list[str]:
    """Return a line for each of the first failed nodes, and the command that tries it again."""
    nodes = _nodes(status, "failed")[:_SHOWN_FAILED]
    lines = failures(status)[:_SHOWN_FAILED]
    steps = [f"  stdops {node['verbs'][0]} {run} {node['path']}" for node in nodes if node["verbs"]]
    more = len(_nodes(status, "failed")) - len(nodes)
    return [*lines, *steps, *([f"  and {more} more have failed"] if more > 0 else [])]


def _window(lines: Sequence[str], room: int) -> Sequence[str]:
    """Return the part of a drawing that fits and has what is going on in it."""
    if len(lines) <= room:
        return lines
    hot = next((n for n, line in enumerate(lines) if any(s in line for s in "✗◷‖▶")), 0)
    first = min(max(0, hot - room // 3), len(lines) - room)
    return lines[first : first + room]


def _nodes(status: Status, group: str) -> list[dict[str, Any]]:
    return [dict(node) for node in status.get(group) or ()]
