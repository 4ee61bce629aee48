"""A BlueKing platform whose every API answers what a test says, by the API's name."""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple, cast

import httpx
from pydantic import JsonValue

from activities.blueking.apis import APIS
from activities.contract import Polling
from activities.sdk import AnyPlugin
from activities.testing import Stage

Json = dict[str, JsonValue]
Reply = JsonValue | httpx.Response | Exception | Callable[[Json], JsonValue]

BASE: Final = "https://paas.test/api/c/compapi/v2"
HOOK: Final = "https://wecom.test/hook"
SETTINGS: Final[Json] = {
    "esb_url": "https://paas.test",
    "app_code": "stdops",
    "app_secret": "hush",
    "nodeman_url": "https://nodeman.test",
    "nodemgr_url": "https://nodemgr.test",
    "gsekit_url": "https://gsekit.test",
    "wechat_work_hook": f"{HOOK}?key=hush",
    "staff_groups": {"7": ["dora", "ann"]},
}
CONTEXT: Final[Json] = {
    "operator": "ann",
    "executor": "bob",
    "biz_cc_id": 2,
    "biz_supplier_account": "0",
    "timezone": "Asia/Shanghai",
}


class Asked(NamedTuple):
    """A call: the API's name, and its parameters."""

    name: str
    params: Json


class Turns(list[Reply]):
    """What an API answers call by call; the last one holds for all further calls."""


class Systems:
    """Answers each API as `replies` say: data, a whole response, what is raised, or a function."""

    def __init__(self, replies: Mapping[str, Reply | Turns]) -> None:
        self.asked: list[Asked] = []
        self.paths: list[str] = []
        self._replies = dict(replies)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Answer a request."""
        url = str(request.url.copy_with(query=None))
        name = "hook" if url == HOOK else _name_of(url)
        params = json.loads(request.content) if request.method == "POST" else _query(request)
        self.asked.append(Asked(name, params))
        self.paths.append(url.removeprefix(BASE))
        reply = self._replies.get(name)
        if isinstance(reply, Turns):
            reply = reply.pop(0) if len(reply) > 1 else reply[0]
        if isinstance(reply, Exception):
            raise reply
        if isinstance(reply, httpx.Response):
            return reply
        return good(reply(params) if callable(reply) else reply)

    @property
    def names(self) -> list[str]:
        """The APIs that were called, in order."""
        return [each.name for each in self.asked]

    def params_of(self, name: str) -> list[Json]:
        """Return the parameters of each call of an API."""
        return [each.params for each in self.asked if each.name == name]


def on_stage(systems: Systems, context: Json | None = None, **settings: JsonValue) -> Stage:
    """Return a stage whose outside is the platform."""
    tables: dict[str, Mapping[str, JsonValue]] = {"blueking": SETTINGS | settings}
    return Stage(systems, context=CONTEXT | (context or {}), settings=tables)


async def begun(stage: Stage, plugin: AnyPlugin, form: Json) -> Polling:
    """Take the first step of a plugin that starts work outside."""
    outcome = await stage.call(plugin, form)
    assert isinstance(outcome, Polling), outcome
    return outcome


def good(data: JsonValue) -> httpx.Response:
    """Return a good answer."""
    return httpx.Response(200, json={"result": True, "code": 0, "message": "success", "data": data})


def refusal(message: str = "no such thing", code: int = 1, **more: JsonValue) -> httpx.Response:
    """Return a refusal."""
    body: Json = {"result": False, "code": code, "message": message, "data": None, **more}
    return httpx.Response(200, json=body)


def denial() -> httpx.Response:
    """Return a refusal of the access management."""
    return refusal("no permission", 9900403, permission={"actions": [{"id": "x", "name": "use x"}]})


def lost() -> Exception:
    """Return what is raised when an answer never comes."""
    return httpx.ReadTimeout("too late")


def unreached() -> Exception:
    """Return what is raised when nothing was sent."""
    return httpx.ConnectError("nobody there")


def _name_of(url: str) -> str:
    system, _, path = url.removeprefix(f"{BASE}/").partition("/")
    for name, api in APIS.items():
        pattern = re.sub(r"\\{\w+\\}", "[a-z]+", re.escape(api.path))
        if name.startswith(f"{system}.") and re.fullmatch(pattern, f"/{path}"):
            return name
    raise AssertionError(f"no API is at {url}")


def _query(request: httpx.Request) -> Json:
    return cast("Any", dict(request.url.params))
