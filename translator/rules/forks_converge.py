"""SOP105."""

from collections.abc import Iterator

from stdops import Diagnostic
from translator.rules.context import Context, rule


@rule("SOP105", "branches of a fork do not meet in one converge")
def forks_converge(context: Context) -> Iterator[Diagnostic]:
    """All branches of a parallel or conditional fork first meet at one and the same converge.

    Why: the fork waits there until all its branches have come; without it none of them can end.
    Fails: a fork with three branches, of which two come to a converge and one runs to the end
    Fix: Lead every branch of the fork to one converge gateway of its own.
    """
    yield from context.refused("SOP105")
