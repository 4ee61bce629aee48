"""The flow of a run under chaos, its plugins, and how it ends by the Machine alone.

A plugin's work is done by the outside service, whose ledger counts it by execution. What a plugin
answers is the name of the execution that it worked for, which it knows only when the service has
given it the result of that very work.
"""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from pydantic import JsonValue

from activities.contract import Done, Failed, Outcome, RunSettings
from activities.registry import Registry, discover
from activities.sdk import AnyPlugin, Call, Inputs, Outputs, PluginError, StillRunning, plugin
from tests.helpers.faulty_service import result_of
from tests.helpers.plans import flow, plan, subflow, task, variable
from translator.plan import AutoRetry, Child, LoopConfig, Plan, Task
from workers.simulate import VirtualRun
from workflows.machine.events import Evaluate, Evaluated, Finish, RunTask, Verb, VerbName
from workflows.machine.machine import Given, Machine

HEARTBEAT_S: Final = 5
OFTEN_S: Final = 0.5
SELDOM_S: Final = 2.0
STUMBLES: Final = "stumbles"
"""This plugin fails at first, and is tried again by itself."""
WORKING: Final = ("quick", STUMBLES, "watched", "found", "called", "either")
NAMES: Final = (
    *("quick1", "quick2", "quick3", "watched", "called", "either", "found", STUMBLES),
    *("again", "quick4", "quick5", "turn"),
)
MOST_STEPS: Final = 1000


class Nothing(Inputs):
    pass


class Worked(Outputs):
    out: str = ""
    turn: int = 0


# --- plugins ----------------------------------------------------------------------------------


def plugins(url: str) -> Sequence[AnyPlugin]:
    """Return the plugins: one that is quick, one that stumbles, and four whose work goes on."""
    return (
        quick(url),
        stumbles(url),
        working(url, "watched", idempotent=False, called_back=False),
        working(url, "found", idempotent=True, called_back=False),
        working(url, "called", idempotent=False, called_back=True),
        working(url, "either", idempotent=True, called_back=True),
    )


def registry(url: str) -> Registry:
    """Return those and the ones that come with the product."""
    return Registry([*plugins(url), *discover().plugins()])


def worked(call: Call[Nothing], result: str) -> Worked:
    """Name the execution, if the result is that of its own work."""
    mine = result == result_of(call.key)
    return Worked(
        out=f"{call.node}#{call.entry}" if mine else f"not mine: {result}", turn=call.loop
    )


def quick(url: str) -> AnyPlugin:
    """A plugin whose work is done when it is asked for; asked twice, the service knows the key."""

    @plugin("quick", quick=True)
    async def run(call: Call[Nothing]) -> Worked:
        answer = await call.http.post(f"{url}/start", json={"key": call.key, "once": True})
        answer.raise_for_status()
        return worked(call, result_of(call.key))

    return run


def stumbles(url: str) -> AnyPlugin:
    """A plugin whose first execution of a node fails."""

    @plugin(STUMBLES, idempotent=True, heartbeat_s=HEARTBEAT_S, timeout_s=20)
    async def run(call: Call[Nothing]) -> Worked:
        answer = await call.http.post(f"{url}/start", json={"key": call.key, "once": True})
        answer.raise_for_status()
        if call.entry == 1:
            raise PluginError("it stumbles at first")
        return worked(call, result_of(call.key))

    return run


def working(url: str, code: str, *, idempotent: bool, called_back: bool) -> AnyPlugin:
    """A plugin that starts work and looks at it, or is called back."""
    look_s = SELDOM_S if called_back else OFTEN_S

    @plugin(code, idempotent=idempotent, heartbeat_s=HEARTBEAT_S, timeout_s=20)
    async def run(call: Call[Nothing]) -> Worked:
        wanted: dict[str, JsonValue] = {"key": call.key, "once": idempotent}
        if called_back:
            wanted["callback"] = call.callback_url
        answer = await call.http.post(f"{url}/start", json=wanted)
        answer.raise_for_status()
        raise StillRunning(answer.json()["job"], look_s)

    @run.poll
    async def _(call: Call[Nothing], handle: JsonValue) -> Worked:
        answer = await call.http.get(f"{url}/job/{handle}")
        answer.raise_for_status()
        seen = answer.json()
        if not seen["done"]:
            raise StillRunning(after_s=look_s)
        return worked(call, seen["result"])

    @run.stop
    async def _(call: Call[Nothing], handle: JsonValue) -> None:
        (await call.http.post(f"{url}/stop/{handle}")).raise_for_status()

    if called_back:

        @run.callback
        async def _(call: Call[Nothing], data: JsonValue) -> Worked:
            result = data.get("result") if isinstance(data, dict) else None
            return worked(call, str(result))

    return run


# --- the flow ---------------------------------------------------------------------------------


def step(name: str, code: str, to: Mapping[str, str] | None = None, **options: object) -> Task:
    """A task whose answer goes to the variable of its name."""
    return task(name, {}, to=to or {"out": name}, plugin=code, **options)


def mixed() -> Plan:
    """Quick tasks in rows around a fork of everything else; the last row is passed twice."""
    inner = flow(
        "start quick6 found2 end",
        nodes=[step("quick6", "quick", {"out": "v"}), step("found2", "found", {"out": "v"})],
        variables=[variable("v")],
        outputs=["v"],
    )
    held = flow(
        "start quick7 found3 end",
        nodes=[step("quick7", "quick", {"out": "v"}), step("found3", "found", {"out": "v"})],
        variables=[variable("v")],
        outputs=["v"],
    )
    timer = task("timer", {"bk_timing": "1"}, plugin="sleep_timer")
    child = task(
        "child",
        {},
        to={"${v}": "child"},
        plugin="subprocess_plugin",
        child=Child(flow=held, name="Held", template_key="held"),
    )
    return plan(
        "start quick1 quick2 quick3 fork watched join again quick4 quick5 xor end",
        "fork called join",
        "fork either found join",
        f"fork timer {STUMBLES} join",
        "fork sub join",
        "fork child join",
        "xor quick4",
        conditions={"xor-quick4": "${turn} == 1"},
        nodes=[
            *(step(name, "quick") for name in ("quick1", "quick2", "quick3", "quick4")),
            step("quick5", "quick", {"out": "quick5", "turn": "turn"}),
            *(step(name, name) for name in ("watched", "called", "either", "found")),
            step(STUMBLES, STUMBLES, auto_retry=AutoRetry(times=2, interval_s=1)),
            step("again", "quick", loop=LoopConfig(times=3, outputs_key="again")),
            subflow("sub", inner, to={"v": "sub"}),
            timer,
            child,
        ],
        variables=[variable(name) for name in (*NAMES, "sub", "child")],
        outputs=[*NAMES, "sub", "child"],
    )


# --- how it ends by the Machine alone -----------------------------------------------------------


class Mended(NamedTuple):
    """What an operator did at an execution that had failed, and why it had."""

    key: str
    reason: str
    verb: VerbName


class Expected(NamedTuple):
    """How a run ends, and which executions have their work done outside, by key."""

    finish: Finish
    worked: frozenset[str]


async def expected(
    made: Plan, run: str, settings: RunSettings, mended: Sequence[Mended]
) -> Expected:
    """Play a run on the Machine alone, with the same answers and the same operator."""
    done, known = set[str](), {each.key: each for each in mended}

    async def perform(command: RunTask) -> Outcome:
        where = place_of(run, virtual, command)
        key = f"{where.run}:{where.node}:{command.entry}"
        if key in known:
            return Failed(error=known[key].reason)
        done.add(key)
        if command.plugin.code == STUMBLES and command.entry == 1:
            return Failed(error="it stumbles at first")
        return Done(outputs={"out": f"{where.node}#{command.entry}", "turn": command.loop})

    async def resolve(asked: Evaluate) -> Evaluated:
        raise AssertionError(f"{asked.path} needs no sandbox")

    machine = Machine(made, settings)
    virtual = VirtualRun(machine, perform, resolve)
    virtual.begin(Given())
    virtual.go()
    for _ in range(MOST_STEPS):
        await virtual.run()
        if virtual.finish is not None:
            return Expected(virtual.finish, frozenset(done))
        path = next(iter(machine.state.failed))
        key = f"{run}:{path}:{machine.state.nodes[path].entry}"
        virtual.operate(Verb(known[key].verb, path))
    raise AssertionError(f"{run} does not end by itself")


class Place(NamedTuple):
    """The run that a step belongs to, and the node as that run knows it."""

    run: str
    node: str


def place_of(run: str, virtual: VirtualRun, command: RunTask) -> Place:
    """Return where a step belongs: the nodes of a child are told by the path of its node."""
    for path, child in virtual.children.items():
        if command.path.startswith(f"{path}/"):
            holder = f"{run}/{path}" if child.entry == 1 else f"{run}/{path}:{child.entry}"
            return Place(holder, command.path.removeprefix(f"{path}/"))
    return Place(run, command.path)
