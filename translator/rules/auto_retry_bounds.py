"""SOP302."""

from collections.abc import Iterator
from typing import Final

from stdops import Diagnostic
from translator.rules.context import Context, rule

MAX_TIMES: Final = 10
MAX_INTERVAL_S: Final = 60


@rule("SOP302", "automatic retry is out of bounds")
def auto_retry_bounds(context: Context) -> Iterator[Diagnostic]:
    """A node retries by itself 1 to 10 times, 0 to 60 seconds apart.

    Why: bk-sops cuts other values to these bounds without a word; 0 times counts as 10.
    Fails: `{"enable": true, "times": 99, "interval": 600}`
    Fix: Choose values within the bounds.
    """
    for task in context.tree.tasks.values():
        retry = task.auto_retry
        if retry is None:
            continue
        owner = f"of node {task.name or task.id!r}"
        if not 1 <= retry.times <= MAX_TIMES:
            what = (
                f"automatic retry {owner} is set to {retry.times} times, allowed: 1 to {MAX_TIMES}"
            )
            yield context.report("SOP302", "warning", task.at, what, "it counts within the bounds")
        if not 0 <= retry.interval_s <= MAX_INTERVAL_S:
            waits = f"waits {retry.interval_s} s, allowed: 0 to {MAX_INTERVAL_S}"
            what = f"automatic retry {owner} {waits}"
            yield context.report("SOP302", "warning", task.at, what, "it counts within the bounds")
