"""Runs on the real server for tests: a worker on a queue of its own, plugins that obey the test.

`open_flows(client)` gives a `Flows`, which keeps plans and starts runs. Waiting needs no sleep: a
run is asked by its own queries, and the plugins note what they are asked. A plugin that has to wait
for a test waits at a gate that the test opens.
"""

import asyncio
import random
import secrets
from collections import defaultdict
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final, NamedTuple

from pydantic import ConfigDict, JsonValue
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client, WorkflowHandle
from temporalio.worker import Worker

from activities.contract import RunSettings
from activities.expressions import Sandbox
from activities.registry import Registry, discover
from activities.sdk import (
    AnyPlugin,
    Call,
    Inputs,
    Outputs,
    PluginError,
    StillRunning,
    WaitForCallback,
    plugin,
)
from tests.helpers import build
from translator.compile import compile_template
from translator.plan import Plan
from translator.template import SourceSubflow, SourceTask, SourceVariable
from workers.plans import PlanLoader
from workers.server import SEARCH_ATTRIBUTES
from workers.settings import Settings
from workers.store import NewTemplate, Store
from workers.worker import WorkerParts, worker_parts, workflow_runner

WAIT_S: Final = 30
"""The longest that a test waits for one thing."""

Run = WorkflowHandle[Any, Any]


# --- plugins ----------------------------------------------------------------------------------


class Asked(NamedTuple):
    """One step that a plugin was asked to take."""

    step: str
    node: str
    entry: int


class AnyInputs(Inputs):
    """`text` is given back; `wrong` makes the plugin fail while it is true."""

    model_config = ConfigDict(extra="allow")

    text: JsonValue = None
    wrong: JsonValue = False
    looks: int = 2


class Told(Outputs):
    """What the plugins give back."""

    text: JsonValue = None
    seen: int | None = None
    data: JsonValue = None


@dataclass
class Stagehand:
    """What the plugins of one worker note, and the gates at which they wait.

    A gate is called by run and node. `asked` are all steps in order, by run; `answers` what
    callbacks brought, by run too.
    """

    asked: defaultdict[str, list[Asked]] = field(default_factory=lambda: defaultdict(list))
    cancelled: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    stopped: defaultdict[str, list[JsonValue]] = field(default_factory=lambda: defaultdict(list))
    answers: defaultdict[str, list[JsonValue]] = field(default_factory=lambda: defaultdict(list))
    gates: defaultdict[tuple[str, str], asyncio.Event] = field(
        default_factory=lambda: defaultdict(asyncio.Event)
    )
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def note(self, step: str, call: Call[Any]) -> None:
        """Note that a step was asked for."""
        self.asked[call.run].append(Asked(step, call.node, call.entry))
        await self.tell()

    async def tell(self) -> None:
        """Wake those who wait for something to be noted."""
        async with self.changed:
            self.changed.notify_all()

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until what was noted fits."""
        async with asyncio.timeout(WAIT_S), self.changed:
            await self.changed.wait_for(holds)

    def gate(self, run: str, node: str) -> asyncio.Event:
        """Return the gate of a node."""
        return self.gates[run, node]

    def plugins(self) -> Sequence[AnyPlugin]:
        """Return the plugins, whose notes are kept here."""
        return (
            self.echo(),
            self.fast(),
            self.once(),
            self.hold(),
            self.launch(),
            self.poll(),
            self.wait(),
            self.several(),
            self.stubborn(),
            self.noise(),
        )

    def echo(self) -> AnyPlugin:
        """Ends at once; fails while its input `wrong` is true."""

        @plugin("echo", name="Echo", idempotent=True)
        async def echo(call: Call[AnyInputs]) -> Told:
            await self.note("call", call)
            if call.inputs.wrong:
                raise PluginError(f"wrong input {call.inputs.wrong!r}", outputs={"text": "half"})
            return Told(text=call.inputs.text)

        return echo

    def noise(self) -> AnyPlugin:
        """Gives so many characters as its input `text` says, which hardly compress."""

        @plugin("noise", name="Noise", idempotent=True)
        async def noise(call: Call[AnyInputs]) -> Told:
            await self.note("call", call)
            return Told(text=random_hex(int(str(call.inputs.text)), call.node))

        return noise

    def fast(self) -> AnyPlugin:
        """Is quick; fails while its input `wrong` is true, waits at its gate if `hold` is."""

        @plugin("fast", name="Fast", quick=True, heartbeat_s=3)
        async def fast(call: Call[AnyInputs]) -> Told:
            await self.note("call", call)
            if (call.inputs.model_extra or {}).get("hold"):
                await self.gate(call.run, call.node).wait()
            if call.inputs.wrong:
                raise PluginError(f"wrong input {call.inputs.wrong!r}", outputs={"text": "half"})
            return Told(text=call.inputs.text)

        return fast

    def once(self) -> AnyPlugin:
        """Fails in its first execution of a node, ends well in every later one."""

        @plugin("once", name="Fails once", idempotent=True)
        async def once(call: Call[AnyInputs]) -> Told:
            await self.note("call", call)
            if call.entry == 1:
                raise PluginError("the first time fails")
            return Told(text=call.inputs.text, seen=call.entry)

        return once

    def hold(self) -> AnyPlugin:
        """Waits at its node's gate; notes when it is cancelled."""

        @plugin("hold", name="Hold", heartbeat_s=3)
        async def hold(call: Call[AnyInputs]) -> Told:
            await self.note("call", call)
            try:
                await self.gate(call.run, call.node).wait()
            except asyncio.CancelledError:
                self.cancelled[call.run].append(call.node)
                await self.tell()
                raise
            return Told(text=call.inputs.text)

        return hold

    def launch(self) -> AnyPlugin:
        """Starts work outside while its gate is shut, and tells its handle when it is opened."""

        @plugin("launch", name="Launch", heartbeat_s=3)
        async def launch(call: Call[AnyInputs]) -> Told:
            await self.note("call", call)
            await self.gate(call.run, call.node).wait()
            raise StillRunning(f"job of {call.node}", 60)

        @launch.poll
        async def _(call: Call[AnyInputs], _handle: JsonValue) -> Told:
            await self.note("poll", call)
            raise StillRunning(after_s=60)

        @launch.stop
        async def _(call: Call[AnyInputs], handle: JsonValue) -> None:
            await self._stop(call, handle)

        return launch

    def poll(self) -> AnyPlugin:
        """Looks until its gate is open, or `looks` times where that is not 0."""

        @plugin("poll", name="Poll", idempotent=True)
        async def poll(call: Call[AnyInputs]) -> Told:
            await self.note("call", call)
            raise StillRunning(f"job of {call.node}", 0.02, outputs={"seen": 0})

        @poll.poll
        async def _(call: Call[AnyInputs], _handle: JsonValue) -> Told:
            await self.note("poll", call)
            before = call.outputs.get("seen")
            seen = 1 + (before if isinstance(before, int) else 0)
            is_open = self.gate(call.run, call.node).is_set()
            if not is_open and (call.inputs.looks == 0 or seen < call.inputs.looks):
                raise StillRunning(after_s=0.02, outputs={"seen": seen})
            return Told(seen=seen, text=call.inputs.text)

        @poll.stop
        async def _(call: Call[AnyInputs], handle: JsonValue) -> None:
            await self._stop(call, handle)

        return poll

    def wait(self) -> AnyPlugin:
        """Is called back once."""

        @plugin("wait", name="Wait for an answer", idempotent=True)
        async def wait(call: Call[AnyInputs]) -> Told:
            await self.note("call", call)
            raise WaitForCallback(f"ticket of {call.node}")

        @wait.callback
        async def _(call: Call[AnyInputs], data: JsonValue) -> Told:
            self.answers[call.run].append(data)
            await self.note("callback", call)
            return Told(data=data)

        @wait.stop
        async def _(call: Call[AnyInputs], handle: JsonValue) -> None:
            await self._stop(call, handle)

        return wait

    def several(self) -> AnyPlugin:
        """Is called back until `last` comes."""

        @plugin("several", name="Several answers", idempotent=True, multiple_callbacks=True)
        async def several(call: Call[AnyInputs]) -> Told:
            await self.note("call", call)
            raise WaitForCallback(outputs={"data": []})

        @several.callback
        async def _(call: Call[AnyInputs], data: JsonValue) -> Told:
            await self.note("callback", call)
            before = call.outputs.get("data")
            told: list[JsonValue] = [*(before if isinstance(before, list) else []), data]
            if data == "last":
                return Told(data=told)
            raise WaitForCallback(outputs={"data": told})

        return several

    def stubborn(self) -> AnyPlugin:
        """Begins its work when its gate opens, although it was cancelled meanwhile."""

        @plugin("stubborn", name="Stubborn", heartbeat_s=3)
        async def stubborn(call: Call[AnyInputs]) -> Told:
            await self.note("call", call)
            opening = asyncio.ensure_future(self.gate(call.run, call.node).wait())
            while not opening.done():
                with suppress(asyncio.CancelledError):
                    await asyncio.shield(opening)
            raise StillRunning(f"job of {call.node}", 0.02)

        @stubborn.poll
        async def _(call: Call[AnyInputs], _handle: JsonValue) -> Told:
            await self.note("poll", call)
            return Told()

        @stubborn.stop
        async def _(call: Call[AnyInputs], handle: JsonValue) -> None:
            await self._stop(call, handle)

        return stubborn

    async def _stop(self, call: Call[AnyInputs], handle: JsonValue) -> None:
        self.stopped[call.run].append(handle)
        await self.note("stop", call)


def random_hex(size: int, seed: str = "") -> str:
    """Return text that hardly compresses: hexadecimal, so that half of its size is left."""
    return random.Random(seed).randbytes(size // 2).hex()


# --- plans ------------------------------------------------------------------------------------


def plan(
    *chains: str,
    nodes: Sequence[SourceTask | SourceSubflow] = (),
    conditions: Mapping[str, str] | None = None,
    variables: Sequence[SourceVariable] = (),
    outputs: Sequence[str] = (),
    key: str = "flow",
) -> Plan:
    """Build a plan from chains of node names, as `tests.helpers.build.tree` reads them."""
    known = build.variables(*variables)
    tree = build.tree(*chains, nodes=nodes, conditions=conditions, variables=known, outputs=outputs)
    return compile_template(build.template(tree)).model_copy(update={"template_key": key})


def told(key: str, node: str, output: str = "text") -> SourceVariable:
    """Build a variable that takes a node's output."""
    return build.variable(key, sources=[(node, output)])


# --- runs -------------------------------------------------------------------------------------


class _Loader(PlanLoader):
    """Hands out the settings as the tests bend them."""

    bent: Mapping[str, object] = {}

    def run_settings(self, plan: Plan) -> RunSettings:
        return super().run_settings(plan).model_copy(update=dict(self.bent))


@dataclass
class Flows:
    """Starts runs on a worker's queue, and reads them."""

    client: Client
    queue: str
    store: Store
    registry: Registry
    stage: Stagehand

    def keep(self, made: Plan) -> str:
        """Store a plan as the newest version of its template; returns the template's key."""
        new = NewTemplate(made.template_key, made.name, "", "web", made.digest, made)
        self.store.save_templates([new], made.digest.encode(), "made.json", "tester")
        return made.template_key

    async def start(self, made: Plan, *, run_id: str = "", **fields: JsonValue) -> Run:
        """Start a run of a plan by the plan's digest."""
        digest = self.store.save_plan(made)
        given = {"template": made.template_key, "digest": digest, "operator": "tester", **fields}
        return await self.start_type("RunFlow", given, run_id=run_id)

    async def start_type(self, name: str, *args: JsonValue, run_id: str = "", **more: Any) -> Run:
        """Start a workflow of any type, with any arguments."""
        chosen = run_id or f"{name}-{secrets.token_hex(4)}"
        return await self.client.start_workflow(
            name, args=list(args), id=chosen, task_queue=self.queue, **more
        )

    async def run(self, made: Plan, **fields: JsonValue) -> dict[str, Any]:
        """Run a plan to its end."""
        return await result(await self.start(made, run_id="", **fields))

    def asked(self, run: Run) -> list[tuple[str, str]]:
        """Return which steps of which nodes the plugins were asked for, in order."""
        return [(asked.step, asked.node) for asked in self.stage.asked[run.id]]

    async def until_asked(self, run: Run, step: str, node: str, times: int = 1) -> None:
        """Wait until a plugin was asked to take a step so often."""
        await self.stage.until(lambda: self.asked(run).count((step, node)) >= times)

    def open(self, run: Run, node: str) -> None:
        """Let a node that waits at its gate go on."""
        self.stage.gate(run.id, node).set()


@asynccontextmanager
async def open_flows(
    client: Client,
    *,
    queue: str = "",
    cached: int = 1000,
    queues: Mapping[str, str] | None = None,
    payload_store: str = "",
    **bent: object,
) -> AsyncGenerator[Flows]:
    """Run a worker as long as the context lasts.

    Args:
        client: the client of the server; the worker uses it too.
        queue: the task queue; "" makes one.
        cached: how many runs the worker keeps; with 0 each workflow task replays its run.
        queues: the queue that plugins are routed to, by code.
        payload_store: where large values go; the client's own settings must say the same.
        bent: fields of `RunSettings` to replace.
    """
    stage = Stagehand()
    registry = Registry([*stage.plugins(), *discover().plugins()])
    chosen = queue or f"flows-{secrets.token_hex(3)}"
    settings = Settings(
        task_queue=chosen,
        store_url="sqlite://",
        plugin_queues=dict(queues or {}),
        payload_store=payload_store,
    )
    with Store.open(settings.store_url) as store:
        loader = _Loader(store, registry, settings, tuple(SEARCH_ATTRIBUTES))
        loader.bent = bent
        async with Sandbox(processes=1) as sandbox:
            parts = worker_parts(registry, sandbox, loader)
            async with worker_on(client, chosen, parts, cached):
                yield Flows(client, chosen, store, registry, stage)


def worker_on(client: Client, queue: str, parts: WorkerParts, cached: int) -> Worker:
    """Return a worker like the product's, with a cache of its own size."""
    return Worker(
        client,
        task_queue=queue,
        workflows=parts.workflows,
        activities=parts.activities,
        interceptors=parts.interceptors,
        workflow_runner=workflow_runner(),
        max_cached_workflows=cached,
        max_concurrent_workflow_task_polls=2,
        max_heartbeat_throttle_interval=timedelta(milliseconds=100),
    )


async def result(run: Run) -> dict[str, Any]:
    """Wait for a run's end and return its result."""
    return await asyncio.wait_for(run.result(), WAIT_S)


async def histories(run: Run) -> list[list[HistoryEvent]]:
    """Return the events of a run's histories, one list for each in which it went on."""
    found: list[list[HistoryEvent]] = []
    run_id = run.first_execution_run_id
    while run_id:
        handle = run._client.get_workflow_handle(run.id, run_id=run_id)
        found.append(list((await handle.fetch_history()).events))
        ended = found[-1][-1].workflow_execution_continued_as_new_event_attributes
        run_id = ended.new_execution_run_id
    return found


async def ask(run: Run, query: str, *args: JsonValue) -> Any:
    """Ask a run for one of its views."""
    return await run.query(query, args=list(args), rpc_timeout=timedelta(seconds=WAIT_S))


async def until(run: Run, holds: Callable[[Any], bool], query: str = "status") -> Any:
    """Ask again and again until the answer fits; each answer takes its time."""
    async with asyncio.timeout(WAIT_S):
        while not holds(answer := await ask(run, query)):
            pass
    return answer


async def until_failed(run: Run, *nodes: str) -> None:
    """Wait until these nodes, and no others, have failed."""
    await until(run, lambda seen: {n["path"] for n in seen.get("failed", ())} == set(nodes))


async def until_waiting(run: Run, node: str) -> None:
    """Wait until a node waits for a time, a person or an answer."""
    await until(run, lambda seen: node in [n["path"] for n in seen.get("waiting", ())])


async def verb(run: Run, name: str, *args: JsonValue, **fields: JsonValue) -> Any:
    """Give a verb as an update and return what the run answered."""
    return await send(run, name, list(args) if args else [fields])


async def send(run: Run, name: str, args: Sequence[JsonValue]) -> Any:
    """Send an update with these very arguments."""
    update = run.execute_update(  # pyright: ignore[reportUnknownMemberType]  the SDK's overloads
        name, args=args, rpc_timeout=timedelta(seconds=WAIT_S)
    )
    return await asyncio.wait_for(update, WAIT_S)
