"""RunFlow, the workflow that runs a template; also under the template's own key as its type."""

from collections.abc import Sequence
from typing import Any, Protocol, cast, runtime_checkable

from temporalio import workflow
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError
from temporalio.worker import (
    HandleQueryInput,
    HandleSignalInput,
    HandleUpdateInput,
    Interceptor,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
)

from workflows.run_flow.handlers import Operated

with workflow.unsafe.imports_passed_through():
    from workflows.clients import CLIENT, from_headers
    from workflows.messages import MESSAGES, REPORT, RunInput, RunResult, read_message

METADATA_QUERY = "__temporal_workflow_metadata"


@workflow.defn(name="RunFlow")
class RunFlow(Operated):
    """A run of a template: `{"template": "...", "inputs": {...}, "operator": "..."}`."""

    @workflow.run
    async def run(self, arg: Any = None) -> RunResult:
        """Run a template."""
        return await self.drive(_run_input(read_message(RunInput, arg)))


@workflow.defn(dynamic=True)
class TemplateFlow(Operated):
    """A run started under a template's key: the type is the key, the input the inputs."""

    @workflow.run
    async def run(self, args: Sequence[RawValue]) -> RunResult:
        """Run the template that the workflow type names."""
        fields = _decoded(args)
        if fields is None:
            raise _run_input_error("one JSON object with the template's inputs is expected")
        if workflow.info().continued_run_id and "carried" in fields:
            return await self.drive(_run_input(read_message(RunInput, fields)))
        template = workflow.info().workflow_type
        return await self.drive(RunInput(template=template, inputs=fields))


@runtime_checkable
class Paged(Protocol):
    """A run with a page. By shape: the sandbox loads our classes anew, this is outside of it."""

    def page(self) -> str:
        """Return the text of the page."""
        ...


class PageInterceptor(Interceptor):
    """Draws the page's current details when, and only when, the Web UI asks for them.

    Tells handlers which client they serve, too, and sees that none gets more than one argument.
    """

    def workflow_interceptor_class(
        self,
        input: WorkflowInterceptorClassInput,  # noqa: A002, ARG002  the SDK's name
    ) -> type[WorkflowInboundInterceptor]:
        """Return the interceptor that answers the metadata query."""
        return _PageInbound


class _PageInbound(WorkflowInboundInterceptor):
    async def handle_signal(self, input: HandleSignalInput) -> None:  # noqa: A002  the SDK's name
        CLIENT.set(from_headers(input.headers))
        input.args = _one(input.signal, input.args)
        await super().handle_signal(input)

    def handle_update_validator(self, input: HandleUpdateInput) -> None:  # noqa: A002  the SDK's name
        CLIENT.set(from_headers(input.headers))
        input.args = _one(input.update, input.args)
        super().handle_update_validator(input)

    async def handle_update_handler(self, input: HandleUpdateInput) -> Any:  # noqa: A002  the SDK's name
        CLIENT.set(from_headers(input.headers))
        input.args = _one(input.update, input.args)
        return await super().handle_update_handler(input)

    async def handle_query(self, input: HandleQueryInput) -> Any:  # noqa: A002  the SDK's name
        answer = await super().handle_query(input)
        if input.query == METADATA_QUERY:
            run = workflow.instance()
            if isinstance(run, Paged):
                answer.current_details = run.page()
            _drop_unnamed(answer.definition.signal_definitions)
            _drop_unnamed(answer.definition.update_definitions)
        return answer


def _one(name: str, args: Sequence[Any]) -> Sequence[Any]:
    """Return a verb's arguments as one, which is refused where there are several.

    A handler that is called with more than it takes would fail the workflow task for ever.
    """
    return [list(args)] if name in (*MESSAGES, REPORT) and len(args) > 1 else args


def _drop_unnamed(definitions: Any) -> None:
    """Leave out the handlers of unknown names: a form that offers them would only mislead."""
    named = [each for each in definitions if each.name and each.name != REPORT]
    del definitions[:]
    definitions.extend(named)


def _run_input(read: RunInput | str) -> RunInput:
    """Return the run's input, or fail the run with what is wrong with it."""
    if isinstance(read, str):
        raise _run_input_error(read)
    return read


def _run_input_error(text: str) -> ApplicationError:
    return ApplicationError(f"run input: {text}", type="SOP221", non_retryable=True)


def _decoded(args: Sequence[RawValue]) -> dict[str, Any] | None:
    """Return the first argument as a JSON object; nothing is an empty one, anything else None."""
    if not args:
        return {}
    try:
        data: Any = workflow.payload_converter().from_payload(args[0].payload)
    except (ValueError, RuntimeError, KeyError):
        return None
    return cast("dict[str, Any]", data) if isinstance(data, dict) else {} if data is None else None
