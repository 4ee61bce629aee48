"""Core plugins on the real server: a person is asked, and answers by an update."""

from collections.abc import AsyncGenerator

import pytest
from temporalio.client import Client

from tests.helpers.build import task
from tests.helpers.flows import Flows, open_flows, plan, result, told, until_waiting, verb


@pytest.fixture(scope="module")
async def flows(client: Client) -> AsyncGenerator[Flows]:
    async with open_flows(client) as opened:
        yield opened


async def test_a_person_is_asked_until_the_answer_is_one_of_the_choices(flows: Flows) -> None:
    question = task(
        "q", code="ask", version="v1.0", inputs={"question": "Deploy?", "choices": "yes,no"}
    )
    flows.keep(
        plan(
            "start q end",
            nodes=[question],
            variables=[told("said", "q", "answer")],
            outputs=["said"],
            key="asking",
        )
    )
    run = await flows.start_type("RunFlow", {"template": "asking"})
    await until_waiting(run, "q")

    await verb(run, "callback", node="q", data={"answer": "maybe"})
    await until_waiting(run, "q")
    await verb(run, "callback", node="q", data={"answer": "yes"})

    assert (await result(run))["outputs"] == {"said": "yes"}
