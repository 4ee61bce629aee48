"""Runs on an embedded server: nodes a second, beside a hand-written workflow of the same shape.

`python -m bench.server [--quick]` prints a table. The worker is a process of its own, so that its
CPU time is its own; server, worker and client share the machine. Rounds of both sides alternate,
and the median counts. The hand-written workflow loads its input by an activity too.
"""

import asyncio
import os
import secrets
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from temporalio.client import Client, WorkflowHandle

from activities.expressions import Sandbox
from activities.registry import Registry, discover
from activities.sdk import Call, Inputs, Outputs, plugin
from bench.by_hand import BRANCHES, HandChain, HandForked, load_input, step
from bench.machine import chain as inline_or_called_chain
from bench.worker_process import Worker, answer, worker_process
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
    Value,
)
from workers.client import connect
from workers.plans import PlanLoader
from workers.server import SEARCH_ATTRIBUTES, EmbeddedServer
from workers.settings import Settings
from workers.store import Store
from workers.worker import WorkerParts, build_worker, worker_parts

QUEUE: Final = "bench"
CALLED: Final = PluginRef(code="echo")
QUICK: Final = PluginRef(code="quick_echo")
INLINE: Final = PluginRef(code="bk_display", version="v1.0")
LONGEST_S: Final = 600

Handle = WorkflowHandle[Any, Any]


# --- our side ---------------------------------------------------------------------------------


class EchoInputs(Inputs):
    """What the bench's plugin takes."""

    x: str = ""
    y: int = 0
    text: int = 0


class EchoOutputs(Outputs):
    """What it gives."""

    text: int


@plugin("echo", idempotent=True)
async def echo(call: Call[EchoInputs]) -> EchoOutputs:
    """Do nothing, with an input and an output."""
    return EchoOutputs(text=call.inputs.text)


@plugin("quick_echo", quick=True)
async def quick_echo(call: Call[EchoInputs]) -> EchoOutputs:
    """Do nothing, and be quick about it."""
    return EchoOutputs(text=call.inputs.text)


def chain(length: int, ref: PluginRef) -> Plan:
    """Return a plan of tasks in a row."""
    made = inline_or_called_chain(length)
    nodes = {
        name: node.model_copy(update={"plugin": ref, "inputs": {"text": Literal(value=1)}})
        if isinstance(node, Task)
        else node
        for name, node in made.flow.nodes.items()
    }
    return made.model_copy(update={"flow": made.flow.model_copy(update={"nodes": nodes})})


def forked(ref: PluginRef) -> Plan:
    """Return the 17-node flow: two tasks, a fork of four branches of two, three tasks."""
    nodes: dict[str, Node] = {"start": Start(id="start", next="a0")}

    def row(name: str, count: int, after: str) -> None:
        for number in range(count):
            next_node = f"{name}{number + 1}" if number + 1 < count else after
            key = f"{name}{number}"
            inputs: dict[str, Value] = {"text": Literal(value=number)}
            nodes[key] = Task(id=key, name=key, next=next_node, plugin=ref, inputs=inputs)

    row("a", 2, "fork")
    branches = tuple(Branch(edge=f"f{n}", target=f"b{n}_0") for n in range(BRANCHES))
    nodes["fork"] = Parallel(id="fork", branches=branches, converge="join")
    for number in range(BRANCHES):
        row(f"b{number}_", 2, "join")
    nodes["join"] = Converge(id="join", next="c0")
    row("c", 3, "end")
    nodes["end"] = End(id="end")
    return Plan(template_key="forked", flow=Flow(start="start", nodes=nodes))


# --- the worker's process ---------------------------------------------------------------------


async def work(address: str, store_url: str) -> None:
    """Serve both sides, and tell the CPU seconds used so far when asked."""
    client = await connect(Settings(), address=address)
    settings = Settings(task_queue=QUEUE, store_url=store_url, graceful_shutdown_s=0)
    registry = Registry([echo, quick_echo, *discover().plugins()])
    with Store.open(store_url) as store:
        loader = PlanLoader(store, registry, settings, tuple(SEARCH_ATTRIBUTES))
        async with Sandbox(processes=1) as sandbox:
            ours = worker_parts(registry, sandbox, loader)
            both = WorkerParts(
                workflows=(*ours.workflows, HandChain, HandForked),
                activities=(*ours.activities, load_input, step),
                interceptors=ours.interceptors,
            )
            async with build_worker(client, settings, both):
                await answer(lambda: {"cpu_s": time.process_time()})
    os._exit(0)  # the SDK's threads may abort an interpreter that exits by itself


# --- measuring --------------------------------------------------------------------------------


class Side(NamedTuple):
    """One of the two: how a run of it is started."""

    name: str
    start: Callable[[str], Awaitable[Handle]]


class Shape(NamedTuple):
    """What is run: so many runs at once of so many nodes, by each side."""

    name: str
    runs: int
    nodes: int
    sides: tuple[Side, ...]


class Row(NamedTuple):
    """What one side took for one shape, the median of its rounds."""

    shape: str
    side: str
    nodes_s: float
    cpu_ms: float
    events: float


class _Round(NamedTuple):
    seconds: float
    cpu_s: float
    last: Handle


async def play(worker: Worker, shape: Shape, side: Side) -> _Round:
    """Run a shape once."""
    before, started = await worker.figures(), time.perf_counter()
    ids = [f"{side.name}-{secrets.token_hex(6)}" for _ in range(shape.runs)]
    handles = await asyncio.gather(*(side.start(name) for name in ids))
    async with asyncio.timeout(LONGEST_S):
        await asyncio.gather(*(handle.result() for handle in handles))
    seconds = time.perf_counter() - started
    used = (await worker.figures())["cpu_s"] - before["cpu_s"]
    return _Round(seconds, used, handles[-1])


async def events_of(client: Client, handle: Handle) -> int:
    """Return how many events a run has, all its histories together."""
    count, run_id = 0, handle.first_execution_run_id or ""
    while run_id:
        part = client.get_workflow_handle(handle.id, run_id=run_id)
        events = (await part.fetch_history()).events
        count += len(events)
        ended = events[-1].workflow_execution_continued_as_new_event_attributes
        run_id = ended.new_execution_run_id
    return count


async def measure(client: Client, worker: Worker, shape: Shape, rounds: int) -> list[Row]:
    """Run a shape by each side in turn."""
    played: dict[str, list[_Round]] = {side.name: [] for side in shape.sides}
    for _ in range(rounds):
        for side in shape.sides:
            played[side.name].append(await play(worker, shape, side))
    nodes = shape.runs * shape.nodes
    return [
        Row(
            shape.name,
            name,
            nodes / statistics.median(one.seconds for one in ones),
            1000 * statistics.median(one.cpu_s for one in ones) / nodes,
            await events_of(client, ones[-1].last) / shape.nodes,
        )
        for name, ones in played.items()
    ]


def shapes(client: Client, store: Store, *, quick: bool) -> list[Shape]:
    """Return what is measured."""
    length, runs = (100, 20) if quick else (1_000, 100)

    def side(name: str, kind: str, given: object) -> Side:
        def start(run: str) -> Awaitable[Handle]:
            return client.start_workflow(kind, given, id=run, task_queue=QUEUE)

        return Side(name, start)

    def ours(made: Plan) -> Side:
        digest = store.save_plan(made)
        return side("stdops", "RunFlow", {"template": made.template_key, "digest": digest})

    def hand(kind: str) -> Side:
        return side("by hand", kind, length)

    one, many = f"chain of {length}", f"{runs} x 17"
    return [
        Shape(one, 1, length, (ours(chain(length, CALLED)), hand("HandChain"))),
        Shape(many, runs, 17, (ours(forked(CALLED)), hand("HandForked"))),
        Shape(f"{one}, quick", 1, length, (ours(chain(length, QUICK)), hand("HandChain"))),
        Shape(f"{many}, quick", runs, 17, (ours(forked(QUICK)), hand("HandForked"))),
        Shape(f"{one}, no activity", 1, length, (ours(chain(length, INLINE)),)),
        Shape(f"{many}, no activity", runs, 17, (ours(forked(INLINE)),)),
    ]


async def rows(*, quick: bool) -> list[Row]:
    """Measure every shape on one server."""
    found: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder) / 'store.db'}"
        async with EmbeddedServer() as server:
            client = await connect(Settings(), address=server.address)
            with Store.open(url) as store:
                async with worker_process("bench.server", server.address, url) as worker:
                    wanted = shapes(client, store, quick=quick)
                    for shape in wanted:  # warms caches and imports on both sides
                        await measure(client, worker, shape._replace(runs=1), 1)
                    for shape in wanted:
                        found += await measure(client, worker, shape, 1 if quick else 3)
    return found


def table(found: Sequence[Row]) -> str:
    """Return the rows as text."""
    head = f"{'shape':28}{'side':10}{'nodes/s':>10}{'worker ms':>11}{'events':>8}   (a node)"
    lines = [
        f"{row.shape:28}{row.side:10}{row.nodes_s:10,.0f}{row.cpu_ms:11.2f}{row.events:8.2f}"
        for row in found
    ]
    return "\n".join([head, *lines])


def main(argv: Sequence[str]) -> int:
    """Measure and print, or be the worker."""
    if argv[:1] == ["--worker"]:
        asyncio.run(work(argv[1], argv[2]))
        return 0
    print(table(asyncio.run(rows(quick="--quick" in argv))))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
