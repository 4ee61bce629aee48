"""The largest flows that are promised: 10,000 nodes and 5,000 rounds, through fresh histories."""

import asyncio
import resource
import signal
import time
from collections import Counter

import pytest
from temporalio.client import Client

from tests.helpers.build import task
from tests.helpers.flows import Flows, Run, histories, open_flows, plan, told
from translator.plan import Plan

LIMIT_S = 900
NODES = 10_000
FEW = 400
BRANCHES = 100
ROUNDS = 5_000


def chain(nodes: int, code: str = "echo") -> Plan:
    """Build nodes in a row."""
    names = [f"n{number}" for number in range(nodes)]
    return plan(f"start {' '.join(names)} end", nodes=[task(name, code=code) for name in names])


def wide(branches: int, length: int) -> Plan:
    """Build a fork into branches of some length each."""
    rows = [[f"b{row}x{column}" for column in range(length)] for row in range(branches)]
    chains = [f"start fork {' '.join(rows[0])} join end"]
    chains += [f"fork {' '.join(row)} join" for row in rows[1:]]
    return plan(*chains, nodes=[task(name) for row in rows for name in row])


def loop(rounds: int) -> Plan:
    """Build a loop that ends after so many rounds."""
    return plan(
        "start a xor a",
        "xor end",
        conditions={"xor-a": f"${{n}} < {rounds}", "xor-end": f"${{n}} >= {rounds}"},
        variables=[told("n", "a", "_loop")],
        outputs=["n"],
    )


async def finished(flows: Flows, made: Plan) -> tuple[Run, dict[str, object]]:
    """Run a plan to its end, which may take its time."""
    signal.alarm(LIMIT_S)
    run = await flows.start(made)
    return run, await asyncio.wait_for(run.result(), LIMIT_S)


async def figures(run: Run, began: float) -> str:
    """Tell how long a run took, and what it left."""
    parts = await histories(run)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    events = sum(map(len, parts))
    seconds = time.monotonic() - began
    return f"{seconds:.0f} s, {len(parts)} histories, {events} events, {memory} MB"


def called(flows: Flows, run: Run) -> Counter[str]:
    """Count how often each node's plugin was called."""
    return Counter(node for step, node in flows.asked(run) if step == "call")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "made", "nodes"),
    [
        ("chain", chain(NODES), NODES),
        ("quick chain", chain(NODES, "fast"), NODES),
        ("wide", wide(BRANCHES, NODES // BRANCHES), NODES),
    ],
    ids=["chain", "quick chain", "wide"],
)
async def test_ten_thousand_nodes_run_once_each(
    client: Client, capsys: pytest.CaptureFixture[str], name: str, made: Plan, nodes: int
) -> None:
    began = time.monotonic()
    async with open_flows(client) as flows:
        run, ended = await finished(flows, made)

        with capsys.disabled():
            print(f"{name} of {nodes}: {await figures(run, began)}")
        counts = called(flows, run)
        assert ended["state"] == "finished"
        assert (len(counts), set(counts.values())) == (nodes, {1})


@pytest.mark.slow
async def test_five_thousand_rounds_of_a_loop_end(
    client: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    began = time.monotonic()
    async with open_flows(client, rerun_limit=ROUNDS) as flows:
        run, ended = await finished(flows, loop(ROUNDS))

        with capsys.disabled():
            print(f"loop of {ROUNDS}: {await figures(run, began)}")
        assert ended["outputs"] == {"n": ROUNDS}
        assert called(flows, run) == {"a": ROUNDS}


async def test_hundreds_of_quick_nodes_run_once_each_over_fresh_histories(client: Client) -> None:
    async with open_flows(client, roll_over_events=40) as flows:
        run, ended = await finished(flows, chain(FEW, "fast"))

        counts = called(flows, run)
        assert ended["state"] == "finished"
        assert (len(counts), set(counts.values())) == (FEW, {1})
        assert len(await histories(run)) > 2
