"""Recorded histories replay: a change of the commands for the same events breaks runs in flight."""

import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer
from temporalio.workflow import NondeterminismError

from tests.tools.record_histories import FOLDER, SITUATIONS
from workers.payloads import DATA_CONVERTER
from workers.worker import workflow_runner
from workflows.run_flow import PageInterceptor, RunFlow, TemplateFlow

FILES = sorted(FOLDER.glob("*.json"))
MACHINE = re.compile(r"/(?:work|home|root|Users)/|site-packages|\d+@\w+")


@pytest.fixture(scope="module", params=[False, True], ids=["", "sandboxed"])
def replayer(request: pytest.FixtureRequest) -> Replayer:
    """The product's workflows, converter and interceptors; with and without the sandbox.

    In the sandbox a call that a replay could not repeat fails, such as one of a clock.
    """
    return Replayer(
        workflows=[RunFlow, TemplateFlow],
        data_converter=DATA_CONVERTER,
        interceptors=[PageInterceptor()],
        workflow_runner=workflow_runner(sandboxed=request.param),
    )


def recorded(stem: str) -> str:
    return (FOLDER / f"{stem}.json").read_text("utf-8")


def situation(file: Path) -> str:
    return file.name.split(".")[0]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
async def test_a_recorded_history_replays(replayer: Replayer, file: Path) -> None:
    history = WorkflowHistory.from_json(situation(file), recorded(file.stem))

    await replayer.replay_workflow(history)


async def test_a_history_of_other_commands_does_not_replay(replayer: Replayer) -> None:
    text = recorded("chain")
    other = text.replace('"activityId": "b:1"', '"activityId": "z:1"')
    assert other != text

    with pytest.raises(NondeterminismError):
        await replayer.replay_workflow(WorkflowHistory.from_json("chain", other))


def test_every_situation_has_a_history_and_no_other_is_there() -> None:
    assert {situation(file) for file in FILES} == set(SITUATIONS)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_history_names_no_machine(file: Path) -> None:
    texts = list(_texts(json.loads(file.read_text("utf-8"))))

    assert [text for text in texts if MACHINE.search(text)] == []


def _texts(found: Any) -> Iterator[str]:
    """Yield every text of a history, payloads decoded."""
    if isinstance(found, str):
        yield found
    elif isinstance(found, list):
        for item in cast("list[Any]", found):
            yield from _texts(item)
    elif isinstance(found, dict):
        for key, value in cast("dict[str, Any]", found).items():
            is_payload = key == "data" and isinstance(value, str)
            yield from _texts(base64.b64decode(value).decode() if is_payload else value)
