"""The page of current details: what a run does, why it waits, and what to press, in Markdown.

The Temporal Web UI sends the whole text in an address, so all of it together stays within the
setting `picture_bytes` when URL-encoded. Names and reasons come from templates and plugins: they
are escaped, and no value of a variable is shown.
"""

import json
import re
from collections.abc import Sequence
from typing import Final

from activities.contract import RunSettings
from translator.plan import (
    ROOT,
    Branch,
    ConditionalParallel,
    Exclusive,
    Literal,
    NodePath,
    Plan,
    Task,
)
from workflows.machine.state import JournalEntry, RunState
from workflows.machine.view.blocks import Item, blocks, branches_of
from workflows.machine.view.fold import LEVELS, fold, trim
from workflows.machine.view.signs import SIGNS, WORDS, View, ago, span, view_of
from workflows.machine.view.status import NodeView, Status, WarningView, node_at, status
from workflows.machine.view.svg import encoded_size, fitted
from workflows.machine.view.text import draw_text
from workflows.machine.view.width import ELLIPSIS, clean

MOST_FAILED: Final = 5
MOST_WAITING: Final = 5
LAST_VERBS: Final = 3
MOST_WAYS: Final = 4
REASON_CHARS: Final = 120
MOST_WARNED: Final = 2
WARNED: Final = "⚠"
HOW_TO_UPDATE: Final = (
    "*How: More Actions > Send an Update. If Submit only tidies the data, press it again*"
)
"""The page's editor tidies JSON when it is left, which moves the button away from the pointer."""
NOT_RUN: Final = "not run"
"""What is left when a run has ended is no longer to go."""
PICTURE_SHARE: Final = 0.45
"""The least share of the page that the picture may have, before the words are shortened."""

_TEXT_COLUMNS: Final = 64
_NAME_CHARS: Final = 40
_ENDED: Final = ("Finished", "Revoked")
_SPECIAL: Final = re.compile(r"([\\`*_\[\]<>&#|~!$])")
_HEADS: Final = {
    "Running": SIGNS["running"],
    "Waiting": SIGNS["waiting"],
    "Paused": SIGNS["paused"],
    "Failed": SIGNS["failed"],
    "Finished": SIGNS["done"],
    "Revoked": SIGNS["revoked"],
}


def page(
    plan: Plan,
    state: RunState,
    settings: RunSettings,
    now: float,
    *,
    run_id: str = "",
    svg: bool = True,
) -> str:
    """Return the page at `now`, seconds since the epoch; `svg` False draws in text instead.

    `run_id` names the run for the command line, where it is given.
    """
    view, found = view_of(state, now), status(plan, state, now)
    bound = max(0, settings.picture_bytes)
    for most in (MOST_FAILED, 3, 2, 1):
        head = _head(plan, found, view, most)
        foot = _foot(found, state, now, run_id)
        words = encoded_size("\n\n".join([*head, *foot])) + encoded_size("\n\n") * 2
        if words <= bound * (1 - PICTURE_SHARE):
            break
    drawn = _drawing(trim(blocks(plan.flow), view), view, bound - words, svg=svg)
    return _within([*head, *([drawn] if drawn else []), *foot], bound)


def escape_markdown(text: str) -> str:
    """Return `text` on one line, so that Markdown and HTML show it as it is."""
    return _SPECIAL.sub(r"\\\1", clean(text)).replace("\\<", "&lt;").replace("\\&", "&amp;")


def code(text: str) -> str:
    """Return `text` as a code span, whatever backticks it holds."""
    shown = clean(text)
    longest = max((len(run) for run in re.findall("`+", shown)), default=0)
    fence = "`" * (longest + 1)
    pad = " " if shown.startswith("`") or shown.endswith("`") else ""
    return f"{fence}{pad}{shown}{pad}{fence}"


def _head(plan: Plan, found: Status, view: View, most: int) -> list[str]:
    """Return the headline, then what is to be done about each node that holds the run."""
    parts = [f"### {_headline(found, view)}"]
    parts += [_failed(plan, node) for node in found.failed[:most]]
    if len(found.failed) > most:
        parts.append(f"and {len(found.failed) - most} more failed")
    room = min(MOST_WAITING, most)
    parts += [HOW_TO_UPDATE] if _asks_for_update(found) else []
    parts += _listed([*found.waiting, *found.running], room, view.now)
    parts += _warned(found, min(MOST_WARNED, most))
    return parts


def _warned(found: Status, most: int) -> list[str]:
    """Return one line with the latest of what is told of nodes' values."""
    if not found.warnings:
        return []
    count = found.warnings_count
    told = [_warning(one) for one in found.warnings[:most]]
    more = f"; and {count - len(told)} more" if count > len(told) else ""
    return [f"{WARNED} {count} {'warning' if count == 1 else 'warnings'}: {'; '.join(told)}{more}"]


def _warning(one: WarningView) -> str:
    name = escape_markdown(_shorten(one.name, _NAME_CHARS))
    return f"**{name}** {code(one.path)} {escape_markdown(_shorten(one.text, REASON_CHARS))}"


def _asks_for_update(found: Status) -> bool:
    """Say whether the page names an update that a person may send."""
    offered = any(node.verbs for node in found.failed) or any(map(_hint, found.waiting))
    return offered or found.state == "Paused"


def _headline(found: Status, view: View) -> str:
    age, sign = span(view.now - found.since), _HEADS[found.state]
    match found.state:
        case "Failed" if found.failed:
            nodes = "1 node" if len(found.failed) == 1 else f"{len(found.failed)} nodes"
            return f"{sign} Waiting for you: {nodes} failed, {age} ago"
        case "Paused":
            who = _who(view, ("pause",))
            return f"{sign} Paused{who}, {age} ago. Update **resume** `{{}}` to go on"
        case "Finished" | "Failed":
            took = span(found.since - found.started)
            return f"{sign} {found.state} {age} ago, took {took}"
        case "Revoked":
            return f"{sign} Revoked{_who(view, ('revoke',))}, {age} ago"
        case "Waiting" | "Running":
            return f"{sign} {found.state} for {age}"


def _who(view: View, verbs: Sequence[str]) -> str:
    """Return " by <operator>" of the last such verb that was accepted."""
    journal = view.state.journal if view.state else ()
    for entry in reversed(journal):
        if entry.verb in verbs and not entry.refusal and not entry.node and entry.operator:
            return f" by {escape_markdown(_shorten(entry.operator, _NAME_CHARS))}"
    return ""


def _failed(plan: Plan, node: NodeView) -> str:
    """Return why a node failed, and the verbs with the exact object for the update's box."""
    reason = escape_markdown(_shorten(node.reason, REASON_CHARS)) or "no reason given"
    where = f"{_name(node)}, attempt {node.attempt}: *{reason}*"
    verbs = [f"**{verb}** {_object(plan, node.path, verb)}" for verb in node.verbs]
    key = _input_to_change(plan, node.path)
    other = json.dumps({"node": node.path, "set": {key: ELLIPSIS}}, ensure_ascii=False)
    change = f"; with other inputs: {code(other)}" if key and "retry" in node.verbs else ""
    choices = _choices(plan, node)
    return f"{where}\nUpdate {' or '.join(verbs)}{change}{choices}" if verbs else where


def _object(plan: Plan, path: NodePath, verb: str) -> str:
    """Return the object that a verb takes, as it goes into the box."""
    fields: dict[str, object] = {"node": path}
    ways = _ways(plan, path)
    if verb == "choose" and ways:
        several = isinstance(node_at(plan, path), ConditionalParallel)
        fields |= {"branches": [ways[0].edge]} if several else {"branch": ways[0].edge}
    return code(json.dumps(fields, ensure_ascii=False))


def _ways(plan: Plan, path: NodePath) -> tuple[Branch, ...]:
    node = node_at(plan, path)
    return branches_of(node) if isinstance(node, Exclusive | ConditionalParallel) else ()


def _choices(plan: Plan, node: NodeView) -> str:
    """Return which branch has which id, for a gateway that waits for a choice."""
    ways = _ways(plan, node.path)[:MOST_WAYS] if "choose" in node.verbs else ()
    named = [f"{code(way.edge)} {escape_markdown(_label(way))}".strip() for way in ways]
    return f"; branches: {', '.join(named)}" if len(named) > 1 else ""


def _label(way: Branch) -> str:
    return _shorten(way.name or (way.condition.text if way.condition else "default"), 24)


def _input_to_change(plan: Plan, path: NodePath) -> str:
    """Return the input that most likely needs another value: the first one made of variables."""
    node = node_at(plan, path)
    inputs = node.inputs if isinstance(node, Task) else {}
    made = (key for key, value in inputs.items() if not isinstance(value, Literal))
    return next(made, next(iter(inputs), ""))


def _name(node: NodeView) -> str:
    return f"**{escape_markdown(_shorten(node.name, _NAME_CHARS))}** {code(node.path)}"


def _listed(nodes: Sequence[NodeView], most: int, now: float) -> list[str]:
    """Return one paragraph with a line for each node that waits or runs."""
    if not nodes:
        return []
    lines = [_line(node, now) for node in nodes[:most]]
    if len(nodes) > most:
        lines.append(f"and {len(nodes) - most} more")
    return ["\n".join(f"- {line}" for line in lines)]


def _line(node: NodeView, now: float) -> str:
    """Return what one node waits for, and the verb that would end the wait."""
    age = f" for {span(now - node.since)}" if node.since else ""
    waits = f", waits for {escape_markdown(_shorten(node.waits_for, 80))}"
    line = f"{SIGNS[node.look]} {_name(node)} {WORDS[node.look]}{age}{waits}"
    attempt = f", attempt {node.attempt}" if node.attempt > 1 else ""
    return line + attempt + _hint(node)


def _hint(node: NodeView) -> str:
    """Return the verb to give, with its object; a whole run is resumed without one."""
    verb = next((verb for verb in node.verbs if verb != "force_fail"), "")
    if not verb or verb == "set_timer" or (verb == "resume" and node.held_by == ROOT):
        return ""
    fields: dict[str, object] = {
        "node": (node.held_by or node.path) if verb == "resume" else node.path
    }
    if verb == "callback":
        fields["data"] = {}
    return f"; update **{verb}** {code(json.dumps(fields, ensure_ascii=False))}"


def _foot(found: Status, state: RunState, now: float, run_id: str) -> list[str]:
    """Return the counts, the last verbs, and how to see more."""
    words = {**WORDS, "todo": NOT_RUN} if found.state in _ENDED else WORDS
    counts = " · ".join(
        f"{SIGNS[look]} {count} {words[look]}" for look, count in found.counts.items()
    )
    lines = [f"{counts} · started {ago(found.started, now)}" if found.started else counts]
    lines += [_verb(entry, now) for entry in reversed(state.journal[-LAST_VERBS:])]
    if run_id:
        lines.append(f"all of it: {code(f'stdops status {run_id}')}")
    return ["\n".join(f"- {line}" for line in lines if line)]


def _verb(entry: JournalEntry, now: float) -> str:
    """Return who did what, when, on which node, and why it was refused if it was."""
    node = f" {code(_shorten(entry.node, 60))}" if entry.node else ""
    who = f" by {escape_markdown(_shorten(entry.operator, _NAME_CHARS))}" if entry.operator else ""
    why = escape_markdown(_shorten(entry.refusal or entry.reason, 60))
    refused = "refused: " if entry.refusal else ""
    tail = f": {refused}{why}" if why else ""
    return f"{ago(entry.at, now)} {escape_markdown(entry.verb)}{node}{who}{tail}".strip()


def _drawing(items: Sequence[Item], view: View, bound: int, *, svg: bool) -> str:
    """Return the richest drawing that fits, "" for none."""
    if svg:
        return fitted(items, view, bound)
    for shown in (items, *(fold(items, view, level) for level in LEVELS)):
        drawn = draw_text(shown, view, _TEXT_COLUMNS).replace("`", "'")
        fenced = f"```\n{drawn}\n```"
        if encoded_size(fenced) <= bound:
            return fenced
    return ""


def _within(parts: Sequence[str], bound: int) -> str:
    """Join the parts; where even the words are too many, the last parts go, then the last words."""
    kept = [*parts]
    while len(kept) > 1 and encoded_size("\n\n".join(kept)) > bound:
        kept.pop()
    whole = "\n\n".join(kept)
    while encoded_size(whole) > bound:
        whole = whole[: len(whole) * 9 // 10]
    return whole


def _shorten(text: str, chars: int) -> str:
    shown = clean(text)
    return shown if len(shown) <= chars else shown[: chars - 1].rstrip() + ELLIPSIS
