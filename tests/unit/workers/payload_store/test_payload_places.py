"""Places for large values: each keeps bytes by key, and says what cannot be had."""

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws
from temporalio.api.common.v1 import Payload
from temporalio.converter import (
    StorageDriverRetrieveContext,
    StorageDriverStoreContext,
    StorageDriverWorkflowInfo,
)

from stdops import SettingsError, StdopsError
from workers.payload_address import Bucket, Database, Folder, read_address
from workers.payload_store import PayloadDriver, folder_of, open_place
from workers.payload_store.places import Place
from workers.settings import Settings, load_settings

KEY = f"default/release-1/{'a' * 64}"
OTHER = f"default/release-2/{'b' * 64}"
RUN = StorageDriverWorkflowInfo(namespace="default", id="release-1/n1")
ASKED = StorageDriverRetrieveContext()


@pytest.fixture(params=["folder", "store", "s3"])
async def place(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncGenerator[Place]:
    addresses = {"folder": tmp_path.as_uri(), "store": "store", "s3": "s3://ops-values/of/runs"}
    database = f"sqlite:///{tmp_path / 'store.db'}"
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with mock_aws():
        made: Any = boto3
        made.client("s3").create_bucket(Bucket="ops-values")
        opened = open_place(Settings(payload_store=addresses[request.param], store_url=database))
        assert opened is not None
        yield opened


def keys(place: Place) -> list[str]:
    """Return the keys of a place, in order."""
    return sorted([found.key for found in place.kept()])


async def test_what_was_put_comes_back_and_is_told(place: Place) -> None:
    place.put(KEY, b"one")
    place.put(KEY, b"one")
    place.put(OTHER, b"longer")

    kept = {found.key: found.size for found in place.kept()}

    assert place.get(KEY) == b"one"
    assert kept == {KEY: 3, OTHER: 6}


async def test_what_was_removed_or_never_put_is_not_there(place: Place) -> None:
    place.put(KEY, b"one")

    place.remove(KEY)
    place.remove(OTHER)

    assert place.get(KEY) is None
    assert keys(place) == []


async def test_a_value_comes_back_by_its_reference(place: Place) -> None:
    driver = PayloadDriver(place)
    payload = Payload(metadata={"encoding": b"json/plain"}, data=b'"x"')

    claims = await driver.store(StorageDriverStoreContext(RUN), [payload, payload])

    assert await driver.retrieve(ASKED, claims) == [payload, payload]
    assert [key.rpartition("/")[0] for key in keys(place)] == ["default/release-1"]


async def test_a_lost_value_is_named(place: Place) -> None:
    driver = PayloadDriver(place)
    [claim] = await driver.store(StorageDriverStoreContext(RUN), [Payload(data=b"x")])
    place.remove(claim.claim_data["key"])

    with pytest.raises(StdopsError, match=r"SOP531 the payload store has no 'default/release-1/"):
        await driver.retrieve(ASKED, [claim])


async def test_a_value_that_was_changed_is_refused(tmp_path: Path) -> None:
    place = open_place(Settings(payload_store=tmp_path.as_uri()))
    assert place is not None
    driver = PayloadDriver(place)
    [claim] = await driver.store(StorageDriverStoreContext(RUN), [Payload(data=b"x")])
    (tmp_path / claim.claim_data["key"]).write_bytes(b"another")

    with pytest.raises(StdopsError, match="was changed"):
        await driver.retrieve(ASKED, [claim])


async def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    place = open_place(Settings(payload_store=(tmp_path / "file").as_uri()))
    assert place is not None

    with pytest.raises(StdopsError, match="SOP530 the payload store cannot be used: Not a dir"):
        place.put(KEY, b"one")


async def test_a_bucket_that_is_not_there_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    with mock_aws():
        place = open_place(Settings(payload_store="s3://nowhere-at-all"))
        assert place is not None

        with pytest.raises(StdopsError, match="SOP530 the payload store cannot be used"):
            place.put(KEY, b"one")


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("", None),
        ("store", Database()),
        ("file:///srv/values", Folder(Path("/srv/values"))),
        ("file:///srv/a%20b", Folder(Path("/srv/a b"))),
        ("s3://ops-values", Bucket("ops-values", "")),
        ("s3://ops-values/of/runs/", Bucket("ops-values", "of/runs")),
    ],
)
def test_an_address_is_read(text: str, address: object) -> None:
    assert read_address(text) == address


@pytest.mark.parametrize(
    "text", ["folder", "file://host/x", "file:///", "s3://", "s3://A", "x://y"]
)
def test_any_other_address_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match=r"write it as file:///FOLDER"):
        load_settings(payload_store=text)


@pytest.mark.parametrize(
    ("run", "folder"),
    [
        ("release-1", "ops/release-1"),
        ("release-1/sub/n1:2", "ops/release-1"),
        ("发布", "ops/%E5%8F%91%E5%B8%83"),
        ("..", "ops/%2E%2E"),
        ("-", "ops/%2D"),
        ("", "ops/-"),
        ("~x", "ops/%7Ex"),
    ],
)
def test_values_stand_under_the_run_at_the_top(run: str, folder: str) -> None:
    assert folder_of(StorageDriverWorkflowInfo(namespace="ops", id=run)) == folder


def test_long_ids_are_told_apart_in_short_folders() -> None:
    def folder(run: str) -> str:
        return folder_of(StorageDriverWorkflowInfo(namespace="ops", id=run))

    assert folder("x" * 900) != folder("x" * 901)
    assert len(folder("x" * 900)) < 200


def test_what_belongs_to_no_run_stands_apart() -> None:
    assert folder_of(None) == "-/-"
