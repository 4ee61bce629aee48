"""Making a script that fails shorter, for as long as it still fails."""

from collections.abc import Callable

from tests.helpers.strategies import Move
from tests.soak.sequences import Script


def shrunk(script: Script, fails: Callable[[Script], bool]) -> list[Move]:
    """Return a script from which no single move can be dropped; it still fails.

    Halves are dropped first, then ever shorter pieces.
    """
    kept, size = list(script), max(1, len(script) // 2)
    while size:
        at, dropped = 0, False
        while at < len(kept):
            shorter = kept[:at] + kept[at + size :]
            if fails(shorter):
                kept, dropped = shorter, True
            else:
                at += size
        size = size if dropped and size == 1 else size // 2
    return kept
