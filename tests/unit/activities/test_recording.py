"""A real service's answers, taken down once: what is kept, what is masked, what is refused."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import JsonValue

from activities.sdk import Call, Inputs, Outputs, Secret, StillRunning, plugin
from activities.testing import Recording, RecordingError, Stage

TOKEN = "s3cr3t-token"
SESSION = "live-session-id"


class JobInputs(Inputs):
    host: str
    token: Secret


class JobOutputs(Outputs):
    state: str


@plugin("job")
async def job(call: Call[JobInputs]) -> JobOutputs:
    token = call.inputs.token.get_secret_value()
    given = {"host": call.inputs.host, "signature": f"by {token}"}
    response = await call.http.post(
        "https://jobs.test/jobs", params={"access_token": token}, json=given
    )
    body = response.raise_for_status().json()
    raise StillRunning([body["id"], body["session_token"]], after_s=0)


@job.poll
async def _(call: Call[JobInputs], handle: JsonValue) -> JobOutputs:
    assert isinstance(handle, list)
    response = await call.http.get(f"https://jobs.test/jobs/{handle[0]}/{handle[1]}")
    state = response.json()["state"]
    if state == "running":
        raise StillRunning(after_s=0)
    return JobOutputs(state=state)


class Service(httpx.AsyncBaseTransport):
    """The real service, which must not be asked again once it is recorded."""

    def __init__(self) -> None:
        self.asked: list[httpx.Request] = []
        self._states = iter(["running", "running", "done"])

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        if request.method == "POST":
            assert request.url.params["access_token"] == TOKEN
            headers = {"set-cookie": f"sid={SESSION}", "x-trace": "7"}
            body = {"id": 7, "session_token": SESSION, "name": "中文"}
            return httpx.Response(202, json=body, headers=headers)
        assert request.url.path.endswith(SESSION)
        return httpx.Response(200, json={"state": next(self._states)})


@pytest.fixture(autouse=True)
def _on_a_machine_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)


async def run(recording: Recording, **changed: str) -> Any:
    async with Stage(recording) as stage:
        return await stage.run(job, {"host": "web-1", "token": TOKEN, **changed})


async def test_what_is_recorded_is_played_again_without_the_service(tmp_path: Path) -> None:
    service, file = Service(), tmp_path / "deep" / "job.json"

    recorded = await run(Recording(file, network=service))
    asked = len(service.asked)
    played = await run(Recording(file, network=service))

    assert recorded == played
    assert played.outputs == {"state": "done"}
    assert len(service.asked) == asked == 4


async def test_the_file_holds_no_secret(tmp_path: Path) -> None:
    file = tmp_path / "job.json"

    await run(Recording(file, network=Service()))

    text = file.read_text("utf-8")
    assert TOKEN not in text
    assert SESSION not in text
    assert "中文" in text
    exchange = json.loads(text)["exchanges"][0]
    assert exchange["request"]["body"]["host"] == "web-1"
    assert exchange["response"]["headers"]["x-trace"] == "7"


async def test_another_secret_plays_the_same_recording(tmp_path: Path) -> None:
    file = tmp_path / "job.json"
    await run(Recording(file, network=Service()))

    played = await run(Recording(file), token="of-another-author")

    assert played.outputs == {"state": "done"}


async def test_fields_that_are_named_are_hidden_too(tmp_path: Path) -> None:
    file = tmp_path / "job.json"

    await run(Recording(file, network=Service(), hide=["host"]))

    assert "web-1" not in file.read_text("utf-8")


async def test_a_request_that_is_not_recorded_fails_the_test(tmp_path: Path) -> None:
    file = tmp_path / "job.json"
    await run(Recording(file, network=Service()))

    with pytest.raises(RecordingError) as refused:
        await run(Recording(file), host="web-2")

    assert '"host": "web-2"' in str(refused.value)
    assert "begins with POST https://jobs.test/jobs?access_token=***" in str(refused.value)
    assert TOKEN not in str(refused.value)


async def test_in_ci_nothing_is_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "1")

    with pytest.raises(RecordingError, match="record it where CI is not set"):
        Recording(tmp_path / "job.json")


async def test_a_test_that_fails_leaves_no_recording(tmp_path: Path) -> None:
    file = tmp_path / "job.json"

    with suppress(ZeroDivisionError):
        async with Stage(Recording(file, network=Service())) as stage:
            await stage.call(job, {"host": "web-1", "token": TOKEN})
            raise ZeroDivisionError

    assert not file.exists()


@pytest.mark.parametrize("text", ["no json", '{"exchanges": [{}]}', "[]"])
async def test_a_file_that_is_no_recording_is_told(tmp_path: Path, text: str) -> None:
    file = tmp_path / "job.json"
    file.write_text(text)

    with pytest.raises(RecordingError, match=r"is no recording: .*; delete it and record again"):
        Recording(file)


@pytest.mark.parametrize(
    ("content", "headers"),
    [
        (b"plain text", {"content-type": "text/plain"}),
        (b'"a text"', {"content-type": "application/json"}),
        (b"", {}),
    ],
    ids=["text", "json text", "nothing"],
)
async def test_an_answer_comes_back_as_it_was(
    tmp_path: Path, content: bytes, headers: dict[str, str]
) -> None:
    network = httpx.MockTransport(lambda _: httpx.Response(200, content=content, headers=headers))
    answers: list[httpx.Response] = []
    for _ in range(2):
        recording = Recording(tmp_path / "one.json", network=network)
        async with httpx.AsyncClient(transport=recording) as client:
            answers.append(
                await client.post("https://one.test/", data={"password": "hunter22", "x": "1"})
            )
        recording.end()

    assert [answer.content for answer in answers] == [content, content]
    assert "hunter22" not in (tmp_path / "one.json").read_text()
