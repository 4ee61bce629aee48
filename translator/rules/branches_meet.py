"""SOP110."""

from collections.abc import Iterator

from stdops import Diagnostic
from translator.rules.context import Context, rule


@rule("SOP110", "exclusive gateway leaves its block, or its branches cannot meet")
def branches_meet(context: Context) -> Iterator[Diagnostic]:
    """Branches of an exclusive gateway meet at one converge or run to the end, inside one block.

    Why: inside a parallel block every way must come to the block's converge, or it waits for ever.
    Fails: an exclusive gateway inside a fork's branch with one way to the end event
    Fix: Let the branches meet inside the same block, before its converge.
    """
    yield from context.refused("SOP110")
