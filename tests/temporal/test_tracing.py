"""Traces on the real server: a run, its nodes and their requests are one trace."""

import secrets
from collections.abc import Generator
from pathlib import Path

import httpx
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from temporalio.client import Client

from activities.expressions import Sandbox
from activities.http_client import create_client
from activities.registry import Registry
from activities.sdk import Call, Inputs, Outputs, plugin
from tests.helpers.build import task
from tests.helpers.flows import plan, result, worker_on
from workers.plans import PlanLoader
from workers.settings import Settings
from workers.store import Store
from workers.tracing import RunTraces, trace_parent, traced_requests
from workers.worker import WorkerParts, worker_parts


class Nothing(Inputs):
    pass


class Seen(Outputs):
    status: int = 0


@plugin("ask", idempotent=True)
async def ask_outside(call: Call[Nothing]) -> Seen:
    answer = await call.http.get("https://ann:hidden@ops.example.com/state?token=hidden")
    return Seen(status=answer.status_code)


@pytest.fixture
def exporter() -> Generator[InMemorySpanExporter]:
    made = InMemorySpanExporter()
    yield made
    made.shutdown()


@pytest.fixture
def tracer(exporter: InMemorySpanExporter) -> Generator[trace.Tracer]:
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    yield provider.get_tracer("test")
    provider.shutdown()


def span_id(span: ReadableSpan) -> int:
    context = span.get_span_context()
    assert context is not None
    return context.span_id


async def traced_run(client: Client, tracer: trace.Tracer, folder: Path) -> str:
    """Run two nodes, each replayed from the run's beginning; return the run's first run id."""
    made = plan("start first second end", nodes=[task(n, code="ask") for n in ("first", "second")])
    queue = f"traces-{secrets.token_hex(3)}"
    settings = Settings(store_url=f"sqlite:///{folder}/store.db", task_queue=queue, batch_tasks=1)
    outside = httpx.MockTransport(lambda _request: httpx.Response(204))
    registry = Registry([ask_outside])
    with Store.open(settings.store_url) as store:
        given = {"template": "flow", "digest": store.save_plan(made)}
        loader = PlanLoader(store, registry, settings, ())
        async with (
            Sandbox() as sandbox,
            create_client(transport=outside, watch=traced_requests(tracer)) as http,
        ):
            parts = worker_parts(registry, sandbox, loader, http)
            interceptors = (RunTraces(tracer), *parts.interceptors)
            traced = WorkerParts(parts.workflows, parts.activities, interceptors)
            async with worker_on(client, queue, traced, cached=0):
                run = await client.start_workflow("RunFlow", given, id=queue, task_queue=queue)
                await result(run)
    return run.first_execution_run_id or ""


async def test_run_nodes_and_requests_are_one_trace_and_a_replay_adds_nothing(
    client: Client, tmp_path: Path, exporter: InMemorySpanExporter, tracer: trace.Tracer
) -> None:
    run_id = await traced_run(client, tracer, tmp_path)

    spans = exporter.get_finished_spans()
    names = [span.name for span in spans]
    assert names.count("RunWorkflow:RunFlow") == 1
    assert names.count("StartActivity:ask") == names.count("RunActivity:ask") == 2
    assert names.count("GET") == 2
    trace_ids = {span.context.trace_id for span in spans if span.context}
    assert trace_ids == {int(trace_parent(run_id).split("-")[1], 16)}
    by_id = {span_id(span): span for span in spans}
    for request in (span for span in spans if span.name == "GET"):
        assert request.parent is not None
        assert_belongs(request, by_id[request.parent.span_id])
    assert "hidden" not in "".join(span.to_json() for span in spans)


def assert_belongs(request: ReadableSpan, node: ReadableSpan) -> None:
    assert (node.name, node.parent is not None) == ("RunActivity:ask", True)
    place, seen = {**(node.attributes or {})}, {**(request.attributes or {})}
    assert place["stdops.node"] in {"first", "second"}
    assert (place["stdops.entry"], place["stdops.attempt"]) == (1, 1)
    assert seen["stdops.node"] == place["stdops.node"]
    assert seen["http.response.status_code"] == 204
    assert seen["url.full"] == "https://ops.example.com/state"
