"""Many nodes that poll at once: what that costs a worker between the polls, and a history.

`python -m bench.polling [--runs 10] [--nodes 200] [--every 60] [--minutes 2]` starts so many runs
of so many nodes in parallel, each with work outside that is looked at every so many seconds, and
watches them for so many minutes on an embedded server. A slot is used while an activity has been
handed to the worker; the server is asked for that ten times a minute, so it is not our own word.
"""

import argparse
import asyncio
import os
import secrets
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from pydantic import JsonValue
from temporalio.api.enums.v1 import PendingActivityState
from temporalio.client import Client

from activities.sdk import Call, Inputs, Outputs, StillRunning, plugin
from bench.our_worker import serve
from bench.runs import LONGEST_S, Handle
from bench.worker_process import Worker, worker_process
from translator.plan import (
    Branch,
    Converge,
    End,
    Flow,
    Literal,
    Node,
    Parallel,
    Plan,
    PluginRef,
    Start,
    Task,
)
from workers.client import connect
from workers.server import EmbeddedServer
from workers.settings import Settings
from workers.store import Store

STARTED: Final = PendingActivityState.PENDING_ACTIVITY_STATE_STARTED
SAMPLES_A_MINUTE: Final = 10
QUEUE: Final = "polling"


class WatchInputs(Inputs):
    """How often the work is looked at, in seconds."""

    every_s: float


class WatchOutputs(Outputs):
    """How often it was."""

    looks: int = 0


looks = [0]
"""How often the worker's process has looked, over all runs."""


@plugin("bench_watch", idempotent=True)
async def watch(call: Call[WatchInputs]) -> WatchOutputs:
    """Start work that never ends."""
    raise StillRunning("job", call.inputs.every_s)


@watch.poll
async def _(call: Call[WatchInputs], _handle: JsonValue) -> WatchOutputs:
    looks[0] += 1
    raise StillRunning(after_s=call.inputs.every_s, outputs=WatchOutputs(looks=looks[0]))


def fork(nodes: int, every_s: float) -> Plan:
    """Return a plan of `nodes` tasks beside each other."""
    branches = tuple(Branch(edge=f"e{n}", target=f"n{n}") for n in range(nodes))
    found: dict[str, Node] = {
        "start": Start(id="start", next="fork"),
        "fork": Parallel(id="fork", branches=branches, converge="join"),
        "join": Converge(id="join", next="end"),
        "end": End(id="end"),
    }
    for branch in branches:
        found[branch.target] = Task(
            id=branch.target,
            name=branch.target,
            next="join",
            plugin=PluginRef(code="bench_watch"),
            inputs={"every_s": Literal(value=every_s)},
        )
    return Plan(template_key="polling", flow=Flow(start="start", nodes=found))


# --- measuring --------------------------------------------------------------------------------


class Seen(NamedTuple):
    """What the server says of all runs: activities pending, those handed out, events."""

    pending: int
    started: int
    events: int


async def see(handles: Sequence[Handle]) -> Seen:
    """Ask the server of every run."""
    found: list[Any] = [(await handle.describe()).raw_description for handle in handles]
    pending = [activity for each in found for activity in each.pending_activities]
    return Seen(
        len(pending),
        sum(each.state == STARTED for each in pending),
        sum(each.workflow_execution_info.history_length for each in found),
    )


async def until_all_poll(handles: Sequence[Handle], worker: Worker, nodes: int) -> None:
    """Wait until every node has been looked at once."""
    async with asyncio.timeout(LONGEST_S):
        looked, pending = 0, 0
        while looked < nodes or pending < nodes:
            await asyncio.sleep(1)
            looked, pending = (await worker.figures())["looks"], (await see(handles)).pending


async def measure(client: Client, worker: Worker, plan: Plan, given: argparse.Namespace) -> str:
    """Start the runs, watch them, and say what it took."""
    empty = await worker.figures()
    ask = {"template": plan.template_key, "digest": plan.digest}
    handles = [
        await client.start_workflow(
            "RunFlow", ask, id=f"polling-{secrets.token_hex(4)}", task_queue=QUEUE
        )
        for _ in range(given.runs)
    ]
    nodes = given.runs * given.nodes
    await until_all_poll(handles, worker, nodes)
    before, usage, begun = await see(handles), await worker.figures(), time.perf_counter()
    samples: list[int] = []
    for _ in range(round(given.minutes * SAMPLES_A_MINUTE)):
        await asyncio.sleep(60 / SAMPLES_A_MINUTE)
        samples.append((await see(handles)).started)
    after, used = await see(handles), await worker.figures()
    minutes = (time.perf_counter() - begun) / 60
    for handle in handles:
        await handle.terminate()
    per_run, new = after.events / given.runs, after.events - before.events
    lines = [
        f"{nodes} nodes polling every {given.every:g} s in {given.runs} runs, {minutes:.1f} min",
        f"polls a minute            {(used['looks'] - usage['looks']) / minutes:10,.0f}",
        f"slots used, mean (most)   {sum(samples) / len(samples):10.1f} ({max(samples)})",
        f"worker CPU s a minute     {(used['cpu_s'] - usage['cpu_s']) / minutes:10.2f}",
        f"worker RSS MB (before)    {used['rss_mb']:10.0f} ({empty['rss_mb']:.0f})",
        f"events a run (new of all) {per_run:10.0f} ({new})",
    ]
    return "\n".join(lines)


async def table(given: argparse.Namespace) -> str:
    """Measure on a server of its own."""
    plan = fork(given.nodes, given.every)
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder) / 'store.db'}"
        with Store.open(url) as store:
            store.save_plan(plan)
        async with EmbeddedServer() as server:
            client = await connect(Settings(), address=server.address)
            async with worker_process("bench.polling", "--worker", server.address, url) as worker:
                return await measure(client, worker, plan, given)


def arguments(argv: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.polling", description=__doc__)
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--nodes", type=int, default=200, help="nodes of each run")
    parser.add_argument("--every", type=float, default=60, help="seconds between two polls")
    parser.add_argument("--minutes", type=float, default=2, help="how long it is watched")
    return parser.parse_args(argv)


def main(argv: Sequence[str]) -> int:
    """Measure and print, or be the worker."""
    if argv[:1] == ["--worker"]:
        address, url = argv[1:]
        asyncio.run(serve(address, url, QUEUE, [watch], lambda: {"looks": looks[0]}))
        os._exit(0)  # the SDK's threads may abort an interpreter that exits by itself
    print(asyncio.run(table(arguments(argv))))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
