"""SOP116."""

from collections.abc import Iterator
from typing import Final

from stdops import Diagnostic
from translator.rules.context import Context, rule

MOST_LEVELS: Final = 60
"""A plan of 66 levels can be written as JSON and not be read again."""


@rule("SOP116", "subflows nest too deep")
def subflows_nest_in_bounds(context: Context) -> Iterator[Diagnostic]:
    """Subflows nest at most 60 levels deep, those of child templates included.

    Why: A deeper plan cannot be stored; nobody could follow it either.
    Fails: a template whose subflow has a subflow, and so on for 61 levels
    Fix: Draw some of the levels as one flow.
    """
    holder = context.holder
    if holder is not None and _level(context) == MOST_LEVELS + 1:
        what = f"subflow {(holder.name or holder.id)!r} is more than {MOST_LEVELS} levels deep"
        fix = "draw some of the levels as one flow"
        yield context.report("SOP116", "error", holder.at, what, fix)


def _level(context: Context) -> int:
    """Return how many trees hold this one."""
    level, outer = 0, context.outer
    while outer is not None:
        level, outer = level + 1, outer.outer
    return level
