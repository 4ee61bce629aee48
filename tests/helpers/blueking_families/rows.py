"""What a row of the families' table says, and how other paths follow from one that ends well."""

import re
from collections.abc import Callable, Sequence
from typing import Any, Final, Literal, NamedTuple

from workers.fake_blueking import World
from workers.fake_blueking.faults import Fault
from workers.fake_blueking.world import Denial

Json = dict[str, Any]
Path = Literal["success", "callback", "poll", "failure", "refused", "lost"]
PATHS: Final = ("success", "callback", "poll", "failure", "refused", "lost")

COMPAPI: Final = "/api/c/compapi/v2"
_LOOKS: Final = (
    "job/job_status",
    "job/details",
    "get_task_info",
    "operation/list",
    "build_status",
    "ticket_approval_result",
    "releases/web",
)
"""How the paths end by which work of other systems than JOB is looked at."""


class Sent(NamedTuple):
    """A request: its method, its path without the platform's prefix, and its query or body."""

    method: str
    path: str
    params: Json

    @property
    def api(self) -> str:
        """What the platform's ledger calls it."""
        system, _, rest = self.path.partition("?")[0].strip("/").partition("/")
        if system == "gateway":
            return f"{rest.partition('/')[0]}.{rest.rpartition('/')[2]}"
        return f"{system}.{rest}"

    @property
    def is_look(self) -> bool:
        """Whether it looks at work that may go on."""
        if self.method == "PUT":
            return False
        if self.api == "jobv3.get_job_instance_status":
            return "return_ip_result" not in self.params
        return self.path.rstrip("/").endswith(_LOOKS)


def get(path: str, **params: Any) -> Sent:
    """Return a GET; all of a query is text."""
    return Sent("GET", path, {key: str(value) for key, value in params.items()})


def post(path: str, *parts: Json, **more: Any) -> Sent:
    """Return a POST with a JSON body, put together from its parts."""
    body: Json = {}
    for part in (*parts, more):
        body |= part
    return Sent("POST", path, body)


class Like:
    """Equals every text that a pattern fits: what a run makes anew, such as times and ciphers."""

    def __init__(self, pattern: str) -> None:
        self._pattern: Final = pattern

    def __eq__(self, other: object) -> bool:
        return isinstance(other, str) and bool(re.fullmatch(self._pattern, other))

    def __hash__(self) -> int:
        return hash(self._pattern)

    def __repr__(self) -> str:
        return f"Like({self._pattern!r})"


CALLBACK: Final = Like(r"http://127\.0\.0\.1:\d+/.+")
"""The receiver's address, with a token."""

Arrange = Callable[[World], None]


class Row(NamedTuple):
    """One way of one component.

    sent: every request, in order; with `unordered` in any. outputs: all that the node has.
    main: the API that does the work, which refusals and lost answers strike; "" where no call
    changes anything. repeats: a lost answer is no harm, and the step is taken again. error: how a
    failure begins, or what is in it.
    """

    code: str
    version: str
    inputs: Json
    sent: Sequence[Sent]
    outputs: Json
    main: str = ""
    repeats: bool = False
    path: Path = "success"
    error: str = ""
    unordered: bool = False
    arrange: Sequence[Arrange] = ()
    faults: Sequence[Fault] = ()
    note: str = ""

    @property
    def name(self) -> str:
        """What the row is called; also the user for whom it calls."""
        return ".".join(filter(None, (self.code, self.version, self.path, self.note)))


def refused(row: Row) -> Row:
    """Return the way on which the platform refuses what does the work."""
    return row._replace(
        path="refused",
        note=row.note or row.path,
        sent=_up_to(row, row.main),
        outputs={},
        error="has no permission",
        arrange=(*row.arrange, _denies(row.main)),
    )


def lost(row: Row) -> Row:
    """Return the way on which the answer to what does the work is lost.

    Where the step is harmless it is taken again; a job with a name of its own is found by it; else
    nobody knows.
    """
    struck = Fault(row.main, "lost", times=1)
    way = row._replace(path="lost", note=row.note or row.path, faults=(*row.faults, struck))
    before = _up_to(row, row.main)
    if row.repeats:
        return way._replace(sent=(*before, *row.sent))
    if isinstance(before[-1].params.get("task_name"), Like):
        return way._replace(sent=(*before, _sought(before[-1]), *row.sent[len(before) :]))
    return way._replace(sent=before, outputs={}, error="outcome unknown")


def _sought(start: Sent) -> Sent:
    """Return how a job is looked for by its name."""
    scope = {key: start.params[key] for key in ("bk_scope_type", "bk_scope_id", "bk_biz_id")}
    asked = get("/jobv3/get_job_instance_list/", **scope, start=0, length=1000)
    times = {"create_time_start": Like(r"\d{13}"), "create_time_end": Like(r"\d{13}")}
    return asked._replace(params={**asked.params, "name": start.params["task_name"], **times})


def broken(ip: str, fault: Literal["agent", "disk"] = "agent") -> Arrange:
    """Return what breaks a host of the world."""

    def arrange(world: World) -> None:
        host = world.host_at(ip, 0)
        assert host is not None, ip
        host.fault = fault

    return arrange


def _denies(api: str) -> Arrange:
    return lambda world: world.denials.append(Denial("*", api))


def _up_to(row: Row, api: str) -> tuple[Sent, ...]:
    """Return a row's requests up to the first of an API; of what starts together, all."""
    found = [at for at, sent in enumerate(row.sent) if sent.api == api]
    return tuple(row.sent[: (found[-1] if row.unordered else found[0]) + 1])


def no_callback(api: str = "callback.job") -> tuple[Fault, ...]:
    """Return what loses a platform's callbacks."""
    return (Fault(api, "lost"),)
