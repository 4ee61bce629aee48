"""What people and programs can ask of a run: the verbs as updates and signals, and the queries.

Handlers validate, fold the verb into the Machine and return; they take one argument of any JSON and
check it here, so that no payload can fail a workflow task.
"""

import difflib
import time  # noqa: TID251  for queries only, see `_clock`
from collections.abc import Callable, Sequence
from typing import Any, Final, cast

from temporalio import workflow
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError

from workflows.run_flow.driver import Driver

with workflow.unsafe.imports_passed_through():
    from workflows.machine.addressing import Unclear, find_node
    from workflows.machine.events import Verb, VerbName
    from workflows.machine.state import JournalEntry, dump_state
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
        TEACHING,
        VerbMessage,
        node_named,
        read_message,
        to_verb,
    )

LOADING: Final = "the run is loading its plan; if that lasts, no worker polls its task queue"


class Operated(Driver):
    """A driver that people can operate and look at."""

    def __init__(self) -> None:
        super().__init__()
        self._early: list[tuple[VerbName, Any]] = []

    def take_early(self) -> None:
        """Carry out the signals that came before the plan was there, in their order."""
        early, self._early = self._early, []
        for name, arg in early:
            self.take_signal(name, arg)

    # --- verbs ---

    def take_signal(self, name: VerbName, arg: Any) -> None:
        """Take a verb that came as a signal; a refusal is written into the journal."""
        if self._machine is None:
            self._early.append((name, arg))
            return
        message = read_message(MESSAGES[name], arg)
        verb = message if isinstance(message, str) else self._addressed(name, message)
        if isinstance(verb, str):
            self._note_refused(name, verb)
        elif isinstance(message, VerbMessage) and not message.dry_run:
            self.apply(verb)

    def _note_refused(self, name: str, why: str) -> None:
        entry = JournalEntry(workflow.time(), name, node="", operator="", reason="", refusal=why)
        self.machine().note(entry)
        self._steps += 1  # refused signals make the history longer too

    def _addressed(self, name: VerbName, message: VerbMessage) -> Verb | str:
        """Return the verb on the node that the message means, or why that is not clear."""
        found = find_node(self.machine().core.program, node_named(message))
        if isinstance(found, Unclear):
            return found.text
        return to_verb(name, message, found)

    def validate_update(self, name: VerbName, arg: Any) -> None:
        """Refuse an update that cannot be carried out; leaves no trace in the history."""
        message = read_message(MESSAGES[name], arg)
        if isinstance(message, str):
            raise _refused(message)
        if self._machine is not None:
            self._accept(name, message)

    def _accept(self, name: VerbName, message: VerbMessage) -> Verb:
        """Return the verb that a message asks for; raises the refusal where there is one."""
        verb = self._addressed(name, message)
        if isinstance(verb, str):
            raise _refused(verb)
        if self.machine().was_accepted(verb.request_id):
            return verb
        refused = self.machine().refusal(verb, workflow.time())
        if refused is not None:
            raise _refused(refused.text, refused.code)
        return verb

    async def take_update(self, name: VerbName, arg: Any) -> dict[str, Any]:
        """Carry out a verb that came as an update and say where that leads."""
        await workflow.wait_condition(lambda: self._machine is not None)
        message = read_message(MESSAGES[name], arg)
        if isinstance(message, str):
            raise _refused(message)
        verb = self._accept(name, message)
        if not message.dry_run:
            self.apply(verb)
        machine = self.machine()
        return {
            "accepted": True,
            "state": stdops_state(machine.state),
            "allowed_next": machine.allowed_on(verb.node, workflow.time()),
            **({"dry_run": True} if message.dry_run else {}),
        }

    @workflow.signal(dynamic=True, description="Any other name is noted as refused")
    def unknown_signal(self, name: str, _args: Sequence[RawValue]) -> None:
        """Write a signal of an unknown name into the journal."""
        if self._machine is not None:
            self._note_refused(name, _unknown("signal", name))

    @workflow.update(dynamic=True, description="Any other name is refused")
    def unknown_update(self, name: str, _args: Sequence[RawValue]) -> None:
        """Refuse an update of an unknown name."""
        raise _refused(_unknown("update", name))

    @unknown_update.validator
    def validate_unknown(self, name: str, _args: Sequence[RawValue]) -> None:
        """Refuse an update of an unknown name before it costs an event."""
        raise _refused(_unknown("update", name))

    # --- what people see ---

    def page(self) -> str:
        """Return the text of the page's current details."""
        if self._machine is None:
            return LOADING
        machine = self._machine
        settings, run_id = machine.core.settings, workflow.info().workflow_id
        return page(machine.plan, machine.state, settings, _clock(), run_id=run_id)

    @workflow.query(name="status", description="Where the run stands. No input")
    def query_status(self, _arg: Any = None) -> Status | dict[str, str]:
        """Return the run's state, its counts, and the nodes that run, wait or failed."""
        if self._machine is None:
            return {"state": "Running", "reason": LOADING}
        return status(self._machine.plan, self._machine.state, _clock())

    @workflow.query(name="explain", description="Why the run is not finished. No input")
    def query_explain(self, _arg: Any = None) -> Explanation | dict[str, str]:
        """Return which nodes hold the run, what they wait for, and what would release them."""
        if self._machine is None:
            return {"text": LOADING}
        return explain(self._machine.plan, self._machine.state, _clock())

    @workflow.query(name="diagram", description='The flow drawn as text, or {"format": "svg"}')
    def query_diagram(self, arg: Any = None) -> str:
        """Return the flow drawn as text or as SVG."""
        if self._machine is None:
            return LOADING
        fields = cast("dict[str, Any]", arg) if isinstance(arg, dict) else {}
        draw = svg if fields.get("format") == "svg" else text
        return draw(self._machine.plan, self._machine.state, _clock())

    @workflow.query(name="history", description="What operators did, oldest first. No input")
    def query_history(self, _arg: Any = None) -> list[dict[str, Any]]:
        """Return the journal of verbs, accepted and refused."""
        return [] if self._machine is None else dump_state(self._machine.state).get("journal", [])

    @workflow.query(name="variables", description="The variables as they stand. No input")
    def query_variables(self, _arg: Any = None) -> Variables:
        """Return each flow's variables: value, where it comes from, who wrote it last."""
        return Variables() if self._machine is None else variables(self._machine.core)


Handler = Callable[..., Any]


def _signal_handler(name: VerbName) -> Handler:
    def handle(self: Operated, arg: Any = None) -> None:
        self.take_signal(name, arg)

    handle.__name__ = handle.__qualname__ = f"signal_{name}"
    return workflow.signal(name=name, description=TEACHING[name])(handle)


def _update_handler(name: VerbName) -> Handler:
    async def handle(self: Operated, arg: Any = None) -> dict[str, Any]:
        return await self.take_update(name, arg)

    def validate(self: Operated, arg: Any = None) -> None:
        self.validate_update(name, arg)

    handle.__name__ = handle.__qualname__ = f"update_{name}"
    made = workflow.update(name=name, description=TEACHING[name])(handle)
    made.validator(validate)
    return made


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


def _unknown(what: str, name: str) -> str:
    """Say that there is no such signal or update, and which may have been meant."""
    near = difflib.get_close_matches(name, MESSAGES, 1)
    hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(MESSAGES)}"
    return f"there is no {what} {name!r}; {hint}"


def _refused(text: str, code: str = "unclear") -> ApplicationError:
    return ApplicationError(text, code, type="OperationRefused", non_retryable=True)
