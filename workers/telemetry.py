"""What a process tells of itself in numbers: Temporal's own metrics and ours, for Prometheus.

One endpoint for both, that of the SDK's runtime. `install` is called once at the start of a process
that offers metrics, before it connects; everywhere else `meters()` gives instruments that lead
nowhere until then.
"""

import logging
from functools import cache
from typing import Final, Literal, NamedTuple, TypeAlias

from temporalio.common import (
    MetricCounter,
    MetricGauge,
    MetricGaugeFloat,
    MetricHistogramFloat,
    MetricMeter,
)
from temporalio.runtime import (
    LogForwardingConfig,
    LoggingConfig,
    PrometheusConfig,
    Runtime,
    TelemetryConfig,
    TelemetryFilter,
)

from stdops import SettingsError
from workers.settings import Settings

Kind: TypeAlias = Literal["counter", "gauge", "histogram"]

CORE_LOGGER: Final = "temporalio.core"
"""Where the lines of the SDK's native part go, so that they are written as all others are."""

_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
_LATENCIES: Final = (
    "temporal_workflow_task_schedule_to_start_latency",
    "temporal_activity_schedule_to_start_latency",
    "temporal_workflow_task_execution_latency",
    "temporal_activity_execution_latency",
    "temporal_activity_succeed_endtoend_latency",
    "temporal_workflow_endtoend_latency",
    "temporal_request_latency",
    "temporal_long_request_latency",
)


class Metric(NamedTuple):
    """One of our metrics: its name as Prometheus sees it, its labels, what it counts."""

    name: str
    kind: Kind
    labels: tuple[str, ...]
    meaning: str


METRICS: Final = (
    Metric(
        "stdops_steps_total",
        "counter",
        ("plugin", "step", "outcome"),
        "steps of plugins that ended; `step` is call, poll, callback or stop, `outcome` is done, "
        "failed, polling, waiting, still_running (a look that found the work under way), "
        "not_taken or no_answer (tried again), or interrupted",
    ),
    Metric(
        "stdops_step_seconds",
        "histogram",
        ("plugin", "step"),
        "how long a step of a plugin took; a batch of quick ones counts as one, of its first",
    ),
    Metric(
        "stdops_outcome_unknown_total",
        "counter",
        ("plugin",),
        "nodes that failed because nobody knows whether the outside did the work",
    ),
    Metric(
        "stdops_callbacks_total",
        "counter",
        ("result",),
        "callbacks by HTTP: at the door received, forged, expired, malformed, too_large, too_slow "
        "or unavailable; later delivered, refused or dead",
    ),
    Metric(
        "stdops_runs",
        "gauge",
        ("state",),
        "open runs of the task queue by state, as the server has it",
    ),
    Metric(
        "stdops_failed_nodes",
        "gauge",
        (),
        "failed nodes that wait for a person, over the open runs",
    ),
    Metric(
        "stdops_failed_oldest_seconds",
        "gauge",
        (),
        "how long the oldest of them has been waiting; 0 when none waits",
    ),
    Metric(
        "stdops_runs_counted_timestamp_seconds",
        "gauge",
        (),
        "when the runs were counted last, seconds since the epoch; it stands still while the "
        "server cannot be asked",
    ),
)
"""Every metric of ours; `docs/monitoring.md` has the same list."""

LABELS: Final = tuple(dict.fromkeys(label for metric in METRICS for label in metric.labels))


class Meters(NamedTuple):
    """The instruments, one for each of `METRICS`."""

    steps: MetricCounter
    step_seconds: MetricHistogramFloat
    outcome_unknown: MetricCounter
    callbacks: MetricCounter
    runs: MetricGauge
    failed_nodes: MetricGauge
    failed_oldest: MetricGaugeFloat
    runs_counted: MetricGaugeFloat


def install(settings: Settings) -> None:
    """Make the process's runtime as the settings say; called before it connects.

    The native part's log lines go to the logger `CORE_LOGGER`.

    Raises:
        SettingsError: the address of the metrics cannot be had (SOP515).
    """
    try:
        runtime = Runtime(telemetry=telemetry_of(settings))
    except (RuntimeError, ValueError) as error:
        raise SettingsError(
            "SOP515",
            f"metrics cannot be offered: {str(error).splitlines()[0]}",
            where=f"STDOPS_METRICS_ADDRESS={settings.metrics_address}",
            fix="free the port, or choose another address; none (empty) offers no metrics",
        ) from None
    Runtime.set_default(runtime, error_if_already_set=False)
    _current.meter = runtime.metric_meter
    meters.cache_clear()


def telemetry_of(settings: Settings) -> TelemetryConfig:
    """Return how the SDK's runtime logs and measures."""
    metrics = None
    if settings.metrics_address:
        metrics = PrometheusConfig(
            bind_address=settings.metrics_address,
            counters_total_suffix=True,
            unit_suffix=True,
            durations_as_seconds=True,
            histogram_bucket_overrides=dict.fromkeys(
                (*_LATENCIES, "stdops_step_seconds"), _BUCKETS
            ),
        )
    forwarding = LogForwardingConfig(
        logging.getLogger(CORE_LOGGER), append_target_to_name=False, prepend_target_on_message=False
    )
    told = LoggingConfig(TelemetryFilter(core_level="WARN", other_level="ERROR"), forwarding)
    return TelemetryConfig(logging=told, metrics=metrics, global_tags={}, attach_service_name=False)


@cache
def meters() -> Meters:
    """Return the process's instruments."""
    meter = _current.meter
    return Meters(
        meter.create_counter("stdops_steps", METRICS[0].meaning),
        meter.create_histogram_float("stdops_step_seconds", METRICS[1].meaning),
        meter.create_counter("stdops_outcome_unknown", METRICS[2].meaning),
        meter.create_counter("stdops_callbacks", METRICS[3].meaning),
        meter.create_gauge("stdops_runs", METRICS[4].meaning),
        meter.create_gauge("stdops_failed_nodes", METRICS[5].meaning),
        meter.create_gauge_float("stdops_failed_oldest_seconds", METRICS[6].meaning),
        meter.create_gauge_float("stdops_runs_counted_timestamp_seconds", METRICS[7].meaning),
    )


def count_callback(result: str) -> None:
    """Count a callback by what became of it."""
    meters().callbacks.add(1, {"result": result})


class _Current:
    """The process's meter: one, as its log is one."""

    meter: MetricMeter = MetricMeter.noop


_current: Final = _Current()
