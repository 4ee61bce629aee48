"""The outside of a run without races: what plugins and children answer, whatever the order.

What is answered follows from the seed, the node, its inputs, and how often the node has come to an
answer before. So a run that is disturbed has to end as one that is not.
"""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final, Literal, NamedTuple, TypeAlias

from pydantic import JsonValue

from activities.batches import supplied
from activities.contract import Done, Failed, Outcome, Polling, Unresolved, Waiting
from translator.plan import NodePath, Task, Value, VariableKey
from translator.values import reads, resolve
from translator.values.resolving import NeedsSandbox
from workflows.machine.events import ChildChanged, ChildEnded, ChildStarted, Report, RunTask

FateKind: TypeAlias = Literal["ends", "polls", "waits", "never"]

PATIENT_AFTER: Final = 2
"""From so many answers on a node ends well, so that every run comes to its end."""

SCORES: Final = 3
SHARE_FAILED: Final = 0.25
SHARE_LATE: Final = 0.4
SHARE_SKIPPED: Final = 0.4


class Fate(NamedTuple):
    """What becomes of an execution: how it goes on, after how many looks or callbacks, how it ends.

    `never` is one that its time limit ends.
    """

    kind: FateKind
    times: int
    fails: bool


def share(*what: object) -> float:
    """A number from 0 to 1 that follows from what is given."""
    digest = hashlib.blake2b(repr(what).encode(), digest_size=4).digest()
    return int.from_bytes(digest) / 2**32


def score(*what: object) -> int:
    """A small number that follows from what is given."""
    return int(share(*what) * SCORES)


def rendered(unresolved: Unresolved) -> dict[str, JsonValue]:
    """Values as a sandbox would have them, expressions by a rule of our own."""
    known: dict[VariableKey, JsonValue] = {}
    for key, variable in unresolved.variables.items():
        if variable.kind != "output":
            known[key] = _value(variable.value, known)
    return {name: _value(value, known) for name, value in unresolved.values.items()}


def _value(value: Value, known: Mapping[VariableKey, JsonValue]) -> JsonValue:
    try:
        return resolve(value, known)
    except NeedsSandbox as needed:
        text = needed.expression.text
        return score(text, [known.get(key) for key in reads(value)])


class World:
    """The outside; `answered` counts by node how often it has come to an answer."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.answered: Counter[NodePath] = Counter()
        self.failed_last: dict[NodePath, bool] = {}

    def chance(self, what: str, path: NodePath) -> float:
        """A number from 0 to 1 for one answer of a node."""
        return share(self.seed, what, path, self.answered[path])

    def fate(self, path: NodePath, task: Task, *, quick: bool) -> Fate:
        """What becomes of the execution under way."""
        patient = self.answered[path] >= PATIENT_AFTER
        if task.timeout and not patient and self.chance("late", path) < SHARE_LATE:
            return Fate("never", 0, fails=False)
        fails = not patient and self.chance("fails", path) < SHARE_FAILED
        number = self.chance("goes on", path)
        kind: FateKind = "ends" if quick or number < 0.5 else "polls" if number < 0.75 else "waits"
        return Fate(kind, 1 + round(self.chance("times", path)), fails=fails)

    def outcome(self, step: RunTask, task: Task) -> Outcome | None:
        """What a step of a plugin answers; None when it never does."""
        fate = self.fate(step.path, task, quick=step.traits.quick)
        inputs = self._inputs(step)
        match fate.kind:
            case "never":
                return None
            case "polls" if step.step == "call":
                return Polling(handle={"job": step.path}, after_s=5, inputs=inputs)
            case "polls" if step.step == "poll" and _seen(step) < fate.times:
                return Polling(handle=step.handle, after_s=5, outputs={"seen": _seen(step) + 1})
            case "waits" if step.step == "call":
                return Waiting(handle="ticket", inputs=inputs)
            case "waits" if _is_asked_more(step, fate):
                return Waiting(outputs={"seen": _seen(step) + 1})
            case _:
                return self._end(step, fate, inputs)

    def _inputs(self, step: RunTask) -> dict[str, JsonValue] | None:
        if step.step != "call" or not step.unresolved.values:
            return None
        return {**step.inputs, **rendered(step.unresolved)}

    def _end(self, step: RunTask, fate: Fate, inputs: dict[str, JsonValue] | None) -> Done | Failed:
        given = step.inputs if inputs is None else inputs
        out = score(step.path, given.get("x"), step.loop, self.answered[step.path])
        self.count(step.path, fails=fate.fails)
        if fate.fails:
            return Failed(error="broken", outputs={"out": out}, inputs=inputs)
        return Done(outputs={"out": out}, inputs=inputs)

    def count(self, path: NodePath, *, fails: bool) -> None:
        """Count an answer of a node."""
        self.answered[path] += 1
        self.failed_last[path] = fails

    def batch(self, step: RunTask, tasks: Mapping[NodePath, Task], most: int) -> list[Outcome]:
        """What the first of the calls that travel together answer, as far as they are started."""
        brought: dict[VariableKey, JsonValue] = {}
        outcomes: list[Outcome] = []
        steps = [(step, ()), *((each.step, each.takes) for each in step.then)]
        for each, takes in steps[:most]:
            found = {key: brought[key] for key in takes if key in brought}
            unresolved = supplied(each.unresolved, found) if found else each.unresolved
            outcome = self.outcome(each._replace(unresolved=unresolved), tasks[each.path])
            if outcome is None:
                break
            outcomes.append(outcome)
            if not isinstance(outcome, Done):
                break
            counters = {"_loop": each.loop, "_inner_loop": each.inner_loop}
            told = {**outcome.outputs, "_result": outcome.result, **counters}
            brought |= {w.variable: told[w.output] for w in each.writes if w.output in told}
        return outcomes

    def child_reports(self, path: NodePath, entry: int, given: JsonValue) -> Sequence[Report]:
        """What is heard of a child, in order."""
        return child_story(
            path,
            entry,
            stumbles=self.chance("stumbles", path) < SHARE_FAILED,
            outputs={"v": score(path, given, self.answered[path])},
            error="revoked" if self._breaks(path) else "",
        )

    def _breaks(self, path: NodePath) -> bool:
        return self.answered[path] < PATIENT_AFTER and self.chance("fails", path) < SHARE_FAILED

    def skips(self, path: NodePath) -> bool:
        """Whether the operator passes over a node that has failed where he may."""
        return self.chance("skips", path) < SHARE_SKIPPED


def child_story(
    path: NodePath, entry: int, *, stumbles: bool, outputs: dict[str, JsonValue], error: str
) -> Sequence[Report]:
    """The news of one child: it begins, a node of it may fail and be mended, it ends."""
    trouble = (
        ChildChanged(path, entry, "Failed", "node n failed"),
        ChildChanged(path, entry, "Running"),
    )
    return (
        ChildStarted(path, entry, f"t/{path}"),
        *(trouble if stumbles else ()),
        ChildEnded(path, entry, {} if error else outputs, error),
    )


def callback_of(path: NodePath) -> JsonValue:
    """What a node is called back with, early or late."""
    return {"for": path}


def _seen(step: RunTask) -> int:
    seen = step.outputs.get("seen", 0)
    return seen if isinstance(seen, int) else 0


def _is_asked_more(step: RunTask, fate: Fate) -> bool:
    return step.traits.multiple_callbacks and _seen(step) + 1 < fate.times
