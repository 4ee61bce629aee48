"""The last section of `docs/troubles.md`: recorded cases in which the real engine breaks, and ours.

`python -m tests.tools.fault_table` prints it; `--write` puts it into the page. What the engine did
is read from the recorded cases, what stdops does is played on the Machine.
"""

import asyncio
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from activities.expressions import Sandbox
from tests.conformance.__main__ import cases_in
from tests.conformance.offline import run_case
from tests.tools.sections import Section

ROOT: Final = Path(__file__).resolve().parents[2]
PAGE: Final = ROOT / "docs" / "troubles.md"
CASES: Final = ROOT / "tests" / "conformance" / "cases"
BEGIN: Final = "<!-- faults: written by python -m tests.tools.fault_table --write -->\n"
END: Final = "<!-- faults: end -->\n"
HEAD: Final = """## Where the real engine breaks

Recorded cases after which nothing can move the engine's run any more, or an error escaped in its
workers, and how the same case ends here. Nodes that end alike are left out.

| case | what is done | the engine at the end | here |
|---|---|---|---|
"""
Case = Mapping[str, Any]


def faulty() -> list[dict[str, Any]]:
    """The cases in which the engine breaks, by their ids."""
    return [case for case in cases_in(CASES) if case.get("fault")]


async def played(cases: Iterable[Case]) -> list[tuple[Case, dict[str, Any]]]:
    """Play cases on the Machine, each with what came out."""
    async with Sandbox(processes=1) as sandbox:
        return [(case, await run_case(case, sandbox)) for case in cases]


def done(case: Case) -> str:
    """What is done to the run, in the engine's words."""
    steps = [f"`{s['op']}` {s.get('node') or s.get('pipeline', '')}" for s in case["script"]]
    return ", ".join(steps) or "nothing"


def standing(case: Case, mine: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    """How the run and its nodes stand in one outcome where they stand otherwise in the other."""
    root = case["tree"]["id"]
    ids = dict.fromkeys([*mine["states"], *other["states"]])
    named = [n for n in ids if n != root and state(mine, n) != state(other, n)]
    nodes = [f"{node} {state(mine, node)}" for node in named]
    return "; ".join([f"the run {state(mine, root)}", *nodes])


def state(outcome: Mapping[str, Any], node: str) -> str:
    """A node's state in words."""
    row = outcome["states"].get(node)
    if row is None:
        return "not reached"
    return "skipped" if row["skip"] else str(row["state"]).lower()


def reasons(outcome: Mapping[str, Any]) -> list[str]:
    """What was refused, and what failed nodes say."""
    refused = [
        f"`{op['op']}` is refused: {op['error']['text']}"
        for op in outcome["ops"]
        if not op.get("ok")
    ]
    failed = [node for node, row in outcome["states"].items() if row["state"] == "FAILED"]
    told = [outcome["data"].get(node, {}).get("outputs", {}).get("ex_data") for node in failed]
    return refused + [f"it says: {text}" for text in told if text]


def row(case: Case, outcome: dict[str, Any]) -> str:
    """One row of the table."""
    engine = standing(case, case["expect"], outcome)
    ours = "; ".join([standing(case, outcome, case["expect"]), *reasons(outcome)])
    return f"| {case['id']} | {done(case)} | {engine} | {ours.replace('|', '/')} |\n"


def section() -> str:
    """The whole section, in Markdown."""
    rows = [row(case, outcome) for case, outcome in asyncio.run(played(faulty()))]
    return f"\n{HEAD}{''.join(rows)}\n"


SECTION: Final = Section(PAGE, BEGIN, END, section)


if __name__ == "__main__":
    sys.exit(SECTION.main(sys.argv[1:]))
