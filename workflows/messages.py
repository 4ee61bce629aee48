"""What travels between a run and the people and programs that use it: one JSON object each.

Handlers take any JSON and read it here, so that a malformed payload is a refusal and never a
failing workflow task.
"""

import difflib
import typing
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final, NamedTuple, Self, TypeAlias, cast

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, model_validator
from pydantic_core import to_json

from translator.values import shown, unholdable
from workflows.machine.events import ChildChanged, ChildEnded, Verb, VerbName

MAX_PROBLEMS: Final = 5
MAX_BYTES: Final = 512 * 1024
"""How much JSON one verb may bring: it travels with the run's state."""

Name: TypeAlias = Annotated[str, Field(max_length=200)]
Path: TypeAlias = Annotated[str, Field(max_length=2000)]


class Message(BaseModel):
    """Base of all messages: unknown fields are refused, so that a typing error is seen."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Carried(Message):
    """What one part of a long run hands to the next."""

    digest: str
    state: dict[str, JsonValue]
    early: list[dict[str, JsonValue]] = Field(default_factory=list[dict[str, JsonValue]])


class Parent(Message):
    """Whose child a run is: of the run `run`, there started by execution `entry` of `node`.

    part: where the child's task stands in the plan that is stored by its digest. values: plain
    values of the child's variables.
    """

    run: str
    node: str
    entry: int
    part: str
    values: dict[str, JsonValue] = Field(default_factory=dict)


class Report(Message):
    """How a child stands, for the execution of the node that started it; `over` says that it ended.

    error: which node of it failed and why, or how it ended where it did not finish.
    """

    node: str
    entry: int
    state: typing.Literal["Running", "Waiting", "Paused", "Failed", "Finished", "Revoked"]
    over: bool = False
    error: str = ""
    outputs: dict[str, JsonValue] = Field(default_factory=dict)

    def event(self) -> "ChildChanged | ChildEnded | None":
        """Return what it means to the Machine."""
        if self.over:
            return ChildEnded(self.node, self.entry, self.outputs, self.error)
        if self.state in ("Finished", "Revoked"):
            return None
        return ChildChanged(self.node, self.entry, self.state, self.error)


REPORT: Final = "stdops.child"
"""The signal by which a child reports to its parent."""


class RunInput(Message):
    """The one argument of a run.

    inputs: values of the template's variables by name, with or without `${}`. digest: a plan that
    was already compiled, instead of the newest (or given) version. on_failure: `wait` for an
    operator, or `fail` the run. strict: a fragment that cannot be evaluated fails its node, where
    it else stays text with a warning; None is as the workers are set. carried and parent: filled in
    by stdops when it continues a long run, and when a run starts another.
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
    parent: Parent | None = None


class RunResult(Message):
    """How a run ended; `warnings` by node path, of the latest nodes that had some."""

    state: typing.Literal["finished", "revoked"]
    outputs: dict[str, JsonValue] = Field(default_factory=dict)
    skipped: list[str] = Field(default_factory=list[str])
    ignored: list[str] = Field(default_factory=list[str])
    warnings: dict[str, list[str]] = Field(default_factory=dict[str, list[str]])


class VerbMessage(Message):
    """What every verb takes: who asks and why; `request_id` makes asking twice harmless."""

    operator: Name = ""
    reason: str = Field(default="", max_length=5000)
    request_id: str = Field(default="", max_length=128)
    dry_run: bool = False

    def fields(self) -> dict[str, Any]:
        """Return the fields of the Machine's verb that this message carries."""
        return {}


class FlowMessage(VerbMessage):
    """`pause`, `resume`, `revoke`: the run, or with `node` a subflow."""

    node: Path = ""


class NodeMessage(VerbMessage):
    """A verb on one node."""

    node: Path = Field(min_length=1)


class FailedMessage(NodeMessage):
    """A verb on a node that failed; without `node` on the only one that did."""

    node: Path = ""


class RetryMessage(FailedMessage):
    """`set` changes some inputs and keeps the rest, `inputs` replaces all; `pass` one loop pass."""

    set_: dict[str, JsonValue] = Field(default_factory=dict, alias="set")
    inputs: dict[str, JsonValue] | None = None
    pass_: bool = Field(default=False, alias="pass")

    def fields(self) -> dict[str, Any]:
        """Return the inputs that a retry changes; with none at all they stay, as in bk-sops."""
        return {
            "inputs": self.inputs or None,
            "set_inputs": self.set_ or None,
            "this_pass": self.pass_,
        }


class SkipMessage(FailedMessage):
    """`pass` ends a node's own loop too, where a skip would only end the pass."""

    pass_: bool = Field(default=False, alias="pass")

    def fields(self) -> dict[str, Any]:
        """Return how far the skip goes in a node that loops on itself."""
        return {"this_pass": False if self.pass_ else None}


class ChooseMessage(NodeMessage):
    """`branch` of an exclusive gateway, `branches` of a conditional fork."""

    branch: Name = ""
    branches: list[Name] = Field(default_factory=list[str], max_length=1000)

    @model_validator(mode="after")
    def check_one_way(self) -> Self:
        """Refuse a choice that is made twice."""
        if self.branch and self.branches:
            raise ValueError("give 'branch' or 'branches', not both")
        return self

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


class TimerInputs(Message):
    """The inputs of bk-sops's timer node; whether a past time is checked makes no difference."""

    bk_timing: Name | int | float
    force_check: JsonValue = None


class TimerMessage(NodeMessage):
    """Another time for a node that waits: `seconds` from now, or `at` as `2026-01-31 08:00:00`.

    Or `inputs`, as bk-sops gives them.
    """

    seconds: float | None = Field(default=None, ge=0)
    at: Name = ""
    inputs: TimerInputs | None = None

    @model_validator(mode="after")
    def check_one_time(self) -> Self:
        """Require one time."""
        given = (self.seconds is not None, bool(self.at), self.inputs is not None)
        if sum(given) != 1:
            raise ValueError("give one of 'seconds' and 'at'")
        return self

    def fields(self) -> dict[str, Any]:
        """Return the time, as the timer's own input would give it."""
        given = self.at if self.seconds is None else self.seconds
        return {"data": given if self.inputs is None else self.inputs.bk_timing}


class VariablesMessage(VerbMessage):
    """`values` by variable name, in the run or with `subflow` in a subflow."""

    values: dict[str, JsonValue] = Field(min_length=1)
    subflow: Path = ""

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
    "skip": 'Pass over a failed node. {"node": "..."}, or {} if only one failed',
    "retry": 'Run a failed node again. {"node": "..."}, also with {"set": {"input": value}}',
    "choose": 'Send a failed gateway on. {"node": "...", "branch": "<flow id>"} (or "branches")',
    "force_fail": 'Stop a running node and fail it. {"node": "...", "reason": "..."}',
    "callback": 'Answer a node that waits. {"node": "...", "data": {...}}',
    "pause_node": 'Hold a node before it starts. {"node": "..."}',
    "resume_node": 'Free a node that is held. {"node": "..."}',
    "set_timer": 'Another time for a waiting node. {"node": "...", "seconds": 60} or "at"',
    "set_variables": 'Change variables. {"values": {"name": value}} and "subflow" if inside one',
    "rerun_from": 'Start again from an earlier node. {"node": "..."}',
}


class Alias(NamedTuple):
    """Another system's name for a verb.

    fields: what its fields are called here; "" is a field that says nothing new. on_run: whether it
    may be given without a node.
    """

    verb: VerbName
    fields: Mapping[str, str] = {}
    on_run: bool = False


ALIASES: Final[Mapping[str, Alias]] = {
    "skip_exg": Alias("choose", {"flow_id": "branch"}),
    "skip_cpg": Alias("choose", {"flow_ids": "branches", "converge_gateway_id": ""}),
    "forced_fail": Alias(
        "force_fail",
        {"ex_data": "reason", "full_ex_data": "reason", "send_post_set_state_signal": ""},
    ),
    "spec_nodes_timer_reset": Alias("set_timer"),
    "pause_subproc": Alias("pause"),
    "resume_subproc": Alias("resume"),
    "retry_subprocess": Alias("retry"),
    "pause_node_appoint": Alias("pause_node"),
    "resume_node_appoint": Alias("resume_node"),
    "node_callback": Alias("callback", {"callback_data": "data"}),
    "modify_constants_for_task": Alias("set_variables", {"constants": "values"}, on_run=True),
}
"""bk-sops's names: of its actions on nodes, and of its API where that has one of its own."""

SYNONYMS: Final[Mapping[str, str]] = {"node_id": "node"}
"""What every verb calls differently in bk-sops."""


class Unreadable(NamedTuple):
    """An input that is no message, and why; it stands where the input would."""

    why: str


class Request(NamedTuple):
    """A verb as it came: the message, or what is wrong with it; `alias` "" is the verb's own name.

    arg: the input as it came. client: as whom the client is known to the server.
    """

    verb: VerbName
    message: "VerbMessage | str"
    alias: str = ""
    arg: Any = None
    client: str = ""


def read_request(name: str, arg: Any, client: str = "") -> Request | None:
    """Return what is asked under a verb's name or another system's; None for any other name."""
    alias = ALIASES.get(name)
    own: VerbName | None = next((verb for verb in MESSAGES if verb == name), None)
    verb = alias.verb if alias else own
    if verb is None:
        return None
    fields = _renamed(arg, {**SYNONYMS, **(alias.fields if alias else {})})
    message = fields.why if isinstance(fields, Unreadable) else read_message(MESSAGES[verb], fields)
    if alias and not alias.on_run and isinstance(message, FlowMessage) and not message.node:
        message = "field 'node' is missing"
    if not isinstance(message, str):
        message = too_large(arg) or message
    return Request(verb, message, name if alias else "", arg, client)


def unknown_name(what: str, name: str) -> str:
    """Say that there is no signal or update of a name, and which may have been meant."""
    near = difflib.get_close_matches(name[:100], [*MESSAGES, *ALIASES], 1)
    hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(MESSAGES)}"
    return f"there is no {what} {shown(name)}; {hint}"


def named_in(arg: Any, field: str) -> str:
    """Return a text out of an input that cannot be read as a whole, "" where there is none."""
    found = cast("dict[str, Any]", arg).get(field) if isinstance(arg, dict) else None
    return found if isinstance(found, str) else ""


def _renamed(arg: Any, names: Mapping[str, str]) -> Any:
    """Return an object under our names for its fields, or why not; anything else as it is."""
    if not isinstance(arg, dict):
        return arg
    fields: dict[Any, Any] = {}
    for key, value in cast("dict[Any, Any]", arg).items():
        ours = names.get(key, key)
        if ours in fields and ours:
            twice = f"field {ours!r} is given twice, also as {shown(key)}; give it once"
            return Unreadable(twice)
        if ours != "" or key == "":
            fields[ours] = value
    return fields


def bare_key(key: str) -> str:
    """Return a variable's key without `${}`."""
    return key[2:-1] if key.startswith("${") and key.endswith("}") else key


AnyMessage = typing.TypeVar("AnyMessage", bound=Message)


def read_message(kind: type[AnyMessage], arg: Any) -> AnyMessage | str:
    """Return the message that `arg` holds, or one line on what is wrong with it."""
    data: Any = {} if arg is None else arg
    if broken := unholdable(data):
        return f"the input holds {broken}"
    if not isinstance(data, dict):
        return f"one JSON object is expected, got {type(data).__name__} {shown(data)}"
    try:
        return kind.model_validate(data)
    except ValidationError as wrong:
        return "; ".join(_problem(error, kind) for error in wrong.errors()[:MAX_PROBLEMS])


def too_large(arg: Any) -> str:
    """Say that an input that can be held is larger than a run takes; "" where it is not."""
    size = len(to_json(arg))
    if size <= MAX_BYTES:
        return ""
    fix = "put the data where the plugin can fetch it"
    return f"the input is {size} bytes of JSON, at most {MAX_BYTES} are taken; {fix}"


def _problem(error: Any, kind: type[Message]) -> str:
    place = ".".join(str(step) for step in error["loc"])
    match error["type"]:
        case "extra_forbidden":
            return f"unknown field {shown(place)}; {_fields_hint(place, kind)}"
        case "missing":
            return f"field {place!r} is missing"
        case "value_error":
            return str(error["ctx"]["error"])
        case _:
            return f"{shown(place)[1:-1] or 'the object'}: {error['msg'].lower()}"


def _fields_hint(place: str, kind: type[Message]) -> str:
    names = [field.alias or name for name, field in kind.model_fields.items()]
    near = difflib.get_close_matches(place[:100], names, 1)
    return f"did you mean {near[0]!r}?" if near else f"it has {', '.join(names)}"


def to_verb(request: Request, message: VerbMessage, node: str) -> Verb:
    """Return the Machine's verb for a request whose node was found at the path `node`."""
    return Verb(
        name=request.verb,
        node=node,
        operator=message.operator,
        reason=message.reason,
        request_id=message.request_id,
        client=request.client,
        alias=request.alias,
        **message.fields(),
    )


def wire_of(verb: Verb) -> dict[str, JsonValue]:
    """Return the object by which a verb is given on to another run; the way back from `to_verb`."""
    texts = {
        "subflow" if verb.name == "set_variables" else "node": verb.node,
        "operator": verb.who,
        "reason": verb.reason,
        "request_id": verb.request_id,
    }
    told = _WIRE.get(verb.name, lambda _: {})(verb)
    return {**{name: text for name, text in texts.items() if text}, **told}


def _retry_fields(verb: Verb) -> dict[str, JsonValue]:
    given = {"set": verb.set_inputs, "inputs": verb.inputs}
    told: dict[str, JsonValue] = {key: dict(each) for key, each in given.items() if each}
    return {**told, "pass": bool(verb.this_pass)}


_WIRE: Final[Mapping[VerbName, Callable[[Verb], dict[str, JsonValue]]]] = {
    "retry": _retry_fields,
    "skip": lambda verb: {"pass": verb.this_pass is False},
    "choose": lambda verb: {"branches": list(verb.branches)},
    "callback": lambda verb: {"data": verb.data, "token": verb.token},
    "set_timer": lambda verb: {"inputs": {"bk_timing": verb.data}},
    "set_variables": lambda verb: {"values": dict(verb.values)},
}


def node_named(message: VerbMessage) -> str:
    """Return how a message names its node; "" is the run."""
    if isinstance(message, VariablesMessage):
        return message.subflow
    return message.node if isinstance(message, FlowMessage | NodeMessage) else ""
