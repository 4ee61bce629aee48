"""Says what was measured: tables for people, JSON for programs."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple

from rich.console import Console
from rich.table import Table

from bench.budgets import Budget, budgets
from bench.results import RECORDED, Results, Row, machine_facts

WIDTH: Final = 180
"""Columns of a table that goes into a file."""


class Column(NamedTuple):
    """A column of figures: its head, the field of the row, decimals."""

    head: str
    field: str
    digits: int


COLUMNS: Final = (
    Column("nodes/s", "nodes_s", 1),
    Column("worker ms", "cpu_ms", 2),
    Column("server ms", "server_ms", 2),
    Column("events", "events", 2),
    Column("bytes", "bytes", 0),
    Column("p50 ms", "p50_ms", 1),
    Column("p99 ms", "p99_ms", 1),
    Column("RSS MB", "rss_before_mb", 0),
    Column("peak", "rss_peak_mb", 0),
    Column("after", "rss_after_mb", 0),
)
MEANING: Final = (
    "worker ms, server ms, events, bytes: a node. p50, p99: a run, from its start to its result. "
    "RSS: the worker's, before, at most, after; of runs that wait, after is with all of them alive."
)


def cells(row: Row) -> list[str]:
    """Return a row as text, "" for what was not told."""
    figures: Mapping[str, float | None] = row._asdict()
    told = ((each, figures[each.field]) for each in COLUMNS)
    named = row.contestant + (" (recorded elsewhere)" if row in RECORDED else "")
    return [
        row.title,
        row.kind,
        named,
        *("" if value is None else f"{value:,.{each.digits}f}" for each, value in told),
    ]


def figure(value: float) -> str:
    """Return a figure with as many digits as tell something."""
    return f"{value:,.0f}" if value >= 1_000 else f"{value:,.3g}"  # noqa: PLR2004  four digits


def with_recorded(rows: Sequence[Row]) -> Iterator[Row]:
    """Yield the rows, after those of a shape what was recorded of it elsewhere."""
    for number, row in enumerate(rows):
        yield row
        following = rows[number + 1 : number + 2]
        if not following or (following[0].key, following[0].kind) != (row.key, row.kind):
            yield from (r for r in RECORDED if (r.key, r.kind) == (row.key, row.kind))


def show(found: Results, console: Console) -> None:
    """Print the tables, and what failed."""
    if found.rows:
        table = Table(title="Side by side", caption=MEANING)
        for head in ("shape", "kind", "contestant"):
            table.add_column(head, overflow="fold")
        for column in COLUMNS:
            table.add_column(column.head, justify="right")
        for row in with_recorded(found.rows):
            table.add_row(*cells(row))
        console.print(table)
    if found.replay_ms:
        told = (f"{name} {took:,.0f} ms" for name, took in found.replay_ms.items())
        console.print(f"replay of the line: {', '.join(told)}")
    console.print(_budget_table(budgets(found)))
    for failure in found.failures:
        console.print(f"[red]{failure}[/red]")


def _budget_table(found: Sequence[Budget]) -> Table:
    table = Table("budget", title="Budgets")
    for head in ("goal", "measured"):
        table.add_column(head, justify="right")
    table.add_column("")
    for each in found:
        verdict = "[green]met[/green]" if each.is_met else "[red]MISSED[/red]"
        table.add_row(each.name, each.bound, figure(each.measured), verdict)
    return table


def console_of(*, error: bool = False) -> Console:
    """Return where to print; wide enough for the tables where that is no terminal."""
    made = Console(stderr=error)
    return made if made.is_terminal else Console(stderr=error, width=WIDTH)


def as_json(found: Results, *, quick: bool, is_complete: bool) -> dict[str, object]:
    """Return everything for programs.

    `rows` and `recorded` have the same fields; `is_complete` is false where it was cut short.
    """
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine_facts(),
        "quick": quick,
        "complete": is_complete,
        "budgets": [each.as_json() for each in budgets(found)],
        "rows": [row._asdict() for row in found.rows],
        "recorded": [row._asdict() for row in RECORDED],
        "machine_steps": [pace._asdict() for pace in found.paces],
        "compile_ms": found.compile_ms,
        "replay_ms": found.replay_ms,
        "failures": found.failures,
    }
