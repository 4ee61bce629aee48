"""The page of current details: what a run does, why it waits, and what to press, in Markdown.

The Temporal Web UI sends the whole text in an address, so all of it together stays within the
setting `picture_bytes` when URL-encoded. Names and reasons come from templates and plugins: they
are escaped, and no value of a variable is shown.
"""

import json
import re
from collections.abc import Sequence
from typing import Final

from activities.contract import Picture, RunSettings
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
from workflows.machine.view.names import Names
from workflows.machine.view.signs import SIGNS, WORDS, View, ago, clock, span, view_of
from workflows.machine.view.status import NodeView, Status, WarningView, node_at, status
from workflows.machine.view.svg import encoded_size, fitted, whole
from workflows.machine.view.text import draw_text
from workflows.machine.view.width import ELLIPSIS, clean, cut_columns

MOST_FAILED: Final = 5
MOST_WAITING: Final = 5
LAST_VERBS: Final = 3
MOST_WAYS: Final = 4
REASON_CHARS: Final = 120
MOST_WARNED: Final = 2
WARNED: Final = "⚠"
HOW_TO_UPDATE: Final = (
    "an update: More Actions > Send an Update. If Submit only tidies the data, press it again"
)
"""The page's editor tidies JSON when it is left, which moves the button away from the pointer."""
NOT_RUN: Final = "not run"
"""What is left when a run has ended is no longer to go."""
PICTURE_SHARE: Final = 0.45
"""The least share of the page that the picture may have, before the words are shortened."""
MOST_FOR_WHOLE: Final = 2
"""How many lengths of the lists are tried for a picture without folds, the longest first."""

_TEXT_COLUMNS: Final = 58
_NAME_CHARS: Final = 40
_NAME_COLUMNS: Final = 28
"""A Chinese character takes two columns, and nine bytes of the page."""
_AT_WORK: Final = ("calling", "polling")
_NOTE_CHARS: Final = 60
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
) -> str:
    """Return the page at `now`, seconds since the epoch, drawn as the settings say.

    `run_id` names the run for the command line, where it is given.
    """
    view, found = view_of(state, now, settings.timezone), status(plan, state, now)
    names, bound = Names(plan), max(0, settings.picture_bytes)
    items = trim(blocks(plan.flow), view)
    foot = _foot(found, view, names, run_id)
    heads = [_head(plan, found, view, names, most) for most in (MOST_FAILED, 3, 2, 1)]
    rooms = [bound - encoded_size("\n\n".join(["", *head, "", *foot])) for head in heads]
    wholes = _wholes(items, view, rooms[MOST_FOR_WHOLE - 1], settings.picture)
    for head, room in [*zip(heads, rooms, strict=True)][:MOST_FOR_WHOLE]:
        fit = next((drawn for drawn in wholes if encoded_size(drawn) <= room), "")
        if fit:
            return "\n\n".join([*head, fit, *foot])
    at = next((at for at, room in enumerate(rooms) if room >= bound * PICTURE_SHARE), -1)
    drawn = _drawing(items, view, rooms[at], settings.picture)
    return _within([*heads[at], *([drawn] if drawn else []), *foot], bound)


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


def _head(plan: Plan, found: Status, view: View, names: Names, most: int) -> list[str]:
    """Return the headline, then what is to be done about each node that holds the run."""
    parts = [f"### {_headline(found, view)}"]
    parts += [_paused(view)] if found.paused and found.state != "Paused" else []
    parts += [_failed(plan, node, view, names) for node in found.failed[:most]]
    if len(found.failed) > most:
        parts.append(f"and {len(found.failed) - most} more failed")
    room = min(MOST_WAITING, most)
    parts += _listed([*found.waiting, *found.running], room, view, names)
    parts += _warned(found, names, min(MOST_WARNED, most))
    return parts


def _warned(found: Status, names: Names, most: int) -> list[str]:
    """Return one line with the latest of what is told of nodes' values."""
    if not found.warnings:
        return []
    count = found.warnings_count
    told = [_warning(one, names) for one in found.warnings[:most]]
    more = f"; and {count - len(told)} more" if count > len(told) else ""
    return [f"{WARNED} {count} {'warning' if count == 1 else 'warnings'}: {'; '.join(told)}{more}"]


def _warning(one: WarningView, names: Names) -> str:
    name = escape_markdown(_shorten(one.name, _NAME_CHARS))
    text = escape_markdown(_shorten(one.text, REASON_CHARS))
    return f"**{name}** {code(names.short(one.path))} {text}"


def _asks_for_update(found: Status) -> bool:
    """Say whether the page names an update that a person may send."""
    offered = any(node.verbs for node in found.failed) or any(map(_offered, found.waiting))
    return offered or found.paused


def _headline(found: Status, view: View) -> str:
    age, sign = span(view.now - found.since), _HEADS[found.state]
    match found.state:
        case "Failed" if found.failed:
            nodes = "1 node" if len(found.failed) == 1 else f"{len(found.failed)} nodes"
            held = ", and the run is paused" if found.paused else ""
            return f"{sign} Waiting for you: {nodes} failed, {age} ago{held}"
        case "Paused":
            return _paused(view)
        case "Finished" | "Failed":
            took = span(found.since - found.started, exact=True)
            return f"{sign} {found.state} {age} ago, took {took}"
        case "Revoked":
            return f"{sign} Revoked{_who(view, ('revoke',))}, {age} ago"
        case "Waiting" | "Running":
            return f"{sign} {found.state} for {age}"


def _paused(view: View) -> str:
    """Return who paused the run, when, and what ends that."""
    root = view.node(ROOT)
    age = f", {ago(root.since, view.now)}" if root and root.since else ""
    who = _who(view, ("pause",))
    return f"{_HEADS['Paused']} Paused{who}{age}. Update **resume** `{{}}` to go on"


def _who(view: View, verbs: Sequence[str]) -> str:
    """Return " by <operator>" of the last such verb that was accepted."""
    journal = view.state.journal if view.state else ()
    for entry in reversed(journal):
        if entry.verb in verbs and not entry.refusal and not entry.node and entry.who:
            return f" by {escape_markdown(_shorten(entry.who, _NAME_CHARS))}"
    return ""


def _failed(plan: Plan, node: NodeView, view: View, names: Names) -> str:
    """Return why a node failed, and the verbs with the exact object for the update's box."""
    reason = escape_markdown(_shorten(node.reason, REASON_CHARS)) or "no reason given"
    short = names.short(node.path)
    age = f", {ago(node.since, view.now)}" if node.since else ""
    where = f"{_name(node, short)}, attempt {node.attempt}{age}: *{reason}*"
    verbs = [f"**{verb}** {_object(plan, node.path, short, verb)}" for verb in node.verbs]
    key = _input_to_change(plan, node.path)
    other = json.dumps({"node": short, "set": {key: ELLIPSIS}}, ensure_ascii=False)
    change = f"; with other inputs: {code(other)}" if key and "retry" in node.verbs else ""
    choices = _choices(plan, node)
    return f"{where}\nUpdate {' or '.join(verbs)}{change}{choices}" if verbs else where


def _object(plan: Plan, path: NodePath, short: str, verb: str) -> str:
    """Return the object that a verb takes, as it goes into the box."""
    fields: dict[str, object] = {"node": short}
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


def _name(node: NodeView, short: str) -> str:
    note = f" {escape_markdown(_shorten(node.note, _NOTE_CHARS))}" if node.note else ""
    name = escape_markdown(cut_columns(clean(node.name), _NAME_COLUMNS))
    return f"**{name}** {code(short)}{note}"


def _listed(nodes: Sequence[NodeView], most: int, view: View, names: Names) -> list[str]:
    """Return one paragraph with a line for each node that waits or runs."""
    if not nodes:
        return []
    lines = [_line(node, view, names) for node in nodes[:most]]
    if len(nodes) > most:
        lines.append(f"and {len(nodes) - most} more")
    return ["\n".join(f"- {line}" for line in lines)]


def _line(node: NodeView, view: View, names: Names) -> str:
    """Return since when a node waits, for what, and the verb that would end the wait."""
    name = _name(node, names.short(node.path))
    attempt = f", attempt {node.attempt}," if node.attempt > 1 else ""
    age = f" {span(view.now - node.since)}" if node.since else ""
    live = view.live(node.path)
    if node.look == "running" and live is not None and live.phase in _AT_WORK:
        return f"{SIGNS[node.look]} {name}{attempt} running{age and f' for{age}'}"
    waits = escape_markdown(_shorten(node.waits_for, 80))
    return f"{SIGNS[node.look]} {name}{attempt} waits{age} for {waits}{_hint(node, names)}"


def _hint(node: NodeView, names: Names) -> str:
    """Return the verb to give, with its object."""
    verb = _offered(node)
    if not verb:
        return ""
    path = (node.held_by or node.path) if verb == "resume" else node.path
    fields: dict[str, object] = {"node": names.short(path)}
    if verb == "callback":
        fields["data"] = {}
    return f"; update **{verb}** {code(json.dumps(fields, ensure_ascii=False))}"


def _offered(node: NodeView) -> str:
    """Return the verb that would end a wait; a whole run is resumed by the headline's."""
    verb = next((verb for verb in node.verbs if verb != "force_fail"), "")
    return "" if verb == "set_timer" or (verb == "resume" and node.held_by == ROOT) else verb


def _foot(found: Status, view: View, names: Names, run_id: str) -> list[str]:
    """Return the counts, what runs since when, the last verbs, and how to see more."""
    words = {**WORDS, "todo": NOT_RUN} if found.state in _ENDED else WORDS
    counts = [f"{SIGNS[look]} {count} {words[look]}" for look, count in found.counts.items()]
    how = HOW_TO_UPDATE if _asks_for_update(found) else ""
    lines = [how, " · ".join(counts), _origin(found, view)]
    journal = view.state.journal if view.state else ()
    lines += [_verb(entry, view, names) for entry in reversed(journal[-LAST_VERBS:])]
    if run_id:
        lines.append(f"all of it: {code(f'stdops status {run_id}')}")
    return ["\n".join(f"- {line}" for line in lines if line)]


def _origin(found: Status, view: View) -> str:
    """Return which template runs, and since when, with the zone of all times on the page."""
    version = f" version {found.version}" if found.version else ""
    what = escape_markdown(_shorten(f"{found.template}{version}", _NAME_CHARS))
    zone = f" {escape_markdown(view.zone)}" if view.zone else ""
    since = f"started {clock(found.started, view)}{zone}" if found.started else ""
    operator = view.state.context.get("operator") if view.state else ""
    who = f" by {escape_markdown(_shorten(str(operator), _NAME_CHARS))}" if operator else ""
    return " · ".join(part for part in (what, f"{since}{who}".strip()) if part)


def _verb(entry: JournalEntry, view: View, names: Names) -> str:
    """Return who did what, when, on which node, and why it was refused if it was."""
    node = f" {code(_shorten(names.short(entry.node), 60))}" if entry.node else ""
    who = f" by {escape_markdown(_shorten(entry.who, _NAME_CHARS))}" if entry.who else ""
    why = escape_markdown(_shorten(entry.refusal or entry.reason, 60))
    refused = "refused: " if entry.refusal else ""
    tail = f": {refused}{why}" if why else ""
    return f"{clock(entry.at, view)} {escape_markdown(entry.verb)}{node}{who}{tail}".strip()


def _wholes(items: Sequence[Item], view: View, bound: int, picture: Picture) -> list[str]:
    """Return drawings of all nodes, the richest first."""
    match picture:
        case "svg":
            return whole(items, view, bound)
        case "text":
            return [_fenced(items, view)]
        case "off":
            return []


def _drawing(items: Sequence[Item], view: View, bound: int, picture: Picture) -> str:
    """Return the richest drawing that fits, folded where it must be; "" for none."""
    match picture:
        case "svg":
            return fitted(items, view, bound, html=True)
        case "text":
            folded = (_fenced(fold(items, view, level), view) for level in LEVELS)
            return next((drawn for drawn in folded if encoded_size(drawn) <= bound), "")
        case "off":
            return ""


def _fenced(items: Sequence[Item], view: View) -> str:
    drawn = draw_text(items, view, _TEXT_COLUMNS).replace("`", "'")
    return f"```\n{drawn}\n```"


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
