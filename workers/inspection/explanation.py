"""Why a run is not finished: its own word and what the server knows, joined. Pure."""

import shlex
from collections.abc import Mapping, Sequence
from typing import Any, Final

from pydantic import Field, JsonValue, ValidationError

from translator.plan import Model, NodePath
from workers.inspection.facts import Ending, Facts, Pending, Pollers
from workflows.machine.view import Explanation, Holder
from workflows.machine.view.signs import ahead, span
from workflows.machine.view.width import clean

TEXT_CHARS: Final = 300

_WAITS: Final[Mapping[str, str]] = {
    "poll": "the work outside",
    "call": "the plugin",
    "callback": "the plugin",
    "stop": "the plugin to stop its work",
    "evaluate": "its values",
}
_ENDED: Final[Mapping[str, str]] = {
    "completed": "finished",
    "failed": "failed",
    "canceled": "was cancelled",
    "terminated": "was terminated",
    "timed_out": "ran out of time",
    "continued_as_new": "went on in another history",
}


class Problem(Model):
    """What keeps a run from moving that no node is to blame for, and what would mend it."""

    what: str
    fix: str


class Doing(Model):
    """The activity of a node, as the server sees it; times are seconds since the epoch."""

    id: str
    step: str
    state: str
    attempt: int
    queue: str
    failure: str = ""
    next_at: float = 0
    beat_at: float = 0
    looks: int = 0
    progress: dict[str, JsonValue] = Field(default_factory=dict)
    worker: str = ""
    more: int = 0


class Held(Model):
    """A node that holds the run, its activity if it has one, and what holds it inside."""

    node: Holder
    activity: Doing | None = None
    inside: tuple["Held", ...] = ()


class Told(Model):
    """Why a run is where it is: a paragraph, what stands in its way, the nodes that hold it.

    callbacks: what came for it by HTTP and what became of that, a line each, oldest first.
    """

    run: str
    state: str
    text: str
    problems: tuple[Problem, ...] = ()
    holders: tuple[Held, ...] = ()
    more: int = 0
    callbacks: tuple[str, ...] = ()


def join(facts: Facts, view: Explanation | None, silence: str, now: float) -> Told:
    """Join what a run says of itself with what the server knows.

    Args:
        facts: what the server knows.
        view: what the run says; None where it was not asked or did not answer.
        silence: why there is no view, "" where there is one.
        now: seconds since the epoch.
    """
    if facts.ending is not None:
        return _ended(facts, facts.ending, now)
    by_node: dict[NodePath, Pending] = {each.path: each for each in facts.pending if each.path}
    if view is None or not (view.holders or view.state in ("Finished", "Revoked")):
        holders = tuple(_from_activity(each) for each in by_node.values())
    else:
        holders = tuple(_held(each, by_node) for each in view.holders)
    return Told(
        run=facts.workflow_id,
        state=view.state if view else facts.status.capitalize(),
        text=_text(facts, view, silence, now),
        problems=tuple(_problems(facts, holders, silence, now)),
        holders=holders,
        more=view.more if view else 0,
    )


def read_view(answer: Any) -> Explanation | None:
    """Return the answer of the query `explain`; None for one that another release gave."""
    try:
        return Explanation.model_validate(answer)
    except ValidationError:
        return None


def queues_of(view: Explanation | None) -> list[str]:
    """Return the task queues that the plugins of the holding nodes need, beside the run's own."""
    todo = list(view.holders) if view else []
    found: dict[str, None] = {}
    while todo:
        holder = todo.pop()
        todo += holder.inside
        if holder.queue:
            found[holder.queue] = None
    return sorted(found)


# --- the paragraph ------------------------------------------------------------------------------


def _ended(facts: Facts, ending: Ending, now: float) -> Told:
    state = str(ending.result.get("state", ""))
    what = "was revoked" if state == "revoked" else _ENDED.get(ending.word, ending.word)
    reason = f": {_cut(ending.text)}" if ending.text else ""
    took = f", after {span(ending.at - facts.started, exact=True)}" if facts.started else ""
    text = f"The run {what}{reason} ({span(now - ending.at)} ago{took}); nothing holds it."
    for name in ("skipped", "ignored"):
        nodes = ending.result.get(name)
        if isinstance(nodes, list) and nodes:
            text += f" {name.capitalize()}: {', '.join(map(str, nodes))}."
    shown = state.capitalize() or ending.word.replace("_", " ").capitalize()
    return Told(run=facts.workflow_id, state=shown, text=text)


def _text(facts: Facts, view: Explanation | None, silence: str, now: float) -> str:
    if view is not None:
        return view.text
    age = f" for {span(now - facts.started)}" if facts.started else ""
    word = "under way" if facts.status == "running" else facts.status
    names = ", ".join(f"{each.path or each.id}" for each in facts.pending[:5])
    busy = f" Activities under way: {names}." if names else " No activity is under way."
    return f"The run is {word}{age}; it cannot say itself what holds it: {silence}.{busy}"


# --- problems -----------------------------------------------------------------------------------


def _problems(facts: Facts, holders: Sequence[Held], silence: str, now: float) -> list[Problem]:
    return [
        *_pause(facts, now),
        *_workflow_queue(facts, silence, now),
        *_activity_queues(facts, holders, now),
        *_workflow_task(facts),
        *_paused_activities(facts),
        *_cancel(facts),
    ]


def _pause(facts: Facts, now: float) -> list[Problem]:
    if facts.status != "paused" and facts.pause is None:
        return []
    run = shlex.quote(facts.workflow_id)
    who, since = "somebody", ""
    if pause := facts.pause:
        why = f" ({_cut(pause.reason)})" if pause.reason else ""
        who, since = f"{pause.identity or who}{why}", f", {span(now - pause.at)} ago"
    what = f"the Temporal server itself has paused the run, asked by {who}{since}"
    fix = f"`temporal workflow unpause --workflow-id {run}`; `stdops resume` does not end that"
    return [Problem(what=what, fix=fix)]


def _workflow_queue(facts: Facts, silence: str, now: float) -> list[Problem]:
    if not facts.workflow_pollers.count:
        what = (
            f"no worker polls the run's queue {facts.queue!r}{_last(facts.workflow_pollers, now)}"
        )
        fix = f"start one with `stdops worker` for the queue {facts.queue!r}: the run goes on then"
        return [Problem(what=what, fix=fix)]
    if silence and facts.status != "paused":
        seen = span(now - facts.workflow_pollers.last_seen)
        fix = "start it again if it has gone or hangs; its log may say more"
        what = f"a worker asked for work {seen} ago, but the run does not answer: {silence}"
        return [Problem(what=what, fix=fix)]
    return []


def _activity_queues(facts: Facts, holders: Sequence[Held], now: float) -> list[Problem]:
    """Return the queues without a worker that a node needs now."""
    needed: dict[str, list[str]] = {}
    for held in _flat(holders):
        if held.activity is not None and held.activity.state != "started":
            needed.setdefault(held.activity.queue, []).append(held.node.path)
    problems: list[Problem] = []
    for queue, paths in needed.items():
        pollers = facts.activity_pollers.get(queue)
        if pollers is not None and not pollers.count:
            nodes = ", ".join(paths[:5])
            what = (
                f"no worker polls the plugins' queue {queue!r}{_last(pollers, now)}; {nodes} waits"
            )
            option = "" if queue == facts.queue else f" --queue {shlex.quote(queue)}"
            fix = f"start one with `stdops worker{option}`"
            problems.append(Problem(what=what, fix=fix))
    return problems


def _last(pollers: Pollers, now: float) -> str:
    return f" (one was last seen {span(now - pollers.last_seen)} ago)" if pollers.last_seen else ""


def _workflow_task(facts: Facts) -> list[Problem]:
    if facts.task_attempt <= 1:
        return []
    why = f": {_cut(facts.task_failure)}" if facts.task_failure else ""
    what = f"the run's workflow task fails again and again (attempt {facts.task_attempt}){why}"
    fix = "nothing is lost; run workers of a version that can carry it out, see the worker's log"
    return [Problem(what=what, fix=fix)]


def _paused_activities(facts: Facts) -> list[Problem]:
    run = shlex.quote(facts.workflow_id)
    return [
        Problem(
            what=f"the Temporal server itself has paused the activity of {each.path or each.id}",
            fix=f"`temporal activity unpause --workflow-id {run} --activity-id "
            f"{shlex.quote(each.id)}`",
        )
        for each in facts.pending
        if each.state in ("paused", "pausing")
    ]


def _cancel(facts: Facts) -> list[Problem]:
    if not facts.cancel_requested:
        return []
    what = "Temporal's cancel was asked for: the run stops what is under way, then it ends"
    return [Problem(what=what, fix="wait for it; `temporal workflow terminate` ends it at once")]


# --- holders ------------------------------------------------------------------------------------


def _held(holder: Holder, by_node: Mapping[NodePath, Pending]) -> Held:
    found = by_node.get(holder.path)
    mine = found if found and found.entry == holder.entry else None
    node = holder.model_copy(update={"inside": ()})
    if mine is not None:
        link = {"url": mine.url or holder.url, "work": mine.work or holder.work}
        node = node.model_copy(update=link)
    return Held(
        node=node,
        activity=_doing(mine) if mine else None,
        inside=tuple(_held(each, by_node) for each in holder.inside),
    )


def _from_activity(pending: Pending) -> Held:
    """Return what an activity alone tells of its node."""
    node = Holder(
        path=pending.path,
        name=pending.path,
        look="running",
        since=pending.scheduled,
        entry=pending.entry,
        plugin="" if pending.type.startswith("stdops.") else pending.type,
        waits_for=_WAITS.get(pending.step, ""),
        release="by itself, when its work ends",
        url=pending.url,
        work=pending.work,
    )
    return Held(node=node, activity=_doing(pending))


def _doing(pending: Pending) -> Doing:
    return Doing(
        id=pending.id,
        step=pending.step,
        state=pending.state,
        attempt=pending.attempt,
        queue=pending.queue,
        failure=_cut(pending.failure),
        next_at=pending.next_at,
        beat_at=pending.beat_at,
        looks=pending.looks,
        progress=dict(pending.progress),
        worker=pending.worker,
        more=pending.more,
    )


def doing_text(doing: Doing, now: float) -> str:
    """Say in one line where the activity of a node is."""
    if doing.step == "poll":
        looked = f"looked {doing.looks} times" if doing.looks else "not looked at yet"
        parts = [looked, f"next look {ahead(doing.next_at, now)}" if doing.next_at else ""]
    else:
        words = {"scheduled": "waits for a worker", "started": "a worker is at it"}
        parts = [
            words.get(doing.state, doing.state),
            f"attempt {doing.attempt}" if doing.attempt > 1 else "",
            f"next try {ahead(doing.next_at, now)}" if doing.next_at else "",
            f"last failure: {doing.failure}" if doing.failure else "",
            f"{doing.more} more after it travel with it" if doing.more else "",
        ]
    beat = f"heard of {span(now - doing.beat_at)} ago" if doing.beat_at else ""
    shown = ", ".join(f"{key} {_cut(str(value))}" for key, value in doing.progress.items())
    return "; ".join(part for part in (*parts, beat, shown) if part)


def _flat(holders: Sequence[Held]) -> list[Held]:
    return [each for held in holders for each in (held, *_flat(held.inside))]


def _cut(text: str) -> str:
    line = clean(text)
    return line if len(line) <= TEXT_CHARS else f"{line[: TEXT_CHARS - 1]}…"
