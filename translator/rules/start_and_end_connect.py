"""SOP102."""

from collections.abc import Iterator

from stdops import Diagnostic
from translator.rules.context import Context, rule


@rule("SOP102", "start or end is connected wrongly")
def start_and_end_connect(context: Context) -> Iterator[Diagnostic]:
    """The start leads to exactly one node, not to the end; nothing leads to it or out of the end.

    Why: a run begins in one place and ends in one place; the real engine refuses anything else.
    Fails: a start event with two outgoing edges
    Fix: Lead from the start to one node; use a gateway where the flow is to fork.
    """
    yield from context.refused("SOP102")
