"""The Machine alone: steps a second, and whether that stays linear in the size of the plan.

`python -m bench.machine` prints a table. A step is one node entered and left, its
time the processor's.
"""

import sys
import time
from collections.abc import Iterator

from activities.contract import Done, PluginTraits, RunSettings
from bench.shapes import Shape, plan_of
from translator.plan import Plan, Task
from workflows.machine.events import RunTask, TaskEnded
from workflows.machine.machine import Machine
from workflows.machine.program import lay_out

SIZES = (100, 1_000, 10_000)
ROUNDS = 5


def settings(plan: Plan, inline: str) -> RunSettings:
    """Return settings in which the one plugin is called, or decided in the workflow."""
    plugin = next(node.plugin for node in plan.flow.nodes.values() if isinstance(node, Task))
    traits = PluginTraits.model_validate({"plugin": plugin, "inline": inline})
    return RunSettings(traits={f"{plugin.code}/{plugin.version}": traits})


def run(plan: Plan, inline: str) -> float:
    """Run a plan to its end; returns CPU seconds, laying the plan out not included."""
    machine = Machine(plan, settings(plan, inline), program=lay_out(plan))
    done = Done()
    started = time.process_time()
    todo = list(machine.start(0))
    for command in todo:
        if isinstance(command, RunTask):
            todo += machine.handle(TaskEnded(command.path, command.entry, done), 1)
    seconds = time.process_time() - started
    if machine.state.nodes[""].status != "finished":
        raise RuntimeError("the line did not end")
    return seconds


def rows() -> Iterator[tuple[str, int, float]]:
    """Yield what was run, its size, and steps a second (the median of the rounds)."""
    for inline, title in (("", "one plugin call a node"), ("display", "nodes without a call")):
        for size in SIZES:
            plan = plan_of(Shape("line", "line", size))
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
