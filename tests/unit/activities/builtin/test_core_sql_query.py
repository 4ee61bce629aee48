from pathlib import Path

import pytest
import sqlalchemy
from pydantic import JsonValue

from activities.builtin.sql_query import as_json, sql_query
from activities.contract import Done, Failed, Outcome
from activities.testing import Stage

Table = dict[str, dict[str, JsonValue]]


@pytest.fixture
def settings(tmp_path: Path) -> Table:
    url = f"sqlite:///{tmp_path / 'ops.db'}"
    engine = sqlalchemy.create_engine(url)
    with engine.begin() as connection:
        connection.exec_driver_sql("create table hosts (name text, cpus int, seen blob)")
        rows = [(f"web-{n}", n, b"\x01\x02") for n in range(5)]
        connection.exec_driver_sql("insert into hosts values (?, ?, ?)", rows)
    engine.dispose()
    known: JsonValue = {"default": {"url": url}, "inventory": {"url": url, "writable": True}}
    return {"sql_query": {"connections": known}}


async def ask(settings: Table, statement: str, **more: JsonValue) -> Outcome:
    async with Stage(settings=settings) as stage:
        return await stage.run(sql_query, {"statement": statement, **more})


async def test_rows_come_as_objects_by_bound_parameters(settings: Table) -> None:
    outcome = await ask(
        settings, "select * from hosts where name = :name", parameters={"name": "web-3"}
    )

    assert outcome == Done(
        outputs={
            "rows": [{"name": "web-3", "cpus": 3, "seen": "AQI="}],
            "columns": ["name", "cpus", "seen"],
            "row_count": 1,
            "truncated": False,
        }
    )


async def test_a_parameter_is_never_part_of_the_statement(settings: Table) -> None:
    outcome = await ask(
        settings, "select * from hosts where name = :n", parameters={"n": "' or '1'='1"}
    )

    assert outcome.outputs["rows"] == []


async def test_more_rows_than_wanted_are_left_out(settings: Table) -> None:
    outcome = await ask(settings, "select name from hosts", max_rows=2)

    assert outcome.outputs["rows"] == [{"name": "web-0"}, {"name": "web-1"}]
    assert outcome.outputs["truncated"] is True


@pytest.mark.parametrize(
    "statement", ["delete from hosts", "drop table hosts", "pragma query_only = off"]
)
async def test_a_statement_changes_nothing_by_default(settings: Table, statement: str) -> None:
    await ask(settings, statement)

    left = await ask(settings, "select count(*) as n from hosts")
    assert left.outputs["rows"] == [{"n": 5}]


async def test_node_and_connection_must_both_allow_a_change(settings: Table) -> None:
    statement = "delete from hosts where cpus > 2"
    refused = await ask(settings, statement, write=True)
    read = await ask(settings, statement, connection="inventory")
    done = await ask(settings, statement, write=True, connection="inventory")

    assert isinstance(refused, Failed)
    assert "connection 'default' only reads" in refused.error
    assert isinstance(read, Failed)
    assert done.outputs["row_count"] == 2


async def test_what_the_database_says_is_told_without_the_values(settings: Table) -> None:
    outcome = await ask(settings, "select :p from nowhere", parameters={"p": "hush-hush"})

    assert isinstance(outcome, Failed)
    assert outcome.error == (
        "the database refuses the statement: 'default': no such table: nowhere"
    )


async def test_a_missing_parameter_is_told(settings: Table) -> None:
    outcome = await ask(settings, "select :p")

    assert isinstance(outcome, Failed)
    assert "the statement cannot be run" in outcome.error


async def test_an_unknown_connection_names_those_there_are(settings: Table) -> None:
    outcome = await ask(settings, "select 1", connection="prod")

    assert isinstance(outcome, Failed)
    assert "no connection 'prod'; they have: default, inventory" in outcome.error


@pytest.mark.parametrize("url", ["no address hush-hush", "nodb://u:hush-hush@h/d"])
async def test_an_address_that_cannot_be_used_is_told_without_its_password(url: str) -> None:
    settings: Table = {"sql_query": {"connections": {"default": {"url": url}}}}

    outcome = await ask(settings, "select 1")

    assert isinstance(outcome, Failed)
    assert "connection 'default' of [plugins.sql_query]" in outcome.error
    assert "hush-hush" not in outcome.error


async def test_a_statement_that_takes_too_long_is_ended(settings: Table) -> None:
    endless = "with recursive n(i) as (select 1 union all select i + 1 from n) select max(i) from n"
    outcome = await ask(settings, endless, timeout_s=1)

    assert isinstance(outcome, Failed)
    assert outcome.error == "the statement was ended after 1 s, its limit"


async def test_only_reading_is_repeated() -> None:
    reading = sql_query.inputs_model(statement="select 1")
    writing = sql_query.inputs_model(statement="delete", write=True)

    assert (sql_query.may_repeat(reading), sql_query.may_repeat(writing)) == (True, False)


@pytest.mark.parametrize(
    ("cell", "told"),
    [(float("nan"), "nan"), ((1, b"\x00"), [1, "AA=="]), ({"a": None}, {"a": None})],
)
def test_a_cell_becomes_json(cell: object, told: JsonValue) -> None:
    assert as_json(cell) == told
