"""Replaying histories with this build's workflow code: the gate before a release.

A run whose history does not replay would stand still at a worker of this build: its workflow task
fails until a worker of a fitting build takes it.
"""

import json
import re
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple, cast

from google.protobuf.json_format import ParseError
from temporalio.client import Client, WorkflowHistory
from temporalio.common import HeaderCodecBehavior
from temporalio.converter import DataConverter
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import Replayer
from temporalio.workflow import NondeterminismError

from stdops import StdopsError
from workers.listing import open_query
from workers.worker import workflow_runner

_DEVIATION: Final = re.compile(r'Nondeterminism error: (.*?)"?(?:,|$)', re.DOTALL)
_FIX: Final = (
    "keep the build that has run it for such runs (pin them), or guard the change by "
    "workflow.patched; see docs/releases.md"
)
_LONGEST: Final = 300


class Replayed(NamedTuple):
    """A history and what came of replaying it; `problem` is "" where it replays."""

    name: str
    events: int
    problem: str = ""
    fix: str = ""

    @property
    def is_well(self) -> bool:
        """Whether this build can take the run on."""
        return not self.problem


async def replay(
    histories: AsyncIterator[WorkflowHistory], converter: DataConverter
) -> AsyncIterator[Replayed]:
    """Replay histories one after the other, and say of each what came of it."""
    from workflows.run_flow import PageInterceptor, RunFlow, TemplateFlow

    replayer = Replayer(
        workflows=[RunFlow, TemplateFlow],
        data_converter=converter,
        interceptors=[PageInterceptor()],
        workflow_runner=workflow_runner(),
        header_codec_behavior=HeaderCodecBehavior.CODEC,
    )
    async with replayer.workflow_replay_iterator(histories) as results:
        async for result in results:
            yield judged(result.history, result.replay_failure)


def judged(history: WorkflowHistory, failure: Exception | None) -> Replayed:
    """Put into words what came of replaying a history."""
    found = Replayed(history.workflow_id, len(history.events))
    if failure is None:
        return found
    text = str(failure)
    if not isinstance(failure, NondeterminismError):
        return found._replace(
            problem=f"it cannot be replayed: {text[:_LONGEST]}",
            fix="look at the failure; a payload may need the keys of the codec",
        )
    deviation = _DEVIATION.search(text)
    what = deviation[1] if deviation else text
    return found._replace(
        problem=f"this build does something else than was recorded: {what[:_LONGEST]}", fix=_FIX
    )


def read_file(file: Path) -> WorkflowHistory:
    """Read a history as `temporal workflow show --output json` or the Web UI's download gives it.

    Raises:
        StdopsError: the file cannot be read, or holds something else (SOP550).
    """
    try:
        data = json.loads(file.read_text("utf-8"))
        return WorkflowHistory.from_json(_workflow_id(data) or file.stem, data)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
    except (ValueError, TypeError, AttributeError, ParseError) as error:
        reason = f"it is no history ({error})"
    raise StdopsError(
        "SOP550",
        f"the history cannot be read: {reason}",
        where=str(file),
        fix="export it by `temporal workflow show --workflow-id RUN --output json > FILE`",
    )


def _workflow_id(data: Any) -> str:
    """Return the run that a history names itself, "" where it does not."""
    try:
        started = data["events"][0]["workflowExecutionStartedEventAttributes"]
        return cast("str", started.get("workflowId", ""))
    except (LookupError, TypeError, AttributeError):
        return ""


async def histories_of(client: Client, runs: Sequence[str]) -> AsyncIterator[WorkflowHistory]:
    """Fetch the latest history of each run.

    Raises:
        StdopsError: a run is unknown (SOP504), or the server does not answer (SOP503).
    """
    for run in runs:
        yield await _fetched(client, run)


async def histories_found(
    client: Client, queue: str, query: str, limit: int
) -> AsyncIterator[WorkflowHistory]:
    """Fetch the histories of at most `limit` open runs of a task queue that a list filter finds.

    Raises:
        StdopsError: the filter is wrong, or the server does not answer (SOP503).
    """
    own = open_query(queue)
    wanted = f"{own} AND ({query})" if query else own
    try:
        async for found in client.list_workflows(wanted, limit=limit):
            yield await _fetched(client, found.id, found.run_id)
    except RPCError as error:
        raise StdopsError(
            "SOP503",
            f"the server refuses the list: {error.message}",
            where=wanted,
            fix="correct --query; it takes what `temporal workflow list --query` takes",
        ) from None


async def _fetched(client: Client, run: str, run_id: str | None = None) -> WorkflowHistory:
    try:
        return await client.get_workflow_handle(run, run_id=run_id).fetch_history()
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        raise StdopsError(
            "SOP504",
            f"there is no run {run!r}, and no file of that name",
            where=f"namespace {client.namespace}",
            fix="`stdops list` shows the runs",
        ) from None
