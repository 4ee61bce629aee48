"""What a run tells of itself to its parent, and to people when it grows too large."""

from typing import Final

from pydantic_core import to_json

from workflows.machine.events import Finish
from workflows.machine.machine import Machine
from workflows.machine.state import RunState
from workflows.machine.view import stdops_state
from workflows.messages import Parent, Report

MOST_TEXT: Final = 1000
"""How much of a failure's text travels up, at each level."""
MOST_NAMED: Final = 3
NAME_LENGTH: Final = 30


def report_of(parent: Parent, machine: Machine, finish: Finish | None, run: str) -> Report:
    """Return how the run called `run` stands, for its parent."""
    return Report(
        node=parent.node,
        entry=parent.entry,
        state=stdops_state(machine.state),
        over=finish is not None,
        error=_trouble(machine, finish, run),
        outputs=dict(finish.outputs) if finish is not None else {},
    )


def _trouble(machine: Machine, finish: Finish | None, run: str) -> str:
    """Say which node failed and why, or how a run ended that did not finish."""
    failed = machine.state.failed
    if finish is not None:
        revoked = f"the child {run} was revoked{_by(machine)}"
        return "" if finish.state == "finished" else finish.error or revoked
    if not failed:
        return ""
    path, reason = next(iter(failed.items()))
    more = f", and {len(failed) - 1} more" if len(failed) > 1 else ""
    name = machine.core.place(path).node.name or path
    return f"node {name!r} ({path}) failed: {reason[:MOST_TEXT]}{more}"


def _by(machine: Machine) -> str:
    """Return who revoked a run, and why."""
    last = next((e for e in reversed(machine.state.journal) if e.verb == "revoke"), None)
    if last is None:
        return ""
    return (f" by {last.who}" if last.who else "") + (f": {last.reason}" if last.reason else "")


def too_large_to_carry(state: RunState) -> str:
    """Say that a run's values are too large to go on in a fresh history, and which are large."""
    sizes = {
        key: len(to_json(value)) for flow in state.written.values() for key, value in flow.items()
    }
    largest = sorted(sizes, key=lambda key: -sizes[key])[:MOST_NAMED]
    named = ", ".join(repr(key[:NAME_LENGTH]) for key in largest)
    return (
        "the run's values are together too large to go on in a fresh history, and it ends when "
        f"this one is full; make the largest variables smaller ({named}) by set_variables, or "
        "have large values offloaded (payload_store)"
    )
