import sqlite3
import threading
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, inspect, text

import workers.store
from stdops import StoreError
from translator.plan import End, Flow, Plan, Start
from workers.store import NewTemplate, Store
from workers.store.engine import REVISION
from workers.store.models import Base


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/folder/store.db"


@pytest.fixture
def store(url: str) -> Generator[Store]:
    with Store.open(url) as opened:
        yield opened


def a_plan(key: str = "release", name: str = "") -> Plan:
    flow = Flow(start="s", nodes={"s": Start(id="s", next="e"), "e": End(id="e")})
    return Plan(template_key=key, name=name, flow=flow)


def a_template(
    key: str = "release", digest: str = "d1", name: str = "Release", source_version: str = ""
) -> NewTemplate:
    plan = a_plan(key, digest)
    return NewTemplate(key, name, f"id-{key}", "web", digest, plan, source_version)


def save(store: Store, *templates: NewTemplate) -> list[int]:
    saved = store.save_templates(templates, b"the file", "release.json", "ann")
    return [one.version for one in saved]


def test_versions_count_from_one_for_each_key(store: Store) -> None:
    assert save(store, a_template(), a_template("ping")) == [1, 1]
    assert save(store, a_template(digest="d2")) == [2]

    assert store.template("release").digest == "d2"
    assert store.template("release", 1).digest == "d1"
    assert [one.version for one in store.versions("release")] == [2, 1]


def test_saving_the_current_version_again_changes_nothing(store: Store) -> None:
    save(store, a_template())

    again = store.save_templates([a_template()], b"the file", "release.json", "bob")

    assert [(one.version, one.created) for one in again] == [(1, False)]
    assert store.template("release").imported_by == "ann"


def test_an_older_version_s_bytes_become_the_newest_version(store: Store) -> None:
    save(store, a_template())
    save(store, a_template(digest="d2"))

    assert save(store, a_template()) == [3]


def test_two_templates_of_one_key_in_one_file_are_two_versions(store: Store) -> None:
    assert save(store, a_template(), a_template(digest="d2")) == [1, 2]


def test_what_was_stored_is_what_is_found(store: Store) -> None:
    save(store, a_template(name="发布", source_version="md5"))

    found = store.template("release")

    assert (found.name, found.source_id, found.source_version) == ("发布", "id-release", "md5")
    assert (found.format, found.imported_by) == ("web", "ann")
    assert found.imported_at.utcoffset() is not None
    assert store.document(found.document_digest) == b"the file"
    assert store.plan(found.plan_digest) == a_plan(name="d1")
    assert store.plan_of("release") == a_plan(name="d1")


def test_when_one_template_cannot_be_saved_none_is(store: Store) -> None:
    broken = replace(a_template("ping"), name=cast("str", None))  # the column takes no NULL

    with pytest.raises(StoreError):
        save(store, a_template(), broken)

    assert store.list_templates() == []


def test_the_list_has_the_newest_version_of_each_key(store: Store) -> None:
    save(store, a_template(), a_template("ping"))
    save(store, a_template(digest="d2"))

    listed = [(one.key, one.version) for one in store.list_templates()]

    assert listed == [("ping", 1), ("release", 2)]


def test_a_plan_is_saved_once_by_its_digest(store: Store) -> None:
    digest = store.save_plan(a_plan())

    assert store.save_plan(a_plan()) == digest == a_plan().digest
    assert store.plan(digest) == a_plan()


def test_a_child_is_found_by_id_and_version(store: Store) -> None:
    def child(digest: str, version: str) -> NewTemplate:
        return NewTemplate(
            "ping", "Ping", "t7", "web", digest, a_plan("ping", digest), version, {"at": version}
        )

    save(store, child("d1", "v-old"))
    save(store, child("d2", "v-new"))

    assert store.find("t7", None) == {"at": "v-new"}
    assert store.find("t7", "v-old") == {"at": "v-old"}
    assert store.find("t7", "v-other") is None
    assert store.find("t8", None) is None


def test_a_child_without_a_version_serves_every_version(store: Store) -> None:
    save(store, NewTemplate("ping", "Ping", "t7", "web", "d", a_plan("ping"), "", {"a": 1}))

    assert store.find("t7", "anything") == {"a": 1}


@pytest.mark.parametrize(
    ("key", "version", "code", "says"),
    [
        ("relaese", None, "SOP525", "did you mean 'release'?"),
        ("other", None, "SOP525", "known are 'release'"),
        ("release", 9, "SOP526", "its newest is 1"),
    ],
)
def test_an_unknown_template_is_said_with_what_is_there(
    store: Store, key: str, version: int | None, code: str, says: str
) -> None:
    save(store, a_template())

    with pytest.raises(StoreError) as caught:
        store.template(key, version)

    assert caught.value.code == code
    assert says in str(caught.value)


def test_an_unknown_digest_is_said(store: Store) -> None:
    with pytest.raises(StoreError, match="SOP527 the store holds no plan 'abc'"):
        store.plan("abc")
    with pytest.raises(StoreError, match="SOP527 the store holds no document 'abc'"):
        store.document("abc")


def test_a_plan_of_another_shape_is_said(store: Store, url: str) -> None:
    digest = store.save_plan(a_plan())
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE plans SET json = '{\"schema_version\": 99}'"))
    engine.dispose()

    with pytest.raises(StoreError, match="SOP528"):
        store.plan(digest)


def test_a_store_can_be_opened_again(url: str) -> None:
    with Store.open(url) as first:
        save(first, a_template())

    with Store.open(url) as second:
        assert second.template("release").version == 1


def test_a_store_in_memory_is_shared_by_threads() -> None:
    with Store.open("sqlite://") as store:
        worker = threading.Thread(target=save, args=(store, a_template()))
        worker.start()
        worker.join()

        assert store.template("release").version == 1


def test_writers_at_the_same_time_get_versions_of_their_own(store: Store) -> None:
    versions: list[int] = []

    def write(name: str) -> None:
        versions.extend(save(store, a_template(digest=name)))

    threads = [threading.Thread(target=write, args=(f"d{n}",)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(versions) == list(range(1, 9))


# --- stores that cannot be used ---------------------------------------------------------------


def test_a_damaged_file_is_said(tmp_path: Path) -> None:
    file = tmp_path / "store.db"
    file.write_bytes(b"no database at all" * 100)

    with pytest.raises(StoreError, match="SOP522 the store is damaged") as caught:
        Store.open(f"sqlite:///{file}")

    assert "restore it from a copy" in caught.value.fix


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(StoreError, match="SOP520 the store cannot be opened"):
        Store.open(f"sqlite:///{tmp_path}/file/store.db")


def test_a_folder_in_the_place_of_the_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="SOP520 the store cannot be opened"):
        Store.open(f"sqlite:///{tmp_path}")


def test_a_read_only_store_is_said(tmp_path: Path) -> None:
    file = tmp_path / "store.db"
    sqlite3.connect(file).close()

    with pytest.raises(StoreError, match="SOP523 the store is read-only"):
        Store.open(f"sqlite:///file:{file}?mode=ro&uri=true")


def test_a_locked_store_is_said(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    Store.open(url).close()
    monkeypatch.setattr("workers.store.engine._BUSY_MS", 10)
    holder = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")

    with Store.open(url) as store, pytest.raises(StoreError, match="SOP521 the store is locked"):
        save(store, a_template())

    holder.close()


@pytest.mark.parametrize(
    "url", ["nonsense", "oracel://host/x", "postgresql+psycopg_missing://host/x"]
)
def test_an_address_that_leads_nowhere_is_said(url: str) -> None:
    with pytest.raises(StoreError, match="SOP520") as caught:
        Store.open(url)

    assert "STDOPS_STORE_URL" in str(caught.value)


def test_a_newer_store_is_left_alone(url: str) -> None:
    Store.open(url).close()
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()

    with pytest.raises(StoreError, match="SOP524 the store was written by a newer stdops"):
        Store.open(url)


# --- migrations -------------------------------------------------------------------------------


def test_the_newest_migration_is_the_one_that_is_checked_for() -> None:
    config = Config()
    folder = Path(workers.store.__file__).parent / "migrations"
    config.set_main_option("script_location", str(folder))

    assert ScriptDirectory.from_config(config).get_current_head() == REVISION


def test_the_migrations_make_the_tables_of_the_models(url: str) -> None:
    Store.open(url).close()
    engine = create_engine(url)
    found = inspect(engine)

    columns = {
        table: {column["name"]: column["nullable"] for column in found.get_columns(table)}
        for table in found.get_table_names()
        if table != "alembic_version"
    }

    engine.dispose()
    assert columns == {
        name: {column.name: column.nullable for column in table.columns}
        for name, table in Base.metadata.tables.items()
    }


def test_a_store_is_kept_in_write_ahead_mode(url: str) -> None:
    Store.open(url).close()
    connection = sqlite3.connect(url.removeprefix("sqlite:///"))

    mode = connection.execute("PRAGMA journal_mode").fetchone()

    connection.close()
    assert mode == ("wal",)
