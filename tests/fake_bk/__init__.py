"""The fake BlueKing platform under test: a clock to turn, a client to ask with, a stage to use it.

The platform itself is `workers.fake_blueking`, which `stdops dev --fake-bk` and the demo use too.
"""

import json
from dataclasses import dataclass, field
from typing import Any

import httpx

from workers.fake_blueking import APP_CODE, APP_SECRET, Platform, shop
from workers.fake_blueking.platform import PREFIX, Reply, Request

Json = dict[str, Any]

SCOPE: Json = {"bk_scope_type": "biz", "bk_scope_id": "2", "bk_biz_id": 2}
CREDENTIALS: Json = {"bk_app_code": APP_CODE, "bk_app_secret": APP_SECRET, "bk_username": "admin"}


@dataclass
class Clock:
    """Shows what a test sets."""

    now: float = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Site:
    """A platform of a test's own, asked without a network."""

    clock: Clock = field(default_factory=Clock)
    platform: Platform = field(init=False)

    def __post_init__(self) -> None:
        world = shop()
        world.clock = self.clock
        self.platform = Platform(world)

    def reply(self, method: str, path: str, params: Json, **credentials: Any) -> Reply:
        """Send one call, by the whole path below the prefix."""
        headers = {"x-bkapi-authorization": json.dumps(CREDENTIALS | credentials)}
        body = json.dumps(params).encode() if method == "POST" else b""
        query = {key: str(value) for key, value in params.items()} if method == "GET" else {}
        return self.platform.reply(Request(method, PREFIX + path, query, headers, body))

    def answer(self, method: str, path: str, params: Json, **credentials: Any) -> Json:
        """Return the envelope that a call is answered with."""
        return json.loads(self.reply(method, path, params, **credentials).body)

    def data(self, method: str, path: str, params: Json) -> Any:
        """Return the data of a call that must be good."""
        found = self.answer(method, path, params)
        assert found.get("result", found["code"] == 0) is True, found
        return found["data"]

    def refused(self, method: str, path: str, params: Json) -> str:
        """Return the message of a call that must be refused."""
        found = self.answer(method, path, params)
        assert found["result"] is False, found
        assert found["code"] != 0
        assert found["data"] is None
        return found["message"]

    def outside(self, request: httpx.Request) -> httpx.Response:
        """Answer as the outside of a `Stage`."""
        headers = {name.lower(): value for name, value in request.headers.items()}
        query = dict(request.url.params)
        asked = Request(request.method, request.url.path, query, headers, request.content)
        reply = self.platform.reply(asked)
        if reply.hangs_up:
            raise httpx.ReadError("the line broke", request=request)
        return httpx.Response(
            reply.status, content=reply.body, headers={"content-type": reply.content_type}
        )
