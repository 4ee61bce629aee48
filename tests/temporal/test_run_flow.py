"""A run from its start to its end, on the real server."""

import asyncio
from collections.abc import AsyncGenerator

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowFailureError
from temporalio.exceptions import ApplicationError
from temporalio.worker import Worker

from tests.helpers.build import subflow, task, tree, variable
from tests.helpers.flows import (
    Flows,
    Run,
    ask,
    open_flows,
    plan,
    result,
    told,
    until_failed,
    until_waiting,
    verb,
)
from translator.plan import AutoRetry, LoopConfig, Timeout
from workers.worker import workflow_runner
from workflows.run_flow import RunFlow
from workflows.run_flow.driver import Driver


@pytest.fixture(scope="module")
async def flows(client: Client) -> AsyncGenerator[Flows]:
    async with open_flows(client) as opened:
        yield opened


async def failure(run: Run) -> ApplicationError:
    """Wait for a run that fails, and return why."""
    with pytest.raises(WorkflowFailureError) as caught:
        await result(run)
    cause = caught.value.cause
    assert isinstance(cause, ApplicationError)
    return cause


ECHO = plan(
    "start a end",
    nodes=[task("a", inputs={"text": "${x}"})],
    variables=[variable("x", 0), told("y", "a")],
    outputs=["y"],
    key="mirror",
)


async def test_a_run_ends_with_its_outputs(flows: Flows) -> None:
    flows.keep(ECHO)

    run = await flows.start_type("RunFlow", {"template": "mirror", "inputs": {"x": [1, "b"]}})

    assert await result(run) == {
        "state": "finished",
        "outputs": {"y": [1, "b"]},
        "skipped": [],
        "ignored": [],
        "warnings": {},
    }


async def test_a_templates_key_is_a_workflow_type_for_plain_clients(
    flows: Flows, client: Client
) -> None:
    flows.keep(ECHO)
    plain = await Client.connect(client.service_client.config.target_host)

    run = await plain.start_workflow(
        "mirror", {"x": 1}, id=f"{flows.queue}-plain", task_queue=flows.queue
    )

    ended = await asyncio.wait_for(run.result(), 30)
    assert ended["outputs"] == {"y": 1}


async def test_a_templates_key_needs_no_input(flows: Flows) -> None:
    flows.keep(ECHO)

    assert (await result(await flows.start_type("mirror")))["outputs"] == {"y": 0}
    assert (await result(await flows.start_type("mirror", None)))["outputs"] == {"y": 0}


@pytest.mark.parametrize("odd", [[], "x", 7, [{"x": 1}]], ids=repr)
async def test_an_input_that_is_no_object_fails_the_run(flows: Flows, odd: object) -> None:
    flows.keep(ECHO)

    for name in ("mirror", "RunFlow"):
        error = await failure(await flows.start_type(name, odd))  # pyright: ignore[reportArgumentType]
        assert "one JSON object" in error.message


async def test_all_wrong_inputs_are_named_at_once(flows: Flows) -> None:
    flows.keep(ECHO)

    error = await failure(await flows.start_type("mirror", {"z": 1, "y": 2}))

    assert error.type == "SOP220"
    assert "no variable 'z'" in error.message
    assert "'y' is the output of a node" in error.message


async def test_an_unknown_template_fails_with_its_near_names(flows: Flows) -> None:
    flows.keep(ECHO)

    error = await failure(await flows.start_type("RunFlow", {"template": "miror"}))

    assert error.type == "SOP525"
    assert "did you mean 'mirror'" in error.message


async def test_unknown_fields_of_the_input_are_named(flows: Flows) -> None:
    error = await failure(await flows.start_type("RunFlow", {"templat": "mirror"}))

    assert "unknown field 'templat'" in error.message


async def test_an_unknown_plugin_is_refused_before_anything_runs(flows: Flows) -> None:
    flows.keep(plan("start a b end", nodes=[task("b", code="ecko")], key="strange"))

    run = await flows.start_type("RunFlow", {"template": "strange"})

    error = await failure(run)
    assert error.type == "SOP401"
    assert "did you mean 'echo'" in error.message
    assert flows.asked(run) == []


async def test_an_unknown_plugin_that_is_met_all_the_same_fails_its_node(flows: Flows) -> None:
    run = await flows.start(plan("start a b end", nodes=[task("b", code="ecko")]))
    await until_failed(run, "b")

    await verb(run, "skip", node="b")

    assert (await result(run))["skipped"] == ["b"]


async def test_skipped_and_ignored_nodes_are_told_at_the_end(flows: Flows) -> None:
    bad = {"wrong": True}
    made = plan(
        "start a b end", nodes=[task("a", inputs=bad, error_ignorable=True), task("b", inputs=bad)]
    )
    run = await flows.start(made)
    await until_failed(run, "b")

    await verb(run, "skip", node="b")

    ended = await result(run)
    assert (ended["skipped"], ended["ignored"]) == (["b"], ["a"])


async def test_branches_run_and_meet(flows: Flows) -> None:
    made = plan("start fork a join end", "fork b join")
    run = await flows.start(made)

    await result(run)

    assert sorted(flows.asked(run)) == [("call", "a"), ("call", "b")]


async def test_a_condition_sends_the_run_one_way(flows: Flows) -> None:
    made = plan(
        "start xor a end",
        "xor b end",
        conditions={"xor-a": "${x} > 3", "xor-b": "${x} <= 3"},
        variables=[variable("x", 5)],
    )
    run = await flows.start(made)

    await result(run)

    assert flows.asked(run) == [("call", "a")]


async def test_a_subflow_has_variables_of_its_own(flows: Flows) -> None:
    inner = tree(
        "start n end",
        nodes=[task("n", inputs={"text": "${p}-${p}"})],
        variables={"p": variable("p"), "q": told("q", "n")},
        outputs=["q"],
    )
    made = plan(
        "start sub1 end",
        nodes=[subflow("sub1", inner, params={"p": "${x}"})],
        variables=[variable("x", "v"), told("out", "sub1", "${q}")],
        outputs=["out"],
    )

    assert (await flows.run(made))["outputs"] == {"out": "v-v"}


async def test_expressions_are_evaluated_for_tasks_gateways_and_outputs(flows: Flows) -> None:
    made = plan(
        "start xor a end",
        "xor b end",
        nodes=[task("a", inputs={"text": "${','.join(x)}"})],
        conditions={"xor-a": "${len(x)} == 2", "xor-b": "${len(x)} != 2"},
        variables=[variable("x", ["p", "q"]), told("y", "a"), variable("z", "${y.upper()}!")],
        outputs=["y", "z"],
    )

    assert (await flows.run(made))["outputs"] == {"y": "p,q", "z": "P,Q!"}


async def test_a_variable_that_cannot_be_computed_fails_its_node_with_the_reason(
    flows: Flows,
) -> None:
    made = plan(
        "start a end",
        nodes=[task("a", inputs={"text": "${x}"})],
        variables=[variable("x", "v", code="nobodys")],
    )
    run = await flows.start(made)
    await until_failed(run, "a")

    [failed] = (await ask(run, "status"))["failed"]

    assert "'x'" in failed["reason"]
    assert "'nobodys'" in failed["reason"]


async def test_on_failure_fail_closes_the_run_as_failed(flows: Flows) -> None:
    made = plan("start a end", nodes=[task("a", inputs={"wrong": "disk"})])

    run = await flows.start(made, on_failure="fail")

    error = await failure(run)
    assert "wrong input 'disk'" in error.message
    assert (await run.describe()).status is WorkflowExecutionStatus.FAILED


async def test_a_poll_looks_until_its_work_is_done(flows: Flows) -> None:
    made = plan(
        "start a end",
        nodes=[task("a", code="poll", inputs={"looks": 3})],
        variables=[told("n", "a", "seen")],
        outputs=["n"],
    )
    run = await flows.start(made)

    assert (await result(run))["outputs"] == {"n": 3}
    assert flows.asked(run) == [("call", "a"), *[("poll", "a")] * 3]


async def test_polls_add_nothing_to_the_history(flows: Flows) -> None:
    async def length(looks: int) -> int:
        node = task("a", code="poll", inputs={"looks": looks})
        run = await flows.start(plan("start a end", nodes=[node]))
        await result(run)
        return (await run.fetch_history()).events[-1].event_id

    assert await length(6) == await length(1)


async def test_a_timer_ends_its_node_at_its_time(flows: Flows) -> None:
    made = plan("start a end", nodes=[task("a", code="sleep_timer", inputs={"bk_timing": "1"})])

    run = await flows.start(made)

    assert (await result(run))["state"] == "finished"
    kinds = [event.event_type for event in (await run.fetch_history()).events]
    assert kinds.count(EventType.EVENT_TYPE_TIMER_STARTED) == 1
    assert flows.asked(run) == []


async def test_a_failed_node_is_retried_by_itself(flows: Flows) -> None:
    retry = AutoRetry(times=1, interval_s=0)
    made = plan("start a end", nodes=[task("a", code="once", auto_retry=retry)])
    run = await flows.start(made)

    assert (await result(run))["state"] == "finished"
    assert [asked.entry for asked in flows.stage.asked[run.id]] == [1, 2]


@pytest.mark.parametrize("then", ["fail", "skip"])
async def test_a_time_limit_ends_a_node(flows: Flows, then: str) -> None:
    limit = Timeout.model_validate({"after_s": 1, "then": then})
    run = await flows.start(plan("start a end", nodes=[task("a", code="hold", timeout=limit)]))

    if then == "fail":
        await until_failed(run, "a")
        await verb(run, "skip", node="a")

    assert (await result(run))["skipped"] == ["a"]
    await flows.stage.until(lambda: flows.stage.cancelled[run.id] == ["a"])


async def test_a_node_of_its_own_loop_collects_its_passes(flows: Flows) -> None:
    node = task("a", inputs={"text": "hi"}, loop=LoopConfig(times=3))
    run = await flows.start(plan("start a end", nodes=[node]))

    await result(run)

    assert flows.asked(run) == [("call", "a")] * 3


async def test_a_loop_back_runs_nodes_again(flows: Flows) -> None:
    made = plan(
        "start a xor a",
        "xor end",
        conditions={"xor-a": "${n} < 3", "xor-end": "${n} >= 3"},
        variables=[told("n", "a", "_loop")],
    )
    run = await flows.start(made)

    await result(run)

    assert flows.asked(run) == [("call", "a")] * 3


async def test_temporals_own_cancel_stops_what_runs_and_closes_as_cancelled(flows: Flows) -> None:
    made = plan(
        "start fork a join end",
        "fork b join",
        nodes=[task("a", code="hold"), task("b", code="poll", inputs={"looks": 0})],
    )
    run = await flows.start(made)
    await flows.until_asked(run, "call", "a")
    await flows.until_asked(run, "poll", "b")

    await run.cancel()

    with pytest.raises(WorkflowFailureError):
        await result(run)
    found = await run.describe()
    assert found.status is WorkflowExecutionStatus.CANCELED
    assert flows.stage.stopped[run.id] == ["job of b"]
    await flows.stage.until(lambda: flows.stage.cancelled[run.id] == ["a"])


async def test_a_cancel_before_the_plan_is_loaded_closes_as_cancelled(client: Client) -> None:
    queue = "no-loader"
    only_workflows = Worker(
        client, task_queue=queue, workflows=[RunFlow], workflow_runner=workflow_runner()
    )
    async with only_workflows:
        run = await client.start_workflow("RunFlow", {"template": "x"}, id=queue, task_queue=queue)
        await ask(run, "status")
        await run.cancel()
        with pytest.raises(WorkflowFailureError):
            await result(run)

    assert (await run.describe()).status is WorkflowExecutionStatus.CANCELED


async def test_an_early_wait_is_seen_as_loading(client: Client) -> None:
    queue = "no-loader-either"
    only_workflows = Worker(
        client, task_queue=queue, workflows=[RunFlow], workflow_runner=workflow_runner()
    )
    async with only_workflows:
        run = await client.start_workflow("RunFlow", {"template": "x"}, id=queue, task_queue=queue)
        views = {name: await ask(run, name) for name in ("status", "explain", "diagram")}
        await run.terminate()

    assert all("loading its plan" in str(view) for view in views.values())


async def test_a_waiting_node_is_seen_as_waiting(flows: Flows) -> None:
    run = await flows.start(plan("start a end", nodes=[task("a", code="wait")]))

    await until_waiting(run, "a")

    assert (await ask(run, "status"))["state"] == "Waiting"
    await verb(run, "callback", node="a", data=1)
    await result(run)


async def test_a_bug_in_what_an_event_leads_to_is_not_swallowed() -> None:
    driver = Driver()

    async def work() -> None:
        raise KeyError("a bug of ours")

    task_of_a_node = asyncio.create_task(work())
    await asyncio.wait([task_of_a_node])
    driver._forget("a", 1, task_of_a_node)

    assert isinstance(driver._broken, KeyError)
    assert driver._steps == 1  # the run's main loop wakes and raises it
