"""RunFlow: carries out the Machine's commands with Temporal's primitives, and nothing else.

What happens becomes an event for the Machine; what the Machine answers becomes an activity, a timer
or the end. No rule of the engine stands here.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any, assert_never, cast

from temporalio import workflow
from temporalio.common import (
    RawValue,
    RetryPolicy,
    SearchAttributeKey,
    SearchAttributePair,
    TypedSearchAttributes,
)
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from activities.contract import (
        EVALUATE,
        LOAD_PLAN,
        EvaluateCall,
        EvaluateResult,
        Failed,
        LoadedPlan,
        LoadPlan,
        OutcomeMessage,
        PluginCall,
        RunSettings,
    )
    from translator.plan import ROOT, NodePath
    from workflows.inputs import read_inputs
    from workflows.machine.addressing import Unclear, find_node
    from workflows.machine.events import (
        CancelNode,
        Command,
        Evaluate,
        Evaluated,
        Event,
        Finish,
        RunTask,
        SetTimer,
        TaskEnded,
        TimerFired,
        Verb,
        VerbName,
    )
    from workflows.machine.machine import Given, Machine
    from workflows.machine.state import dump_state, load_state
    from workflows.machine.view import diagram, explain, page, status, stdops_state
    from workflows.messages import (
        MESSAGES,
        TEACHING,
        Carried,
        RunInput,
        RunResult,
        VerbMessage,
        node_named,
        read_message,
        to_verb,
    )

DRAIN_EVENTS = 20_000
"""History length from which no new call starts until the run has rolled over."""
ENDLESS = timedelta(days=3650)
UNLIMITED = 0


class Driver:
    """What both workflow types share: one Machine, and the handles of what it asked for."""

    def __init__(self) -> None:
        self._machine: Machine | None = None
        self._digest = ""
        self._handles: dict[NodePath, list[tuple[int, asyncio.Task[None]]]] = {}
        self._early: list[tuple[VerbName, VerbMessage]] = []
        self._executing = 0
        self._steps = 0
        self._finish: Finish | None = None
        self._published: tuple[str, int] | None = None
        self._operator = ""

    # --- the run ---

    async def drive(self, given: RunInput) -> RunResult:
        """Run a template to its end, in one part or several."""
        loaded = await self._load(given)
        self._digest = loaded.digest
        self._operator = given.operator
        commands = self._open(given, loaded)
        try:
            self._perform(commands)
            await self._go_on(given)
        except asyncio.CancelledError:
            self._apply(Verb("revoke", operator="Temporal", reason="workflow cancelled"))
            await self._quiet()
            raise
        return self._result()

    async def _load(self, given: RunInput) -> LoadedPlan:
        version = None if given.version is None else str(given.version)
        digest = given.carried.digest if given.carried else given.digest
        ask = LoadPlan(template=given.template, version=version, digest=digest)
        try:
            return await workflow.execute_activity(
                LOAD_PLAN,
                ask,
                result_type=LoadedPlan,
                activity_id="load_plan",
                summary="load the plan and the settings",
                start_to_close_timeout=timedelta(seconds=60),
            )
        except ActivityError as error:
            raise _reworded(error) from error

    def _open(self, given: RunInput, loaded: LoadedPlan) -> list[Command]:
        """Make the Machine, fresh or from the state handed over; early signals come first."""
        now = self._now()
        if given.carried is not None:
            state = load_state(cast("dict[str, Any]", given.carried.state))
            self._machine = Machine(loaded.plan, loaded.settings, state)
            commands = self._machine.reissue(now)
            self._take_early()
            return commands
        inputs = read_inputs(loaded.plan.flow, given.inputs)
        if inputs.problems:
            raise ApplicationError("; ".join(inputs.problems), type="SOP220", non_retryable=True)
        self._machine = Machine(loaded.plan, loaded.settings)
        context = {**given.project, "operator": given.operator}
        self._machine.begin(
            now,
            Given(
                replaced=inputs.variables,
                context=context,
                fail_fast=given.on_failure == "fail",
            ),
        )
        self._take_early()
        return self._machine.go(now)

    def _take_early(self) -> None:
        """Carry out the signals that came before the plan was there, in their order."""
        early, self._early = self._early, []
        for name, message in early:
            self._signalled(name, message)

    async def _go_on(self, given: RunInput) -> None:
        """Publish changes until the run ends, or goes on in a fresh history."""
        while self._finish is None:
            self._publish()
            seen = self._steps
            await workflow.wait_condition(
                lambda seen=seen: self._finish is not None or self._steps != seen
            )
            if self._must_roll_over() and self._finish is None:
                await self._roll_over(given)
        await self._quiet()
        self._publish()

    async def _quiet(self) -> None:
        """Wait until what was told to stop has stopped, and every verb has its answer."""
        running = [task for handles in self._handles.values() for _, task in handles]
        if running:
            await workflow.wait(running)
        await workflow.wait_condition(workflow.all_handlers_finished)

    # --- rolling over ---

    def _must_roll_over(self) -> bool:
        info, machine = workflow.info(), self._ready_machine()
        if not info.is_continue_as_new_suggested():
            return False
        machine.drain(draining=info.get_current_history_length() > DRAIN_EVENTS)
        return self._executing == 0

    async def _roll_over(self, given: RunInput) -> None:
        """Go on in a fresh history; polls and timers are begun again there from the state."""
        await workflow.wait_condition(workflow.all_handlers_finished)
        if self._executing or self._finish is not None:
            return
        machine = self._ready_machine()
        carried = Carried(digest=self._digest, state=dump_state(machine.state))
        info = workflow.info()
        attributes = info.typed_search_attributes
        workflow.continue_as_new(
            given.model_copy(update={"carried": carried, "inputs": {}}).model_dump(
                mode="json", by_alias=True, exclude_defaults=True
            ),
            search_attributes=attributes,
        )

    # --- events and commands ---

    def _apply(self, event: Event) -> None:
        """Fold an event into the Machine and carry out what it asks for."""
        self._perform(self._ready_machine().handle(event, self._now()))

    def _perform(self, commands: Sequence[Command]) -> None:
        for command in commands:
            match command:
                case RunTask():
                    self._spawn(command, self._step(command))
                case Evaluate():
                    self._spawn(command, self._evaluate(command))
                case SetTimer():
                    self._spawn(command, self._timer(command))
                case CancelNode(path, entry):
                    self._cancel(path, entry)
                case Finish():
                    self._finish = command
                case _:
                    assert_never(command)
        self._steps += 1

    def _spawn(self, command: RunTask | Evaluate | SetTimer, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        if isinstance(command, RunTask) and command.step == "stop":
            entry = -command.entry  # a stop is not cancelled with what it stops
        else:
            entry = command.entry
        handles = self._handles.setdefault(command.path, [])
        handles.append((entry, task))
        task.add_done_callback(lambda done, path=command.path: self._forget(path, done))

    def _forget(self, path: NodePath, done: "asyncio.Future[None]") -> None:
        left = [pair for pair in self._handles.get(path, []) if pair[1] is not done]
        if left:
            self._handles[path] = left
        else:
            self._handles.pop(path, None)

    def _cancel(self, path: NodePath, entry: int) -> None:
        for number, task in self._handles.get(path, []):
            if number == entry:
                task.cancel()

    async def _step(self, command: RunTask) -> None:
        """Carry out one step of a plugin by an activity whose type is the plugin's code."""
        counts = command.step != "poll"
        self._executing += counts
        try:
            outcome = (await self._execute(command)).outcome
        except ActivityError as error:
            if is_cancelled_exception(error):
                return
            outcome = Failed(error=_reason(error))
        finally:
            self._executing -= counts
            self._steps += 1
        if command.step != "stop":
            self._apply(TaskEnded(command.path, command.entry, outcome))

    async def _execute(self, command: RunTask) -> OutcomeMessage:
        traits, machine = command.traits, self._ready_machine()
        executor = command.executor or str(machine.state.context.get("operator", ""))
        call = PluginCall(
            step=command.step,
            plugin=command.plugin,
            run=workflow.info().workflow_id,
            node=command.path,
            entry=command.entry,
            name=command.name,
            inputs=dict(command.inputs),
            unresolved=command.unresolved,
            raw=command.raw,
            loop=command.loop,
            inner_loop=command.inner_loop,
            context={**machine.state.context, "executor": executor},
            handle=command.handle,
            outputs=dict(command.outputs),
            data=command.data,
        )
        polls = command.step == "poll"
        return await workflow.execute_activity(
            command.plugin.code,
            call,
            result_type=OutcomeMessage,
            activity_id=self._activity_id(command),
            summary=_summary(command),
            task_queue=traits.queue or None,
            start_to_close_timeout=timedelta(seconds=traits.call_timeout_s),
            schedule_to_close_timeout=ENDLESS if polls else None,
            heartbeat_timeout=timedelta(seconds=traits.heartbeat_s),
            retry_policy=RetryPolicy(maximum_attempts=UNLIMITED if polls else 8),
        )

    def _activity_id(self, command: RunTask) -> str:
        """Return node path and entry; later steps of one execution are told apart by a number."""
        name = f"{command.path}:{command.entry}"
        return name if command.step == "call" else f"{name}:{command.step}{self._steps}"

    async def _evaluate(self, command: Evaluate) -> None:
        """Have values evaluated in the sandbox by a short activity."""
        path, entry = command.path, command.entry
        self._executing += 1
        try:
            result = await workflow.execute_activity(
                EVALUATE,
                EvaluateCall(
                    run=workflow.info().workflow_id,
                    node=path,
                    entry=entry,
                    unresolved=command.unresolved,
                    context=self._ready_machine().state.context,
                ),
                result_type=EvaluateResult,
                activity_id=f"{path}:{entry}:evaluate{self._steps}",
                summary=f"evaluate for {command.name or path}",
                start_to_close_timeout=timedelta(seconds=60),
            )
            event = Evaluated(path, entry, result.values, result.error)
        except ActivityError as error:
            if is_cancelled_exception(error):
                return
            event = Evaluated(path, entry, {}, _reason(error))
        finally:
            self._executing -= 1
            self._steps += 1
        self._apply(event)

    async def _timer(self, command: SetTimer) -> None:
        """Wait for a time, then say so."""
        seconds = max(0.0, command.at - self._now())
        try:
            await workflow.sleep(seconds, summary=_timer_summary(command))
        except asyncio.CancelledError:
            return
        self._apply(TimerFired(command.path, command.entry, command.kind))

    # --- verbs ---

    def _signalled(self, name: VerbName, arg: Any) -> None:
        """Take a verb that came as a signal; a refusal is written into the journal."""
        message = arg if isinstance(arg, VerbMessage) else read_message(MESSAGES[name], arg)
        if self._machine is None:
            if isinstance(message, VerbMessage):
                self._early.append((name, message))
            return
        if not isinstance(message, VerbMessage):
            self._machine.note(Verb(name), self._now(), message)
            return
        verb = self._addressed(name, message)
        if isinstance(verb, str):
            self._machine.note(Verb(name), self._now(), verb)
        elif not message.dry_run:
            self._apply(verb)

    def _addressed(self, name: VerbName, message: VerbMessage) -> Verb | str:
        """Return the verb on the node that the message means, or why that is not clear."""
        found = find_node(self._ready_machine().core.program, node_named(message))
        if isinstance(found, Unclear):
            return found.text
        return to_verb(name, message, found)

    def _validate(self, name: VerbName, arg: Any) -> None:
        """Refuse an update that cannot be carried out; leaves no trace in the history."""
        message = read_message(MESSAGES[name], arg)
        if not isinstance(message, VerbMessage):
            raise _refused(message)
        if self._machine is not None:
            self._accept(name, message)

    def _accept(self, name: VerbName, message: VerbMessage) -> Verb:
        """Return the verb that a message asks for; raises the refusal where there is one."""
        verb = self._addressed(name, message)
        if isinstance(verb, str):
            raise _refused(verb)
        if self._is_repeated(verb):
            return verb
        refused = self._ready_machine().refusal(verb, self._now())
        if refused is not None:
            raise _refused(refused.text)
        return verb

    def _is_repeated(self, verb: Verb) -> bool:
        """Say whether a verb with this request id was accepted before."""
        journal = self._ready_machine().state.journal
        return bool(verb.request_id) and any(
            entry.request_id == verb.request_id and not entry.refusal for entry in journal
        )

    async def _updated(self, name: VerbName, arg: Any) -> dict[str, Any]:
        """Carry out a verb that came as an update and say where that leads."""
        if self._machine is None:
            await workflow.wait_condition(lambda: self._machine is not None)
        message = read_message(MESSAGES[name], arg)
        if not isinstance(message, VerbMessage):
            raise _refused(message)
        verb = self._accept(name, message)
        if not message.dry_run:
            self._apply(verb)
        machine = self._ready_machine()
        return {
            "accepted": True,
            "state": stdops_state(machine.state),
            "allowed_next": machine.allowed_on(verb.node, self._now()),
            **({"dry_run": True} if message.dry_run else {}),
        }

    # --- what people see ---

    def _publish(self) -> None:
        """Write the run's search attributes, together, when they change."""
        machine = self._ready_machine()
        known = machine.core.settings.search_attributes
        shown = (stdops_state(machine.state), len(machine.state.failed))
        if shown == self._published or not known:
            return
        first = self._published is None
        self._published = shown
        pairs = [
            SearchAttributePair(SearchAttributeKey.for_keyword("StdopsState"), shown[0]),
            SearchAttributePair(SearchAttributeKey.for_int("StdopsFailedNodes"), shown[1]),
        ]
        if first:
            project = str(machine.state.context.get("project_name", ""))
            texts = {
                "StdopsTemplate": machine.plan.template_key,
                "StdopsOperator": self._operator,
                "StdopsProject": project,
            }
            pairs += [
                SearchAttributePair(SearchAttributeKey.for_keyword(key), text)
                for key, text in texts.items()
                if text
            ]
        kept = TypedSearchAttributes([pair for pair in pairs if pair.key.name in known])
        workflow.upsert_search_attributes([pair.key.value_set(pair.value) for pair in kept])

    def page(self) -> str:
        """Return the text of the page's current details."""
        if self._machine is None:
            return "loading the plan"
        machine = self._machine
        return page(machine.plan, machine.state, machine.core.settings, self._now())

    def _result(self) -> RunResult:
        state, finish = self._ready_machine().state, self._finish
        if finish is None or finish.state == "failed":
            text = finish.error if finish else "the run ended without a result"
            raise ApplicationError(text, type="SOP320", non_retryable=True)
        return RunResult(
            state=finish.state,
            outputs=dict(finish.outputs),
            skipped=[path for path, node in state.nodes.items() if node.status == "skipped"],
            ignored=[path for path, node in state.nodes.items() if node.error_ignored],
        )

    def _ready_machine(self) -> Machine:
        if self._machine is None:
            raise ApplicationError("the plan is not loaded yet", non_retryable=True)
        return self._machine

    def _settings(self) -> RunSettings:
        return self._ready_machine().core.settings

    def _now(self) -> float:
        return workflow.time()

    # --- queries ---

    @workflow.query(name="status", description="Where the run stands: state, nodes, what they need")
    def query_status(self, _arg: Any = None) -> Any:
        """Return the run's status."""
        if self._machine is None:
            return {"state": "Running", "reason": "loading the plan"}
        return status(self._machine.plan, self._machine.state, self._now())

    @workflow.query(name="explain", description="Why the run is not finished")
    def query_explain(self, _arg: Any = None) -> Any:
        """Return why the run is not finished."""
        if self._machine is None:
            return {"text": "the run is loading its plan; if that lasts, no worker polls its queue"}
        return explain(self._machine.plan, self._machine.state, self._now())

    @workflow.query(name="diagram", description='The flow as a drawing. {} or {"format": "svg"}')
    def query_diagram(self, arg: Any = None) -> str:
        """Return the flow drawn as text, or as SVG."""
        if self._machine is None:
            return "loading the plan"
        form = cast("dict[str, Any]", arg).get("format") if isinstance(arg, dict) else None
        return diagram(
            self._machine.plan, self._machine.state, self._now(), svg=form == "svg"
        )

    @workflow.query(name="history", description="What operators did to the run, oldest first")
    def query_history(self, _arg: Any = None) -> Any:
        """Return the journal of verbs."""
        return [] if self._machine is None else dump_state(self._machine.state).get("journal", [])

    @workflow.query(name="variables", description="The variables' present values, by flow")
    def query_variables(self, _arg: Any = None) -> Any:
        """Return the plain values of the variables; secrets are masked."""
        if self._machine is None:
            return {}
        core = self._machine.core
        return {
            flow_path or "run": {
                key: "******" if flow.variables[key].secret else core.shown_value(flow_path, key)
                for key in flow.variables
            }
            for flow_path, flow in core.program.flows.items()
            if flow_path == ROOT or flow_path in core.state.rounds
        }


Handler = Callable[..., Any]


def _signal_handler(name: VerbName) -> Handler:
    def handle(self: Driver, arg: Any = None) -> None:
        self._signalled(name, arg)

    handle.__name__ = handle.__qualname__ = f"signal_{name}"
    return workflow.signal(name=name, description=TEACHING[name])(handle)


def _update_handler(name: VerbName) -> Handler:
    async def handle(self: Driver, arg: Any = None) -> dict[str, Any]:
        return await self._updated(name, arg)

    def validate(self: Driver, arg: Any = None) -> None:
        self._validate(name, arg)

    handle.__name__ = handle.__qualname__ = f"update_{name}"
    made = workflow.update(name=name, description=TEACHING[name])(handle)
    made.validator(validate)
    return made


for _name in MESSAGES:
    setattr(Driver, f"signal_{_name}", _signal_handler(_name))
    setattr(Driver, f"update_{_name}", _update_handler(_name))


@workflow.defn(name="RunFlow")
class RunFlow(Driver):
    """A run of a template: `{"template": "...", "inputs": {...}, "operator": "..."}`."""

    @workflow.run
    async def run(self, arg: Any = None) -> RunResult:
        """Run a template."""
        given = read_message(RunInput, arg)
        if not isinstance(given, RunInput):
            raise ApplicationError(f"run input: {given}", type="SOP221", non_retryable=True)
        return await self.drive(given)


@workflow.defn(dynamic=True)
class TemplateFlow(Driver):
    """A run started under a template's key: the type is the key, the input the inputs."""

    @workflow.run
    async def run(self, args: Sequence[RawValue]) -> RunResult:
        """Run the template that the workflow type names."""
        arg = _decoded(args)
        if not isinstance(arg, dict):
            text = "one JSON object with the template's inputs is expected"
            raise ApplicationError(text, type="SOP221", non_retryable=True)
        fields = cast("dict[str, Any]", arg)
        if "carried" in fields:
            given = read_message(RunInput, fields)
        else:
            given = RunInput(template=workflow.info().workflow_type, inputs=fields)
        if not isinstance(given, RunInput):
            raise ApplicationError(f"run input: {given}", type="SOP221", non_retryable=True)
        return await self.drive(given)


def _decoded(args: Sequence[RawValue]) -> Any:
    """Return the first argument as JSON data; nothing is an empty object."""
    if not args:
        return {}
    try:
        return json.loads(args[0].payload.data or b"{}")
    except ValueError:
        return None


def _refused(text: str) -> ApplicationError:
    return ApplicationError(text, type="OperationRefused", non_retryable=True)


def _reason(error: ActivityError) -> str:
    """Return what an activity failed with, in one line."""
    cause = error.cause
    return str(cause.message if isinstance(cause, ApplicationError) else cause or error)


def _reworded(error: ActivityError) -> ApplicationError:
    """Return an activity's failure as the run's own."""
    cause = error.cause
    kind = cause.type if isinstance(cause, ApplicationError) else "SOP504"
    return ApplicationError(_reason(error), type=kind, non_retryable=True)


def _summary(command: RunTask) -> str:
    """Return what the timeline shows for a step."""
    name = command.name or command.path
    return (name if command.step == "call" else f"{name} · {command.step}")[:200]


def _timer_summary(command: SetTimer) -> str:
    """Return what the timeline shows for a timer."""
    what = {"timeout": "time limit", "retry": "automatic retry", "wait": "wait"}[command.kind]
    return f"{command.name or command.path} · {what}"[:200]
