"""`stdops lint --online` with a small service of remote plugins on this machine."""

import json
from collections.abc import Generator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner, Result

from tests.helpers.fake_plugin_service import CODE, VERSION, FakePluginService
from workers.cli import app


@pytest.fixture
def fake() -> FakePluginService:
    return FakePluginService()


@pytest.fixture(autouse=True)
def _service(fake: FakePluginService, monkeypatch: pytest.MonkeyPatch) -> Generator[None]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = fake.reply("GET", self.path, b"", httpx.Headers())
            self.send_response(found if isinstance(found, int) else 200)
            self.end_headers()
            self.wfile.write(json.dumps(found).encode())

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  as the base class
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        services = {CODE: f"http://127.0.0.1:{server.server_port}"}
        monkeypatch.setenv("STDOPS_PLUGINS", json.dumps({"remote_plugin": {"services": services}}))
        monkeypatch.setenv("STDOPS_HTTP_ALLOW", "127.0.0.1")
        yield
        server.shutdown()
        thread.join()


def lint(folder: Path, *options: str, **inputs: Any) -> Result:
    """Check a template with one remote plugin."""
    given = {"plugin_code": CODE, "plugin_version": VERSION, **inputs}
    data = {name: {"hook": False, "value": value} for name, value in given.items()}
    node = {
        "id": "n",
        "type": "ServiceActivity",
        "name": "Call",
        "incoming": "a",
        "outgoing": "b",
        "component": {"code": "remote_plugin", "version": "1.0.0", "data": data},
    }
    tree: dict[str, Any] = {
        "start_event": {
            "id": "s",
            "name": "",
            "type": "EmptyStartEvent",
            "incoming": "",
            "outgoing": "a",
        },
        "end_event": {
            "id": "e",
            "name": "",
            "type": "EmptyEndEvent",
            "incoming": ["b"],
            "outgoing": "",
        },
        "activities": {"n": node},
        "gateways": {},
        "flows": {
            "a": {"id": "a", "source": "s", "target": "n"},
            "b": {"id": "b", "source": "n", "target": "e"},
        },
        "constants": {},
        "outputs": [],
    }
    file = folder / "flows.json"
    file.write_text(json.dumps([{"id": "f", "name": "f", "pipeline_tree": tree}]), "utf-8")
    return CliRunner().invoke(app, ["lint", str(file), *options])


def test_without_it_nothing_is_asked_and_inputs_are_open(
    tmp_path: Path, fake: FakePluginService
) -> None:
    result = lint(tmp_path, anything=1)

    assert result.exit_code == 0, result.output
    assert "SOP" not in result.output
    assert fake.detailed == 0


def test_sound_inputs_pass(tmp_path: Path, fake: FakePluginService) -> None:
    result = lint(tmp_path, "--online", "--strict", host="web-1", size=3)

    assert result.exit_code == 0, result.output
    assert fake.detailed == 1


@pytest.mark.parametrize(
    ("inputs", "code", "text"),
    [
        ({"host": "h", "sise": 1}, "SOP403", f"'sise' of node 'Call' is unknown to '{CODE}'"),
        ({"size": 1}, "SOP404", f"lacks the input 'host' that '{CODE}' requires"),
        ({"host": "h", "size": "big"}, "SOP405", f"is 'big', '{CODE}' needs integer"),
    ],
    ids=["unknown", "missing", "wrong type"],
)
def test_wrong_inputs_are_found(
    tmp_path: Path, inputs: dict[str, Any], code: str, text: str
) -> None:
    result = lint(tmp_path, "--online", **inputs)

    assert code in result.output
    assert text in " ".join(result.output.split())


def test_what_refers_to_a_variable_is_left_to_the_run(tmp_path: Path) -> None:
    result = lint(tmp_path, "--online", plugin_version="${version}", anything=1)

    assert "SOP403" not in result.output


@pytest.mark.parametrize(
    ("inputs", "reason"),
    [
        ({"plugin_version": "9.9.9"}, "answered 404 Not Found"),
        ({"plugin_code": "elsewhere"}, "nothing says where plugin 'elsewhere' is"),
    ],
    ids=["version", "code"],
)
def test_a_plugin_that_cannot_be_asked_is_a_warning(
    tmp_path: Path, inputs: dict[str, Any], reason: str
) -> None:
    result = lint(tmp_path, "--online", **inputs)

    assert result.exit_code == 0
    assert "SOP432" in result.output
    assert reason in " ".join(result.output.split())
