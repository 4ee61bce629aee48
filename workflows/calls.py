"""What a plugin's activity gets: the Machine's command, with what the run knows besides."""

from collections.abc import Sequence
from typing import Final

from pydantic import JsonValue

from activities.contract import BatchedCall, PluginBatch, PluginCall
from workflows.machine.events import Ahead, RunTask, SetTimer
from workflows.machine.machine import Machine

SUMMARY_LENGTH: Final = 200
NAMES_SHOWN: Final = 3
"""How many nodes of a batch its summary names."""


def call_of(command: RunTask, machine: Machine, run: str) -> PluginCall:
    """Return the call that a step is."""
    context = machine.state.context
    own = _own_context(command, machine)
    return _call(command, run, {**context, **own}, strict=machine.state.strict)


def batch_of(command: RunTask, machine: Machine, run: str) -> PluginBatch:
    """Return the calls that travel together; what their contexts have in common stands once."""
    settings = machine.core.settings
    return PluginBatch(
        calls=tuple(
            BatchedCall(
                call=_call(
                    each.step, run, _own_context(each.step, machine), strict=machine.state.strict
                ),
                takes=each.takes,
                writes=each.step.writes,
            )
            for each in (Ahead(command), *command.then)
        ),
        context=machine.state.context,
        limit_ms=settings.batch_ms,
        loop_offset=settings.loop_offset,
    )


def summary_of(command: RunTask) -> str:
    """Return what the timeline shows for a step."""
    name = command.name or command.path
    if command.then:
        return _listed([name, *(each.step.name or each.step.path for each in command.then)])
    return (name if command.step == "call" else f"{name} · {command.step}")[:SUMMARY_LENGTH]


def timer_summary(command: SetTimer) -> str:
    """Return what the timeline shows for a timer."""
    what = {"timeout": "time limit", "retry": "automatic retry", "wait": "wait"}[command.kind]
    return f"{command.name or command.path} · {what}"[:SUMMARY_LENGTH]


def _listed(names: Sequence[str]) -> str:
    """Return the first of some names, and how many more there are."""
    room = SUMMARY_LENGTH // NAMES_SHOWN - len(" and 999 more")
    shown = ", ".join(name[:room] for name in names[:NAMES_SHOWN])
    more = len(names) - NAMES_SHOWN
    return f"{shown} and {more} more" if more > 0 else shown


def _own_context(command: RunTask, machine: Machine) -> dict[str, JsonValue]:
    """Return what of a call's context is not the run's: on whose behalf it acts."""
    context = machine.state.context
    executor = command.executor or context.get("executor") or context.get("operator", "")
    return {"executor": executor}


def _call(command: RunTask, run: str, context: dict[str, JsonValue], *, strict: bool) -> PluginCall:
    return PluginCall(
        step=command.step,
        plugin=command.plugin,
        run=run,
        node=command.path,
        entry=command.entry,
        name=command.name,
        inputs=dict(command.inputs),
        unresolved=command.unresolved,
        raw=command.raw,
        loop=command.loop,
        inner_loop=command.inner_loop,
        context=context,
        handle=command.handle,
        outputs=dict(command.outputs),
        data=command.data,
        strict=strict,
    )
