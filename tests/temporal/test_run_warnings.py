"""Fragments that cannot be evaluated, on the real server: told of, or fatal in a strict run."""

from collections.abc import AsyncGenerator
from typing import Any

import pytest
from temporalio.client import Client
from temporalio.worker import Replayer

from activities.expressions import Sandbox
from tests.helpers.build import task, variable
from tests.helpers.flows import (
    Flows,
    Run,
    ask,
    open_flows,
    plan,
    result,
    until_failed,
    until_waiting,
    verb,
)
from translator.plan import Plan
from workers.payloads import DATA_CONVERTER
from workers.worker import workflow_runner
from workflows.run_flow import PageInterceptor, RunFlow, TemplateFlow

ROLL_OVER = 10


def one(text: str) -> Plan:
    """A node with `text`, then one that waits for an answer."""
    nodes = [task("a", inputs={"text": text}), task("w", code="wait")]
    return plan("start a w end", nodes=nodes, variables=[variable("port", "80")])


@pytest.fixture(scope="module")
async def flows(client: Client) -> AsyncGenerator[Flows]:
    async with open_flows(client) as opened:
        yield opened


async def told(run: Run) -> list[dict[str, Any]]:
    """Return what the status tells once the run waits."""
    await until_waiting(run, "w")
    return (await ask(run, "status"))["warnings"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("${port + 1}", "it raises TypeError"),
        ("${prot}", "did you mean 'port'?"),
        ("ping ${prot}", "did you mean 'port'?"),
    ],
)
async def test_what_stays_text_stands_in_status_page_and_result(
    flows: Flows, text: str, reason: str
) -> None:
    run = await flows.start(one(text))

    (warning,) = await told(run)
    page: str = (await ask(run, "__temporal_workflow_metadata")).current_details
    await verb(run, "callback", node="w")
    ended = await result(run)

    assert (warning["path"], reason in warning["text"]) == ("a", True)
    assert "\u26a0 1 warning: **" in page
    assert ended["warnings"] == {"a": [warning["text"]]}


@pytest.mark.parametrize("text", ["${port + 1}", "${prot}"])
async def test_a_strict_run_fails_the_node_and_goes_on_once_it_is_mended(
    flows: Flows, text: str
) -> None:
    run = await flows.start(one(text), strict=True)

    await until_failed(run, "a")
    (failed,) = (await ask(run, "status"))["failed"]
    await verb(run, "retry", node="a", set={"text": "mended"})

    assert "input 'text' cannot be evaluated: it" in failed["reason"]
    assert await told(run) == []
    await verb(run, "revoke")


async def test_the_setting_makes_every_run_strict_but_those_that_say_otherwise(
    client: Client,
) -> None:
    async with open_flows(client, strict=True) as flows:
        strict = await flows.start(one("${prot}"))
        loose = await flows.start(one("${prot}"), strict=False)

        await until_failed(strict, "a")
        assert len(await told(loose)) == 1
        await verb(strict, "revoke")
        await verb(loose, "revoke")


async def test_warnings_and_strict_go_on_with_the_run_in_a_fresh_history(client: Client) -> None:
    names = [f"n{number}" for number in range(8)]
    nodes = [task("n0", inputs={"text": "${nope}"}), task("n1", inputs={"text": "${nope + 1}"})]
    made = plan(f"start {' '.join(names)} end", nodes=nodes)
    async with open_flows(client, roll_over_events=ROLL_OVER) as flows:
        ended = await flows.run(made)

    assert list(ended["warnings"]) == ["n0", "n1"]


# --- replay -------------------------------------------------------------------------------------


class OtherSandbox:
    """Would answer otherwise, and counts that it is asked."""

    def __init__(self) -> None:
        self.asked = 0

    async def evaluate(self, *_: Any, **__: Any) -> dict[str, Any]:
        self.asked += 1
        return {"0": "another"}


async def test_a_recorded_evaluation_decides_the_branch_on_replay(
    flows: Flows, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = plan(
        "start xor a end",
        "xor b end",
        conditions={"xor-a": "${int(port) + 1} == 81", "xor-b": "${int(port) + 1} != 81"},
        variables=[variable("port", "80")],
    )
    run = await flows.start(made)
    await result(run)
    history = await client.get_workflow_handle(run.id).fetch_history()
    assert flows.asked(run) == [("call", "a")]
    other = OtherSandbox()
    monkeypatch.setattr(Sandbox, "evaluate", other.evaluate)

    replayer = Replayer(
        workflows=[RunFlow, TemplateFlow],
        data_converter=DATA_CONVERTER,
        interceptors=[PageInterceptor()],
        workflow_runner=workflow_runner(),
    )
    await replayer.replay_workflow(history)

    assert other.asked == 0
