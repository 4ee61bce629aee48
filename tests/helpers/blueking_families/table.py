"""All rows, and which component-versions and paths they cover."""

from collections.abc import Iterable, Sequence
from typing import Final

from pydantic import JsonValue

from tests.helpers.blueking_families import (
    cmdb,
    cmdb_changes,
    files,
    job,
    nodemgr,
    nodes,
    services,
    shields,
)
from tests.helpers.blueking_families.rows import PATHS, Row, lost, refused
from workers.fake_blueking.nodes import public_key

SETTINGS: Final[dict[str, JsonValue]] = {
    "wechat_work_hook": "{bk}/wecom/send?key=hush",
    "staff_groups": {"7": ["dora"]},
    "nodeman_legacy_key": public_key(),
}
"""What the workers know beside the platform's addresses."""


GOOD: Final = ("success", "callback", "poll")
"""The paths that end well."""

BAD: Final = ("failure", "refused")
"""The paths on which the node fails for sure."""

ELSEWHERE: Final = {
    "remote_plugin": "tests/temporal/test_remote_plugin.py",
    "bk_http_request": "tests/temporal/test_core_plugins.py",
}
"""Components that call something else than BlueKing, and where they are proven."""

Covered = dict[tuple[str, str], dict[str, int]]


def derived(rows: Sequence[Row]) -> list[Row]:
    """Return the ways on which what does the work is refused, or its answer lost."""
    main = [row for row in rows if row.main and row.path in GOOD and not row.faults]
    return [*map(refused, main), *map(lost, main)]


def every_row() -> list[Row]:
    """Return all rows."""
    rows = written()
    return [*rows, *derived(rows)]


def first_rows() -> list[Row]:
    """Return of each component-version the first way that ends well, if it ends within seconds."""
    first = {(row.code, row.version): row for row in reversed(written()) if row.path in GOOD}
    return [row for row in first.values() if not any(each.is_look for each in row.sent)]


def written() -> list[Row]:
    """Return the rows that are written out; the others follow from them."""
    modules = (job, files, cmdb, cmdb_changes, nodes, nodemgr, services, shields)
    return [row for module in modules for row in module.ROWS]


def coverage(rows: Sequence[Row]) -> Covered:
    """Return how many ways of each path there are of each component-version."""
    found: Covered = {}
    for row in rows:
        paths = found.setdefault((row.code, row.version), dict.fromkeys(PATHS, 0))
        paths[row.path] += 1
    return found


def uncovered(known: Iterable[tuple[str, str]], rows: Sequence[Row]) -> list[tuple[str, str]]:
    """Return those component-versions of which no way ends well, or none badly."""
    found = coverage(rows)
    return [
        each
        for each in known
        if not any(found.get(each, {}).get(path) for path in GOOD)
        or not any(found.get(each, {}).get(path) for path in BAD)
    ]
