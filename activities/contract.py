"""The wire between the workflow and the plugins: what travels to an activity and what comes back.

Workflow code may import this module and nothing else of the activities. Every message is one frozen
pydantic model, so that a field can be added without breaking a run in flight.
"""

import typing
from collections.abc import Iterable
from typing import Annotated, Final, TypeAlias

from pydantic import Field, JsonValue

from translator.plan import Model, NodePath, Plan, PluginRef, Value, Variable, VariableKey

LOAD_PLAN: Final = "stdops.load_plan"
EVALUATE: Final = "stdops.evaluate"
"""Activities of stdops itself; every other activity type is a plugin's code."""

NOTE_CHARS: Final = 120
"""How long a note on a node is at most."""
MOST_WARNINGS: Final = 20
"""How many warnings one execution of a node carries at most."""
WARNING_CHARS: Final = 300


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
    one callback, `timer` waits until the time in the input named by `inline_input`.
    quick: needs no poll and no callback, ends within a second, is safe to repeat.
    idempotent: `call` may be sent again when its outcome is unknown.
    multiple_callbacks: a callback that does not end the node leaves it waiting for the next.
    """

    plugin: PluginRef
    inline: typing.Literal["", "display", "pause", "timer"] = ""
    inline_input: str = ""
    quick: bool = False
    idempotent: bool = False
    multiple_callbacks: bool = False
    call_timeout_s: int = 300
    heartbeat_s: int = 60
    queue: str = ""
    secrets: tuple[str, ...] = ()


class RunSettings(Model):
    """Every setting that a run depends on, read once at its start and fixed for the run.

    `traits` by `code/version`; a plugin that is not there is unknown. `search_attributes` names
    those that the server knows. `project` describes the project where a run does not say itself.
    `timezone` is the IANA name for times without an offset.
    `roll_over_events` is the history length from which a run goes on in a fresh history; 0 means
    when the server suggests it. `strict` fails a node whose values hold a fragment that cannot be
    evaluated, unless the run's own input says otherwise.
    """

    traits: dict[str, PluginTraits] = Field(default_factory=dict)
    search_attributes: tuple[str, ...] = ()
    project: dict[str, JsonValue] = Field(default_factory=dict)
    rerun_limit: int = 100
    loop_offset: int = 0
    first_hit: bool = False
    in_flight: int = 200
    polls_asleep: int = 1500
    timezone: str = "Asia/Shanghai"
    picture_bytes: int = 6000
    roll_over_events: int = 0
    strict: bool = False

    def traits_of(self, plugin: PluginRef) -> PluginTraits | None:
        """Return the traits of `plugin`, or None where the workers do not have it."""
        return self.traits.get(f"{plugin.code}/{plugin.version}")


class LoadPlan(Model):
    """Asks for a plan: by template and version, or by the digest of one already chosen."""

    template: str
    version: str | None = None
    digest: str | None = None


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
