"""Who polls a task queue, as the server tells."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Final, Literal

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import PollerInfo, TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client

Kind = Literal["workflow", "activity"]

KINDS: Final[Mapping[Kind, TaskQueueType.ValueType]] = {
    "workflow": TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
    "activity": TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY,
}
"""What is polled for: runs, or steps of plugins."""

_ASK: Final = timedelta(seconds=10)


async def pollers(client: Client, queue: str, kind: Kind) -> list[PollerInfo]:
    """Return who has polled a queue in the last minutes.

    Raises:
        RPCError: the server is away, or does not let us look.
    """
    request = DescribeTaskQueueRequest(
        namespace=client.namespace, task_queue=TaskQueue(name=queue), task_queue_type=KINDS[kind]
    )
    answer = await client.workflow_service.describe_task_queue(request, timeout=_ASK)
    return list(answer.pollers)
