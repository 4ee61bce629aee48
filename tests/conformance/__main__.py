"""`python -m tests.conformance PATH`: recorded cases against stdops.

Prints each failing case with its differences, a line for each part, and last a line of totals.
"""

import argparse
import asyncio
import json
import random
import re
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from activities.expressions import Sandbox
from tests.conformance import offline, parts, trees
from tests.conformance.compare import differences
from tests.conformance.deviations import deviation_of

PARTS = ("pipelines", "trees", "boolrule", "template")
FORCED = ("forced_fail", "node_timeout")
PROGRESS_LOST = re.compile(r"data\.(\w+)\.outputs\.polls: \d+ expected, got \d+")
"""A known gap on the server, of nodes that are forced to fail while they poll: what a poll has told
since its call stands in its heartbeat alone, which the server does not hand over when the poll is
cancelled between two looks."""


class Judged(NamedTuple):
    """One case: the line it counts in, what came out, and how that differs."""

    id: str
    part: str
    line: str
    outcome: Mapping[str, Any]
    differences: list[str]


def arguments(argv: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.conformance", description=__doc__)
    parser.add_argument("path", type=Path, help="a folder of recorded cases")
    parser.add_argument("--only", choices=PARTS, action="append", help="this part only")
    parser.add_argument("--on", choices=("machine", "temporal"), default="machine")
    parser.add_argument(
        "--roll-over", type=int, default=0, help="on temporal: a fresh history every so many events"
    )
    parser.add_argument("--sample", type=int, help="so many pipeline cases, drawn by --seed")
    parser.add_argument("--group", action="append", help="pipeline cases of this group only")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--verbose", action="store_true", help="name passing cases too")
    parser.add_argument("--outcomes", type=Path, help="write one JSON line a case to this file")
    return parser.parse_args(argv)


def read_lines(file: Path) -> list[dict[str, Any]]:
    """Return the vectors of a JSONL file; a part that is not there has none."""
    if not file.is_file():
        return []
    return [json.loads(line) for line in file.read_text("utf-8").splitlines() if line.strip()]


def cases_in(folder: Path, groups: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Return the pipeline cases of a folder, by file name; of these groups where some are named."""
    files = sorted((folder / "pipelines").glob("*.json"))
    cases = [json.loads(file.read_text("utf-8")) for file in files]
    return [case for case in cases if not groups or case["group"] in groups]


def sampled(cases: list[dict[str, Any]], size: int | None, seed: int) -> list[dict[str, Any]]:
    """Draw cases evenly over the groups."""
    if size is None or size >= len(cases):
        return cases
    draw = random.Random(seed)
    groups: dict[str, list[dict[str, Any]]] = {}
    for case in draw.sample(cases, len(cases)):
        groups.setdefault(case["group"], []).append(case)
    chosen: list[dict[str, Any]] = []
    while len(chosen) < size:
        for members in groups.values():
            if members and len(chosen) < size:
                chosen.append(members.pop())
    return sorted(chosen, key=lambda case: case["id"])


def judge_pipeline(case: Mapping[str, Any], outcome: Mapping[str, Any]) -> Judged:
    """Compare a pipeline case, by the deviation's rule where one touches it."""
    rule = deviation_of(case)
    line = "fault" if case.get("fault") else "deviates" if rule else "pipelines"
    found = differences(case, outcome)
    if rule is not None and found:
        found = [f"{rule.title}: {problem}" for problem in rule.judge(case, outcome)]
    return Judged(case["id"], "pipelines", line, outcome, found)


def judge_online(case: Mapping[str, Any], outcome: Mapping[str, Any]) -> Judged:
    """Compare a pipeline case that ran on the server; a known gap alone counts apart."""
    judged = judge_pipeline(case, outcome)
    left = [each for each in judged.differences if not is_gap(case, each)]
    line = "gap" if judged.differences and not left else judged.line
    return judged._replace(line=line, differences=left)


def is_gap(case: Mapping[str, Any], difference: str) -> bool:
    """Say whether a difference is the known gap."""
    forced = {step["node"] for step in case["script"] if step["op"] in FORCED}
    lost = PROGRESS_LOST.search(difference)
    return lost is not None and lost[1] in forced


async def judge_all(options: argparse.Namespace) -> AsyncIterator[Judged]:
    """Run every case that was asked for."""
    wanted = options.only or PARTS
    async with Sandbox() as sandbox:
        if "pipelines" in wanted:
            cases = cases_in(options.path, options.group or ())
            cases = sampled(cases, options.sample, options.seed)
            judge = judge_online if options.on == "temporal" else judge_pipeline
            async for case, outcome in run_pipelines(cases, options, sandbox):
                yield judge(case, outcome)
        for judged in judge_vectors(options.path, wanted):
            yield judged
        if "template" in wanted:
            base = options.path / "template_context.json"
            context: dict[str, Any] = json.loads(base.read_text("utf-8")) if base.is_file() else {}
            for vector in read_lines(options.path / "template.jsonl"):
                outcome = await parts.judge_value(vector, context, sandbox)
                found = parts.compare_value(vector, outcome)
                yield Judged(vector["id"], "template", "template", outcome, found)


async def run_pipelines(
    cases: list[dict[str, Any]], options: argparse.Namespace, sandbox: Sandbox
) -> AsyncIterator[tuple[dict[str, Any], Mapping[str, Any]]]:
    """Run pipeline cases offline, or on a real server."""
    if options.on == "temporal":
        from tests.conformance import online

        async for pair in online.run_cases(cases, options.roll_over):
            yield pair
        return
    for case in cases:
        yield case, await offline.run_case(case, sandbox)


Judge = Callable[[Mapping[str, Any]], dict[str, Any]]
Compare = Callable[[Mapping[str, Any], dict[str, Any]], list[str]]
VECTORS: Mapping[str, tuple[Judge, Compare]] = {
    "trees": (trees.judge_tree, parts.compare_tree),
    "boolrule": (parts.judge_rule, parts.compare_rule),
}


def judge_vectors(folder: Path, wanted: list[str] | tuple[str, ...]) -> list[Judged]:
    """Judge the vectors that need no sandbox."""
    found: list[Judged] = []
    for part, (judge, compare) in VECTORS.items():
        for vector in read_lines(folder / f"{part}.jsonl") if part in wanted else []:
            outcome = judge(vector)
            found.append(Judged(vector["id"], part, part, outcome, compare(vector, outcome)))
    return found


def report(judged: Judged, *, verbose: bool) -> None:
    """Print a case that fails (or every case)."""
    if judged.differences:
        print(f"FAILED {judged.id}")
        for line in judged.differences:
            print(f"    {line}")
    elif verbose:
        print(f"passed {judged.id}")


async def run(options: argparse.Namespace) -> int:
    """Judge all cases and print the totals; 1 when any failed."""
    passed: Counter[str] = Counter()
    failed: Counter[str] = Counter()
    lines: list[str] = []
    async for judged in judge_all(options):
        (failed if judged.differences else passed)[judged.line] += 1
        report(judged, verbose=options.verbose)
        row = {"id": judged.id, "part": judged.part, "outcome": judged.outcome}
        lines.append(json.dumps(row, ensure_ascii=False, default=str))
    if options.outcomes:
        options.outcomes.write_text("\n".join(lines) + "\n", "utf-8")
    for line in dict.fromkeys((*PARTS, "fault", "deviates", "gap")):
        if passed[line] or failed[line]:
            print(f"{line}: {passed[line]} passed, {failed[line]} failed")
    print(f"{passed.total()} passed, {failed.total()} failed")
    return 1 if failed else 0


def main(argv: list[str] | None = None) -> int:
    """Run the command."""
    return asyncio.run(run(arguments(argv)))


if __name__ == "__main__":
    sys.exit(main())
