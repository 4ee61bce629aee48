"""OpenTelemetry traces: a run, its nodes, and the requests that their plugins make.

Off unless the setting `traces` says so; then spans go where the standard OTEL_* variables say. Of
one run all spans have one trace: that of the client that started it, where that sends traces, else
one that follows from the run's first run id, so that a worker that takes a run over goes on in it.
Replays send nothing again.
"""

import hashlib
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, Final

from structlog.contextvars import get_contextvars
from temporalio import activity, workflow
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput

from stdops import SettingsError, __version__
from workers.settings import Settings
from workflows.activity_ids import read_activity_id

try:
    from opentelemetry import trace
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import OTELResourceDetector, Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from temporalio.contrib.opentelemetry import (
        TracingInterceptor,
        TracingWorkflowInboundInterceptor,
    )
except ModuleNotFoundError as missing:
    raise SettingsError(
        "SOP516",
        f"traces cannot be sent: {missing}",
        where="STDOPS_TRACES",
        fix="install the extra `stdops[otel]`, or leave STDOPS_TRACES out",
    ) from None

if TYPE_CHECKING:
    from temporalio.worker import WorkflowInterceptorClassInput

_SAMPLED: Final = "01"
_PLACE: Final = ("run", "node", "entry", "plugin", "step", "attempt")
"""What an activity binds to its log lines, and we put on the spans of its requests."""

_FIRST_ERROR: Final = 400


class RunTraces(TracingInterceptor):
    """Makes spans of runs and nodes; for a worker."""

    def workflow_interceptor_class(
        self,
        input: "WorkflowInterceptorClassInput",  # noqa: A002  the base class names it
    ) -> type[TracingWorkflowInboundInterceptor]:
        """Return what makes the spans of a run."""
        super().workflow_interceptor_class(input)  # gives the way out of the sandbox
        return _RunTrace

    def intercept_activity(
        self,
        next: ActivityInboundInterceptor,  # noqa: A002  the base class names it
    ) -> ActivityInboundInterceptor:
        """Return what makes the span of an activity."""
        return super().intercept_activity(_NodeSpan(next))


class _RunTrace(TracingWorkflowInboundInterceptor):
    """Knows a trace for every run, where the SDK knows one only if the client sent it."""

    def _load_workflow_context_carrier(self) -> Any:  # Any: the SDK's own type is private
        carrier = super()._load_workflow_context_carrier()
        if carrier is None:
            first = workflow.info().first_execution_run_id
            carrier = self._workflow_context_carrier = {"traceparent": trace_parent(first)}
        return carrier


class _NodeSpan(ActivityInboundInterceptor):
    """Says on an activity's span which node it works for."""

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002  as above
        info = activity.info()
        span = trace.get_current_span()
        span.set_attribute("stdops.attempt", info.attempt)
        named = read_activity_id(info.activity_id)
        if named is not None:
            span.set_attribute("stdops.node", named.path)
            span.set_attribute("stdops.entry", named.entry)
            span.set_attribute("stdops.step", named.step)
        return await self.next.execute_activity(input)


def trace_parent(run_id: str) -> str:
    """Return the W3C `traceparent` of a run whose client sent none."""
    digest = hashlib.sha256(run_id.encode()).hexdigest()
    return f"00-{digest[:32]}-{digest[32:48]}-{_SAMPLED}"


def traced_requests(tracer: trace.Tracer | None = None) -> "Callable[..., Any]":
    """Return what an HTTP client is given to make a span of each request.

    The address stands in it without user, password and query; no header and no body does.
    """
    made = tracer or trace.get_tracer("stdops.http")

    @contextmanager
    def watch(method: str, url: str) -> Generator[Callable[[int], None]]:
        attributes = {"http.request.method": method, "url.full": url, **_node()}
        with made.start_as_current_span(
            method, kind=trace.SpanKind.CLIENT, attributes=attributes
        ) as span:

            def answered(status: int) -> None:
                span.set_attribute("http.response.status_code", status)
                if status >= _FIRST_ERROR:
                    span.set_status(trace.StatusCode.ERROR)

            yield answered

    return watch


def _node() -> dict[str, str | int]:
    bound = get_contextvars()
    return {f"stdops.{name}": bound[name] for name in _PLACE if name in bound}


@asynccontextmanager
async def sending(settings: Settings) -> AsyncGenerator[None]:
    """Send spans while the context lasts, where the settings say so; what is left goes at its end.

    Raises:
        SettingsError: the extra `otel` is not installed (SOP516), raised when we are imported.
    """
    if not settings.traces:
        yield
        return
    provider = TracerProvider(resource=_resource())
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    try:
        yield
    finally:
        provider.shutdown()


def _resource() -> Resource:
    """Return who sends: `stdops`, unless OTEL_SERVICE_NAME or OTEL_RESOURCE_ATTRIBUTES say else."""
    ours = Resource({"service.name": "stdops", "service.version": __version__})
    return Resource.create().merge(ours).merge(OTELResourceDetector().detect())
