"""The translator alone: parse, check and compile, and whether that stays linear in the nodes.

`python -m bench.compile` prints a table: processor time in milliseconds, best of some rounds. It is
a web tree as bk-sops stores it: tasks with two inputs each, a fifth as many variables, a subflow's
worth of gateways, references in most inputs and a real expression in every tenth.
"""

import json
import sys
import time
from collections.abc import Callable
from typing import TypeVar

from pydantic import JsonValue

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
    tree = _Web(size)
    tree.build()
    return json.dumps(tree.tree(), ensure_ascii=False).encode()


class _Web:
    """Builds a tree block by block: a task in a line, or a fork of two tasks."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.count = max(size // 5, 1)
        self.nodes: dict[str, dict[str, JsonValue]] = {}
        self.flows: dict[str, dict[str, JsonValue]] = {}
        self.sides: dict[str, dict[str, list[JsonValue]]] = {"source": {}, "target": {}}

    def build(self) -> None:
        """Lay the nodes one behind the other, with a fork in each block."""
        last = "start"
        for number in range(self.size):
            place = number % BLOCK
            if place == 0 and number + 2 < self.size:
                last = self.join(last, f"fork{number}")
                self.gateway(last, "ParallelGateway")
            last = self.task(number, last)
            if place == 1:
                last = self.meet(number)
        self.join(last, "end")

    def task(self, number: int, last: str) -> str:
        name = f"n{number}"
        inputs: dict[str, JsonValue] = {"a": self.value(number), "b": f"step {number}"}
        data: JsonValue = {
            key: {"hook": False, "need_render": True, "value": raw} for key, raw in inputs.items()
        }
        self.nodes[name] = {
            "id": name,
            "name": f"step {number}",
            "type": "ServiceActivity",
            "component": {"code": "echo", "version": "v1.0", "data": data},
            "optional": True,
            "error_ignorable": False,
            "skippable": True,
            "retryable": True,
        }
        branch = number % BLOCK == 1 and f"fork{number - 1}" in self.nodes
        return self.join(f"fork{number - 1}" if branch else last, name)

    def value(self, number: int) -> JsonValue:
        key = f"v{number % self.count}"
        if number % BLOCK == 0:
            return f"${{{key}.upper() + '-{number}'}}"
        return f"${{{key}}}" if number % 2 else f"deploy ${{{key}}} to ${{v0}}"

    def meet(self, number: int) -> str:
        if f"fork{number - 1}" not in self.nodes:
            return f"n{number}"
        name = f"join{number - 1}"
        self.join(f"n{number - 1}", name)
        self.gateway(name, "ConvergeGateway")
        return self.join(f"n{number}", name)

    def gateway(self, name: str, kind: str) -> None:
        self.nodes[name] = {"id": name, "name": "", "type": kind}

    def join(self, source: str, target: str) -> str:
        edge = f"{source}-{target}"
        self.flows[edge] = {"id": edge, "source": source, "target": target, "is_default": False}
        self.sides["source"].setdefault(source, []).append(edge)
        self.sides["target"].setdefault(target, []).append(edge)
        return target

    def tree(self) -> dict[str, JsonValue]:
        """Return the whole document."""
        into, out_of = self.sides["target"], self.sides["source"]
        activities: dict[str, JsonValue] = {}
        gateways: dict[str, JsonValue] = {}
        for name, node in self.nodes.items():
            many = node["type"] == "ParallelGateway"
            outgoing: JsonValue = out_of[name] if many else out_of[name][0]
            group = activities if node["type"] == "ServiceActivity" else gateways
            group[name] = {**node, "incoming": into[name], "outgoing": outgoing}
        ends: dict[str, JsonValue] = {
            "start_event": _event("start", "EmptyStartEvent", "", out_of["start"][0]),
            "end_event": _event("end", "EmptyEndEvent", into["end"][0], ""),
        }
        groups: dict[str, JsonValue] = {"activities": activities, "gateways": gateways}
        constants: JsonValue = {
            f"${{v{number}}}": _constant(f"${{v{number}}}", number) for number in range(self.count)
        }
        flows: dict[str, JsonValue] = {**self.flows}
        return {**ends, **groups, "flows": flows, "constants": constants, "outputs": ["${v0}"]}


def _event(name: str, kind: str, incoming: JsonValue, outgoing: JsonValue) -> JsonValue:
    return {"id": name, "type": kind, "name": "", "incoming": incoming, "outgoing": outgoing}


def _constant(key: str, number: int) -> JsonValue:
    return {
        "key": key,
        "name": key,
        "index": number,
        "desc": "",
        "custom_type": "input",
        "source_type": "custom",
        "source_tag": "input.input",
        "source_info": {},
        "show_type": "show",
        "validation": "^.+$",
        "value": f"value {number}",
    }


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
