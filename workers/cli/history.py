"""The command that shows what a run did and what people did to it, in order of time."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from stdops import StdopsError
from workers.cli.app import app
from workers.cli.options import JsonFlag, PrintTemporal, RunId, epilog
from workers.cli.output import (
    Code,
    await_now,
    plain,
    print_json,
    print_line,
    remark,
    short,
    show_table,
    table,
)

if TYPE_CHECKING:
    from rich.text import Text

    from workers.cli.wiring import Connection
    from workers.inspection.actions import Action
    from workers.inspection.attempts import Attempt

_STYLES: Final = {
    "done": "green",
    "failed": "red",
    "refused": "red",
    "running": "blue",
    "polling": "blue",
    "waiting": "magenta",
    "left": "dim",
    "cancelled": "dim",
}
_CUT: Final = 60


@dataclass(frozen=True, slots=True)
class Record:
    """All that is known of what happened in a run; `lost`: the server has dropped the beginning."""

    attempts: "Sequence[Attempt]"
    actions: "Sequence[Action]"
    lost: bool = False
    silence: str = ""


@app.command(
    epilog=epilog(
        "stdops history release-1f2e3d4c",
        "stdops history release-1f2e3d4c --full",
        "stdops history release-1f2e3d4c --audit >> audit.jsonl",
        codes=[Code.REFUSED, Code.UNREACHABLE],
    )
)
def history(
    name: RunId,
    *,
    audit: Annotated[
        bool,
        typer.Option("--audit", help="Only what people did, one JSON object a line."),
    ] = False,
    full: Annotated[bool, typer.Option("--full", help="Show values whole.")] = False,
    as_json: JsonFlag = False,
    print_temporal: PrintTemporal = False,
) -> None:
    """Show what a run did, and what people did to it.

    Each attempt of each node and each action of a person stand in order of time. They are read from
    the run's history on the server, over all its parts, which needs no worker; with one, it is told
    of signals whether they were refused. Secrets are masked, also with --full.
    """
    from workers.settings import load_settings

    if print_temporal:
        from workers.cli.temporal_command import history as events
        from workers.cli.temporal_command import query, show

        show(load_settings(), events(name), query(name, "history"))
        return
    record = await_now(_record(name))
    _tell_gaps(record)
    if audit:
        for action in record.actions:
            print_line(action_data(action))
    elif as_json:
        print_json(as_data(record))
    else:
        tell(record, full=full)


# --- reading ------------------------------------------------------------------------------------


async def _record(name: str) -> Record:
    from workers.cli.wiring import connected
    from workers.settings import load_settings

    return await read_record(await connected(load_settings()), name)


async def read_record(connection: "Connection", name: str) -> Record:
    """Return what happened in a run, from its history and its own journal.

    Raises:
        StdopsError: the run is unknown, or the server is away.
    """
    from workers.cli.wiring import has_worker
    from workers.inspection.actions import actions_of, journal_of
    from workers.inspection.attempts import attempts_of
    from workers.inspection.parts import read_parts

    parts = await read_parts(connection.client, connection.runs, name)
    answer, silence = None, "no worker polls the queue"
    if await has_worker(connection):
        try:
            answer, silence = await connection.runs.query(name, "history"), ""
        except StdopsError as error:
            silence = error.what
    actions = await actions_of(parts.events, journal_of(parts.found, answer))
    return Record(await attempts_of(parts.events), actions, parts.lost, silence)


def _tell_gaps(record: Record) -> None:
    if record.lost:
        remark("the server has dropped the beginning of the history; what is shown is the rest")
    unsure = sum(action.accepted is None for action in record.actions)
    if record.silence and unsure:
        remark(
            f"{record.silence}: of {unsure} signals it cannot be said whether they were accepted"
        )


# --- showing ------------------------------------------------------------------------------------


def as_data(record: Record) -> dict[str, Any]:
    """Return a record for programs; times are ISO 8601, UTC."""
    return {
        "attempts": [attempt_data(each) for each in record.attempts],
        "actions": [action_data(each) for each in record.actions],
        "complete": not record.lost,
    }


def attempt_data(attempt: "Attempt") -> dict[str, Any]:
    """Return an attempt for programs."""
    times = {"started": _iso(attempt.started), "ended": _iso(attempt.ended)}
    return {**asdict(attempt), **times, "took_s": round(attempt.took_s, 3)}


def action_data(action: "Action") -> dict[str, Any]:
    """Return an action for programs: a line of the audit."""
    return {**asdict(action), "at": _iso(action.at)}


def tell(record: Record, *, full: bool) -> None:
    """Print a record as one table; with `full` the values of each attempt below its line."""
    made = table(
        "STARTED", "WHAT", "NODE", "TRY", "TOOK", "OUTCOME", narrow=("STARTED", "TRY", "TOOK")
    )
    rows = [(each.started, _attempt_cells(each, full=full)) for each in record.attempts]
    rows += [(each.at, _action_cells(each)) for each in record.actions]
    for _, cells in sorted(rows, key=lambda row: row[0]):
        made.add_row(*cells)
    if not rows:
        remark("nothing has happened yet")
        return
    show_table(made)


def _attempt_cells(attempt: "Attempt", *, full: bool) -> "list[Text]":
    from workflows.machine.view.signs import span

    node = f"{attempt.name} ({attempt.node})" if attempt.node != attempt.name else attempt.node
    took = span(attempt.took_s, exact=True) if attempt.ended else ""
    what = attempt.plugin or attempt.kind
    tried = str(attempt.attempt) if attempt.kind == "task" else ""
    outcome = "\n".join([attempt.outcome, *_details(attempt, full=full)])
    cells = plain([_time(attempt.started), what, node if attempt.node else attempt.name, tried])
    cells += plain([took, outcome])
    cells[-1].stylize(_STYLES.get(attempt.outcome, ""), 0, len(attempt.outcome))
    return cells


def _details(attempt: "Attempt", *, full: bool) -> list[str]:
    """Return what there is to say of an attempt beside its outcome, a line each."""
    lines = [attempt.note, attempt.error if full else short(attempt.error, _CUT * 2)]
    lines += [f"⚠ {warning}" for warning in attempt.warnings]
    for sign, values in (("←", attempt.inputs), ("→", attempt.outputs)):
        named = {key: value for key, value in values.items() if full or not key.startswith("_")}
        shown = [f"{sign} {key} = {_value(value, full=full)}" for key, value in named.items()]
        lines += shown if full else shown[:3]
        if not full and len(shown) > 3:  # noqa: PLR2004  as many as a glance takes in
            lines.append(f"{sign} and {len(shown) - 3} more")
    return [line for line in lines if line]


def _value(value: object, *, full: bool) -> str:
    return short(value, 1_000_000) if full else short(value, _CUT)


def _action_cells(action: "Action") -> "list[Text]":
    words = {True: "accepted", False: "refused", None: "not known whether accepted"}
    reason = f": {action.reason}" if action.reason else ""
    changed = f" ({', '.join(action.changed)})" if action.changed else ""
    lines = [f"{words[action.accepted]}, by {action.who or 'somebody'}{reason}{changed}"]
    lines += [action.refusal] if action.refusal else []
    cells = plain([_time(action.at), action.verb, action.node, "", "", "\n".join(lines)])
    for cell in cells[1:3]:
        cell.stylize("bold")
    if action.accepted is False:
        cells[-1].stylize(_STYLES["refused"])
    return cells


def _time(at: float) -> str:
    return f"{datetime.fromtimestamp(at).astimezone():%m-%d %H:%M:%S}" if at else ""


def _iso(at: float) -> str | None:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds") if at else None
