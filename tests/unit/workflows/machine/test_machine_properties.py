from hypothesis import given, settings

from activities.contract import RunSettings
from tests.helpers.runs import OVER, Run
from tests.helpers.strategies import Move, Player, bring_to_end, moves, plans, run_settings
from translator.plan import Plan

SOME = 60


def play(plan: Plan, options: RunSettings, script: list[Move]) -> Run:
    """Play a script; `Run` checks after every event that the run is not stuck."""
    run = Run(plan, options)
    Player(run).play(script)
    return run


@settings(max_examples=SOME)
@given(plan=plans(), options=run_settings(), script=moves())
def test_no_order_of_events_raises_or_leaves_a_run_stuck(
    plan: Plan, options: RunSettings, script: list[Move]
) -> None:
    play(plan, options, script)


@settings(max_examples=SOME)
@given(plan=plans(), options=run_settings(), script=moves())
def test_every_run_ends_when_everything_is_resumed_mended_and_answered(
    plan: Plan, options: RunSettings, script: list[Move]
) -> None:
    run = play(plan, options, script)

    bring_to_end(run)

    assert run.status() in OVER
    assert not run.outstanding
