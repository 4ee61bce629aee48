"""SOP107."""

from collections.abc import Iterator

from stdops import Diagnostic
from translator.rules.context import Context, rule


@rule("SOP107", "flow crosses the border of a parallel block")
def blocks_have_borders(context: Context) -> Iterator[Diagnostic]:
    """A parallel block is entered by its fork and left by its converge only.

    Why: a way in from another branch would run a node twice, or leave a branch behind.
    Fails: an edge from a task in the first branch of a fork to a task in the second
    Fix: Join the branches at the converge first, or put the task behind it.
    """
    yield from context.refused("SOP107")
