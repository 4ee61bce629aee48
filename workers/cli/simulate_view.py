"""What `stdops simulate` shows: the path taken, as a table, and where it ended."""

import asyncio
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

import typer
from pydantic import JsonValue

from activities.contract import RunSettings
from stdops import StdopsError
from translator.plan import Plan
from workers.cli.output import plain, remark, short, show_table, table
from workers.rehearsal import Mocks, Rehearsed, Row, rehearse
from workflows.inputs import read_inputs
from workflows.machine.view.signs import SIGNS

if TYPE_CHECKING:
    from activities.registry import Registry

_HIDDEN: Final = frozenset({"_result", "_loop", "_inner_loop", "ex_data", "_forced_failed"})
_SILENT: Final = frozenset({"start", "end"})
_LOOKS: Final = {
    "finished": ("done", "green"),
    "skipped": ("skipped", "dim"),
    "failed": ("failed", "red"),
    "running": ("waiting", "magenta"),
    "suspended": ("paused", "yellow"),
    "revoked": ("revoked", "dim"),
}
_ENDINGS: Final = {
    "finished": ("✓ the run finishes", "green"),
    "failed": ("✗ the run stands with failed nodes", "red"),
    "waiting": ("◷ the run waits for somebody", "magenta"),
    "endless": ("✗ the run does not end by itself: stopped after 200,000 steps", "red"),
}


def play(
    plan: Plan,
    registry: "Registry",
    values: Mapping[str, JsonValue],
    mocks: Mocks,
    *,
    strict: bool = False,
) -> Rehearsed:
    """Rehearse a plan with the settings of this machine; `strict` is over them.

    Raises:
        StdopsError: the values are not the plan's (SOP220), or a mock is for nobody (SOP544).
    """
    from workers.settings import load_settings

    inputs = read_inputs(plan.flow, values)
    if inputs.problems:
        raise StdopsError(
            "SOP220", "; ".join(inputs.problems), where=f"template {plan.template_key}"
        )
    for note in inputs.notes:
        remark(note)
    known = load_settings()
    settings = RunSettings(
        rerun_limit=known.rerun_limit,
        in_flight=known.in_flight,
        timezone=known.timezone,
        project=known.project,
        strict=strict or known.strict,
    )
    return asyncio.run(rehearse(plan, settings, mocks, inputs.variables, registry))


def as_data(plan: Plan, seen: Rehearsed) -> dict[str, Any]:
    """Return a rehearsal as JSON data; times are virtual seconds from the start."""
    standing = [
        {"node": one.path, "name": one.name, "reason": one.reason, "verbs": list(one.verbs)}
        for one in seen.standing
    ]
    return {
        "template": plan.template_key,
        "state": seen.state,
        "elapsed_s": seen.elapsed_s,
        "outputs": dict(seen.outputs),
        "path": [asdict(row) for row in seen.rows],
        "standing": standing,
        "warnings": [one.model_dump(mode="json") for one in seen.warnings],
    }


def show(plan: Plan, seen: Rehearsed) -> None:
    """Print a rehearsal for people."""
    made = table(
        "TIME", "", "NODE", "PLUGIN", "TOOK", "RESULT", narrow=("TIME", "", "TOOK"), right=("TIME",)
    )
    for row in seen.rows:
        if row.kind not in _SILENT or row.status == "failed":
            _add(made, row)
    show_table(made, f"{plan.name or plan.template_key}: the path taken, in virtual time")
    words, colour = _ENDINGS.get(seen.state, (seen.state, None))
    typer.secho(f"\n{words} after {clock(seen.elapsed_s)}", fg=colour, bold=True)
    for one in seen.standing:
        typer.echo(f"  {one.name} ({one.path}): {short(one.reason, 200)}")
        typer.secho(f"    what would move it: {', '.join(one.verbs) or 'nothing'}", dim=True)
    for one in seen.warnings:
        typer.secho(f"  ⚠ {one.name} ({one.path}): {one.text}", fg="yellow")
    for key, value in seen.outputs.items():
        typer.echo(f"  {key} = {short(value)}")


def clock(seconds: float) -> str:
    """Return a length of time as `h:mm:ss`, with a fraction where there is one."""
    whole = int(seconds)
    fraction = f"{seconds - whole:.3f}"[1:].rstrip("0").rstrip(".")
    return f"{whole // 3600}:{whole % 3600 // 60:02}:{whole % 60:02}{fraction}"


def _add(made: Any, row: Row) -> None:
    look, colour = _LOOKS.get(row.status, ("todo", "dim"))
    took = "" if row.ended is None or row.ended == row.at else clock(row.ended - row.at)
    shown = {key: value for key, value in row.outputs.items() if key not in _HIDDEN}
    result = row.error or (short(shown) if shown else "")
    depth = "  " * row.path.count("/")
    again = f" #{row.entry}" if row.entry > 1 else ""
    name = f"{depth}{row.name}{again}"
    plugin = row.plugin or row.kind.replace("_", " ")
    style = colour if row.plugin else "dim" if row.status == "finished" else colour
    signed = plain([clock(row.at), SIGNS[look], name, plugin, took, result])
    signed[1].stylize(colour)
    signed[2].stylize("" if row.plugin else style)
    signed[3].stylize("dim")
    if row.error:
        signed[5].stylize("red")
    made.add_row(*signed)
