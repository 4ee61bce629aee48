"""A short soak, and that a soak sees what is wrong."""

from typing import Any

import pytest

from tests.helpers.strategies import Move
from tests.soak import sequences
from tests.soak.__main__ import failure_of, play
from tests.soak.invariants import Watched, broken
from tests.soak.sequences import Case, problem_of, sequence
from tests.soak.shrinking import shrunk
from workflows.machine.machine import Machine

SOME = 120
FIRST = 1_000_000
"""Seeds that a soak by default does not come to."""


def test_a_short_soak_finds_nothing() -> None:
    piece = play(range(FIRST, FIRST + SOME))

    assert piece.failures == ()
    assert piece.played == {"wild": SOME // 2, "calm": SOME // 2}


def test_the_same_seed_is_the_same_sequence() -> None:
    assert sequence(7) == sequence(7)
    assert sequence(7) != sequence(9)


def test_a_calm_sequence_sees_that_an_end_is_another(monkeypatch: pytest.MonkeyPatch) -> None:
    case = next(c for c in map(sequence, range(1, 99, 2)) if len(c.script) > 3)
    ended = sequences.Calm.end

    def another(calm: sequences.Calm) -> dict[str, Any]:
        return ended(calm) | {"x": calm.run.watching}

    monkeypatch.setattr(sequences.Calm, "end", another)

    assert problem_of(case) == "AssertionError: x is True, undisturbed False"
    assert failure_of(case, problem_of(case)).script == ()


def test_an_event_that_raises_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    def lose(*_: object) -> None:
        raise KeyError("lost")

    monkeypatch.setattr(Machine, "fold", lose)
    cases: list[Case] = [sequence(seed) for seed in (2, 3)]

    assert [problem_of(case)[:8] for case in cases] == ["KeyError", "KeyError"]


@pytest.mark.parametrize(
    ("field", "value"), [("executing", 7), ("polling", -1), ("queued", ["t1"]), ("tokens", {})]
)
def test_a_state_that_contradicts_itself_is_seen(field: str, value: object) -> None:
    run = Watched(sequence(3).plan, sequence(3).settings)
    assert broken(run) is None

    setattr(run.state, field, value)

    assert broken(run) is not None


def test_a_script_shrinks_to_the_moves_that_it_takes() -> None:
    script = [Move(what, at, 0) for at, what in enumerate("abcdefghij")]

    def fails(shorter: object) -> bool:
        return isinstance(shorter, list) and script[3] in shorter and script[8] in shorter

    assert shrunk(script, fails) == [script[3], script[8]]
