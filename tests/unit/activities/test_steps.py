import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime

import httpx
import pytest
from pydantic import JsonValue
from structlog.testing import capture_logs

from activities.contract import Done, Failed, PluginCall, Polling, Waiting
from activities.http_client import create_client
from activities.sdk import (
    AnyPlugin,
    Call,
    Inputs,
    Outputs,
    PluginError,
    Secret,
    StillRunning,
    WaitForCallback,
    plugin,
)
from activities.shelf import Shelf
from activities.steps import Ports, StepResult, TryAgain, plain_outputs, take_step
from activities.testing import Answer

URL = "http://outside.test/job?token=s3cret"


class AskInputs(Inputs):
    method: str = "POST"
    raises: str = ""
    password: Secret | None = None


class AskOutputs(Outputs):
    status: int
    note: str | None = None


ERRORS: dict[str, Exception] = {
    "refused": PluginError("no such host", outputs={"tried": 1}),
    "refused later": PluginError("busy", retryable=True, after_s=7),
    "running": StillRunning("job-1", 10, {"job": 1}),
    "waiting": WaitForCallback("ticket-1"),
    "bug": ZeroDivisionError("division by zero"),
}


async def ask(call: Call[AskInputs]) -> AskOutputs:
    if call.inputs.raises:
        raise ERRORS[call.inputs.raises]
    response = await call.http.request(call.inputs.method, URL)
    response.raise_for_status()
    return AskOutputs(status=response.status_code)


once = plugin("once", timeout_s=1)(ask)
often = plugin("often", idempotent=True, timeout_s=1)(ask)


@often.poll
async def _(call: Call[AskInputs], handle: JsonValue) -> AskOutputs | None:
    return await ask(call)


@often.callback
async def _(call: Call[AskInputs], data: JsonValue) -> None:
    if data == "more":
        raise WaitForCallback


@often.stop
async def _(call: Call[AskInputs], handle: JsonValue) -> None:
    await ask(call)


def raises(error: Exception) -> Answer:
    def answer(request: httpx.Request) -> httpx.Response:
        if isinstance(error, httpx.RequestError):
            error.request = request
        raise error

    return answer


def answers(status: int, headers: dict[str, str] | None = None) -> Answer:
    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(status, headers=headers)

    return answer


OK = answers(200)


def no_progress(_: Mapping[str, JsonValue]) -> None: ...


async def step(
    which: AnyPlugin,
    answer: Answer = OK,
    *,
    sent_before: bool = False,
    kind: str = "call",
    **fields: JsonValue,
) -> StepResult:
    message = PluginCall.model_validate(
        {"step": kind, "plugin": which.ref, "run": "r", "node": "n", "entry": 2, **fields}
    )
    async with create_client(transport=httpx.MockTransport(answer)) as http:
        ports = Ports(http, Shelf(), lambda: datetime(2024, 1, 1, tzinfo=UTC), no_progress)
        return await take_step(which, message, ports, sent_before=sent_before)


async def test_a_plugin_that_returns_is_done() -> None:
    assert await step(once) == Done(outputs={"status": 200})


async def test_earlier_outputs_are_kept() -> None:
    result = await step(once, outputs={"job": 1})

    assert result == Done(outputs={"job": 1, "status": 200})


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (answers(404), "POST http://outside.test/job answered 404 Not Found"),
        (answers(500), "POST http://outside.test/job answered 500 Internal Server Error"),
    ],
)
async def test_an_answer_that_says_no_fails_the_node(answer: Answer, text: str) -> None:
    assert await step(once, answer) == Failed(error=text)


async def test_a_refusal_by_the_plugin_keeps_its_outputs() -> None:
    result = await step(once, inputs={"raises": "refused"}, outputs={"job": 1})

    assert result == Failed(error="no such host", outputs={"job": 1, "tried": 1})


@pytest.mark.parametrize(
    ("answer", "after_s"),
    [
        (raises(httpx.ConnectError("refused")), None),
        (raises(httpx.ConnectTimeout("slow")), None),
        (raises(httpx.PoolTimeout("full")), None),
        (answers(429), 1),
        (answers(429, {"retry-after": "30"}), 30),
        (answers(503, {"retry-after": "8"}), 8),
    ],
)
async def test_what_was_surely_not_taken_is_tried_again(
    answer: Answer, after_s: float | None
) -> None:
    result = await step(once, answer)

    assert isinstance(result, TryAgain)
    assert (result.kind, result.after_s) == ("not_taken", after_s)


async def test_a_plugin_may_ask_to_be_tried_again() -> None:
    result = await step(once, inputs={"raises": "refused later"})

    assert result == TryAgain("not_taken", "busy", 7, outputs={})


LOST = [
    raises(httpx.ReadTimeout("silence")),
    raises(httpx.WriteError("broken pipe")),
    raises(httpx.ReadError("reset")),
    raises(httpx.RemoteProtocolError("closed")),
    answers(504),
]


@pytest.mark.parametrize("answer", LOST)
async def test_a_lost_answer_is_an_unknown_outcome(answer: Answer) -> None:
    result = await step(once, answer)

    assert isinstance(result, Failed)
    assert result.error.startswith("outcome unknown: ")
    assert "look at POST http://outside.test/job, then retry or skip" in result.error
    assert "s3cret" not in result.error


@pytest.mark.parametrize("answer", LOST)
async def test_a_lost_answer_of_an_idempotent_plugin_is_asked_for_again(answer: Answer) -> None:
    result = await step(often, answer)

    assert isinstance(result, TryAgain)
    assert result.kind == "no_answer"


async def test_a_lost_answer_to_a_request_that_only_reads_is_asked_for_again() -> None:
    result = await step(once, raises(httpx.ReadTimeout("silence")), inputs={"method": "GET"})

    assert isinstance(result, TryAgain)


async def test_a_call_that_may_have_been_sent_before_is_not_sent_again() -> None:
    result = await step(once, sent_before=True)

    assert isinstance(result, Failed)
    assert "an earlier try was interrupted" in result.error
    assert "'r:n:2'" in result.error


async def test_an_idempotent_call_that_was_sent_before_is_sent_again() -> None:
    assert await step(often, sent_before=True) == Done(outputs={"status": 200})


async def test_a_step_over_its_time_limit_is_an_unknown_outcome() -> None:
    class NoInputs(Inputs):
        pass

    @plugin("slow", timeout_s=1)
    async def slow(call: Call[NoInputs]) -> None:
        raise TimeoutError

    result = await step(slow)

    assert isinstance(result, Failed)
    assert result.error.startswith("outcome unknown: no end within 1 s")


async def test_a_bug_names_the_line_and_is_logged_once_with_its_traceback() -> None:
    with capture_logs() as logs:
        result = await step(once, inputs={"raises": "bug"})

    assert isinstance(result, Failed)
    assert "bug in plugin 'once' (legacy): ZeroDivisionError: division by zero" in result.error
    assert f"({__file__.rpartition('/')[2]}:" in result.error
    assert [entry["event"] for entry in logs] == ["activities.step_failed"]
    assert "Traceback" in logs[0]["traceback"]


async def test_wrong_inputs_are_all_named_with_their_cause() -> None:
    class Wanted(Inputs):
        host: str
        count: int

    @plugin("wanted")
    async def wanted(call: Call[Wanted]) -> None: ...

    result = await step(wanted, inputs={"count": "many", "extra": 1})

    assert isinstance(result, Failed)
    assert "'host' is missing" in result.error
    assert "'extra' is unknown" in result.error
    assert "'count': input should be a valid integer" in result.error
    assert "(got 'many')" in result.error


async def test_a_wrong_secret_is_not_shown() -> None:
    result = await step(once, inputs={"password": ["hunter2"]})

    assert isinstance(result, Failed)
    assert "'password'" in result.error
    assert "hunter2" not in result.error


async def test_a_secret_is_hidden_in_errors_and_logs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ERRORS, "leak", ValueError("login with hunter2 failed"))

    with capture_logs() as logs:
        result = await step(once, inputs={"raises": "leak", "password": "hunter2"})

    assert isinstance(result, Failed)
    assert "login with ****** failed" in result.error
    assert "hunter2" not in str(logs)


async def test_the_engines_own_inputs_are_kept_from_a_plugin_that_does_not_want_them() -> None:
    inputs: dict[str, JsonValue] = {"_loop": 1, "_inner_loop": 1, "__executor_proxy": "x"}

    assert await step(once, inputs=inputs) == Done(outputs={"status": 200})


async def test_work_that_goes_on_is_polled_by_its_handle() -> None:
    result = await step(often, inputs={"raises": "running"})

    assert result == Polling(handle="job-1", after_s=10, outputs={"job": 1})


async def test_a_look_that_finds_the_work_running_keeps_what_is_known() -> None:
    result = await step(
        often, kind="poll", inputs={"raises": "running"}, handle="old", outputs={"a": 0}
    )

    assert result == TryAgain(
        "still_running", "still running, next look in 10 s", 10, "job-1", {"a": 0, "job": 1}
    )


@pytest.mark.parametrize("answer", [*LOST, answers(500), answers(503)])
async def test_a_look_without_an_answer_is_taken_again(answer: Answer) -> None:
    result = await step(often, answer, kind="poll")

    assert isinstance(result, TryAgain)


async def test_a_plugin_without_the_hook_it_needs_fails_with_the_reason() -> None:
    running = await step(once, inputs={"raises": "running"})
    waiting = await step(once, inputs={"raises": "waiting"})

    assert isinstance(running, Failed)
    assert "raises StillRunning but has no poll hook" in running.error
    assert isinstance(waiting, Failed)
    assert "raises WaitForCallback but has no callback hook" in waiting.error


async def test_a_callback_ends_or_goes_on_waiting() -> None:
    ended = await step(often, kind="callback", data={"ok": 1}, handle="t", outputs={"a": 1})
    more = await step(often, kind="callback", data="more", handle="t", outputs={"a": 1})

    assert ended == Done(outputs={"a": 1})
    assert more == Waiting(handle="t", outputs={"a": 1})


async def test_stop_asks_the_outside_where_the_plugin_can() -> None:
    assert await step(often, kind="stop", handle="j") == Done(outputs={})
    assert await step(once, raises(httpx.ReadError("x")), kind="stop", handle="j") == Done()


async def test_a_cancel_reaches_the_plugin() -> None:
    seen: list[str] = []

    class NoInputs(Inputs):
        pass

    @plugin("patient")
    async def patient(call: Call[NoInputs]) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    task = asyncio.ensure_future(step(patient))
    for _ in range(5):
        await asyncio.sleep(0)
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert seen == ["cancelled"]


def test_an_output_left_at_none_is_not_written() -> None:
    assert plain_outputs(AskOutputs(status=1)) == {"status": 1}
    assert plain_outputs(AskOutputs(status=1, note=None)) == {"status": 1, "note": None}
