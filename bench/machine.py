"""The Machine alone: steps a second, and whether that stays linear in the size of the plan.

`python -m bench.machine` prints a table. A step is one node entered and left.
"""

import sys
import time
from collections.abc import Iterator

from activities.contract import Done, PluginTraits, RunSettings
from translator.plan import (
    End,
    Flow,
    Literal,
    Node,
    Plan,
    PluginRef,
    Ref,
    Start,
    Task,
    Value,
    Variable,
)
from workflows.machine.events import RunTask, TaskEnded
from workflows.machine.machine import Machine
from workflows.machine.program import lay_out

SIZES = (100, 1_000, 10_000)
ROUNDS = 5


def chain(size: int) -> Plan:
    """Return a plan of `size` tasks in a line, each reading one variable."""
    nodes: dict[str, Node] = {"start": Start(id="start", next="n0")}
    plugin = PluginRef(code="echo")
    for number in range(size):
        after = f"n{number + 1}" if number + 1 < size else "end"
        inputs: dict[str, Value] = {"x": Ref(key="v"), "y": Literal(value=number)}
        node = Task(id=f"n{number}", name="step", next=after, plugin=plugin, inputs=inputs)
        nodes[node.id] = node
    nodes["end"] = End(id="end")
    variable = Variable(key="v", kind="plain", value=Literal(value="text"))
    flow = Flow(start="start", nodes=nodes, variables={"v": variable})
    return Plan(template_key="chain", flow=flow)


def settings(inline: str) -> RunSettings:
    """Return settings in which the one plugin is called, or decided in the workflow."""
    traits = PluginTraits.model_validate({"plugin": {"code": "echo"}, "inline": inline})
    return RunSettings(traits={"echo/legacy": traits})


def run(plan: Plan, inline: str) -> float:
    """Run a plan to its end; returns seconds, laying the plan out not included."""
    machine = Machine(plan, settings(inline), program=lay_out(plan))
    done = Done()
    started = time.perf_counter()
    todo = list(machine.start(0))
    for command in todo:
        if isinstance(command, RunTask):
            todo += machine.handle(TaskEnded(command.path, command.entry, done), 1)
    seconds = time.perf_counter() - started
    if machine.state.nodes[""].status != "finished":
        raise RuntimeError("the chain did not end")
    return seconds


def rows() -> Iterator[tuple[str, int, float]]:
    """Yield what was run, its size, and steps a second (the median of the rounds)."""
    for inline, title in (("", "one plugin call a node"), ("display", "nodes without a call")):
        for size in SIZES:
            plan = chain(size)
            times = sorted(run(plan, inline) for _ in range(ROUNDS))
            yield title, size, (size + 2) / times[ROUNDS // 2]


def main() -> int:
    """Print the table."""
    print(f"{'shape':28} {'nodes':>7} {'steps/s':>10}")
    for title, size, rate in rows():
        print(f"{title:28} {size:7} {rate:10,.0f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
