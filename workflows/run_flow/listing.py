"""What the Web UI's list of runs shows and finds: search attributes and the memo."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from temporalio import workflow
from temporalio.common import SearchAttributeKey, SearchAttributeUpdate
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from translator.plan import Plan
    from workflows.machine.machine import Machine
    from workflows.messages import RunInput

TRACE: Final = "steps"
"""Memo that counts what has happened, written where nothing else is."""


def write(known: Sequence[str], texts: Mapping[str, str], failed: int) -> bool:
    """Write those search attributes that the server knows; any other would fail the task.

    Returns whether there was something to write.
    """
    updates: list[SearchAttributeUpdate[Any]] = [
        SearchAttributeKey.for_keyword(key).value_set(text)
        for key, text in texts.items()
        if text and key in known
    ]
    if "StdopsFailedNodes" in known:
        updates.append(SearchAttributeKey.for_int("StdopsFailedNodes").value_set(failed))
    if updates:
        # the SDK's own signature leaves the value's type open
        workflow.upsert_search_attributes(updates)  # pyright: ignore[reportUnknownMemberType]
    return bool(updates)


def constant_texts(machine: Machine) -> dict[str, str]:
    """Return the search attributes that stay as they are for the whole run."""
    return {
        "StdopsTemplate": machine.plan.template_key,
        "StdopsOperator": str(machine.state.context.get("operator", "")),
        "StdopsProject": str(machine.state.context.get("project_name", "")),
    }


def write_refused(given: RunInput, known: Sequence[str]) -> None:
    """Let a run that never begins be found by its template all the same."""
    texts = {
        "StdopsState": "Failed",
        "StdopsTemplate": given.template,
        "StdopsOperator": given.operator,
    }
    write(known, texts, 0)


def told_attributes(error: ActivityError) -> list[str]:
    """Return the search attributes that the server knows, as the refusal of a plan tells them."""
    details = error.cause.details if isinstance(error.cause, ApplicationError) else ()
    return [str(name) for name in details]


def leave_trace(steps: int) -> None:
    """Count in the memo what has happened, so that the history has something of it."""
    workflow.upsert_memo({TRACE: steps})


def keep_memo(plan: Plan, digest: str) -> None:
    """Tell with the run what it runs, where the client that started it did not."""
    if "digest" in workflow.memo():
        return
    workflow.upsert_memo(
        {
            "template": plan.template_key,
            "name": plan.name,
            "version": plan.version,
            "digest": digest,
        }
    )
