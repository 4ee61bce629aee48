import asyncio
import dataclasses
from collections.abc import Callable, Collection, Mapping
from datetime import timedelta
from typing import Any

import httpx
import pytest
from pydantic import JsonValue
from structlog.testing import capture_logs
from temporalio.activity import ActivityCancellationDetails
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory
from temporalio.testing import ActivityEnvironment

from activities.contract import (
    EVALUATE,
    Done,
    EvaluateCall,
    EvaluateResult,
    Failed,
    OutcomeMessage,
    PluginCall,
    Polling,
    Unresolved,
)
from activities.dispatch import activities
from activities.expressions import EvaluationError, ExpressionWarning
from activities.http_client import create_client
from activities.registry import Registry
from activities.sdk import (
    AnyPlugin,
    Call,
    Inputs,
    Lookup,
    Outputs,
    PluginError,
    Secret,
    StillRunning,
    lazy_variable,
    plugin,
)
from activities.steps import merged_inputs
from translator.plan import Expression, PluginRef

NEEDS_SANDBOX = Unresolved(values={"host": Expression(text="${a+1}", reads=("a",))})


class JobInputs(Inputs):
    host: str = ""
    password: Secret | None = None
    loop: int = 0


class JobOutputs(Outputs):
    text: str


class Outside:
    """What the plugins under test meet: answers in order, the last one for ever."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self.answers = list(answers or [httpx.Response(200, text="ok")])
        self.asked = 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, httpx.RequestError):
            answer.request = request
        if isinstance(answer, Exception):
            raise answer
        return httpx.Response(answer.status_code, headers=answer.headers, text=answer.text)


class FakeSandbox:
    def __init__(self, values: Mapping[str, JsonValue] | Exception, lazy_code: str = "") -> None:
        self.values = values
        self.lazy_code = lazy_code
        self.warnings: list[ExpressionWarning] = []
        self.manner: tuple[object, ...] = ()

    async def evaluate(
        self,
        unresolved: Unresolved,
        lazy: Callable[[str, JsonValue], Any] | None = None,
        *,
        warnings: list[ExpressionWarning] | None = None,
        strict: bool = False,
        raw: Collection[str] = (),
        secret: Collection[str] = (),
        noun: str = "input",
    ) -> dict[str, JsonValue]:
        if isinstance(self.values, Exception):
            raise self.values
        self.manner = (strict, tuple(raw), tuple(secret), noun)
        if warnings is not None:
            warnings.extend(self.warnings)
        if self.lazy_code and lazy:
            return {"host": await lazy(self.lazy_code, "raw")}
        return dict(self.values)


@plugin("job", version="v1", heartbeat_s=3)
async def job(call: Call[JobInputs]) -> JobOutputs:
    response = await call.http.post("http://outside.test/job", content=call.inputs.host)
    response.raise_for_status()
    if response.text.startswith("job-"):
        raise StillRunning(response.text, 5, {"id": 1})
    return JobOutputs(text=response.text)


@job.poll
async def _(call: Call[JobInputs], handle: JsonValue) -> JobOutputs:
    call.progress(at=str(handle))
    response = await call.http.get(f"http://outside.test/{handle}")
    response.raise_for_status()
    if response.text == "running":
        msg = f"{handle}+"
        raise StillRunning(msg, 20, {"seen": str(handle)})
    return JobOutputs(text=response.text)


@plugin("job", version="v2", idempotent=True)
async def safe_job(call: Call[JobInputs]) -> JobOutputs:
    response = await call.http.post("http://outside.test/job")
    response.raise_for_status()
    return JobOutputs(text=response.text)


@plugin("patient", heartbeat_s=1)
async def patient(call: Call[JobInputs]) -> None:
    await asyncio.Event().wait()


@plugin("half")
async def half(call: Call[JobInputs]) -> JobOutputs:
    return JobOutputs(text="\ud800")


async def odd_progress(call: Call[JobInputs]) -> None:
    call.progress(at=object())  # pyright: ignore[reportArgumentType]


async def odd_handle(call: Call[JobInputs]) -> None:
    raise StillRunning(object())  # pyright: ignore[reportArgumentType]


async def odd_delay(call: Call[JobInputs]) -> None:
    raise StillRunning(1, float("nan"))


def polled(code: str, step: Callable[[Call[JobInputs]], Any]) -> AnyPlugin:
    made: AnyPlugin = plugin(code)(step)

    @made.poll
    async def _(call: Call[JobInputs], handle: JsonValue) -> None:
        await step(call)

    return made


ODD = [
    polled("odd_progress", odd_progress),
    polled("odd_handle", odd_handle),
    polled("odd_delay", odd_delay),
]


@lazy_variable("pick")
async def pick(lookup: Lookup) -> JsonValue:
    return f"picked {lookup.value} for {lookup.operator}"


@lazy_variable("broken")
async def broken(lookup: Lookup) -> JsonValue:
    msg = "no such set"
    raise PluginError(msg)


class Worker:
    """The activities of one worker, run as Temporal runs them, without a server."""

    def __init__(
        self, outside: Outside | None = None, sandbox: FakeSandbox | None = None, **settings: Any
    ) -> None:
        self.outside = outside or Outside()
        self.beats: list[dict[str, Any]] = []
        self.env = ActivityEnvironment()
        self.env.on_heartbeat = lambda *details: self.beats.append(details[0])
        registry = Registry([job, safe_job, patient, half, *ODD, pick, broken])
        found = activities(
            registry,
            sandbox or FakeSandbox({}),
            http=create_client(transport=httpx.MockTransport(self.outside)),
            **settings,
        )
        names = [getattr(f, "__temporal_activity_definition").name for f in found]
        self.by_name = dict(zip(names, found, strict=True))

    def at(self, attempt: int, trail: Mapping[str, JsonValue] | None = None) -> "Worker":
        self.env.info = dataclasses.replace(
            self.env.info, attempt=attempt, heartbeat_details=[trail] if trail else []
        )
        return self

    async def run(self, version: str = "v1", code: str = "job", **fields: Any) -> Any:
        message = PluginCall(
            plugin=PluginRef(code=code, version=version), run="r", node="n", entry=1, **fields
        )
        self.env.info = dataclasses.replace(self.env.info, activity_type=code)
        result = await self.env.run(self.by_name[code], message)
        assert isinstance(result, OutcomeMessage)
        return result.outcome


def test_a_worker_serves_each_code_once_everything_else_and_evaluate() -> None:
    names = list(Worker().by_name)

    assert names.count("job") == 1
    assert names[-2:] == [None, EVALUATE]


async def test_a_call_ends_in_an_outcome() -> None:
    assert await Worker().run() == Done(outputs={"text": "ok"})


async def test_the_version_chooses_the_plugin() -> None:
    outcome = await Worker().run(version="v9")

    assert outcome == Failed(
        error="unknown version 'v9' of plugin 'job'; this worker has 'v1', 'v2'"
    )


async def test_an_unknown_plugin_fails_its_node_with_a_suggestion() -> None:
    worker = Worker()
    worker.env.info = dataclasses.replace(worker.env.info, activity_type="jobb")

    result = await worker.env.run(worker.by_name[None], [])

    assert "unknown plugin 'jobb'" in result.outcome.error
    assert "did you mean 'job'?" in result.outcome.error


async def test_an_activity_of_ours_that_a_worker_lacks_is_offered_to_another() -> None:
    worker = Worker()
    worker.env.info = dataclasses.replace(worker.env.info, activity_type="stdops.new")

    with pytest.raises(ApplicationError, match=r"does not serve 'stdops\.new'") as caught:
        await worker.env.run(worker.by_name[None], [])

    assert not caught.value.non_retryable
    assert caught.value.next_retry_delay == timedelta(seconds=5)


# --- rendering ---------------------------------------------------------------------------------


async def test_inputs_are_rendered_first_and_returned() -> None:
    worker = Worker(sandbox=FakeSandbox({"host": "web-1"}))

    outcome = await worker.run(unresolved=NEEDS_SANDBOX, loop=3, inner_loop=2)

    assert outcome.outputs == {"text": "ok"}
    assert outcome.inputs == {"host": "web-1", "_loop": 3, "_inner_loop": 2}


async def test_inputs_that_needed_no_rendering_are_not_returned() -> None:
    assert (await Worker().run(inputs={"host": "x"})).inputs is None


async def test_secrets_of_a_node_that_ended_are_not_returned() -> None:
    worker = Worker(sandbox=FakeSandbox({"password": "hunter2"}))

    outcome = await worker.run(unresolved=NEEDS_SANDBOX)

    assert outcome.inputs["password"] == "******"


async def test_inputs_that_cannot_be_rendered_fail_the_node_without_a_call() -> None:
    worker = Worker(sandbox=FakeSandbox(EvaluationError("a is text")))

    outcome = await worker.run(unresolved=NEEDS_SANDBOX)

    text = "inputs hydrate failed(a is text), check node log for details"
    assert outcome == Failed(error=text, rendering=True)
    assert worker.outside.asked == 0


async def test_a_crash_of_the_sandbox_fails_the_node_too() -> None:
    worker = Worker(sandbox=FakeSandbox(RuntimeError("pipe closed")))

    with capture_logs() as logs:
        outcome = await worker.run(unresolved=NEEDS_SANDBOX)

    assert "inputs hydrate failed(RuntimeError: pipe closed)" in outcome.error
    assert logs[0]["event"] == "activities.evaluation_crashed"


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ((), {"_loop": 4, "a": "rendered"}),
        (("_loop",), {"_loop": "mine", "a": "rendered"}),
        (("_loop", "a"), {"_loop": "mine", "a": "ready"}),
    ],
)
def test_counters_win_over_rendered_inputs_and_raw_ones_over_all(
    raw: tuple[str, ...], expected: dict[str, JsonValue]
) -> None:
    call = PluginCall(
        plugin=job.ref,
        run="r",
        node="n",
        entry=1,
        inputs={"_loop": "mine", "a": "ready"},
        raw=raw,
        loop=4,
    )

    assert merged_inputs(call, {"a": "rendered"}) == {"_inner_loop": 1, **expected}


async def test_a_lazy_variable_is_computed_by_its_plugin() -> None:
    worker = Worker(sandbox=FakeSandbox({}, "pick"))

    outcome = await worker.run(unresolved=NEEDS_SANDBOX, context={"operator": "ann"})

    assert outcome.inputs["host"] == "picked raw for ann"


@pytest.mark.parametrize(
    ("code", "text"),
    [("broken", "no such set"), ("nothing", "no plugin computes variables of type 'nothing'")],
)
async def test_a_lazy_variable_that_cannot_be_computed_fails_the_node(code: str, text: str) -> None:
    outcome = await Worker(sandbox=FakeSandbox({}, code)).run(unresolved=NEEDS_SANDBOX)

    assert f"inputs hydrate failed({text})" in outcome.error


@pytest.mark.parametrize(
    ("sandbox", "result"),
    [
        (FakeSandbox({"x": 1}), EvaluateResult(values={"x": 1})),
        (FakeSandbox(EvaluationError("no")), EvaluateResult(error="no")),
    ],
)
async def test_evaluate_answers_with_values_or_a_reason(
    sandbox: FakeSandbox, result: EvaluateResult
) -> None:
    worker = Worker(sandbox=sandbox)
    call = EvaluateCall(run="r", node="n", entry=1, unresolved=NEEDS_SANDBOX)

    assert await worker.env.run(worker.by_name[EVALUATE], call) == result


# --- warnings -----------------------------------------------------------------------------------


def telling(*reasons: str) -> FakeSandbox:
    sandbox = FakeSandbox({"host": "${x}"})
    sandbox.warnings = [ExpressionWarning("input 'host'", "${x}", r, {}, "mend") for r in reasons]
    return sandbox


async def test_an_outcome_carries_the_warnings_of_its_inputs() -> None:
    worker = Worker(sandbox=telling("fails", "fails"))

    outcome = await worker.run(unresolved=NEEDS_SANDBOX)

    assert outcome.warnings == ("'${x}' in input 'host' stays text: it fails; mend",)


async def test_work_that_goes_on_outside_carries_them_too() -> None:
    worker = Worker(Outside(httpx.Response(200, text="job-1")), telling("fails"))

    outcome = await worker.run(unresolved=NEEDS_SANDBOX)

    assert (outcome.kind, len(outcome.warnings)) == ("polling", 1)


async def test_warnings_are_few_short_and_one_line_each() -> None:
    worker = Worker(sandbox=telling(*(f"fails\n{number} {'x' * 500}" for number in range(30))))

    outcome = await worker.run(unresolved=NEEDS_SANDBOX)

    assert len(outcome.warnings) == 20
    assert outcome.warnings[-1] == "and 11 more warnings"
    assert all(len(text) <= 300 and "\n" not in text for text in outcome.warnings)


async def test_the_sandbox_is_told_what_is_strict_raw_and_secret() -> None:
    sandbox = FakeSandbox({"host": "h"})
    worker = Worker(sandbox=sandbox)

    await worker.run(unresolved=NEEDS_SANDBOX, strict=True, raw=("note",))

    assert sandbox.manner == (True, ("note",), ("password",), "input")


async def test_an_evaluation_carries_warnings_and_is_told_what_values_are_called() -> None:
    sandbox = telling("fails")
    worker = Worker(sandbox=sandbox)
    call = EvaluateCall(
        run="r", node="n", entry=1, unresolved=NEEDS_SANDBOX, noun="output", strict=True
    )

    result = await worker.env.run(worker.by_name[EVALUATE], call)

    assert len(result.warnings) == 1
    assert sandbox.manner == (True, (), (), "output")


# --- again ---------------------------------------------------------------------------------------


async def test_a_call_that_was_not_taken_is_repeated_by_the_server() -> None:
    worker = Worker(Outside(httpx.ConnectError("refused")))

    with pytest.raises(ApplicationError) as caught:
        await worker.run()

    assert (caught.value.type, caught.value.non_retryable) == ("NotTaken", False)
    assert caught.value.next_retry_delay == timedelta(seconds=1)
    assert worker.beats == [{"not_taken": 1, "failures": 1}]


async def test_the_outside_says_when_to_come_back() -> None:
    worker = Worker(Outside(httpx.Response(429, headers={"retry-after": "40"})))

    with pytest.raises(ApplicationError) as caught:
        await worker.run()

    assert caught.value.next_retry_delay == timedelta(seconds=40)


async def test_a_call_that_was_not_taken_is_sent_again() -> None:
    worker = Worker().at(2, {"not_taken": 1, "failures": 1})

    assert await worker.run() == Done(outputs={"text": "ok"})


async def test_the_delay_doubles_and_the_attempts_are_bounded() -> None:
    outside = Outside(httpx.ConnectError("refused"))

    with pytest.raises(ApplicationError) as caught:
        await Worker(outside).at(4, {"not_taken": 3, "failures": 3}).run()
    outcome = await Worker(outside).at(5, {"not_taken": 4, "failures": 4}).run()

    assert caught.value.next_retry_delay == timedelta(seconds=8)
    assert "gave up after 5 attempts" in outcome.error


@pytest.mark.parametrize("trail", [None, {"not_taken": 1}, {"progress": {"a": 1}}, {"odd": 1}])
async def test_a_lost_worker_leaves_an_unknown_outcome(trail: dict[str, JsonValue] | None) -> None:
    worker = Worker().at(3, trail)

    outcome = await worker.run()

    assert outcome.error.startswith("outcome unknown: an earlier try was interrupted")
    assert worker.outside.asked == 0


async def test_an_idempotent_call_is_sent_again_after_a_lost_worker() -> None:
    assert await Worker().at(2).run(version="v2") == Done(outputs={"text": "ok"})


async def test_an_idempotent_call_without_an_answer_is_repeated() -> None:
    worker = Worker(Outside(httpx.ReadTimeout("silence")))

    with pytest.raises(ApplicationError) as caught:
        await worker.run(version="v2")

    assert caught.value.type == "NoAnswer"


# --- polling -------------------------------------------------------------------------------------


async def test_started_work_is_polling() -> None:
    outcome = await Worker(Outside(httpx.Response(200, text="job-7"))).run()

    assert outcome == Polling(handle="job-7", after_s=5, outputs={"id": 1})


async def test_a_look_at_running_work_leaves_a_trail_and_frees_the_slot() -> None:
    worker = Worker(Outside(httpx.Response(200, text="running")))

    with pytest.raises(ApplicationError) as caught:
        await worker.run(step="poll", handle="job-7", outputs={"id": 1})

    assert caught.value.type == "StillRunning"
    assert caught.value.category == ApplicationErrorCategory.BENIGN
    assert caught.value.next_retry_delay == timedelta(seconds=20)
    assert worker.beats[-1] == {
        "looks": 1,
        "handle": "job-7+",
        "outputs": {"id": 1, "seen": "job-7"},
        "progress": {"at": "job-7"},
    }


async def test_the_next_look_takes_up_the_trail() -> None:
    worker = Worker().at(9, {"looks": 1, "handle": "job-7+", "outputs": {"seen": "job-7"}})

    outcome = await worker.run(step="poll", handle="job-7", outputs={"id": 1})

    assert outcome == Done(outputs={"seen": "job-7", "text": "ok"})
    assert worker.beats[0]["progress"] == {"at": "job-7+"}


async def test_a_poll_survives_ten_looks_without_an_answer_but_not_more() -> None:
    outside = Outside(httpx.ReadTimeout("silence"))
    trail = {"looks": 1, "handle": "job-7+", "failures": 8}

    worker = Worker(outside).at(30, trail)
    with pytest.raises(ApplicationError):
        await worker.run(step="poll", handle="job-7")
    outcome = await Worker(outside).at(31, worker.beats[-1]).run(step="poll", handle="job-7")

    assert worker.beats[-1]["failures"] == 9
    assert worker.beats[-1]["handle"] == "job-7+"
    assert "gave up after 10 attempts" in outcome.error


async def test_a_look_with_an_answer_forgets_earlier_failures() -> None:
    worker = Worker(Outside(httpx.Response(200, text="running"))).at(5, {"failures": 8})

    with pytest.raises(ApplicationError):
        await worker.run(step="poll", handle="job-7")

    assert "failures" not in worker.beats[-1]


# --- limits and ends -----------------------------------------------------------------------------


async def test_outputs_that_no_payload_can_hold_fail_the_node() -> None:
    worker = Worker(Outside(httpx.Response(200, text="x" * 3000)), max_outcome_bytes=2000)

    outcome = await worker.run()

    assert "the outputs are too large" in outcome.error
    assert outcome.outputs == {}


async def test_half_a_character_in_an_output_fails_the_node() -> None:
    outcome = await Worker(Outside(httpx.Response(200, text="half"))).run(
        code="half", version="legacy"
    )

    assert "not Unicode text" in outcome.error


@pytest.mark.parametrize("code", ["odd_progress", "odd_handle", "odd_delay"])
async def test_what_is_no_json_is_a_bug_of_the_plugin_and_never_repeated(code: str) -> None:
    worker = Worker()

    started = await worker.run(code=code, version="legacy")
    looked = await worker.run(code=code, version="legacy", step="poll", handle=1)

    assert f"bug in plugin '{code}'" in started.error
    assert f"bug in plugin '{code}'" in looked.error


async def test_a_bug_of_ours_fails_the_node(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("activities.dispatch.merged_inputs", None)

    with capture_logs() as logs:
        outcome = await Worker().run()

    assert "bug in stdops: TypeError" in outcome.error
    assert logs[0]["event"] == "activities.step_crashed"


async def started(worker: Worker) -> "asyncio.Task[Any]":
    task = asyncio.ensure_future(worker.run(code="patient", version="legacy"))
    for _ in range(10):
        await asyncio.sleep(0)
    return task


async def test_a_cancel_ends_a_running_step() -> None:
    worker = Worker()
    task = await started(worker)

    worker.env.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_stopping_worker_hands_its_step_back() -> None:
    worker = Worker()
    task = await started(worker)

    worker.env.cancel(ActivityCancellationDetails(worker_shutdown=True))

    with pytest.raises(ApplicationError) as caught:
        await task
    assert caught.value.type == "WorkerStopped"


async def test_a_running_step_heartbeats_until_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("activities.dispatch._BEATS_A_TIMEOUT", 1000)
    worker = Worker()
    seen = asyncio.Event()
    worker.env.on_heartbeat = lambda *_: seen.set()
    task = await started(worker)

    await asyncio.wait_for(seen.wait(), 5)
    worker.env.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
