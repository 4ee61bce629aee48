"""What travels between a run and the people and programs that use it: one JSON object each.

Handlers take any JSON and read it here, so that a malformed payload is a refusal and never a
failing workflow task.
"""

import typing
from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from workflows.machine.events import Verb, VerbName

MAX_PROBLEMS: Final = 5


class Message(BaseModel):
    """Base of all messages: unknown fields are refused, so that a typing error is seen."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Carried(Message):
    """What one part of a long run hands to the next."""

    digest: str
    state: dict[str, JsonValue]
    early: list[dict[str, JsonValue]] = Field(default_factory=list[dict[str, JsonValue]])


class RunInput(Message):
    """The one argument of a run.

    inputs: values of the template's variables by name, with or without `${}`. digest: a plan that
    was already compiled, instead of the newest (or given) version. on_failure: `wait` for an
    operator, or `fail` the run. strict: a fragment that cannot be evaluated fails its node, where
    it else stays text with a warning; None is as the workers are set. carried: filled in by stdops
    when it continues a long run.
    """

    template: str = ""
    version: str | int | None = None
    digest: str | None = None
    inputs: dict[str, JsonValue] = Field(default_factory=dict)
    operator: str = ""
    project: dict[str, JsonValue] = Field(default_factory=dict)
    on_failure: typing.Literal["wait", "fail"] = "wait"
    strict: bool | None = None
    carried: Carried | None = None


class RunResult(Message):
    """How a run ended; `warnings` by node path, of the latest nodes that had some."""

    state: typing.Literal["finished", "revoked"]
    outputs: dict[str, JsonValue] = Field(default_factory=dict)
    skipped: list[str] = Field(default_factory=list[str])
    ignored: list[str] = Field(default_factory=list[str])
    warnings: dict[str, list[str]] = Field(default_factory=dict[str, list[str]])


class VerbMessage(Message):
    """What every verb takes: who asks and why; `request_id` makes asking twice harmless."""

    operator: str = ""
    reason: str = ""
    request_id: str = ""
    dry_run: bool = False

    def fields(self) -> dict[str, Any]:
        """Return the fields of the Machine's verb that this message carries."""
        return {}


class FlowMessage(VerbMessage):
    """`pause`, `resume`, `revoke`: the run, or with `node` a subflow."""

    node: str = ""


class NodeMessage(VerbMessage):
    """A verb on one node."""

    node: str = Field(min_length=1)


class RetryMessage(NodeMessage):
    """`set` changes some inputs and keeps the rest, `inputs` replaces all; `pass` one loop pass."""

    set_: dict[str, JsonValue] = Field(default_factory=dict, alias="set")
    inputs: dict[str, JsonValue] | None = None
    pass_: bool = Field(default=False, alias="pass")

    def fields(self) -> dict[str, Any]:
        """Return the inputs that a retry changes."""
        return {"inputs": self.inputs, "set_inputs": self.set_ or None, "this_pass": self.pass_}


class SkipMessage(NodeMessage):
    """`pass` ends a node's own loop too, where a skip would only end the pass."""

    pass_: bool = Field(default=False, alias="pass")

    def fields(self) -> dict[str, Any]:
        """Return how far the skip goes in a node that loops on itself."""
        return {"this_pass": False if self.pass_ else None}


class ChooseMessage(NodeMessage):
    """`branch` of an exclusive gateway, `branches` of a conditional fork."""

    branch: str = ""
    branches: list[str] = Field(default_factory=list[str])

    def fields(self) -> dict[str, Any]:
        """Return the branches chosen."""
        return {"branches": tuple([self.branch] if self.branch else self.branches)}


class ForceFailMessage(NodeMessage):
    """Stop a running node and fail it with `reason`."""


class CallbackMessage(NodeMessage):
    """`data` from outside; `token` names the attempt it belongs to."""

    data: JsonValue = None
    token: int | None = None

    def fields(self) -> dict[str, Any]:
        """Return the data and the attempt."""
        return {"data": self.data, "token": self.token}


class TimerMessage(NodeMessage):
    """Another time for a node that waits: `seconds` from now, or `at` as `2026-01-31 08:00:00`."""

    seconds: float | None = Field(default=None, ge=0)
    at: str = ""

    def fields(self) -> dict[str, Any]:
        """Return the time, as the timer's own input would give it."""
        return {"data": self.at if self.seconds is None else self.seconds}


class VariablesMessage(VerbMessage):
    """`values` by variable name, in the run or with `subflow` in a subflow."""

    values: dict[str, JsonValue] = Field(min_length=1)
    subflow: str = ""

    def fields(self) -> dict[str, Any]:
        """Return the values by bare key."""
        return {"values": {bare_key(key): value for key, value in self.values.items()}}


MESSAGES: Final[Mapping[VerbName, type[VerbMessage]]] = {
    "pause": FlowMessage,
    "resume": FlowMessage,
    "revoke": FlowMessage,
    "skip": SkipMessage,
    "retry": RetryMessage,
    "choose": ChooseMessage,
    "force_fail": ForceFailMessage,
    "callback": CallbackMessage,
    "pause_node": NodeMessage,
    "resume_node": NodeMessage,
    "set_timer": TimerMessage,
    "set_variables": VariablesMessage,
    "rerun_from": NodeMessage,
}

TEACHING: Final[Mapping[VerbName, str]] = {
    "pause": 'Start nothing new; what runs goes on. {} or {"node": "<subflow>"}',
    "resume": 'Go on after a pause. {} or {"node": "<subflow>"}',
    "revoke": 'Stop the run for good. {} or {"reason": "..."}',
    "skip": 'Pass over a failed node. {"node": "..."}',
    "retry": 'Run a failed node again. {"node": "..."} or with {"set": {"input": value}}',
    "choose": 'Send a failed gateway on. {"node": "...", "branch": "<flow id>"} (or "branches")',
    "force_fail": 'Stop a running node and fail it. {"node": "...", "reason": "..."}',
    "callback": 'Answer a node that waits. {"node": "...", "data": {...}}',
    "pause_node": 'Hold a node before it starts. {"node": "..."}',
    "resume_node": 'Free a node that is held. {"node": "..."}',
    "set_timer": 'Another time for a waiting node. {"node": "...", "seconds": 60} or "at"',
    "set_variables": 'Change variables. {"values": {"name": value}} and "subflow" if inside one',
    "rerun_from": 'Start again from an earlier node. {"node": "..."}',
}


def bare_key(key: str) -> str:
    """Return a variable's key without `${}`."""
    return key[2:-1] if key.startswith("${") and key.endswith("}") else key


AnyMessage = typing.TypeVar("AnyMessage", bound=Message)


def read_message(kind: type[AnyMessage], arg: Any) -> AnyMessage | str:
    """Return the message that `arg` holds, or one line on what is wrong with it."""
    data: Any = {} if arg is None else arg
    if not isinstance(data, dict):
        return f"one JSON object is expected, got {type(data).__name__} {data!r:.40}"
    try:
        return kind.model_validate(data)
    except ValidationError as wrong:
        return "; ".join(_problem(error) for error in wrong.errors()[:MAX_PROBLEMS])


def _problem(error: Any) -> str:
    place = ".".join(str(step) for step in error["loc"]) or "the object"
    if error["type"] == "extra_forbidden":
        return f"unknown field {place!r}"
    if error["type"] == "missing":
        return f"field {place!r} is missing"
    return f"{place}: {error['msg'].lower()}"


def to_verb(name: VerbName, message: VerbMessage, node: str) -> Verb:
    """Return the Machine's verb for a message whose node was found at the path `node`."""
    return Verb(
        name=name,
        node=node,
        operator=message.operator,
        reason=message.reason,
        request_id=message.request_id,
        **message.fields(),
    )


def node_named(message: VerbMessage) -> str:
    """Return how a message names its node; "" is the run."""
    if isinstance(message, VariablesMessage):
        return message.subflow
    return message.node if isinstance(message, FlowMessage | NodeMessage) else ""
