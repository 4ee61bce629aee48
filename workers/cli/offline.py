"""Commands that need no server: lint, plan, simulate. None of them opens a connection.

But for `lint --online`, which asks the services of remote plugins.
"""

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stdops import Diagnostic, __version__
from workers.cli.app import app
from workers.cli.options import (
    ChosenTemplate,
    InputsFile,
    JsonFlag,
    SetValues,
    StrictFlag,
    epilog,
    read_data,
    read_inputs_file,
    read_values,
)
from workers.cli.output import Code, coloured, end, print_json, remark

if TYPE_CHECKING:
    from activities.registry import Registry
    from translator.plan import Plan
    from workers.cli.templates import Checked, Source
    from workers.online import RemoteFacts
    from workers.rehearsal import Mocks

SourceName = Annotated[
    str,
    typer.Argument(metavar="SOURCE", help="An export (- is standard input), or a template's key."),
]


class ReportFormat(StrEnum):
    """How findings are printed."""

    TEXT = "text"
    JSON = "json"
    SARIF = "sarif"


# --- lint -------------------------------------------------------------------------------------


@app.command(
    epilog=epilog(
        "stdops lint release.json",
        "stdops lint exports/*.dat --strict",
        "stdops lint release.yaml --format sarif > release.sarif",
        "stdops lint release.json --online",
        codes=[Code.ERRORS, Code.REFUSED],
    )
)
def lint(
    files: Annotated[list[str], typer.Argument(metavar="FILE", help="Exports; - for stdin.")],
    *,
    report: Annotated[
        ReportFormat, typer.Option("--format", help="How to print the findings.")
    ] = ReportFormat.TEXT,
    strict: Annotated[bool, typer.Option("--strict", help="Warnings count as errors.")] = False,
    online: Annotated[
        bool, typer.Option("--online", help="Ask the services of remote plugins for their inputs.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Check templates, and tell all that is wrong with them."""
    from workers.cli.templates import examine, read_source

    remote = _remote_facts() if online else None
    catalog = _catalog(_registry(), remote)
    sources = [read_source(name) for name in files]
    checked = [examine(source, catalog=catalog) for source in sources]
    found = [finding for one in checked for finding in one.diagnostics]
    found += remote.troubles if remote else []
    _print_report(found, sources, ReportFormat.JSON if as_json else report)
    counts = {"error", "warning"} if strict else {"error"}
    end(Code.ERRORS if any(one.severity in counts for one in found) else Code.OK)


def _print_report(
    found: Sequence[Diagnostic], sources: "Sequence[Source]", report: ReportFormat
) -> None:
    from translator.report import as_json, as_sarif, as_text

    match report:
        case ReportFormat.JSON:
            print_json(as_json(found))
        case ReportFormat.SARIF:
            print_json(as_sarif(found, __version__))
        case ReportFormat.TEXT:
            texts = {source.file: source.data.decode("utf-8", "replace") for source in sources}
            typer.echo(coloured(as_text(found, texts)))


# --- plan -------------------------------------------------------------------------------------


@app.command(
    epilog=epilog(
        "stdops plan release.json",
        "stdops plan exports.dat canary --json",
        codes=[Code.ERRORS, Code.REFUSED],
    )
)
def plan(
    source: SourceName,
    template: ChosenTemplate = "",
    *,
    as_json: JsonFlag = False,
) -> None:
    """Show what would run, and what is missing for it."""
    from workers.cli import plan_view
    from workers.settings import load_settings

    registry = _registry()
    chosen = chosen_plan(source, template, registry)
    facts = plan_view.facts_of(chosen, registry, load_settings())
    if as_json:
        print_json(plan_view.as_data(facts))
    else:
        plan_view.show(facts)


# --- simulate ---------------------------------------------------------------------------------


@app.command(
    epilog=epilog(
        "stdops simulate release.json --set version=2.4.0",
        "stdops simulate release.json --fail 'Roll out:2'",
        "stdops simulate release.json --mock mocks.yaml --json",
        codes=[Code.ERRORS, Code.REFUSED, Code.STANDING],
    )
)
def simulate(  # noqa: PLR0913  a command's options
    source: SourceName,
    template: ChosenTemplate = "",
    *,
    given: SetValues = [],  # noqa: B006  typer copies it
    inputs: InputsFile = None,
    fail: Annotated[
        list[str],
        typer.Option(metavar="NODE[:TIMES]", help="Let a node fail, once or several times."),
    ] = [],  # noqa: B006
    mock: Annotated[
        Path | None, typer.Option(metavar="FILE", help="What plugins answer, in JSON or YAML.")
    ] = None,
    strict: StrictFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Run a template offline, in virtual time.

    Mocks stand in for plugins: each ends well at once unless it is told otherwise. A mock file
    gives attempts by node or plugin code; the last one stands for all that follow:
    {"<node or plugin>": [{"outcome": "fail", "error": "no"}, {"outputs": {"data": {}}}]}
    with outcome done, fail, poll or wait, and optionally outputs, error, after (seconds), callback.
    """
    from workers.cli import simulate_view

    registry = _registry()
    chosen = chosen_plan(source, template, registry)
    values = {**read_inputs_file(inputs), **read_values(given)}
    mocks = _mocks(mock, fail)
    seen = simulate_view.play(chosen, registry, values, mocks, strict=strict)
    if as_json:
        print_json(simulate_view.as_data(chosen, seen))
    else:
        simulate_view.show(chosen, seen)
    end(Code.OK if seen.state == "finished" else Code.STANDING)


def _mocks(file: Path | None, fails: Sequence[str]) -> "Mocks":
    from workers.rehearsal import failing, read_mocks

    mocks = read_mocks(read_data(file), str(file)) if file else {}
    for text in fails:
        node, _, times = text.rpartition(":")
        if node and times.isdecimal():
            mocks[node] = failing(int(times))
        else:
            mocks[text] = failing(1)
    return mocks


# --- shared -----------------------------------------------------------------------------------


def _registry() -> "Registry":
    """Return the plugins, and tell what could not be loaded: its nodes would be unknown."""
    from activities.registry import discover
    from workers.cli.output import tell_findings

    registry = discover()
    tell_findings(registry.diagnostics)
    return registry


def _catalog(registry: "Registry", remote: "RemoteFacts | None" = None) -> Any:
    from workers.catalog import RegistryCatalog

    return RegistryCatalog(registry, remote)


def _remote_facts() -> "RemoteFacts":
    from workers.logs import configure_logs
    from workers.online import RemoteFacts
    from workers.settings import load_settings

    settings = load_settings()
    configure_logs(settings.log_level, as_json=settings.log_json)
    return RemoteFacts(settings)


def chosen_plan(name: str, template: str, registry: "Registry | None" = None) -> "Plan":
    """Return the plan of what is named; warnings are counted, errors end the command."""
    from workers.cli.templates import choose, examine, find_source

    source = find_source(name, template)
    checked = examine(source, catalog=_catalog(registry) if registry else None)
    chosen = choose(checked, source.template)
    _count_warnings(checked, name)
    return chosen


def _count_warnings(checked: "Checked", name: str) -> None:
    from workers.cli.templates import warnings_of

    counted = warnings_of(checked.diagnostics)
    if counted:
        remark(f"{counted}; `stdops lint {name}` shows them")
