"""Records anew the histories that `tests/temporal/test_replay.py` replays.

`python -m tests.tools.record_histories [NAME ...]` plays each situation on an embedded server and
writes `tests/replay/<name>.json`, several numbered files where the run went on in fresh histories.
"""

import asyncio
import json
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple, cast

from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError

from tests.helpers.build import subflow, task, tree, variable
from tests.helpers.flows import (
    Flows,
    Run,
    open_flows,
    plan,
    result,
    told,
    until,
    until_failed,
    until_waiting,
    verb,
)
from translator.plan import AutoRetry, LoopConfig, Plan, Timeout
from workers.client import connect
from workers.server import EmbeddedServer
from workers.settings import Settings

FOLDER: Final = Path(__file__).resolve().parents[1] / "replay"
ROLL_OVER: Final = 20
SCRUBBED: Final = {"identity": "worker", "buildId": "build", "lastWorkerIdentity": "worker"}
CLIENT: Final = "recorder"
DROPPED: Final = frozenset({"stackTrace", "workerVersion"})

Move = Callable[[Flows, Run], Awaitable[None]]


class Situation(NamedTuple):
    """A plan, and what a person does to its run; `as_type` starts it under its template's key."""

    made: Plan
    move: Move | None = None
    rolls_over: bool = False
    as_type: bool = False


# --- what people do -----------------------------------------------------------------------------


async def _answer(_flows: Flows, run: Run) -> None:
    await until_waiting(run, "w")
    await run.signal("callback", {"node": "w", "data": {"ok": True}})


async def _retry(_flows: Flows, run: Run) -> None:
    await until_failed(run, "f")
    await verb(run, "retry", node="f", set={"wrong": False})


async def _skip(_flows: Flows, run: Run) -> None:
    await until_failed(run, "f")
    await run.signal("skip", {"node": "f"})
    await run.signal("skip", "no object")
    await run.signal("skpi", {"node": "f"})


async def _skip_and_answer(flows: Flows, run: Run) -> None:
    await _skip(flows, run)
    await _answer(flows, run)


async def _pause(flows: Flows, run: Run) -> None:
    await flows.until_asked(run, "call", "a")
    await verb(run, "pause", reason="lunch")
    flows.open(run, "a")
    await until(run, lambda seen: not seen.get("running", True))
    await verb(run, "resume")


async def _revoke(flows: Flows, run: Run) -> None:
    await flows.until_asked(run, "poll", "p")
    await verb(run, "revoke", reason="wrong release")


async def _cancel(flows: Flows, run: Run) -> None:
    await flows.until_asked(run, "poll", "p")
    await run.cancel()


async def _force_fail(flows: Flows, run: Run) -> None:
    await flows.until_asked(run, "poll", "p")
    await verb(run, "force_fail", node="p")
    await flows.until_asked(run, "stop", "p")
    await verb(run, "skip", node="p")


async def _choose(_flows: Flows, run: Run) -> None:
    await until_failed(run, "xor")
    await verb(run, "choose", node="xor", branch="xor-b")


async def _set_timer(_flows: Flows, run: Run) -> None:
    await until_waiting(run, "t")
    await verb(run, "set_timer", node="t", seconds=0)


async def _rerun(flows: Flows, run: Run) -> None:
    await flows.until_asked(run, "call", "a")
    await verb(run, "rerun_from", node="b")
    await flows.until_asked(run, "call", "a", 2)
    flows.open(run, "a")


async def _mend_inside(_flows: Flows, run: Run) -> None:
    await until_failed(run, "c")
    await verb(run, "pause")
    await verb(run, "resume")
    await verb(run, "retry", node="c/f", set={"wrong": False})


async def _skip_child(_flows: Flows, run: Run) -> None:
    await until_failed(run, "c")
    await verb(run, "retry", node="c")
    await until(run, lambda seen: [node["attempt"] for node in seen.get("failed", ())] == [2])
    await verb(run, "skip", node="c")


# --- situations ---------------------------------------------------------------------------------

_POLL: Final = task("p", code="poll", inputs={"looks": 0})
_NESTED: Final = tree(
    "start n end",
    nodes=[task("n", inputs={"text": "${p}-${p}"})],
    variables={"p": variable("p"), "q": told("q", "n")},
    outputs=["q"],
)

_CHILD: Final = task("c", code="subprocess_plugin")._replace(
    child=subflow("c", tree("start f end", nodes=[task("f", inputs={"wrong": True})]))
)

SITUATIONS: Final[Mapping[str, Situation]] = {
    "chain": Situation(
        plan(
            "start a b c end",
            nodes=[task("c", inputs={"text": "${x}"})],
            variables=[variable("x", 1), told("y", "c")],
            outputs=["y"],
        )
    ),
    "parallel": Situation(plan("start fork a b join end", "fork c join", "fork d e join")),
    "conditional": Situation(
        plan(
            "start some a join end",
            "some b join",
            "some c join",
            conditions={"some-c": "${x} > 5"},
            variables=[variable("x", 1)],
        )
    ),
    "exclusive_with_loop": Situation(
        plan(
            "start a xor a",
            "xor end",
            conditions={"xor-a": "${n} < 3", "xor-end": "${n} >= 3"},
            variables=[told("n", "a", "_loop")],
        )
    ),
    "gateway_chosen": Situation(
        plan(
            "start xor a end",
            "xor b end",
            conditions={"xor-a": "1 == 2", "xor-b": "1 == 3"},
        ),
        _choose,
    ),
    "subflow": Situation(
        plan(
            "start sub1 end",
            nodes=[subflow("sub1", _NESTED, params={"p": "${x}"})],
            variables=[variable("x", "v"), told("out", "sub1", "${q}")],
            outputs=["out"],
        )
    ),
    "own_loop": Situation(plan("start a end", nodes=[task("a", loop=LoopConfig(times=3))])),
    "poll": Situation(plan("start p end", nodes=[task("p", code="poll", inputs={"looks": 3})])),
    "callback": Situation(plan("start w end", nodes=[task("w", code="wait")]), _answer),
    "timer": Situation(
        plan("start t end", nodes=[task("t", code="sleep_timer", inputs={"bk_timing": "1"})])
    ),
    "timer_set": Situation(
        plan("start t end", nodes=[task("t", code="sleep_timer", inputs={"bk_timing": "9999"})]),
        _set_timer,
    ),
    "time_limit": Situation(
        plan(
            "start p end",
            nodes=[_POLL._replace(timeout=Timeout(after_s=1, then="skip"))],
        )
    ),
    "automatic_retry": Situation(
        plan(
            "start a end",
            nodes=[task("a", code="once", auto_retry=AutoRetry(times=1, interval_s=0))],
        )
    ),
    "failed_and_retried": Situation(
        plan("start f a end", nodes=[task("f", inputs={"wrong": True})]), _retry
    ),
    "skipped": Situation(
        plan("start f w end", nodes=[task("f", inputs={"wrong": True}), task("w", code="wait")]),
        _skip_and_answer,
    ),
    "paused": Situation(plan("start a b end", nodes=[task("a", code="hold")]), _pause),
    "forced_to_fail": Situation(plan("start p end", nodes=[_POLL]), _force_fail),
    "rerun": Situation(plan("start b a end", nodes=[task("a", code="hold")]), _rerun),
    "revoked": Situation(plan("start fork p join end", "fork w join", nodes=[_POLL]), _revoke),
    "cancelled": Situation(plan("start p end", nodes=[_POLL]), _cancel),
    "continued": Situation(
        plan(
            "start fork a b c d e f join end",
            "fork w join",
            nodes=[task("w", code="wait"), *(task(n) for n in "abcdef")],
        ),
        _answer,
        rolls_over=True,
    ),
    "continued_under_a_key": Situation(
        plan("start a b c d e f end", key="long-release"), rolls_over=True, as_type=True
    ),
    "expressions": Situation(
        plan(
            "start a xor b end",
            "xor c end",
            nodes=[task("a", inputs={"text": "${x.upper()}"})],
            conditions={"xor-b": "${len(x)} == 1", "xor-c": "${len(x)} != 1"},
            variables=[variable("x", "v"), told("y", "a"), variable("z", "${y.lower()}")],
            outputs=["z"],
        )
    ),
    "child_mended": Situation(plan("start c a end", nodes=[_CHILD]), _mend_inside),
    "child_skipped": Situation(plan("start c a end", nodes=[_CHILD]), _skip_child),
    "child_watched": Situation(
        plan(
            "start fork a b d e g h join end",
            "fork c join",
            nodes=[_CHILD, *(task(n) for n in "abdegh")],
        ),
        _mend_inside,
        rolls_over=True,
    ),
    "template_key_as_type": Situation(plan("start a end", key="release"), as_type=True),
}


# --- recording ----------------------------------------------------------------------------------


def scrubbed(found: object) -> object:
    """Return JSON without what names the machine that recorded it."""
    if isinstance(found, list):
        return [scrubbed(item) for item in cast("list[object]", found)]
    if not isinstance(found, dict):
        return found
    fields = cast("dict[str, object]", found)
    if fields.get("kind") == "TASK_QUEUE_KIND_STICKY":
        return {**fields, "name": "sticky"}
    kept = {key: value for key, value in fields.items() if key not in DROPPED}
    return {key: SCRUBBED.get(key) or scrubbed(value) for key, value in kept.items()}


async def play(flows: Flows, name: str, situation: Situation) -> Run:
    """Play a situation to its end."""
    made = situation.made
    if situation.as_type:
        flows.keep(made)
        run = await flows.start_type(made.template_key, {}, run_id=name)
    else:
        run = await flows.start(made, run_id=name)
    if situation.move is not None:
        await situation.move(flows, run)
    try:
        await result(run)
    except WorkflowFailureError:
        if (await run.describe()).status is not WorkflowExecutionStatus.CANCELED:
            raise
    return run


async def histories(run: Run, flows: Flows) -> AsyncGenerator[dict[str, Any]]:
    """Yield the histories of a run, first to last."""
    run_id = run.first_execution_run_id or ""
    while run_id:
        handle = flows.client.get_workflow_handle(run.id, run_id=run_id)
        found = await handle.fetch_history()
        yield found.to_json_dict()
        last = found.events[-1]
        run_id = last.workflow_execution_continued_as_new_event_attributes.new_execution_run_id


async def record(flows: Flows, name: str) -> None:
    """Play one situation and write its histories."""
    run = await play(flows, name, SITUATIONS[name])
    found = [scrubbed(one) async for one in histories(run, flows)]
    for stale in FOLDER.glob(f"{name}.[0-9].json"):
        stale.unlink()
    for number, one in enumerate(found, 1):
        file = FOLDER / (f"{name}.json" if len(found) == 1 else f"{name}.{number}.json")
        text = json.dumps(one, indent=1, sort_keys=True, ensure_ascii=False)
        file.write_text(text + "\n", "utf-8")
        print(f"{file.name}: {len(text)} bytes")


async def main(names: list[str]) -> None:
    """Record the situations named, or all."""
    async with EmbeddedServer() as server:
        client = await connect(Settings(), address=server.address)
        client.service_client.config.identity = CLIENT  # a run's journal tells of it in payloads
        bent = {True: ROLL_OVER, False: 0}
        for rolls_over, events in bent.items():
            async with open_flows(client, queue="recording", roll_over_events=events) as flows:
                for name in names or SITUATIONS:
                    if SITUATIONS[name].rolls_over is rolls_over:
                        await record(flows, name)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
