from collections.abc import Sequence

import pytest

from activities.contract import Done, Failed, Outcome, Polling
from tests.helpers.plans import flow as make_flow
from tests.helpers.plans import plan, settings, subflow, task, variable
from translator.plan import AutoRetry, Plan, Timeout
from workers.simulate import VirtualRun
from workflows.machine.events import Evaluate, Evaluated, RunTask, Verb
from workflows.machine.machine import Given, Machine

FORK = ("fork1 a b join1", "fork1 c d join1", "join1 end")


class Stage:
    """A virtual run whose plugins answer by script, and what they were asked and when."""

    def __init__(self, flow: Plan, **answers: Sequence[Outcome]) -> None:
        self.answers = {path: [*given] for path, given in answers.items()}
        self.asked: list[tuple[float, str, str]] = []
        self.run = VirtualRun(Machine(flow, settings()), self.perform, self.resolve)
        self.run.begin(Given())

    async def perform(self, step: RunTask) -> Outcome:
        self.asked.append((self.run.now, step.path, step.step))
        left = self.answers.get(step.path, [])
        return left.pop(0) if left else Done()

    async def resolve(self, asked: Evaluate) -> Evaluated:
        self.asked.append((self.run.now, asked.path, "evaluate"))
        values = dict.fromkeys(asked.unresolved.values, 1)
        return Evaluated(asked.path, asked.entry, values)

    async def play(self) -> list[tuple[float, str, str]]:
        self.run.go()
        await self.run.run()
        return self.asked

    @property
    def status(self) -> str:
        return self.run.machine.state.nodes[""].status


async def test_a_branch_goes_on_before_another_one_starts() -> None:
    asked = await Stage(plan(*FORK)).play()

    assert [path for _, path, _ in asked] == ["a", "b", "c", "d"]


async def test_the_same_run_is_always_played_in_the_same_order() -> None:
    first, second = [await Stage(plan(*FORK)).play() for _ in range(2)]

    assert first == second


async def test_polls_move_the_virtual_clock() -> None:
    stage = Stage(plan("a"), a=[Polling(handle=1, after_s=5), Polling(handle=1, after_s=60)])

    assert await stage.play() == [(0, "a", "call"), (5, "a", "poll"), (65, "a", "poll")]


async def test_what_is_due_first_happens_first() -> None:
    waits = {"a": [Polling(handle=1, after_s=9)], "c": [Polling(handle=1, after_s=3)]}
    stage = Stage(plan("fork1 a join1", "fork1 c join1", "join1 end"), **waits)

    asked = await stage.play()

    assert asked[2:] == [(3, "c", "poll"), (9, "a", "poll")]


async def test_automatic_retries_wait_their_interval() -> None:
    made = task("a", auto_retry=AutoRetry(times=2, interval_s=10))
    failures: list[Outcome] = [Failed(error="x"), Failed(error="x")]
    stage = Stage(plan("a", nodes=[made]), a=failures)

    assert [now for now, _, _ in await stage.play()] == [0, 10, 20]
    assert stage.status == "finished"


async def test_a_time_limit_drops_the_poll_and_the_outside_work_is_told_to_stop() -> None:
    made = task("a", timeout=Timeout(after_s=7))
    stage = Stage(plan("a", nodes=[made]), a=[Polling(handle=1, after_s=60)])

    assert await stage.play() == [(0, "a", "call"), (7, "a", "stop")]
    assert stage.run.next_due is None


async def test_a_timer_node_costs_no_real_time() -> None:
    stage = Stage(plan("timer1", nodes=[task("timer1", {"for": 86_400})]))

    await stage.play()

    assert (stage.run.now, stage.status) == (86_400, "finished")


async def test_evaluations_are_answered_in_their_turn() -> None:
    made = subflow("sub1", make_flow("n"), {"x": "${v + 1}"})
    stage = Stage(plan("sub1", nodes=[made], variables=[variable("v", 1)]))

    asked = await stage.play()

    assert [path for _, path, _ in asked] == ["sub1", "sub1/n"]


async def test_a_run_with_a_failed_node_stops_until_somebody_acts() -> None:
    stage = Stage(plan("a b"), a=[Failed(error="broken")])
    await stage.play()
    assert (await stage.run.step(), stage.status) == (False, "running")

    stage.run.operate(Verb("skip", "a"))
    await stage.run.run()

    assert stage.status == "finished"


async def test_a_revoked_run_forgets_what_was_under_way() -> None:
    stage = Stage(plan("a"), a=[Polling(handle=1, after_s=5)])
    stage.run.go()
    await stage.run.step()

    stage.run.operate(Verb("revoke"))

    assert stage.run.finish is not None
    assert (stage.run.finish.state, stage.run.jobs) == ("revoked", [])


async def test_who_watches_is_told_of_a_step_before_its_answer_counts() -> None:
    stage = Stage(plan("a"))
    seen: list[str] = []
    stage.run.go()

    await stage.run.step(lambda _: seen.append(stage.run.machine.state.nodes["a"].status))

    assert seen == ["running"]


@pytest.mark.parametrize(("limit", "left"), [(1, True), (2, False)])
async def test_a_run_may_be_cut_short_after_some_steps(limit: int, *, left: bool) -> None:
    stage = Stage(plan("a b"))
    stage.run.go()

    await stage.run.run(limit)

    assert (stage.run.next_due is not None) is left
