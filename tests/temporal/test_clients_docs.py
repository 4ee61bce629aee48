"""The programs of docs/clients.md run as they stand there, with no package of ours."""

import asyncio
import os
import re
import secrets
import shutil
import sys
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path

import pytest
from temporalio.client import Client

from activities.registry import discover
from tests.helpers.site import UPGRADE, keep_upgrade
from workers.demo.target import Target
from workers.server import EmbeddedServer, server_binary
from workers.settings import Settings
from workers.store import Store
from workers.worker import serve

PAGE = Path(__file__).resolve().parents[2] / "docs" / "clients.md"
PROGRAM = re.compile(r"<!-- program: (\w+) -->\n\n```\w+\n(.*?)```", re.DOTALL)
LIMIT_S = 60

Env = Mapping[str, str]


def programs() -> dict[str, str]:
    return dict(PROGRAM.findall(PAGE.read_text("utf-8")))


@pytest.fixture(scope="module")
async def served(client: Client, tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[None]:
    """A worker on the queue that the page names, with the template that it starts."""
    folder = tmp_path_factory.mktemp("clients")
    url = f"sqlite:///{folder / 'store.db'}"
    settings = Settings(
        data_dir=folder, store_url=url, graceful_shutdown_s=2, http_allow=("127.0.0.1",)
    )
    stop = asyncio.Event()
    with Store.open(url) as store:
        keep_upgrade(store)
        worker = asyncio.create_task(serve(client, settings, store, discover(), stop=stop))
        yield
        stop.set()
        await worker


@pytest.fixture
async def target() -> AsyncGenerator[Target]:
    async with Target() as running:
        yield running


@pytest.fixture
def env(server: EmbeddedServer, target: Target) -> Env:
    """What the programs need to know: where the server is, and what is upgraded."""
    binary = server_binary()
    assert binary is not None
    path = os.pathsep.join([str(binary.parent), os.environ["PATH"]])
    return {"PATH": path, "TEMPORAL_ADDRESS": server.address, "TARGET": target.url}


async def run(program: list[str], env: Env, folder: Path) -> str:
    """Run a program that must end well, and return all that it says."""
    process = await asyncio.create_subprocess_exec(
        *program,
        cwd=folder,
        env={"HOME": str(folder), **env},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(LIMIT_S):
            output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode == 0, output.decode()
    return output.decode()


def assert_told(output: str, target: Target) -> None:
    """What each program shows: a refusal, an answer, and the result of the run."""
    assert "skip" in output
    assert "confirm" in output
    assert "accepted" in output
    assert "finished" in output
    assert target.deployed == ["standby", "web"]


@pytest.mark.usefixtures("served")
async def test_the_commands_of_the_page_lead_a_run_to_its_end(
    env: Env, target: Target, tmp_path: Path
) -> None:
    file = tmp_path / "program.sh"
    file.write_text(programs()["temporal"], "utf-8")

    output = await run(["sh", str(file)], env, tmp_path)

    assert_told(output, target)


@pytest.mark.usefixtures("served")
async def test_the_python_program_of_the_page_leads_a_run_to_its_end(
    env: Env, target: Target, tmp_path: Path
) -> None:
    file = tmp_path / "program.py"
    file.write_text(programs()["python"], "utf-8")

    output = await run([sys.executable, str(file)], env, tmp_path)

    assert_told(output, target)


@pytest.mark.usefixtures("served")
async def test_a_query_gives_one_signal_to_many_runs(
    client: Client, env: Env, target: Target, tmp_path: Path
) -> None:
    inputs = {"target": target.url, "when": "now"}
    runs = [
        await client.start_workflow(
            UPGRADE, inputs, id=f"batch-{secrets.token_hex(4)}", task_queue="stdops"
        )
        for _ in range(2)
    ]
    query = 'StdopsState = "Failed" AND WorkflowId STARTS_WITH "batch-"'
    async with asyncio.timeout(LIMIT_S):
        while {each.id for each in runs} != {one.id async for one in client.list_workflows(query)}:
            pass  # each answer takes its time

    words = ["temporal", "workflow", "signal", "--query", query, "--yes", "--reason", "by hand"]
    await run([*words, "--name", "skip", "--input", '{"node": "db"}'], env, tmp_path)

    async with asyncio.timeout(LIMIT_S):
        for started in runs:
            while (await started.query("status"))["counts"].get("skipped") != 1:
                pass


@pytest.mark.slow
@pytest.mark.usefixtures("served")
async def test_the_typescript_program_of_the_page_leads_a_run_to_its_end(
    env: Env, target: Target, tmp_path: Path
) -> None:
    await install_node_client(tmp_path)
    file = tmp_path / "program.mjs"  # it names no type, so it is JavaScript as it stands
    file.write_text(programs()["typescript"], "utf-8")

    output = await run(["node", str(file)], env, tmp_path)

    assert_told(output, target)


async def install_node_client(folder: Path) -> None:
    """Install Temporal's client for Node beside the program, or skip where that is not possible."""
    absent = [name for name in ("node", "npm") if shutil.which(name) is None]
    if absent:
        pytest.skip(f"{' and '.join(absent)} not on PATH; on Debian: `apt-get install npm`")
    given = {name: value for name, value in os.environ.items() if name.lower() != "home"}
    words = ["npm", "install", "--no-audit", "--no-fund", "--no-package-lock"]
    try:
        await run([*words, "@temporalio/client"], given, folder)
    except (AssertionError, TimeoutError) as error:
        pytest.skip(f"npm cannot install @temporalio/client here: {str(error)[-300:]}")
