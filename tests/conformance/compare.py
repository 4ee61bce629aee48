"""Differences between a recorded case and an outcome; an empty list means that it conforms."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, cast

FIELDS = ("run", "pipeline_state", "states", "order", "data", "pipeline_outputs", "ops")
STATE_KEYS = ("state", "loop", "inner_loop", "retry", "skip", "error_ignored")
TRACEBACK = "$traceback: "
STABLE_UNTIL = ("(", "[", "message:", "please", "limit")


def differences(
    case: Mapping[str, Any], outcome: Mapping[str, Any], fields: Sequence[str] = FIELDS
) -> list[str]:
    """Compare an outcome with what the engine did, field by field."""
    want = case["expect"]
    found: list[str] = []
    for name in fields:
        if name in want:
            found += COMPARERS.get(name, same)(want[name], outcome.get(name), name)
    return found


def same(want: Any, got: Any, path: str) -> list[str]:
    """Compare values with their types: 1, 1.0, true and "1" all differ."""
    if isinstance(want, str) and isinstance(got, str):
        return [] if same_text(want, got, path) else [f"{path}: {want!r} expected, got {got!r}"]
    if type(want) is not type(got):
        return [f"{path}: {want!r} expected, got {got!r}"]
    if isinstance(want, dict):
        return same_items(cast("dict[str, Any]", want), got, path)
    if isinstance(want, list):
        return same_list(cast("list[Any]", want), got, path)
    return [] if want == got else [f"{path}: {want!r} expected, got {got!r}"]


def same_list(want: Sequence[Any], got: Sequence[Any], path: str) -> list[str]:
    """Compare two lists item by item."""
    if len(want) != len(got):
        return [f"{path}: {len(want)} items expected, got {len(got)}"]
    pairs = enumerate(zip(want, got, strict=True))
    return [line for i, (a, b) in pairs for line in same(a, b, f"{path}[{i}]")]


def same_items(want: Mapping[str, Any], got: Mapping[str, Any], path: str) -> list[str]:
    """Compare two objects key by key."""
    found: list[str] = []
    for key in sorted({*want, *got}):
        if key not in got:
            found.append(f"{path}.{key}: missing ({want[key]!r})")
        elif key not in want:
            found.append(f"{path}.{key}: not expected ({got[key]!r})")
        else:
            found += same(want[key], got[key], f"{path}.{key}")
    return found


def same_text(want: str, got: str, path: str) -> bool:
    """Compare texts; of a failure's text only the stable beginning counts."""
    if want == got:
        return True
    if want.startswith(TRACEBACK):
        lines = [line for line in got.strip().splitlines() if line.strip()]
        return bool(lines) and lines[-1].strip().endswith(want.removeprefix(TRACEBACK))
    return path.endswith(".ex_data") and beginning(want) == beginning(got)


def beginning(text: str) -> str:
    """Return what comes before the first part of a failure's text that may vary."""
    for mark in STABLE_UNTIL:
        at = text.find(mark)
        if at > 0:
            text = text[:at]
    return text.strip()


def compare_states(want: Mapping[str, Any], got: Any, path: str) -> list[str]:
    """Compare the states of all nodes that have one."""
    found = [
        f"{path}.{name}: not expected ({got[name]['state']})" for name in got if name not in want
    ]
    for name, expected in want.items():
        if name not in got:
            found.append(f"{path}.{name}: missing ({expected['state']})")
            continue
        have = got[name]
        found += [
            f"{path}.{name}.{key}: {expected.get(key)!r} expected, got {have.get(key)!r}"
            for key in STATE_KEYS
            if expected.get(key) != have.get(key)
        ]
    return found


def related(one: str, other: str) -> bool:
    """Say whether two engine processes are the same or ancestor and descendant."""
    return one == other or one.startswith(f"{other}.") or other.startswith(f"{one}.")


def compare_order(want: Sequence[Any], got: Any, path: str) -> list[str]:
    """Compare the order of entries; branches of a fork are free to interleave."""
    names = [entry if isinstance(entry, str) else entry[0] for entry in got]
    counts, wanted = Counter(names), Counter(entry[0] for entry in want)
    found = [
        f"{path}: {name} entered {counts[name]} times, expected {wanted[name]}"
        for name in sorted({*counts, *wanted})
        if counts[name] != wanted[name]
    ]
    if found:
        return found
    seen: Counter[str] = Counter()
    where: dict[tuple[str, int], int] = {}
    for position, name in enumerate(names):
        seen[name] += 1
        where[name, seen[name]] = position
    return misplaced(want, where, path)


def misplaced(want: Sequence[Any], where: Mapping[tuple[str, int], int], path: str) -> list[str]:
    """Return the pairs of related entries that stand the wrong way round."""
    seen: Counter[str] = Counter()
    keyed: list[tuple[str, int, str]] = []
    for name, process in want:
        seen[name] += 1
        keyed.append((name, seen[name], process))
    return [
        f"{path}: {a} (#{i}) must come before {b} (#{j})"
        for at, (a, i, p) in enumerate(keyed)
        for b, j, q in keyed[at + 1 :]
        if related(p, q) and where[a, i] > where[b, j]
    ]


def compare_run(want: Mapping[str, Any], got: Any, path: str) -> list[str]:
    """Compare an answer: accepted or not, and the class of the error."""
    if bool(want.get("ok")) != bool(got and got.get("ok")):
        return [f"{path}: ok={want.get('ok')!r} expected, got {got!r}"]
    if not want.get("ok"):
        kind, have = want.get("error", {}).get("class"), got.get("error", {}).get("class")
        return [] if kind == have else [f"{path}: error {kind} expected, got {got.get('error')!r}"]
    return same(want["data"], got.get("data"), f"{path}.data") if "data" in want else []


def compare_ops(want: Sequence[Any], got: Any, path: str) -> list[str]:
    """Compare the answers to all operations."""
    found = [] if len(want) == len(got) else [f"{path}: {len(want)} expected, got {len(got)}"]
    for number, (expected, have) in enumerate(zip(want, got, strict=False)):
        found += compare_run(expected, have, f"{path}[{number}] {expected['op']}")
    return found


COMPARERS = {
    "run": compare_run,
    "states": compare_states,
    "order": compare_order,
    "ops": compare_ops,
}
