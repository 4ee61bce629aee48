import pytest
from hypothesis import given, settings

from activities.contract import RunSettings
from tests.helpers.operators import Crew, scenes
from tests.helpers.runs import OVER, Run
from tests.helpers.strategies import Move, bring_to_end, plans, run_settings
from translator.plan import Plan

SOME = 100
MANY = 1_500


def operated(plan: Plan, options: RunSettings, script: list[Move]) -> None:
    """Let several operators at a run, hold it against their ledger, and bring it to its end."""
    run = Run(plan, options)
    crew = Crew(run)
    crew.play(script)

    crew.check_journal(run.state.journal)
    bring_to_end(run)

    assert run.status() in OVER
    assert not run.outstanding


@settings(max_examples=SOME)
@given(plan=plans(), options=run_settings(), script=scenes())
def test_of_several_operators_no_verb_is_lost_and_none_is_done_twice(
    plan: Plan, options: RunSettings, script: list[Move]
) -> None:
    operated(plan, options, script)


@pytest.mark.slow
@settings(max_examples=MANY)
@given(plan=plans(most=25), options=run_settings(), script=scenes(most=120))
def test_of_several_operators_no_verb_is_lost_in_any_long_order_of_events(
    plan: Plan, options: RunSettings, script: list[Move]
) -> None:
    operated(plan, options, script)
