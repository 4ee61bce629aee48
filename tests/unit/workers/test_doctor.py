import base64
import json
import os
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from sqlalchemy import create_engine, text
from temporalio.client import Client
from typer.testing import CliRunner

from workers.cli import app
from workers.doctor import examine
from workers.doctor.findings import Check, Finding
from workers.doctor.here import (
    fingerprints,
    look_at_disk,
    look_at_keys,
    look_at_sandbox,
    look_at_store,
)
from workers.doctor.outside import look_at_blueking, look_at_callbacks
from workers.doctor.server import look_at_version_in_use, skew_s
from workers.settings import Settings
from workers.store import Store

AT = datetime(2026, 1, 1, tzinfo=UTC)
KEY = base64.b64encode(b"k" * 32).decode()
OTHER = base64.b64encode(b"o" * 32).decode()


def settings(folder: Path, **given: Any) -> Settings:
    return Settings(data_dir=folder, **given)


@pytest.fixture(autouse=True)
def _no_server_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", "127.0.0.1:1")


async def test_with_the_server_away_every_other_check_still_says_something(tmp_path: Path) -> None:
    found = await examine(settings(tmp_path))

    states = {each.check: each.state for each in found}
    assert states["server"] == "failure"
    assert states["settings"] == states["sandbox"] == states["plugins"] == "ok"
    assert (
        states["callbacks"]
        == states["blueking"]
        == states["traces"]
        == states["codec"]
        == "skipped"
    )
    assert all(each.why and each.fix for each in found if each.state in ("warning", "failure"))


async def test_a_check_that_has_a_bug_is_a_finding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(_settings: Settings) -> list[Finding]:
        raise KeyError("gone")

    monkeypatch.setattr("workers.doctor.HERE", (Check("broken", "it matters", broken),))

    found = {each.check: each for each in await examine(settings(tmp_path))}

    assert found["broken"].state == "failure"
    assert "KeyError" in found["broken"].what


async def test_looking_at_a_store_makes_none(tmp_path: Path) -> None:
    [found] = await look_at_store(settings(tmp_path))

    assert (found.state, found.what) == ("warning", "there is no store yet")
    assert os.listdir(tmp_path) == []  # noqa: PTH208  pathlib would block in the same way


@pytest.mark.parametrize(
    ("shape", "state", "says"),
    [("", "ok", "can be written"), ("0000", "warning", "older"), ("9999", "failure", "newer")],
)
async def test_the_shape_of_the_store_is_said(
    tmp_path: Path, shape: str, state: str, says: str
) -> None:
    given = settings(tmp_path)
    Store.open(given.store_url).close()
    if shape:
        engine = create_engine(given.store_url)
        with engine.begin() as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = :n"), {"n": shape})
        engine.dispose()

    [found] = await look_at_store(given)

    assert (found.state, says in found.what) == (state, True)


@pytest.mark.parametrize(
    ("free", "state"), [(50_000_000, "failure"), (500_000_000, "warning"), (5_000_000_000, "ok")]
)
async def test_little_room_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, state: str
) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=free)

    def measured(_folder: Path) -> object:
        return usage

    monkeypatch.setattr(shutil, "disk_usage", measured)

    [found] = await look_at_disk(settings(tmp_path / "not" / "made"))

    assert found.state == state


def test_a_fingerprint_names_a_key_and_shows_nothing_of_it(tmp_path: Path) -> None:
    both = fingerprints(settings(tmp_path, secret_keys=f"{KEY},{OTHER}"))
    one = fingerprints(settings(tmp_path, secret_keys=OTHER))

    assert both[1:] == one
    assert len({*both}) == 2
    assert "".join(both) not in (KEY, OTHER)


async def test_a_key_of_this_machine_alone_is_said_where_the_store_is_shared(
    tmp_path: Path,
) -> None:
    fingerprints(settings(tmp_path))  # makes the key file
    shared = "postgresql://ann@db/stdops"

    [own] = await look_at_keys(settings(tmp_path, store_url=shared))
    [same] = await look_at_keys(settings(tmp_path, store_url=shared, secret_keys=KEY))

    assert (own.state, same.state) == ("warning", "ok")
    assert "STDOPS_SECRET_KEYS" in own.fix


async def test_the_sandbox_is_tried(tmp_path: Path) -> None:
    [found] = await look_at_sandbox(settings(tmp_path))

    assert found == Finding("sandbox", "ok", "evaluates expressions")


async def test_a_platform_without_credentials_or_answer_is_said(tmp_path: Path) -> None:
    table = {"blueking": {"esb_url": "http://127.0.0.1:1"}}

    found = await look_at_blueking(settings(tmp_path, plugins=table, http_allow="127.0.0.1:1"))

    assert [each.state for each in found] == ["failure", "failure"]
    assert "no credentials" in found[1].what


async def test_a_receiver_that_does_not_answer_is_said(tmp_path: Path) -> None:
    given = settings(tmp_path, callback_url="http://127.0.0.1:1/ops", http_allow="127.0.0.1:1")

    [found] = await look_at_callbacks(given)

    assert (found.state, found.where) == ("warning", "http://127.0.0.1:1/ops/healthz")


@pytest.mark.parametrize(
    ("current", "state", "says"),
    [
        ("b1", "ok", "is current"),
        ("b0", "warning", "--build-id b1"),
        (None, "failure", "--build-id b1"),
    ],
)
async def test_a_build_that_takes_no_new_runs_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, current: str | None, state: str, says: str
) -> None:
    async def told(_client: object, _deployment: str) -> str | None:
        return current

    monkeypatch.setattr("workers.deployment.current_build", told)
    client = cast("Client", object())  # only `told` would be asked by it
    given = settings(tmp_path, deployment_name="ops", build_id="b1")

    found = await look_at_version_in_use(client, given)

    assert found.state == state
    assert says in f"{found.what} {found.fix}"


@pytest.mark.parametrize(
    ("dated_s", "skew"), [(0, 0), (2, 0), (-30, -30), (33, 30)], ids=["begin", "end", "-", "+"]
)
def test_a_skew_is_what_the_time_of_asking_cannot_explain(dated_s: float, skew: float) -> None:
    after = AT + timedelta(seconds=3)

    assert skew_s(AT, AT + timedelta(seconds=dated_s), after) == skew


def test_the_command_ends_with_1_and_gives_json(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = CliRunner().invoke(app, ["doctor", "--json"])

    told = json.loads(answer.stdout)
    assert answer.exit_code == 1
    assert told["ok"] is False
    assert {"check", "state", "what", "why", "fix", "where"} == {*told["checks"][0]}
    assert told["settings"]["task_queue"] == {"value": "stdops", "origin": "default"}


def test_wrong_settings_are_a_finding_and_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STDOPS_TASK_QEUE", "x")

    answer = CliRunner().invoke(app, ["doctor"])

    assert answer.exit_code == 1
    assert "STDOPS_TASK_QUEUE" in answer.output


def test_every_setting_is_listed_with_its_origin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STDOPS_TASK_QUEUE", "zone-b")

    answer = CliRunner().invoke(app, ["doctor", "--settings"])

    assert answer.exit_code == 0
    assert "zone-b" in answer.output
    assert "STDOPS_TASK_QUEUE" in answer.output
    assert all(name in answer.output for name in Settings.model_fields)
