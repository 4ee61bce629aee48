"""Small pages of what the fake keeps, to which links in outputs and details lead."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from typing import Final

from workers.fake_blueking.timeline import HostView, view
from workers.fake_blueking.world import World

_STATES: Final[Mapping[int, str]] = {
    1: "pending",
    2: "running",
    3: "succeeded",
    4: "failed",
    10: "terminating",
    11: "terminated",
}
_HOST_STATES: Final[Mapping[int, str]] = {5: "waits", 7: "runs", 9: "succeeded"}
_STYLE: Final = (
    "body{font:15px/1.5 sans-serif;margin:2em;max-width:60em}"
    "table{border-collapse:collapse}td,th{border:1px solid #bbb;padding:.3em .7em;text-align:left}"
    "pre{margin:0;white-space:pre-wrap}"
)

Row = Sequence[object]


def page_at(world: World, path: str) -> str | None:
    """Return the page at a path, None where there is none."""
    for prefix, page in _PAGES.items():
        if path.startswith(prefix):
            return page(world, path.removeprefix(prefix).strip("/"))
    return None


def job_page(world: World, number: str) -> str | None:
    """Return the page of a job: how it stands, and each host of each step with its log."""
    job = world.jobs.get(int(number)) if number.isdecimal() else None
    if job is None:
        return None
    seen = view(job, world.pace, world.clock())
    facts: list[Row] = [
        ("state", _STATES.get(seen.status, seen.status)),
        ("started", _time(job.started_at)),
        ("by", job.user),
        ("scope", f"{job.scope['bk_scope_type']} {job.scope['bk_scope_id']}"),
    ]
    hosts = [
        (each.step.name, host.run.host.ip, _host_state(host), _log(host))
        for each in seen.steps
        for host in each.hosts
    ]
    return _page(f"JOB {job.id}: {job.name}", _table(("", ""), facts), _hosts(hosts))


def ticket_page(world: World, sn: str) -> str | None:
    """Return the page of a ticket: what is asked, of whom, and what was decided."""
    ticket = world.tickets.get(sn)
    if ticket is None:
        return None
    decided = {None: "open", True: "approved", False: "rejected"}[ticket.decided]
    facts: list[Row] = [
        ("state", f"{decided} by {ticket.decided_by}" if ticket.decided_by else decided),
        ("created", _time(ticket.created_at)),
        ("by", ticket.creator),
        ("approvers", ", ".join(ticket.approvers)),
        ("content", ticket.content),
    ]
    body = '{"sn": "' + ticket.sn + '", "approve": true}'
    hint = f"curl -d '{body}' {world.url}/_fake/tickets" if ticket.decided is None else ""
    return _page(f"Ticket {ticket.sn}: {ticket.title}", _table(("", ""), facts), _code(hint))


def _hosts(rows: Sequence[Row]) -> str:
    return _table(("step", "host", "state", "log"), rows)


def _host_state(host: HostView) -> str:
    return _HOST_STATES.get(host.status, f"failed ({host.status})")


def _log(host: HostView) -> str:
    return host.run.log if host.ended_at else ""


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _table(head: Row, rows: Sequence[Row]) -> str:
    """Return a table; what is in it may be anybody's text."""
    titles = "".join(f"<th>{escape(str(each))}</th>" for each in head) if any(head) else ""
    lines = "".join(
        f"<tr>{''.join(f'<td><pre>{escape(str(cell))}</pre></td>' for cell in row)}</tr>"
        for row in rows
    )
    return f"<table>{f'<tr>{titles}</tr>' if titles else ''}{lines}</table>"


def _code(text: str) -> str:
    return f"<p>decide it:</p><pre>{escape(text)}</pre>" if text else ""


def _page(title: str, *parts: str) -> str:
    shown = escape(title)
    body = "<br>".join(part for part in parts if part)
    return (
        f"<!doctype html><html><head><meta charset=utf-8><title>{shown}</title>"
        f"<style>{_STYLE}</style></head><body><h2>{shown}</h2>{body}"
        "<p>A fake platform: nothing was run anywhere.</p></body></html>"
    )


_PAGES: Final[Mapping[str, Callable[[World, str], str | None]]] = {
    "/job/api_execute/": job_page,
    "/itsm/ticket/": ticket_page,
}
