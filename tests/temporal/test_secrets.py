"""A secret goes through a whole run, reaches its target, and stands nowhere else in clear."""

import asyncio
import base64
import io
import json
import logging
import secrets
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import quote, quote_plus

import pytest
import structlog
from pydantic import JsonValue, SecretStr
from temporalio.client import Client

from activities.builtin.lazy_variables import PURE_VARIABLES
from activities.expressions import Sandbox
from activities.expressions.secrets import Keys
from activities.registry import Registry, discover
from activities.sdk import (
    AnyPlugin,
    Call,
    Inputs,
    Outputs,
    PluginError,
    Secret,
    StillRunning,
    plugin,
)
from tests.helpers import build
from tests.helpers.flows import Run as Handle
from tests.helpers.flows import ask, plan, result, told, until_failed, verb, worker_on
from translator.plan import Plan
from workers.client import Runs, StartRequest
from workers.logs import configure_logs
from workers.plans import PlanLoader
from workers.secrets import KEY_FILE, sealed_plan, secret_names
from workers.settings import Settings
from workers.store import NewTemplate, Store
from workers.worker import http_client, worker_parts

GIVEN: Final = 'canary-7f3a "gïven" &+/x'
DEFAULT: Final = "canary-91bc-default"
MADE: Final = "canary-50de-made"
METADATA: Final = "__temporal_workflow_metadata"


def forms(canary: str) -> set[str]:
    raw = canary.encode()
    escaped = {json.dumps(canary)[1:-1], json.dumps(canary, ensure_ascii=False)[1:-1]}
    derived = {canary.upper(), canary[::-1], canary[:12]}
    encoded = {quote(raw), quote(raw, safe=""), quote_plus(raw), repr(canary)[1:-1]}
    for shift in range(3):  # base64 of a longer text holds one of three alignments
        inner = base64.b64encode(b"x" * shift + raw).decode()
        encoded.add(inner[4:-4])
    return {canary, *escaped, *derived, *encoded}


FORMS: Final = {form for each in (GIVEN, DEFAULT, MADE) for form in forms(each)}


def found_in(text: str) -> set[str]:
    return {form for form in FORMS if form in text}


@dataclass
class Target:
    """An HTTP server that keeps the requests it gets; answers with what it was sent."""

    requests: list[str] = field(default_factory=list[str])
    url: str = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        self.requests.append(head)
        body = json.dumps({"echo": head}).encode()
        status = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
        writer.write(f"{status}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        await writer.drain()
        writer.close()


class Words(Inputs):
    word: Secret
    text: str = ""


class Key(Outputs):
    key: Secret
    echo: str = ""


def plugins(seen: list[str]) -> list[AnyPlugin]:
    """Plugins that do with a secret what plugins should not."""

    @plugin("login", idempotent=True)
    async def login(call: Call[Words]) -> Key:
        word = call.inputs.word.get_secret_value()
        call.log.warning("tests.logged_in", phrase=word, all=f"with {word}")
        call.progress(phrase=word)
        raise StillRunning({"session": f"s-{word}", "plain": 1}, 0.02, outputs={"echo": word})

    @login.poll
    async def _(call: Call[Words], handle: JsonValue) -> Key:
        seen.append(f"{handle}")
        seen.append(call.inputs.word.get_secret_value())
        return Key(key=SecretStr(MADE), echo=f"made {MADE} of {call.inputs.text}")

    @plugin("broken", idempotent=True)
    async def broken(call: Call[Words]) -> None:
        seen.append(call.inputs.word.get_secret_value())
        logging.getLogger("elsewhere").error("of another library: %s", call.inputs.text)
        if call.entry > 1:
            raise PluginError(f"refused {call.inputs.word.get_secret_value()} {call.inputs.text}")
        raise RuntimeError(f"bug with {call.inputs.text} {call.inputs.word.get_secret_value()!r}")

    return [login, broken]


def a_plan(url: str) -> Plan:
    """A password in a header, a splice, an expression, a subflow, outputs and failing nodes."""
    header: JsonValue = [
        {"name": "X-Word", "value": "${half}"},
        {"name": "X-Own", "value": "${own}"},
    ]
    http: dict[str, JsonValue] = {
        "bk_http_request_method": "GET",
        "bk_http_request_url": f"{url}?q=${{own}}",
        "bk_http_request_header": header,
    }
    code = "bk_http_request"
    inner = build.tree(
        "start in end",
        nodes=[build.task("in", code="login", inputs={"word": "${word}", "text": "in ${word}"})],
        variables=build.variables(build.variable("word", ""), told("made", "in", "key")),
        outputs=["made"],
    )
    made: JsonValue = {"word": "${word.upper()}", "text": "${key} and ${word[::-1]}"}
    return plan(
        "start ask sub1 bad xor1 last end",
        "xor1 end",
        nodes=[
            build.task("ask", code=code, version="v1.0", inputs=http),
            build.subflow("sub1", inner, params={"word": "${word}"}),
            build.task("bad", code="broken", inputs=made),
            build.task("last", code="broken"),
        ],
        conditions={"xor1-last": "'${word}' == 'x'", "xor1-end": "1 == 1"},
        variables=[
            build.variable("word", "", code="password"),
            build.variable("own", DEFAULT, code="password"),
            build.variable("half", base64.b64encode(b"").decode() + "${own}"),
            build.variable("key", sources=[("sub1", "${made}")]),
            told("answer", "ask", "data"),
        ],
        outputs=["word", "own", "half", "key", "answer"],
    )


@dataclass
class Site:
    """A worker, its store, and all that it wrote."""

    client: Client
    runs: Runs
    store: Store
    settings: Settings
    keys: Keys
    target: Target
    seen: list[str]
    log: io.StringIO

    def keep(self, made: Plan) -> None:
        sealed = sealed_plan(made, self.keys)
        new = NewTemplate(made.template_key, made.name, "", "web", made.digest, sealed)
        self.store.save_templates([new], b"nothing secret", "made.json", "tester")

    async def start(self, made: Plan, **inputs: JsonValue) -> Handle:
        names = secret_names(made.flow)
        request = StartRequest(template=made.template_key, inputs=inputs, secrets=names)
        started = await self.runs.start(request)
        return self.client.get_workflow_handle(started.workflow_id)


@asynccontextmanager
async def a_target() -> AsyncGenerator[Target]:
    made = Target()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    async with server:
        yield made


@pytest.fixture
async def site(client: Client, tmp_path: Path) -> AsyncGenerator[Site]:
    queue, log, seen = f"secrets-{secrets.token_hex(3)}", io.StringIO(), list[str]()
    handlers = logging.getLogger().handlers[:]
    configure_logs("debug", stream=log)
    url = f"sqlite:///{tmp_path / 'store.db'}"
    here = ("127.0.0.1",)
    settings = Settings(task_queue=queue, store_url=url, data_dir=tmp_path, http_allow=here)
    registry = Registry([*plugins(seen), *discover().plugins(), *PURE_VARIABLES])
    with Store.open(url) as store:
        loader = PlanLoader(store, registry, settings)
        async with (
            a_target() as target,
            Sandbox(processes=1) as sandbox,
            http_client(settings) as http,
        ):
            parts = worker_parts(registry, sandbox, loader, http)
            async with worker_on(client, queue, parts, 100):
                runs = Runs(client, settings)
                yield Site(client, runs, store, settings, loader.keys, target, seen, log)
    structlog.reset_defaults()
    logging.getLogger().handlers[:] = handlers


async def history_of(run: Handle) -> str:
    """Everything that the server keeps of a run, raw and with its payloads decoded."""
    history = await run.fetch_history()
    texts = [history.to_json()]
    for event in history.events:
        texts += [event.SerializeToString().decode("utf-8", "replace"), str(event)]
    return "\n".join(texts)


def files_in(folder: Path) -> str:
    """Everything that a worker has written but its key."""
    files = [file for file in folder.iterdir() if file.name != KEY_FILE]
    return "".join(file.read_bytes().decode("utf-8", "replace") for file in files)


async def views_of(run: Handle) -> str:
    views = [await ask(run, name) for name in ("status", "explain", "variables", "history")]
    drawn = [await ask(run, "diagram"), await ask(run, "diagram", {"format": "svg"})]
    page = await ask(run, METADATA)
    return json.dumps([views, drawn], ensure_ascii=False) + str(page)


async def test_a_secret_reaches_its_target_and_stands_nowhere_else(
    site: Site, tmp_path: Path
) -> None:
    made = a_plan(site.target.url)
    site.keep(made)

    run = await site.start(made, word=GIVEN)
    await until_failed(run, "bad")
    failed = await views_of(run)
    await verb(run, "retry", node="bad")
    await until_failed(run, "bad")
    await verb(run, "skip", node="bad")
    await until_failed(run, "xor1")
    gateway = await ask(run, "status")
    await verb(run, "choose", node="xor1", branch="xor1-end")
    ended = await result(run)

    (request,) = site.target.requests
    assert f"X-Word: {DEFAULT}".lower() in request.lower()
    assert f"?q={DEFAULT}" in request
    assert site.seen[:2] == [f"{{'session': 's-{GIVEN}', 'plain': 1}}", GIVEN]
    assert site.seen[2:] == [GIVEN.upper(), GIVEN.upper()]
    assert "condition reads secret variable 'word'" in gateway["failed"][0]["reason"]
    everything = {
        "history": await history_of(run),
        "failed": failed,
        "views": await views_of(run),
        "result": json.dumps(ended, ensure_ascii=False),
        "log": site.log.getvalue(),
        "store": files_in(tmp_path),
    }
    assert {name: found_in(text) for name, text in everything.items() if found_in(text)} == {}
    assert site.log.getvalue()
    assert site.keys.open(ended["outputs"]["word"]) == GIVEN
    assert site.keys.open(ended["outputs"]["key"]) == MADE


async def test_a_secret_that_is_given_in_clear_is_told_of_and_shown_nowhere(site: Site) -> None:
    made = plan(
        "start a end",
        nodes=[build.task("a", code="broken", inputs={"word": "${word}"})],
        variables=[build.variable("word", "", code="password")],
    )
    site.keep(made)
    given: dict[str, JsonValue] = {"template": made.template_key, "inputs": {"word": GIVEN}}

    run: Handle = await site.client.start_workflow(
        "RunFlow", given, id=f"clear-{secrets.token_hex(4)}", task_queue=site.settings.task_queue
    )
    await until_failed(run, "a")
    status, shown = await ask(run, "status"), await views_of(run)

    text = "variable 'word' was given in clear; seal it with `stdops secret seal`"
    assert text in [one["text"] for one in status["warnings"]]
    assert text in [entry["reason"] for entry in await ask(run, "history")]
    assert found_in(shown) == set()
    assert found_in(site.log.getvalue()) == set()
    await verb(run, "revoke")
