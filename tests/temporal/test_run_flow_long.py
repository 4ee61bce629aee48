"""Runs that go on in fresh histories, and runs that no worker remembers: the same outcome."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any, NamedTuple

import pytest
from temporalio.client import Client

from tests.helpers.build import task, variable
from tests.helpers.flows import (
    Flows,
    Run,
    ask,
    histories,
    open_flows,
    plan,
    result,
    told,
    until,
    until_failed,
    until_waiting,
    verb,
)
from translator.plan import AutoRetry, Plan, Timeout

EVENTS = 20
FORGOTTEN = (
    "fork with a poll in flight",
    "waiting callback",
    "time limit",
    "paused",
    "expressions",
)
LONG = "a b c d e f g h"


@pytest.fixture(scope="module")
async def flows(client: Client) -> AsyncGenerator[Flows]:
    async with open_flows(client, roll_over_events=EVENTS) as opened:
        yield opened


@pytest.fixture(scope="module")
async def forgetful(client: Client) -> AsyncGenerator[Flows]:
    async with open_flows(client, cached=0) as opened:
        yield opened


@pytest.fixture(scope="module")
async def usual(client: Client) -> AsyncGenerator["Usual"]:
    """How the shapes end on a usual worker, each played once."""
    known: dict[str, tuple[Outcome, Run]] = {}
    async with open_flows(client) as opened:

        async def play(name: str) -> tuple[Outcome, Run]:
            if name not in known:
                known[name] = await played(opened, SHAPES[name])
            return known[name]

        yield play


class Outcome(NamedTuple):
    """A run's result, and what its plugins were asked for, looks left out."""

    result: dict[str, Any]
    calls: list[tuple[str, str]]


Usual = Callable[[str], Awaitable[tuple[Outcome, Run]]]


async def parts(run: Run) -> int:
    """Return in how many histories a run went on."""
    return len(await histories(run))


# --- shapes, and who moves them -----------------------------------------------------------------


async def nobody(_flows: Flows, _run: Run) -> None:
    """The run ends by itself."""


async def open_gate(flows: Flows, run: Run) -> None:
    """Let the poll `p` end once the chain beside it has."""
    await flows.until_asked(run, "call", "h")
    flows.open(run, "p")


async def answer(flows: Flows, run: Run) -> None:
    """Answer `w` once the chain beside it has ended."""
    await flows.until_asked(run, "call", "h")
    await until_waiting(run, "w")
    await verb(run, "callback", node="w", data="yes")


async def pause_and_resume(flows: Flows, run: Run) -> None:
    """Pause in the middle, and go on."""
    await flows.until_asked(run, "call", "d")
    await verb(run, "pause")
    await until(run, lambda seen: not seen.get("running", True))
    await verb(run, "resume")


async def retry_it(_flows: Flows, run: Run) -> None:
    """Mend the node that fails."""
    await until_failed(run, "f")
    await verb(run, "retry", node="f", set={"wrong": False})


async def let_timer_go(flows: Flows, run: Run) -> None:
    """End the timer `t` once the chain beside it has ended."""
    await flows.until_asked(run, "call", "h")
    await until_waiting(run, "t")
    await verb(run, "set_timer", node="t", seconds=0)


async def skip_it(flows: Flows, run: Run) -> None:
    """Skip the node whose time limit ends."""
    await flows.until_asked(run, "call", "h")
    await until_failed(run, "w")
    await verb(run, "skip", node="w")


class Shape(NamedTuple):
    made: Plan
    move: Callable[[Flows, Run], Awaitable[None]] = nobody


LAST = [variable("x", "v"), told("y", "h")]


def beside(name: str, **node: Any) -> Plan:
    """Build a long chain with one node beside it."""
    nodes = [task(name, **node), task("h", inputs={"text": "${x}"})]
    chains = [f"start fork {LONG} join end", f"fork {name} join"]
    return plan(*chains, nodes=nodes, variables=LAST, outputs=["y"])


SHAPES = {
    "chain": Shape(
        plan(
            f"start {LONG} end",
            nodes=[task("h", inputs={"text": "${x}"})],
            variables=LAST,
            outputs=["y"],
        )
    ),
    "fork with a poll in flight": Shape(beside("p", code="poll", inputs={"looks": 0}), open_gate),
    "waiting callback": Shape(beside("w", code="wait"), answer),
    "sleeping timer": Shape(
        beside("t", code="sleep_timer", inputs={"bk_timing": "9999"}), let_timer_go
    ),
    "time limit": Shape(beside("w", code="wait", timeout=Timeout(after_s=1)), skip_it),
    "automatic retry": Shape(
        plan(
            f"start {LONG} end",
            nodes=[
                task(n, code="once", auto_retry=AutoRetry(times=1, interval_s=0)) for n in "bdf"
            ],
            variables=[told("y", "f", "seen")],
            outputs=["y"],
        )
    ),
    "paused": Shape(plan(f"start {LONG} end"), pause_and_resume),
    "failed and retried": Shape(
        plan(f"start {LONG} end", nodes=[task("f", inputs={"wrong": True})]), retry_it
    ),
    "expressions": Shape(
        plan(
            f"start {LONG} end",
            nodes=[task(n, inputs={"text": "${x * 2}"}) for n in LONG.split()],
            variables=[variable("x", "v"), told("y", "h"), variable("z", "${y.upper()}")],
            outputs=["y", "z"],
        )
    ),
    "loop": Shape(
        plan(
            "start a b xor a",
            "xor end",
            conditions={"xor-a": "${n} < 5", "xor-end": "${n} >= 5"},
            variables=[told("n", "a", "_loop")],
            outputs=["n"],
        )
    ),
}


async def played(flows: Flows, shape: Shape) -> tuple[Outcome, Run]:
    """Run a shape to its end; returns how it ended, and the run."""
    run = await flows.start(shape.made)
    await shape.move(flows, run)
    ended = await result(run)
    calls = sorted(step for step in flows.asked(run) if step[0] != "poll")
    return Outcome(ended, calls), run


@pytest.mark.parametrize("name", SHAPES)
async def test_fresh_histories_change_nothing(flows: Flows, usual: Usual, name: str) -> None:
    expected, whole = await usual(name)

    ended, run = await played(flows, SHAPES[name])

    assert ended == expected
    assert await parts(whole) == 1
    assert await parts(run) > 1


@pytest.mark.parametrize("name", FORGOTTEN)
async def test_a_worker_without_memory_changes_nothing(
    forgetful: Flows, usual: Usual, name: str
) -> None:
    expected, _ = await usual(name)

    ended, _ = await played(forgetful, SHAPES[name])

    assert ended == expected


async def test_a_templates_own_type_is_kept_over_fresh_histories(flows: Flows) -> None:
    made = plan(
        f"start {LONG} end",
        nodes=[task("h", inputs={"text": "${carried}"})],
        variables=[variable("carried", "v"), told("y", "h")],
        outputs=["y"],
        key="long-release",
    )
    flows.keep(made)
    run = await flows.start_type("long-release", {"carried": {"any": 1}})

    assert (await result(run))["outputs"] == {"y": {"any": 1}}
    assert await parts(run) > 1
    assert (await run.describe()).workflow_type == "long-release"


async def test_signals_during_the_change_are_not_lost(flows: Flows) -> None:
    shape = SHAPES["waiting callback"]
    run = await flows.start(shape.made)

    for number in range(60):
        await run.signal("skip", {"node": "a", "reason": str(number)})
    await flows.until_asked(run, "call", "h")
    noted = (await until(run, lambda found: found["count"] >= 60, "history"))["entries"]
    await answer(flows, run)
    await result(run)

    assert [entry["reason"] for entry in noted] == [str(number) for number in range(60)]
    assert await parts(run) > 2


async def test_updates_during_the_change_are_all_answered(flows: Flows) -> None:
    shape = SHAPES["waiting callback"]
    run = await flows.start(shape.made)
    await flows.until_asked(run, "call", "a")

    async def set_all() -> None:
        for number in range(15):
            answered = await verb(run, "set_variables", values={"x": number})
            assert answered["accepted"]

    await asyncio.gather(set_all(), set_all())
    await answer(flows, run)
    await result(run)

    assert await parts(run) > 2
    assert (await ask(run, "history"))["accepted"]["set_variables"] == 30
