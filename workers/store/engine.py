"""Opening the database: address to engine, migrations, and database errors to ours."""

import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

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

REVISION: Final = "0003"
"""The newest migration; checked first, so that alembic is loaded only when there is work."""

WRITES: Final = "stdops_writes"
"""Execution option of a transaction that will write: it takes SQLite's write lock at once, so that
it waits for its turn instead of failing in the middle."""

_BUSY_MS: Final = 10_000

_MIGRATING: Final = 0x53544450
"""PostgreSQL's advisory lock of those that migrate: two would make the same tables."""

_SAVING: Final = _MIGRATING + 1
"""Its lock of those that save what is kept once: two would choose the same version or digest."""

_CONNECT_S: Final = 10
"""How long a database server may take to answer; without it, as long as the system likes."""

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
    (
        "No space left on device",
        "SOP520",
        "has no room left on its disk",
        "free some space on the database server",
    ),
    (
        "read-only transaction",
        "SOP523",
        "is read-only",
        "let STDOPS_STORE_URL name the primary server, not a standby",
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
        try:
            _bring_up_to_date(engine)
        except BaseException:
            engine.dispose()
            raise
    return engine


def _bring_up_to_date(engine: Engine) -> None:
    with engine.connect() as connection:
        found = _revision(connection)
    if found != REVISION:
        with engine.connect().execution_options(**{WRITES: True}) as connection:
            _migrate(connection, engine.url.render_as_string())


class Shape(NamedTuple):
    """What a look at a store found: `found` is None where there are no tables of ours yet."""

    found: str | None
    newest: str

    @property
    def is_current(self) -> bool:
        """Say whether its tables are those of this version."""
        return self.found == self.newest


def look(url: str) -> Shape:
    """Look at the store without making or migrating it, and check that it can be written.

    Raises:
        StoreError: the database cannot be used (SOP520 to SOP523).
    """
    address = _address(url)
    with store_errors(address.render_as_string()):
        if _is_missing(address):
            return Shape(None, REVISION)
        engine = _engine(address)
        try:
            with engine.connect().execution_options(**{WRITES: True}) as connection:
                found = _revision(connection)
                if found is not None:  # undone at once, and refused where nothing may be written
                    connection.execute(text("UPDATE alembic_version SET version_num = version_num"))
                connection.rollback()
        finally:
            engine.dispose()
    return Shape(found, REVISION)


def _is_missing(address: URL) -> bool:
    on_disk = address.get_backend_name() == "sqlite" and not address.query
    return on_disk and bool(address.database) and not Path(str(address.database)).exists()


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
def saving(engine: Engine) -> Generator[Session]:
    """Have a session as `writing` that no other process has at the same time."""
    with writing(engine) as session:
        _wait_for(session.connection(), _SAVING)
        yield session


def _wait_for(connection: Connection, lock: int) -> None:
    """Wait for a lock until the transaction ends; SQLite's write lock is one for all already."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": lock})


@contextmanager
def store_errors(where: str) -> Generator[None]:
    """Turn the database's errors into a StoreError that says the cure; `where` names the store."""
    try:
        yield
    except SQLAlchemyError as error:
        raise _told(error, where) from error
    except ModuleNotFoundError as error:
        raise StoreError(
            "SOP520",
            f"the driver of the store's database is missing: {error}",
            where=where,
            fix="install the extra `stdops[postgres]`",
        ) from error
    except OSError as error:
        raise StoreError(
            "SOP520",
            f"the store cannot be opened: {error}",
            where=where,
            fix="check STDOPS_STORE_URL and STDOPS_DATA_DIR",
        ) from error


def _address(url: str) -> URL:
    try:
        address = make_url(url)
    except ArgumentError:
        raise StoreError(
            "SOP520",
            "the store's address cannot be read",
            where="STDOPS_STORE_URL",
            fix="write it as sqlite:///FOLDER/store.db or postgresql://USER@HOST/NAME",
        ) from None
    # the plain name would mean another driver, which nobody installs any more
    is_plain = address.drivername in ("postgresql", "postgres")
    return address.set(drivername="postgresql+psycopg") if is_plain else address


def _make_folder(address: URL) -> None:
    on_disk = address.get_backend_name() == "sqlite" and not address.query
    if on_disk and address.database and address.database != ":memory:":
        Path(address.database).parent.mkdir(parents=True, exist_ok=True)


def _engine(address: URL) -> Engine:
    if address.get_backend_name() != "sqlite":
        limit = {"connect_timeout": _CONNECT_S} if address.drivername.endswith("psycopg") else {}
        return create_engine(address, pool_pre_ping=True, connect_args=limit)
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
    _wait_for(connection, _MIGRATING)
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
