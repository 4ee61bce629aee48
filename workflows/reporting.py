"""What a child tells its parent of itself."""

from typing import Final

from workflows.machine.events import Finish
from workflows.machine.machine import Machine
from workflows.machine.view import stdops_state
from workflows.messages import Parent, Report

MOST_TEXT: Final = 1000
"""How much of a failure's text travels up, at each level."""


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
