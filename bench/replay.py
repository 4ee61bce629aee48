"""Replays finished histories: `python -m bench.replay FOLDER ROUNDS` prints milliseconds as JSON.

The files are `<contestant>.<number>.json`, the numbers the parts of a run that went on in fresh
histories; their times add up. The contestants take turns, and the median counts.
"""

import asyncio
import json
import os
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from temporalio.client import WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from bench.by_hand import WORKFLOWS
from bench.contestants import BARE, HAND, OURS
from workers.payloads import DATA_CONVERTER
from workers.settings import Settings
from workers.worker import workflow_runner
from workflows.run_flow import PageInterceptor, RunFlow, TemplateFlow


def replayers() -> Mapping[str, Replayer]:
    """Return who replays, set up as the workers are."""
    return {
        OURS: Replayer(
            workflows=[RunFlow, TemplateFlow],
            data_converter=DATA_CONVERTER,
            interceptors=[PageInterceptor()],
            workflow_runner=workflow_runner(sandboxed=Settings().sandboxed),
        ),
        HAND: _by_hand(SandboxedWorkflowRunner()),
        BARE: _by_hand(UnsandboxedWorkflowRunner()),
    }


def _by_hand(runner: SandboxedWorkflowRunner | UnsandboxedWorkflowRunner) -> Replayer:
    return Replayer(
        workflows=WORKFLOWS, data_converter=pydantic_data_converter, workflow_runner=runner
    )


def read(folder: Path) -> dict[str, list[WorkflowHistory]]:
    """Return the histories in a folder by contestant."""
    found: dict[str, list[WorkflowHistory]] = {}
    for file in sorted(folder.glob("*.json")):
        history = WorkflowHistory.from_json(file.stem, file.read_text("utf-8"))
        found.setdefault(file.name.split(".")[0], []).append(history)
    return found


async def timed(replayer: Replayer, histories: Sequence[WorkflowHistory]) -> float:
    """Return how long a replay takes, in milliseconds."""
    begun = time.perf_counter()
    for history in histories:
        await replayer.replay_workflow(history)
    return 1000 * (time.perf_counter() - begun)


async def replay_all(folder: Path, rounds: int) -> dict[str, float]:
    """Return the median of the rounds by contestant; a first round is not counted."""
    found, known = read(folder), replayers()
    times: dict[str, list[float]] = {name: [] for name in found}
    for number in range(rounds + 1):
        for name, histories in found.items():
            took = await timed(known[name], histories)
            times[name] += [took] if number else []
    return {name: statistics.median(took) for name, took in times.items()}


def main(argv: Sequence[str]) -> int:
    """Replay and print."""
    folder, rounds = argv
    print(json.dumps(asyncio.run(replay_all(Path(folder), int(rounds)))), flush=True)
    os._exit(0)  # the SDK's threads may abort an interpreter that exits by itself


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
