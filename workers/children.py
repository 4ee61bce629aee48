"""The activities by which a run hears of the end of a child, and gives it a verb as an update."""

from datetime import timedelta
from typing import Any, Final

from temporalio import activity
from temporalio.client import (
    WorkflowFailureError,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory
from temporalio.service import RPCError, RPCStatusCode

from activities.contract import (
    TELL_CHILD,
    WATCH_CHILD,
    ChildAnswer,
    ChildEnd,
    ChildUpdate,
    ChildWatch,
)
from workflows.messages import RunResult
from workflows.run_flow.children import ended_badly

LOOK_S: Final = 30
"""How often a child is looked at. It tells its end by itself: this is for one that cannot."""


@activity.defn(name=WATCH_CHILD)
async def watch_child(request: ChildWatch) -> ChildEnd:
    """Return how a child ended; while it is open, be asked again later, no slot held between."""
    handle = activity.client().get_workflow_handle(request.child, result_type=RunResult)
    try:
        if (await handle.describe()).close_time is None:
            raise ApplicationError(
                f"the child {request.child} is open",
                type="ChildOpen",
                category=ApplicationErrorCategory.BENIGN,
                next_retry_delay=timedelta(seconds=LOOK_S),
            )
        result = await handle.result()
    except WorkflowFailureError as error:
        return ChildEnd(error=ended_badly(request.child, error.cause))
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        return ChildEnd(error=f"the server does not know the child {request.child} any more")
    if result.state == "revoked":
        return ChildEnd(error=f"the child {request.child} was revoked")
    return ChildEnd(outputs=result.outputs)


@activity.defn(name=TELL_CHILD)
async def tell_child(request: ChildUpdate) -> ChildAnswer:
    """Give a child a verb and return its answer, or why it refused."""
    handle: Any = activity.client().get_workflow_handle(request.child)
    try:
        answer = await handle.execute_update(request.verb, request.message, id=request.id)
    except WorkflowUpdateFailedError as error:
        return _refused(error.cause)
    except WorkflowUpdateRPCTimeoutOrCancelledError:
        text = f"the child {request.child} did not answer in time; is a worker running?"
        return ChildAnswer(refusal=text, code="no_answer")
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        return ChildAnswer(refusal=f"the child {request.child} has ended", code="ended")
    return ChildAnswer(answer=answer)


def _refused(cause: BaseException) -> ChildAnswer:
    details = cause.details if isinstance(cause, ApplicationError) else ()
    text = cause.message if isinstance(cause, ApplicationError) else str(cause)
    return ChildAnswer(refusal=text, code=str(details[0]) if details else "unclear")
