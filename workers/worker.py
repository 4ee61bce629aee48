"""The worker process: workflows, plugins and `load_plan` on one client, stopped gently."""

import asyncio
import os
import pkgutil
import signal
import socket
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, cast

import structlog
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import (
    AddSearchAttributesRequest,
    ListSearchAttributesRequest,
)
from temporalio.client import Client
from temporalio.service import RPCError
from temporalio.worker import Interceptor, Worker, WorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxRestrictions

import workflows
from activities.http_client import Destinations, HttpClient, create_client
from activities.registry import Registry
from stdops import __version__
from workers.deployment import deployment_config, tell_version
from workers.health import answering, checks_of
from workers.measuring import MeasureInterceptor
from workers.plans import PlanLoader, shelf_of
from workers.runner import ToldRunner, ToldSandboxedRunner
from workers.server import SEARCH_ATTRIBUTES
from workers.settings import Settings
from workers.store import Store

if TYPE_CHECKING:
    from activities.expressions import Sandbox

Activity = Callable[..., object]

_SANDBOXED: Final = frozenset({"run_flow"})
"""The parts of `workflows` that the sandbox loads anew for each run: the driver alone. All others
are pure, and costly to load per run."""

_PURE: Final = (
    "stdops",
    "translator",
    "activities",
    "annotated_types",
    "typing_inspection",
    "opentelemetry",  # its spans are made outside; a replay makes none
)
_ASK_S: Final = timedelta(seconds=10)
_INDEXED: Final = {
    "Keyword": IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD,
    "Int": IndexedValueType.INDEXED_VALUE_TYPE_INT,
}


@dataclass(frozen=True, slots=True)
class WorkerParts:
    """What a worker carries out: workflow classes, activities, interceptors."""

    workflows: Sequence[type]
    activities: Sequence[Activity]
    interceptors: Sequence[Interceptor] = ()


def build_worker(client: Client, settings: Settings, parts: WorkerParts) -> Worker:
    """Return a worker of the settings' task queue, not yet running."""
    return Worker(
        client,
        task_queue=settings.task_queue,
        workflows=parts.workflows,
        activities=parts.activities,
        interceptors=(*_traces(settings), *parts.interceptors),
        workflow_runner=workflow_runner(sandboxed=settings.sandboxed),
        identity=identity(),
        deployment_config=deployment_config(settings),
        max_concurrent_activities=settings.max_concurrent_activities,
        max_heartbeat_throttle_interval=timedelta(seconds=1),  # a cancel travels on its reply
        graceful_shutdown_timeout=timedelta(seconds=settings.graceful_shutdown_s),
    )


def worker_parts(
    registry: Registry, sandbox: "Sandbox", loader: PlanLoader, http: HttpClient | None = None
) -> WorkerParts:
    """Return what our workers carry out: the runs' workflows, the plugins, `load_plan`."""
    from activities.dispatch import activities
    from workers.children import tell_child, watch_child
    from workflows.run_flow import PageInterceptor, RunFlow, TemplateFlow

    return WorkerParts(
        workflows=(RunFlow, TemplateFlow),
        activities=(
            *activities(
                registry,
                sandbox,
                http=http,
                max_outcome_bytes=loader.most_bytes,
                keys=loader.keys,
                shelf=loader.shelf,
            ),
            loader.load_plan,
            watch_child,
            tell_child,
        ),
        interceptors=(MeasureInterceptor(), PageInterceptor()),
    )


async def serve(
    client: Client, settings: Settings, store: Store, registry: Registry, *, stop: asyncio.Event
) -> None:
    """Run a whole worker until `stop` is set: registers attributes, opens the sandbox, drains.

    Raises:
        Exception: what made the worker fail, if it did.
    """
    from activities.expressions import Sandbox

    started = asyncio.Event()
    known = await register_search_attributes(client)
    loader = PlanLoader(store, registry, settings, known)
    async with (
        Sandbox() as sandbox,
        http_client(settings) as http,
        _receiver(client, settings, store, loader),
        answering(settings, checks_of(client, store, stop, started)),
        _counting(client, settings),
    ):
        parts = worker_parts(registry, sandbox, loader, http)
        await run_worker(client, settings, parts, stop=stop, started=started)


async def serve_plugins(
    client: Client, settings: Settings, registry: Registry, *, stop: asyncio.Event
) -> None:
    """Run a worker of the settings' queue that takes steps of plugins only, until `stop` is set.

    For a queue that plugins are routed to: it needs no store, and takes no workflow task.

    Raises:
        Exception: what made the worker fail, if it did.
    """
    from activities.dispatch import activities
    from activities.expressions import Sandbox
    from workers.payloads import most_bytes
    from workers.secrets import secret_keys

    keys, started = secret_keys(settings), asyncio.Event()
    async with (
        Sandbox() as sandbox,
        http_client(settings) as http,
        answering(settings, checks_of(client, None, stop, started)),
    ):
        shelf = shelf_of(settings, keys)
        most = most_bytes(settings)
        served = activities(
            registry, sandbox, http=http, max_outcome_bytes=most, keys=keys, shelf=shelf
        )
        parts = WorkerParts((), served, (MeasureInterceptor(),))
        await run_worker(client, settings, parts, stop=stop, started=started)


@asynccontextmanager
async def _receiver(
    client: Client, settings: Settings, store: Store, loader: PlanLoader
) -> AsyncGenerator[None]:
    """Run a receiver of callbacks beside the worker, where the settings give it a port."""
    if not settings.receiver_port:
        yield
        return
    from workers.receiver.serving import receiving

    async with receiving(client, settings, store, loader.keys):
        yield


@asynccontextmanager
async def _counting(client: Client, settings: Settings) -> AsyncGenerator[None]:
    """Count the runs while the context lasts, where the numbers are offered to anybody."""
    if not settings.metrics_address:
        yield
        return
    from workers.census import keep_counting

    counting = asyncio.create_task(keep_counting(client, settings))
    try:
        yield
    finally:
        counting.cancel()
        await asyncio.wait((counting,))


def http_client(settings: Settings) -> HttpClient:
    """Return the client of a worker's plugins, which goes where the settings let it."""
    destinations = Destinations.read(settings.http_allow, settings.http_deny)
    if not settings.traces:
        return create_client(destinations=destinations)
    from workers.tracing import traced_requests

    return create_client(destinations=destinations, watch=traced_requests())


def _traces(settings: Settings) -> tuple[Interceptor, ...]:
    """Return what makes spans of runs and nodes, where the settings ask for them."""
    if not settings.traces:
        return ()
    from workers.tracing import RunTraces

    return (RunTraces(),)


async def run_worker(
    client: Client,
    settings: Settings,
    parts: WorkerParts,
    *,
    stop: asyncio.Event,
    started: asyncio.Event | None = None,
) -> None:
    """Run a worker until `stop` is set; then take nothing new and let activities end.

    `started` is set as soon as it takes work.

    Raises:
        Exception: what made the worker fail, if it did.
    """
    log = structlog.get_logger(__name__)
    worker = build_worker(client, settings, parts)
    await tell_version(client, settings)
    running = asyncio.create_task(worker.run())
    stopping = asyncio.create_task(stop.wait())
    if started is not None:
        started.set()
    log.info("workers.worker_started", queue=settings.task_queue, namespace=client.namespace)
    try:
        await asyncio.wait((running, stopping), return_when=asyncio.FIRST_COMPLETED)
        if not running.done():
            log.info("workers.worker_draining", grace_s=settings.graceful_shutdown_s)
            await worker.shutdown()
        await running
    finally:
        stopping.cancel()
        if not running.done():  # we were cancelled: leave no poller behind
            running.cancel()
            await asyncio.wait((running,))
    log.info("workers.worker_stopped", queue=settings.task_queue)


@asynccontextmanager
async def stop_on_signals(stop: asyncio.Event) -> AsyncGenerator[None]:
    """Set `stop` at the first Ctrl-C or SIGTERM; a second Ctrl-C ends the process at once."""
    loop = asyncio.get_running_loop()

    def heard(number: signal.Signals) -> None:
        if stop.is_set() and number is signal.SIGINT:
            os._exit(130)
        structlog.get_logger(__name__).info("workers.stop_requested", signal=number.name)
        stop.set()

    numbers = (signal.SIGINT, signal.SIGTERM)
    for number in numbers:
        loop.add_signal_handler(number, heard, number)
    try:
        yield
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)


async def register_search_attributes(client: Client) -> tuple[str, ...]:
    """Make the server know our search attributes where we may; return those that it knows.

    What it does not know is left out of runs, with one warning: writing an unknown attribute would
    make a run hang.
    """
    log = structlog.get_logger(__name__)
    known, trouble = await _known_attributes(client)
    missing = {name: kind for name, kind in SEARCH_ATTRIBUTES.items() if name not in known}
    if missing and not trouble:
        trouble = await _add_attributes(client, missing)
        known, _ = await _known_attributes(client)
    usable = tuple(name for name in SEARCH_ATTRIBUTES if name in known)
    left_out = [name for name in SEARCH_ATTRIBUTES if name not in usable]
    if left_out:
        log.warning(
            "workers.search_attributes_missing",
            missing=left_out,
            reason=trouble or "the server registers them later",
            fix="an administrator: `temporal operator search-attribute create`",
        )
    return usable


def workflow_runner(*, sandboxed: bool = False) -> WorkflowRunner:
    """Return the runner of workflow code; the sandbox takes our pure modules as they are."""
    if not sandboxed:
        return ToldRunner()
    return ToldSandboxedRunner(
        restrictions=SandboxRestrictions.default.with_passthrough_modules(*passthrough_modules())
    )


def passthrough_modules() -> tuple[str, ...]:
    """Return the modules that the sandbox does not load anew; naming one claims that it is pure."""
    ours = (module.name for module in pkgutil.iter_modules(workflows.__path__))
    return (*_PURE, *(f"workflows.{name}" for name in sorted(ours) if name not in _SANDBOXED))


def identity() -> str:
    """Return how this worker calls itself on the server: product, version, process, host."""
    return f"stdops {__version__} {os.getpid()}@{socket.gethostname()}"


async def _known_attributes(client: Client) -> tuple[frozenset[str], str]:
    """Return the names that the server knows, and what kept it from saying so ("" for nothing)."""
    request = ListSearchAttributesRequest(namespace=client.namespace)
    try:
        answer = await client.operator_service.list_search_attributes(request, timeout=_ASK_S)
    except RPCError as error:
        return frozenset(), error.message
    found = cast("dict[str, Any]", answer.custom_attributes)  # protobuf's own map type
    return frozenset(found), ""


async def _add_attributes(client: Client, missing: dict[str, str]) -> str:
    """Ask the server to add attributes; return why it did not, "" if it did."""
    kinds = {name: _INDEXED[kind] for name, kind in missing.items()}
    request = AddSearchAttributesRequest(namespace=client.namespace, search_attributes=kinds)
    try:
        await client.operator_service.add_search_attributes(request, timeout=_ASK_S)
    except RPCError as error:
        return error.message
    return ""
