"""Opening the database: address to engine, migrations, and database errors to ours."""

import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Engine, StaticPool, create_engine, event, inspect, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    NoSuchModuleError,
    OperationalError,
    SQLAlchemyError,
)
from sqlalchemy.orm import Session

from stdops import StoreError

REVISION: Final = "0002"
"""The newest migration; checked first, so that alembic is loaded only when there is work."""

WRITES: Final = "stdops_writes"
"""Execution option of a transaction that will write: it takes SQLite's write lock at once, so that
it waits for its turn instead of failing in the middle."""

_BUSY_MS: Final = 10_000

_SYMPTOMS: Final = (
    ("locked", "SOP521", "is locked by another process", "wait for it to end, then try again"),
    (
        "readonly",
        "SOP523",
        "is read-only",
        "make the file and its folder writable, or set STDOPS_STORE_URL to another place",
    ),
    (
        "disk is full",
        "SOP520",
        "has no room left on its disk",
        "free some space, or set STDOPS_STORE_URL to another place",
    ),
)
_CORRUPT: Final = ("not a database", "malformed", "file is encrypted", "unsupported file format")


def open_engine(url: str) -> Engine:
    """Return an engine on the database at `url`, its folder made and its tables up to date.

    Raises:
        StoreError: the database cannot be used (SOP520 to SOP524).
    """
    address = _address(url)
    with store_errors(address.render_as_string()):
        _make_folder(address)
        engine = _engine(address)
        with engine.connect() as connection:
            found = _revision(connection)
        if found != REVISION:
            with engine.connect().execution_options(**{WRITES: True}) as connection:
                _migrate(connection, address.render_as_string())
    return engine


@contextmanager
def reading(engine: Engine) -> Generator[Session]:
    """Have a session that only reads; the database's errors become a StoreError."""
    with store_errors(engine.url.render_as_string()), Session(engine) as session:
        yield session


@contextmanager
def writing(engine: Engine) -> Generator[Session]:
    """Have a session whose changes are kept when it ends well, and none of them else."""
    options = engine.execution_options(**{WRITES: True})
    with (
        store_errors(engine.url.render_as_string()),
        Session(options) as session,
        session.begin(),
    ):
        yield session


@contextmanager
def store_errors(where: str) -> Generator[None]:
    """Turn the database's errors into a StoreError that says the cure; `where` names the store."""
    try:
        yield
    except SQLAlchemyError as error:
        raise _told(error, where) from error
    except (OSError, ModuleNotFoundError) as error:
        raise StoreError(
            "SOP520",
            f"the store cannot be opened: {error}",
            where=where,
            fix="check STDOPS_STORE_URL and STDOPS_DATA_DIR",
        ) from error


def _address(url: str) -> URL:
    try:
        return make_url(url)
    except ArgumentError:
        raise StoreError(
            "SOP520",
            "the store's address cannot be read",
            where="STDOPS_STORE_URL",
            fix="write it as sqlite:///FOLDER/store.db or postgresql+psycopg://USER@HOST/NAME",
        ) from None


def _make_folder(address: URL) -> None:
    on_disk = address.get_backend_name() == "sqlite" and not address.query
    if on_disk and address.database and address.database != ":memory:":
        Path(address.database).parent.mkdir(parents=True, exist_ok=True)


def _engine(address: URL) -> Engine:
    if address.get_backend_name() != "sqlite":
        return create_engine(address, pool_pre_ping=True)
    in_memory = address.database in (None, "", ":memory:")
    pool: dict[str, Any] = {"poolclass": StaticPool} if in_memory else {}
    connect = {"check_same_thread": False, "timeout": _BUSY_MS / 1000}
    engine = create_engine(address, connect_args=connect, **pool)
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    return engine


def _prepare(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # transactions are begun by _begin, not by the driver
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.execute("PRAGMA foreign_keys=ON")


def _begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get(WRITES)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _migrate(connection: Connection, where: str) -> None:
    found = _revision(connection)  # asked again: another process may have been faster
    if found == REVISION:
        return
    if found is not None and found > REVISION:
        raise StoreError(
            "SOP524",
            f"the store was written by a newer stdops (its shape is {found}, ours {REVISION})",
            where=where,
            fix="upgrade stdops on this machine, or set STDOPS_STORE_URL to another store",
        )
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    connection.commit()


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _told(error: SQLAlchemyError, where: str) -> StoreError:
    said = str(error.orig) if isinstance(error, DBAPIError) else str(error)
    if any(mark in said for mark in _CORRUPT):
        return StoreError(
            "SOP522",
            f"the store is damaged or no database: {said}",
            where=where,
            fix="restore it from a copy, or move the file away and import the templates again",
        )
    for mark, code, what, fix in _SYMPTOMS:
        if mark in said:
            return StoreError(code, f"the store {what}", where=where, fix=fix)
    if isinstance(error, NoSuchModuleError):
        said = f"no such kind of database: {said}"
    cause = "cannot be opened" if isinstance(error, OperationalError) else "failed"
    return StoreError(
        "SOP520",
        f"the store {cause}: {said.splitlines()[0] if said else type(error).__name__}",
        where=where,
        fix="check STDOPS_STORE_URL and that the folder or server is there",
    )
