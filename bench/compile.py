"""The translator alone: parse, check and compile, and whether that stays linear in the nodes.

`python -m bench.compile` prints a table: processor time in milliseconds, best of some rounds. It is
a web tree as bk-sops stores it: tasks with two inputs each, a fifth as many variables, a subflow's
worth of gateways, references in most inputs and a real expression in every tenth.
"""

import sys
import time
from collections.abc import Callable
from typing import TypeVar

from bench.documents import END, START, Web
from translator.check import check
from translator.compile import compile_template
from translator.parse import parse
from translator.template import Template

T = TypeVar("T")

SIZES = (100, 1_000, 10_000)
ROUNDS = 5
BLOCK = 10  # every block of so many tasks stands between a fork and its converge
BOUND_MS = 150.0  # of 1,000 nodes, design section 9


def document(size: int) -> bytes:
    """Return the text of a web tree with `size` tasks."""
    return _Blocks(size).web.text()


class _Blocks:
    """Lays tasks one behind the other, with a fork of two in each block."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.count = max(size // 5, 1)
        self.web = Web()
        for number in range(self.count):
            self.web.variable(f"v{number}", f"value {number}")
        last = START
        for number in range(size):
            last = self.after(number, last)
        self.web.join(last, END)

    def after(self, number: int, last: str) -> str:
        """Add a task, with the gateways around it, and return what the next comes after."""
        place, web = number % BLOCK, self.web
        fork, join = f"fork{number - place}", f"join{number - place}"
        if place == 0 and number + 2 < self.size:
            last = web.join(last, web.gateway(fork, "ParallelGateway"))
        inputs = {"a": self.value(number), "b": f"step {number}"}
        name = web.task(f"n{number}", "echo", "v1.0", inputs)
        if place != 1 or fork not in web:
            return web.join(last, name)
        web.join(fork, name)
        web.join(last, web.gateway(join, "ConvergeGateway"))
        return web.join(name, join)

    def value(self, number: int) -> str:
        """Return a value: every tenth an expression, the others references and splices."""
        key = f"v{number % self.count}"
        if number % BLOCK == 0:
            return f"${{{key}.upper() + '-{number}'}}"
        return f"${{{key}}}" if number % 2 else f"deploy ${{{key}}} to ${{v0}}"


def measured(work: Callable[[], T], rounds: int = ROUNDS) -> tuple[T, float]:
    """Return what `work` returns, and the best time of some rounds in milliseconds."""
    best = float("inf")
    while True:
        before = time.process_time()
        result = work()
        best = min(best, (time.process_time() - before) * 1000)
        rounds -= 1
        if not rounds:
            return result, best


def row(size: int) -> tuple[int, list[float]]:
    """Return the number of nodes of one template, and the times of its three steps."""
    data = document(size)
    parsed, parse_ms = measured(lambda: parse(data, "bench.json"))
    (template,) = parsed.templates
    findings, check_ms = measured(lambda: check(template))
    if parsed.diagnostics or findings:
        raise ValueError(f"the template of the benchmark has findings: {findings[:3]}")
    _, compile_ms = measured(lambda: compile_template(template))
    return _nodes(template), [parse_ms, check_ms, compile_ms]


def _nodes(template: Template) -> int:
    return len(template.tree.tasks) + len(template.tree.gateways) + 2


def main() -> int:
    """Print the table; 1 when 1,000 tasks take longer than their bound."""
    sys.stdout.write(f"{'nodes':>7}{'parse ms':>10}{'check ms':>10}{'compile ms':>12}{'all':>8}\n")
    over = False
    for size in SIZES:
        nodes, times = row(size)
        total = sum(times)
        over |= size == SIZES[1] and total > BOUND_MS
        cells = f"{nodes:>7}{times[0]:>10.1f}{times[1]:>10.1f}{times[2]:>12.1f}{total:>8.1f}"
        sys.stdout.write(f"{cells}\n")
    return int(over)


if __name__ == "__main__":
    sys.exit(main())
