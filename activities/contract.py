"""The wire between the workflow and the plugins: what travels to an activity and what comes back.

Workflow code may import this module and nothing else of the activities. Every message is one frozen
pydantic model, so that a field can be added without breaking a run in flight.
"""

import typing
from collections.abc import Iterable
from typing import Annotated, Final, TypeAlias

from pydantic import Field, JsonValue

from translator.plan import (
    Model,
    NodePath,
    Plan,
    PluginRef,
    Value,
    Variable,
    VariableKey,
    Write,
)
from translator.values import InputType

LOAD_PLAN: Final = "stdops.load_plan"
EVALUATE: Final = "stdops.evaluate"
BATCH: Final = "stdops.batch"
WATCH_CHILD: Final = "stdops.watch_child"
TELL_CHILD: Final = "stdops.tell_child"
"""Activities of stdops itself; every other activity type is a plugin's code."""

NOTE_CHARS: Final = 120
"""How long a note on a node is at most."""
MOST_WARNINGS: Final = 20
"""How many warnings one execution of a node carries at most."""
WARNING_CHARS: Final = 300


class TooLargeError(ValueError):
    """A value is larger than what can be sent; the text says how large, and how to mend it."""


def warning_lines(texts: Iterable[str]) -> tuple[str, ...]:
    """Return warnings as they travel: one line each, cut, and the last counts what is left out."""
    lines = list(dict.fromkeys(_line(text) for text in texts))
    if len(lines) <= MOST_WARNINGS:
        return tuple(lines)
    kept = lines[: MOST_WARNINGS - 1]
    return (*kept, f"and {len(lines) - len(kept)} more warnings")


def _line(text: str) -> str:
    # half a character, as JSON escapes can hold, would break the wire
    line = " ".join(text.split()).encode("utf-8", "replace").decode("utf-8")
    return line if len(line) <= WARNING_CHARS else f"{line[: WARNING_CHARS - 1]}\u2026"


class PluginTraits(Model):
    """What a run must know of a plugin to schedule it; fixed when the run starts.

    inline: decided in the workflow, without an activity: `display` ends at once, `pause` waits for
    one callback, `timer` waits until the time in the input named by `inline_input`, `child` starts
    a run of its own.
    quick: needs no poll and no callback, ends within a second, is safe to repeat; neighbours in a
    row travel as one activity.
    idempotent: `call` may be sent again when its outcome is unknown.
    multiple_callbacks: a callback that does not end the node leaves it waiting for the next.
    inputs: the inputs that it declares, with their types; `open_inputs`: others are fine too, which
    is also what holds where nothing is known of them.
    """

    plugin: PluginRef
    inline: typing.Literal["", "display", "pause", "timer", "child"] = ""
    inline_input: str = ""
    quick: bool = False
    idempotent: bool = False
    multiple_callbacks: bool = False
    call_timeout_s: int = 300
    heartbeat_s: int = 60
    queue: str = ""
    secrets: tuple[str, ...] = ()
    inputs: dict[str, InputType] = Field(default_factory=dict)
    open_inputs: bool = True


Picture: TypeAlias = typing.Literal["svg", "text", "off"]
"""How the page draws the flow."""


class RunSettings(Model):
    """Every setting that a run depends on, read once at its start and fixed for the run.

    `traits` by `code/version`; a plugin that is not there is unknown. `search_attributes` names
    those that the server knows. `project` describes the project where a run does not say itself.
    `timezone` is the IANA name for times without an offset. `runs_url` is where the pages of runs
    are in the Web UI.
    `roll_over_events` is the history length from which a run goes on in a fresh history; 0 means
    when the server suggests it. `strict` fails a node whose values hold a fragment that cannot be
    evaluated, unless the run's own input says otherwise. Of quick tasks in a row at most
    `batch_tasks` travel as one activity, which starts none of them after `batch_ms` milliseconds;
    with 1 each has an activity of its own.
    """

    traits: dict[str, PluginTraits] = Field(default_factory=dict)
    search_attributes: tuple[str, ...] = ()
    project: dict[str, JsonValue] = Field(default_factory=dict)
    rerun_limit: int = 100
    loop_offset: int = 0
    first_hit: bool = False
    in_flight: int = 200
    polls_asleep: int = 1500
    batch_tasks: int = 16
    batch_ms: int = 500
    timezone: str = "Asia/Shanghai"
    runs_url: str = ""
    picture: Picture = "svg"
    picture_bytes: int = 6000
    roll_over_events: int = 0
    strict: bool = False

    def traits_of(self, plugin: PluginRef) -> PluginTraits | None:
        """Return the traits of `plugin`, or None where the workers do not have it."""
        return self.traits.get(f"{plugin.code}/{plugin.version}")


class LoadPlan(Model):
    """Asks for a plan: by template and version, or by the digest of one already chosen.

    part: the path in it of the task whose child's plan is wanted; "" is the whole plan.
    """

    template: str
    version: str | None = None
    digest: str | None = None
    part: NodePath = ""


class LoadedPlan(Model):
    """The plan, its digest, and the settings of the run."""

    plan: Plan
    digest: str
    settings: RunSettings


class Unresolved(Model):
    """Values that need the sandbox or a lazy variable, with the variables they read.

    `variables` stand in an order in which each one's own references come before it; what could be
    resolved in the workflow is already `plain`.
    """

    values: dict[str, Value] = Field(default_factory=dict)
    variables: dict[VariableKey, Variable] = Field(default_factory=dict)


class PluginCall(Model):
    """One call of a plugin.

    step: `call` starts the work; `poll` looks at it by `handle`; `callback` hands over `data`;
    `stop` asks the outside system to stop. `inputs` are ready; `unresolved` are rendered by the
    activity first. `outputs` are those of the earlier steps. `context` holds what the engine calls
    parent data: operator, executor, project, language. With `strict` a fragment that cannot be
    evaluated fails the node.
    """

    step: typing.Literal["call", "poll", "callback", "stop"] = "call"
    plugin: PluginRef
    run: str
    node: NodePath
    entry: int
    name: str = ""
    inputs: dict[str, JsonValue] = Field(default_factory=dict)
    unresolved: Unresolved = Unresolved()
    raw: tuple[str, ...] = ()
    loop: int = 1
    inner_loop: int = 1
    context: dict[str, JsonValue] = Field(default_factory=dict)
    handle: JsonValue = None
    outputs: dict[str, JsonValue] = Field(default_factory=dict)
    data: JsonValue = None
    strict: bool = False

    @property
    def key(self) -> str:
        """Idempotency key: unique per run, node and entry."""
        return f"{self.run}:{self.node}:{self.entry}"


class Done(Model):
    """The plugin has ended well; `result` is what it returned (the engine's `_result`).

    `inputs` are the rendered inputs where the activity rendered some, else None. `warnings` say of
    fragments in them why they stay as they are written. `note` is a short line for people that the
    plugin publishes on purpose, such as `JOB 20031`; so in the other outcomes.
    """

    kind: typing.Literal["done"] = "done"
    outputs: dict[str, JsonValue] = Field(default_factory=dict)
    result: JsonValue = True
    inputs: dict[str, JsonValue] | None = None
    warnings: tuple[str, ...] = ()
    note: str = ""


class Failed(Model):
    """The plugin, or the rendering of its inputs, has failed.

    `error` is text for a person (the engine's `ex_data`); `rendering` failures are not ignorable.
    """

    kind: typing.Literal["failed"] = "failed"
    error: str
    outputs: dict[str, JsonValue] = Field(default_factory=dict)
    result: JsonValue = False
    inputs: dict[str, JsonValue] | None = None
    rendering: bool = False
    warnings: tuple[str, ...] = ()
    note: str = ""


class Polling(Model):
    """The work goes on outside: look again in `after_s` seconds, by `handle`."""

    kind: typing.Literal["polling"] = "polling"
    handle: JsonValue
    after_s: float
    outputs: dict[str, JsonValue] = Field(default_factory=dict)
    inputs: dict[str, JsonValue] | None = None
    warnings: tuple[str, ...] = ()
    note: str = ""


class Waiting(Model):
    """The work goes on outside, which will call back."""

    kind: typing.Literal["waiting"] = "waiting"
    handle: JsonValue = None
    outputs: dict[str, JsonValue] = Field(default_factory=dict)
    inputs: dict[str, JsonValue] | None = None
    warnings: tuple[str, ...] = ()
    note: str = ""


Outcome: TypeAlias = Annotated[Done | Failed | Polling | Waiting, Field(discriminator="kind")]


class OutcomeMessage(Model):
    """An activity's result: an outcome, in a model so that it can grow."""

    outcome: Outcome


class BatchedCall(Model):
    """A call that travels with others.

    takes: the variables that an earlier call of the batch may write; what it wrote counts before
    what stands in `call.unresolved`. writes: those of its own outputs that later ones take.
    """

    call: PluginCall
    takes: tuple[VariableKey, ...] = ()
    writes: tuple[Write, ...] = ()


class PluginBatch(Model):
    """Calls of quick plugins for nodes in a row, to be taken in order until one does not end well.

    `context` is common to all, beside what each has of its own. None starts after `limit_ms`.
    `loop_offset` is how far the counters that plugins see are ahead of those in outputs.
    """

    calls: tuple[BatchedCall, ...]
    context: dict[str, JsonValue] = Field(default_factory=dict)
    limit_ms: int = 500
    loop_offset: int = 0


class BatchResult(Model):
    """The outcomes of the first calls of a batch, at least one; the others were not started."""

    outcomes: tuple[Outcome, ...]


class EvaluateCall(Model):
    """Asks for values that the workflow cannot resolve by itself.

    `noun` is what a warning calls one of them; with `strict` what would be a warning is the error.
    """

    run: str
    node: NodePath
    entry: int
    unresolved: Unresolved
    context: dict[str, JsonValue] = Field(default_factory=dict)
    noun: str = "input"
    strict: bool = False


class EvaluateResult(Model):
    """The resolved values by name, or why they cannot be had (`error` not empty)."""

    values: dict[str, JsonValue] = Field(default_factory=dict)
    error: str = ""
    warnings: tuple[str, ...] = ()


class ChildWatch(Model):
    """Asks to say when the run `child` has ended."""

    child: str


class ChildEnd(Model):
    """How a child ended; `error` says so where it did not finish."""

    outputs: dict[VariableKey, JsonValue] = Field(default_factory=dict)
    error: str = ""


class ChildUpdate(Model):
    """Asks to give the run `child` a verb as an update; `id` makes asking twice harmless."""

    child: str
    verb: str
    id: str
    message: dict[str, JsonValue] = Field(default_factory=dict)


class ChildAnswer(Model):
    """What a child answered to a verb, or why it refused it (`refusal` not empty), by `code`."""

    answer: dict[str, JsonValue] = Field(default_factory=dict)
    refusal: str = ""
    code: str = ""
