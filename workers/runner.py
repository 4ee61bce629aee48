"""Runners of workflow code that tell a run which client gives it a verb (see workflows.clients)."""

from typing import TYPE_CHECKING, Any, final

from temporalio.worker import (
    UnsandboxedWorkflowRunner,
    WorkflowInstance,
    WorkflowInstanceDetails,
)
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from workflows.clients import HEADER, to_header

if TYPE_CHECKING:
    from temporalio.bridge.proto.workflow_activation import WorkflowActivation
    from temporalio.bridge.proto.workflow_completion import WorkflowActivationCompletion
    from temporalio.converter import SerializationContext, StorageDriverStoreContext
    from temporalio.workflow import Info


class ToldRunner(UnsandboxedWorkflowRunner):
    """Runs workflow code outside of the sandbox."""

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        """Return a run that is told of the clients."""
        return _Told(super().create_instance(det))


class ToldSandboxedRunner(SandboxedWorkflowRunner):
    """Runs workflow code in the sandbox."""

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        """Return a run that is told of the clients."""
        return _Told(super().create_instance(det))


@final
class _Told(WorkflowInstance):
    """Another instance, whose handlers find the client's identity among their headers."""

    def __init__(self, inner: WorkflowInstance) -> None:
        self._inner = inner

    def activate(self, act: "WorkflowActivation") -> "WorkflowActivationCompletion":
        tell_clients(act)
        return self._inner.activate(act)

    # what a command is, is a private type of the SDK
    def get_serialization_context(self, command_info: Any) -> "SerializationContext | None":
        return self._inner.get_serialization_context(command_info)

    def get_external_store_context(self, command_info: Any) -> "StorageDriverStoreContext":
        return self._inner.get_external_store_context(command_info)

    def get_info(self) -> "Info":
        return self._inner.get_info()

    def get_thread_id(self) -> int | None:
        return self._inner.get_thread_id()


def tell_clients(act: "WorkflowActivation") -> None:
    """Write into each signal and update as whom its client is known to the server.

    Always, so that no client can write it himself. Both stand in the history, so a replay is told
    the same.
    """
    for job in act.jobs:
        match job.WhichOneof("variant"):
            case "do_update":
                job.do_update.headers[HEADER].data = to_header(job.do_update.meta.identity)
            case "signal_workflow":
                signal = job.signal_workflow
                signal.headers[HEADER].data = to_header(signal.identity)
            case _:
                continue
