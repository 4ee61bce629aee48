import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from activities.contract import RunSettings
from tests.helpers.plans import plan as make_plan
from tests.helpers.runs import OVER, Run, stored
from tests.helpers.strategies import Move, Player, bring_to_end, moves, plans, run_settings
from translator.plan import Plan
from workflows.machine.events import Command, Event, Verb, VerbName
from workflows.machine.machine import Machine
from workflows.machine.state import RunState, load_state
from workflows.machine.verbs import VERBS

SOME = 100
MANY = 2_000


def play(plan: Plan, options: RunSettings, script: list[Move]) -> Run:
    """Play a script; `Run` checks after every event that no run is stuck, no node starts twice."""
    run = Run(plan, options)
    Player(run).play(script)
    return run


@settings(max_examples=SOME)
@given(plan=plans(), options=run_settings(), script=moves())
def test_every_run_ends_when_everything_is_resumed_mended_and_answered(
    plan: Plan, options: RunSettings, script: list[Move]
) -> None:
    run = play(plan, options, script)

    bring_to_end(run)

    assert run.status() in OVER
    assert not run.outstanding


@pytest.mark.slow
@settings(max_examples=MANY)
@given(plan=plans(most=25), options=run_settings(), script=moves(most=120))
def test_no_long_order_of_events_raises_or_leaves_a_run_stuck(
    plan: Plan, options: RunSettings, script: list[Move]
) -> None:
    run = play(plan, options, script)

    bring_to_end(run)

    assert run.status() in OVER


@settings(max_examples=SOME)
@given(plan=plans(), options=run_settings(), script=moves("answer", "fitting", "late", "any"))
def test_a_reloaded_machine_does_what_the_first_one_does(
    plan: Plan, options: RunSettings, script: list[Move]
) -> None:
    run = Run(plan, options)
    twins: list[Machine] = []

    def reload_before(event: Event) -> None:
        state = load_state(stored(run.state))
        twin = Machine(plan, options, state, program=run.machine.core.program)
        commands = twin.handle(event, run.now)
        twins.append(twin)
        expected.append(commands)

    expected: list[list[Command]] = []
    player = Player(run, reload_before)
    for move in script:
        player.move(move)
        if twins:
            assert (run.commands, stored(run.state)) == (expected.pop(), stored(twins.pop().state))


@settings(max_examples=SOME)
@given(plan=plans(), options=run_settings(), script=moves(most=15))
def test_a_refused_verb_changes_nothing_but_the_journal(
    plan: Plan, options: RunSettings, script: list[Move]
) -> None:
    run = Run(plan, options)
    player = Player(run)
    for move in script:
        player.move(move)
        path = player.paths[move.which % len(player.paths)]
        refused: list[VerbName] = [
            name for name in VERBS if run.machine.refusal(Verb(name, path), run.now)
        ]
        before = without_journal(run.state)

        assert [run.send(Verb(name, path)) for name in refused] == [[] for _ in refused]

        assert without_journal(run.state) == before


def without_journal(state: RunState) -> dict[str, object]:
    """What a refusal may not change."""
    return {key: each for key, each in stored(state).items() if not key.startswith("journal")}


OPERATORS = st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 30)), max_size=30)


@settings(max_examples=SOME)
@given(asked=OPERATORS, losses=st.lists(st.booleans(), min_size=30, max_size=30))
def test_of_two_operators_no_retry_is_lost_and_none_is_done_twice(
    asked: list[tuple[str, int]], losses: list[bool]
) -> None:
    run = Run(make_plan("a"))
    sent: set[str] = set()
    for (operator, number), loses in zip(asked, losses, strict=False):
        if run.calling and loses:
            run.lose("a")
        run.do("retry", "a", operator=operator, request_id=f"{operator}{number}")
        sent.add(f"{operator}{number}")

    accepted = [entry.request_id for entry in run.state.journal if not entry.refusal]

    assert len(accepted) == len(set(accepted))
    assert {entry.request_id for entry in run.state.journal} == sent
    assert len(run.started) == 1 + len(accepted)


@settings(max_examples=SOME)
@given(
    plan=plans(), options=run_settings(), script=moves("answer", "hold", "hold", "free", most=30)
)
def test_pauses_never_keep_a_run_from_its_end_once_resumed(
    plan: Plan, options: RunSettings, script: list[Move]
) -> None:
    run = Run(plan, options)
    player = Player(run)
    for move in script:
        held = [path for path, node in run.state.nodes.items() if node.status == "suspended"]
        path = ["", *player.paths][move.which % (len(player.paths) + 1)]
        is_flow = path in run.machine.core.program.flows
        if move.what == "hold":
            run.do("pause" if is_flow else "pause_node", path)
        elif move.what == "free" and held:
            freed = held[move.how % len(held)]
            is_flow = freed in run.machine.core.program.flows
            run.do("resume" if is_flow else "resume_node", freed)
        else:
            player.move(move)

    bring_to_end(run)

    assert run.status() in OVER
