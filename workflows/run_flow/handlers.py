"""What people and programs can ask of a run: the verbs as updates and signals, and the queries.

Handlers validate, fold the verb into the Machine and return; they take one argument of any JSON and
check it here, so that no payload can fail a workflow task.
"""

import time  # noqa: TID251  for queries only, see `_clock`
from collections.abc import Callable, Sequence
from typing import Any, Final, cast

from temporalio import workflow
from temporalio.api.common.v1 import Payload
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError

from workflows.run_flow.driver import Driver

with workflow.unsafe.imports_passed_through():
    from workflows.clients import CLIENT
    from workflows.machine import journal
    from workflows.machine.addressing import Unclear, find_failed, find_node
    from workflows.machine.children import Way, way_of
    from workflows.machine.events import TellChild, Verb, VerbName
    from workflows.machine.foresee import Foreseen, foresee
    from workflows.machine.state import JournalEntry, RunState
    from workflows.machine.view import (
        Explanation,
        Status,
        Variables,
        explain,
        page,
        status,
        stdops_state,
        svg,
        text,
        variables,
    )
    from workflows.messages import (
        MESSAGES,
        REPORT,
        TEACHING,
        FailedMessage,
        Report,
        Request,
        Unreadable,
        named_in,
        node_named,
        read_message,
        read_request,
        to_verb,
        unknown_name,
    )

NOTHING: Final = RawValue(Payload())
"""What a handler is given that is called without an input."""
LOADING: Final = "the run is loading its plan; if that lasts, no worker polls its task queue"


class Operated(Driver):
    """A driver that people can operate and look at."""

    def __init__(self) -> None:
        super().__init__()
        self._early: list[tuple[str, Request | str]] = []
        self._early_reports: list[Report] = []

    def take_early(self) -> None:
        """Carry out the signals that came before the plan was there, in their order."""
        early, self._early = self._early, []
        for name, request in early:
            self.take_signal(name, request)
        for report in self._early_reports:
            self.take_report(report)
        self._early_reports.clear()

    # --- verbs ---

    def take_signal(self, name: str, request: Request | str) -> None:
        """Take what came as a signal; a refusal is written into the journal."""
        if self._machine is None:
            self._early.append((name, request))
            return
        if isinstance(request, str):
            self._note(JournalEntry(workflow.time(), name, "", "", "", request))
        elif isinstance(request.message, str):
            self._note_refused(request, request.message)
        elif not request.message.dry_run:
            verb = self._addressed(request)
            if isinstance(verb, str):
                self._note_refused(request, verb)
            else:
                self.apply(verb)

    def _note_refused(self, request: Request, why: str) -> None:
        """Note a verb that cannot be given to the Machine, with what can be read of it."""
        self._note(
            JournalEntry(
                at=workflow.time(),
                verb=request.verb,
                node=named_in(request.arg, "node"),
                operator=named_in(request.arg, "operator"),
                reason=named_in(request.arg, "reason"),
                refusal=why,
                request_id=named_in(request.arg, "request_id"),
                client=request.client,
                alias=request.alias,
            )
        )

    def _note(self, entry: JournalEntry) -> None:
        self.machine().note(entry)
        self._steps += 1  # refused signals make the history longer too

    def _addressed(self, request: Request) -> Verb | str:
        """Return the verb on the node that a good request means, or why that is not clear."""
        if isinstance(request.message, str):
            return request.message
        core, named = self.machine().core, node_named(request.message)
        if isinstance(request.message, FailedMessage) and not named:
            found = find_failed(core.program, core.state.failed)
        else:
            found = find_node(core.program, named)
        return (
            found.text if isinstance(found, Unclear) else to_verb(request, request.message, found)
        )

    @workflow.signal(name=REPORT, description="A child says how it stands; not for people")
    def child_reports(self, arg: Any = None) -> None:
        """Take a report of a child; what is none is passed over."""
        report = read_message(Report, arg)
        if isinstance(report, str):
            return
        if self._machine is None:
            self._early_reports.append(report)
        else:
            self.take_report(report)

    def take_report(self, report: Report) -> None:
        """Fold what a child reports."""
        event = report.event()
        if event is not None:
            self.apply(event)

    async def _pass_on(self, way: Way, verb: Verb, *, dry_run: bool) -> dict[str, Any]:
        """Have a child carry out an update; what it says is the answer, and is noted here too."""
        machine = self.machine()
        entry = machine.state.nodes[way.holder].entry
        told = await self.children.update(TellChild(way.holder, entry, verb), way, dry_run=dry_run)
        if not dry_run:
            self._note(journal.entry_of(machine.core, verb, told.refusal))
        if told.refusal:
            raise _refused(told.refusal, told.code)
        return told.answer

    def validate_update(self, request: Request | str) -> None:
        """Refuse an update that cannot be carried out; leaves no trace in the history."""
        if isinstance(request, str):
            raise _refused(request)
        if isinstance(request.message, str):
            raise _refused(request.message)
        if self._machine is not None:
            self._accept(request)

    def _accept(self, request: Request) -> Verb:
        """Return the verb that is asked for; raises the refusal where there is one."""
        verb = self._addressed(request)
        if isinstance(verb, str):
            raise _refused(verb)
        if self.machine().was_done(verb):
            return verb
        refused = self.machine().refusal(verb, workflow.time())
        if refused is not None:
            raise _refused(refused.text, refused.code)
        return verb

    async def take_update(self, request: Request | str) -> dict[str, Any]:
        """Carry out a verb that came as an update and say where that leads."""
        if isinstance(request, str):
            raise _refused(request)
        if self._machine is None:  # else what was validated is carried out before anything else
            await workflow.wait_condition(lambda: self._machine is not None)
        verb = self._accept(request)
        machine, now = self.machine(), workflow.time()
        if (way := way_of(machine.core, verb)) is not None and not isinstance(request.message, str):
            return await self._pass_on(way, verb, dry_run=request.message.dry_run)
        again = machine.was_done(verb)
        if not isinstance(request.message, str) and request.message.dry_run and not again:
            return _told(foresee(machine, verb, now))
        if not again:
            self.apply(verb)
        return {
            "accepted": True,
            "state": stdops_state(machine.state),
            "allowed_next": machine.allowed_on(verb.node, now),
            **({"repeated": True} if again else {}),
        }

    @workflow.signal(dynamic=True, description="Any other name is noted as refused")
    def other_signal(self, name: str, args: Sequence[RawValue]) -> None:
        """Take another system's name for a verb; any other goes into the journal as refused."""
        self.take_signal(name, _request("signal", name, args))

    @workflow.update(dynamic=True, description="Any other name is refused")
    async def other_update(self, name: str, args: Sequence[RawValue]) -> dict[str, Any]:
        """Take another system's name for a verb; any other is refused."""
        return await self.take_update(_request("update", name, args))

    @other_update.validator
    def validate_other(self, name: str, args: Sequence[RawValue]) -> None:
        """Refuse an update before it costs an event."""
        self.validate_update(_request("update", name, args))

    # --- what people see ---

    def page(self) -> str:
        """Return the text of the page's current details."""
        if self._machine is None:
            return LOADING
        machine = self._machine
        settings, run_id = machine.core.settings, workflow.info().workflow_id
        return page(machine.plan, machine.state, settings, _clock(), run_id=run_id)

    @workflow.query(name="status", description="Where the run stands. No input")
    def query_status(self, _arg: Any = None) -> Status | dict[str, Any]:
        """Return the run's state, its counts, and the nodes that run, wait or failed."""
        if self._machine is None:
            return {**Status(state="Running").model_dump(), "reason": LOADING}
        return status(self._machine.plan, self._machine.state, _clock())

    @workflow.query(name="explain", description="Why the run is not finished. No input")
    def query_explain(self, _arg: Any = None) -> Explanation | dict[str, str]:
        """Return which nodes hold the run, what they wait for, and what would release them."""
        if self._machine is None:
            return {"text": LOADING}
        machine, run_id = self._machine, workflow.info().workflow_id
        return explain(machine.plan, machine.state, _clock(), machine.core.settings, run_id)

    @workflow.query(name="diagram", description='The flow drawn as text, or {"format": "svg"}')
    def query_diagram(self, arg: Any = None) -> str:
        """Return the flow drawn as text or as SVG."""
        if self._machine is None:
            return LOADING
        fields = cast("dict[str, Any]", arg) if isinstance(arg, dict) else {}
        draw = svg if fields.get("format") == "svg" else text
        return draw(self._machine.plan, self._machine.state, _clock())

    @workflow.query(name="history", description="What operators did, oldest first. No input")
    def query_history(self, _arg: Any = None) -> dict[str, Any]:
        """Return the journal of verbs, accepted and refused, with counts by verb."""
        return journal.history(RunState() if self._machine is None else self._machine.state)

    @workflow.query(name="variables", description="The variables as they stand. No input")
    def query_variables(self, _arg: Any = None) -> Variables:
        """Return each flow's variables: value, where it comes from, who wrote it last."""
        return Variables() if self._machine is None else variables(self._machine.core)


Handler = Callable[..., Any]


def _signal_handler(name: VerbName) -> Handler:
    def handle(self: Operated, arg: RawValue = NOTHING) -> None:
        self.take_signal(name, _request("signal", name, [arg]))

    _sign(handle, f"signal_{name}")
    return workflow.signal(name=name, description=TEACHING[name])(handle)


def _update_handler(name: VerbName) -> Handler:
    async def handle(self: Operated, arg: RawValue = NOTHING) -> dict[str, Any]:
        return await self.take_update(_request("update", name, [arg]))

    def validate(self: Operated, arg: RawValue = NOTHING) -> None:
        self.validate_update(_request("update", name, [arg]))

    _sign(handle, f"update_{name}")
    _sign(validate, f"validate_{name}")
    made = workflow.update(name=name, description=TEACHING[name])(handle)
    made.validator(validate)
    return made


def _sign(handle: Handler, name: str) -> None:
    """Name a handler; its `self` must have no type, or the SDK counts it among the arguments."""
    handle.__name__ = handle.__qualname__ = name
    del handle.__annotations__["self"]


for _name in MESSAGES:
    setattr(Operated, f"signal_{_name}", _signal_handler(_name))
    setattr(Operated, f"update_{_name}", _update_handler(_name))


def _clock() -> float:
    """Return the time of day for the answer to a query, in seconds since the epoch.

    The workflow's own clock stands still between workflow tasks, so by it a node that failed an
    hour ago would have failed just now. A query leaves no trace in the history.
    """
    with workflow.unsafe.sandbox_unrestricted():
        return time.time()


def _request(what: str, name: str, args: Sequence[Any]) -> Request | str:
    """Return what is asked by a signal or update, or that there is none of that name."""
    read = [_decoded(arg) for arg in args if arg is not NOTHING]
    arg = read[0] if len(read) == 1 else read or None
    return read_request(name, arg, CLIENT.get()) or unknown_name(what, name)


def _decoded(arg: Any) -> Any:
    """Return the value of an argument, or that it is no JSON."""
    if not isinstance(arg, RawValue):
        return arg
    try:
        return workflow.payload_converter().from_payload(arg.payload)
    except Exception as error:  # noqa: BLE001  whatever a converter raises, the run is not harmed
        return Unreadable(f"no JSON ({type(error).__name__})")


def _told(foreseen: Foreseen) -> dict[str, Any]:
    """Return the answer to a dry run."""
    return {
        "accepted": True,
        "dry_run": True,
        "state": stdops_state(foreseen.state),
        "would": foreseen.would,
        "allowed_next": foreseen.allowed_next,
    }


def _refused(text: str, code: str = "unclear") -> ApplicationError:
    return ApplicationError(text, code, type="OperationRefused", non_retryable=True)
