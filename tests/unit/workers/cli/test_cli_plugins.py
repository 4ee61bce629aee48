"""The commands around plugins, as a person meets them; the outside is a server of the test."""

import importlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Generator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from activities.registry import discover
from workers.cli import app, system

PLUGINS = """\
from pydantic import Field, JsonValue

from stdops import (
    Call, Inputs, Outputs, PluginError, Secret, StillRunning, WaitForCallback, plugin, lazy_variable
)


class JobInputs(Inputs):
    url: str = Field(description="Where the jobs are")
    token: Secret | None = Field(default=None, description="Who asks")
    times: int = 1


class JobOutputs(Outputs):
    told: str | None = Field(default=None, description="What came of it")


@plugin("job", version="v1.0", name="A job", group="Acme")
async def old(call: Call[JobInputs]) -> JobOutputs: ...


@plugin("job", version="v2.0", name="A job", group="Acme")
async def job(call: Call[JobInputs]) -> JobOutputs:
    '''Do a job.'''
    call.note("job 7")
    raise StillRunning(7, after_s=0.01)


@job.poll
async def _(call: Call[JobInputs], handle: JsonValue) -> JobOutputs:
    token = call.inputs.token.get_secret_value() if call.inputs.token else ""
    call.progress(asked=token)
    response = await call.http.get(f"{call.inputs.url}/jobs/{handle}")
    if response.raise_for_status().json() == "running":
        raise StillRunning(after_s=0.01)
    return JobOutputs(told=f"{response.json()} {token}".strip())


@job.stop
async def _(call: Call[JobInputs], handle: JsonValue) -> None:
    await call.http.delete(f"{call.inputs.url}/jobs/{handle}")


@plugin("ticket", version="v1.0", group="Acme", multiple_callbacks=True)
async def ticket(call: Call[JobInputs]) -> JobOutputs:
    assert call.callback_url
    raise WaitForCallback("T1")


@ticket.callback
async def _(call: Call[JobInputs], data: JsonValue) -> JobOutputs:
    if data == "later":
        raise WaitForCallback
    return JobOutputs(told=str(data))


@lazy_variable("roles", name="Hosts of a role")
async def roles(lookup) -> JsonValue:
    '''Compute them.'''
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A distribution of plugins, as if it were installed: on the path, with its metadata."""
    site = tmp_path / "site"
    info = site / "acme-1.2.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text("[stdops.plugins]\nacme = acme_jobs\n")
    (site / "acme_jobs.py").write_text(PLUGINS)
    monkeypatch.setattr(sys, "path", [str(site), *sys.path])
    importlib.invalidate_caches()
    monkeypatch.delitem(sys.modules, "acme_jobs", raising=False)
    monkeypatch.setenv("STDOPS_HTTP_ALLOW", "127.0.0.1")
    monkeypatch.setenv("STDOPS_LOG_LEVEL", "error")
    return site


class Jobs(BaseHTTPRequestHandler):
    asked: list[str]
    answers: list[str]
    came: threading.Event

    def do_GET(self) -> None:
        self.asked.append(self.path)
        self.came.set()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(self.answers.pop(0) if self.answers else "running").encode())

    def do_DELETE(self) -> None:
        self.asked.append(f"DELETE {self.path}")
        self.send_response(204)
        self.end_headers()

    def log_request(self, code: object = "-", size: object = "-") -> None:
        """Say nothing."""


@pytest.fixture
def jobs() -> Generator[tuple[str, type[Jobs]]]:
    service = type("OwnJobs", (Jobs,), {"asked": [], "answers": [], "came": threading.Event()})
    server = ThreadingHTTPServer(("127.0.0.1", 0), service)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", service
    server.shutdown()
    server.server_close()
    thread.join()


def stdops(*args: str) -> Result:
    return CliRunner().invoke(app, ["plugins", *args])


def read(done: Result) -> Any:
    return json.loads(done.stdout)


# --- list and show ----------------------------------------------------------------------------


def test_plugins_are_listed_with_group_kind_and_owner() -> None:
    done = stdops("list")

    assert done.exit_code == 0
    assert "Acme\n" in done.stdout
    (line,) = [
        each for each in done.stdout.splitlines() if each.startswith("job   ") and "v2" in each
    ]
    assert line.split() == ["job", "v2.0", "A", "job", "polls", "acme", "1.2"]
    assert "roles" in done.stdout


def test_a_group_is_listed_alone_whatever_its_letters() -> None:
    rows = read(stdops("list", "--group", "acme", "--json"))

    assert [(row["code"], row["version"], row["kind"]) for row in rows] == [
        ("job", "v1.0", "returns"),
        ("job", "v2.0", "polls"),
        ("ticket", "v1.0", "called back"),
    ]


def test_the_json_has_what_a_program_needs(folder: Path) -> None:
    rows = read(stdops("list", "--json"))

    assert all({"code", "version", "name", "group", "kind"} <= row.keys() for row in rows)
    (lazy,) = [row for row in rows if row["code"] == "roles"]
    assert (lazy["kind"], lazy["name"]) == ("lazy variable", "Hosts of a role")
    (job,) = [row for row in rows if (row["code"], row["version"]) == ("job", "v2.0")]
    line = PLUGINS.splitlines().index('@plugin("job", version="v2.0", name="A job", group="Acme")')
    assert job["source"] == f"{folder / 'acme_jobs.py'}:{line + 1}"


def test_all_schemas_come_by_code_and_version() -> None:
    found = read(stdops("list", "--schema"))

    assert found["job/v2.0"]["inputs"]["properties"]["token"]["writeOnly"] is True
    assert found["http_request/v1.0"]["outputs"]["type"] == "object"


def test_what_does_not_load_is_listed_at_the_end_and_in_the_exit_code(folder: Path) -> None:
    file = folder / "acme_jobs.py"
    file.write_text(PLUGINS + "\nimport nowhere_at_all\n")

    done = stdops("list")

    assert done.exit_code == 1
    assert f"{file}:{PLUGINS.count(chr(10)) + 2}:1: error SOP410" in done.stderr
    assert "No module named 'nowhere_at_all'" in done.stderr
    assert "http_request" in done.stdout


def test_a_plugin_is_shown_whole() -> None:
    done = stdops("show", "job")

    assert done.exit_code == 0
    for part in ("Do a job.", "polls: it starts", "never repeated", "acme 1.2", '"code": "job"'):
        assert part in done.stdout
    rows = [line.split() for line in done.stdout.splitlines()]
    assert ["url", "string", "required", "Where", "the", "jobs", "are"] in rows
    assert ["token", "secret", "Who", "asks"] in rows
    assert "there is also v1.0" in done.stderr


def test_a_version_is_shown_by_its_name() -> None:
    assert read(stdops("show", "job", "v1.0", "--json"))["kind"] == "returns"


@pytest.mark.parametrize(
    ("option", "begins"),
    [("--schema", '{\n  "inputs": {'), ("--markdown", "## `job` v2.0: A job")],
)
def test_a_plugin_is_shown_for_programs_and_pages(option: str, begins: str) -> None:
    assert stdops("show", "job", option).stdout.startswith(begins)


def test_a_lazy_variable_is_shown() -> None:
    assert "Compute them." in stdops("show", "roles").stdout


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (["show", "jobb"], "there is no plugin 'jobb'; did you mean 'job'?"),
        (["show", "job", "v9"], "unknown version 'v9' of plugin 'job'"),
        (["call", "job", "--version", "v9"], "unknown version 'v9' of plugin 'job'"),
        (["call", "job", "--inputs", "{url"], "SOP541 no JSON"),
        (["call", "job", "--inputs", "nowhere.json"], "no such file"),
        (["call", "ticket", "--callback", "yes"], "SOP541 no JSON"),
        (["call", "job", "--set", "url"], "'url' is no K=V"),
    ],
    ids=str,
)
def test_wrong_use_is_told_in_a_line(args: list[str], told: str) -> None:
    done = stdops(*args)

    assert done.exit_code == 2
    assert told in done.stderr
    assert "Traceback" not in done.stderr


# --- call -------------------------------------------------------------------------------------


def test_a_plugin_is_called_to_its_end(jobs: tuple[str, type[Jobs]]) -> None:
    url, service = jobs
    service.answers[:] = ["running", "running", "done"]

    done = stdops("call", "job", "--set", f"url={url}")

    assert done.exit_code == 0
    assert "told = done" in done.stdout
    assert "note      job 7" in done.stderr
    assert service.asked == ["/jobs/7"] * 3


def test_secrets_are_masked_in_what_is_told(jobs: tuple[str, type[Jobs]]) -> None:
    url, service = jobs
    service.answers[:] = ["done"]
    inputs = json.dumps({"url": url, "token": "s3cr3t-token"})

    done = stdops("call", "job", "--inputs", inputs, "--json")

    assert read(done)["outputs"] == {"told": "done ******"}
    assert 'progress  {"asked": "******"}' in done.stderr
    assert "s3cr3t-token" not in done.output


def test_wrong_inputs_fail_it() -> None:
    done = stdops("call", "job", "--set", "times=x", "--json")

    assert done.exit_code == 1
    assert read(done)["outcome"] == "failed"
    assert "'url' is missing; 'times'" in read(done)["error"]


def test_without_waiting_the_first_step_is_taken(jobs: tuple[str, type[Jobs]]) -> None:
    done = stdops("call", "job", "--set", f"url={jobs[0]}", "--no-wait", "--json")

    assert done.exit_code == 3
    assert (read(done)["outcome"], read(done)["handle"]) == ("polling", 7)
    assert jobs[1].asked == []


def test_callbacks_are_handed_over_in_order() -> None:
    given = ["--callback", '"later"', "--callback", '{"ok": true}']

    done = stdops("call", "ticket", "--set", "url=x", *given)

    assert done.exit_code == 0
    assert "told = {'ok': True}" in done.stdout


def test_a_callback_that_is_not_given_leaves_it_waiting() -> None:
    done = stdops("call", "ticket", "--set", "url=x", "--callback", '"later"')

    assert done.exit_code == 3
    assert "● waiting" in done.stdout
    assert "give what it would be by --callback" in done.stderr


def test_ctrl_c_stops_the_work_outside(jobs: tuple[str, type[Jobs]]) -> None:
    url, service = jobs
    # whoever runs the tests may ignore the signal, which a child inherits
    listening = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    code = f"{listening}; import stdops; stdops.main()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, "plugins", "call", "job", "--set", f"url={url}"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, sys.path))},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        service.came.wait(30)
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=30)
    finally:
        process.kill()

    assert process.returncode == 130
    assert "the work outside was told to stop" in told
    assert service.asked[-1] == "DELETE /jobs/7"


# --- where else a mistake is told -------------------------------------------------------------


def test_lint_tells_what_did_not_load(folder: Path, tmp_path: Path) -> None:
    (folder / "acme_jobs.py").write_text("1/0\n")
    template = tmp_path / "t.yaml"
    template.write_text("schema_version: v1\nmeta: {name: t, id: t}\nspec: {nodes: []}\n")

    done = CliRunner().invoke(app, ["lint", str(template)])

    assert f"{folder / 'acme_jobs.py'}:1:1: error SOP410" in done.stderr
    assert "ZeroDivisionError" in done.stderr


def test_a_worker_logs_what_did_not_load(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    from structlog.testing import capture_logs

    (folder / "acme_jobs.py").write_text("1/0\n")

    with capture_logs() as logs:
        system._log_problems(discover())

    (line,) = logs
    assert line["event"] == "workers.plugins_not_loaded"
    assert (line["log_level"], line["code"]) == ("error", "SOP410")
    assert line["where"] == f"{folder / 'acme_jobs.py'}:1:1"
    assert line["fix"] == "mend that line"
