import asyncio
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner, Result

from stdops import SettingsError, StoreError
from workers.cli import app
from workers.health import answering, examine, make_app, store_check
from workers.settings import Settings, read_listener
from workers.store import Store


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(app, [*arguments])


def saying(text: str) -> Callable[[], Awaitable[str]]:
    async def check() -> str:
        return text

    return check


async def asked(path: str, **checks: Callable[[], Awaitable[str]]) -> httpx.Response:
    transport = httpx.ASGITransport(make_app(checks))
    async with httpx.AsyncClient(transport=transport, base_url="http://worker") as http:
        return await http.get(path)


async def test_what_has_nothing_wrong_is_ready() -> None:
    answer = await asked("/readyz", temporal=saying(""), store=saying(""))

    assert (answer.status_code, answer.json()["checks"]) == (200, {"temporal": "ok", "store": "ok"})


async def test_what_lacks_something_is_alive_and_not_ready_and_says_what() -> None:
    alive = await asked("/healthz", temporal=saying("away"))
    ready = await asked("/readyz", temporal=saying("away"), store=saying(""))

    assert (alive.status_code, ready.status_code) == (200, 503)
    assert ready.json()["checks"] == {"temporal": "away", "store": "ok"}


async def test_a_check_that_never_answers_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.health.LIMIT_S", 0.01)

    async def silent() -> str:
        await asyncio.Event().wait()
        return ""

    assert "no answer within" in (await examine({"temporal": silent})).found["temporal"]


async def test_a_store_that_is_gone_is_said(tmp_path: Path) -> None:
    with Store.open(f"sqlite:///{tmp_path}/store.db") as store:
        assert (await examine({"store": store_check(store)})).is_well

        def broken() -> None:
            raise StoreError("SOP520", "the store cannot be opened")

        store.check = broken

        assert "SOP520" in (await examine({"store": store_check(store)})).found["store"]


async def test_without_an_address_nothing_listens() -> None:
    async with answering(Settings(), {}):
        pass


async def test_a_taken_address_is_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"

        with pytest.raises(SettingsError, match="SOP515"):
            async with answering(Settings(health_address=address), {}):
                pass


async def test_the_command_asks_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    settings = Settings(health_address=address)
    monkeypatch.setenv("STDOPS_HEALTH_ADDRESS", address)

    async with answering(settings, {"temporal": saying("away")}):
        alive = await asyncio.to_thread(invoke, "health")
        ready = await asyncio.to_thread(invoke, "health", "--ready")
    gone = await asyncio.to_thread(invoke, "health")

    assert (alive.exit_code, ready.exit_code, gone.exit_code) == (0, 2, 2)
    assert "away" in ready.output
    assert "SOP517 nothing answers" in gone.output


def test_the_command_says_that_no_address_is_set() -> None:
    answer = invoke("health")

    assert answer.exit_code == 2
    assert "no health address is set" in answer.output


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("0.0.0.0:9464", ("0.0.0.0", 9464)),  # noqa: S104  read, not bound
        ("[::1]:80", ("::1", 80)),
        ("worker:0", ("worker", 0)),
    ],
)
def test_an_address_to_listen_on_is_read(text: str, read: tuple[str, int]) -> None:
    assert read_listener(text) == read


@pytest.mark.parametrize("text", ["9464", ":9464", "::1:9464", "host:", "host:70000", "host:x"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="HOST:PORT"):
        read_listener(text)
