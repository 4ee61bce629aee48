"""Several calls of quick plugins in one activity: in order, until one does not end well.

What a call takes of the outputs of those before it is filled in here, as the workflow would have
done between two single calls. Knows no Temporal.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeAlias

from pydantic import JsonValue

from activities.contract import (
    BatchedCall,
    BatchResult,
    Done,
    Outcome,
    PluginBatch,
    PluginCall,
    Unresolved,
)
from translator.plan import Literal, Variable, VariableKey
from translator.values import closure, holds_sealed

Take: TypeAlias = Callable[[PluginCall, int], Awaitable[Outcome | None]]
"""Takes a call, given its number from 0; None says that it has to begin again, in its turn."""


async def take_batch(
    batch: PluginBatch, take: Take, may_go_on: Callable[[], bool], most_bytes: int
) -> BatchResult:
    """Take the calls of a batch in order and say what came of those that were started.

    The first is taken in any case, a later one only when all before it ended well and as long as
    `may_go_on` says so. The last outcomes are left out where all have more than `most_bytes`.

    Raises:
        Exception: what `take` raises.
    """
    brought: dict[VariableKey, JsonValue] = {}
    outcomes: list[Outcome] = []
    for number, batched in enumerate(batch.calls):
        found = {key: brought[key] for key in batched.takes if key in brought}
        if any(map(holds_sealed, found.values())):
            break  # the workflow hands on a secret as it is, and does not render it
        outcome = await take(_ready(batch, batched, found), number)
        if outcome is None:
            break
        outcomes.append(outcome)
        if not isinstance(outcome, Done) or not may_go_on():
            break
        brought.update(_written(batch, batched, outcome))
    return _fitting(outcomes, most_bytes)


def _fitting(outcomes: Sequence[Outcome], most_bytes: int) -> BatchResult:
    """Return as many of the outcomes as can be sent; what is left out is called again."""
    result = BatchResult(outcomes=tuple(outcomes))
    while len(result.outcomes) > 1 and len(result.model_dump_json()) > most_bytes:
        result = BatchResult(outcomes=result.outcomes[:-1])
    return result


def _ready(
    batch: PluginBatch, batched: BatchedCall, found: Mapping[VariableKey, JsonValue]
) -> PluginCall:
    """Return a call as it would have been made by itself, with what it takes in `found`."""
    call = batched.call
    changed: dict[str, object] = {"context": {**batch.context, **call.context}}
    if found:
        changed["unresolved"] = supplied(call.unresolved, found)
    return call.model_copy(update=changed)


def supplied(given: Unresolved, found: Mapping[VariableKey, JsonValue]) -> Unresolved:
    """Return values to be resolved with the variables in `found` written over those they had."""
    known = {**given.variables, **{key: _written_over(given, key, found[key]) for key in found}}
    needed = closure(given.values.values(), known.get)
    without_value = {key: each for key, each in needed.items() if each.kind == "output"}
    return given.model_copy(update={"variables": {**without_value, **needed}})


def _written_over(given: Unresolved, key: VariableKey, value: JsonValue) -> Variable:
    secret = key in given.variables and given.variables[key].secret
    return Variable(key=key, kind="plain", value=Literal(value=value), secret=secret)


def _written(
    batch: PluginBatch, batched: BatchedCall, outcome: Done
) -> dict[VariableKey, JsonValue]:
    """Return what a call that ended well writes to the variables that later ones take."""
    if not batched.writes:
        return {}
    outputs: dict[str, JsonValue] = {
        **outcome.outputs,
        "_result": outcome.result,
        "_loop": batched.call.loop - batch.loop_offset,
        "_inner_loop": batched.call.inner_loop - batch.loop_offset,
    }
    return {w.variable: outputs[w.output] for w in batched.writes if w.output in outputs}
