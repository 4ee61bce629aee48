"""`sql_query`: asks a database, or changes it, by a statement with bound parameters.

Connections stand in the workers' settings by name, so that no template holds a password. A
statement reads only, unless its connection and its node both say otherwise: then it is one
transaction. Reading is safe to repeat; of a change whose connection is lost nobody knows.
"""

import asyncio
import base64
import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import date, time
from typing import TYPE_CHECKING, Any, Final, cast

from pydantic import BaseModel, ConfigDict, Field, JsonValue, SecretStr

from activities.builtin.threads import in_thread
from activities.sdk import Call, Inputs, OutcomeUnknown, Outputs, PluginError, plugin

if TYPE_CHECKING:  # at run time only where a statement is run: it is large
    from sqlalchemy import Connection, CursorResult, Engine

MAX_ROWS: Final = 10_000
LONGEST_S: Final = 3600

_READ_ONLY: Final[Mapping[str, str]] = {
    "postgresql": "SET TRANSACTION READ ONLY",
    "mysql": "SET TRANSACTION READ ONLY",
    "mariadb": "SET TRANSACTION READ ONLY",
    "sqlite": "PRAGMA query_only = ON",
}
"""What makes a transaction read only, by dialect; elsewhere it is only rolled back."""

_READ_AND_WRITE: Final[Mapping[str, str]] = {"sqlite": "PRAGMA query_only = OFF"}


class SqlConnection(BaseModel):
    """A database by its address; `writable` lets nodes change it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: SecretStr
    writable: bool = False
    pool_size: int = Field(default=4, ge=1, le=100)


class SqlSettings(BaseModel):
    """The table `[plugins.sql_query]`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    connections: dict[str, SqlConnection] = Field(
        default_factory=dict,
        description="Databases by name: `url` (SQLAlchemy's), `writable`, `pool_size`",
    )


class SqlInputs(Inputs):
    """Which database is asked, and what."""

    connection: str = Field(
        default="default", description="Name of a connection in the workers' settings"
    )
    statement: str = Field(
        min_length=1, description="One statement; parameters as `:name`, never pasted into it"
    )
    parameters: dict[str, JsonValue] = Field(
        default_factory=dict, description="Values of the parameters, by name"
    )
    write: bool = Field(default=False, description="The statement changes something")
    max_rows: int = Field(default=1000, ge=1, le=MAX_ROWS, description="Rows that are kept")
    timeout_s: int = Field(default=30, ge=1, le=LONGEST_S, description="Seconds until it is ended")


class SqlOutputs(Outputs):
    """What the database gave."""

    rows: list[dict[str, JsonValue]] = Field(description="The rows, each an object by column")
    columns: list[str] = Field(description="The columns in order")
    row_count: int = Field(description="Rows in `rows`, or rows that were changed")
    truncated: bool = Field(default=False, description="There were more rows than `max_rows`")


@plugin(
    "sql_query",
    version="v1.0",
    name="SQL query",
    group="Core",
    timeout_s=LONGEST_S + 60,
    settings={"sql_query": SqlSettings},
)
async def sql_query(call: Call[SqlInputs]) -> SqlOutputs:
    """Ask a database by a statement with bound parameters; rows come as a list of objects.

    Dates and times come as ISO text, decimals as text, bytes as base64.
    """
    settings = call.shelf.settings("sql_query", SqlSettings)
    name = call.inputs.connection
    known = _known(settings, name)
    if call.inputs.write and not known.writable:
        raise PluginError(
            f"connection {name!r} only reads; turn `write` off, or set writable for it in "
            "[plugins.sql_query] of the workers' settings"
        )
    engine = call.shelf.shared((SqlSettings, name), lambda: _engine(known, name))
    running: list[Connection] = []
    try:
        async with asyncio.timeout(call.inputs.timeout_s):
            return await in_thread(call, _run, engine, call.inputs, running)
    except TimeoutError:
        what = f"the statement was ended after {call.inputs.timeout_s} s, its limit"
        if call.inputs.write:
            raise OutcomeUnknown(what, f"connection {name!r}") from None
        raise PluginError(what) from None
    finally:
        _interrupt(running)


@sql_query.repeatable
def _(inputs: SqlInputs) -> bool:
    return not inputs.write


def as_json(value: object) -> JsonValue:
    """Return a cell as JSON; what is none of its kinds becomes text."""
    match value:
        case None | bool() | int() | str():
            return value
        case float() if math.isfinite(value):
            return value
        case bytes():
            return base64.b64encode(value).decode()
        case dict() | list() | tuple():
            return _nested(cast("dict[object, object] | Sequence[object]", value))
        case date() | time():
            return value.isoformat()
        case _:
            return str(value)


def _nested(value: dict[object, object] | Sequence[object]) -> JsonValue:
    if isinstance(value, dict):
        return {str(key): as_json(item) for key, item in value.items()}
    return [as_json(item) for item in value]


def _known(settings: SqlSettings, name: str) -> SqlConnection:
    found = settings.connections.get(name)
    if found is None:
        raise PluginError(
            f"the workers have no connection {name!r}; they have: "
            f"{', '.join(sorted(settings.connections)) or 'none'} (connections in "
            "[plugins.sql_query] of their settings)"
        )
    return found


def _engine(known: SqlConnection, name: str) -> "Engine":
    from sqlalchemy import create_engine
    from sqlalchemy.exc import ArgumentError, NoSuchModuleError

    place = f"connection {name!r} of [plugins.sql_query]"
    try:
        return create_engine(
            known.url.get_secret_value(),
            pool_size=known.pool_size,
            pool_pre_ping=True,
            hide_parameters=True,
        )
    except (ImportError, NoSuchModuleError) as error:
        raise PluginError(f"{place} needs a driver that is not installed: {error}") from error
    except (ArgumentError, ValueError, TypeError):
        # the text of these errors holds the address, with its password
        raise PluginError(f"{place} has an address that SQLAlchemy cannot read") from None


def _run(engine: "Engine", given: SqlInputs, running: "list[Connection]") -> SqlOutputs:
    """Run the statement in a thread; `running` holds its connection meanwhile."""
    from sqlalchemy.exc import DBAPIError, SQLAlchemyError

    with _opened(engine) as connection:
        running.append(connection)
        try:
            return _in_transaction(connection, given)
        except DBAPIError as error:
            what = f"{given.connection!r}: {_reason(error)}"
            if error.connection_invalidated:
                lost = f"the connection was lost: {what}"
                raise OutcomeUnknown(lost, f"database {given.connection!r}") from error
            raise PluginError(f"the database refuses the statement: {what}") from error
        except SQLAlchemyError as error:
            raise PluginError(f"the statement cannot be run: {_reason(error)}") from error
        finally:
            running.remove(connection)


def _opened(engine: "Engine") -> "Connection":
    from sqlalchemy.exc import DBAPIError, SQLAlchemyError

    try:
        return engine.connect()
    except DBAPIError as error:
        raise PluginError(f"no connection: {_reason(error)}", retryable=True) from error
    except SQLAlchemyError as error:  # all connections are taken
        raise PluginError(f"no connection: {_reason(error)}", retryable=True) from error


def _in_transaction(connection: "Connection", given: SqlInputs) -> SqlOutputs:
    from sqlalchemy import text

    kinds = _READ_AND_WRITE if given.write else _READ_ONLY
    if first := kinds.get(connection.dialect.name):
        connection.exec_driver_sql(first)
    outputs = _outputs(connection.execute(text(given.statement), given.parameters), given.max_rows)
    if given.write:
        connection.commit()
    else:
        connection.rollback()
    return outputs


def _outputs(result: "CursorResult[Any]", max_rows: int) -> SqlOutputs:
    if not result.returns_rows:
        return SqlOutputs(rows=[], columns=[], row_count=max(result.rowcount, 0))
    columns = list(result.keys())
    found = [tuple(row) for row in result.fetchmany(max_rows + 1)]
    rows = [dict(zip(columns, map(as_json, row), strict=True)) for row in found[:max_rows]]
    return SqlOutputs(
        rows=rows, columns=columns, row_count=len(rows), truncated=len(found) > max_rows
    )


def _interrupt(running: "list[Connection]") -> None:
    """End statements that nobody waits for any more; how is the driver's business."""
    for connection in list(running):
        driver: Any = connection.connection.driver_connection
        stop = getattr(driver, "interrupt", None) or getattr(driver, "cancel", None)
        if callable(stop):
            with suppress(Exception):  # a driver may raise anything; the statement ends by itself
                stop()


def _reason(error: Exception) -> str:
    """Return what the database says, without the statement and its parameters."""
    said = getattr(error, "orig", None) or error
    return str(said).split("\n", maxsplit=1)[0]
