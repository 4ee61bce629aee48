"""How a job goes on over time: what JOB says of it at any moment. Pure.

Its steps run one after another; a step ends when its slowest host has ended, and a step that has
failed on any host is the last one.
"""

from typing import Final, NamedTuple

from workers.fake_blueking.shell import SUCCEEDED
from workers.fake_blueking.world import HostRun, Job, Pace, Step

PENDING, RUNNING, SUCCESS, FAILED = 1, 2, 3, 4
TERMINATING, TERMINATED = 10, 11
HOST_WAITS, HOST_RUNS, HOST_TERMINATED = 5, 7, 403
ENDS: Final = frozenset({SUCCESS, FAILED, TERMINATED})


class HostView(NamedTuple):
    """A host of a step at a moment; times are seconds since the epoch, 0 for not yet."""

    run: HostRun
    status: int
    started_at: float
    ended_at: float


class StepView(NamedTuple):
    """A step at a moment."""

    step: Step
    status: int
    hosts: tuple[HostView, ...]


class JobView(NamedTuple):
    """A job at a moment; `ends_at` is when it ends, or has."""

    status: int
    ends_at: float
    steps: tuple[StepView, ...]

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return self.status in ENDS


class _Span(NamedTuple):
    step: Step
    begins: float
    ends: float
    is_good: bool


def view(job: Job, pace: Pace, now: float) -> JobView:
    """Return what JOB says of a job at a moment."""
    spans = _spans(job, pace)
    ends_at = spans[-1].ends
    stopped = job.stopped_at
    if stopped is not None and stopped < ends_at:
        ends_at = stopped + pace.pending_s
        status = TERMINATED if now >= ends_at else TERMINATING
        steps = _steps(job, spans, stopped, now >= ends_at)
        return JobView(status, ends_at, steps)
    if now >= ends_at:
        status = SUCCESS if all(span.is_good for span in spans) else FAILED
    else:
        status = RUNNING if now >= spans[0].begins else PENDING
    return JobView(status, ends_at, _steps(job, spans, now, is_stopped=False))


def _spans(job: Job, pace: Pace) -> list[_Span]:
    """Return when each step that is reached begins and ends."""
    found: list[_Span] = []
    at = job.started_at + pace.pending_s
    for step in job.steps:
        ends = at + max(pace.running_s + run.seconds for run in step.hosts)
        is_good = all(run.status == SUCCEEDED for run in step.hosts)
        found.append(_Span(step, at, ends, is_good))
        at = ends
        if not is_good:
            break
    return found


def _steps(job: Job, spans: list[_Span], now: float, is_stopped: bool) -> tuple[StepView, ...]:  # noqa: FBT001  a fact, not a mode
    reached = {span.step.id: span for span in spans}
    return tuple(_step(step, reached.get(step.id), now, is_stopped) for step in job.steps)


def _step(step: Step, span: _Span | None, now: float, is_stopped: bool) -> StepView:  # noqa: FBT001  as above
    if span is None or now < span.begins:
        waits = tuple(HostView(run, HOST_WAITS, 0, 0) for run in step.hosts)
        return StepView(step, PENDING, waits)
    hosts = tuple(_host(run, span, now, is_stopped) for run in step.hosts)
    if now >= span.ends:
        return StepView(step, SUCCESS if span.is_good else FAILED, hosts)
    return StepView(step, TERMINATED if is_stopped else RUNNING, hosts)


def _host(run: HostRun, span: _Span, now: float, is_stopped: bool) -> HostView:  # noqa: FBT001  as above
    slowest = max(each.seconds for each in span.step.hosts)
    ends = span.ends - slowest + run.seconds
    if now >= ends:
        return HostView(run, run.status, span.begins, ends)
    if is_stopped:
        return HostView(run, HOST_TERMINATED, span.begins, now)
    return HostView(run, HOST_RUNS, span.begins, 0)
