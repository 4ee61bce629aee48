"""How commands reach the rest: settings, store, plugins, a server, and all of it in one process."""

import asyncio
import sys
from collections.abc import AsyncGenerator, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from pydantic import JsonValue

from stdops import StdopsError
from translator.plan import Plan
from workers.cli.templates import Source, choose, examine, find_source

if TYPE_CHECKING:
    from temporalio.client import Client

    from activities.expressions.secrets import Keys
    from activities.registry import Registry
    from translator.template import Template
    from workers.client import Runs
    from workers.server import EmbeddedServer
    from workers.settings import Settings
    from workers.store import Store

SERVER_LOG: Final = "temporal.log"


class Start(NamedTuple):
    """What a person wants of a run: values, the nodes to leave out, the schemes, and who asks.

    `keys` seal what is secret before it is stored.
    """

    values: Mapping[str, JsonValue]
    exclude: Collection[str]
    schemes: Collection[str]
    operator: str
    keys: "Keys | None" = None

    @property
    def selects(self) -> bool:
        """Say whether some nodes are to be left out."""
        return bool(self.exclude or self.schemes)


@dataclass(frozen=True, slots=True)
class Prepared:
    """What a run is started with: plan, stored version, and a digest where nodes are left out."""

    plan: Plan
    version: int
    digest: str | None


def is_interactive() -> bool:
    """Say whether a person sits at a terminal."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def find_registry() -> "Registry":
    """Return the plugins that are installed."""
    from activities.registry import discover

    return discover()


# --- what to run ------------------------------------------------------------------------------


def prepare(
    name: str,
    template: str,
    store: "Store",
    registry: "Registry",
    *,
    start: Start,
) -> Prepared:
    """Find what `name` means and check that it can run; then import it if it is a file.

    Raises:
        StdopsError: there is no such template, it has errors, plugins are missing (SOP401), or
            values are wrong (SOP220).
    """
    from workers.catalog import RegistryCatalog
    from workers.importing import Seals, load
    from workers.secrets import sealed_plan

    source = find_source(name, template, store=store)
    catalog = RegistryCatalog(registry)
    is_stored = not _is_file(source)
    if is_stored:
        plan = store.plan_of(name)
    else:
        plan = choose(examine(source, catalog=catalog, library=store), source.template)
    chosen = _selected(source, plan, store, start) if start.selects else plan
    require_plugins(chosen, registry)
    check_inputs(chosen, start.values)
    if not is_stored:
        seals = Seals(start.keys, registry.traits()) if start.keys else None
        load(source.data, source.file, store, catalog, operator=start.operator, seals=seals)
    digest = None
    if not start.selects:
        chosen = store.plan_of(plan.template_key)
    else:
        sealed = sealed_plan(chosen, start.keys, registry.traits()) if start.keys else chosen
        digest = store.save_plan(sealed)
    return Prepared(chosen, store.template(plan.template_key).version, digest)


def require_plugins(plan: Plan, registry: "Registry") -> None:
    """Refuse a plan whose plugins are not all installed here; every missing one is told.

    Raises:
        StdopsError: some are missing (SOP401).
    """
    from workers.plans import first_uses, lazy_variables

    traits = registry.traits()
    missing = [
        registry.missing_text(task.plugin.code, task.plugin.version)
        for task in first_uses(plan)
        if f"{task.plugin.code}/{task.plugin.version}" not in traits
    ]
    missing += [
        f"unknown variable type {variable.code!r} of {variable.key!r}"
        for variable in lazy_variables(plan.flow)
        if registry.lazy(variable.code) is None
    ]
    if missing:
        raise StdopsError(
            "SOP401",
            "; ".join(missing),
            where=f"template {plan.template_key}",
            fix="nothing was started",
        )


def check_inputs(plan: Plan, given: Mapping[str, JsonValue]) -> None:
    """Refuse values that are not the plan's; every problem is told.

    Raises:
        StdopsError: some are wrong (SOP220).
    """
    from workers.cli.output import remark
    from workflows.inputs import read_inputs

    read = read_inputs(plan.flow, given)
    if read.problems:
        what = "; ".join(read.problems)
        where = f"template {plan.template_key}"
        raise StdopsError("SOP220", what, where=where, fix="correct --set or --inputs")
    for note in read.notes:
        remark(note)


def check_project(project: Mapping[str, JsonValue], file: Path | None) -> None:
    """Refuse what is said of a run's project where it cannot be used; every problem is told.

    Raises:
        StdopsError: something is wrong with it (SOP220).
    """
    from workflows.system import project_problems

    problems = project_problems(project)
    if problems:
        fix = 'write fields such as {"project_name": "Shop", "env": {"region": "sz"}}'
        raise StdopsError("SOP220", "; ".join(problems), where=str(file), fix=fix)


def _is_file(source: Source) -> bool:
    return source.file == "<stdin>" or Path(source.file).exists()


def _selected(source: Source, whole: Plan, store: "Store", start: Start) -> Plan:
    """Return the plan with optional nodes left out; they may be named as in a verb."""
    ids = [_node_id(whole, name) for name in start.exclude]
    if start.schemes:
        templates = examine(source, library=store).templates
        template = next(t for t in templates if t.key == whole.template_key)
        ids += _left_out(template, start.schemes)
    return choose(examine(source, library=store, exclude=ids), source.template)


def _left_out(template: "Template", names: Collection[str]) -> list[str]:
    """Return the optional nodes that none of the schemes named keeps; by id, or by name.

    Raises:
        StdopsError: the template has no such scheme (SOP023).
    """
    kept: dict[str, None] = {}
    for name in names:
        found = [scheme for scheme in template.schemes if name in (scheme.id, scheme.name)]
        if not found:
            known = ", ".join(f"{s.name!r} ({s.id})" for s in template.schemes) or "none"
            what = f"the template has no scheme {name!r}; it has {known}"
            fix = "name a scheme by its id or name"
            raise StdopsError("SOP023", what, where="--scheme", fix=fix)
        kept.update(dict.fromkeys(node for scheme in found for node in scheme.nodes))
    nodes = {**template.tree.tasks, **template.tree.subflows}
    return [key for key, node in nodes.items() if node.optional and key not in kept]


def _node_id(plan: Plan, name: str) -> str:
    from workflows.machine.addressing import Unclear, find_node
    from workflows.machine.program import lay_out

    found = find_node(lay_out(plan), name)
    if isinstance(found, Unclear):
        fix = "name an optional node by its id or name"
        raise StdopsError("SOP024", found.text, where="--exclude", fix=fix)
    return found.rpartition("/")[2]


# --- the server -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Connection:
    """A connected client, and what reads and operates runs with it."""

    client: "Client"
    runs: "Runs"
    settings: "Settings"


async def connected(settings: "Settings") -> Connection:
    """Connect to the server that the environment names.

    Raises:
        StdopsError: no server answers (SOP503).
    """
    from workers.client import Runs, connect

    client = await connect(settings)
    return Connection(client, Runs(client, settings), settings)


async def has_worker(connection: Connection) -> bool:
    """Say whether a worker polls the queue of runs."""
    from temporalio.service import RPCError

    from workers.pollers import pollers

    try:
        return bool(await pollers(connection.client, connection.settings.task_queue, "workflow"))
    except RPCError:
        return True  # a server that does not let us look is no reason not to start


@asynccontextmanager
async def everything(
    settings: "Settings", server: "EmbeddedServer", store: "Store", registry: "Registry"
) -> AsyncGenerator[Connection]:
    """Run an embedded server and a worker in this process for as long as the context lasts.

    Raises:
        StdopsError: the server cannot be started (SOP502).
    """
    from workers.client import Runs, connect
    from workers.worker import serve

    async with server:
        shown = settings.model_copy(update={"ui_url": server.ui_url or settings.ui_url})
        client = await connect(shown, address=server.address, namespace=server.namespace)
        stop = asyncio.Event()
        worker = asyncio.create_task(serve(client, shown, store, registry, stop=stop))
        _end_with(worker)
        try:
            yield Connection(client, Runs(client, shown), shown)
        finally:
            stop.set()
            await worker


def _end_with(worker: "asyncio.Task[None]") -> None:
    """Let a worker that fails end what is done with it, instead of leaving it waiting."""
    main = asyncio.current_task()

    def ended(done: "asyncio.Task[None]") -> None:
        if main is not None and not done.cancelled() and done.exception() is not None:
            main.cancel()

    worker.add_done_callback(ended)


def keep_logs(settings: "Settings", *, shown: bool) -> None:
    """Keep the worker's log in its file; `shown` also writes it to standard error."""
    from workers.logs import LogFile, configure_logs

    size = settings.log_file_mb * 1_000_000
    file = LogFile(settings.log_file, size) if size else None
    configure_logs(settings.log_level, as_json=settings.log_json, file=file, shown=shown)


@asynccontextmanager
async def instrumented(settings: "Settings") -> AsyncGenerator[None]:
    """Measure and trace what the settings ask for, for a process that has not connected yet.

    Raises:
        SettingsError: metrics cannot be offered (SOP515), or traces cannot be sent (SOP516).
    """
    from workers.telemetry import install

    install(settings)
    if not settings.traces:
        yield
        return
    from workers.tracing import sending

    async with sending(settings):
        yield
