"""One run to its people, however many histories it went through."""

from collections import Counter

from temporalio.client import Client

from tests.helpers.build import task, variable
from tests.helpers.flows import (
    Flows,
    histories,
    open_flows,
    plan,
    result,
    told,
    until_failed,
    until_waiting,
    verb,
)
from workers.cli.history import Record, read_record
from workers.cli.wiring import Connection
from workers.client import Runs
from workers.settings import Settings

ROW = "a b c d f e g h i j k l m n o q r s"
CONTINUED = 5
SET = 5


def connection(flows: Flows) -> Connection:
    settings = Settings(task_queue=flows.queue, store_url="sqlite://")
    return Connection(flows.client, Runs(flows.client, settings), settings)


async def recorded(flows: Flows) -> Record:
    """Play a run with a poll, a failure, a callback and verbs through many histories; read it."""
    made = plan(
        f"start fork {ROW} w join end",
        "fork p join",
        nodes=[
            *(task(name) for name in ROW.split()),
            task("p", code="poll", inputs={"looks": 0}),
            task("w", code="wait"),
            task("f", inputs={"wrong": True}),
        ],
        variables=[variable("x", 0), told("y", "s")],
    )
    run = await flows.start(made)
    await until_failed(run, "f")
    await verb(run, "retry", node="f", set={"wrong": False}, operator="ann")
    await flows.until_asked(run, "call", "s")
    await until_waiting(run, "w")
    for number in range(SET):
        await verb(run, "set_variables", values={"x": number}, operator="bob")
    flows.open(run, "p")
    await verb(run, "callback", node="w", data="yes", operator="eve")
    status = await connection(flows).runs.query(run.id, "status")
    await result(run)

    assert status["state"] in ("Running", "Waiting", "Finished")
    assert len(await histories(run)) > CONTINUED
    return await read_record(connection(flows), run.id)


async def test_every_attempt_and_every_verb_of_a_long_run_is_shown_once(client: Client) -> None:
    async with open_flows(client, roll_over_events=20) as flows:
        record = await recorded(flows)

    tasks = [each for each in record.attempts if each.kind == "task"]
    verbs = Counter((action.verb, action.operator) for action in record.actions)
    expected = dict.fromkeys([*ROW.split(), "p", "w"], 1) | {"f": 2}
    assert Counter(each.node for each in tasks) == expected
    assert [each.outcome for each in tasks if each.node == "f"] == ["failed", "done"]
    assert {each.outcome for each in tasks if each.node != "f"} == {"done"}
    assert verbs == {("retry", "ann"): 1, ("set_variables", "bob"): SET, ("callback", "eve"): 1}
    assert not record.lost
