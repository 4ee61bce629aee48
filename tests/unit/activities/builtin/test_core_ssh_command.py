import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from pydantic import JsonValue

from activities.builtin.ssh_command import ssh_command
from activities.contract import Done, Failed
from activities.steps import StepResult, TryAgain
from activities.testing import Stage
from tests.helpers.ssh_server import PASSWORD, USER, SshServer, new_key, ssh_server


@pytest.fixture
async def server(tmp_path: Path) -> AsyncGenerator[SshServer, None]:
    async with ssh_server(tmp_path) as found:
        yield found


def asked(server: SshServer, command: str, **more: JsonValue) -> dict[str, JsonValue]:
    known: dict[str, JsonValue] = {"host": "127.0.0.1", "port": server.port, "user": USER}
    return {**known, "password": PASSWORD, "command": command, **more}


async def run(
    server: SshServer, command: str, settings: dict[str, JsonValue] | None = None, **more: JsonValue
) -> StepResult:
    async with Stage(settings=server.settings(**(settings or {}))) as stage:
        return await stage.call(ssh_command, asked(server, command, **more))


async def some(noted: list[str]) -> None:
    """Wait until the server has noted something."""
    async with asyncio.timeout(5):
        while not noted:  # noqa: ASYNC110  it has no event to wait for
            await asyncio.sleep(0.01)


async def test_what_a_command_writes_is_an_output(server: SshServer) -> None:
    outcome = await run(server, "cat", stdin="七\n")

    assert outcome == Done(
        outputs={"exit_code": 0, "stdout": "七\n", "stderr": "", "truncated": False},
        note=f"{USER}@127.0.0.1:{server.port}",
    )


async def test_an_exit_code_that_is_not_expected_fails(server: SshServer) -> None:
    outcome = await run(server, "fail")

    assert isinstance(outcome, Failed)
    assert outcome.error == "the command ended with exit code 3: no disk"
    assert isinstance(await run(server, "fail", ok_codes=[3]), Done)


async def test_a_private_key_lets_us_in(server: SshServer) -> None:
    text = server.client_key.read_text("utf-8")

    outcome = await run(server, "hello", password="", private_key=text, passphrase="open")

    assert isinstance(outcome, Done)


@pytest.mark.parametrize("name", ["deploy", ""], ids=["by name", "the default one"])
async def test_a_private_key_of_the_workers_lets_us_in(server: SshServer, name: str) -> None:
    key: JsonValue = {"file": str(server.client_key), "passphrase": "open"}

    outcome = await run(
        server, "hello", {"keys": {name or "default": key}}, password="", key_name=name
    )

    assert isinstance(outcome, Done)


async def test_a_host_that_is_not_known_is_not_talked_to(server: SshServer) -> None:
    other = new_key().export_public_key().decode()
    server.known_hosts.write_text(f"[127.0.0.1]:{server.port} {other}", "utf-8")

    outcome = await run(server, "hello")

    assert isinstance(outcome, Failed)
    assert "is not known" in outcome.error
    assert server.commands == []


async def test_without_known_hosts_nothing_is_talked_to(server: SshServer) -> None:
    server.known_hosts.unlink()

    outcome = await run(server, "hello")

    assert isinstance(outcome, Failed)
    assert "there is no file of known hosts on this worker" in outcome.error


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"password": "wrong-one"}, "does not let us in"),
        ({"password": "", "private_key": "no key"}, "no connection to"),
        ({"key_name": "prod"}, "no private key 'prod'; they have: none"),
        ({"host": "10.1.2.3"}, "host '10.1.2.3' may not be reached by SSH; allowed: 127.*"),
    ],
)
async def test_a_wrong_login_is_told(
    server: SshServer, given: dict[str, JsonValue], problem: str
) -> None:
    async with Stage(settings=server.settings(hosts=["127.*"])) as stage:
        outcome = await stage.call(ssh_command, {**asked(server, "hello"), **given})

    assert isinstance(outcome, Failed)
    assert problem in outcome.error
    assert "wrong-one" not in outcome.error


async def test_a_refused_connection_is_tried_again(server: SshServer) -> None:
    async with Stage(settings=server.settings()) as stage:
        outcome = await stage.call(ssh_command, asked(server, "hello", port=1))

    assert isinstance(outcome, TryAgain)
    assert outcome.kind == "not_taken"


async def test_of_a_command_whose_connection_is_lost_nobody_knows(server: SshServer) -> None:
    outcome = await run(server, "vanish")

    assert isinstance(outcome, Failed)
    assert outcome.error.startswith("outcome unknown: the connection was lost")
    assert f"look at host {USER}@127.0.0.1:{server.port}" in outcome.error


async def test_a_command_that_may_run_twice_is_run_again(server: SshServer) -> None:
    outcome = await run(server, "vanish", repeatable=True)

    assert isinstance(outcome, TryAgain)
    assert outcome.kind == "no_answer"


async def test_at_its_limit_a_command_is_told_to_end(server: SshServer) -> None:
    outcome = await run(server, "hang", timeout_s=1)

    assert isinstance(outcome, Failed)
    assert "was told to end after 1 s" in outcome.error


async def test_a_command_is_told_to_end_when_its_node_is_cancelled(server: SshServer) -> None:
    running = asyncio.ensure_future(run(server, "hang"))
    await some(server.commands)

    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await some(server.signals)

    assert server.signals == ["TERM"]


async def test_one_host_has_so_many_connections_at_most(server: SshServer) -> None:
    async with Stage(settings=server.settings(per_host=1)) as stage:
        first = asyncio.ensure_future(stage.call(ssh_command, asked(server, "hang")))
        await some(server.commands)
        second = asyncio.ensure_future(stage.call(ssh_command, asked(server, "hello")))
        await asyncio.sleep(0.05)
        before = list(server.commands)
        first.cancel()
        outcome = await second

    assert before == ["hang"]
    assert isinstance(outcome, Done)
