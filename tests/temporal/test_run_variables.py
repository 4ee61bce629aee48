"""Variables of a run on the real server: the system's and the project's, and the query."""

from collections.abc import AsyncGenerator

import pytest
from pydantic import JsonValue
from temporalio.client import Client, WorkflowFailureError
from temporalio.exceptions import ApplicationError

from tests.helpers.build import subflow, task, tree, variable
from tests.helpers.flows import Flows, ask, open_flows, plan, result, told, until_failed, verb
from translator.plan import Plan


@pytest.fixture(scope="module")
async def flows(client: Client) -> AsyncGenerator[Flows]:
    async with open_flows(client) as opened:
        yield opened


def nested(text: str, key: str) -> Plan:
    """A plan in which a node of the root and one of a subflow give back `text`."""
    inner = tree(
        "start n end",
        nodes=[task("n", inputs={"text": text})],
        variables={"q": told("q", "n")},
        outputs=["q"],
    )
    return plan(
        "start a sub1 end",
        nodes=[task("a", inputs={"text": text}), subflow("sub1", inner)],
        variables=[told("out", "a"), told("deep", "sub1", "${q}")],
        outputs=["out", "deep"],
        key=key,
    )


async def test_a_run_knows_its_operator_its_project_and_itself(flows: Flows) -> None:
    text = "${_system.operator} ${_system.project_name} ${_env_region} ${_system.task_id}"
    flows.keep(nested(text, "who"))
    project: dict[str, JsonValue] = {"project_name": "Shop", "env": {"region": "sz"}}

    run = await flows.start_type(
        "RunFlow", {"template": "who", "operator": "ann", "project": project}
    )

    wanted = f"ann Shop sz {run.id}"
    assert (await result(run))["outputs"] == {"out": wanted, "deep": wanted}


async def test_a_project_that_cannot_be_used_fails_the_start(flows: Flows) -> None:
    flows.keep(nested("x", "odd"))
    run = await flows.start_type("RunFlow", {"template": "odd", "project": {"env": 1}})

    with pytest.raises(WorkflowFailureError) as caught:
        await result(run)

    cause = caught.value.cause
    assert isinstance(cause, ApplicationError)
    assert (cause.type, "'env' is 1" in cause.message) == ("SOP220", True)


async def test_the_query_tells_each_variable_and_who_wrote_it(flows: Flows) -> None:
    made = plan(
        "start a b end",
        nodes=[task("a", inputs={"text": "${x}"}), task("b", inputs={"wrong": True})],
        variables=[variable("x", "v"), told("y", "a")],
    )
    run = await flows.start(made)
    await until_failed(run, "b")
    await verb(run, "set_variables", values={"x": "w"}, operator="bob")

    [root] = (await ask(run, "variables"))["flows"]

    by_key = {each["key"]: each for each in root["variables"]}
    assert (by_key["x"]["value"], by_key["x"]["source"], by_key["x"]["writer"]) == (
        "w",
        "operator",
        "bob",
    )
    assert (by_key["y"]["value"], by_key["y"]["source"], by_key["y"]["writer"]) == (
        "v",
        "output",
        "a",
    )
    assert by_key["_system"]["source"] == "system"
    await verb(run, "revoke")
