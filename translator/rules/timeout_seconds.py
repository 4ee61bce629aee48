"""SOP303."""

from collections.abc import Iterator

from stdops import Diagnostic
from translator.rules.context import Context, rule


@rule("SOP303", "timeout has no usable number of seconds")
def timeout_seconds(context: Context) -> Iterator[Diagnostic]:
    """A timeout has a positive whole number of seconds.

    Why: bk-sops ignores a timeout of any other value, so the node would run without a limit.
    Fails: `{"enable": true, "seconds": 0}`
    Fix: Give the number of seconds, or disable the timeout.
    """
    for task in context.tree.tasks.values():
        if task.timeout and task.timeout.after_s <= 0:
            owner, seconds = task.name or task.id, task.timeout.after_s
            what = f"timeout of node {owner!r} is {seconds} seconds and is ignored"
            fix = "give a positive number of seconds, or disable it"
            yield context.report("SOP303", "warning", task.at, what, fix)
