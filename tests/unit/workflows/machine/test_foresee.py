from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings

from activities.contract import Polling, RunSettings, Waiting
from tests.helpers.plans import flow, plan, subflow, task, variable
from tests.helpers.runs import Run, stored
from tests.helpers.strategies import Move, Player, moves, plans, run_settings
from tests.tools.verb_table import STATES, asked
from translator.plan import AutoRetry, Plan
from workflows.machine.events import Verb, VerbName
from workflows.machine.foresee import foresee
from workflows.machine.verbs import VERBS


def would(run: Run, name: VerbName, node: str = "", **fields: Any) -> tuple[str, ...]:
    """What a verb would do, which must be allowed."""
    verb = Verb(name, node, **fields)
    assert run.machine.refusal(verb, run.now) is None
    return foresee(run.machine, verb, run.now).would


def failed(*chains: str, **options: Any) -> Run:
    """A run whose node `a` has failed."""
    run = Run(plan(*chains, nodes=[task("a", {"x": 1}, **options)], variables=[variable("v")]))
    run.lose("a")
    return run


def test_a_retry_starts_the_node_again_with_what_changes() -> None:
    assert would(failed("a b"), "retry", "a", set_inputs={"x": 5}) == (
        "changes input 'x' of 'A' (a)",
        "starts 'A' (a) again, attempt 2",
    )


def test_a_skip_passes_over_and_starts_what_follows() -> None:
    assert would(failed("a b"), "skip", "a") == ("starts 'B' (b)", "passes over 'A' (a)")


def test_a_retry_in_a_pause_starts_nothing() -> None:
    run = failed("a b")
    run.do("pause")

    assert would(run, "retry", "a") == ("makes 'A' (a) ready to start",)


def test_a_revoke_cancels_tells_outside_and_ends() -> None:
    run = Run(plan("fork1 a join1", "fork1 b join1", "join1 end"))
    run.answer("b", Polling(handle=7, after_s=1))

    assert set(would(run, "revoke")) == {
        "cancels 'A' (a)",
        "cancels 'B' (b)",
        "tells echo to stop the work of 'B' (b)",
        "ends the run: revoked",
        "stops 'A' (a)",
        "stops 'B' (b)",
    }


def test_a_pause_and_a_resume_are_named() -> None:
    run = Run(plan("sub1", nodes=[subflow("sub1", flow("n"))]))

    assert would(run, "pause") == ("pauses the run",)
    assert would(run, "pause", "sub1") == ("holds 'SUB1' (sub1)",)
    run.do("pause")
    assert would(run, "resume") == ("lets the run go on",)


def test_a_timer_tells_its_new_end_and_no_cancel() -> None:
    run = Run(plan("timer1"))

    assert would(run, "set_timer", "timer1", data=60) == (
        "lets 'TIMER1' (timer1) wait until 1970-01-01 00:17:40 +0000",
    )


def test_an_automatic_retry_is_set_or_called_off() -> None:
    run = failed("a b", auto_retry=AutoRetry(times=1, interval_s=9))

    assert would(run, "set_timer", "a", data=0) == (
        "sets the automatic retry of 'A' (a) to 1970-01-01 00:16:40 +0000",
    )
    assert would(run, "skip", "a")[0] == "calls off the automatic retry of 'A' (a)"


@pytest.mark.parametrize(
    ("name", "node", "fields", "lines"),
    [
        ("set_variables", "", {"values": {"v": 1}}, ("sets variable 'v' in the run",)),
        ("callback", "a", {"data": 1}, ("gives the callback to 'A' (a)",)),
        ("force_fail", "a", {}, ("cancels 'A' (a)", "leaves 'A' (a) failed")),
        ("pause_node", "b", {}, ("holds 'B' (b)",)),
        (
            "rerun_from",
            "a",
            {},
            ("goes back to 'A' (a)", "cancels 'A' (a)", "starts 'A' (a) again"),
        ),
    ],
)
def test_what_other_verbs_would_do(
    name: VerbName, node: str, fields: dict[str, Any], lines: tuple[str, ...]
) -> None:
    run = Run(plan("a b", variables=[variable("v")]))
    run.answer("a", Waiting())

    assert would(run, name, node, **fields) == lines


def test_a_choice_names_the_branch_and_what_starts() -> None:
    never = {"xor1-b": "1 == 2", "xor1-c": "1 == 2"}
    run = Run(plan("xor1 b end", "xor1 c end", conditions=never))

    assert would(run, "choose", "xor1", branches=("xor1-c",)) == (
        "sends 'xor1' along 'xor1-c'",
        "starts 'C' (c)",
        "passes over 'xor1'",
    )


@pytest.mark.parametrize("name", sorted(VERBS))
@pytest.mark.parametrize(("title", "node", "make"), STATES, ids=[state[0] for state in STATES])
def test_every_verb_that_is_accepted_says_what_it_would_do(
    title: str, node: str, make: Callable[[], Run], name: VerbName
) -> None:
    run = make()
    verb = asked(name, node)
    if run.machine.refusal(verb, run.now) is None:
        assert foresee(run.machine, verb, run.now).would, title


@settings(max_examples=25)
@given(plan=plans(), options=run_settings(), script=moves(most=12))
def test_what_is_foreseen_is_what_happens_and_changes_nothing_before(
    plan: Plan, options: RunSettings, script: list[Move]
) -> None:
    run = Run(plan, options)
    player = Player(run)
    for move in script:
        player.move(move)
        path = player.paths[move.which % len(player.paths)]
        for name in VERBS:
            verb = Verb(name, path)
            if run.machine.refusal(verb, run.now) is None:
                before = stored(run.state)
                foreseen = foresee(run.machine, verb, run.now)
                assert stored(run.state) == before
                run.send(verb)
                assert stored(run.state) == stored(foreseen.state)
                break
