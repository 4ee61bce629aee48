"""Plays random sequences on the Machine, in two processes, and prints what fails, shrunk.

    python -m tests.soak [--sequences 100000] [--seed N] [--seconds S]

Sequence `n` of a soak has the seed N + n, so that `--seed <seed> --sequences 1` plays one again.
"""

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import islice
from typing import Final, NamedTuple

from tests.soak.sequences import Case, problem_of, sequence
from tests.soak.shrinking import shrunk

PROCESSES: Final = 2
PIECE: Final = 50
"""So many sequences a process takes at once."""
MOST_SHOWN: Final = 20
SAME_CHARS: Final = 60
"""Two problems that begin alike are one: a script is shrunk for as long as it fails so."""


class Failure(NamedTuple):
    """A sequence that failed: what is wrong, and the shortest script that shows it."""

    seed: int
    kind: str
    problem: str
    script: tuple[str, ...]


class Piece(NamedTuple):
    """What came of some sequences, by kind, and how many moves they made."""

    played: Counter[str]
    moves: int
    failures: tuple[Failure, ...]


def play(seeds: Sequence[int]) -> Piece:
    """Play the sequences of some seeds."""
    played, moves, failures = Counter[str](), 0, list[Failure]()
    for seed in seeds:
        case = sequence(seed)
        played[case.kind] += 1
        moves += len(case.script)
        if problem := problem_of(case):
            failures.append(failure_of(case, problem))
    return Piece(played, moves, tuple(failures))


def failure_of(case: Case, problem: str) -> Failure:
    """Shrink the script of a sequence that failed."""
    same = problem[:SAME_CHARS]
    script = shrunk(case.script, lambda shorter: problem_of(case, shorter).startswith(same))
    told = tuple(f"{move.what} {move.which} {move.how}" for move in script)
    return Failure(case.seed, case.kind, problem_of(case, script), told)


def pieces(first: int, count: int) -> Iterator[range]:
    """Yield the seeds of a soak, piece by piece."""
    for at in range(first, first + count, PIECE):
        yield range(at, min(at + PIECE, first + count))


def soak(first: int, count: int, seconds: float) -> Iterator[Piece]:
    """Play so many sequences, or until the time is over, in two processes."""
    ends = time.monotonic() + seconds
    with ProcessPoolExecutor(PROCESSES) as pool:
        waiting = pieces(first, count)
        under_way = [pool.submit(play, seeds) for seeds in islice(waiting, PROCESSES * 2)]
        while under_way:
            yield under_way.pop(0).result()
            if time.monotonic() < ends and (seeds := next(waiting, None)) is not None:
                under_way.append(pool.submit(play, seeds))


def told(failure: Failure) -> str:
    """A failure for people."""
    moves = "\n".join(f"    {move}" for move in failure.script) or "    (nothing)"
    again = f"python -m tests.soak --seed {failure.seed} --sequences 1"
    return f"seed {failure.seed} ({failure.kind}): {failure.problem}\n  moves:\n{moves}\n  {again}"


def options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser("python -m tests.soak", description=__doc__)
    parser.add_argument("--sequences", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0, help="of the first sequence")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="begin none later")
    return parser.parse_args()


def main() -> int:
    """Soak, tell, and return 1 where something failed."""
    given, began = options(), time.monotonic()
    played, moves, failures = Counter[str](), 0, list[Failure]()
    for piece in soak(given.seed, given.sequences, given.seconds):
        played += piece.played
        moves += piece.moves
        for failure in piece.failures[: MOST_SHOWN - len(failures)]:
            print(told(failure), flush=True)
        failures += piece.failures
    kinds = ", ".join(f"{number} {kind}" for kind, number in sorted(played.items()))
    seconds = time.monotonic() - began
    print(f"{played.total()} sequences ({kinds}), {moves} moves, {seconds:.0f} s")
    print(f"{len(failures)} failed" if failures else "none stuck, none undefined, all ends equal")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
