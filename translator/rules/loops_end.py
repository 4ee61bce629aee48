"""SOP109."""

from collections.abc import Iterator

from stdops import Diagnostic
from translator.graph import loops
from translator.rules.context import Context, rule


@rule("SOP109", "loop without a way out")
def loops_end(context: Context) -> Iterator[Diagnostic]:
    """From every loop some edge leads out of it.

    Why: a run that enters the loop goes round until the limit of repeats fails one of its nodes.
    Fails: a task whose only way out leads back to the task before it
    Fix: Put an exclusive gateway into the loop, with one branch that leaves it.
    """
    graph = context.graph
    for loop in loops(graph.targets):
        inside = set(loop)
        leaves = any(target not in inside for node in loop for target in graph.targets[node])
        if not leaves and loop[0] in context.reachable:
            what = f"the loop through {', '.join(map(graph.label, loop[:5]))} has no way out"
            fix = "add an exclusive gateway with a branch that leaves the loop"
            yield context.report("SOP109", "warning", graph.at(loop[0]), what, fix)
