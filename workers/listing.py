"""The list of runs, as the server's visibility has it.

Asked for and read here and not by the SDK's own list, which fails as a whole where one run has a
status that it does not know, such as a run that the server itself has paused.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from temporalio.api.enums.v1 import WorkflowExecutionStatus
from temporalio.api.workflow.v1 import WorkflowExecutionInfo
from temporalio.api.workflowservice.v1 import ListWorkflowExecutionsRequest
from temporalio.client import Client
from temporalio.common import SearchAttributeKey
from temporalio.converter import decode_typed_search_attributes

PAUSED_BY_SERVER: Final = "Paused by the server"
"""What stands for the state of a run that Temporal itself has paused: no worker moves it."""

_PAUSED: Final = "Paused"
_PAGE: Final = 1000
_TEMPLATE = SearchAttributeKey.for_keyword("StdopsTemplate")
_STATE = SearchAttributeKey.for_keyword("StdopsState")
_FAILED = SearchAttributeKey.for_int("StdopsFailedNodes")
_OPERATOR = SearchAttributeKey.for_keyword("StdopsOperator")


@dataclass(frozen=True, slots=True)
class RunSummary:
    """One line of a list of runs."""

    workflow_id: str
    run_id: str
    template: str
    state: str
    failed_nodes: int
    operator: str
    started_at: datetime
    closed_at: datetime | None
    url: str


async def list_runs(
    client: Client, query: str, limit: int, url_of: Callable[[str, str], str]
) -> list[RunSummary]:
    """Return the newest runs that a visibility query finds, at most `limit`.

    Raises:
        RPCError: the server is away, or refuses the query.
    """
    found: list[RunSummary] = []
    more = b""
    while len(found) < limit:
        request = ListWorkflowExecutionsRequest(
            namespace=client.namespace,
            query=query,
            page_size=min(_PAGE, limit - len(found)),
            next_page_token=more,
        )
        page = await client.workflow_service.list_workflow_executions(request, retry=True)
        found += [summary_of(info, url_of) for info in page.executions]
        more = page.next_page_token
        if not more:
            break
    return found


def summary_of(info: WorkflowExecutionInfo, url_of: Callable[[str, str], str]) -> RunSummary:
    """Return a run's line; a pause of the server's own wins over what the run says of itself."""
    attributes = decode_typed_search_attributes(info.search_attributes)
    status = status_text(info.status)
    own = attributes.get(_STATE) or status
    return RunSummary(
        workflow_id=info.execution.workflow_id,
        run_id=info.execution.run_id,
        template=attributes.get(_TEMPLATE) or info.type.name,
        state=PAUSED_BY_SERVER if status == _PAUSED else own,
        failed_nodes=attributes.get(_FAILED) or 0,
        operator=attributes.get(_OPERATOR) or "",
        started_at=info.start_time.ToDatetime(UTC),
        closed_at=info.close_time.ToDatetime(UTC) if info.HasField("close_time") else None,
        url=url_of(info.execution.workflow_id, info.execution.run_id),
    )


def status_text(status: int) -> str:
    """Return a status of the server as a word; one that no version here knows as its number."""
    known = WorkflowExecutionStatus.DESCRIPTOR.values_by_number.get(status)
    if known is None:
        return f"Status{status}"
    word = known.name.removeprefix("WORKFLOW_EXECUTION_STATUS_").replace("_", " ")
    return "" if word == "UNSPECIFIED" else word.title().replace(" ", "")


def list_query(task_queue: str, *, state: str | None, template: str | None) -> str:
    """Return the visibility query for runs of a queue; a template's own type counts as it."""
    terms = [f"TaskQueue = {quoted(task_queue)}"]
    if state:
        terms.append(f"StdopsState = {quoted(state)}")
    if template:
        name = quoted(template)
        terms.append(f"(StdopsTemplate = {name} OR WorkflowType = {name})")
    return " AND ".join(terms)


def open_query(task_queue: str, *, state: str | None = None) -> str:
    """Return the visibility query for runs of a queue that have not ended."""
    return f"{list_query(task_queue, state=state, template=None)} AND ExecutionStatus = 'Running'"


def quoted(text: str) -> str:
    """Return a text as a visibility query has it."""
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"
