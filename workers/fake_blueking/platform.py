"""The platform as one object: takes a request and gives a reply, with no network in between."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Final, Literal, NamedTuple, cast

from pydantic import JsonValue

from workers.fake_blueking import (
    cmdb,
    cmdb_changes,
    job_library,
    job_views,
    jobs,
    nodemgr,
    nodes,
    pipelines,
    releases,
    services,
)
from workers.fake_blueking.asked import DENIED, Asked, Handler, Json, RefusedError
from workers.fake_blueking.faults import Fault, pick
from workers.fake_blueking.timeline import view
from workers.fake_blueking.world import APP_CODE, APP_SECRET, Job, Ticket, World

PREFIX: Final = "/api/c/compapi/v2"
HOOK: Final = "/wecom/send"
"""Where a robot of WeCom takes messages."""

_JSON: Final = "application/json"
_APIS: Final[Mapping[str, Handler]] = {
    **cmdb.APIS,
    **cmdb_changes.APIS,
    **jobs.APIS,
    **job_views.APIS,
    **job_library.APIS,
    **nodes.APIS,
    **nodemgr.APIS,
    **pipelines.APIS,
    **services.APIS,
}
_PLACED: Final = {
    re.compile(pattern): handler
    for pattern, handler in {**pipelines.PLACED, **releases.PLACED}.items()
}

_CODE_ALONE: Final = ("/nodemgr/", "/gse/")
"""The systems whose envelope has a code and no `result`."""
_STATUS_ALONE: Final = ("/gateway/devops/",)
"""The systems whose envelope has a status, 0 for good, and no `result`."""

Envelope = Literal["whole", "code", "status"]


class Request(NamedTuple):
    """What came in; the names of `headers` are in lower case."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes = b""


class Reply(NamedTuple):
    """What goes out; a reply that hangs up breaks off before its end."""

    status: int = 200
    body: bytes = b""
    content_type: str = _JSON
    hangs_up: bool = False
    after_s: float = 0


class Entry(NamedTuple):
    """One call in the ledger; `end` is `done`, `refused` or `broken`."""

    at: float
    api: str
    user: str
    params: Json
    end: Literal["done", "refused", "broken"]
    what: str = ""


class Telling(NamedTuple):
    """A callback that is due; JOB's is sent once more, as a form, where it is not taken."""

    api: Literal["callback.job", "callback.itsm"]
    url: str
    body: Json


@dataclass(slots=True)
class Platform:
    """A world behind its APIs, with faults and a ledger of all that it was asked."""

    world: World
    faults: list[Fault] = field(default_factory=list[Fault])
    ledger: list[Entry] = field(default_factory=list[Entry])

    def reply(self, request: Request) -> Reply:
        """Answer a call."""
        if request.path == HOOK:
            return self._hooked(request)
        path = request.path.removeprefix(PREFIX)
        handler, place = _handler(f"{request.method} {path}")
        if handler is None:
            what = f"Not found component class: {request.method} {path}"
            return _enveloped(
                {"result": False, "code": 1306401, "message": what, "data": None}, 404
            )
        api = _name(path, handler)
        fault = pick(self.faults, api)
        if fault is not None and fault.kind in _BEFORE:
            self._note(api, "", _params(request, place, lenient=True), "broken", fault.kind)
            return _BEFORE[fault.kind]
        done = self._do(handler, api, request, place)
        return _after(done, fault) if fault is not None else done

    def _hooked(self, request: Request) -> Reply:
        """Answer WeCom's web hook, whose key stands in its address."""
        params = _params(request, {}, lenient=True)
        answer: Json
        try:
            answer = services.wecom_hook(self.world, Asked(params))
        except RefusedError as no:
            answer = {"errcode": 40058, "errmsg": no.message}
        end = "refused" if answer["errcode"] else "done"
        self._note("wecom.send", "", params, end, str(answer["errmsg"]))
        return _enveloped(answer)

    def calls(self, api: str = "*") -> list[Entry]:
        """Return the calls in the ledger whose name fits a pattern."""
        return [entry for entry in self.ledger if fnmatchcase(entry.api, api)]

    def due(self) -> Iterator[Telling]:
        """Give the callbacks that are due; each is given once."""
        for job in self.world.jobs.values():
            if job.callback_url and not job.ends_told and self._is_over(job):
                job.ends_told = True
                yield Telling("callback.job", job.callback_url, job_views.told(self.world, job))
        for ticket in self.world.tickets.values():
            self._decide_in_time(ticket)
            if ticket.callback_url and not ticket.told and ticket.decided is not None:
                ticket.told = True
                body = services.told(self.world, ticket)
                yield Telling("callback.itsm", ticket.callback_url, body)

    def next_due(self) -> float | None:
        """Return when the next callback is due, None for never."""
        pace = self.world.pace
        ends = [
            view(job, pace, self.world.clock()).ends_at
            for job in self.world.jobs.values()
            if job.callback_url and not job.ends_told
        ]
        waits = pace.approval_s
        if waits is not None:
            open_ones = [t for t in self.world.tickets.values() if t.decided is None]
            ends += [ticket.created_at + waits for ticket in open_ones]
        return min(ends, default=None)

    def _do(self, handler: Handler, api: str, request: Request, place: Mapping[str, str]) -> Reply:
        """Do what a call asks for; what is wrong with it goes into the platform's envelope."""
        user, params = "", _params(request, place, lenient=True)
        envelope = _envelope_of(request.path.removeprefix(PREFIX))
        try:
            user = _user(request.headers)
            params = _params(request, place)
            self._allow(user, api)
            data = handler(self.world, Asked(params, user=user))
        except RefusedError as no:
            self._note(api, user, params, "refused", no.message)
            return _enveloped(_refusal(no, envelope))
        self._note(api, user, params, "done")
        return _enveloped(_answer(data, envelope, _id(self)))

    def _allow(self, user: str, api: str) -> None:
        for denial in self.world.denials:
            if fnmatchcase(user, denial.user) and fnmatchcase(api, denial.api):
                action: Json = {"id": api, "name": api, "related_resource_types": []}
                permission: Json = {"system_id": "bk_fake", "actions": [action]}
                raise RefusedError(f"{user} has no permission: {api}", DENIED, permission)

    def _note(
        self,
        api: str,
        user: str,
        params: Json,
        end: Literal["done", "refused", "broken"],
        what: str = "",
    ) -> None:
        self.ledger.append(Entry(self.world.clock(), api, user, params, end, what))

    def fault_of(self, telling: Telling) -> Fault | None:
        """Return the rule by which a callback breaks, None for none; it counts as used."""
        return pick(self.faults, telling.api)

    def _is_over(self, job: Job) -> bool:
        return view(job, self.world.pace, self.world.clock()).is_over

    def _decide_in_time(self, ticket: Ticket) -> None:
        """Let the first approver decide where the pace says when."""
        waits = self.world.pace.approval_s
        if ticket.decided is not None or waits is None:
            return
        if self.world.clock() >= ticket.created_at + waits:
            services.decide(ticket, ticket.approvers[0], is_yes=self.world.pace.approves)


def _user(headers: Mapping[str, str]) -> str:
    """Return for whom a call is made.

    Raises:
        RefusedError: the credentials are missing or wrong.
    """
    try:
        found: object = json.loads(headers.get("x-bkapi-authorization", ""))
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise RefusedError("X-Bkapi-Authorization is missing, or is no JSON object", 1302100)
    known = Asked(cast("Json", found), "X-Bkapi-Authorization")
    if (known.text("bk_app_code"), known.text("bk_app_secret")) != (APP_CODE, APP_SECRET):
        raise RefusedError("APP authentication failed: bk_app_code or bk_app_secret", 1302101)
    if known.has("access_token"):
        return f"token:{known.text('access_token')}"
    return known.text("bk_username")


def _handler(asked: str) -> tuple[Handler | None, dict[str, str]]:
    """Return what serves a method and path, with what stands in the path's parameters."""
    if (known := _APIS.get(asked)) is not None:
        return known, {}
    for pattern, handler in _PLACED.items():
        if found := pattern.fullmatch(asked):
            return handler, found.groupdict()
    return None, {}


def _params(request: Request, place: Mapping[str, str], *, lenient: bool = False) -> Json:
    """Return the query of a GET, the body of a POST; in a path with parameters, all of them."""
    if request.method == "GET":
        return {**request.query, **place}
    if place:
        return {"body": _body(request, lenient=lenient), **request.query, **place}
    return _body(request, lenient=lenient)


def _body(request: Request, *, lenient: bool) -> Json:
    try:
        found: object = json.loads(request.body)
    except ValueError:
        found = None
    if isinstance(found, dict):
        return cast("Json", found)
    if lenient:
        return {}
    raise RefusedError("the body is no JSON object")


def _envelope_of(path: str) -> Envelope:
    if path.startswith(_STATUS_ALONE):
        return "status"
    return "code" if path.startswith(_CODE_ALONE) else "whole"


def _answer(data: JsonValue, envelope: Envelope, request_id: str) -> Json:
    if envelope == "status":
        return {"status": 0, "message": "", "data": data}
    answer: Json = {"code": 0, "message": "success", "data": data}
    return answer if envelope == "code" else {"result": True, **answer, "request_id": request_id}


def _refusal(no: RefusedError, envelope: Envelope) -> Json:
    if envelope == "status":
        return {"status": no.code, "message": no.message, "data": None}
    answer: Json = {"code": no.code, "message": no.message, "data": None}
    if no.permission is not None:
        answer["permission"] = no.permission
    return answer if envelope == "code" else {"result": False, **answer}


def _enveloped(answer: Json, status: int = 200) -> Reply:
    return Reply(status, json.dumps(answer, ensure_ascii=False).encode())


def _name(path: str, handler: Handler) -> str:
    """Return what the ledger calls an API; behind a gateway, what serves it."""
    system, _, rest = path.strip("/").partition("/")
    if system == "gateway":
        return f"{rest.partition('/')[0]}.{handler.__name__}"
    return f"{system}.{rest}"


def _id(platform: Platform) -> str:
    return f"fake-{len(platform.ledger)}"


_BEFORE: Final[Mapping[str, Reply]] = {
    "drop": Reply(hangs_up=True),
    "error": Reply(500, b"Internal Server Error", "text/plain"),
    "busy": _enveloped(
        {"result": False, "code": 1642902, "message": "too many requests", "data": None}, 429
    ),
}
"""Faults that strike before anything is done."""


def _after(reply: Reply, fault: Fault) -> Reply:
    """Return what becomes of a reply whose work is done."""
    match fault.kind:
        case "lost":
            return reply._replace(hangs_up=True)
        case "gateway":
            return Reply(502, b"Bad Gateway", "text/plain")
        case "slow":
            return reply._replace(after_s=fault.seconds)
        case "junk":
            return Reply(200, b"<html>sign in</html>", "text/html")
        case "shape":
            return Reply(200, b'["not", "an", "envelope"]')
        case _:
            return reply
