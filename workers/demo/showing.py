"""How a demo is shown: server, worker and store in a temporary folder, a run, and its failure.

What is shown is a `Play`: a template, an outside, and how its failure is mended.
"""

import asyncio
from collections.abc import Awaitable, Mapping
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import typer
from pydantic import JsonValue

from stdops import StdopsError
from workers.cli.output import Code

if TYPE_CHECKING:
    from workers.cli.wiring import Connection
    from workers.client import Runs, Started, StartRequest
    from workers.settings import Settings
    from workers.store import Store


class Told(NamedTuple):
    """Where a demo runs: the run, and what commands in another terminal need before them."""

    started: "Started"
    env: str


class Play(Protocol):
    """What a demo shows."""

    @property
    def file(self) -> str:
        """The template's file, beside this module."""
        ...

    @property
    def limit_s(self) -> float:
        """Seconds within which it ends when it mends itself."""
        ...

    @property
    def settings(self) -> Mapping[str, Any]:  # Any: settings of any type
        """Settings of the worker beside those that every demo has."""
        ...

    def request(self) -> "StartRequest":
        """Return what to start."""
        ...

    def teach(self, told: Told) -> None:
        """Say why the run stands, and the ways to move it."""
        ...

    async def mend(self, runs: "Runs", name: str) -> None:
        """Do what a person would do about the failure."""
        ...

    def problem(self, outputs: Mapping[str, JsonValue]) -> str:
        """Say what is wrong with how the run has ended, "" for nothing."""
        ...


async def present(play: Play, folder: Path, *, once: bool) -> Code:
    """Show a play; with `once` the failure is mended by itself, and the run's end is the end."""
    from activities.registry import discover
    from workers.cli.wiring import SERVER_LOG, everything, keep_logs
    from workers.server import EmbeddedServer
    from workers.store import Store

    settings = _settings(folder, play)
    keep_logs(settings, shown=False)
    registry = discover()
    ui_port = None if once else 0
    server = EmbeddedServer(ui_port=ui_port, log_file=folder / SERVER_LOG)
    with Store.open(settings.store_url) as store:
        _import(play, store)
        async with everything(settings, server, store, registry) as connection:
            told = Told(
                await connection.runs.start(play.request()), f"TEMPORAL_ADDRESS={server.address} "
            )
            _introduce(play, told, once=once)
            if once:
                return await _in_time(play, _mend_and_check(play, connection, told.started))
            return await _leave_to_a_person(play, connection, told)


def read_template(file: str) -> bytes:
    """Return a demo's template, in bk-sops's own format."""
    return resources.files("workers.demo").joinpath(file).read_bytes()


def _settings(folder: Path, play: Play) -> "Settings":
    from workers.settings import load_settings

    return load_settings(
        data_dir=folder,
        store_url=f"sqlite:///{folder / 'store.db'}",
        log_file=folder / "worker.log",
        task_queue="stdops",
        graceful_shutdown_s=2,
        http_allow=["127.0.0.1"],
        **play.settings,
    )


def _import(play: Play, store: "Store") -> None:
    from workers.importing import load

    load(read_template(play.file), play.file, store, operator="demo")


def _introduce(play: Play, told: Told, *, once: bool) -> None:
    started = told.started
    name = play.request().template
    typer.echo(f"{typer.style('✓', fg='green')} {name} started as {started.workflow_id}")
    if once:
        return
    typer.echo(f"  page    {started.url}")
    typer.echo(f"  status  {told.env}stdops status {started.workflow_id}")
    typer.echo("  Ctrl-C ends the demo; nothing of it stays on this machine\n")


# --- left to a person -------------------------------------------------------------------------


async def _leave_to_a_person(play: Play, connection: "Connection", told: Told) -> Code:
    """Show the run, tell how to mend it when it stands, and stay until Ctrl-C."""
    from workers.cli.follow import follow, moved

    started = told.started
    while True:
        code = await follow(connection.runs, started.workflow_id)
        if code is not Code.STANDING:
            break
        play.teach(told)
        typer.secho("\nwaiting for that …  Ctrl-C ends the demo\n", dim=True)
        await moved(connection.runs, started.workflow_id)
    if code is Code.OK:
        typer.secho("\nMended, and the release is out.", fg="green", bold=True)
    typer.echo(f"Look around on its page: {started.url}\nCtrl-C ends the demo.")
    await asyncio.Event().wait()
    return code


# --- by itself --------------------------------------------------------------------------------


async def _in_time(play: Play, work: Awaitable[Code]) -> Code:
    try:
        async with asyncio.timeout(play.limit_s):
            return await work
    except TimeoutError:
        raise unexpected(f"it has not ended within {play.limit_s:.0f} s") from None


async def _mend_and_check(play: Play, connection: "Connection", started: "Started") -> Code:
    """Do what a person would do, and check what comes out.

    Raises:
        StdopsError: the run does not end as it should.
    """
    from workers.cli.follow import follow

    runs, name = connection.runs, started.workflow_id
    if await follow(runs, name, drawn=False) is not Code.STANDING:
        raise unexpected("nothing failed")
    await play.mend(runs, name)
    code = await follow(runs, name, drawn=False)
    if code is not Code.OK:
        raise unexpected("it has not ended well")
    if wrong := play.problem((await runs.result(name))["outputs"]):
        raise unexpected(wrong)
    return code


def unexpected(what: str) -> StdopsError:
    """Return the error of a demo that went another way."""
    return StdopsError(
        "SOP507", f"the demo went another way: {what}", fix="please report it with its log"
    )
