"""The store's tests again, on a PostgreSQL server: `STDOPS_TEST_POSTGRES` is its address.

Every test of the store and the inbox that says nothing of SQLite's own files is run; each has a
schema of its own, which is dropped afterwards.
"""

import inspect
import os
import secrets
import threading
from collections.abc import Callable, Generator
from types import ModuleType
from typing import Any

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

from stdops import StoreError
from tests.unit.workers import test_inbox, test_store
from workers.store import Store
from workers.store.engine import REVISION, look
from workers.store.inbox import Inbox

SERVER = os.environ.get("STDOPS_TEST_POSTGRES", "")
pytestmark = pytest.mark.skipif(
    not SERVER, reason="STDOPS_TEST_POSTGRES names no PostgreSQL server to test on"
)
OF_FILES = {
    "test_a_locked_store_is_said",
    "test_a_store_is_kept_in_write_ahead_mode",
}


def _shared(module: ModuleType) -> dict[str, Callable[..., None]]:
    """Return the tests of a module that take the store, the inbox or its address."""
    wanted = {"store", "inbox", "url"}
    found: dict[str, Any] = vars(module)
    return {
        name: test
        for name, test in found.items()
        if name.startswith("test_")
        and name not in OF_FILES
        and wanted & {*inspect.signature(test).parameters}
        and not _has_urls_of_its_own(test)
    }


def _has_urls_of_its_own(test: Callable[..., None]) -> bool:
    marks: list[pytest.Mark] = getattr(test, "pytestmark", [])
    return any(mark.name == "parametrize" and mark.args[0] == "url" for mark in marks)


globals().update(_shared(test_store), **_shared(test_inbox))


@pytest.fixture
def url() -> Generator[str]:
    schema = f"t{secrets.token_hex(6)}"
    engine = create_engine(make_url(SERVER).set(drivername="postgresql+psycopg"))
    with engine.begin() as connection:
        connection.execute(text(f"CREATE SCHEMA {schema}"))
    address = make_url(SERVER).set(drivername="postgresql+psycopg")
    yield address.update_query_dict({"options": f"-csearch_path={schema}"}).render_as_string(
        hide_password=False
    )
    with engine.begin() as connection:
        connection.execute(text(f"DROP SCHEMA {schema} CASCADE"))
    engine.dispose()


@pytest.fixture
def store(url: str) -> Generator[Store]:
    with Store.open(url) as opened:
        yield opened


@pytest.fixture
def inbox(store: Store) -> Inbox:
    return store.inbox


def test_many_that_start_at_once_make_the_tables_once(url: str) -> None:
    troubles: list[BaseException] = []

    def start() -> None:
        try:
            Store.open(url).close()
        except StoreError as error:
            troubles.append(error)

    threads = [threading.Thread(target=start) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert troubles == []
    assert look(url) == (REVISION, REVISION)


def test_an_address_without_a_driver_means_the_one_that_we_bring(url: str) -> None:
    plain = url.replace("postgresql+psycopg://", "postgresql://")

    with Store.open(plain) as store:
        store.check()


def test_a_standby_that_takes_no_writes_is_said(url: str, store: Store) -> None:
    read_only = url + "%20-cdefault_transaction_read_only%3Don"

    with pytest.raises(StoreError, match="SOP523 the store is read-only"):
        look(read_only)
    with Store.open(read_only) as opened, pytest.raises(StoreError, match="SOP523"):
        opened.save_plan(test_store.a_plan())


def test_a_server_that_is_away_is_said_without_the_password() -> None:
    with pytest.raises(StoreError, match="SOP520 the store cannot be opened") as caught:
        Store.open("postgresql://ann:hidden@127.0.0.1:1/stdops")

    assert "hidden" not in str(caught.value)


def test_a_database_that_is_not_there_is_said(url: str) -> None:
    other = make_url(url).set(database="not_there")

    with pytest.raises(StoreError, match="not_there"):
        Store.open(other.render_as_string(hide_password=False))
