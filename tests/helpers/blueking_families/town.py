"""A fake platform for each row: each calls for a user of its own, who has a world of his own."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple, cast

from tests.helpers.blueking_families.rows import COMPAPI, Row, Sent
from workers.fake_blueking import Platform, World, shop
from workers.fake_blueking.faults import Fault
from workers.fake_blueking.platform import HOOK, Reply, Request, Telling

PENDING_S: Final = 0.2
RUNNING_S: Final = 1.8
"""Long enough that the first look finds no end, whose reads would meet those of the callback."""


class Heard(NamedTuple):
    """A request as it came in."""

    sent: Sent
    headers: Mapping[str, str]


@dataclass
class Home:
    """The platform of one row, and what it was asked."""

    row: Row
    platform: Platform
    heard: list[Heard] = field(default_factory=list[Heard])

    @property
    def sent(self) -> list[Sent]:
        """The requests, in order."""
        return [each.sent for each in self.heard]


class Town(Platform):
    """Passes each request on to the platform of its user."""

    def __init__(self, rows: Mapping[str, Row]) -> None:
        super().__init__(World())
        self.homes: Final = {user: Home(row, _platform(row)) for user, row in rows.items()}
        self._told: dict[str, Home] = {}

    def reply(self, request: Request) -> Reply:
        """Answer a call, and note it."""
        home = self._home(request)
        home.platform.world.url = self.world.url
        home.heard.append(Heard(_sent(request), request.headers))
        return home.platform.reply(request)

    def _home(self, request: Request) -> Home:
        """Return whose a request is; WeCom's hook knows no user, so there the chat tells."""
        if request.path != HOOK:
            return self.homes[_user(request.headers)]
        chat = json.loads(request.body)["chatid"]
        named = (h for h in self.homes.values() if h.row.inputs.get("wechat_work_chat_id") == chat)
        return next(named)

    def due(self) -> Iterator[Telling]:
        """Give the callbacks that are due."""
        for home in self._waiting():
            for telling in home.platform.due():
                self._told[telling.url] = home
                yield telling

    def next_due(self) -> float | None:
        """Return when the next callback is due."""
        times = [home.platform.next_due() for home in self._waiting()]
        return min((at for at in times if at is not None), default=None)

    def fault_of(self, telling: Telling) -> Fault | None:
        """Return the rule by which a callback breaks: one of its row's."""
        return self._told[telling.url].platform.fault_of(telling)

    def _waiting(self) -> list[Home]:
        worlds = [(home, home.platform.world) for home in self.homes.values()]
        return [home for home, world in worlds if world.jobs or world.tickets]


def _platform(row: Row) -> Platform:
    world = shop()
    world.pace.pending_s, world.pace.running_s = PENDING_S, RUNNING_S
    for arrange in row.arrange:
        arrange(world)
    faults = [
        Fault(each.api, each.kind, each.times, each.probability, each.seconds, each.seed)
        for each in row.faults
    ]
    return Platform(world, faults)


def _user(headers: Mapping[str, str]) -> str:
    return str(json.loads(headers["x-bkapi-authorization"])["bk_username"])


def _sent(request: Request) -> Sent:
    path = request.path.removeprefix(COMPAPI)
    query = "&".join(f"{key}={value}" for key, value in request.query.items())
    if request.method == "GET":
        return Sent("GET", path, dict(request.query))
    body = cast("dict[str, object]", json.loads(request.body))
    return Sent(request.method, f"{path}?{query}" if query else path, body)
