"""Prints which ways of which BlueKing component-versions are run on the real server.

`python -m tests.tools.blueking_coverage`; the rows are those of `tests/helpers/blueking_families`.
"""

import sys
from collections.abc import Iterator

from activities.blueking.catalogue import components
from tests.helpers.blueking_families.rows import PATHS
from tests.helpers.blueking_families.table import coverage, every_row, uncovered


def lines() -> Iterator[str]:
    """Give the table, a line for each component-version, and the sums."""
    rows = every_row()
    found = coverage(rows)
    yield f"| component | version | {' | '.join(PATHS)} |"
    yield f"|---|---|{'---|' * len(PATHS)}"
    for code, version in sorted(found):
        counts = found[code, version]
        cells = " | ".join(str(counts[path] or "") for path in PATHS)
        yield f"| `{code}` | {version} | {cells} |"
    sums = " | ".join(str(sum(counts[path] for counts in found.values())) for path in PATHS)
    yield f"| {len(found)} component-versions | {len(rows)} ways | {sums} |"
    missing = uncovered(components(), rows)
    yield f"\nof {len(components())} in the catalogue without a good or a bad way: {len(missing)}"
    yield from (f"- {code} {version}" for code, version in missing)


def main() -> None:
    """Print the table."""
    sys.stdout.writelines(f"{line}\n" for line in lines())


if __name__ == "__main__":
    main()
