"""Starting, following and operating runs from the command line, against the real server."""

import asyncio
import json
import os
import secrets
import signal
import sys
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path
from typing import Any

import pytest

from workers.demo.release import template
from workers.demo.target import Target
from workers.server import EmbeddedServer

Env = Mapping[str, str]


async def process_of(args: tuple[str, ...], env: Env) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "stdops",
        *args,
        env={**os.environ, "STDOPS_HTTP_ALLOW": "127.0.0.1", **env},  # where the target is
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def stdops(env: Env, *args: str) -> tuple[int, str, str]:
    """Run a command; return its exit code, output and errors."""
    process = await process_of(args, env)
    async with asyncio.timeout(60):
        output, errors = await process.communicate()
    return process.returncode or 0, output.decode(), errors.decode()


async def asked(env: Env, *args: str) -> Any:
    """Run a command that must end well, and return the JSON that it prints."""
    code, output, errors = await stdops(env, *args, "--json")
    assert code == 0, errors
    return json.loads(output)


@pytest.fixture
def release(tmp_path: Path) -> str:
    file = tmp_path / "release.json"
    file.write_bytes(template())
    return str(file)


@pytest.fixture
async def target() -> AsyncGenerator[Target]:
    async with Target() as running:
        yield running


@pytest.fixture
def env(server: EmbeddedServer) -> Env:
    """Settings that lead the commands to the tests' server, with a queue of their own."""
    queue = f"cli-{secrets.token_hex(4)}"
    return {
        "TEMPORAL_ADDRESS": server.address,
        "STDOPS_TASK_QUEUE": queue,
    }


@pytest.fixture
async def worker(env: Env) -> AsyncGenerator[Env]:
    """A worker process; the environment that leads commands to it."""
    process = await process_of(("worker",), env)
    assert process.stderr is not None
    async with asyncio.timeout(60):
        while b"worker_started" not in (line := await process.stderr.readline()):
            assert line, "the worker has ended"
    drained = asyncio.create_task(process.stderr.read())
    yield env
    process.send_signal(signal.SIGTERM)
    assert await process.wait() == 0
    await drained


async def test_a_file_runs_with_a_server_of_its_own(release: str, target: Target) -> None:
    args = ("run", release, "canary", "--dev", "--set", f"target={target.url}")

    code, output, errors = await stdops({}, *args)

    assert code == 0, errors
    assert "/user-metadata" in output
    assert "✓ finished" in output
    assert target.deployed == ["canary"]


async def test_a_run_that_stands_ends_its_own_server_with_code_3(
    release: str, target: Target
) -> None:
    code, output, _ = await stdops({}, "run", release, "--dev", "--set", f"target={target.url}")

    assert code == 3
    assert "✗ 全量发布 Roll out (rollout): the request failed with status 503" in output
    assert "stdops retry release-" in output


async def test_a_waited_run_without_a_worker_is_not_started(release: str, env: Env) -> None:
    code, _, errors = await stdops(env, "run", release, "--wait")

    assert code == 4
    assert "error SOP545 no worker polls the queue" in errors
    assert await asked(env, "list") == []


async def test_missing_plugins_are_all_told_and_nothing_is_started(
    tmp_path: Path, env: Env
) -> None:
    text = template().decode().replace('"sleep_timer"', '"nobody_has_this"')
    file = tmp_path / "other.json"
    file.write_text(text.replace('"bk_display"', '"nor_this"'), "utf-8")

    code, _, errors = await stdops(env, "run", str(file))

    assert code == 2
    assert "'nobody_has_this'" in errors
    assert "'nor_this'" in errors
    assert await asked(env, "list") == []


async def test_a_failed_run_is_found_mended_and_followed_to_its_end(
    release: str, target: Target, worker: Env
) -> None:
    started = await asked(worker, "run", release, "--set", f"target={target.url}", "--id", "r-1")
    stood = await stdops(worker, "status", "r-1", "--watch")
    refused = await stdops(worker, "skip", "r-1", "check")
    found = await asked(worker, "list", "--template", "release")
    url = f"bk_http_request_url={target.url}/deploy/standby"
    retried = await asked(worker, "retry", "r-1", "rollout", "--set", url, "--operator", "ann")
    ended = await stdops(worker, "status", "r-1", "--watch")

    assert started["created"]
    assert stood[0] == 3
    assert (refused[0], "SOP300" in refused[2]) == (2, True)
    assert [one["workflow_id"] for one in found] == ["r-1"]
    assert retried["accepted"]
    assert ended[0] == 0, ended
    assert target.deployed == ["canary", "standby"]


async def test_ctrl_c_leaves_a_waited_run_going(release: str, target: Target, worker: Env) -> None:
    args = ("run", release, "canary", "--set", f"target={target.url}", "--id", "left", "--wait")
    process = await process_of(args, worker)
    assert process.stdout is not None
    async with asyncio.timeout(60):
        while b"Waiting" not in await process.stdout.readline():
            pass

    process.send_signal(signal.SIGINT)
    _, errors = await process.communicate()

    assert process.returncode == 130
    assert "the run goes on" in errors.decode()
    assert (await stdops(worker, "status", "left", "--watch"))[0] == 0


async def test_the_same_id_starts_a_run_once(release: str, target: Target, worker: Env) -> None:
    args = ("run", release, "canary", "--set", f"target={target.url}", "--id", "once")

    first, second = await asked(worker, *args, "--wait"), await asked(worker, *args)

    assert first["result"]["state"] == "finished"
    assert (first["created"], second["created"]) == (True, False)
    assert first["run_id"] == second["run_id"]


async def test_a_run_that_may_fail_ends_with_code_1(
    release: str, target: Target, worker: Env
) -> None:
    args = ("--set", f"target={target.url}", "--on-failure", "fail", "--wait")

    code, _, errors = await stdops(worker, "run", release, *args)

    assert code == 1
    assert "error SOP507" in errors


async def test_an_optional_node_is_left_out(release: str, target: Target, worker: Env) -> None:
    target.mended = True
    args = ("--set", f"target={target.url}", "--exclude", "notes", "--wait", "--id", "without")

    code, _, errors = await stdops(worker, "run", release, *args)

    assert code == 0, errors
    _, drawing, _ = await stdops(worker, "status", "without")
    assert "更新说明" not in drawing
    assert "发布完成" in drawing


async def test_the_variables_of_a_run_are_shown_with_its_project(
    release: str, target: Target, worker: Env, tmp_path: Path
) -> None:
    file = tmp_path / "project.json"
    file.write_text('{"project_name": "Shop", "env": {"region": "sz"}}')
    given = ("--set", f"target={target.url}", "--project", str(file))
    await stdops(worker, "run", release, "--id", "shop-1", "--wait", *given)

    code, output, errors = await stdops(worker, "variables", "shop-1")
    [root, *_] = (await asked(worker, "variables", "shop-1"))["flows"]

    assert (code, errors) == (0, "")
    assert "_env_region" in output
    told = {each["key"]: (each["value"], each["source"]) for each in root["variables"]}
    assert told["_env_region"] == ("sz", "project")
    assert told["target"] == (target.url, "given")


async def test_a_project_that_cannot_be_used_starts_nothing(
    release: str, env: Env, tmp_path: Path
) -> None:
    file = tmp_path / "project.json"
    file.write_text('{"env": ["region"]}')

    code, _, errors = await stdops(env, "run", release, "--project", str(file))

    assert code == 2
    assert "error SOP220 project field 'env' is ['region']; write an object" in errors
