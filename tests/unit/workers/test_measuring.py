import asyncio

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput

from activities.contract import (
    BatchedCall,
    BatchResult,
    Done,
    Failed,
    OutcomeMessage,
    PluginBatch,
    PluginCall,
    Polling,
)
from translator.plan import PluginRef
from workers import measuring
from workers.measuring import MeasureInterceptor, Step, calls_of, steps_of


def a_call(code: str = "job", step: str = "call") -> PluginCall:
    return PluginCall.model_validate(
        {
            "plugin": {"code": code, "version": "v1"},
            "step": step,
            "run": "r",
            "node": "n",
            "entry": 1,
        }
    )


@pytest.mark.parametrize(
    ("outcome", "step"),
    [
        (Done(), Step("job", "call", "done")),
        (Failed(error="no such host"), Step("job", "call", "failed")),
        (Failed(error="outcome unknown: cut"), Step("job", "call", "failed", is_unknown=True)),
        (Polling(handle=1, after_s=5), Step("job", "call", "polling")),
    ],
)
def test_a_step_is_told_by_its_outcome(outcome: Done | Failed | Polling, step: Step) -> None:
    assert steps_of([a_call()], OutcomeMessage(outcome=outcome)) == [step]


def test_of_a_batch_only_what_was_taken_is_counted() -> None:
    calls = tuple(BatchedCall(call=a_call(code)) for code in ("a", "b", "c"))
    found = calls_of([PluginBatch(calls=calls)])

    steps = steps_of(found, BatchResult(outcomes=(Done(), Failed(error="x"))))

    assert [(each.plugin, each.outcome) for each in steps] == [("a", "done"), ("b", "failed")]


def test_activities_of_our_own_are_no_steps() -> None:
    assert calls_of([]) == calls_of([PluginRef(code="a", version="v1")]) == []


@pytest.mark.parametrize(
    ("kind", "outcome"),
    [("StillRunning", "still_running"), ("NoAnswer", "no_answer"), ("Other", "interrupted")],
)
async def test_a_step_that_is_taken_again_is_counted_by_why(
    monkeypatch: pytest.MonkeyPatch, kind: str, outcome: str
) -> None:
    counted: list[Step] = []
    monkeypatch.setattr(measuring, "count", counted.extend)

    class Again(ActivityInboundInterceptor):
        def __init__(self) -> None:
            pass

        async def execute_activity(self, input: ExecuteActivityInput) -> None:  # noqa: A002
            raise ApplicationError("again", type=kind)

    asked = ExecuteActivityInput(
        fn=asyncio.sleep, args=[a_call(step="poll")], executor=None, headers={}
    )
    with pytest.raises(ApplicationError):
        await MeasureInterceptor().intercept_activity(Again()).execute_activity(asked)

    assert counted == [Step("job", "poll", outcome)]
