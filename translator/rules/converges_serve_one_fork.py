"""SOP106."""

from collections.abc import Iterator

from stdops import Diagnostic
from translator.rules.context import Context, rule


@rule("SOP106", "converge serves several forks or misses branches")
def converges_serve_one_fork(context: Context) -> Iterator[Diagnostic]:
    """A converge ends one fork only and has at least as many ways in as that fork has branches.

    Why: the converge counts the branches of its fork; with two forks it cannot tell whose came.
    Fails: two forks in a row whose branches all lead to the same converge
    Fix: Give each fork a converge gateway of its own, the inner one before the outer one.
    """
    yield from context.refused("SOP106")
