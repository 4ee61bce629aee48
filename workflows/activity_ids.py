"""Activity ids: what an activity is called, and which node and step a name means.

The server shows them, and its pending activities and events have nothing else of ours.
"""

import re
from typing import Final, NamedTuple

from translator.plan import NodePath
from workflows.machine.events import Evaluate, RunTask

_ID: Final = re.compile(
    r"(?P<path>.+):(?P<entry>\d+)(?:\+(?P<more>\d+)|:(?P<step>[a-z]+)\d*)?", re.DOTALL
)


class ActivityName(NamedTuple):
    """What an id names: a step of an execution, and how many nodes after it travel along."""

    path: NodePath
    entry: int
    step: str = "call"
    more: int = 0


def activity_id(command: RunTask, number: int) -> str:
    """Return node path and entry; later steps of an execution are told apart by `number`."""
    name = f"{command.path}:{command.entry}"
    if command.then:
        return f"{name}+{len(command.then)}"
    return name if command.step == "call" else step_id(command, command.step, number)


def step_id(command: RunTask | Evaluate, step: str, number: int) -> str:
    """Return the id of a later step of an execution, or of an evaluation for it."""
    return f"{command.path}:{command.entry}:{step}{number}"


def read_activity_id(text: str) -> ActivityName | None:
    """Return what an id names, None for an activity that works for no node."""
    found = _ID.fullmatch(text)
    if found is None:
        return None
    step, more = found["step"] or "call", int(found["more"] or 0)
    return ActivityName(found["path"], int(found["entry"]), step, more)
