"""Every verb, as update and as signal, with what fits and with what does not."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from pydantic import JsonValue
from temporalio.client import (
    Client,
    WorkflowExecutionStatus,
    WorkflowUpdateFailedError,
)
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError

from tests.helpers.build import task, variable
from tests.helpers.flows import (
    Flows,
    Run,
    ask,
    open_flows,
    plan,
    result,
    send,
    told,
    until,
    until_failed,
    until_waiting,
    verb,
)
from workflows.messages import MESSAGES

HUGE: dict[str, JsonValue] = {"node": "x" * 1_000_000}
ODD: list[list[JsonValue]] = [[], [[]], ["x"], [{}], [7], [{"node": 5}], [{"surplus": 1}], [HUGE]]
ODD_NAMES = ["nothing", "list", "text", "object", "number", "wrong type", "unknown field", "huge"]
TAKES_NOTHING = ("pause", "resume", "revoke")
WAITING = plan("start a end", nodes=[task("a", code="wait")])


@pytest.fixture(scope="module")
async def flows(client: Client) -> AsyncGenerator[Flows]:
    async with open_flows(client) as opened:
        yield opened


async def refused(run: Run, name: str, *args: JsonValue, **fields: JsonValue) -> str:
    """Give a verb that is refused and return the reason."""
    with pytest.raises(WorkflowUpdateFailedError) as caught:
        await verb(run, name, *args, **fields)
    cause = caught.value.cause
    assert isinstance(cause, ApplicationError)
    assert cause.type == "OperationRefused"
    return cause.message


async def journal(run: Run, length: int) -> list[dict[str, Any]]:
    """Wait until the journal has so many entries, and return it."""
    told = await until(run, lambda found: len(found["entries"]) >= length, "history")
    return told["entries"]


async def finish_waiting(run: Run) -> dict[str, Any]:
    """Answer the node that waits, and wait for the end."""
    await until_waiting(run, "a")
    await verb(run, "callback", node="a", data="done")
    return await result(run)


# --- whatever comes, the run is unharmed --------------------------------------------------------


@pytest.mark.parametrize("odd", ODD, ids=ODD_NAMES)
async def test_odd_payloads_leave_a_run_unharmed(flows: Flows, odd: list[JsonValue]) -> None:
    run = await flows.start(WAITING)
    await until_waiting(run, "a")
    fitting = [n for n in TAKES_NOTHING if odd in ([], [{}])]
    names = [name for name in MESSAGES if name not in fitting]

    for name in names:
        assert await refused(run, name, *(odd or [None]))
        await run.signal(name, args=odd)
    noted = await journal(run, len(names))

    assert [entry["verb"] for entry in noted] == names
    assert all(entry["refusal"] for entry in noted)
    assert (await finish_waiting(run))["state"] == "finished"


async def test_an_update_with_no_argument_at_all_is_read_as_an_empty_object(flows: Flows) -> None:
    run = await flows.start(WAITING)
    await until_waiting(run, "a")

    answer = await send(run, "pause", [])

    assert answer["state"] == "Paused"
    await verb(run, "resume")
    await finish_waiting(run)


@pytest.mark.parametrize("name", ["pasue", "Skip", "zzz"])
async def test_unknown_names_are_refused_with_a_hint(flows: Flows, name: str) -> None:
    run = await flows.start(WAITING)
    await until_waiting(run, "a")

    text = await refused(run, name, {"node": "a"})
    await run.signal(name, {"node": "a"})
    [noted] = await journal(run, 1)

    hint = "there are pause, resume" if name == "zzz" else "did you mean"
    assert hint in text
    assert hint in noted["refusal"]
    await finish_waiting(run)


async def test_two_hundred_signals_at_once_are_all_noted(flows: Flows) -> None:
    run = await flows.start(WAITING)
    await until_waiting(run, "a")

    await asyncio.gather(*(run.signal("skip", {"node": "a", "reason": str(n)}) for n in range(200)))

    noted = await journal(run, 200)
    assert sorted(int(entry["reason"]) for entry in noted) == list(range(200))
    await finish_waiting(run)


async def test_of_two_racing_updates_one_is_accepted(flows: Flows) -> None:
    run = await flows.start(plan("start a end", nodes=[task("a", inputs={"wrong": 1})]))
    await until_failed(run, "a")

    answers = await asyncio.gather(
        verb(run, "skip", node="a"), verb(run, "skip", node="a"), return_exceptions=True
    )

    failures = [answer for answer in answers if isinstance(answer, BaseException)]
    assert len(failures) == 1
    assert isinstance(failures[0], WorkflowUpdateFailedError | RPCError)
    assert (await result(run))["skipped"] == ["a"]


async def test_asking_twice_with_one_request_id_is_doing_it_once(flows: Flows) -> None:
    run = await flows.start(WAITING)
    await until_waiting(run, "a")

    for _ in range(2):
        assert (await verb(run, "pause", request_id="r1"))["accepted"]

    assert (await ask(run, "history"))["count"] == 1
    await verb(run, "resume")
    await finish_waiting(run)


async def test_a_dry_run_says_what_would_be_and_does_nothing(flows: Flows) -> None:
    run = await flows.start(WAITING)
    await until_waiting(run, "a")

    answer = await verb(run, "pause", dry_run=True)

    assert answer["dry_run"]
    assert (answer["state"], answer["would"]) == ("Paused", ["pauses the run"])
    assert (await ask(run, "history"))["entries"] == []
    await finish_waiting(run)


# --- early and late -----------------------------------------------------------------------------


async def test_early_signals_are_kept_in_their_order(flows: Flows) -> None:
    digest = flows.store.save_plan(WAITING)
    run = await flows.start_type(
        "RunFlow",
        {"template": "flow", "digest": digest},
        start_signal="pause",
        start_signal_args=[{"reason": "first"}],
    )
    await run.signal("skip", {"node": "a"})
    await run.signal("resume", {"reason": "last"})

    noted = await journal(run, 3)

    assert [(n["verb"], bool(n.get("refusal"))) for n in noted] == [
        ("pause", False),
        ("skip", True),
        ("resume", False),
    ]
    await finish_waiting(run)


async def test_a_run_paused_from_its_start_calls_nothing(flows: Flows) -> None:
    digest = flows.store.save_plan(plan("start a end"))
    run = await flows.start_type(
        "RunFlow", {"template": "flow", "digest": digest}, start_signal="pause"
    )
    await until(run, lambda seen: seen["state"] == "Paused")

    assert flows.asked(run) == []
    await verb(run, "resume")
    await result(run)


async def test_an_update_before_the_plan_is_loaded_waits_for_it(client: Client) -> None:
    queue = "late-worker"
    started = asyncio.create_task(_start_without_worker(client, queue))
    run = await started
    update = asyncio.create_task(verb(run, "pause"))
    async with open_flows(client, queue=queue) as flows:
        flows.keep(WAITING.model_copy(update={"template_key": "late"}))
        try:
            assert (await update)["accepted"]
            await verb(run, "resume")
            await finish_waiting(run)
        finally:
            update.cancel()


async def _start_without_worker(client: Client, queue: str) -> Run:
    return await client.start_workflow("late", id=queue, task_queue=queue)


async def test_a_verb_after_the_end_is_refused_by_the_server(flows: Flows) -> None:
    run = await flows.start(plan("start a end"))
    await result(run)

    with pytest.raises(RPCError, match="already completed"):
        await verb(run, "pause")
    with pytest.raises(RPCError, match="already completed"):
        await run.signal("pause", {})


# --- what the verbs do --------------------------------------------------------------------------


async def test_retry_with_set_mends_one_input_and_keeps_the_rest(flows: Flows) -> None:
    node = task("a", inputs={"wrong": True, "text": "kept"})
    made = plan("start a end", nodes=[node], variables=[told("t", "a")], outputs=["t"])
    run = await flows.start(made)
    await until_failed(run, "a")

    await verb(run, "retry", node="a", set={"wrong": False})

    assert (await result(run))["outputs"] == {"t": "kept"}
    assert [asked.entry for asked in flows.stage.asked[run.id]] == [1, 2]


async def test_a_signal_does_what_an_update_does(flows: Flows) -> None:
    run = await flows.start(plan("start a end", nodes=[task("a", inputs={"wrong": True})]))
    await until_failed(run, "a")

    await run.signal("skip", {"node": "a", "operator": "ann"})

    assert (await result(run))["skipped"] == ["a"]


async def test_choose_sends_a_failed_gateway_on(flows: Flows) -> None:
    made = plan("start xor a end", "xor b end", conditions={"xor-a": "1 == 2", "xor-b": "1 == 3"})
    run = await flows.start(made)
    await until_failed(run, "xor")

    assert "no branch" in await refused(run, "choose", node="xor", branch="nowhere")
    await verb(run, "choose", node="xor", branch="xor-b")

    await result(run)
    assert flows.asked(run) == [("call", "b")]


async def test_a_paused_run_keeps_results_and_starts_nothing(flows: Flows) -> None:
    run = await flows.start(plan("start a b end", nodes=[task("a", code="hold")]))
    await flows.until_asked(run, "call", "a")
    await verb(run, "pause")

    flows.open(run, "a")
    await until(run, lambda seen: not seen["running"])

    assert flows.asked(run) == [("call", "a")]
    await verb(run, "resume")
    await result(run)
    assert flows.asked(run) == [("call", "a"), ("call", "b")]


async def test_force_fail_cancels_the_activity(flows: Flows) -> None:
    run = await flows.start(plan("start a end", nodes=[task("a", code="hold")]))
    await flows.until_asked(run, "call", "a")

    await verb(run, "force_fail", node="a", reason="took too long")
    await flows.stage.until(lambda: flows.stage.cancelled[run.id] == ["a"])

    [failed] = (await ask(run, "status"))["failed"]
    assert "took too long" in failed["reason"]
    await verb(run, "skip", node="a")
    await result(run)


@pytest.mark.parametrize(("code", "handle"), [("poll", "job of a"), ("wait", "ticket of a")])
async def test_force_fail_has_the_plugin_stop_its_work(
    flows: Flows, code: str, handle: str
) -> None:
    run = await flows.start(plan("start a end", nodes=[task("a", code=code, inputs={"looks": 0})]))
    await flows.until_asked(run, "call", "a")
    if code == "poll":
        await flows.until_asked(run, "poll", "a")
    else:
        await until_waiting(run, "a")

    await verb(run, "force_fail", node="a")
    await flows.until_asked(run, "stop", "a")

    assert flows.stage.stopped[run.id] == [handle]
    await verb(run, "skip", node="a")
    await result(run)


async def test_a_callback_reaches_the_node_that_waits(flows: Flows) -> None:
    made = plan(
        "start a end",
        nodes=[task("a", code="wait")],
        variables=[told("d", "a", "data")],
        outputs=["d"],
    )
    run = await flows.start(made)
    await until_waiting(run, "a")

    await verb(run, "callback", node="a", data={"ok": True})

    assert (await result(run))["outputs"] == {"d": {"ok": True}}


async def test_a_second_callback_is_refused_and_noted(flows: Flows) -> None:
    run = await flows.start(
        plan("start a b end", nodes=[task("a", code="wait"), task("b", code="hold")])
    )
    await until_waiting(run, "a")
    await verb(run, "callback", node="a", data=1)
    await flows.until_asked(run, "call", "b")

    assert "waits for no callback" in await refused(run, "callback", node="a", data=2)
    await run.signal("callback", {"node": "a", "data": 2})

    noted = await journal(run, 2)
    assert [bool(entry.get("refusal")) for entry in noted] == [False, True]
    flows.open(run, "b")
    await result(run)


async def test_an_early_callback_is_kept(flows: Flows) -> None:
    made = plan(
        "start a end",
        nodes=[task("a", code="poll", inputs={"looks": 0})],
    )
    run = await flows.start(made)
    await flows.until_asked(run, "poll", "a")
    await verb(run, "callback", node="a", data=1)  # the poll gives way to the callback

    await until_failed(run, "a")

    assert "no callback hook" in str(await ask(run, "status"))
    await verb(run, "skip", node="a")
    await result(run)


async def test_a_plugin_of_several_callbacks_takes_them_in_order(flows: Flows) -> None:
    made = plan(
        "start a end",
        nodes=[task("a", code="several")],
        variables=[told("d", "a", "data")],
        outputs=["d"],
    )
    run = await flows.start(made)
    await until_waiting(run, "a")

    for data in (1, 2, "last"):
        await run.signal("callback", {"node": "a", "data": data})

    assert (await result(run))["outputs"] == {"d": [1, 2, "last"]}


async def test_revoke_cancels_and_stops_and_completes_as_revoked(flows: Flows) -> None:
    nodes = [task("a", code="hold"), task("b", code="poll", inputs={"looks": 0})]
    run = await flows.start(plan("start fork a join c end", "fork b join", nodes=nodes))
    await flows.until_asked(run, "call", "a")
    await flows.until_asked(run, "poll", "b")

    answer = await verb(run, "revoke", operator="ann")

    assert answer["state"] == "Revoked"
    assert (await result(run))["state"] == "revoked"
    assert (await run.describe()).status is WorkflowExecutionStatus.COMPLETED
    assert flows.stage.stopped[run.id] == ["job of b"]
    await flows.stage.until(lambda: flows.stage.cancelled[run.id] == ["a"])
    assert ("call", "c") not in flows.asked(run)


async def test_a_held_node_starts_when_it_is_freed(flows: Flows) -> None:
    run = await flows.start(plan("start a b end", nodes=[task("a", code="hold")]))
    await flows.until_asked(run, "call", "a")
    await verb(run, "pause_node", node="b")
    flows.open(run, "a")
    await until_waiting(run, "b")

    await verb(run, "resume_node", node="b")

    await result(run)


async def test_another_time_ends_a_timer(flows: Flows) -> None:
    node = task("a", code="sleep_timer", inputs={"bk_timing": "86400"})
    run = await flows.start(plan("start a end", nodes=[node]))
    await until_waiting(run, "a")

    await verb(run, "set_timer", node="a", seconds=0)

    assert (await result(run))["state"] == "finished"


async def test_set_variables_reach_the_nodes_that_come(flows: Flows) -> None:
    made = plan(
        "start a b end",
        nodes=[task("a", code="pause_node", version="legacy"), task("b", inputs={"text": "${x}"})],
        variables=[variable("x", "old"), told("t", "b")],
        outputs=["t"],
    )
    run = await flows.start(made)
    await until_waiting(run, "a")

    await verb(run, "set_variables", values={"x": "new"})
    await verb(run, "callback", node="a")

    assert (await result(run))["outputs"] == {"t": "new"}


async def test_rerun_from_starts_again_at_an_earlier_node(flows: Flows) -> None:
    run = await flows.start(plan("start a b end", nodes=[task("b", code="hold")]))
    await flows.until_asked(run, "call", "b")

    await verb(run, "rerun_from", node="a")
    await flows.until_asked(run, "call", "b", 2)
    flows.open(run, "b")

    await result(run)
    assert flows.asked(run) == [("call", "a"), ("call", "b")] * 2


# --- what the page shows ------------------------------------------------------------------------


async def test_the_page_shows_the_picture_and_the_update_for_a_failed_node(flows: Flows) -> None:
    run = await flows.start(plan("start a end", nodes=[task("a", inputs={"wrong": "disk full"})]))
    await until_failed(run, "a")

    details: str = (await ask(run, "__temporal_workflow_metadata")).current_details

    assert "<svg" in details
    assert '{"node": "a"' in details
    assert "disk full" in details
    await verb(run, "skip", node="a")


async def test_every_handler_has_a_description(flows: Flows) -> None:
    run = await flows.start(WAITING)

    found = (await ask(run, "__temporal_workflow_metadata")).definition

    for kind in ("query_definitions", "signal_definitions", "update_definitions"):
        shown = {each.name: each.description for each in getattr(found, kind)}
        ours = {name: text for name, text in shown.items() if not name.startswith("__")}
        assert all(ours.values()), kind
        assert kind == "query_definitions" or ours.keys() >= MESSAGES.keys()
    await finish_waiting(run)


async def test_search_attributes_follow_the_run(flows: Flows) -> None:
    run = await flows.start(plan("start a end", nodes=[task("a", inputs={"wrong": 1})], key="seen"))
    await until_failed(run, "a")
    failed = (await run.describe()).search_attributes

    await verb(run, "skip", node="a")
    await result(run)
    ended = (await run.describe()).search_attributes

    assert failed["StdopsState"] == ["Failed"]
    assert failed["StdopsFailedNodes"] == [1]
    assert failed["StdopsTemplate"] == ["seen"]
    assert failed["StdopsOperator"] == ["tester"]
    assert ended["StdopsState"] == ["Finished"]
    assert ended["StdopsFailedNodes"] == [0]


async def test_unknown_search_attributes_are_left_out(client: Client) -> None:
    async with open_flows(client, search_attributes=("StdopsFailedNodes",)) as flows:
        run = await flows.start(plan("start a end"))
        await result(run)

    found = (await run.describe()).search_attributes
    assert [name for name in found if name.startswith("Stdops")] == ["StdopsFailedNodes"]
