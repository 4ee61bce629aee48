import hashlib
from collections.abc import AsyncGenerator, Generator
from itertools import pairwise
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws
from pydantic import JsonValue

from activities.builtin.file_transfer import file_transfer
from activities.contract import Done, Failed
from activities.steps import StepResult, TryAgain
from activities.testing import Stage
from tests.helpers.ssh_server import PASSWORD, USER, SshServer, ssh_server

CONTENT = "发布 1.2.3\n".encode() * 1000
DIGEST = hashlib.sha256(CONTENT).hexdigest()


class Site:
    """A worker's folder with a file, an SFTP server and a bucket."""

    def __init__(self, folder: Path, server: SshServer, s3: Any) -> None:
        self.folder, self.server, self.s3 = folder, server, s3
        self.sftp = f"sftp://{USER}@127.0.0.1:{server.port}"
        self.file = f"file://{folder}"
        (folder / "source").write_bytes(CONTENT)

    async def bring(self, source: str, target: str, **more: JsonValue) -> StepResult:
        """Run the plugin."""
        storage: JsonValue = {
            "buckets": ["releases"],
            "region": "us-east-1",
            "access_key": "testing",
            "secret_key": "testing",
        }
        table: dict[str, JsonValue] = {
            "folders": [str(self.folder)],
            "folder": str(self.folder),
            "s3": {"main": storage},
            "max_bytes": 100_000,
        }
        async with Stage(settings={**self.server.settings(), "file_transfer": table}) as stage:
            inputs = {"source": source, "target": target, "password": PASSWORD, **more}
            return await stage.call(file_transfer, inputs)

    def held(self, address: str) -> bytes:
        """Return the content at an address."""
        if address.startswith("s3:"):
            key = address.removeprefix("s3://releases/")
            return self.s3.get_object(Bucket="releases", Key=key)["Body"].read()
        folder = self.folder if address.startswith("file:") else self.server.folder
        return (folder / address.rpartition("/")[2]).read_bytes()


@pytest.fixture(scope="module")
def s3() -> Generator[Any, None, None]:
    """Make one client for all tests: that takes the library a second."""
    with pytest.MonkeyPatch.context() as patch, mock_aws():
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "testing")
        library: Any = boto3
        client = library.client("s3", region_name="us-east-1")
        client.create_bucket(Bucket="releases")
        yield client


@pytest.fixture
async def site(tmp_path: Path, s3: Any) -> AsyncGenerator[Site, None]:
    folder = tmp_path / "worker"
    folder.mkdir()
    async with ssh_server(tmp_path) as server:
        yield Site(folder, server, s3)


async def test_a_file_goes_from_place_to_place_and_stays_what_it_is(site: Site) -> None:
    stations = [
        f"{site.file}/source",
        f"{site.sftp}/first",
        "s3://releases/a/second",
        f"{site.sftp}/~/third",
        f"{site.file}/last",
    ]
    for source, target in pairwise(stations):
        outcome = await site.bring(source, target, sha256=DIGEST)

        assert outcome == Done(
            outputs={"size_bytes": len(CONTENT), "sha256": DIGEST, "written": True}
        )
        assert site.held(target) == CONTENT


async def test_nothing_is_left_beside_the_target(site: Site) -> None:
    await site.bring(f"{site.file}/source", f"{site.file}/copy")
    await site.bring(f"{site.file}/source", f"{site.sftp}/copy")

    assert sorted(found.name for found in site.folder.iterdir()) == ["copy", "source"]
    assert [found.name for found in site.server.folder.iterdir()] == ["copy"]


@pytest.mark.parametrize("kind", ["file", "sftp", "s3"])
async def test_other_content_at_the_target_is_kept_where_the_node_says_so(
    site: Site, kind: str
) -> None:
    addresses = {
        "file": f"{site.file}/x",
        "sftp": f"{site.sftp}/x",
        "s3": "s3://releases/x",
    }
    target = addresses[kind]
    first = await site.bring(f"{site.file}/source", target, overwrite=False)
    again = await site.bring(f"{site.file}/source", target, overwrite=False)
    (site.folder / "source").write_bytes(b"other")
    other = await site.bring(f"{site.file}/source", target, overwrite=False)

    assert [first.outputs["written"], again.outputs["written"]] == [True, False]
    assert isinstance(other, Failed)
    assert "is there with other content" in other.error
    assert site.held(target) == CONTENT


async def test_another_checksum_is_refused_before_anything_is_written(site: Site) -> None:
    outcome = await site.bring(f"{site.file}/source", f"{site.file}/copy", sha256="0" * 64)

    assert isinstance(outcome, Failed)
    assert f"has the checksum {DIGEST}" in outcome.error
    assert not (site.folder / "copy").exists()


@pytest.mark.parametrize("place", ["file", "sftp", "s3"])
async def test_a_file_that_is_too_large_is_refused(site: Site, place: str) -> None:
    sources = {"file": site.file, "sftp": site.sftp, "s3": "s3://releases"}
    (site.folder / "big").write_bytes(b"x" * 100_001)
    (site.server.folder / "big").write_bytes(b"x" * 100_001)
    site.s3.put_object(Bucket="releases", Key="big", Body=b"x" * 100_001)

    outcome = await site.bring(f"{sources[place]}/big", f"{site.file}/copy")

    assert isinstance(outcome, Failed)
    assert "has 100001 bytes, at most 100000 are passed on" in outcome.error


@pytest.mark.parametrize(
    ("address", "problem"),
    [
        ("/tmp/x", "'/tmp/x' is no address of a file"),
        ("ftp://host/x", "is no address of a file"),
        ("file:///etc/passwd", "'/etc/passwd' is in no folder that may be used"),
        ("{file}/../../../etc/passwd", "is in no folder that may be used"),
        ("{file}/missing", "No such file"),
        ("{sftp}/missing", "No such file"),
        ("s3://releases/missing", "s3://releases/missing is not there"),
        ("s3://payroll/x", "bucket 'payroll' may not be used; allowed: releases"),
        ("sftp://ops:hush@127.0.0.1/x", "there is a password in the address"),
        ("sftp://127.0.0.1/x", "names no host or no user"),
    ],
)
async def test_a_source_that_cannot_be_used_is_told(site: Site, address: str, problem: str) -> None:
    source = address.format(file=site.file, sftp=site.sftp)

    outcome = await site.bring(source, f"{site.file}/copy")

    assert isinstance(outcome, Failed)
    assert problem in outcome.error
    assert ":hush" not in outcome.error


async def test_a_link_does_not_lead_out_of_a_folder(site: Site) -> None:
    (site.folder / "link").symlink_to("/etc/passwd")

    outcome = await site.bring(f"{site.file}/link", f"{site.file}/copy")

    assert isinstance(outcome, Failed)
    assert "is in no folder that may be used" in outcome.error


async def test_a_host_that_does_not_answer_is_tried_again(site: Site) -> None:
    outcome = await site.bring(f"{site.file}/source", f"sftp://{USER}@127.0.0.1:1/x")

    assert isinstance(outcome, TryAgain)
    assert file_transfer.traits.idempotent
