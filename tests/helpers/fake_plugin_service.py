"""A small plugin service by the protocol of bk-plugin-framework, with faults on demand.

`answer` is what it does with one request, without a network; `served` puts it behind a real socket.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.helpers.faulty import Exchange, serving

CODE = "roll_out"
VERSION = "1.0.0"
TRACE = "0123456789abcdef0123456789abcdef"

Json = dict[str, Any]


def enveloped(data: Any, **more: Any) -> Json:
    return {"result": True, "data": data, "message": "success", "trace_id": TRACE} | more


def progress(state: int, outputs: Any = None, err: Any = None) -> Json:
    return {"state": state, "outputs": outputs, "err": err}


def refusal(message: str) -> Json:
    return {"result": False, "data": None, "message": message, "trace_id": "of-the-request"}


@dataclass
class FakePluginService:
    """One version of one plugin; each list holds what the next requests get, the last one stays.

    What stands in a list is JSON, a status, "drop", "late" or "junk". `invoked` are the bodies and
    headers of the invokes, `looked` the trace ids of the looks.
    """

    invokes: list[Any] = field(default_factory=lambda: [enveloped(progress(4, {"n": 1}))])
    looks: list[Any] = field(default_factory=lambda: [enveloped(progress(4, {"n": 2}))])
    details: list[Any] = field(default_factory=list[Any])
    wanted: list[str] = field(default_factory=list[str])
    required: list[str] = field(default_factory=list[str])
    calls_back: bool = False
    at_invoke: Callable[[Json], None] = lambda _: None
    invoked: list[tuple[Json, httpx.Headers]] = field(default_factory=list[Any])
    looked: list[str] = field(default_factory=list[str])
    detailed: int = 0

    @property
    def detail(self) -> Json:
        """What it says of itself."""
        known = {name: {"title": name, "type": "string"} for name in self.wanted}
        wants = {"properties": known, "required": self.required}
        inputs = {
            "properties": {"host": {"type": "string"}, "size": {"type": "integer"}},
            "required": ["host"],
        }
        base = {"desc": "", "version": VERSION, "enable_plugin_callback": self.calls_back}
        return {**base, "inputs": inputs, "context_inputs": wants, "forms": {"renderform": None}}

    def reply(self, method: str, path: str, body: bytes, headers: httpx.Headers) -> Any:
        """Do what a request asks for; returns JSON, a status, or the word of a fault."""
        name, _, last = path.removeprefix("/bk_plugin/").partition("/")
        match method, name:
            case "GET", "detail":
                self.detailed += 1
                known = enveloped(self.detail) if last == VERSION else 404
                return _next(self.details) or known
            case "POST", "invoke" if last == VERSION:
                given = json.loads(body)
                self.invoked.append((given, headers))
                self.at_invoke(given)
                return _next(self.invokes)
            case "GET", "schedule":
                self.looked.append(last)
                return _next(self.looks)
            case _:
                return 404

    def answer(self, request: httpx.Request) -> httpx.Response:
        """Answer a request of a `Stage`."""
        found = self.reply(request.method, request.url.path, request.content, request.headers)
        match found:
            case "drop":
                raise httpx.ReadError("reset", request=request)
            case "late":
                raise httpx.ReadTimeout("no answer in time", request=request)
            case "junk":
                return httpx.Response(200, text="<html>sign in</html>")
            case int():
                return httpx.Response(found)
            case _:
                return httpx.Response(200, json=found)

    async def serve(self, exchange: Exchange) -> None:
        """Answer a request on a socket."""
        method, path, _ = exchange.line.split(" ")
        headers = httpx.Headers(exchange.headers)
        match self.reply(method, path, exchange.body, headers):
            case "drop":
                return
            case "late":
                await asyncio.Event().wait()
            case "junk":
                await exchange.answer("200 OK", "<html>sign in</html>")
            case int() as status:
                await exchange.answer(f"{status} No")
            case found:
                await exchange.answer("200 OK", json.dumps(found), content_type="application/json")


def _next(answers: list[Any]) -> Any:
    if not answers:
        return None
    return answers.pop(0) if len(answers) > 1 else answers[0]


@asynccontextmanager
async def served(fake: FakePluginService) -> AsyncGenerator[str]:
    """Serve it on this machine for as long as the context lasts; gives its address."""
    async with serving(fake.serve) as server:
        yield server.url
