"""Commands that start runs and show them: run, status, list."""

import sys
from collections.abc import Mapping
from dataclasses import replace
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stdops import StdopsError
from workers.cli.app import app
from workers.cli.options import (
    ChosenTemplate,
    InputsFile,
    JsonFlag,
    Operator,
    PrintTemporal,
    ProjectFile,
    RunId,
    SetValues,
    StrictFlag,
    epilog,
    read_inputs_file,
    read_values,
)
from workers.cli.output import (
    Code,
    await_now,
    complain,
    end,
    plain,
    print_json,
    remark,
    show_table,
    table,
)

if TYPE_CHECKING:
    from pydantic import JsonValue

    from workers.cli.wiring import Connection, Prepared
    from workers.client import Started, StartRequest
    from workers.settings import Settings
    from workers.store import Store


class OnFailure(StrEnum):
    """What a failed node does to its run."""

    WAIT = "wait"
    FAIL = "fail"


class RunState(StrEnum):
    """The states that runs are listed by."""

    RUNNING = "Running"
    WAITING = "Waiting"
    PAUSED = "Paused"
    FAILED = "Failed"
    FINISHED = "Finished"
    REVOKED = "Revoked"


# --- run --------------------------------------------------------------------------------------


@app.command(
    epilog=epilog(
        "stdops run release --set version=2.4.0 --wait",
        "stdops run release.json --inputs values.yaml --id release-2.4.0",
        "stdops run release.json --dev",
        codes=[Code.ERRORS, Code.REFUSED, Code.STANDING, Code.UNREACHABLE, Code.INTERRUPTED],
    )
)
def run(  # noqa: PLR0913  a command's options
    source: Annotated[
        str, typer.Argument(metavar="SOURCE", help="A stored template's key, or an export.")
    ],
    template: ChosenTemplate = "",
    *,
    given: SetValues = [],  # noqa: B006  typer copies it
    inputs: InputsFile = None,
    project: ProjectFile = None,
    operator: Operator = "",
    workflow_id: Annotated[
        str, typer.Option("--id", metavar="ID", help="The run's id; the same id starts it once.")
    ] = "",
    exclude: Annotated[
        list[str], typer.Option(metavar="NODE", help="Leave an optional node out.")
    ] = [],  # noqa: B006
    scheme: Annotated[
        list[str], typer.Option(metavar="NAME", help="Keep only the optional nodes of a scheme.")
    ] = [],  # noqa: B006
    on_failure: Annotated[
        OnFailure, typer.Option(help="wait: a person moves a failed node; fail: the run ends.")
    ] = OnFailure.WAIT,
    strict: StrictFlag = False,
    wait: Annotated[bool, typer.Option("--wait", help="Show the run until it ends.")] = False,
    dev: Annotated[
        bool, typer.Option("--dev", help="Bring up a server and a worker for this run.")
    ] = False,
    as_json: JsonFlag = False,
    print_temporal: PrintTemporal = False,
) -> None:
    """Start a run; a file is imported first, also with --print-temporal."""
    from workers.cli.wiring import Start, check_project, find_registry, prepare
    from workers.secrets import secret_keys
    from workers.settings import load_settings
    from workers.store import Store

    settings = load_settings(operator=operator or None)
    values = {**read_inputs_file(inputs), **read_values(given)}
    told = read_inputs_file(project)
    check_project(told, project)
    registry = find_registry()
    with Store.open(settings.store_url) as store:
        ready = prepare(
            source,
            template,
            store,
            registry,
            start=Start(values, exclude, scheme, settings.operator, secret_keys(settings)),
        )
        request = _request(ready, values, workflow_id, on_failure, settings.operator)
        if told:
            request = replace(request, options={**request.options, "project": told})
        if strict:
            request = replace(request, options={**request.options, "strict": True})
        if print_temporal:
            _print_start(settings, request, wait=wait)
        elif dev:
            end(await_now(_run_here(settings, store, registry, request)))
        else:
            end(_run_there(settings, request, wait=wait, as_json=as_json))


def _print_start(settings: "Settings", request: "StartRequest", *, wait: bool) -> None:
    from workers.cli.temporal_command import show, start
    from workers.client import new_workflow_id, sealed

    named = request.workflow_id or new_workflow_id(request.template)
    ready = replace(sealed(request, settings), workflow_id=named)
    show(settings, start(ready, settings, wait=wait))


def _request(
    ready: "Prepared",
    values: "Mapping[str, JsonValue]",
    workflow_id: str,
    on_failure: OnFailure,
    operator: str,
) -> "StartRequest":
    from workers.client import StartRequest
    from workers.secrets import secret_names

    plan = ready.plan
    return StartRequest(
        template=plan.template_key,
        version=str(ready.version),
        inputs=values,
        secrets=secret_names(plan.flow),
        workflow_id=workflow_id,
        on_failure=on_failure.value,
        options={"digest": ready.digest} if ready.digest else {},
        memo={
            "template": plan.template_key,
            "name": plan.name,
            "version": ready.version,
            "digest": plan.digest,
        },
        summary=plan.name or plan.template_key,
        details=f"{plan.template_key} version {ready.version}, started by {operator}",
    )


def _run_there(settings: "Settings", request: "StartRequest", *, wait: bool, as_json: bool) -> Code:
    """Run on the server that the environment names."""
    begun: list[Started] = []
    try:
        return await_now(_start(settings, request, begun, wait=wait, as_json=as_json))
    except KeyboardInterrupt:
        if begun:
            name = begun[0].workflow_id
            remark(f"\nthe run goes on; `stdops status {name} --watch` shows it again")
        return Code.INTERRUPTED


async def _start(
    settings: "Settings",
    request: "StartRequest",
    begun: "list[Started]",
    *,
    wait: bool,
    as_json: bool,
) -> Code:
    from workers.cli.wiring import connected, has_worker

    connection = await connected(settings)
    served = await has_worker(connection)
    if wait and not served:
        raise StdopsError(
            "SOP545",
            f"no worker polls the queue {settings.task_queue!r}: nothing was started",
            where=connection.client.service_client.config.target_host,
            fix="start one with `stdops worker`, or run with --dev",
        )
    started = await connection.runs.start(request)
    begun.append(started)
    if not served:
        remark(f"no worker polls the queue {settings.task_queue!r} yet: start `stdops worker`")
    if as_json and wait:
        return await _wait_in_json(connection, started)
    _tell_start(started, as_json=as_json)
    return await _wait(connection, started) if wait else Code.OK


async def _wait_in_json(connection: "Connection", started: "Started") -> Code:
    """Wait for the end of a run; print one object, `result` null where it stands."""
    from dataclasses import asdict

    from workers.cli.follow import watch

    result = await watch(connection.runs, started.workflow_id)
    print_json({**asdict(started), "result": result})
    if result is None:
        return Code.STANDING
    return Code.OK if result.get("state") == "finished" else Code.ERRORS


async def _wait(connection: "Connection", started: "Started") -> Code:
    """Follow a run to its end, or to where it stands."""
    from workers.cli.follow import follow

    code = await follow(connection.runs, started.workflow_id)
    if code is Code.STANDING:
        await _tell_standing(connection, started.workflow_id)
    return code


async def _tell_standing(connection: "Connection", name: str, prefix: str = "") -> None:
    from workers.cli.follow import failures, next_steps

    status = await connection.runs.query(name, "status")
    for line in failures(status):
        typer.secho(line, fg="red")
    typer.echo("what would move it:")
    for step in next_steps(name, status, prefix):
        typer.echo(f"  {step}")


def _tell_start(started: "Started", prefix: str = "", *, as_json: bool) -> None:
    if as_json:
        from dataclasses import asdict

        print_json(asdict(started))
        return
    word = "started" if started.created else "already there:"
    name = started.workflow_id
    typer.echo(f"{typer.style('✓', fg='green')} {word} {typer.style(name, bold=True)}")
    typer.echo(f"  page    {started.url}")
    typer.echo(f"  follow  {prefix}stdops status {name} --watch")
    typer.echo(f"  stop    {prefix}stdops revoke {name}")


async def _run_here(
    settings: "Settings", store: "Store", registry: Any, request: "StartRequest"
) -> Code:
    """Run with a server and a worker of our own; on a terminal they stay until Ctrl-C."""
    from workers.cli.wiring import (
        SERVER_LOG,
        everything,
        is_interactive,
        keep_logs,
    )
    from workers.server import EmbeddedServer

    stays = is_interactive()
    keep_logs(settings, shown=False)
    server = EmbeddedServer(ui_port=0, log_file=settings.data_dir / SERVER_LOG)
    async with everything(settings, server, store, registry) as connection:
        started = await connection.runs.start(request)
        prefix = f"TEMPORAL_ADDRESS={server.address} "
        _tell_start(started, prefix, as_json=False)
        return await stay(connection, started, prefix, stays=stays)


async def stay(connection: "Connection", started: "Started", prefix: str, *, stays: bool) -> Code:
    """Follow a run; with `stays` also past failures, and then leave its page open."""
    import asyncio

    from workers.cli.follow import follow, moved

    while True:
        try:
            code = await follow(connection.runs, started.workflow_id)
        except StdopsError as error:
            if not stays:
                raise
            complain(str(error))
            code = Code.ERRORS
        if code is not Code.STANDING:
            break
        await _tell_standing(connection, started.workflow_id, prefix)
        if not stays:
            return code
        await moved(connection.runs, started.workflow_id)
    if stays:
        typer.secho(f"the page stays open: {started.url}\nCtrl-C ends server and worker", dim=True)
        await asyncio.Event().wait()
    return code


# --- status and list --------------------------------------------------------------------------


@app.command(
    epilog=epilog(
        "stdops status release-1f2e3d4c",
        "stdops status release-1f2e3d4c --watch",
        codes=[Code.ERRORS, Code.REFUSED, Code.STANDING, Code.UNREACHABLE, Code.INTERRUPTED],
    )
)
def status(
    name: RunId,
    *,
    watch: Annotated[bool, typer.Option("--watch", help="Go on showing it until it ends.")] = False,
    as_json: JsonFlag = False,
    print_temporal: PrintTemporal = False,
) -> None:
    """Show where a run stands, and what would move it."""
    if print_temporal:
        from workers.cli.temporal_command import query, show
        from workers.settings import load_settings

        show(load_settings(), query(name, "status"))
        return
    end(await_now(_status(name, watch=watch, as_json=as_json)))


async def _status(name: str, *, watch: bool, as_json: bool) -> Code:
    from workers.cli.follow import drawing_of, follow, headline, stands, trouble_lines, warnings
    from workers.cli.output import console
    from workers.cli.wiring import connected
    from workers.settings import load_settings

    connection = await connected(load_settings())
    if watch:
        code = await follow(connection.runs, name)
        if code is Code.STANDING:
            await _tell_standing(connection, name)
        return code
    found = await connection.runs.query(name, "status")
    troubles = await connection.runs.troubles(name)
    if as_json:
        print_json({**found, "troubles": [trouble._asdict() for trouble in troubles]})
        return Code.OK
    out = console()
    out.print(headline(found), style="bold", markup=False)
    out.print(drawing_of(str(await connection.runs.query(name, "diagram"))))
    for line in [*warnings(found), *trouble_lines(troubles)]:
        typer.secho(line, fg="yellow")
    if stands(found):
        await _tell_standing(connection, name)
    return Code.OK


@app.command(
    "list",
    epilog=epilog(
        "stdops list",
        "stdops list --state Failed --template release",
        codes=[Code.REFUSED, Code.UNREACHABLE],
    ),
)
def list_runs(
    *,
    state: Annotated[
        RunState | None, typer.Option(case_sensitive=False, help="Only runs in this state.")
    ] = None,
    template: Annotated[
        str | None, typer.Option(metavar="KEY", help="Only runs of this template.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many, the newest first.")] = 50,
    as_json: JsonFlag = False,
    print_temporal: PrintTemporal = False,
) -> None:
    """List runs, the newest first."""
    if print_temporal:
        from workers.cli.temporal_command import listing, show
        from workers.client import list_query
        from workers.settings import load_settings

        settings, wanted = load_settings(), state.value if state else None
        query = list_query(settings.task_queue, state=wanted, template=template)
        show(settings, listing(query, limit))
        return
    await_now(_list(state, template, limit, as_json=as_json))


async def _list(state: RunState | None, template: str | None, limit: int, *, as_json: bool) -> None:
    from dataclasses import asdict

    from workers.cli.follow import SIGNS
    from workers.cli.wiring import connected
    from workers.settings import load_settings

    connection = await connected(load_settings())
    wanted = state.value if state else None
    found = await connection.runs.list(state=wanted, template=template, limit=limit)
    if as_json:
        print_json([asdict(one) for one in found])
        return
    if not found:
        remark("no runs" if not (state or template) else "no such runs")
        return
    made = table("STATE", "RUN", "TEMPLATE", "FAILED", "BY", "STARTED", narrow=("STATE", "STARTED"))
    for one in found:
        sign, colour = SIGNS.get(one.state, ("•", ""))
        failed = str(one.failed_nodes) if one.failed_nodes else ""
        started = f"{one.started_at.astimezone():%Y-%m-%d %H:%M:%S}"
        cells = plain(
            [f"{sign} {one.state}", one.workflow_id, one.template, failed, one.operator, started]
        )
        cells[0].stylize(colour)
        made.add_row(*cells)
    show_table(made)
    if not sys.stdout.isatty():
        return
    remark(f"\n{found[0].workflow_id}: {found[0].url}")
