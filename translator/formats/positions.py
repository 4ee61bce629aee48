"""JSON pointers to lines and columns: the second pass, made only when there is something to say.

The text is valid by then, so tokens are all that is needed: no value is built, and depth costs no
stack. A member of an object is at its key, an item of a list at its value.
"""

import json
import re
from bisect import bisect_right
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

import yaml

from stdops import Diagnostic
from translator.formats.fields import pointer
from translator.template import FormatName

_TOKEN: Final = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[{}\[\],:]|[^\s{}\[\],:"]+', re.DOTALL)
_BOM: Final = "\ufeff"

Place = tuple[int, int]


class _Member(NamedTuple):
    """A value in the text: its pointer, its key in an object, and where it begins."""

    at: str
    key: str | None
    offset: int


@dataclass(slots=True)
class _Holder:
    """An object or list that is being walked through; `at` is None where nobody looks."""

    at: str | None
    is_object: bool
    key: str = ""
    offset: int = 0
    index: int = 0
    awaits_key: bool = True


def locate(text: str, pointers: Collection[str]) -> dict[str, tuple[int, int]]:
    """Return line and column, 1-based, of what stands at each pointer, in JSON or YAML text.

    Where nothing stands at a pointer, the place is that of the nearest thing around it.
    """
    stripped = text.removeprefix(_BOM)
    if stripped.lstrip()[:1] in {"{", "["}:
        return _locate_json(stripped, pointers)
    return {at: place for at, (_, place) in _locate_yaml(stripped, pointers).items()}


def with_positions(
    diagnostics: Sequence[Diagnostic], data: bytes, form: FormatName
) -> tuple[Diagnostic, ...]:
    """Add line and column to the findings that have a pointer only; a `.dat` has no lines."""
    unplaced = {found.where.path for found in diagnostics if found.where.line is None}
    if form == "dat" or not unplaced:
        return tuple(diagnostics)
    text = data.decode(errors="replace").removeprefix(_BOM)
    if form == "yaml" and text.lstrip()[:1] not in {"{", "["}:
        return _placed(diagnostics, _locate_yaml(text, unplaced))
    places = _locate_json(text, unplaced)
    return _placed(diagnostics, {at: (at, place) for at, place in places.items()})


def _placed(
    diagnostics: Sequence[Diagnostic], places: dict[str, tuple[str, Place]]
) -> tuple[Diagnostic, ...]:
    placed: list[Diagnostic] = []
    for found in diagnostics:
        spot = places.get(found.where.path) if found.where.line is None else None
        if spot is None:
            placed.append(found)
            continue
        path, (line, column) = spot
        where = replace(found.where, path=path, line=line, column=column)
        placed.append(replace(found, where=where))
    return tuple(placed)


def duplicates(text: str) -> list[tuple[str, str]]:
    """Return pointer and key of every key that its object has had before, in JSON text."""
    seen: set[str] = set()
    again: dict[str, str] = {}
    for member in _members(text, None):
        if member.key is None:
            continue
        if member.at in seen:
            again[member.at] = member.key
        seen.add(member.at)
    return list(again.items())


# --- JSON --------------------------------------------------------------------------------------


def _locate_json(text: str, pointers: Collection[str]) -> dict[str, Place]:
    around = _with_ancestors(pointers)
    offsets = {member.at: member.offset for member in _members(text, around)}
    lines = [match.end() for match in re.finditer(r"\n", text)]
    found: dict[str, Place] = {}
    for at in pointers:
        offset = next((offsets[near] for near in _nearest(at) if near in offsets), None)
        if offset is not None:
            row = bisect_right(lines, offset)
            found[at] = (row + 1, offset - (lines[row - 1] if row else 0) + 1)
    return found


def _nearest(at: str) -> Iterator[str]:
    """Yield `at` and the pointers around it, outwards."""
    yield at
    while at:
        at = at.rpartition("/")[0]
        yield at


def _with_ancestors(pointers: Collection[str]) -> frozenset[str]:
    return frozenset(near for at in pointers for near in _nearest(at))


def _members(text: str, wanted: frozenset[str] | None) -> Iterator[_Member]:
    """Yield the values of JSON text; with `wanted`, only those and what is in none other."""
    holders: list[_Holder] = []
    for match in _TOKEN.finditer(text):
        word, offset = match[0], match.start()
        holder = holders[-1] if holders else None
        if word in "]}":
            if holders:
                holders.pop()
        elif holder is not None and _steps(holder, word, offset):
            continue
        else:
            at = _member_at(holder, wanted)
            if at is not None:
                yield _member(holder, at, offset)
            if word in "[{":
                holders.append(_Holder(at, is_object=word == "{"))


def _steps(holder: _Holder, word: str, offset: int) -> bool:
    """Take in a word that is not a value: punctuation or a key."""
    if word == ",":
        holder.index += 1
        holder.awaits_key = True
        return True
    if word == ":":
        return True
    if holder.is_object and holder.awaits_key and word not in "[{":
        holder.key, holder.offset, holder.awaits_key = word, offset, False
        return True
    return False


def _member_at(holder: _Holder | None, wanted: frozenset[str] | None) -> str | None:
    if holder is None:
        return ""
    if holder.at is None:
        return None
    at = pointer(holder.at, _key_text(holder.key) if holder.is_object else holder.index)
    return at if wanted is None or at in wanted else None


def _member(holder: _Holder | None, at: str, offset: int) -> _Member:
    if holder is None or not holder.is_object:
        return _Member(at, None, offset)
    return _Member(at, _key_text(holder.key), holder.offset)


def _key_text(token: str) -> str:
    try:
        return str(json.loads(token))
    except ValueError:  # only in text that is not JSON, where any place will do
        return token


# --- YAML --------------------------------------------------------------------------------------

_GROUPS: Final = {"activities", "gateways", "start_event", "end_event", "flows"}
_EVENT_TYPES: Final = {"start_event": "EmptyStartEvent", "end_event": "EmptyEndEvent"}


def _locate_yaml(text: str, pointers: Collection[str]) -> dict[str, tuple[str, Place]]:
    """Return pointer in the YAML text and place of each pointer, which may be that of a web tree.

    The first step of a pointer is the number of the document in the file.
    """
    try:
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        documents = list(yaml.compose_all(text, Loader=loader))
    except (yaml.YAMLError, RecursionError):
        return {}
    return {at: spot for at in pointers if (spot := _yaml_place(documents, at.split("/")[1:]))}


def _yaml_place(documents: list[yaml.Node], steps: list[str]) -> tuple[str, Place] | None:
    if not steps or not steps[0].isdecimal() or int(steps[0]) >= len(documents):
        return None
    root = documents[int(steps[0])]
    path, mark = f"/{steps[0]}", root.start_mark
    node: yaml.Node | None = root
    for step in _in_yaml(root, steps[1:]):
        found = _yaml_member(node, step)
        if found is None:
            break
        key, node = found
        mark = key.start_mark
        path += f"/{step}"
    return path, (mark.line + 1, mark.column + 1)


def _in_yaml(root: yaml.Node, steps: list[str]) -> list[str]:
    """Turn a pointer into the web tree of a document into one into the document itself."""
    if not steps or steps[0] not in {*_GROUPS, "constants", "outputs"}:
        return steps
    if steps[0] in {"constants", "outputs"}:
        return ["spec", *steps]
    group, rest = steps[0], steps[1:]
    nodes = _yaml_member(_yaml_child(root, "spec"), "nodes")
    for index, item in enumerate(_items(nodes[1]) if nodes else ()):
        if group in _EVENT_TYPES and _scalar(item, "type") == _EVENT_TYPES[group]:
            return ["spec", "nodes", str(index), *rest]
        if group not in _EVENT_TYPES and rest and _scalar(item, "id") == rest[0]:
            return ["spec", "nodes", str(index), *rest[1:]]
    return ["spec", "nodes"]


def _items(node: yaml.Node) -> list[yaml.Node]:
    return node.value if isinstance(node, yaml.SequenceNode) else []


def _yaml_child(node: yaml.Node, name: str) -> yaml.Node | None:
    found = _yaml_member(node, name)
    return found[1] if found else None


def _scalar(node: yaml.Node, name: str) -> str:
    child = _yaml_child(node, name)
    return str(child.value) if isinstance(child, yaml.ScalarNode) else ""


def _yaml_member(node: yaml.Node | None, step: str) -> tuple[yaml.Node, yaml.Node] | None:
    """Return the member that a pointer's step names, after the node that marks its place."""
    if isinstance(node, yaml.MappingNode):
        name = step.replace("~1", "/").replace("~0", "~")
        return next((pair for pair in node.value if str(pair[0].value) == name), None)
    if isinstance(node, yaml.SequenceNode) and step.isdecimal() and int(step) < len(node.value):
        return node.value[int(step)], node.value[int(step)]
    return None
