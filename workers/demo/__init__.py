"""The demo: a release that fails on purpose, and how a person mends it.

Everything is in this process and in a temporary folder: server, Web UI, worker, store, and the
service that is released to. Nothing of it is left behind.
"""

import asyncio
import tempfile
from collections.abc import Awaitable
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import typer
from pydantic import JsonValue

from stdops import StdopsError
from workers.cli.output import Code
from workers.demo.target import Target

if TYPE_CHECKING:
    from workers.cli.wiring import Connection
    from workers.client import Started
    from workers.settings import Settings
    from workers.store import Store

FILE: Final = "release.json"
FAILING: Final = "rollout"
URL_INPUT: Final = "bk_http_request_url"
DETOUR: Final = "/deploy/standby"
LIMIT_S: Final = 55.0

_EXPECTED: Final = {
    "version": "2.4.0",
    "checked": {"version": "2.4.0", "released": False},
    "rollout": {"deployed": "standby", "release": 2},
    "rounds": 3,
}


async def show(*, once: bool) -> Code:
    """Run the demo; with `once` the failure is mended by itself, and the run's end is the end."""
    with tempfile.TemporaryDirectory(prefix="stdops-demo-") as folder:
        return await _show(Path(folder), once=once)


def template() -> bytes:
    """Return the demo's template, two flows in bk-sops's own format."""
    return resources.files("workers.demo").joinpath(FILE).read_bytes()


async def _show(folder: Path, *, once: bool) -> Code:
    from activities.registry import discover
    from workers.cli.wiring import SERVER_LOG, WORKER_LOG, everything, logs_to_file
    from workers.server import EmbeddedServer
    from workers.store import Store

    settings = _settings(folder)
    logs_to_file(settings, folder / WORKER_LOG)
    typer.secho("starting a Temporal server, a worker and a service to release to …", dim=True)
    registry = discover()
    ui_port = None if once else 0
    server = EmbeddedServer(ui_port=ui_port, log_file=folder / SERVER_LOG)
    with Store.open(settings.store_url) as store:
        _import(store)
        async with Target() as target, everything(settings, server, store, registry) as connection:
            started = await _start(connection, target)
            env = f"TEMPORAL_ADDRESS={server.address} "
            _introduce(started, env, once=once)
            if once:
                return await _in_time(_mend_and_check(connection, started, target))
            return await _leave_to_a_person(connection, started, target, env)


def _settings(folder: Path) -> "Settings":
    from workers.settings import load_settings

    url = f"sqlite:///{folder / 'store.db'}"
    return load_settings(
        data_dir=folder,
        store_url=url,
        task_queue="stdops",
        graceful_shutdown_s=2,
        http_allow=["127.0.0.1"],
    )


def _import(store: "Store") -> None:
    from workers.importing import load

    load(template(), FILE, store, operator="demo")


async def _start(connection: "Connection", target: Target) -> "Started":
    from workers.client import StartRequest

    request = StartRequest(
        template="release",
        inputs={"target": target.url, "environment": "production"},
        operator="demo",
        memo={"template": "release", "name": "release"},
        summary="release 2.4.0 to production",
        details="release version 1, started by demo",
    )
    return await connection.runs.start(request)


def _introduce(started: "Started", env: str, *, once: bool) -> None:
    typer.echo(f"{typer.style('✓', fg='green')} release started as {started.workflow_id}")
    if once:
        return
    typer.echo(f"  page    {started.url}")
    typer.echo(f"  status  {env}stdops status {started.workflow_id}")
    typer.echo("  Ctrl-C ends the demo; nothing of it stays on this machine\n")


# --- left to a person -------------------------------------------------------------------------


async def _leave_to_a_person(
    connection: "Connection", started: "Started", target: Target, env: str
) -> Code:
    """Show the run, tell how to mend it when it stands, and stay until Ctrl-C."""
    from workers.cli.follow import follow, moved

    while True:
        code = await follow(connection.runs, started.workflow_id)
        if code is not Code.STANDING:
            break
        _teach(started, target, env)
        await moved(connection.runs, started.workflow_id)
    if code is Code.OK:
        typer.secho("\nMended, and the release is out.", fg="green", bold=True)
    typer.echo(f"Look around on its page: {started.url}\nCtrl-C ends the demo.")
    await asyncio.Event().wait()
    return code


def _teach(started: "Started", target: Target, env: str) -> None:
    """Say why the run stands, and the ways to move it."""
    name, detour = started.workflow_id, target.url + DETOUR
    typer.secho("\nThe rollout has failed, and the run waits for you. Mend it:", bold=True)
    typer.echo("\n  on the page   More Actions > Send an Update, name retry, with the input")
    typer.echo(f'                {{"node": "{FAILING}", "set": {{"{URL_INPUT}": "{detour}"}}}}')
    typer.echo("\n  or here       in a second terminal, go round what is broken")
    typer.echo(f"                {env}stdops retry {name} {FAILING} --set {URL_INPUT}={detour}")
    typer.echo("\n  or for real   repair the service, then try again as it was")
    typer.echo(f"                curl -X POST {target.url}/mend")
    typer.echo(f"                {env}stdops retry {name} {FAILING}")
    typer.secho("\nwaiting for that …  Ctrl-C ends the demo\n", dim=True)


# --- by itself --------------------------------------------------------------------------------


async def _in_time(work: Awaitable[Code]) -> Code:
    try:
        async with asyncio.timeout(LIMIT_S):
            return await work
    except TimeoutError:
        raise _unexpected(f"it has not ended within {LIMIT_S:.0f} s") from None


async def _mend_and_check(connection: "Connection", started: "Started", target: Target) -> Code:
    """Do what a person would do, and check what comes out.

    Raises:
        StdopsError: the run does not end as it should.
    """
    from workers.cli.follow import follow

    runs, name = connection.runs, started.workflow_id
    if await follow(runs, name, drawn=False) is not Code.STANDING:
        raise _unexpected("the rollout did not fail")
    changed: dict[str, JsonValue] = {URL_INPUT: target.url + DETOUR}
    payload: dict[str, JsonValue] = {"node": FAILING, "set": changed, "operator": "demo"}
    await runs.verb(name, "retry", payload)
    typer.echo(f"          retry {FAILING} with another address")
    code = await follow(runs, name, drawn=False)
    outputs: Any = (await runs.result(name))["outputs"] if code is Code.OK else None
    if outputs != _EXPECTED:
        raise _unexpected(f"the outputs are {outputs}")
    return code


def _unexpected(what: str) -> StdopsError:
    return StdopsError(
        "SOP507", f"the demo went another way: {what}", fix="please report it with its log"
    )
