"""Runs of their own that a run starts, on the real server."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from temporalio.client import Client, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError

from tests.helpers.build import subflow, task, tree, variable
from tests.helpers.flows import (
    Flows,
    Run,
    ask,
    open_flows,
    plan,
    result,
    told,
    until,
    until_failed,
    until_waiting,
    verb,
)
from translator.plan import Plan
from translator.template import SourceTask, Tree


@pytest.fixture(scope="module")
async def flows(client: Client) -> AsyncGenerator[Flows]:
    async with open_flows(client) as opened:
        yield opened


def child(name: str, held: Tree, **options: Any) -> SourceTask:
    """A task that runs `held` as a run of its own; its inputs are the child's variables."""
    made = task(name, code="subprocess_plugin", **options)
    return made._replace(
        child=subflow(name, held, template_key="inner")._replace(params=made.inputs)
    )


def echoing(*nodes: SourceTask, chain: str = "start n end") -> Tree:
    """A flow that gives the variable `p`, through its node `n`, as its output `q`."""
    return tree(
        chain,
        nodes=[task("n", inputs={"text": "${p}!"}), *nodes],
        variables={"p": variable("p", "none"), "q": told("q", "n")},
        outputs=["q"],
    )


def failing() -> Tree:
    return tree("start f end", nodes=[task("f", inputs={"wrong": True})])


def nested(innermost: Tree, levels: int) -> Tree:
    """A flow that holds `innermost` as a child in a child in a child, each called `c`."""
    held = innermost
    for _ in range(levels):
        held = tree("start c end", nodes=[child("c", held)])
    return held


def parent(held: Tree, **options: Any) -> Plan:
    return plan("start c z end", nodes=[child("c", held, **options)])


def run_of(flows: Flows, run_id: str) -> Run:
    return flows.client.get_workflow_handle(run_id)


async def until_closed(run: Run) -> str:
    """Wait for a run's end and return its state."""
    return (await result(run))["state"]


async def until_state(run: Run, state: str) -> None:
    await until(run, lambda seen: seen.get("state") == state)


# --- the end ------------------------------------------------------------------------------------


async def test_a_child_gets_its_values_and_gives_its_outputs(flows: Flows) -> None:
    made = plan(
        "start c end",
        nodes=[child("c", echoing(), inputs={"p": "${x}"})],
        variables=[variable("x", "hi"), told("y", "c", "${q}"), told("id", "c", "task_id")],
        outputs=["y", "id"],
    )
    run = await flows.start(made)

    ended = await result(run)

    assert ended["outputs"] == {"y": "hi!", "id": f"{run.id}/c"}
    held = await run_of(flows, f"{run.id}/c").describe()
    assert (await held.memo())["template"] == "inner"
    assert held.search_attributes["StdopsTemplate"] == ["inner"]


async def test_children_side_by_side_end_each_by_itself(flows: Flows) -> None:
    made = plan(
        "start fork a join end",
        "fork b join",
        "fork c join",
        nodes=[child(name, echoing(), inputs={"p": name}) for name in "abc"],
        variables=[told(f"y{name}", name, "${q}") for name in "abc"],
        outputs=["ya", "yb", "yc"],
    )

    ended = await flows.run(made)

    assert ended["outputs"] == {"ya": "a!", "yb": "b!", "yc": "c!"}


async def test_a_child_that_was_mended_inside_lets_its_parents_go_on(flows: Flows) -> None:
    run = await flows.start(parent(nested(failing(), 2)))
    await until_failed(run, "c")
    seen = await ask(run, "status")
    [node] = seen["failed"]
    assert "node 'f' (f) failed: wrong input True" in node["reason"]

    answer = await verb(run, "retry", node="c/c/c/f", set={"wrong": False})

    assert answer["accepted"]
    assert (await result(run))["state"] == "finished"
    noted = await ask(run, "history")
    assert [(e["verb"], e["node"]) for e in noted["entries"]] == [("retry", "c/c/c/f")]


async def test_a_refusal_of_a_child_is_the_answer_and_is_noted(flows: Flows) -> None:
    run = await flows.start(parent(tree("start w end", nodes=[task("w", code="wait")])))
    await until_waiting(run, "c")

    with pytest.raises(WorkflowUpdateFailedError) as caught:
        await verb(run, "skip", node="c/w")

    cause = caught.value.cause
    assert isinstance(cause, ApplicationError)
    assert "skip needs it to be failed, node 'w' is running" in cause.message
    noted = await ask(run, "history")
    assert [bool(entry["refusal"]) for entry in noted["entries"]] == [True]
    await run.signal("callback", {"node": "c/w", "data": 1})
    assert (await result(run))["state"] == "finished"


async def test_a_dry_run_is_answered_by_the_child_and_leaves_no_trace(flows: Flows) -> None:
    run = await flows.start(parent(failing()))
    await until_failed(run, "c")

    answer = await verb(run, "skip", node="c/f", dry_run=True)

    assert answer["dry_run"]
    assert (await ask(run, "history"))["count"] == 0
    await verb(run, "skip", node="c/f")
    assert (await result(run))["state"] == "finished"


# --- verbs on the node --------------------------------------------------------------------------


async def test_retry_of_the_node_revokes_the_child_and_starts_another(flows: Flows) -> None:
    held = tree(
        "start f end",
        nodes=[task("f", inputs={"wrong": "${p}"})],
        variables={"p": variable("p", "")},
    )
    run = await flows.start(parent(held, inputs={"p": "yes"}))
    await until_failed(run, "c")

    await verb(run, "retry", node="c", set={"p": False})

    assert (await result(run))["state"] == "finished"
    assert await until_closed(run_of(flows, f"{run.id}/c")) == "revoked"
    assert await until_closed(run_of(flows, f"{run.id}/c:2")) == "finished"


async def test_skip_of_the_node_revokes_the_child_and_goes_on(flows: Flows) -> None:
    run = await flows.start(parent(failing()))
    await until_failed(run, "c")

    await verb(run, "skip", node="c")

    ended = await result(run)
    assert (ended["state"], ended["skipped"]) == ("finished", ["c"])
    assert await until_closed(run_of(flows, f"{run.id}/c")) == "revoked"


# --- verbs pass down ----------------------------------------------------------------------------


async def test_pause_resume_and_revoke_pass_down_three_deep(flows: Flows) -> None:
    waiting = tree("start w end", nodes=[task("w", code="wait")])
    run = await flows.start(parent(nested(waiting, 2)))
    deepest = run_of(flows, f"{run.id}/c/c/c")
    await until_waiting(run, "c")

    await verb(run, "pause")
    await until_state(deepest, "Paused")
    await verb(run, "resume")
    await until_state(deepest, "Waiting")
    await verb(run, "revoke", operator="ann", reason="wrong one")

    assert (await result(run))["state"] == "revoked"
    assert await until_closed(deepest) == "revoked"
    [*_, last] = (await ask(deepest, "history"))["entries"]
    assert (last["verb"], last["operator"], last["reason"]) == ("revoke", "ann", "wrong one")


async def test_cancelling_a_run_revokes_its_child(flows: Flows) -> None:
    run = await flows.start(parent(tree("start w end", nodes=[task("w", code="wait")])))
    await until_waiting(run, "c")

    await run.cancel()

    assert await until_closed(run_of(flows, f"{run.id}/c")) == "revoked"


async def test_the_parent_shows_its_child_paused(flows: Flows) -> None:
    run = await flows.start(parent(tree("start w end", nodes=[task("w", code="wait")])))
    await until_waiting(run, "c")

    await verb(run, "pause", node="c")

    seen = await until(run, lambda seen: [n["look"] for n in seen["waiting"]] == ["paused"])
    [node] = seen["waiting"]
    assert (node["child"]["id"], node["child"]["state"]) == (f"{run.id}/c", "Paused")
    assert node["note"] == f"paused as {run.id}/c"
    assert node["verbs"] == ["resume"]
    await verb(run, "resume", node="c")
    await verb(run, "callback", node="c/w")
    assert (await result(run))["state"] == "finished"


# --- when a child is lost -----------------------------------------------------------------------


async def test_a_child_that_is_revoked_by_itself_fails_its_node(flows: Flows) -> None:
    run = await flows.start(parent(tree("start w end", nodes=[task("w", code="wait")])))
    held = run_of(flows, f"{run.id}/c")
    await until_waiting(run, "c")

    await verb(held, "revoke", operator="bob")

    await until_failed(run, "c")
    [node] = (await ask(run, "status"))["failed"]
    assert "was revoked by bob" in node["reason"]
    await verb(run, "skip", node="c")
    assert (await result(run))["state"] == "finished"


async def test_a_child_that_is_terminated_fails_its_node(flows: Flows) -> None:
    run = await flows.start(parent(tree("start w end", nodes=[task("w", code="wait")])))
    held = run_of(flows, f"{run.id}/c")
    await until_waiting(run, "c")

    await held.terminate("by mistake")

    await until_failed(run, "c")
    [node] = (await ask(run, "status"))["failed"]
    assert "was terminated" in node["reason"]
    await verb(run, "retry", node="c")
    await until_waiting(run, "c")
    await verb(run, "callback", node="c/w")
    assert (await result(run))["state"] == "finished"


# --- rolling over -------------------------------------------------------------------------------


async def test_a_child_goes_on_while_its_parent_rolls_over(client: Client) -> None:
    held = tree("start w n end", nodes=[task("w", code="wait"), task("n")])
    made = plan(
        "start fork c join end",
        f"fork {' '.join('abdefghi')} join",
        nodes=[child("c", held)],
    )
    async with open_flows(client, roll_over_events=20) as flows:
        run = await flows.start(made)
        await until(run, lambda seen: seen.get("counts", {}).get("done") == 8)
        first = run.first_execution_run_id
        assert (await run_of(flows, run.id).describe()).run_id != first

        await verb(run, "callback", node="c/w")

        # by its own report: the watch would only look half a minute later
        assert (await asyncio.wait_for(run.result(), 10))["state"] == "finished"


async def test_a_child_is_terminated_after_its_parent_rolled_over(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.children.LOOK_S", 0.2)
    held = tree("start w end", nodes=[task("w", code="wait")])
    made = plan(
        "start fork c join end", f"fork {' '.join('abdefghi')} join", nodes=[child("c", held)]
    )
    async with open_flows(client, roll_over_events=20) as flows:
        run = await flows.start(made)
        await until(run, lambda seen: seen.get("counts", {}).get("done") == 8)

        await run_of(flows, f"{run.id}/c").terminate("by mistake")

        await until_failed(run, "c")
        await verb(run, "skip", node="c")
        assert (await result(run))["state"] == "finished"
