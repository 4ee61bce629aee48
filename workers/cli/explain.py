"""The command that says why a run is not finished: a paragraph, what stands in its way, a tree."""

from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from stdops import StdopsError
from workers.cli.app import app
from workers.cli.options import JsonFlag, PrintTemporal, RunId, epilog
from workers.cli.output import Code, await_now, console, print_json

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from workers.cli.wiring import Connection
    from workers.inspection.explanation import Held, Told
    from workers.inspection.facts import Facts
    from workflows.machine.view import Explanation

ASK_S: Final = 10.0
"""How long a run may take to answer; a healthy one does so in milliseconds."""

MOST_CALLBACKS: Final = 10

_STYLES: Final = {
    "failed": "red",
    "waiting": "magenta",
    "paused": "yellow",
    "running": "blue",
    "revoked": "dim",
}


@app.command(
    epilog=epilog(
        "stdops explain release-1f2e3d4c",
        "stdops explain release-1f2e3d4c --json",
        codes=[Code.REFUSED, Code.UNREACHABLE],
    )
)
def explain(
    name: RunId, *, as_json: JsonFlag = False, print_temporal: PrintTemporal = False
) -> None:
    """Say why a run is not finished.

    It names the nodes that hold it, since when, what they wait for and what would release them. It
    also answers while no worker does: then from what the server alone knows.
    """
    from workers.settings import load_settings

    settings = load_settings()
    if print_temporal:
        from workers.cli.temporal_command import describe, pollers, query, show

        show(settings, query(name, "explain"), describe(name), pollers(settings.task_queue))
        return
    told = await_now(_explained(name))
    if as_json:
        print_json(told.model_dump(mode="json"))
    else:
        tell(told, console(), _now())


def _now() -> float:
    return datetime.now().astimezone().timestamp()


# --- asking -------------------------------------------------------------------------------------


async def _explained(name: str) -> "Told":
    from workers.cli.wiring import connected
    from workers.settings import load_settings

    return await explained(await connected(load_settings()), name)


async def explained(connection: "Connection", name: str) -> "Told":
    """Return why a run is where it is, from all who know something of it.

    Raises:
        StdopsError: the run is unknown, or the server is away.
    """
    from dataclasses import replace

    from workers.inspection.explanation import join, queues_of
    from workers.inspection.facts import read_facts, read_pollers

    facts = await read_facts(connection.client, connection.runs, name, _now())
    view, silence = await _view(connection, facts)
    if queues := queues_of(view):
        _, found = await read_pollers(connection.client, facts, queues, _now())
        facts = replace(facts, activity_pollers=found)
    told = join(facts, view, silence, _now())
    if not facts.is_open:
        return told
    return told.model_copy(update={"callbacks": _callbacks(connection, facts.workflow_id)})


def _callbacks(connection: "Connection", run: str) -> tuple[str, ...]:
    """Return a line for each of the newest callbacks that the receiver has kept for a run."""
    from workers.receiver.view import inbox_of, told
    from workers.store import Store

    try:
        with Store.open(connection.settings.store_url) as store:
            kept = inbox_of(store, run)
    except StdopsError as error:
        return (f"what came by HTTP cannot be read: {error.what}",)
    return tuple(told(callback) for callback in kept[-MOST_CALLBACKS:])


async def _view(connection: "Connection", facts: "Facts") -> "tuple[Explanation | None, str]":
    """Return what the run says of itself, or why it does not."""
    from workers.client import Runs
    from workers.inspection.explanation import read_view

    if not facts.is_open:
        return None, ""
    if facts.status == "paused":
        return None, "the server's own pause lets no question through"
    if not facts.workflow_pollers.count:
        return None, "no worker polls its queue"
    runs = Runs(connection.client, connection.settings, timeout_s=ASK_S)
    try:
        view = read_view(await runs.query(facts.workflow_id, "explain"))
    except StdopsError as error:
        return None, error.what
    return view, "" if view else "it answers in the words of another release"


# --- showing ------------------------------------------------------------------------------------


def tell(told: "Told", out: "Console", now: float) -> None:
    """Print why a run is where it is; the terminal wraps, so that a command is copied whole."""
    from rich.text import Text

    out.print(Text(told.text), soft_wrap=True)
    for problem in told.problems:
        out.print(Text(f"\n! {problem.what}", style="bold red"), soft_wrap=True)
        out.print(Text(f"  {problem.fix}"), soft_wrap=True)
    if told.holders:
        out.print()
    for held in told.holders:
        _tell_holder(held, out, now, "")
    if told.more:
        out.print(Text(f"and {told.more} more", style="dim"))
    if told.callbacks:
        out.print()
    for line in told.callbacks:
        out.print(Text(line), soft_wrap=True)


def _tell_holder(held: "Held", out: "Console", now: float, indent: str) -> None:
    """Print a node, what is known of it, and below it what holds it inside."""
    from rich.text import Text

    out.print(Text(indent) + _head(held, now), soft_wrap=True)
    for word, text in lines_of(held, now):
        line = Text(f"{indent}  {word:<9}", style="dim")
        line.append(text, style="not dim bold" if word == "give" else "not dim")
        out.print(line, soft_wrap=True)
    for each in held.inside:
        _tell_holder(each, out, now, f"{indent}    ")


def _head(held: "Held", now: float) -> "Text":
    """Return a node's first line: how it stands, what it is, since when."""
    from rich.text import Text

    from workflows.machine.view.signs import SIGNS, span

    node = held.node
    age = f"for {span(now - node.since)}" if node.since else ""
    attempt = f"attempt {node.attempt}" if node.attempt > 1 else ""
    facts = ", ".join(word for word in (node.plugin, attempt, age) if word)
    head = Text(f"{SIGNS.get(node.look, '•')} {node.name}", style=_STYLES.get(node.look, ""))
    head.append(f" ({node.path})  {facts}".rstrip(), style="dim")
    return head


def lines_of(held: "Held", now: float) -> list[tuple[str, str]]:
    """Return what is told of a node below its name: a word, and a text to it."""
    from workers.inspection.explanation import doing_text

    node = held.node
    outside = " ".join(part for part in (node.note, node.work, node.url) if part)
    lines: list[tuple[str, str]] = [
        ("because", node.reason),
        ("waits", f"for {node.waits_for}" if node.waits_for else ""),
        ("outside", outside),
        ("activity", doing_text(held.activity, now) if held.activity else ""),
        ("ends", "" if node.commands else node.release),
    ]
    given: list[Any] = [("give", command) for command in node.commands]
    return [(word, text) for word, text in (*lines, *given) if text]
