"""Commands around runs: import, dev, worker, demo."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from stdops import Diagnostic, SettingsError, TranslationError
from workers.cli.app import app
from workers.cli.options import JsonFlag, Operator, epilog
from workers.cli.output import (
    Code,
    await_now,
    coloured,
    end,
    plain,
    print_json,
    remark,
    show_table,
    table,
)

if TYPE_CHECKING:
    from pydantic import JsonValue

    from activities.registry import Registry
    from workers.cli.templates import Checked, Source
    from workers.settings import Settings
    from workers.store import Saved, Store

Port = Annotated[int | None, typer.Option(help="The server's port; 0 takes a free one.")]
UiPort = Annotated[int | None, typer.Option(help="The Web UI's port; 0 takes a free one.")]


# --- import -----------------------------------------------------------------------------------


@app.command(
    "import",
    epilog=epilog(
        "stdops import release.json",
        "stdops import exports/*.dat --dry-run",
        codes=[Code.ERRORS, Code.REFUSED],
    ),
)
def import_files(
    files: Annotated[list[str], typer.Argument(metavar="FILE", help="Exports; - for stdin.")],
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would happen.")] = False,
    operator: Operator = "",
    as_json: JsonFlag = False,
) -> None:
    """Bring templates into the store: all of them, or none.

    With an error in any of the files, all errors are told and nothing is imported.
    """
    from workers.cli.templates import read_source
    from workers.settings import load_settings
    from workers.store import Store

    settings = load_settings(operator=operator or None)
    sources = [read_source(name) for name in files]
    with Store.open(settings.store_url) as store:
        checked = _check_all(sources, store)
        _tell_findings(checked)
        if any(one.has_errors or not one.plans for one in checked):
            raise typer.Exit(Code.ERRORS)
        if dry_run:
            _tell_plans(checked, as_json=as_json)
        else:
            _tell_saved(_save_all(sources, store, settings), as_json=as_json)


class _Siblings:
    """Looks children up in the files of the same command, then in the store."""

    def __init__(self, sources: "Sequence[Source]", store: "Store") -> None:
        from translator.formats import read

        documents = [d for s in sources for d in read(s.data, s.file).documents]
        self._trees = {d.id: d.tree for d in documents if d.id}
        self._store = store

    def find(self, template_id: str, version: str | None) -> "Mapping[str, JsonValue] | None":
        """Return the web tree of a template, or None."""
        return self._trees.get(template_id) or self._store.find(template_id, version)


def _check_all(sources: "Sequence[Source]", store: "Store") -> "list[Checked]":
    from activities.registry import discover
    from workers.catalog import RegistryCatalog
    from workers.cli.templates import examine

    catalog = RegistryCatalog(discover())
    library = _Siblings(sources, store)
    return [examine(source, catalog=catalog, library=library) for source in sources]


def _save_all(sources: "Sequence[Source]", store: "Store", settings: "Settings") -> "list[Saved]":
    """Save checked files; a file whose child is in a later one comes after it."""
    from activities.registry import discover
    from workers.importing import Seals, load
    from workers.secrets import secret_keys

    operator, seals = settings.operator, Seals(secret_keys(settings), discover().traits())
    saved: list[Saved] = []
    problems: tuple[Diagnostic, ...] = ()
    pending = list(sources)
    while pending:
        waiting: list[Source] = []
        for source in pending:
            imported = load(source.data, source.file, store, operator=operator, seals=seals)
            saved += imported.templates
            if not imported.templates:
                waiting.append(source)
                problems = imported.diagnostics
        if len(waiting) == len(pending):
            raise TranslationError(problems)
        pending = waiting
    return saved


def _tell_findings(checked: "Sequence[Checked]") -> None:
    from translator.report import as_text

    found = [finding for one in checked for finding in one.diagnostics]
    if found:
        typer.echo(coloured(as_text(found)), err=True)


def _tell_saved(saved: "Sequence[Saved]", *, as_json: bool) -> None:
    if as_json:
        print_json([asdict(one) for one in saved])
        return
    made = table("", "TEMPLATE", "VERSION", "PLAN", narrow=("", "VERSION", "PLAN"))
    for one in saved:
        word = "" if one.created else "unchanged"
        cells = plain(["✓", one.key, f"{one.version} {word}".strip(), one.plan_digest[:12]])
        cells[0].stylize("green")
        made.add_row(*cells)
    show_table(made)
    remark(f"\nnext: stdops run {saved[0].key}")


def _tell_plans(checked: "Sequence[Checked]", *, as_json: bool) -> None:
    plans = [plan for one in checked for plan in one.plans]
    if as_json:
        print_json([{"key": plan.template_key, "plan_digest": plan.digest} for plan in plans])
        return
    made = table("TEMPLATE", "PLAN", narrow=("PLAN",))
    for plan in plans:
        made.add_row(*plain([plan.template_key, plan.digest[:12]]))
    show_table(made)
    remark("\nnothing was imported (--dry-run)")


# --- worker and dev ---------------------------------------------------------------------------


@app.command(
    epilog=epilog(
        "stdops worker",
        "TEMPORAL_ADDRESS=temporal:7233 stdops worker",
        "stdops worker --queue zone-b",
        codes=[Code.REFUSED, Code.UNREACHABLE],
    )
)
def worker(
    *,
    queue: Annotated[
        str, typer.Option(help="Take only the plugins that are routed to this task queue.")
    ] = "",
) -> None:
    """Carry out runs and their plugins, until Ctrl-C.

    With --queue no runs, so that it needs no store: for another network zone or kind of machine.
    Plugins are routed there by STDOPS_PLUGIN_QUEUES='{"job_*": "zone-b"}' on the other workers.
    """
    from activities.registry import discover
    from workers.cli.wiring import keep_logs
    from workers.settings import load_settings
    from workers.store import Store

    settings = load_settings()
    _refuse_own(queue, settings)
    keep_logs(settings, shown=True)
    registry = discover()
    _log_problems(registry)
    if queue:
        await_now(_plugin_worker(settings.model_copy(update={"task_queue": queue}), registry))
        return
    with Store.open(settings.store_url) as store:
        await_now(_worker(settings, store, registry))


def _refuse_own(queue: str, settings: "Settings") -> None:
    """Refuse to serve the queue of runs in part: what a run loads first would find nobody."""
    if queue == settings.task_queue:
        what = f"{queue!r} is the queue of the runs themselves"
        fix = "leave --queue out, or name a queue that `plugin_queues` routes plugins to"
        raise SettingsError("SOP511", what, where="--queue", fix=fix)


async def _worker(settings: "Settings", store: "Store", registry: "Registry") -> None:
    import asyncio

    from workers.cli.wiring import instrumented
    from workers.client import connect
    from workers.worker import serve, stop_on_signals

    stop = asyncio.Event()
    async with instrumented(settings), stop_on_signals(stop):
        client = await connect(settings)
        await serve(client, settings, store, registry, stop=stop)


async def _plugin_worker(settings: "Settings", registry: "Registry") -> None:
    import asyncio

    from workers.cli.wiring import instrumented
    from workers.client import connect
    from workers.worker import serve_plugins, stop_on_signals

    stop = asyncio.Event()
    async with instrumented(settings), stop_on_signals(stop):
        client = await connect(settings)
        await serve_plugins(client, settings, registry, stop=stop)


@app.command(
    epilog=epilog(
        "stdops dev",
        "stdops dev --port 0 --ui-port 0",
        "stdops dev --fake-bk",
        "stdops dev --encrypt",
        codes=[Code.UNREACHABLE],
    )
)
def dev(
    port: Port = None,
    ui_port: UiPort = None,
    *,
    fake_bk: Annotated[
        bool, typer.Option("--fake-bk", help="Run a fake BlueKing platform too, and use it.")
    ] = False,
    encrypt: Annotated[
        bool,
        typer.Option(
            "--encrypt",
            help="Make a key of the payload codec, if there is none: what the server keeps is "
            "encrypted from then on, and the Web UI decrypts it.",
        ),
    ] = False,
) -> None:
    """Run server, Web UI and worker here, until Ctrl-C."""
    from activities.registry import discover
    from workers.cli.wiring import keep_logs
    from workers.codec import make_key_file
    from workers.settings import load_settings
    from workers.store import Store

    settings = load_settings(server_port=port, ui_port=ui_port)
    if encrypt:
        make_key_file(settings)
    keep_logs(settings, shown=True)
    registry = discover()
    _log_problems(registry)
    with Store.open(settings.store_url) as store:
        await_now(_dev(settings, store, registry, fake_bk=fake_bk))


async def _dev(
    settings: "Settings", store: "Store", registry: "Registry", *, fake_bk: bool
) -> None:
    import asyncio
    from contextlib import AsyncExitStack

    from workers.cli.wiring import SERVER_LOG, instrumented
    from workers.client import connect
    from workers.codec_server.serving import codec_beside
    from workers.server import EmbeddedServer
    from workers.worker import serve, stop_on_signals

    stop = asyncio.Event()
    codec = codec_beside(settings)
    server = EmbeddedServer(
        db_file=settings.server_file,
        port=settings.server_port,
        ui_port=settings.ui_port,
        log_file=settings.data_dir / SERVER_LOG,
        codec_endpoint=codec.endpoint,
    )
    async with instrumented(settings), stop_on_signals(stop), server, AsyncExitStack() as more:
        if fake_bk:
            settings = await more.enter_async_context(_with_fake_blueking(settings))
        shown = settings.model_copy(
            update={"ui_url": server.ui_url, "callback_url": settings.own_callback_url}
        )
        await more.enter_async_context(codec.serving(shown))
        client = await connect(shown, address=server.address, namespace=server.namespace)
        typer.echo(f"{typer.style('✓', fg='green')} server  TEMPORAL_ADDRESS={server.address}")
        typer.echo(f"  page    {server.ui_url}")
        typer.echo(f"  data    {settings.data_dir}")
        if codec.endpoint:
            typer.echo(f"  codec   {codec.endpoint}  (payloads are encrypted)")
        typer.echo("  next    stdops run FILE --wait  (Ctrl-C here ends server and worker)")
        await serve(client, shown, store, registry, stop=stop)


@asynccontextmanager
async def _with_fake_blueking(settings: "Settings") -> AsyncGenerator["Settings"]:
    """Run a fake BlueKing platform, and give settings that use it."""
    from workers.fake_blueking import Platform, free_port, serving, shop

    async with serving(Platform(shop())) as served:
        chosen = served.worker_settings(settings.receiver_port or free_port())
        chosen["plugins"] = {**settings.plugins, **chosen["plugins"]}
        chosen["project"] = {**chosen["project"], **settings.project}
        chosen["http_allow"] = (*settings.http_allow, "127.0.0.1")
        typer.echo(f"{typer.style('✓', fg='green')} fake BlueKing  {served.url}/_fake/state")
        yield settings.model_copy(update=chosen)


def _log_problems(registry: "Registry") -> None:
    """Log what could not be loaded: the worker starts without it, and its nodes would fail."""
    import structlog

    log = structlog.get_logger(__name__)
    for found in registry.diagnostics:
        told = log.error if found.severity == "error" else log.warning
        told(
            "workers.plugins_not_loaded",
            code=found.code,
            what=found.what,
            where=str(found.where),
            fix=found.fix,
        )


# --- demo -------------------------------------------------------------------------------------


@app.command(
    epilog=epilog(
        "stdops demo",
        "stdops demo --once",
        "stdops demo --blueking",
        codes=[Code.ERRORS, Code.UNREACHABLE, Code.INTERRUPTED],
    )
)
def demo(
    *,
    once: Annotated[
        bool, typer.Option("--once", help="Mend the failure too, and end with the run.")
    ] = False,
    blueking: Annotated[
        bool, typer.Option("--blueking", help="Change hosts through a fake BlueKing platform.")
    ] = False,
) -> None:
    """Show it all: a release that fails, and how it is mended."""
    from workers.demo import show

    end(await_now(show(once=once, blueking=blueking)))
