"""`python -m bench [--quick] [--json FILE]`: everything that has a budget, and whether it is met.

Prints the tables, then the budgets; ends with 1 when one is missed. With `--json` the budgets are
written as a list of `{name, goal, measured, met}` too.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from bench import compile as compiling
from bench import machine, server

PEER_CHAIN: Final = 308
"""Nodes a second of bamboo-engine on a chain of 1,000 (celery, two workers, redis, SQLite)."""


class Budget(NamedTuple):
    """A figure and its bound; `at_most` says on which side of the bound it must stay."""

    name: str
    goal: float
    measured: float
    at_most: bool = False

    @property
    def is_met(self) -> bool:
        """Whether the figure stays within its bound."""
        return self.measured <= self.goal if self.at_most else self.measured >= self.goal

    def as_json(self) -> dict[str, object]:
        """Return the budget for programs."""
        sign = "<=" if self.at_most else ">="
        return {
            "name": self.name,
            "goal": f"{sign} {self.goal:g}",
            "measured": round(self.measured, 4),
            "met": self.is_met,
        }


def machine_budgets() -> Iterator[Budget]:
    """Measure the Machine alone."""
    for title, size, rate in machine.rows():
        yield Budget(f"Machine, {title}, {size} nodes: steps/s", 50_000, rate)


def compile_budgets() -> Iterator[Budget]:
    """Measure the translator alone."""
    _, times = compiling.row(1_000)
    name = "parse, check and compile 1,000 tasks: ms"
    yield Budget(name, compiling.BOUND_MS, sum(times), at_most=True)


def server_budgets(found: Sequence[server.Row]) -> Iterator[Budget]:
    """Compare our side with the hand-written one, shape by shape."""
    shapes: dict[str, dict[str, server.Row]] = {}
    for row in found:
        shapes.setdefault(row.shape, {})[row.side] = row
    for shape, sides in shapes.items():
        if "by hand" in sides:
            yield from _beside(shape, sides)
        elif shape.startswith("chain"):
            rate = sides["stdops"].nodes_s
            yield Budget(f"{shape}: nodes/s over bamboo-engine's", 20, rate / PEER_CHAIN)


def _beside(shape: str, sides: Mapping[str, server.Row]) -> Iterator[Budget]:
    ours, hand = sides["stdops"], sides["by hand"]
    yield Budget(f"{shape}: speed over by hand", 0.95, ours.nodes_s / hand.nodes_s)
    cost = ours.cpu_ms / hand.cpu_ms
    yield Budget(f"{shape}: worker CPU over by hand", 1.1, cost, at_most=True)
    if shape.startswith("chain"):  # what a run costs once is spread over enough nodes there
        more = ours.events - hand.events
        yield Budget(f"{shape}: events a node beyond by hand", 0.05, more, at_most=True)


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small shapes, one round")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the budgets there too")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure everything and print it."""
    options = arguments(argv)
    budgets = [*machine_budgets(), *compile_budgets()]
    found = asyncio.run(server.rows(quick=options.quick))
    budgets += server_budgets(found)
    print(server.table(found), end="\n\n")
    for budget in budgets:
        shown = budget.as_json()
        verdict = "met" if budget.is_met else "MISSED"
        print(f"{verdict:8}{shown['name']:64}{shown['measured']:>14}  ({shown['goal']})")
    if options.json is not None:
        text = json.dumps([budget.as_json() for budget in budgets], indent=1)
        options.json.write_text(text + "\n", "utf-8")
    return 0 if all(budget.is_met for budget in budgets) else 1


if __name__ == "__main__":
    sys.exit(main())
